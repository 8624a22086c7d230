//! The screens: free functions of `(pen, &App)`, one screen a file, the frame around them here. Views format what the
//! model knows; they compute no statistics. Step: model → **view**.
//!
//! ```text
//! header   greedy-fd broken  REPLAY ► 1:100  0.0940 of 5 s  loop 1/1  lost 0  cost 0.4%
//! tabs     1 LOOP  2 Timeline  3 Fairness  4 Latency  5 Fd  6 Findings  7 Events  8 Code
//! …        the screen
//! footer   Space play  ←→ event  Shift ←→ turn  b blame  i what is this  ? keys
//! ```

mod asleep;
pub mod behalf;
pub mod beside;
mod blame;
pub mod code;
pub mod detail;
pub mod events;
pub mod explain;
pub mod fairness;
pub mod fd;
pub mod findings;
mod heights;
pub mod kernel;
pub mod knobs;
pub mod lane;
pub mod lanes;
pub mod latency;
pub mod legend;
pub mod lesson;
pub mod marks;
pub mod moment;
pub mod palette;
pub mod popup;
pub mod program;
pub mod ruler;
pub mod spent;
pub mod states;
pub mod story;
pub mod strip;
pub mod theatre;
pub mod timeline;
pub mod unheard;
pub mod which;

use super::app::{App, Mode, Popup, SPEEDS};
use super::filter::Filter;
use super::keymap;
use super::message::{Ask, Pace, View};
use super::theme::{self, ABSENT, GO};
use super::widget::pen::Pen;
use super::widget::text::{self, count, time};
use crate::model::Id;
use ratatui::buffer::Buffer;

/// The smallest terminal a screen fits in.
pub const SMALLEST: (u16, u16) = (60, 16);

/// Draws the app over the whole buffer.
pub fn draw(app: &App, buffer: &mut Buffer) {
    let area = buffer.area;
    let mut pen = Pen::new(buffer, area);
    pen.clear();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        too_small(&mut pen);
    } else {
        let (w, h) = (pen.width(), pen.height());
        header(&mut pen.part(0, 0, w, 1), app);
        match app.stage {
            true => lesson::headline(&mut pen.part(0, 1, w, 1), app),
            false => tabs(&mut pen.part(0, 1, w, 1), app),
        }
        // The knobs stand where the caption was as long as they are open.
        let rows = match app.mode {
            Mode::Knobs => knobs::screen_rows(app, h - 3),
            _ => lesson::screen_rows(app, w, h - 3),
        };
        let mut body = pen.part(0, 2, w, rows);
        match app.view {
            View::Loop => theatre::draw(&mut body, app),
            View::Timeline => timeline::draw(&mut body, app),
            View::Fairness => fairness::draw(&mut body, app),
            View::Latency => latency::draw(&mut body, app),
            View::Fd => fd::draw(&mut body, app),
            View::Findings => findings::draw(&mut body, app),
            View::Events => events::draw(&mut body, app),
            View::Code => code::draw(&mut body, app),
        }
        match app.mode {
            Mode::Knobs => knobs::draw(&mut pen.part(0, 2, w, h - 3), app),
            _ => lesson::draw(&mut pen.part(0, 2, w, h - 3), app),
        }
        footer(&mut pen.part(0, h - 1, w, 1), app);
        let mut body = pen.part(0, 2, w, h - 3);
        match app.mode {
            Mode::Popup(Popup::Help) => popup::help(&mut body, app),
            Mode::Popup(Popup::Explain) => explain::draw(&mut body, app),
            Mode::Popup(Popup::Blame) => blame::draw(&mut body, app),
            Mode::Asking(Ask::Palette) => palette::draw(&mut body, app),
            Mode::Leaving => popup::leaving(&mut body, app),
            Mode::Asking(Ask::Save) => popup::save(&mut body, app),
            _ => {}
        }
    }
    match app.stage {
        true => app.look.finish_for_projector(buffer),
        false => app.look.finish(buffer),
    }
}

fn too_small(pen: &mut Pen<'_>) {
    let (w, h) = (pen.width(), pen.height());
    let middle = (h / 2).saturating_sub(1);
    for (row, line) in [
        format!("too small: {w}x{h}"),
        format!("need {}x{}", SMALLEST.0, SMALLEST.1),
        "resize, or q quits".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let x = w.saturating_sub(text::width(line)) / 2;
        pen.put(x, middle + row, line, theme::strong());
    }
}

/// An instant in seconds, with as many decimals as the screen needs to tell neighbours apart.
pub fn instant(ns: u64) -> String {
    let (s, rest) = (ns / 1_000_000_000, ns % 1_000_000_000);
    match s {
        0..100 => format!("{s}.{:06}", rest / 1_000),
        100..10_000 => format!("{s}.{:03}", rest / 1_000_000),
        _ => format!("{s}"),
    }
}

/// A speed as `1:100`: recorded against shown.
pub fn speed(at: usize) -> String {
    let (recorded, shown) = SPEEDS[at];
    format!("{recorded}:{}", count(shown))
}

