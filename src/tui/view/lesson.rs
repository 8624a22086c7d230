//! The caption of a lesson's step, under the screen: what to see, what is asked, and the answer. Step: model → **view**.
//!
//! ```text
//! ├ 2 of 4: Asleep in one read ──────────────────────── PgDn ┤
//!  The thread sleeps in a read of ann's connection. It asks for
//!  one descriptor, and the kernel will wake it for that one only.
//!  bob has sent a line. When is it read?
//!   1  at once            2  when ann speaks again
//! ```

use ratatui::style::Style;

use crate::text::visible;
use crate::tui::app::App;
use crate::tui::app::lesson::Lecture;
use crate::tui::message::View;
use crate::tui::theme;
use crate::tui::widget::boxes;
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text;

/// Rows the screen above keeps, where the terminal is large enough for both.
const SCREEN: usize = 13;

/// Rows of the Loop screen that has only its lists.
const LISTS: usize = 7;

/// How many rows of the body the screen above has, when the caption has the rest.
pub fn screen_rows(app: &App, width: usize, rows: usize) -> usize {
    let panel = app.lecture.as_ref().map_or(0, |l| lines(l, width).len());
    match panel {
        0 => rows,
        // On a small terminal the caption covers what is lowest on the screen; the lists alone fit above it.
        _ => {
            let lists = app.stage && app.view == View::Loop;
            let least = if lists { LISTS } else { SCREEN };
            rows.saturating_sub(panel + 1).max(least.min(rows))
        }
    }
}

/// A caption is shown.
pub fn is_shown(app: &App) -> bool {
    app.lecture.as_ref().is_some_and(|l| l.at.is_some())
}

/// What it is about, in the place of the screens' names, for a projector.
pub fn headline(pen: &mut Pen<'_>, app: &App) {
    let title = app.lecture.as_ref().map(|l| visible(&l.lesson.title));
    let screen = app.view.name().to_uppercase();
    let told = match title {
        Some(title) => format!("{title}  ({screen})"),
        None => screen,
    };
    let told = text::cut(&told, pen.width());
    let x = (pen.width() - text::width(&told)) / 2;
    pen.put(x, 0, &told, theme::strong());
}

/// Draws the caption over the lowest rows of the body.
pub fn draw(pen: &mut Pen<'_>, app: &App) {
    let Some(lecture) = &app.lecture else { return };
    let (w, h) = (pen.width(), pen.height());
    let lines = lines(lecture, w);
    let Some(at) = lecture.at.filter(|_| !lines.is_empty()) else {
        return;
    };
    let rows = (lines.len() + 1).min(h);
    let mut pen = pen.part(0, h - rows, w, rows);
    pen.clear();
    boxes::across(&mut pen, 0, theme::strong());
    let title = lecture.step().map_or("", |step| &step.title);
    let title = format!(
        "{} of {}: {}",
        at + 1,
        lecture.lesson.steps.len(),
        visible(title)
    );
    let keys = match lecture.open() {
        0 => "PgDn goes on".to_owned(),
        n => format!("1-{n} or PgDn"),
    };
    let room = w.saturating_sub(text::width(&keys) + 6);
    boxes::title(&mut pen, 1, 0, room, &title, theme::strong());
    let x = w.saturating_sub(text::width(&keys) + 3);
    boxes::title(&mut pen, x, 0, w - x, &keys, theme::key());
    for (y, (line, style)) in lines.iter().enumerate() {
        pen.put(1, y + 1, line, *style);
    }
}

/// The caption's lines at this width; none while no step is shown.
pub fn lines(lecture: &Lecture, width: usize) -> Vec<(String, Style)> {
    let Some(step) = lecture.step() else {
        return Vec::new();
    };
    let cells = width.saturating_sub(2);
    let mut out = Vec::new();
    let mut put = |said: &str, indent: usize, style: Style| {
        let said = visible(said);
        let wrapped = text::wrap(&said, cells.saturating_sub(indent));
        for (i, line) in wrapped.into_iter().enumerate() {
            let room = if i == 0 { 0 } else { indent };
            out.push((format!("{:room$}{line}", ""), style));
        }
    };
    if lecture.waits {
        put(
            "This moment has not come yet; the program runs, and the screen stops when it does.",
            0,
            theme::plain(),
        );
        return out;
    }
    let asked = step.question.as_ref();
    if asked.is_none_or(|_| !lecture.revealed) {
        put(&step.caption, 0, theme::plain());
    }
    if let Some(question) = asked {
        put(&question.text, 0, theme::strong());
        match lecture.revealed {
            false => {
                for (i, choice) in question.choices.iter().enumerate() {
                    put(&format!(" {}  {choice}", i + 1), 4, theme::plain());
                }
            }
            true => {
                let right = question
                    .choices
                    .get(question.right)
                    .map_or("", String::as_str);
                let verdict = match lecture.chosen {
                    Some(chosen) if chosen == question.right => "Right: ",
                    Some(_) => "No, it is ",
                    None => "It is ",
                };
                put(
                    &format!("{verdict}{}, {right}.", question.right + 1),
                    0,
                    theme::good(),
                );
                put(&question.why, 0, theme::plain());
            }
        }
    }
    out
}
