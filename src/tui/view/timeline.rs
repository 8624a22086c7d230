//! Screen 2, the timeline: one lane an fd, one column a stretch of time, and the event at the cursor in full.
//! Step: model → **view**.

use super::behalf;
use super::beside;
use super::detail;
use super::heights::{Rows, Traces};
use super::lane;
use super::lanes::{self, Lane};
use super::legend;
use super::marks;
use super::ruler;
use crate::tui::app::App;
use crate::tui::player::{Cells, Side, Window};
use crate::tui::theme::{self, ABSENT};
use crate::tui::widget::boxes;
use crate::tui::widget::pen::Pen;

/// A lane that is no fd's.
enum Own {
    Marks(marks::Lane),
    Side(Side),
}

/// Cells before the lanes: letter, fd, name.
pub(super) fn label(width: usize) -> usize {
    match width {
        0..76 => 13,
        76..110 => 14,
        _ => 22,
    }
}
/// Cells after the lanes: the share of run time.
const SHARE: usize = 9;

/// Columns of the timeline on a screen this wide.
pub fn columns(width: usize) -> usize {
    width.saturating_sub(label(width) + SHARE + 4)
}

/// The next round number of nanoseconds: 1, 2 or 5 times a power of ten.
pub fn round_width(ns: u64) -> u64 {
    let mut unit = 1u64;
    loop {
        for step in [1, 2, 5] {
            if unit.saturating_mul(step) >= ns {
                return unit.saturating_mul(step);
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// The round number before `ns`, which is one; 1 when there is none.
pub fn narrower(ns: u64) -> u64 {
    let mut unit = 1u64;
    while unit.saturating_mul(10) < ns {
        unit = unit.saturating_mul(10);
    }
    let steps = [5, 2, 1].map(|s| unit.saturating_mul(s));
    steps.into_iter().find(|s| *s < ns).unwrap_or(1)
}

/// Draws the screen.
pub fn draw(pen: &mut Pen<'_>, app: &App) {
    let (w, h) = (pen.width(), pen.height());
    if let Some(other) = &app.beside {
        return beside::draw(pen, app, other);
    }
    let (mut y, heights, arrows) = chart(pen, app, 0, rows(app, h + 3), true);
    if h >= 18 {
        let summed = app.player.window().is_some_and(Window::is_summary);
        let folded = app.player.window().is_none_or(|w| w.done);
        let unknown = match app.player.left_out() {
            Some(_) => ("·", "left out: too fast"),
            None if app.following && !folded => ("·", "not folded yet"),
            None => ("?", "events lost"),
        };
        legend::draw(
            &mut pen.part(1, y, w - 2, 2),
            summed,
            app.infers(),
            unknown,
            &arrows,
        );
        y += 2;
    }
    if let Some(line) = heights.filter(|_| h >= 30) {
        pen.put(1, y, &line, theme::quiet());
        y += 1;
    }
    // What the program itself says of this moment.
    let told = marks::here(app);
    for line in told.iter().take(if h >= 30 { 3 } else { 1 }) {
        pen.put(1, y, line, theme::strong());
        y += 1;
    }
    // Nobody chosen: the worst waits say whom to choose.
    if app.chosen().is_some() {
        let rest = h.saturating_sub(y);
        y += detail::draw(&mut pen.part(0, y, w, rest), app);
    }
    let rest = h.saturating_sub(y);
    detail::worst(&mut pen.part(0, y, w, rest), app);
}

/// Draws ruler and lanes from column `left` on in at most `rows` rows, those that are left over for what each waited and
/// moved if `more`; the row after them, what that means, and the pointers of the arrows.
pub fn chart(
    pen: &mut Pen<'_>,
    app: &App,
    left: usize,
    rows: usize,
    more: bool,
) -> (usize, Option<String>, String) {
    let Some(window) = app.player.window() else {
        pen.put(1, 1, "folding…", theme::quiet());
        return (2, None, String::new());
    };
    let cells = window.painted();
    let mut own: Vec<Own> = Vec::new();
    for lane in [marks::Lane::Spans, marks::Lane::Marks] {
        if rows > own.len() + 2 && marks::any(app, lane) {
            own.push(Own::Marks(lane));
        }
    }
    for side in [Side::Timers, Side::Tasks] {
        if rows > own.len() + 2 && cells.side(side).is_some() {
            own.push(Own::Side(side));
        }
    }
    let above = own.len();
    let shown = lanes::lanes(app, rows - above);
    let mut each = match more {
        true => Rows::of(shown.len(), rows - above),
        false => Rows::of(1, 1),
    };
    let traces = (each.wait > 0).then(|| Traces::measure(window, &cells, &shown));
    // Who follows keeps the lanes where they are.
    let traces = traces.filter(|t| window.key.follow || !t.is_empty());
    if traces.is_none() {
        each = Rows::of(1, 1);
    }
    let used = shown.len().min(rows) * each.all() + above;
    let full = app.size.0 as usize;
    let (x0, cols) = (left + label(full) + 1, cells.cols.min(columns(full)));
    let line = theme::quiet();
    ruler::draw(pen, &cells, x0, cols);
    boxes::down(pen, x0 - 1, 1, used + 3, line);
    boxes::down(pen, x0 + cols, 1, used + 3, line);
    boxes::stretch(pen, x0 - 1, x0 + cols, 1, line);
    boxes::stretch(pen, x0 - 1, x0 + cols, used + 3, line);
    ruler::marks(pen, app, &cells, x0, cols);
    running(pen, app, &cells, x0, cols);
    for (row, lane) in own.iter().enumerate() {
        match lane {
            Own::Marks(lane) => marks::draw(pen, app, &cells, *lane, row + 3, (x0, cols)),
            Own::Side(side) => lane::side(pen, app, &cells, *side, row + 3, (x0, cols)),
        }
    }
    let at = lane::cursor(app, &cells).filter(|c| *c < cols);
    for (row, one) in shown.iter().enumerate() {
        let top = row * each.all() + 3 + above;
        let y = top + each.wait;
        match one {
            Lane::Fd(id) => lane::fd(pen, app, &cells, *id, y, (x0, cols)),
            Lane::Many { name, members } => {
                lane::together(pen, app, &cells, (name, members), y, (x0, cols));
            }
        }
        if let Some(traces) = &traces {
            traces.draw(pen, app, row, each, (top, x0, cols, at));
        }
        if let Some(col) = at.filter(|_| each.gap > 0) {
            pen.glyph(x0 + col, top + each.all() - 1, '│', theme::cursor());
        }
    }
    let placed = shown.iter().enumerate();
    let placed: Vec<_> = placed
        .map(|(row, lane)| (lane, row * each.all() + 3 + above + each.wait))
        .collect();
    let arrows = behalf::arrows(pen, app, &cells, &placed, (x0, cols));
    // Of what comes after the end nothing is known; what comes next is what is asked, and the figures tell of it.
    let over = app.player.ended().then(|| app.player.duration());
    let over = over.map(|end| (end / cells.width + 1).saturating_sub(cells.from() / cells.width));
    let asked = at.filter(|_| app.asks()).map(|col| col as u64 + 1);
    for (top, from) in [(3 + above, over), (2, asked)] {
        let from = from.map_or(cols, |from| usize::try_from(from).unwrap_or(cols));
        for y in top..used + 3 {
            (from..cols).for_each(|x| pen.glyph(x0 + x, y, ' ', theme::plain()));
        }
    }
    if app.asks() {
        let (x, w) = (x0 + cols + 1, pen.width());
        for y in 0..used + 3 {
            (x..w).for_each(|x| pen.glyph(x, y, ' ', theme::plain()));
        }
    }
    // Who follows is always about to fold what has just come.
    if !window.done && !window.key.follow {
        let told = format!(" folding {:.0}% ", window.progress() * 100.0);
        pen.put(x0 + 1, 1, &told, theme::chosen());
    }
    (used + 4, traces.map(|t| t.legend(each)), arrows)
}

/// Lanes for a projector, at most.
const FEW: usize = 6;

/// Lanes that fit on a screen this high.
pub fn rows(app: &App, height: usize) -> usize {
    let h = height.saturating_sub(3);
    let most = if app.stage { FEW } else { usize::MAX };
    h.saturating_sub(detail_rows(h) + 5).clamp(1, most)
}

fn detail_rows(h: usize) -> usize {
    match h {
        0..18 => 3,
        18..30 => 8,
        _ => 12,
    }
}

fn running(pen: &mut Pen<'_>, app: &App, cells: &Cells, x0: usize, cols: usize) {
    let mark = app.mark();
    pen.put(1, 2, &format!("{mark}running"), theme::strong());
    for col in 0..cols {
        match cells.who(col) {
            Some((id, _)) => {
                let style = if app.chosen == Some(id) {
                    theme::chosen()
                } else {
                    theme::plain()
                };
                pen.glyph(x0 + col, 2, app.names.letter(id), style);
            }
            None => pen.glyph(x0 + col, 2, ' ', theme::plain()),
        }
    }
    // Waits are measured, whoever infers what runs between them.
    let busy = match cells.busy() {
        Some(part) => format!("busy{:3.0}%", part * 100.0),
        None => format!("busy   {ABSENT}"),
    };
    pen.put(x0 + cols + 1, 2, &busy, theme::strong());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_round() {
        for (ns, want) in [
            (1, 1),
            (3, 5),
            (6, 10),
            (1234, 2000),
            (5_000_000, 5_000_000),
        ] {
            assert_eq!(round_width(ns), want);
        }
        for (ns, want) in [
            (1, 1),
            (2, 1),
            (5, 2),
            (10, 5),
            (20, 10),
            (2_000_000, 1_000_000),
        ] {
            assert_eq!(narrower(ns), want);
            assert_eq!(round_width(want + 1), ns.max(2));
        }
    }
}
