//! Screen 6, findings: what is wrong, the worst first, with its title before its code; below, who did it, who waited and what
//! cures it. Step: findings → **view**.

use crate::findings::{Found, Severity};
use crate::text::visible;
use crate::tui::app::App;
use crate::tui::theme;
use crate::tui::view::{instant, legend, timeline};
use crate::tui::widget::boxes;
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::{self, count, plural, time};
use ratatui::style::Style;

/// Draws the screen.
pub fn draw(pen: &mut Pen<'_>, app: &App) {
    let (w, h) = (pen.width(), pen.height());
    boxes::outline(pen, theme::quiet());
    let Some(outcome) = app.player.found() else {
        let part = app.player.searched() * 100.0;
        let title = format!("looking through the recording: {part:.0} %");
        return boxes::title(pen, 1, 0, w - 2, &title, theme::strong());
    };
    let all = &outcome.found;
    // Wherever the cursor stands.
    let all_of_it = match app.is_live() {
        true => "so far",
        false => "in the whole recording",
    };
    let title = match all.len() {
        0 => format!(
            "nothing found {all_of_it}; {} were looked for",
            outcome.checked.len()
        ),
        n => format!(
            "{} {all_of_it}; {} were looked for",
            plural(n as u64, "finding"),
            outcome.checked.len()
        ),
    };
    boxes::title(pen, 1, 0, w - 2, &title, theme::strong());
    if all.is_empty() {
        let said =
            "Silence is the rule: a finding has a cause, evidence and a cure, or it is none.";
        for (row, line) in text::wrap(said, w - 4).iter().enumerate() {
            pen.put(2, 2 + row, line, theme::quiet());
        }
        return;
    }
    let chosen = app.finding.min(all.len() - 1);
    // The list has a third of the screen, and less where there is less to list.
    let rows = all.len().min((h / 3).max(3));
    let first = chosen.saturating_sub(rows - 1);
    for (row, (at, found)) in all.iter().enumerate().skip(first).take(rows).enumerate() {
        let which = which(found, all);
        one(
            &mut pen.part(1, 1 + row, w - 2, 1),
            found,
            &which,
            at == chosen,
        );
    }
    boxes::across(pen, rows + 1, theme::quiet());
    let used = details(
        &mut pen.part(2, rows + 2, w - 4, h.saturating_sub(rows + 3)),
        &all[chosen],
        &app.with_places(all[chosen].process, &all[chosen].summary),
        &app.meanwhile(chosen).unwrap_or_default(),
    );
    let top = rows + 2 + used;
    if app.pictures_finding() && top + LEAST <= h {
        picture(pen, app, &all[chosen], top);
    }
}

/// Rows of a picture with two lanes: its title, ruler, frame, who runs, what the glyphs mean, and the box's end.
const LEAST: usize = 10;

/// Draws its worst time as the timeline does, from this row on.
fn picture(pen: &mut Pen<'_>, app: &App, f: &Found, top: usize) {
    let (w, h) = (pen.width(), pen.height());
    boxes::across(pen, top, theme::quiet());
    let when = match f.worst_ns {
        0 => "one time of it",
        _ => "its worst time",
    };
    let title = format!("▼ {when}, at {} (Enter goes there)", instant(f.at_ns));
    boxes::title(pen, 1, top, w - 2, &title, theme::strong());
    let room = h.saturating_sub(top + 2);
    let most = room.saturating_sub(LEAST - 4).max(1);
    let mut part = pen.part(0, top + 1, w, room);
    let (used, _, arrows) = timeline::chart(&mut part, app, 0, most, false);
    // Lanes begin where the box does.
    boxes::down(pen, 0, top, top + used, theme::quiet());
    let Some(window) = app.player.window() else {
        return;
    };
    if let Some(col) = window.painted().col(f.at_ns) {
        pen.glyph(timeline::label(w) + 1 + col, top + 2, '▼', theme::odd());
    }
    let summed = window.is_summary();
    let mut part = pen.part(2, top + 1 + used, w - 4, 2);
    let unknown = ("?", "events lost");
    legend::draw(&mut part, summed, app.infers(), unknown, &arrows);
}

