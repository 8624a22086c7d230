//! Screen 8, the program's own face: its terminal, or the demo's source at the line that runs. Step: trace → **view**.

use crate::tui::app::computed::Computed;
use crate::tui::app::{App, Mode};
use crate::tui::theme;
use crate::tui::widget::bar;
use crate::tui::widget::boxes;
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text;
use ratatui::style::{Color, Modifier, Style};

/// Draws the screen: the program's own face, and below it which functions ran of late, where samples tell.
pub fn draw(pen: &mut Pen<'_>, app: &App) {
    let (w, h) = (pen.width(), pen.height());
    let typing = app.mode == Mode::Typing;
    let ran = match typing {
        true => Vec::new(),
        false => app.computed_lately(),
    };
    let below = match ran.is_empty() {
        true => 0,
        false => (ran.len() + 2).min(h / 3).max(3),
    };
    if below > 0 && h >= 14 {
        functions(&mut pen.part(0, h - below, w, below), &ran);
        return face(&mut pen.part(0, 0, w, h - below), app, typing);
    }
    face(pen, app, typing);
}

/// The functions that ran, those found most often first.
fn functions(pen: &mut Pen<'_>, ran: &[Computed]) {
    let (w, h) = (pen.width(), pen.height());
    boxes::outline(pen, theme::quiet());
    let all: u64 = ran.iter().map(|c| c.samples).sum();
    let title = format!(
        "which function computed in the last second: {}",
        text::plural(all, "sample")
    );
    boxes::title(pen, 1, 0, w - 2, &title, theme::strong());
    for (row, one) in ran.iter().take(h.saturating_sub(2)).enumerate() {
        let part = one.samples as f64 / all.max(1) as f64;
        let bar = bar::share(part, BAR);
        let x = pen.put(
            1,
            1 + row,
            &format!(" {:3.0} % ", part * 100.0),
            theme::plain(),
        );
        pen.put(x, 1 + row, &bar, theme::running());
        let (name, callers) = one
            .calls
            .split_first()
            .map_or(("", &[][..]), |(n, c)| (n.as_str(), c));
        let x = pen.put(
            x + BAR + 1,
            1 + row,
            &text::cut(name, w / 2),
            theme::strong(),
        );
        if !callers.is_empty() {
            let told = format!("  called by {}", callers.join(", "));
            pen.put(
                x,
                1 + row,
                &text::cut(&told, (w - 2).saturating_sub(x)),
                theme::quiet(),
            );
        }
    }
}

/// Cells of a function's bar.
const BAR: usize = 12;

fn face(pen: &mut Pen<'_>, app: &App, typing: bool) {
    let (w, h) = (pen.width(), pen.height());
    boxes::outline(
        pen,
        if typing {
            theme::strong()
        } else {
            theme::quiet()
        },
    );
    let own = app
        .live
        .as_ref()
        .and_then(|l| l.control.pty())
        .filter(|_| app.player.at_end());
    if let Some(pty) = own {
        let live = app.live.as_ref();
        let ended = live.and_then(|l| crate::tui::run::child_state(&l.control));
        let title = match (typing, ended) {
            (_, Some(ended)) => format!("the program's terminal: it has {ended}"),
            (true, _) => "the program's terminal: it has the keys, F12 takes them back".to_owned(),
            _ => "the program's terminal: Enter types to it".to_owned(),
        };
        boxes::title(pen, 1, 0, w - 2, &title, theme::strong());
        let mut inside = pen.part(1, 1, w - 2, h.saturating_sub(2));
        pty.with_screen(|screen| terminal(&mut inside, screen, typing));
        return;
    }
    let carried = app.source.is_some();
    match (app.source(), app.output.screen()) {
        // Where both do not fit, what the program wrote is what only the recording knows.
        (Some((shown, at)), screen) if carried || screen.is_none() || w >= 120 => {
            let split = screen.is_some() && w >= 120;
            let source_w = if split { w / 2 } else { w };
            let mut title = crate::text::visible(&shown.name).into_owned();
            if shown.changed {
                title.push_str(" (changed since the recording)");
            }
            boxes::title(pen, 1, 0, source_w - 2, &title, theme::strong());
            source(
                &mut pen.part(1, 1, source_w - 2, h.saturating_sub(2)),
                &shown.lines,
                at,
            );
            if let (true, Some(screen)) = (split, screen) {
                boxes::down(pen, source_w - 1, 0, h - 1, theme::quiet());
                boxes::title(
                    pen,
                    source_w,
                    0,
                    w - source_w - 1,
                    "its terminal",
                    theme::strong(),
                );
                terminal(
                    &mut pen.part(source_w, 1, w - source_w - 1, h.saturating_sub(2)),
                    screen,
                    false,
                );
            }
        }
        (_, Some(screen)) => {
            boxes::title(
                pen,
                1,
                0,
                w - 2,
                "the program's terminal, as recorded",
                theme::strong(),
            );
            terminal(
                &mut pen.part(1, 1, w - 2, h.saturating_sub(2)),
                screen,
                false,
            );
        }
        (_, None) => {
            boxes::title(pen, 1, 0, w - 2, "code", theme::strong());
            let told = "This recording holds neither the program's output nor its source, and no line is known here. \
                        `loopscope run` records the output; a program built with -g, its source at hand, is shown at \
                        the line that runs.";
            for (y, line) in text::wrap(told, w - 4).iter().enumerate() {
                pen.put(2, 2 + y, line, theme::quiet());
            }
        }
    }
}

