//! The timeline's ruler: times, the width of a column, and what stands on its line: the selected stretch, marks, the
//! cursor. Step: model → **view**.

use super::timeline::round_width;
use crate::tui::app::App;
use crate::tui::player::Cells;
use crate::tui::theme;
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::{self, time};

/// Draws the times over the lanes and the width of a column.
pub fn draw(pen: &mut Pen<'_>, cells: &Cells, x0: usize, cols: usize) {
    let (from, to) = (cells.from(), cells.to());
    let span = to - from;
    let step = round_width((span as f64 / (cols as f64 / 11.0)) as u64);
    let mut t = from.div_ceil(step.max(1)) * step.max(1);
    let decimals = match step {
        1_000_000.. => 0,
        100_000.. => 1,
        10_000.. => 2,
        1_000.. => 3,
        _ => 6,
    };
    while t < to {
        if let Some(col) = cells.col(t) {
            let text = match (step, from) {
                (1_000_000_000.., _) => format!("{} s", t / 1_000_000_000),
                (10_000_000.., 1_000_000_000..) => format!("{:.2} s", t as f64 / 1e9),
                (1_000_000.., 1_000_000_000..) => format!("{:.3} s", t as f64 / 1e9),
                _ => format!("{:.decimals$} ms", t as f64 / 1e6),
            };
            if col + text::width(&text) < cols {
                pen.put(x0 + col, 0, &text, theme::quiet());
            }
        }
        t += step.max(1);
    }
    pen.put(x0 + cols + 1, 0, "share of", theme::quiet());
    pen.put(x0 + cols + 1, 1, "run time", theme::quiet());
    let width = round(cells.width);
    let label = match format!(" 1 cell {width}") {
        // The first time stands right beside it.
        label if text::width(&label) >= x0 => format!(" cell {width}"),
        label => label,
    };
    pen.put(0, 0, &label, theme::quiet());
}

/// A round time, without the zeros that `time` shows of any.
fn round(ns: u64) -> String {
    let text = time(ns);
    match text.split_once(' ') {
        Some((figure, unit)) if figure.contains('.') => {
            let figure = figure.trim_end_matches('0').trim_end_matches('.');
            format!("{figure} {unit}")
        }
        _ => text,
    }
}

/// Draws what stands on the upper line: the selected stretch, marks, the cursor.
pub fn marks(pen: &mut Pen<'_>, app: &App, cells: &Cells, x0: usize, cols: usize) {
    if let Some((from, to)) = app.selected() {
        let (from, to) = (from.max(cells.from()), to.min(cells.to().saturating_sub(1)));
        let ends = cells.col(from).zip(cells.col(to)).filter(|_| from <= to);
        for col in ends
            .into_iter()
            .flat_map(|(a, b)| a..=b)
            .filter(|c| *c < cols)
        {
            pen.glyph(x0 + col, 1, '=', theme::chosen());
        }
    }
    for mark in &app.marks {
        if let Some(col) = cells.col(*mark).filter(|c| *c < cols) {
            pen.glyph(x0 + col, 1, 'm', theme::strong());
        }
    }
    if let Some(col) = cells.col(app.t()).filter(|c| *c < cols) {
        pen.glyph(x0 + col, 1, '▼', theme::cursor());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_times_show_no_zeros() {
        let all = [1, 20, 500, 1_000, 50_000_000, 2_000_000_000].map(round);
        assert_eq!(all, ["1 ns", "20 ns", "500 ns", "1 us", "50 ms", "2 s"]);
    }
}