fn style(severity: Severity) -> Style {
    match severity {
        Severity::Error => theme::alarm(),
        Severity::Warning => theme::odd(),
        Severity::Info => theme::quiet(),
    }
}

/// What tells a finding from others of its kind, where there are any.
fn which(f: &Found, all: &[Found]) -> String {
    let others = || {
        all.iter()
            .filter(|o| o.code == f.code && !std::ptr::eq(*o, f))
    };
    if others().next().is_none() {
        return String::new();
    }
    match f.fd >= 0 && others().all(|o| o.fd != f.fd) {
        true => format!(", fd {}", f.fd),
        false => format!(", first at {}", instant(f.first_ns)),
    }
}

fn one(pen: &mut Pen<'_>, f: &Found, which: &str, chosen: bool) {
    let w = pen.width();
    if chosen {
        pen.paint(0, 0, w, theme::chosen());
    }
    let of = |style: Style| match chosen {
        true => theme::chosen(),
        false => style,
    };
    let times = format!("{} x", count(f.count));
    let worst = match f.worst_ns {
        0 => String::new(),
        ns => format!("  worst {}", time(ns)),
    };
    let right = format!("{times}{worst} ");
    let room = w.saturating_sub(text::width(&right) + 12);
    let mark = match f.severity {
        Severity::Info => " ",
        _ => "!",
    };
    // Below, the code stands by itself.
    let both = format!("{} ({}){which}", f.code.title(), f.code);
    let title = match text::width(&both) <= room {
        true => both,
        false => {
            let room = room.saturating_sub(text::width(which));
            text::cut(f.code.title(), room) + which
        }
    };
    let x = pen.put(1, 0, mark, of(style(f.severity)));
    let x = pen.put(
        x + 1,
        0,
        &text::left(f.severity.name(), 8),
        of(style(f.severity)),
    );
    pen.put(x, 0, &title, of(theme::plain()));
    pen.put_right(0, &right, of(theme::plain()));
}

/// Draws all that is known of it in words; returns the row after them.
fn details(pen: &mut Pen<'_>, f: &Found, summary: &str, meanwhile: &str) -> usize {
    let (w, h) = (pen.width(), pen.height());
    let mut lines: Vec<(String, Style)> = Vec::new();
    let mut paragraph = |text: &str, style: Style| {
        if !text.is_empty() {
            let between = (!lines.is_empty()).then(|| (String::new(), style));
            lines.extend(between);
            lines.extend(text::wrap(text, w).into_iter().map(|line| (line, style)));
        }
    };
    paragraph(&visible(&format!("{summary}{meanwhile}")), theme::plain());
    paragraph(&format!("Cure: {}", f.advice), theme::good());
    let effects: Vec<&str> = f.effects.iter().map(|c| c.name()).collect();
    let causes = match effects.is_empty() {
        true => String::new(),
        false => format!("; causes {}", effects.join(", ")),
    };
    paragraph(
        &format!(
            "{}, {}{causes}; first at {}, last at {}",
            f.code,
            f.confidence.name(),
            instant(f.first_ns),
            instant(f.last_ns)
        ),
        theme::quiet(),
    );
    let shown: Vec<String> = (f.evidence.iter())
        .map(|e| format!("event {} at {}", count(e.event), instant(e.at_ns)))
        .collect();
    paragraph(&shown.join(", "), theme::quiet());
    // Where the screen ends before they do, that is to be seen.
    let told = lines.iter().map(|line| line.0.clone()).collect();
    let told = text::first_lines(told, w, h);
    for (y, (line, (_, style))) in told.iter().zip(&lines).enumerate() {
        pen.put(0, y, line, *style);
    }
    told.len() + 1
}
