//! The strips of the Loop screen: this turn as one bar, the last turns as letters and heights. Step: model → **view**.

use crate::model::{Part, Phase, Registration, Turn, Word};
use crate::tui::app::App;
use crate::tui::theme::{self, QUEUED, RUN};
use crate::tui::view::{blame, kernel};
use crate::tui::widget::bar;
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::{self, time};
use ratatui::style::Style;

/// A stretch of a turn: what, from, to.
type Stretch = (Part, u64, u64);

/// What the shown thread did in its current turn so far.
pub fn stretches(app: &App) -> Vec<Stretch> {
    let Some(thread) = kernel::thread(app) else {
        return Vec::new();
    };
    let segments = app.tail().segments.iter().rev();
    let mine = segments.take_while(|s| s.end > thread.wakeup);
    let mut out: Vec<Stretch> = mine
        .filter(|s| s.loop_id == app.loop_id && s.thread == thread.thread && s.part != Part::Wait)
        .map(|s| (s.part, s.start.max(thread.wakeup), s.end))
        .collect();
    out.reverse();
    let now = app.t();
    let open = match thread.phase {
        Phase::Running {
            reg: Some(reg),
            since,
        } => Some((Part::Run(reg), since)),
        Phase::Timer { name, since } => Some((Part::Timer(name), since)),
        Phase::Task { name, since } => Some((Part::Task(name), since)),
        Phase::Rest { since } => Some((Part::Rest, since)),
        _ => None,
    };
    if let Some((part, since)) = open {
        let from = out.last().map_or(since, |s| since.max(s.2));
        if now >= from {
            out.push((part, from, now));
        }
    }
    out
}

/// Draws the turn as a bar: blocks for runs with the fd's letter where each starts, blanks for the loop itself.
pub fn turn(pen: &mut Pen<'_>, app: &App) {
    let Some(thread) = kernel::thread(app) else {
        return;
    };
    let parts = stretches(app);
    let waiting: Vec<&str> = (thread.batch.iter())
        .filter(|i| i.state == crate::model::ItemState::Fetched)
        .map(|i| app.names.told(i.reg))
        .collect();
    let names: Vec<String> = waiting.iter().map(|n| (*n).to_owned()).collect();
    let then = match names.len() {
        0 => String::new(),
        _ => format!(" then {}", text::list(&names, 3)),
    };
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        let line = match thread.phase {
            Phase::Waiting { .. } | Phase::Elsewhere { .. } => "the loop sleeps: no handler runs",
            _ => "the turn begins",
        };
        pen.put(1, 0, line, theme::quiet());
        return;
    };
    let w = pen.width().saturating_sub(text::width(&then) + 3).max(10);
    let (from, to) = (first.1, last.2.max(first.1 + 1));
    let col = |t: u64| ((t - from) as u128 * w as u128 / u128::from(to - from)) as usize;
    for (part, a, b) in &parts {
        let (style, c) = match part {
            Part::Run(_) => (theme::running(), RUN),
            Part::Timer(_) => (theme::queued(), 't'),
            Part::Task(_) => (theme::queued(), 'k'),
            Part::More(_) => (theme::running(), '~'),
            Part::Tail(_) => (theme::quiet(), '~'),
            _ => (theme::quiet(), '·'),
        };
        let (a, b) = (col(*a), col(*b).max(col(*a) + 1).min(w));
        for x in a..b {
            pen.glyph(1 + x, 0, c, style);
        }
    }
    // Names over the blocks that have room for them.
    for (part, a, b) in &parts {
        let (a, b) = (col(*a), col(*b).min(w));
        let reg = match part {
            Part::Run(reg) => reg,
            Part::Timer(_) | Part::Task(_) => {
                let name = blame::words(app, thread.thread, *part);
                if b >= a + text::width(&name) + 3 {
                    let style = theme::queued().patch(theme::chosen());
                    pen.put(1 + a, 0, &format!(" {name} "), style);
                }
                continue;
            }
            _ => continue,
        };
        let name = app.names.name(*reg);
        let style = theme::running().patch(theme::chosen());
        if b >= a + text::width(name) + 3 {
            pen.put(1 + a, 0, &format!(" {name} "), style);
        } else {
            pen.glyph(1 + a, 0, app.names.letter(*reg), style);
        }
    }
    let running = matches!(
        thread.phase,
        Phase::Running { .. } | Phase::Timer { .. } | Phase::Task { .. }
    );
    let x = 1 + w;
    if running {
        pen.glyph(x, 0, theme::GO, theme::running());
    }
    pen.put(x + 1, 0, &then, theme::queued());
}

