//! Painting into the columns: what lasted from one instant to another leaves its mark in every column it touches.
//! Step: **model** → view.

use super::cell::{Cell, Side};
use super::cells::Cells;
use crate::model::{Id, Part, Word};

/// Fds that get a row of their own; the rest are not drawn.
const MAX_ROWS: usize = 4_096;

impl Cells {
    /// Paints a stretch of a turn or of a wait.
    pub(super) fn turn(&mut self, part: Part, from: u64, to: u64) {
        let Some((a, b)) = self.touches(from, to) else {
            return;
        };
        for col in a..=b {
            let inside = to
                .min((col + 1) * self.width)
                .saturating_sub(from.max(col * self.width));
            let sum = &mut self.turns[(col - self.first) as usize];
            match part {
                Part::Wait => sum.1 += inside,
                _ => sum.0 += inside,
            }
        }
    }

    pub(super) fn row(&mut self, reg: Id) -> Option<&mut Vec<Cell>> {
        if !self.rows.contains_key(&reg) && self.rows.len() >= MAX_ROWS {
            return None;
        }
        let cols = self.cols;
        let row = self.rows.entry(reg);
        Some(row.or_insert_with(|| vec![Cell::default(); cols]))
    }

    /// The columns `[from, to]` touches, if any.
    pub(super) fn touches(&self, from: u64, to: u64) -> Option<(u64, u64)> {
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
    pub fn span(&mut self, reg: Id, from: u64, to: u64, paint: impl Fn(&mut Cell, u64)) {
        let Some((a, b)) = self.touches(from, to) else {
            return;
        };
        let (first, width) = (self.first, self.width);
        let Some(row) = self.row(reg) else { return };
        for col in a..=b {
            let inside = to
                .min((col + 1) * width)
                .saturating_sub(from.max(col * width));
            paint(&mut row[(col - first) as usize], inside);
        }
    }

    fn paint_side(&mut self, side: Side, from: u64, to: u64, paint: impl Fn(&mut Cell, u64)) {
        let Some((a, b)) = self.touches(from, to) else {
            return;
        };
        let (first, width) = (self.first, self.width);
        let cells = &mut self.sides[side as usize];
        cells.resize(self.cols, Cell::default());
        for col in a..=b {
            let inside = to
                .min((col + 1) * width)
                .saturating_sub(from.max(col * width));
            paint(&mut cells[(col - first) as usize], inside);
        }
    }

    /// Paints a timer's callback or a task.
    pub fn side_running(&mut self, part: Part, from: u64, to: u64) {
        let side = match part {
            Part::Timer(_) => Side::Timers,
            Part::Task(_) => Side::Tasks,
            _ => return,
        };
        self.paint_side(side, from, to, |c, ns| {
            c.runs = c.runs.saturating_add(1);
            c.run_ns = c.run_ns.saturating_add(ns.max(1));
        });
    }

    /// Paints a timer that was due and had not fired.
    pub fn side_due(&mut self, due: u64, to: u64) {
        if due < to {
            self.paint_side(Side::Timers, due, to, |c, _| c.ready = true);
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
            Word::Unknown => self.span(reg, from, to, |c, ns| {
                c.unknown = true;
                c.unknown_ns = c.unknown_ns.saturating_add(ns);
            }),
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
