//! Screen 4, latency: a spectrogram. Time goes down, how long it took goes right on a log scale, and the height of a bar
//! says how many runs took so long; notice, queue and run stand side by side on one scale. Step: model → **view**.

use crate::model::histogram::Histogram;
use crate::model::spectrum::Spectrum;
use crate::tui::app::App;
use crate::tui::player::Cells;
use crate::tui::theme::{self, ABSENT, GO};
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::{self, plural, time};
use crate::tui::widget::{bar, boxes};
use ratatui::style::Style;

/// Cells for the instants.
const LEFT: usize = 10;
/// Rows that are no time: the frame, headings and scale above, figures below.
const AROUND: usize = 8;
/// The shortest time told apart.
const SHORTEST: u64 = 100;

/// Rows of time on a screen this high.
pub fn rows(height: usize) -> usize {
    height.saturating_sub(AROUND + 3).max(1)
}

/// One of the three.
struct Panel {
    title: &'static str,
    style: fn() -> Style,
    of: fn(&Spectrum) -> &Histogram,
}

const PANELS: [Panel; 3] = [
    Panel {
        title: "notice",
        style: theme::ready,
        of: |s| &s.notice,
    },
    Panel {
        title: "queue",
        style: theme::queued,
        of: |s| &s.queue,
    },
    Panel {
        title: "run",
        style: theme::running,
        of: |s| &s.run,
    },
];

/// A log scale.
struct Scale {
    /// Powers of ten.
    from: u32,
    to: u32,
    cells: usize,
}

impl Scale {
    /// The scale on which all of these find their place.
    fn of(all: &Spectrum, cells: usize) -> Self {
        let shown = PANELS.iter().map(|p| (p.of)(all));
        let (mut least, mut most) = (u64::MAX, SHORTEST);
        for (lo, hi, _) in shown.flat_map(Histogram::spans) {
            least = least.min(lo.max(SHORTEST));
            most = most.max(hi);
        }
        let from = least.min(most).ilog10();
        let to = (most.saturating_sub(1).max(1)).ilog10() + 1;
        Scale {
            from,
            to: to.max(from + 1),
            cells,
        }
    }

    /// The cell of a time; shorter ones stand in the first, longer ones in the last.
    fn cell(&self, ns: u64) -> usize {
        let decades = (ns.max(1) as f64).log10() - f64::from(self.from);
        let at = decades / f64::from(self.to - self.from) * self.cells as f64;
        (at.max(0.0) as usize).min(self.cells.saturating_sub(1))
    }

    /// How many values each cell holds; a bucket that covers several is spread over them.
    fn counts(&self, h: &Histogram) -> Vec<u64> {
        let mut counts = vec![0; self.cells];
        for (lo, hi, n) in h.spans() {
            let (a, b) = (self.cell(lo), self.cell(hi));
            let cells = (b - a + 1) as u64;
            for (i, sum) in counts[a..=b].iter_mut().enumerate() {
                let (i, n) = (i as u64, u64::from(n));
                *sum += (i + 1) * n / cells - i * n / cells;
            }
        }
        counts
    }
}

/// Draws the screen.
pub fn draw(pen: &mut Pen<'_>, app: &App) {
    let (w, h) = (pen.width(), pen.height());
    boxes::outline(pen, theme::quiet());
    let title = app.titled("how long it took: time goes down, height says how many runs");
    boxes::title(pen, 1, 0, w - 2, &title, theme::strong());
    let mut inside = pen.part(1, 1, w - 2, h - 2);
    let Some(window) = app
        .player
        .window()
        .filter(|win| win.key == app.window_key())
    else {
        inside.put(1, 1, "reading …", theme::quiet());
        return;
    };
    let cells = window.painted();
    let all = cells.spectra();
    if all.is_empty() {
        let what = match app.player.duration() {
            0 => "nothing has been recorded yet",
            _ => "no handler ran on this loop in this stretch of time",
        };
        inside.put(1, 1, what, theme::quiet());
        return;
    }
    draw_panels(&mut inside, app, &cells, &all, window.is_summary());
}

fn draw_panels(pen: &mut Pen<'_>, app: &App, cells: &Cells, all: &Spectrum, summed: bool) {
    let (w, h) = (pen.width(), pen.height());
    let width = (w.saturating_sub(LEFT) / PANELS.len()).saturating_sub(1);
    let scale = Scale::of(all, width);
    let rows = cells.cols.min(h.saturating_sub(AROUND - 2));
    gutter(pen, app, cells, rows);
    for (i, panel) in PANELS.iter().enumerate() {
        let x = LEFT + i * (width + 1);
        let mut part = pen.part(x, 0, width, h);
        part.put(0, 0, &heading(app, panel, all, width), (panel.style)());
        draw_scale(&mut part, 1, &scale);
        let counts: Vec<Vec<u64>> = (0..rows)
            .map(|row| {
                cells
                    .spectrum(row)
                    .map_or(Vec::new(), |s| scale.counts((panel.of)(s)))
            })
            .collect();
        // Of the runs of a second a few are slow: on a linear scale nobody would see them.
        let log = |n: u64| ((n + 1) as f64).log2() * 1_000.0;
        let most = counts.iter().flatten().copied().max().unwrap_or(0);
        for (row, counts) in counts.iter().enumerate() {
            for (cell, n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
                let c = bar::level(log(*n) as u64, log(most) as u64);
                part.glyph(cell, 2 + row, c, (panel.style)());
            }
        }
        figures(&mut part, 2 + rows, (panel.of)(all), app, summed);
    }
    for (row, what) in ["p50", "p99", "longest"].iter().enumerate() {
        pen.put(1, 3 + rows + row, what, theme::quiet());
    }
}

