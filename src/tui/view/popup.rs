//! Boxes over a screen: a scrolling text, the help, the questions on leaving. Step: model → **view**.

use crate::tui::app::App;
use crate::tui::keymap;
use crate::tui::theme;
use crate::tui::widget::boxes;
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text;

/// A centred empty box of this inner size; its inside.
pub fn frame<'a>(pen: &'a mut Pen<'_>, cols: usize, rows: usize, title: &str) -> Pen<'a> {
    let (w, h) = (pen.width(), pen.height());
    let (cols, rows) = ((cols + 4).min(w), (rows + 2).min(h));
    let (x, y) = ((w - cols) / 2, (h - rows) / 2);
    let mut outer = pen.part(x, y, cols, rows);
    outer.clear();
    boxes::outline(&mut outer, theme::strong());
    boxes::title(
        &mut outer,
        1,
        0,
        cols.saturating_sub(2),
        title,
        theme::strong(),
    );
    pen.part(x + 2, y + 1, cols.saturating_sub(4), rows.saturating_sub(2))
}

/// A box with text that scrolls.
pub fn text(pen: &mut Pen<'_>, app: &App, title: &str, lines: &[String]) {
    let room = pen.width().saturating_sub(4).min(96);
    let wrapped: Vec<String> = lines.iter().flat_map(|l| text::wrap(l, room)).collect();
    let widest = wrapped.iter().map(|l| text::width(l)).max().unwrap_or(0);
    let rows = wrapped.len().min(pen.height().saturating_sub(2));
    let first = app.scroll.min(wrapped.len().saturating_sub(rows));
    let title = match wrapped.len() > rows {
        true => format!(
            "{title} · lines {}-{} of {}",
            first + 1,
            first + rows,
            wrapped.len()
        ),
        false => title.to_owned(),
    };
    let widest = widest.max(text::width(&title) + 2);
    let mut inside = frame(pen, widest, rows, &title);
    for (y, line) in wrapped.iter().skip(first).take(rows).enumerate() {
        inside.put(0, y, line, theme::plain());
    }
}

/// What the header's figures mean.
const FIRST_LINE: [(&str, &str); 4] = [
    ("1:100", "speed: 1 s of the recording takes 100 s"),
    ("#41", "number of the last event that has happened"),
    ("lost 0", "events that found no room and were dropped"),
    (
        "cost 2+0.1%",
        "of one core: collector and this screen, plus the pushes inside the program",
    ),
];

/// All keys, from the action table.
pub fn help(pen: &mut Pen<'_>, app: &App) {
    // Keys stand in a column of their own, so each help text is wrapped beside it.
    let room = pen.width().saturating_sub(4);
    let mut lines = Vec::new();
    for (title, actions) in keymap::manual() {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(title.to_owned());
        for (keys, help) in actions {
            for (i, piece) in text::wrap(help, room.saturating_sub(14)).iter().enumerate() {
                let keys = if i == 0 { keys } else { "" };
                lines.push(format!("  {} {piece}", text::left(keys, 11)));
            }
        }
    }
    lines.push(String::new());
    lines.push("THE FIRST LINE".to_owned());
    for (what, means) in FIRST_LINE {
        for (i, piece) in text::wrap(means, room.saturating_sub(14))
            .iter()
            .enumerate()
        {
            let what = if i == 0 { what } else { "" };
            lines.push(format!("  {} {piece}", text::left(what, 11)));
        }
    }
    let rows = lines.len().min(pen.height().saturating_sub(2));
    let first = app.scroll.min(lines.len().saturating_sub(rows));
    let title = format!(
        "all keys · lines {}-{} of {}",
        first + 1,
        first + rows,
        lines.len()
    );
    let widest = lines.iter().map(|l| text::width(l)).max().unwrap_or(0);
    let mut inside = frame(pen, widest.min(room), rows, &title);
    for (y, line) in lines.iter().skip(first).take(rows).enumerate() {
        let heading = !line.starts_with(' ');
        inside.put(
            0,
            y,
            line,
            if heading {
                theme::strong()
            } else {
                theme::plain()
            },
        );
    }
}

/// The program still runs: what shall become of it?
pub fn leaving(pen: &mut Pen<'_>, _app: &App) {
    let mut inside = frame(pen, 46, 5, "the program still runs");
    for (y, (key, text)) in [
        ("l", "leave it running, without being recorded"),
        ("e", "end it (TERM; KILL after 2 s)"),
        ("c", "cancel: stay here"),
    ]
    .iter()
    .enumerate()
    {
        inside.puts(
            1,
            y + 1,
            &[
                (key, theme::key()),
                ("  ", theme::plain()),
                (text, theme::plain()),
            ],
        );
    }
}

/// The recording has no name: keep it?
pub fn save(pen: &mut Pen<'_>, app: &App) {
    let mut inside = frame(pen, 52, 5, "keep the recording?");
    inside.put(
        1,
        0,
        "It has no name and is gone when you leave.",
        theme::plain(),
    );
    let value = crate::text::visible(app.input.value());
    let x = inside.put(1, 2, "save as: ", theme::strong());
    let x = inside.put(x, 2, &value, theme::plain());
    inside.glyph(x, 2, ' ', theme::chosen());
    let hint = match &app.wrong {
        Some((why, _)) => why.clone(),
        None => "Enter saves; empty: do not keep it; Esc: stay".to_owned(),
    };
    let style = if app.wrong.is_some() {
        theme::alarm()
    } else {
        theme::quiet()
    };
    inside.put(1, 4, &hint, style);
}