fn source(pen: &mut Pen<'_>, lines: &[String], at: Option<usize>) {
    let (w, h) = (pen.width(), pen.height());
    let first = at
        .map_or(0, |l| l.saturating_sub(1 + h / 2))
        .min(lines.len().saturating_sub(h));
    for (y, line) in lines.iter().skip(first).take(h).enumerate() {
        let number = first + y + 1;
        let here = at == Some(number);
        if here {
            pen.paint(0, y, w, theme::chosen());
        }
        let sign = if here { theme::GO } else { ' ' };
        let style = if here {
            theme::chosen()
        } else {
            theme::plain()
        };
        let x = pen.put(
            0,
            y,
            &format!("{sign}{} ", text::right(&number.to_string(), 4)),
            if here { style } else { theme::quiet() },
        );
        let comment = line.trim_start().starts_with("//");
        let shown = crate::text::visible(line).replace("\\t", "    ");
        pen.put(
            x,
            y,
            &shown,
            if comment && !here {
                theme::quiet()
            } else {
                style
            },
        );
    }
    if at.is_none() && h > 0 {
        pen.put_right(h - 1, " no line of this file runs now", theme::quiet());
    }
}

fn colour(c: vt100::Color) -> Color {
    match c {
        vt100::Color::Default => Color::Reset,
        vt100::Color::Idx(n) => Color::Indexed(n),
        vt100::Color::Rgb(r, g, b) => Color::Rgb(r, g, b),
    }
}

/// Draws another terminal's screen into this one: its last lines and first columns if it is larger.
fn terminal(pen: &mut Pen<'_>, screen: &vt100::Screen, focused: bool) {
    let (rows, cols) = screen.size();
    let (rows, cols) = (usize::from(rows.get()), usize::from(cols.get()));
    let (cursor_row, cursor_col) = screen.cursor_position();
    let h = pen.height();
    let first = (usize::from(cursor_row) + 1)
        .saturating_sub(h)
        .min(rows.saturating_sub(h));
    for y in 0..h.min(rows - first.min(rows)) {
        for x in 0..pen.width().min(cols) {
            let Some(cell) = screen.cell((first + y) as u16, x as u16) else {
                continue;
            };
            if cell.is_wide_continuation() {
                continue;
            }
            let mut style = Style::new()
                .fg(colour(cell.fgcolor()))
                .bg(colour(cell.bgcolor()));
            for (on, modifier) in [
                (cell.bold(), Modifier::BOLD),
                (cell.italic(), Modifier::ITALIC),
                (cell.underline(), Modifier::UNDERLINED),
                (cell.inverse(), Modifier::REVERSED),
            ] {
                if on {
                    style = style.add_modifier(modifier);
                }
            }
            match cell.contents() {
                "" => pen.glyph(x, y, ' ', style),
                text => {
                    pen.put(x, y, &crate::text::visible(text), style);
                }
            }
        }
    }
    if focused && !screen.hide_cursor() && usize::from(cursor_row) >= first {
        let (x, y) = (usize::from(cursor_col), usize::from(cursor_row) - first);
        let under = pen.at(x, y).chars().next().unwrap_or(' ');
        pen.glyph(x, y, under, theme::chosen());
    }
}