/// The last finished turns, oldest first.
pub fn last_turns(app: &App, most: usize) -> Vec<Turn> {
    let mut turns: Vec<Turn> = app
        .tail()
        .turns_of(app.loop_id)
        .take(most)
        .copied()
        .collect();
    turns.reverse();
    turns
}

/// Draws who ran longest in each of the last turns, and for how long, in `pen.height() - 1` rows of heights.
pub fn turns(pen: &mut Pen<'_>, app: &App) {
    let (label, w) = (5, pen.width());
    let legend_w = 15;
    let cols = w.saturating_sub(label + legend_w + 1);
    let turns = last_turns(app, cols);
    let rows = pen.height().saturating_sub(1).max(1);
    pen.put(1, 0, "who", theme::quiet());
    pen.put(1, rows, "run", theme::quiet());
    let longest = |t: &Turn| t.longest.map_or(0, |l| l.1);
    let full = turns.iter().map(longest).max().unwrap_or(0);
    if turns.is_empty() {
        pen.put(label, 0, "no turn has ended yet", theme::quiet());
        return;
    }
    for (i, turn) in turns.iter().enumerate() {
        let Some((reg, ns)) = turn.longest else {
            pen.glyph(label + i, 0, '·', theme::quiet());
            continue;
        };
        let chosen = app.chosen == Some(reg);
        let letter = app.names.letter(reg);
        pen.glyph(
            label + i,
            0,
            letter,
            if chosen {
                theme::chosen()
            } else {
                Style::new()
            },
        );
        let style = if ns * 2 > full {
            theme::alarm()
        } else {
            theme::running()
        };
        for row in 0..rows {
            pen.glyph(label + i, 1 + row, bar::tall(ns, full, row, rows), style);
        }
    }
    // Whose letters are the most frequent.
    let mut seen: Vec<(u32, usize)> = Vec::new();
    for (reg, _) in turns.iter().filter_map(|t| t.longest) {
        match seen.iter_mut().find(|s| s.0 == reg) {
            Some(s) => s.1 += 1,
            None => seen.push((reg, 1)),
        }
    }
    seen.sort_by_key(|s| std::cmp::Reverse(s.1));
    let x = w - legend_w;
    for (row, (reg, _)) in seen.iter().take(rows.max(1)).enumerate() {
        let name = app.names.told(*reg);
        pen.put(
            x,
            row,
            &format!("{} = {name}", app.names.letter(*reg)),
            theme::plain(),
        );
    }
    pen.put(x, rows, &format!("█ = {}", time(full)), theme::plain());
}

/// One bar of a batch row: how long it has been in this state, of the turn so far.
pub fn item_bar(word: Word, part: f64, cells: usize) -> (String, Style) {
    let full = bar::share(part, cells);
    match word {
        Word::Running => (full, theme::running()),
        Word::Fetched => {
            let n = text::width(&full);
            (std::iter::repeat_n(QUEUED, n).collect(), theme::queued())
        }
        _ => (String::new(), theme::quiet()),
    }
}

/// The share of run time of an fd among all of its loop so far.
pub fn share(app: &App, reg: &Registration) -> Option<f64> {
    let the_loop = app.the_loop()?;
    // The loop's own sum grows with finished turns only; runs of turns that go on stand in the tail.
    let now = (the_loop.threads.iter()).filter(|t| t.phase.in_turn());
    let open: u64 = now
        .map(|t| {
            let runs = app.tail().runs.iter().rev();
            let runs = runs.take_while(|r| r.end >= t.wakeup);
            let mine =
                runs.filter(|r| (r.loop_id, r.thread, r.turn) == (app.loop_id, t.thread, t.turn));
            mine.map(crate::model::Run::run).sum::<u64>()
        })
        .sum();
    let total = the_loop.run_ns + open;
    (total > 0).then(|| (reg.run_ns as f64 / total as f64).min(1.0))
}
