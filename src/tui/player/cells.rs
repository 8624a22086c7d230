//! A stretch of time cut into columns: per fd and column what it did. Bounded by columns × fds, however many events
//! there are. Step: **model** → view.

use crate::model::{Id, Run, Sink, Transition, Word};
use std::collections::HashMap;

/// What one fd did in one column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Time in its handler.
    pub run_ns: u32,
    /// Time told and queued.
    pub queue_ns: u32,
    /// Handler runs that touch the column.
    pub runs: u16,
    /// It was ready and not told, for certain.
    pub ready: bool,
    /// It may have been ready: between the two ends of a bounded instant.
    pub maybe: bool,
    /// It was told and queued.
    pub queued: bool,
    /// Edge-triggered with data left behind.
    pub left: bool,
    /// One-shot and not re-armed, or muted.
    pub off: bool,
    /// Lost events may have touched it.
    pub unknown: bool,
}

/// Fds that get a row of their own; the rest are not drawn.
const MAX_ROWS: usize = 4_096;

/// The columns.
#[derive(Clone, Debug)]
pub struct Cells {
    /// The loop shown.
    pub loop_id: Id,
    /// Nanoseconds a column.
    pub width: u64,
    /// Absolute number of the first column: it starts at `first * width`.
    pub first: u64,
    /// How many columns.
    pub cols: usize,
    rows: HashMap<Id, Vec<Cell>>,
    states: HashMap<Id, (Word, u64)>,
    who: Vec<(Id, u64)>,
    worst: Option<Run>,
}

impl Cells {
    /// Empty columns, the first one with this absolute number.
    pub fn new(loop_id: Id, first: u64, width: u64, cols: usize) -> Self {
        Cells {
            loop_id,
            width: width.max(1),
            first,
            cols,
            rows: HashMap::new(),
            states: HashMap::new(),
            who: vec![(Id::MAX, 0); cols],
            worst: None,
        }
    }

    /// The instant the first column starts.
    pub fn from(&self) -> u64 {
        self.first.saturating_mul(self.width)
    }

    /// The instant after the last column.
    pub fn to(&self) -> u64 {
        (self.first + self.cols as u64).saturating_mul(self.width)
    }

    /// The column of an instant.
    pub fn col(&self, t: u64) -> Option<usize> {
        let col = (t / self.width).checked_sub(self.first)? as usize;
        (col < self.cols).then_some(col)
    }

    /// What an fd did in a column.
    pub fn cell(&self, reg: Id, col: usize) -> Cell {
        let row = self.rows.get(&reg);
        row.and_then(|r| r.get(col)).copied().unwrap_or_default()
    }

    /// The fd that ran longest in a column, and for how long.
    pub fn who(&self, col: usize) -> Option<(Id, u64)> {
        self.who.get(col).copied().filter(|w| w.1 > 0)
    }

    /// Time in handlers of an fd over all columns.
    pub fn run_ns(&self, reg: Id) -> u64 {
        let row = self.rows.get(&reg);
        row.map_or(0, |r| r.iter().map(|c| u64::from(c.run_ns)).sum())
    }

    /// Time in handlers of all fds.
    pub fn total_run_ns(&self) -> u64 {
        let cells = self.rows.values().flatten();
        cells.map(|c| u64::from(c.run_ns)).sum()
    }

    /// Fds that did anything in view.
    pub fn touched(&self, reg: Id) -> bool {
        self.rows.contains_key(&reg)
    }

    /// The run whose wait was the longest, of those that ended in view.
    pub fn worst(&self) -> Option<&Run> {
        self.worst.as_ref()
    }

    /// Jain's index over run ÷ (run + queue) of the fds served in a column; nothing when none was.
    pub fn fairness(&self, col: usize) -> Option<f64> {
        let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for cell in self.rows.values().filter_map(|row| row.get(col)) {
            if cell.run_ns == 0 && cell.queue_ns == 0 {
                continue;
            }
            let (run, queue) = (f64::from(cell.run_ns), f64::from(cell.queue_ns));
            let x = run / (run + queue);
            n += 1.0;
            sum += x;
            squares += x * x;
        }
        match n {
            0.0 => None,
            _ if squares == 0.0 => Some(1.0),
            _ => Some(sum * sum / (n * squares)),
        }
    }

    /// Moves on so that `t` lies in the last column; what leaves on the left is forgotten.
    pub fn follow(&mut self, t: u64) {
        let by = (t / self.width + 1).saturating_sub(self.first + self.cols as u64);
        if by == 0 {
            return;
        }
        self.first += by;
        let by = (by as usize).min(self.cols);
        let cols = self.cols;
        for row in self.rows.values_mut() {
            row.drain(..by);
            row.resize(cols, Cell::default());
        }
        self.rows
            .retain(|_, row| row.iter().any(|c| *c != Cell::default()));
        self.who.drain(..by);
        self.who.resize(cols, (Id::MAX, 0));
        let from = self.from();
        self.worst = self.worst.filter(|w| w.end >= from);
    }

    /// The state an fd is in when the columns begin.
    pub fn begin_state(&mut self, reg: Id, word: Word, since: u64) {
        self.states.insert(reg, (word, since));
    }

    fn row(&mut self, reg: Id) -> Option<&mut Vec<Cell>> {
        if !self.rows.contains_key(&reg) && self.rows.len() >= MAX_ROWS {
            return None;
        }
        let cols = self.cols;
        let row = self.rows.entry(reg);
        Some(row.or_insert_with(|| vec![Cell::default(); cols]))
    }