/// Nanoseconds behind the end that are worth a word.
const BEHIND: u64 = 1_000_000_000;

fn header(pen: &mut Pen<'_>, app: &App) {
    let w = pen.width();
    pen.paint(0, 0, w, theme::chosen());
    let state = if app.held.is_some() {
        "LIVE held".to_owned()
    } else if app.following && app.is_over() {
        "ENDED".to_owned()
    } else if app.following && app.is_live() {
        format!("LIVE {GO}")
    } else if app.is_live() {
        "LIVE frozen".to_owned()
    } else if app.playing {
        format!("REPLAY {GO}")
    } else {
        "REPLAY".to_owned()
    };
    let mut speed = speed(app.speed);
    if app.pace != Pace::Clock {
        speed = format!("{speed} {}", app.pace.name());
    }
    let place = match app.player.progress() {
        Some(part) => format!("going there {:.0}%, Esc stops", part * 100.0),
        // Who follows stands at the end: one figure tells both.
        None if w < 76 || (app.following && app.is_live()) => instant(app.t()),
        None => format!("{} of {}", instant(app.t()), time(app.longest())),
    };
    let mut place = place;
    // No figure on any screen has what was left out: where there is room for one of them, this is it.
    let left_out = app.player.left_out();
    if let Some(part) = left_out {
        let told = format!("{} left out", theatre::percent(part));
        place = match w {
            ..76 => told,
            _ => format!("{place}  {told}"),
        };
    }
    // Who follows and is not at the end says so.
    let behind = app.player.duration().saturating_sub(app.t());
    let room = w >= 90 || w >= 76 && left_out.is_none();
    if app.following && app.is_live() && !app.player.at_end() && behind >= BEHIND && room {
        place.push_str(&format!("  {} behind", time(behind)));
    }
    let lost = app.model().lost();
    let cost = match app.cost {
        Some(cost) => cost.text(w >= 110),
        None => format!("cost {ABSENT}"),
    };
    let mut right = String::new();
    if app.loops() > 1 || w >= 90 {
        right = match app.loops() {
            0 => format!("loop {ABSENT}  "),
            n => format!("loop {}/{n}  ", app.loop_id + 1),
        };
    }
    if app.filter.is_some() {
        right = format!("filter {}  {right}", Filter::MARK);
    }
    if app.model().late() > 0 && w >= 100 {
        right.push_str(&format!("late {}  ", count(app.model().late())));
    }
    if let Some(share) = (app.model().steal().share(app.t())).filter(|s| *s >= TOLD_STOLEN)
        && w >= 100
    {
        right.push_str(&format!("stolen {:.1}%  ", share * 100.0));
    }
    let lost_text = format!("lost {}", count(lost));
    let tail = format!("{right}{lost_text}  {cost} ");
    let mut middle = match app.is_live() && app.following {
        true => format!("{state}  {place}"),
        false => format!("{state} {speed}  {place}"),
    };
    // A recording that names itself goes by that name, any other by its file's.
    let own = crate::text::visible(&app.player.reader().meta().title);
    let file = app.options.name.rsplit('/').next().unwrap_or_default();
    let title = if own.is_empty() { file } else { &own };
    let room = |middle: &str| w.saturating_sub(text::width(middle) + text::width(&tail) + 4);
    // Several events may share an instant: the number tells where between them the cursor stands.
    if !(app.following && app.is_live()) {
        let number = app.player.next().checked_sub(1);
        let number = number.map_or(ABSENT.to_string(), count);
        let numbered = format!("{middle} #{number}");
        if room(&numbered) >= text::width(title) {
            middle = numbered;
        }
    }
    let title = text::cut(title, room(&middle).max(8));
    let style = theme::chosen();
    let x = pen.put(0, 0, &format!(" {title}  {middle}"), style);
    let at = w.saturating_sub(text::width(&tail)).max(x + 1);
    let before = pen.put(at, 0, &right, style);
    let loss = if lost > 0 {
        theme::alarm().patch(style)
    } else {
        style
    };
    let x = pen.put(before, 0, &lost_text, loss);
    pen.put(x, 0, &format!("  {cost} "), style);
}

/// The hypervisor's part of the CPUs' time, from which on the header has it.
const TOLD_STOLEN: f64 = 0.001;

/// Letters of a screen's name on a narrow terminal.
const SHORT_NAME: usize = 4;

