//! When an action can be done, and how much it matters then. Step: none of the pipeline; input → message.

use crate::tui::app::App;
use crate::tui::message::View;

pub(super) fn always(_: &App) -> bool {
    true
}
pub(super) fn never(_: &App) -> u8 {
    0
}
pub(super) fn on_timeline(app: &App) -> bool {
    app.view == View::Timeline
}
pub(super) fn zooms(app: &App) -> bool {
    matches!(app.view, View::Timeline | View::Latency)
}
pub(super) fn has_rows(app: &App) -> bool {
    app.view != View::Code
}
pub(super) fn has_filter(app: &App) -> bool {
    app.filter.is_some()
}
pub(super) fn leads_on(app: &App) -> bool {
    has_filter(app) || !app.findings().is_empty()
}
pub(super) fn has_marks(app: &App) -> bool {
    use crate::tui::view::marks::{Lane, any};
    !app.marks.is_empty() || any(app, Lane::Spans) || any(app, Lane::Marks)
}
pub(super) fn has_table(app: &App) -> bool {
    matches!(app.view, View::Fairness | View::Fd)
}
pub(super) fn has_child(app: &App) -> bool {
    app.view == View::Code && app.takes_keys()
}
