//! Two recordings on the timeline's clock, one above the other, each headed by its longest wait. Step: model → **view**.

use super::instant;
use super::legend;
use super::timeline;
use crate::model::Registration;
use crate::tui::app::App;
use crate::tui::app::beside::Beside;
use crate::tui::names;
use crate::tui::theme;
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text;

/// Rows of a timeline that are no lanes: what [`timeline::chart`] draws around them.
const FRAME: usize = 4;
/// Rows of each from which on its heading has one of its own.
const TIGHT: usize = 9;
/// Rows from which on there are two to spare for what the glyphs mean.
const ROOMY: usize = 22;
/// And one, for the glyphs that are seen most.
const ENOUGH: usize = 20;
/// Lanes of each for a projector, at most.
const FEW: usize = 3;

/// Draws both.
pub fn draw(pen: &mut Pen<'_>, app: &App, beside: &Beside) {
    let (w, h) = (pen.width(), pen.height());
    let below = match h {
        ROOMY.. => 2,
        ENOUGH.. => 1,
        _ => 0,
    };
    let half = (h - below).div_ceil(2);
    let both = match beside.above {
        true => [beside.app(), app],
        false => [app, beside.app()],
    };
    // Where lanes are scarce the heading takes the place of the ruler's figures.
    let own_row = usize::from(half >= TIGHT);
    let mut arrows = String::new();
    let mut top = 0;
    for one in both {
        let room = half.min(h - below - top);
        let most = if one.stage { FEW } else { usize::MAX };
        let lanes = room.saturating_sub(FRAME + own_row).clamp(1, most);
        let mut part = pen.part(0, top + own_row, w, room - own_row);
        // Heights have a scale of their own in each: side by side they would be compared.
        let (used, _, drawn) = timeline::chart(&mut part, one, 0, lanes, false);
        if arrows.is_empty() {
            arrows = drawn;
        }
        if one.player.duration() < app.t() {
            let stays = if one.led.stays { ": its end " } else { " " };
            let told = format!(" over since {}{stays}", instant(one.player.duration()));
            part.put(timeline::label(w) + 2, 1, &told, theme::chosen());
        }
        headline(&mut pen.part(0, top, w, 1), one);
        // The closer together, the easier to compare.
        top += half.min(own_row + used + 1);
    }
    if below > 0 {
        let summed = both.iter().any(|one| {
            let window = one.player.window();
            window.is_some_and(crate::tui::player::Window::is_summary)
        });
        let infers = both.iter().any(|one| one.infers());
        let unknown = ("?", "events lost");
        let mut part = pen.part(1, top.min(h - below), w - 2, below);
        legend::draw(&mut part, summed, infers, unknown, &arrows);
    }
}

/// Whose timeline it is, and the one figure to compare.
fn headline(pen: &mut Pen<'_>, app: &App) {
    let w = pen.width();
    pen.paint(0, 0, w, theme::chosen());
    let own = crate::text::visible(&app.player.reader().meta().title);
    let file = crate::text::visible(app.options.name.rsplit('/').next().unwrap_or_default());
    let mut title = if own.is_empty() { file } else { own }.into_owned();
    if app.loops() > 1 {
        title.push_str(&format!("  loop {}/{}", app.loop_id + 1, app.loops()));
    }
    if app.player.ended() && !app.player.reader().complete() {
        title.push_str("  NOT COMPLETE");
    }
    let said = waited(app);
    let room = w.saturating_sub(text::width(&said) + 4);
    let title = text::cut(&title, room);
    let strong = theme::chosen().patch(theme::strong());
    pen.put(0, 0, &format!(" {title}"), strong);
    let x = w.saturating_sub(text::width(&said) + 1);
    pen.put(x, 0, &said, strong);
}

/// The longest wait in view, also of who still waits where it ends; of what is too much to be told apart, the longest so far.
fn waited(app: &App) -> String {
    let Some(window) = app.player.window().filter(|w| !w.is_summary()) else {
        let worst = app.regs_unsorted().max_by_key(|r| r.waited_max.hi);
        let worst = worst.filter(|r| r.waited_max.hi > 0);
        return worst.map_or("nobody has waited so far".to_owned(), |r| {
            let wait = text::at_most(r.waited_max.lo, r.waited_max.hi);
            format!(
                "longest wait so far {}{wait}, {}",
                app.mark(),
                names::told(r)
            )
        });
    };
    let (from, to) = window.span();
    if app.player.ended() && from >= app.player.duration() {
        return "it was over before that".to_owned();
    }
    let to = to.min(app.curtain());
    let runs = window.facts.runs.iter();
    let inside = runs.filter(|r| r.loop_id == app.loop_id && r.end >= from && r.start < to);
    let done = inside.filter(|r| r.end <= app.curtain()).map(|r| {
        let wait = r.waited();
        (wait.hi, r.reg, text::at_most(wait.lo, wait.hi))
    });
    let model = window.model();
    let now = model.now().min(to);
    let waiting = |r: &&Registration| r.loop_id == app.loop_id && r.is_live();
    let open = model.regs().filter(waiting).filter_map(|r| {
        let wait = now.saturating_sub(r.ready_since?.hi);
        Some((wait, r.id, format!("{} and on", text::time(wait))))
    });
    match done.chain(open).filter(|w| w.0 > 0).max_by_key(|w| w.0) {
        Some((_, reg, told)) => {
            format!(
                "longest wait in view {}{told}, {}",
                app.mark(),
                app.names.told(reg)
            )
        }
        None => "nobody waits in view".to_owned(),
    }
}