fn tabs(pen: &mut Pen<'_>, app: &App) {
    let mut x = 1;
    // Where there is no room for all names, each has as much of it as the others.
    let all: usize = View::ALL.iter().map(|(v, _)| v.name().len() + 4).sum();
    let (most, gap) = match all > pen.width() {
        true => (SHORT_NAME, 1),
        false => (usize::MAX, 2),
    };
    for (view, digit) in View::ALL {
        let name: String = view.name().chars().take(most).collect();
        if view == app.view {
            let text = format!(" {digit} {} ", name.to_uppercase());
            x = pen.put(x - 1, 0, &text, theme::chosen().patch(theme::strong())) + gap - 1;
        } else {
            let mut chars = name.chars();
            let first = chars.next().map(|c| c.to_ascii_uppercase());
            let name: String = first.into_iter().chain(chars).collect();
            x = pen.puts(
                x,
                0,
                &[
                    (&format!("{digit} "), theme::quiet()),
                    (&name, theme::plain()),
                ],
            ) + gap;
        }
    }
    let room = pen.width().saturating_sub(x + 1);
    let words = which::words(app, app.loop_id);
    if let Some(fits) = words.iter().find(|l| text::width(l) <= room) {
        let x = pen.width() - text::width(fits) - 1;
        pen.put(x, 0, fits, theme::quiet());
    }
}

fn footer(pen: &mut Pen<'_>, app: &App) {
    let w = pen.width();
    match app.mode {
        Mode::Asking(ask @ (Ask::Filter | Ask::Time)) => return prompt(pen, app, ask),
        Mode::Typing => {
            let line = " keys go to the program   F12 takes them back";
            pen.put(0, 0, line, theme::chosen());
            return;
        }
        Mode::Popup(_) => {
            pen.put(1, 0, "↑↓ scroll  Esc back", theme::plain());
            return;
        }
        _ => {}
    }
    if let Some((from, to)) = app.selected() {
        let cells = app.window_key();
        let (arrows, cell) = match app.view {
            View::Latency => ("↑↓", "row"),
            _ => ("←→", "cell"),
        };
        let line = match w {
            _ if from == to => {
                format!("{arrows} selects {cell} by {cell}, Enter zooms to it, Esc ends it")
            }
            0..76 => format!("selected {}: Enter zooms, Esc ends it", time(to - from)),
            _ => format!(
                "selected {}: {arrows} moves its end by {}, Enter zooms to it, Esc ends it",
                time(to - from),
                time(cells.width)
            ),
        };
        pen.put(1, 0, &text::cut(&line, w - 2), theme::strong());
        return;
    }
    if let Some(note) = &app.note {
        pen.put(1, 0, note, theme::strong());
        return;
    }
    // Stands there until it can: else a full disk would look like a program that does nothing.
    if let Some(why) = app.live.as_ref().and_then(|live| live.control.failing()) {
        let why = crate::text::visible(&why);
        pen.put(1, 0, &format!("! NOT RECORDED: {why}"), theme::alarm());
        return;
    }
    let mut x = 1;
    // `? keys` always stands at the end.
    let last = "? keys";
    let room = w.saturating_sub(text::width(last) + 2);
    for action in keymap::footer(app).into_iter().filter(|a| a.keys != "?") {
        let keys = action.keys.replace("← →", "←→").replace("↑ ↓", "↑↓");
        let short = if action.keys == "Space" && (app.playing || app.following) {
            "freeze"
        } else {
            action.short
        };
        let needs = text::width(&keys) + 1 + text::width(short);
        if x + needs > room {
            continue;
        }
        x = pen.puts(
            x,
            0,
            &[
                (&keys, theme::key()),
                (" ", theme::plain()),
                (short, theme::plain()),
            ],
        ) + 2;
    }
    pen.puts(
        w - text::width(last) - 1,
        0,
        &[("?", theme::key()), (" keys", theme::plain())],
    );
}

fn prompt(pen: &mut Pen<'_>, app: &App, ask: Ask) {
    let label = match ask {
        Ask::Filter => "filter: ",
        _ => "to: ",
    };
    let x = pen.put(1, 0, label, theme::strong());
    let value = crate::text::visible(app.input.value());
    let style = match (&app.wrong, ask) {
        (Some(_), _) => theme::alarm(),
        (None, Ask::Filter) => theme::good(),
        _ => theme::plain(),
    };
    let end = pen.put(x, 0, &value, style);
    let at = x + app.input.visual_cursor();
    let under = pen.at(at, 0).to_owned();
    pen.glyph(at, 0, under.chars().next().unwrap_or(' '), theme::chosen());
    let hint = match &app.wrong {
        Some((why, column)) => format!("column {}: {why}", column + 1),
        None if ask == Ask::Filter && !value.is_empty() => "ok, Enter sets it".to_owned(),
        None if ask == Ask::Filter => "queue > 5ms && fd == 7".to_owned(),
        None => crate::when::FORMS.to_owned(),
    };
    let style = if app.wrong.is_some() {
        theme::alarm()
    } else {
        theme::quiet()
    };
    pen.put(end + 3, 0, &hint, style);
}

/// The fds in the order of the screen's rows, for choosing one.
pub fn rows(app: &App) -> Vec<Id> {
    match app.view {
        View::Fairness | View::Fd => fairness::sorted(app).iter().map(|r| r.id).collect(),
        View::Timeline => lanes::there(app).iter().map(|r| r.id).collect(),
        _ => kernel::shown(app).iter().map(|r| r.id).collect(),
    }
}