/// The instants at the left, with the cursor's row and the selected ones.
fn gutter(pen: &mut Pen<'_>, app: &App, cells: &Cells, rows: usize) {
    let w = pen.width();
    let selected = app.selected();
    for row in 0..rows {
        let from = cells.from() + row as u64 * cells.width;
        let until = from + cells.width;
        if selected.is_some_and(|(a, b)| a < until && from <= b) {
            pen.paint(0, 2 + row, w, theme::chosen());
        }
        // The row in which the recording ends is the last one with an instant.
        if from > app.player.duration() {
            continue;
        }
        let here = (from..until).contains(&app.t());
        let style = if here {
            theme::strong()
        } else {
            theme::quiet()
        };
        if here {
            pen.glyph(0, 2 + row, GO, theme::cursor());
        }
        let label = label(from, cells.width, LEFT - 2);
        pen.put(1, 2 + row, &text::right(&label, LEFT - 2), style);
    }
}

/// An instant in seconds, with as many decimals as tell rows apart and fit.
fn label(ns: u64, row: u64, room: usize) -> String {
    let seconds = (ns / 1_000_000_000).to_string();
    let needed = match row {
        0..10_000_000 => 6,
        10_000_000..1_000_000_000 => 3,
        _ => 1,
    };
    let decimals = needed.min(room.saturating_sub(seconds.len() + 1));
    match decimals {
        0 => seconds,
        n => format!("{seconds}.{:.n$}", format!("{:09}", ns % 1_000_000_000)),
    }
}

/// What the figures are: inferred, at most, or not known.
fn heading(app: &App, panel: &Panel, all: &Spectrum, width: usize) -> String {
    let bounded = panel.title == "notice"
        && (app.model().loops().get(app.loop_id as usize))
            .is_some_and(|l| l.notice_lo.sum() != l.notice_hi.sum());
    match (panel.title, bounded) {
        _ if (panel.of)(all).is_empty() => format!("{} {ABSENT}", panel.title),
        (_, true) if width < 20 => "notice <=".to_owned(),
        (_, true) => "notice (at most)".to_owned(),
        ("notice", false) => "notice".to_owned(),
        (title, _) => format!("{title} {}", app.mark()),
    }
}

fn draw_scale(pen: &mut Pen<'_>, y: usize, scale: &Scale) {
    let mut free = 0;
    for decade in scale.from..=scale.to {
        let x = (decade - scale.from) as usize * scale.cells / (scale.to - scale.from) as usize;
        let label = time(10u64.saturating_pow(decade))
            .replace(".00", "")
            .replace(".0 ", " ")
            .replace(' ', "");
        // The last mark stands at the right edge.
        let x = x.min(scale.cells.saturating_sub(text::width(&label)));
        if x >= free {
            free = pen.put(x, y, &label, theme::quiet()) + 1;
        }
    }
}

fn figures(pen: &mut Pen<'_>, y: usize, h: &Histogram, app: &App, summed: bool) {
    // Summaries have wide buckets: what they say is an upper end.
    let bound = if summed { "<=" } else { "" };
    let mark = app.mark();
    let quantile = |q| match h.is_empty() {
        true => ABSENT.to_string(),
        false => format!("{mark}{bound}{}", time(h.quantile(q))),
    };
    let longest = match (h.is_empty(), pen.width() < 20) {
        (true, _) => ABSENT.to_string(),
        (false, true) => format!("{mark}{}", time(h.max())),
        (false, false) => format!("{mark}{} of {}", time(h.max()), plural(h.count(), "run")),
    };
    for (row, what) in [quantile(0.5), quantile(0.99), longest].iter().enumerate() {
        pen.put(0, y + 1 + row, what, theme::plain());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_tell_rows_apart_and_fit() {
        let second = 1_000_000_000;
        assert_eq!(label(12 * second, second, 8), "12.0");
        assert_eq!(label(1_234_567_890, 1_000, 8), "1.234567");
        assert_eq!(label(12_345_678_901, 1_000, 8), "12.34567");
        assert_eq!(label(12_345_678_901, 50_000_000, 8), "12.345");
        assert_eq!(label(123_456_789 * second, 1_000, 8), "123456789");
    }

    #[test]
    fn a_scale_has_a_place_for_everything() {
        let mut all = Spectrum::default();
        all.run.record(0);
        all.run.record(3_000);
        all.queue.record(250_000_000);
        let scale = Scale::of(&all, 42);
        assert_eq!((scale.from, scale.to), (2, 9));
        assert_eq!((scale.cell(0), scale.cell(u64::MAX)), (0, 41));
        assert_eq!(scale.cell(1_000), 6);
        for h in [&all.run, &all.queue, &all.notice] {
            assert_eq!(scale.counts(h).iter().sum::<u64>(), h.count());
        }
    }
}
