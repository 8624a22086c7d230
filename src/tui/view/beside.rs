//! Two recordings on the timeline's clock, one above the other, each headed by its longest wait. Step: model → **view**.

use super::instant;
use super::legend;
use super::timeline;
use crate::tui::app::App;
use crate::tui::app::beside::Beside;
use crate::tui::names;
use crate::tui::theme;
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text;

/// Rows of a timeline that are no lanes: its heading, and what [`timeline::chart`] draws around them.
const FRAME: usize = 5;
/// Rows from which on there is one to spare for what the glyphs mean.
const ROOMY: usize = 22;
/// Lanes of each for a projector, at most.
const FEW: usize = 3;

/// Draws both.
pub fn draw(pen: &mut Pen<'_>, app: &App, beside: &Beside) {
    let (w, h) = (pen.width(), pen.height());
    let below = if h >= ROOMY { 2 } else { 0 };
    let half = (h - below) / 2;
    let both = match beside.above {
        true => [beside.app(), app],
        false => [app, beside.app()],
    };
    let mut arrows = String::new();
    for (row, one) in both.into_iter().enumerate() {
        let top = row * half;
        headline(&mut pen.part(0, top, w, 1), one);
        let most = if one.stage { FEW } else { usize::MAX };
        let lanes = half.saturating_sub(FRAME).clamp(1, most);
        let mut part = pen.part(0, top + 1, w, half - 1);
        // Heights have a scale of their own in each: side by side they would be compared.
        let (.., drawn) = timeline::chart(&mut part, one, 0, lanes, false);
        if arrows.is_empty() {
            arrows = drawn;
        }
        if one.player.duration() < app.t() {
            let told = format!(" over since {} ", instant(one.player.duration()));
            part.put(timeline::label(w) + 2, 1, &told, theme::chosen());
        }
    }
    if below > 0 {
        let summed = both.iter().any(|one| {
            let window = one.player.window();
            window.is_some_and(crate::tui::player::Window::is_summary)
        });
        let infers = both.iter().any(|one| one.infers());
        let unknown = ("?", "events lost");
        let mut part = pen.part(1, h - below, w - 2, below);
        legend::draw(&mut part, summed, infers, unknown, &arrows);
    }
}

/// Whose timeline it is, and the one figure to compare.
fn headline(pen: &mut Pen<'_>, app: &App) {
    let w = pen.width();
    pen.paint(0, 0, w, theme::chosen());
    let own = crate::text::visible(&app.player.reader().meta().title);
    let file = crate::text::visible(app.options.name.rsplit('/').next().unwrap_or_default());
    let title = if own.is_empty() { file } else { own };
    let said = waited(app);
    let room = w.saturating_sub(text::width(&said) + 4);
    let title = text::cut(&title, room);
    let strong = theme::chosen().patch(theme::strong());
    pen.put(0, 0, &format!(" {title}"), strong);
    let x = w.saturating_sub(text::width(&said) + 1);
    pen.put(x, 0, &said, strong);
}

/// The longest wait up to the cursor, also of who still waits there.
fn waited(app: &App) -> String {
    let now = app.t();
    let wait = |r: &&crate::model::Registration| {
        let open = r.ready_since.filter(|_| r.is_live());
        let open = open.map_or(0, |since| now.saturating_sub(since.hi));
        r.waited_max.hi.max(open)
    };
    let worst = app.regs_unsorted().max_by_key(wait);
    let Some(reg) = worst.filter(|r| wait(r) > 0) else {
        return "nobody has waited so far".to_owned();
    };
    let done = reg.waited_max;
    let ns = wait(&reg);
    let told = match ns > done.hi {
        true => format!("{} and on", text::time(ns)),
        false => text::at_most(done.lo, done.hi),
    };
    format!(
        "longest wait so far {}{told}, {}",
        app.mark(),
        names::told(reg)
    )
}