    /// The columns `[from, to]` touches, if any.
    fn touches(&self, from: u64, to: u64) -> Option<(u64, u64)> {
        let last = (self.first + self.cols as u64).checked_sub(1)?;
        let (a, b) = (from / self.width, to.max(from) / self.width);
        // A stretch that ends where a column starts does not touch it, unless it is an instant.
        let b = if to > from && to.is_multiple_of(self.width) {
            b - 1
        } else {
            b
        };
        (a <= last && b >= self.first).then_some((a.max(self.first), b.min(last)))
    }

    /// Calls `paint` for every column that a stretch touches, with the nanoseconds inside it.
    pub fn span(&mut self, reg: Id, from: u64, to: u64, paint: impl Fn(&mut Cell, u32)) {
        let Some((a, b)) = self.touches(from, to) else {
            return;
        };
        let (first, width) = (self.first, self.width);
        let Some(row) = self.row(reg) else { return };
        for col in a..=b {
            let inside = to
                .min((col + 1) * width)
                .saturating_sub(from.max(col * width));
            let inside = u32::try_from(inside).unwrap_or(u32::MAX);
            paint(&mut row[(col - first) as usize], inside);
        }
    }

    /// Paints a stretch in which an fd was in a state.
    pub fn state(&mut self, reg: Id, word: Word, from: u64, to: u64) {
        match word {
            Word::Ready => self.span(reg, from, to, |c, _| c.ready = true),
            Word::Fetched | Word::Stale => self.span(reg, from, to, |c, ns| {
                c.queued = true;
                c.queue_ns = c.queue_ns.saturating_add(ns);
            }),
            Word::Residual => self.span(reg, from, to, |c, _| c.left = true),
            Word::Disarmed | Word::Muted => self.span(reg, from, to, |c, _| c.off = true),
            Word::Unknown => self.span(reg, from, to, |c, _| c.unknown = true),
            _ => {}
        }
    }

    /// Paints a run of a handler.
    pub fn running(&mut self, reg: Id, from: u64, to: u64) {
        self.span(reg, from, to, |c, ns| {
            c.runs = c.runs.saturating_add(1);
            c.run_ns = c.run_ns.saturating_add(ns.max(1));
        });
        let Some((a, b)) = self.touches(from, to) else {
            return;
        };
        for col in a..=b {
            let (start, end) = (col * self.width, (col + 1) * self.width);
            let inside = to.min(end).saturating_sub(from.max(start)).max(1);
            let best = &mut self.who[(col - self.first) as usize];
            if inside > best.1 {
                *best = (reg, inside);
            }
        }
    }
}

impl Sink for Cells {
    fn run(&mut self, run: &Run) {
        if run.loop_id != self.loop_id || run.end < self.from() {
            return;
        }
        self.running(run.reg, run.start, run.end);
        if run.wakeup < run.start {
            self.state(run.reg, Word::Fetched, run.wakeup, run.start);
        }
        if let Some(ready) = run.ready {
            if ready.hi < run.wakeup {
                self.span(run.reg, ready.hi, run.wakeup, |c, _| c.ready = true);
            }
            if ready.lo < ready.hi {
                self.span(run.reg, ready.lo, ready.hi, |c, _| c.maybe = true);
            }
        }
        let wait = |r: &Run| r.wait().map_or(r.queue(), |w| w.hi);
        if self.worst.as_ref().is_none_or(|w| wait(run) > wait(w)) {
            self.worst = Some(*run);
        }
    }

    fn transition(&mut self, t: &Transition) {
        let before = self.states.insert(t.reg, (t.to, t.t));
        if let Some((word, since)) = before
            && matches!(
                word,
                Word::Residual | Word::Disarmed | Word::Muted | Word::Unknown
            )
        {
            self.state(t.reg, word, since, t.t);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_covers_the_columns_it_touches() {
        let mut cells = Cells::new(0, 10, 100, 5);
        cells.running(7, 1050, 1200);
        cells.running(8, 1210, 1220);
        cells.running(8, 1230, 1260);
        cells.running(9, 0, 500);
        let runs = |reg| (0..5).map(|c| cells.cell(reg, c).runs).collect::<Vec<_>>();
        assert_eq!(runs(7), [1, 1, 0, 0, 0]);
        assert_eq!(runs(8), [0, 0, 2, 0, 0]);
        assert_eq!(runs(9), [0; 5]);
        assert_eq!(cells.run_ns(7), 150);
        assert_eq!(
            (cells.who(1), cells.who(2), cells.who(4)),
            (Some((7, 100)), Some((8, 30)), None)
        );
    }

    #[test]
    fn following_forgets_the_left_end() {
        let mut cells = Cells::new(0, 0, 10, 4);
        cells.running(1, 0, 5);
        cells.running(1, 35, 36);
        cells.follow(52);
        assert_eq!((cells.first, cells.from(), cells.to()), (2, 20, 60));
        assert_eq!(cells.cell(1, 1).runs, 1);
        assert_eq!(cells.run_ns(1), 1);
        cells.follow(100_000);
        assert!(!cells.touched(1));
    }

    #[test]
    fn fairness_of_a_column() {
        let mut cells = Cells::new(0, 0, 100, 1);
        assert_eq!(cells.fairness(0), None);
        cells.running(1, 0, 50);
        assert_eq!(cells.fairness(0), Some(1.0));
        cells.state(2, Word::Fetched, 0, 100);
        assert_eq!(cells.fairness(0), Some(0.5));
    }
}
