//! A stretch of time cut into columns: per fd and column what it did. Bounded by columns × fds, however many events
//! there are. Step: **model** → view.

use super::cell::{Cell, Side};
use super::heard::State;
use super::summary::Summary;
use crate::model::spectrum::Spectrum;
use crate::model::{Id, Run};
use std::collections::{HashMap, VecDeque};

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
    pub(super) rows: HashMap<Id, Vec<Cell>>,
    pub(super) states: HashMap<Id, State>,
    pub(super) who: Vec<(Id, u64)>,
    /// Timers and tasks, once there are any.
    pub(super) sides: [Vec<Cell>; 2],
    /// Per column the time in turns and the time in waits of the loop's threads.
    pub(super) turns: Vec<(u64, u64)>,
    pub(super) worst: Option<Run>,
    /// How long the runs took that ended in a column.
    pub(super) spectra: Vec<Spectrum>,
    /// Time in handlers of all fds, once all is painted.
    total: Option<u64>,
    pub(super) summary: Option<Summary>,
    /// Stretches that were not folded.
    gaps: VecDeque<(u64, u64)>,
}

/// Precision of [`Cells::spectra`].
const COARSE: u8 = crate::model::histogram::COARSE;

/// Stretches remembered as not folded; what lies between the last ones of more is left out with them.
const MAX_GAPS: usize = 64;

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
            sides: [Vec::new(), Vec::new()],
            turns: vec![(0, 0); cols],
            worst: None,
            spectra: vec![Spectrum::new(COARSE); cols],
            total: None,
            summary: None,
            gaps: VecDeque::new(),
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
        let mut cell = row.and_then(|r| r.get(col)).copied().unwrap_or_default();
        cell.summed = (self.summary.as_ref())
            .and_then(|s| s.columns.get(col))
            .is_some_and(Option::is_some);
        cell.left_out = self.is_left_out(col);
        cell
    }

    /// What several fds did, each column taken together.
    pub fn merged(&self, regs: &[Id]) -> Vec<Cell> {
        let mut all = vec![Cell::default(); self.cols];
        for row in regs.iter().filter_map(|reg| self.rows.get(reg)) {
            for (sum, cell) in all.iter_mut().zip(row) {
                sum.add(cell);
            }
        }
        for (col, cell) in all.iter_mut().enumerate() {
            let known = self.summary.as_ref().and_then(|s| s.columns.get(col));
            cell.summed = known.is_some_and(Option::is_some);
            cell.left_out = self.is_left_out(col);
        }
        all
    }

    /// Nothing is known of a stretch: it was not folded.
    pub(super) fn leave_out(&mut self, from: u64, to: u64) {
        let full = self.gaps.len() >= MAX_GAPS;
        match self.gaps.back_mut() {
            Some(last) if from <= last.1 || full => last.1 = to,
            _ => self.gaps.push_back((from, to)),
        }
    }

    /// Some of what happened in a column was not folded.
    fn is_left_out(&self, col: usize) -> bool {
        let from = self.from() + col as u64 * self.width;
        let mut gaps = self.gaps.iter();
        gaps.any(|(a, b)| *a < from + self.width && from < *b)
    }

    /// The columns are summaries: nothing is known about single runs.
    pub fn is_summary(&self) -> bool {
        self.summary.is_some()
    }

    /// The fd that ran longest in a column, and for how long.
    pub fn who(&self, col: usize) -> Option<(Id, u64)> {
        self.who.get(col).copied().filter(|w| w.1 > 0)
    }

    /// Time in handlers of an fd over all columns.
    pub fn run_ns(&self, reg: Id) -> u64 {
        let row = self.rows.get(&reg);
        row.map_or(0, |r| r.iter().map(|c| c.run_ns).sum())
    }

    /// Time in handlers of all fds.
    pub fn total_run_ns(&self) -> u64 {
        if let Some(summary) = &self.summary {
            return summary.run_ns;
        }
        if let Some(total) = self.total {
            return total;
        }
        self.rows.values().flatten().map(|c| c.run_ns).sum()
    }

    /// Nothing more will be painted.
    pub(super) fn settle(&mut self) {
        self.total = Some(self.total_run_ns());
    }

    /// The part of its threads' time that the loop spent in turns rather than in waits; nothing when neither is known.
    pub fn busy(&self) -> Option<f64> {
        let sum = |(a, b): (u64, u64), c: &(u64, u64)| (a + c.0, b + c.1);
        let (busy, wait) = self.turns.iter().fold((0, 0), sum);
        (busy + wait > 0).then(|| busy as f64 / (busy + wait) as f64)
    }

    /// The share of all run time that went to an fd; nothing when there was none.
    pub fn share(&self, reg: Id) -> Option<f64> {
        let total = self.total_run_ns();
        if total == 0 {
            return None;
        }
        Some(match &self.summary {
            Some(summary) => summary.share(reg),
            None => self.run_ns(reg) as f64 / total as f64,
        })
    }

    /// How much an fd did and waited in a summary.
    pub fn activity(&self, reg: Id) -> u64 {
        let row = self.rows.get(&reg).into_iter().flatten();
        row.map(|c| c.run_ns + c.queue_ns + c.notice_ns).sum()
    }

    /// Fds that did anything in view.
    pub fn touched(&self, reg: Id) -> bool {
        self.rows.contains_key(&reg)
    }

    /// The run whose wait was the longest, of those that ended in view.
    pub fn worst(&self) -> Option<&Run> {
        self.worst.as_ref()
    }

    /// How long the runs took that ended in a column.
    pub fn spectrum(&self, col: usize) -> Option<&Spectrum> {
        self.spectra.get(col)
    }

    /// The same over all columns.
    pub fn spectra(&self) -> Spectrum {
        let mut all = Spectrum::new(COARSE);
        self.spectra.iter().for_each(|s| all.merge(s));
        all
    }

    /// Jain's index over run ÷ (run + queue) of the fds served in a column; nothing when none was.
    pub fn fairness(&self, col: usize) -> Option<f64> {
        if let Some(summary) = &self.summary {
            return summary.columns.get(col).copied().flatten().flatten();
        }
        let served = self.rows.values().filter_map(|row| row.get(col));
        jain(served.map(|c| (c.run_ns, c.queue_ns)))
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
        for side in self.sides.iter_mut().filter(|s| !s.is_empty()) {
            side.drain(..by);
            side.resize(cols, Cell::default());
            if side.iter().all(|c| *c == Cell::default()) {
                side.clear();
            }
        }
        self.spectra.drain(..by);
        self.spectra.resize(cols, Spectrum::new(COARSE));
        self.who.drain(..by);
        self.who.resize(cols, (Id::MAX, 0));
        self.turns.drain(..by);
        self.turns.resize(cols, (0, 0));
        let from = self.from();
        self.gaps.retain(|gap| gap.1 > from);
        self.worst = self.worst.filter(|w| w.end >= from);
    }

    /// What the loop's timers or tasks did, a cell a column; nothing when there were none in view.
    pub fn side(&self, side: Side) -> Option<&[Cell]> {
        let cells = &self.sides[side as usize];
        (!cells.is_empty()).then_some(cells)
    }
}

