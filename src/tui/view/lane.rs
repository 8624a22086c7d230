//! A lane of the timeline: what an fd, several together, the timers or the tasks did, a glyph a column.
//! Step: model → **view**.

use crate::model::Id;
use crate::tui::app::App;
use crate::tui::filter::Filter;
use crate::tui::player::{Cell, Cells, Side};
use crate::tui::theme::{self, ABSENT, ARMED, MORE, QUEUED, READY, RUN};
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::{self, time};
use ratatui::style::Style;

/// The glyph of a cell so many nanoseconds wide.
fn glyph(cell: Cell, width: u64) -> (char, Style) {
    // What was seen in a column counts for more than what was not, unless that is most of it.
    let mostly = cell.is_blank() || cell.unknown_ns > width / 2;
    match cell {
        c if c.summed => summed(c),
        // Where events are left out what was seen between them is told, but not that nothing was.
        c if c.left_out && c.is_blank() => ('·', theme::quiet()),
        c if c.unknown && !c.left_out && mostly => ('?', theme::quiet()),
        c if c.runs > 1 => (MORE, theme::running()),
        c if c.runs == 1 => (RUN, theme::running()),
        c if c.queued => (QUEUED, theme::queued()),
        c if c.ready => (READY, theme::ready()),
        c if c.left => ('=', theme::odd()),
        c if c.off => (':', theme::quiet()),
        c if c.maybe => ('~', theme::ready()),
        _ => (ARMED, theme::quiet()),
    }
}

/// The glyph of a summary: what the fd did most of the time, a dot when it is not told apart.
fn summed(c: Cell) -> (char, Style) {
    match c.run_ns.max(c.queue_ns).max(c.notice_ns) {
        0 => ('·', theme::quiet()),
        ns if ns == c.run_ns => (MORE, theme::running()),
        ns if ns == c.queue_ns => (QUEUED, theme::queued()),
        _ => (READY, theme::ready()),
    }
}

/// The cursor's column; who follows stands at the right edge, where a line would only thicken it.
pub fn cursor(app: &App, cells: &Cells) -> Option<usize> {
    match app.following && app.is_live() {
        true => None,
        false => cells.col(app.t()),
    }
}

/// Draws one fd, its name before and its share of run time behind.
pub fn fd(
    pen: &mut Pen<'_>,
    app: &App,
    cells: &Cells,
    id: Id,
    y: usize,
    (x0, cols): (usize, usize),
) {
    let model = app.player.window().map_or(app.model(), |w| w.model());
    let Some(reg) = model.reg(id).or_else(|| app.model().reg(id)) else {
        return;
    };
    let chosen = app.chosen == Some(id);
    let style = if chosen {
        theme::chosen()
    } else {
        Style::new()
    };
    let sign = if chosen { '>' } else { ' ' };
    let fd_w = app.names.digits();
    let name_w = (x0 - 1).saturating_sub(5 + fd_w);
    let mark = match app.passes(reg) {
        Some(true) => Filter::MARK,
        _ => ' ',
    };
    let text = format!(
        "{sign}{}{mark}{} {}",
        app.names.letter(id),
        text::right(&reg.fd.to_string(), fd_w),
        text::name(app.names.name(id), name_w)
    );
    pen.put(0, y, &text, style);
    let from = cells.from();
    let at = cursor(app, cells);
    let mut any = false;
    for col in 0..cols {
        let start = from + col as u64 * cells.width;
        let (c, mut look) = glyph(cells.cell(id, col), cells.width);
        let outside =
            start + cells.width <= reg.registered_ns || reg.closed_ns.is_some_and(|c| c < start);
        let outside = outside || start > app.player.duration();
        let c = if outside && c == ARMED { ' ' } else { c };
        any |= c != ARMED && c != ' ';
        let here = at == Some(col);
        if here && chosen {
            look = look.patch(theme::chosen());
        } else if here && matches!(c, ARMED | ' ') {
            look = theme::cursor();
        }
        let c = if here && matches!(c, ARMED | ' ') {
            '│'
        } else {
            c
        };
        pen.glyph(x0 + col, y, c, look);
    }
    let share = cells.share(id).map(|share| share * 100.0);
    let shown = match share {
        // Between the checkpoints next to the window's ends, not exactly in it; or of inferred runs.
        Some(share) if cells.is_summary() || app.infers() => about(share),
        Some(share) => percent(share),
        None => ABSENT.to_string(),
    };
    let style = if share.is_some_and(|s| s > 90.0) && any {
        theme::alarm()
    } else {
        style
    };
    pen.put(x0 + cols + 1, y, &text::right(&shown, 7), style);
}

/// A share that is not exactly of the stretch shown, or rests on inferred runs, in seven cells.
fn about(share: f64) -> String {
    match share {
        99.95.. => "~100 %".to_owned(),
        _ => format!("~{share:.1} %"),
    }
}

fn percent(share: f64) -> String {
    match share {
        99.995.. => "  100 %".to_owned(),
        _ => format!("{share:5.2} %"),
    }
}

/// Draws several fds over each other: in each cell the most telling of what any of them did.
pub fn together(
    pen: &mut Pen<'_>,
    app: &App,
    cells: &Cells,
    (name, members): (&str, &[Id]),
    y: usize,
    (x0, cols): (usize, usize),
) {
    let quiet = theme::quiet();
    pen.put(
        1,
        y,
        &text::left(name, (x0 - 1).saturating_sub(2)),
        theme::plain(),
    );
    let (row, at) = (cells.merged(members), cursor(app, cells));
    for (col, cell) in row.iter().take(cols).enumerate() {
        let (c, look) = glyph(*cell, cells.width);
        let here = at == Some(col);
        match here && c == ARMED {
            true => pen.glyph(x0 + col, y, '│', theme::cursor()),
            false => pen.glyph(x0 + col, y, c, look),
        }
    }
    let shares = members.iter().filter_map(|id| cells.share(*id));
    let shown = match cells.total_run_ns() {
        0 => ABSENT.to_string(),
        _ if cells.is_summary() || app.infers() => about(shares.sum::<f64>() * 100.0),
        _ => percent(shares.sum::<f64>() * 100.0),
    };
    pen.put(x0 + cols + 1, y, &text::right(&shown, 7), quiet);
}

/// Timers or tasks of the loop: due and not fired yet, and in their callbacks.
pub fn side(
    pen: &mut Pen<'_>,
    app: &App,
    cells: &Cells,
    side: Side,
    y: usize,
    (x0, cols): (usize, usize),
) {
    let name = match side {
        Side::Timers => "timers",
        Side::Tasks => "tasks",
    };
    pen.put(1, y, name, theme::strong());
    let row = cells.side(side).unwrap_or_default();
    let mut ran = 0;
    for (col, cell) in row.iter().take(cols).enumerate() {
        let (c, look) = match glyph(*cell, cells.width) {
            (ARMED, look) => (' ', look),
            shown => shown,
        };
        let here = cells.col(app.t()) == Some(col);
        match here && c == ' ' {
            true => pen.glyph(x0 + col, y, '│', theme::cursor()),
            false => pen.glyph(x0 + col, y, c, look),
        }
        ran += cell.run_ns;
    }
    let shown = text::right(&time(ran), 8);
    pen.put(x0 + cols + 1, y, &shown, theme::quiet());
}
