//! Screen 2, the timeline: one lane an fd, one column a stretch of time, and the event at the cursor in full.
//! Step: model → **view**.

use super::blame;
use crate::model::{Fidelity, Id, Run, Word};
use crate::tui::app::App;
use crate::tui::player::{Cell, Cells};
use crate::tui::theme::{self, ABSENT, ARMED, MORE, QUEUED, READY, RUN};
use crate::tui::widget::boxes;
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::{self, time};
use ratatui::style::Style;

/// Cells before the lanes: letter, fd, name.
fn label(width: usize) -> usize {
    match width {
        0..76 => 11,
        76..110 => 14,
        _ => 22,
    }
}
/// Cells after the lanes: the share of run time.
const SHARE: usize = 9;

/// Columns of the timeline on a screen this wide.
pub fn columns(width: usize) -> usize {
    width.saturating_sub(label(width) + SHARE + 2)
}

/// The next round number of nanoseconds: 1, 2 or 5 times a power of ten.
pub fn round_width(ns: u64) -> u64 {
    let mut unit = 1u64;
    loop {
        for step in [1, 2, 5] {
            if unit.saturating_mul(step) >= ns {
                return unit.saturating_mul(step);
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// The lanes that fit, and how many do not: all by fd number, or those that waited most.
pub fn lanes(app: &App, most: usize) -> (Vec<Id>, usize) {
    let Some(window) = app.player.window() else {
        return (app.regs().iter().map(|r| r.id).take(most).collect(), 0);
    };
    let (from, to) = (window.key.from(), window.key.to());
    let there = |r: &crate::model::Registration| {
        r.loop_id == app.loop_id && r.registered_ns < to && r.closed_ns.is_none_or(|c| c >= from)
    };
    let mut regs: Vec<_> = window.model().regs().filter(|r| there(r)).collect();
    if regs.is_empty() {
        regs = app.regs();
    }
    let hidden = regs.len().saturating_sub(most);
    if hidden > 0 {
        let rank = |r: &crate::model::Registration| {
            (
                Some(r.id) != app.chosen,
                std::cmp::Reverse(r.wait_max),
                r.id,
            )
        };
        regs.sort_by_key(|r| rank(r));
        regs.truncate(most.saturating_sub(1));
    }
    regs.sort_by_key(|r| (r.fd, r.id));
    let shown = regs.iter().map(|r| r.id).collect();
    (shown, if hidden > 0 { hidden + 1 } else { 0 })
}

/// The glyph of a cell.
fn glyph(cell: Cell) -> (char, Style) {
    match cell {
        c if c.unknown => ('?', theme::quiet()),
        c if c.runs > 1 => (MORE, theme::running()),
        c if c.runs == 1 => (RUN, theme::running()),
        c if c.queued => (QUEUED, theme::queued()),
        c if c.ready => (READY, theme::ready()),
        c if c.left => ('=', theme::odd()),
        c if c.off => (':', theme::quiet()),
        c if c.maybe => ('~', theme::ready()),
        _ => (ARMED, theme::quiet()),
    }
}

/// Draws the screen.
pub fn draw(pen: &mut Pen<'_>, app: &App) {
    let (w, h) = (pen.width(), pen.height());
    let Some(window) = app.player.window() else {
        pen.put(1, 1, "folding…", theme::quiet());
        return;
    };
    let cells = window.painted();
    let details = detail_rows(h);
    let chart_rows = h.saturating_sub(details + 5).max(1);
    let (shown, hidden) = lanes(app, chart_rows);
    let used = shown.len().min(chart_rows) + usize::from(hidden > 0);
    let (x0, cols) = (label(w) + 1, cells.cols.min(columns(w)));
    let line = theme::quiet();
    ruler(pen, &cells, x0, cols);
    boxes::down(pen, x0 - 1, 1, used + 3, line);
    boxes::down(pen, x0 + cols, 1, used + 3, line);
    boxes::stretch(pen, x0 - 1, x0 + cols, 1, line);
    boxes::stretch(pen, x0 - 1, x0 + cols, used + 3, line);
    ticks(pen, app, &cells, x0, cols);
    running(pen, app, &cells, x0, cols);
    let total = cells.total_run_ns();
    for (row, id) in shown.iter().enumerate() {
        lane(pen, app, &cells, *id, row + 3, (x0, cols, total));
    }
    if hidden > 0 {
        let told =
            format!("{hidden} more lanes: those that waited most are shown; ↑↓ brings others in");
        pen.put(x0 + 1, shown.len() + 3, &told, theme::quiet());
    }
    if !window.done {
        let told = format!(" folding {:.0}% ", window.progress() * 100.0);
        pen.put(x0 + 1, 1, &told, theme::chosen());
    }
    let mut y = used + 4;
    if h >= 18 {
        legend(&mut pen.part(1, y, w - 2, 2));
        y += 2;
    }
    detail(&mut pen.part(0, y, w, h.saturating_sub(y)), app);
}

fn detail_rows(h: usize) -> usize {
    match h {
        0..18 => 3,
        18..30 => 8,
        _ => 12,
    }
}

fn ruler(pen: &mut Pen<'_>, cells: &Cells, x0: usize, cols: usize) {
    let (from, to) = (cells.from(), cells.to());
    let span = to - from;
    let step = round_width((span as f64 / (cols as f64 / 12.0)) as u64);
    let mut t = from.div_ceil(step.max(1)) * step.max(1);
    let decimals = match step {
        1_000_000.. => 0,
        100_000.. => 1,
        10_000.. => 2,
        1_000.. => 3,
        _ => 6,
    };
    while t < to {
        if let Some(col) = cells.col(t) {
            let text = match step >= 1_000_000_000 {
                true => format!("{} s", t / 1_000_000_000),
                false => format!("{:.decimals$} ms", t as f64 / 1e6),
            };
            if col + text::width(&text) < cols {
                pen.put(x0 + col, 0, &text, theme::quiet());
            }
        }
        t += step.max(1);
    }
    pen.put(x0 + cols + 1, 0, "share of", theme::quiet());
    pen.put(x0 + cols + 1, 1, "run time", theme::quiet());
    pen.put(
        0,
        0,
        &format!(" 1 cell {}", time(cells.width).replace(".00", "")),
        theme::quiet(),
    );
}

fn ticks(pen: &mut Pen<'_>, app: &App, cells: &Cells, x0: usize, cols: usize) {
    for mark in &app.marks {
        if let Some(col) = cells.col(*mark).filter(|c| *c < cols) {
            pen.glyph(x0 + col, 1, 'm', theme::strong());
        }
    }
    if let Some(col) = cells.col(app.t()).filter(|c| *c < cols) {
        pen.glyph(x0 + col, 1, '▼', theme::cursor());
    }
}

fn running(pen: &mut Pen<'_>, app: &App, cells: &Cells, x0: usize, cols: usize) {
    pen.put(1, 2, "running", theme::strong());
    let mut busy = 0;
    for col in 0..cols {
        match cells.who(col) {
            Some((id, ns)) => {
                busy += ns.min(cells.width);
                let style = if app.chosen == Some(id) {
                    theme::chosen()
                } else {
                    theme::plain()
                };
                pen.glyph(x0 + col, 2, app.names.letter(id), style);
            }
            None => pen.glyph(x0 + col, 2, ' ', theme::plain()),
        }
    }
    let part = busy as f64 / (cells.width as f64 * cols.max(1) as f64);
    pen.put(
        x0 + cols + 1,
        2,
        &format!("busy{:3.0}%", (part * 100.0).min(100.0)),
        theme::strong(),
    );
}

fn lane(
    pen: &mut Pen<'_>,
    app: &App,
    cells: &Cells,
    id: Id,
    y: usize,
    (x0, cols, total): (usize, usize, u64),
) {
    let model = app.player.window().map_or(app.model(), |w| w.model());
    let Some(reg) = model.reg(id).or_else(|| app.model().reg(id)) else {
        return;
    };
    let chosen = app.chosen == Some(id);
    let style = if chosen {
        theme::chosen()
    } else {
        Style::new()
    };
    let sign = if chosen { '>' } else { ' ' };
    let name_w = (x0 - 1).saturating_sub(7);
    let text = format!(
        "{sign}{} {} {}",
        app.names.letter(id),
        text::right(&reg.fd.to_string(), 2),
        text::left(app.names.name(id), name_w)
    );
    pen.put(0, y, &text, style);
    let from = cells.from();
    let mut any = false;
    for col in 0..cols {
        let start = from + col as u64 * cells.width;
        let (c, mut look) = glyph(cells.cell(id, col));
        let outside =
            start + cells.width <= reg.registered_ns || reg.closed_ns.is_some_and(|c| c < start);
        let c = if outside && c == ARMED { ' ' } else { c };
        any |= c != ARMED && c != ' ';
        if cells.col(app.t()) == Some(col) && chosen {
            look = look.patch(theme::chosen());
        }
        pen.glyph(x0 + col, y, c, look);
    }
    let run = cells.run_ns(id);
    let share = if total > 0 {
        run as f64 * 100.0 / total as f64
    } else {
        0.0
    };
    let shown = if total == 0 {
        ABSENT.to_string()
    } else {
        format!("{share:5.2} %")
    };
    let style = if share > 90.0 && any {
        theme::alarm()
    } else {
        style
    };
    pen.put(x0 + cols + 1, y, &text::right(&shown, 7), style);
}

fn legend(pen: &mut Pen<'_>) {
    let quiet = theme::quiet();
    pen.puts(
        0,
        0,
        &[
            ("─", quiet),
            (" armed   ", quiet),
            ("░", theme::ready()),
            (" ready, not told   ", quiet),
            ("▒", theme::queued()),
            (" told, queued   ", quiet),
            ("█", theme::running()),
            (" runs   ", quiet),
            ("+", theme::running()),
            (" more: zoom in", quiet),
        ],
    );
    pen.puts(
        0,
        1,
        &[
            ("~", theme::ready()),
            (" maybe ready   ", quiet),
            ("=", theme::odd()),
            (" left over   ", quiet),
            (":", quiet),
            (" off   ", quiet),
            ("?", quiet),
            (" events lost   ", quiet),
            ("running: letter of the fd served", quiet),
        ],
    );
}

/// The run of the chosen fd that the cursor stands in or before; the last one before it otherwise.
pub fn run_at(app: &App) -> Option<Run> {
    let id = app.chosen?;
    let t = app.t();
    let window = app.player.window();
    let ahead = window.into_iter().flat_map(|w| w.facts.runs_of(id));
    let behind = app.tail().runs_of(id);
    let begin = |r: &Run| r.ready.map_or(r.wakeup, |x| x.lo).min(r.wakeup);
    let all: Vec<&Run> = ahead.chain(behind).collect();
    let inside = all.iter().filter(|r| begin(r) <= t && t <= r.end);
    // The narrowest that holds the cursor; else the last that ended before it.
    let found = inside.min_by_key(|r| r.end - begin(r));
    let last = || all.iter().filter(|r| r.end <= t).max_by_key(|r| r.end);
    found.or_else(last).map(|r| **r)
}

/// The event of the chosen fd at the cursor, in full.
fn detail(pen: &mut Pen<'_>, app: &App) {
    let w = pen.width();
    boxes::across(pen, 0, theme::quiet());
    let Some(reg) = app.chosen() else {
        boxes::title(pen, 1, 0, w - 2, "the event at the cursor", theme::quiet());
        pen.put(
            1,
            1,
            "↑↓ chooses an fd: its event at the cursor is shown here in full",
            theme::quiet(),
        );
        return;
    };
    let name = app.names.name(reg.id);
    let title = format!("fd {} {name}: the event at the cursor, in full", reg.fd);
    boxes::title(pen, 1, 0, w - 2, &title, theme::strong());
    let Some(run) = run_at(app) else {
        let since = time(app.t().saturating_sub(reg.since));
        let told = match reg.word {
            Word::Armed => format!("armed for {since}: nothing has happened to it yet"),
            word => format!("{} for {since}", theme::word(word)),
        };
        pen.put(1, 1, &told, theme::plain());
        return;
    };
    pen.put(1, 1, &chain(&run), theme::plain());
    proportions(&mut pen.part(1, 2, w - 2, 1), &run);
    let lines = blame::lines(app, &run);
    let mut y = 3;
    for line in lines {
        for wrapped in text::wrap(&line, w - 2) {
            pen.put(1, y, &wrapped, theme::plain());
            y += 1;
        }
    }
}

/// `ready 90.16 ─notice 4.06─► told 94.22 ─queue 0.07─► runs 94.29 ─run 0.01─► done`, all in milliseconds.
pub fn chain(run: &Run) -> String {
    let ms = |ns: u64| format!("{:.2}", ns as f64 / 1e6);
    let notice = match (run.notice, run.notice_fidelity) {
        (Some(n), Fidelity::Measured) => ms(n.hi),
        (Some(n), Fidelity::Inferred) => format!("~{}", ms(n.hi)),
        (Some(n), _) if n.lo == 0 => format!("<={}", ms(n.hi)),
        (Some(n), _) => format!("{} to {}", ms(n.lo), ms(n.hi)),
        (None, _) => ABSENT.to_string(),
    };
    let ready = match run.ready {
        Some(r) if r.lo == r.hi => ms(r.lo),
        Some(r) => format!("{} to {}", ms(r.lo), ms(r.hi)),
        None => ABSENT.to_string(),
    };
    format!(
        "ready {ready} ─notice {notice}─► told {} ─queue {}─► runs {} ─run {}─► done",
        ms(run.wakeup),
        ms(run.queue()),
        ms(run.start),
        ms(run.run())
    )
}

/// The three parts as lengths of one bar.
fn proportions(pen: &mut Pen<'_>, run: &Run) {
    let notice = run.notice.map_or(0, |n| n.hi);
    let total = (notice + run.queue() + run.run()).max(1);
    let said = match run.notice {
        Some(n) if n.lo < n.hi => format!(" total at most {}", time(total)),
        Some(_) => format!(" total {}, the sum", time(total)),
        None => format!(" queue and run {}", time(total)),
    };
    let cells = pen.width().saturating_sub(text::width(&said) + 1);
    let part = |ns: u64| match ns {
        0 => 0,
        ns => ((ns as u128 * cells as u128 / u128::from(total)) as usize).max(1),
    };
    let (n, q) = (part(notice), part(run.queue()));
    let r = cells.saturating_sub(n + q).max(1);
    let fill = |c: char, n: usize| std::iter::repeat_n(c, n).collect::<String>();
    let x = pen.puts(
        0,
        0,
        &[
            (&fill(READY, n), theme::ready()),
            (&fill(QUEUED, q), theme::queued()),
            (&fill(RUN, r), theme::running()),
        ],
    );
    pen.put(x, 0, &said, theme::plain());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_round() {
        for (ns, want) in [
            (1, 1),
            (3, 5),
            (6, 10),
            (1234, 2000),
            (5_000_000, 5_000_000),
        ] {
            assert_eq!(round_width(ns), want);
        }
    }
}