/// Jain's index over run ÷ (run + queue), without what did neither.
pub(super) fn jain(served: impl Iterator<Item = (u64, u64)>) -> Option<f64> {
    let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for (run, queue) in served.filter(|s| *s != (0, 0)) {
        let (run, queue) = (run as f64, queue as f64);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Fidelity, Part, Sink, Transition, Word};

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
    fn timers_have_a_lane_and_due_ones_wait() {
        let mut cells = Cells::new(0, 0, 100, 4);
        assert!(cells.side(Side::Timers).is_none());
        cells.side_due(50, 210);
        cells.side_running(Part::Timer(1), 210, 250);
        cells.side_running(Part::Rest, 250, 300);
        let timers = cells.side(Side::Timers).unwrap_or_default();
        let ready: Vec<bool> = timers.iter().map(|c| c.ready).collect();
        assert_eq!(ready, [true, true, true, false]);
        assert_eq!(timers[2].run_ns, 40);
        assert!(cells.side(Side::Tasks).is_none());
        cells.follow(10_000);
        assert!(cells.side(Side::Timers).is_none());
    }

    #[test]
    fn what_is_told_and_never_served_is_painted() {
        let mut cells = Cells::new(0, 0, 100, 4);
        let change = |t, to, fidelity| Transition {
            t,
            event: 0,
            reg: 7,
            from: Word::Armed,
            to,
            why: crate::model::Why::Reported,
            fidelity,
            site: 0,
        };
        cells.transition(&change(0, Word::Ready, Fidelity::Inferred));
        cells.transition(&change(150, Word::Fetched, Fidelity::Measured));
        cells.transition(&change(250, Word::Ready, Fidelity::Inferred));
        let row: Vec<Cell> = (0..4).map(|col| cells.cell(7, col)).collect();
        assert_eq!(
            row.iter().map(|c| c.maybe).collect::<Vec<_>>(),
            [true, true, false, false]
        );
        assert_eq!(
            row.iter().map(|c| c.queue_ns).collect::<Vec<_>>(),
            [0, 50, 50, 0]
        );
        // What is left out is only so where nothing was seen.
        cells.leave_out(100, 400);
        let blank: Vec<bool> = (0..4).map(|col| cells.cell(7, col).is_blank()).collect();
        assert_eq!(blank, [false, false, false, true]);
        assert!(cells.cell(7, 3).left_out && !cells.cell(7, 0).left_out);
    }

    #[test]
    fn time_in_turns_and_in_waits_is_told_apart() {
        let mut cells = Cells::new(0, 0, 100, 4);
        assert_eq!(cells.busy(), None);
        cells.turn(Part::Wait, 0, 150);
        cells.turn(Part::Rest, 150, 160);
        cells.turn(Part::Run(3), 160, 200);
        assert_eq!(cells.busy(), Some(0.25));
        cells.follow(550);
        assert_eq!(cells.busy(), None);
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
