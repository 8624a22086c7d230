//! What can be turned while a demo runs, under the screen that shows what comes of it. Step: model → **view**.
//!
//! ```text
//! ├ what you can turn ──────────────────────── ←→ turns  c closes ┤
//!  ► budget  1  4  16 [all]
//!    order  [kernel] round-robin  smallest first  priority
//!  budget: Chunks of 4 KiB that a handler reads in one run.
//! ```

use crate::text::visible;
use crate::tui::app::App;
use crate::tui::theme::{self, GO};
use crate::tui::widget::boxes;
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text;

/// Rows the screen above has to have beside all knobs; where it would have fewer, only the chosen one is shown.
const SCREEN: usize = 12;

/// The knobs that are shown on a body so high, by their places.
fn shown(app: &App, rows: usize) -> std::ops::Range<usize> {
    let (n, chosen) = (app.knobs.all.len(), app.knobs.chosen);
    match rows.saturating_sub(n + 2) < SCREEN {
        true => chosen..(chosen + 1).min(n),
        false => 0..n,
    }
}

/// How many rows of the body the screen above has while the knobs are open.
pub fn screen_rows(app: &App, rows: usize) -> usize {
    // Their line, one each, and what the chosen one is.
    rows.saturating_sub(shown(app, rows).len() + 2)
}

/// Draws them over the lowest rows of the body.
pub fn draw(pen: &mut Pen<'_>, app: &App) {
    let (w, h) = (pen.width(), pen.height());
    let shown = shown(app, h);
    let rows = h - screen_rows(app, h);
    let mut pen = pen.part(0, h - rows, w, rows);
    pen.clear();
    boxes::across(&mut pen, 0, theme::strong());
    let title = match app.knobs.all.len() {
        n if n == shown.len() => "what you can turn".to_owned(),
        n => format!("knob {} of {n}", shown.end),
    };
    boxes::title(&mut pen, 1, 0, w, &title, theme::strong());
    let keys = "↑↓ chooses  ←→ turns  c closes";
    let x = w.saturating_sub(text::width(keys) + 3);
    boxes::title(&mut pen, x, 0, w - x, keys, theme::key());
    let names = app.knobs.all.iter().map(|knob| text::width(&knob.name));
    let values = 4 + names.max().unwrap_or(0);
    let all = app.knobs.all.iter().zip(&app.knobs.at);
    let all = all.enumerate().skip(shown.start).take(shown.len());
    for (y, (place, (knob, at))) in all.enumerate() {
        let is_chosen = place == app.knobs.chosen;
        let style = if is_chosen {
            theme::strong()
        } else {
            theme::plain()
        };
        if is_chosen {
            pen.glyph(1, y + 1, GO, style);
        }
        pen.put(3, y + 1, &visible(&knob.name), style);
        let mut x = values;
        for (n, value) in knob.values.iter().enumerate() {
            // Brackets, not colour alone, tell where it stands.
            let (shown, style) = match n == *at {
                true => (format!("[{}]", visible(value)), theme::running()),
                false => (format!(" {} ", visible(value)), theme::plain()),
            };
            x = pen.put(x, y + 1, &shown, style);
        }
    }
    if let Some(knob) = app.knobs.all.get(app.knobs.chosen) {
        let about = format!("{}: {}", knob.name, knob.about);
        pen.put(1, rows - 1, &visible(&about), theme::plain());
    }
}
