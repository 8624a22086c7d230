//! The palette: every action that can be done now, found by a few letters of its name. Step: none of the pipeline.

use super::popup;
use crate::tui::app::{App, Mode};
use crate::tui::keymap::{ACTIONS, Action};
use crate::tui::theme;
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text;
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

/// The actions that match what was typed, the best first.
pub fn matches(app: &App) -> Vec<&'static Action> {
    debug_assert!(matches!(app.mode, Mode::Asking(_)));
    let possible = ACTIONS.iter().filter(|a| (a.when)(app) && a.keys != ":");
    let typed = app.input.value();
    if typed.trim().is_empty() {
        return possible.collect();
    }
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut buffer = Vec::new();
    let mut scored: Vec<(u32, &Action)> = possible
        .filter_map(|a| {
            let name = format!("{} {}", a.short, a.help);
            let score = pattern.score(Utf32Str::new(&name, &mut buffer), &mut matcher)?;
            Some((score, a))
        })
        .collect();
    scored.sort_by_key(|s| std::cmp::Reverse(s.0));
    scored.into_iter().map(|s| s.1).collect()
}

/// Draws the box.
pub fn draw(pen: &mut Pen<'_>, app: &App) {
    let found = matches(app);
    let rows = (pen.height().saturating_sub(6)).min(14);
    let mut inside = popup::frame(
        pen,
        60,
        rows + 2,
        "palette: type a few letters, ↑↓ choose, Enter does it",
    );
    let value = crate::text::visible(app.input.value());
    let x = inside.put(0, 0, ": ", theme::strong());
    let x = inside.put(x, 0, &value, theme::plain());
    inside.glyph(x, 0, ' ', theme::chosen());
    let at = app.scroll.min(found.len().saturating_sub(1));
    let first = at.saturating_sub(rows.saturating_sub(1));
    for (y, action) in found.iter().skip(first).take(rows).enumerate() {
        let style = if first + y == at {
            theme::chosen()
        } else {
            theme::plain()
        };
        let w = inside.width();
        let line = format!(
            "{} {}",
            text::left(action.keys, 11),
            text::left(action.help, w.saturating_sub(12))
        );
        inside.put(0, y + 2, &line, style);
    }
    if found.is_empty() {
        inside.put(0, 2, "nothing of that name can be done now", theme::quiet());
    }
}
