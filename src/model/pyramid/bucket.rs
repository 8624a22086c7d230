//! One bucket of the pyramid: what happened in its stretch of time. Buckets of one place add up. Step: trace → **model** → view.

use super::{FOLLOWED, TOP};
use crate::model::codec::codec;
use crate::model::facts::Id;
use crate::model::spectrum::Spectrum;

/// How much a role or registration did in a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Runs that ended in it.
    pub runs: u64,
    /// Time running.
    pub run_ns: u64,
    /// Time told and queued.
    pub queue_ns: u64,
    /// Time certainly ready and not told.
    pub notice_ns: u64,
    /// The longest wait ([`Run::waited`](crate::model::Run::waited), at most) of a run that ended in it.
    pub wait_max: u64,
}

codec!(Cell {
    runs,
    run_ns,
    queue_ns,
    notice_ns,
    wait_max
});

impl Cell {
    pub(super) fn add(&mut self, other: &Cell) {
        self.runs = self.runs.saturating_add(other.runs);
        self.run_ns = self.run_ns.saturating_add(other.run_ns);
        self.queue_ns = self.queue_ns.saturating_add(other.queue_ns);
        self.notice_ns = self.notice_ns.saturating_add(other.notice_ns);
        self.wait_max = self.wait_max.max(other.wait_max);
    }

    /// What makes it one of the most active.
    fn activity(&self) -> u64 {
        self.run_ns
            .saturating_add(self.queue_ns)
            .saturating_add(self.notice_ns)
    }
}

/// How a loop's threads spent a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoopCell {
    /// Turns that ended in it.
    pub turns: u64,
    /// Events in their batches.
    pub ready: u64,
    /// The longest of them.
    pub turn_max: u64,
    /// Inside waits.
    pub wait_ns: u64,
    /// In handler runs.
    pub run_ns: u64,
    /// In timers.
    pub timer_ns: u64,
    /// In tasks.
    pub task_ns: u64,
    /// The loop's own rest.
    pub rest_ns: u64,
    /// After the last call on the fd served last, where handlers are inferred.
    pub tail_ns: u64,
}

codec!(LoopCell {
    turns,
    ready,
    turn_max,
    wait_ns,
    run_ns,
    timer_ns,
    task_ns,
    rest_ns,
    tail_ns
});

impl LoopCell {
    pub(super) fn add(&mut self, other: &LoopCell) {
        self.turns = self.turns.saturating_add(other.turns);
        self.ready = self.ready.saturating_add(other.ready);
        self.turn_max = self.turn_max.max(other.turn_max);
        self.wait_ns = self.wait_ns.saturating_add(other.wait_ns);
        self.run_ns = self.run_ns.saturating_add(other.run_ns);
        self.timer_ns = self.timer_ns.saturating_add(other.timer_ns);
        self.task_ns = self.task_ns.saturating_add(other.task_ns);
        self.rest_ns = self.rest_ns.saturating_add(other.rest_ns);
        self.tail_ns = self.tail_ns.saturating_add(other.tail_ns);
    }
}

/// One bucket of one level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Per loop.
    pub loops: Vec<(Id, LoopCell)>,
    /// Per (loop, role): everything, the registrations told apart included.
    pub roles: Vec<((Id, Id), Cell)>,
    /// Per (loop, registration): the most active.
    pub regs: Vec<((Id, Id), Cell)>,
    /// Per loop: how long the runs took that ended in it.
    pub spectra: Vec<(Id, Spectrum)>,
}

codec!(Bucket {
    loops,
    roles,
    regs,
    spectra
});

pub(super) fn cell<K: PartialEq, C: Default>(cells: &mut Vec<(K, C)>, key: K) -> &mut C {
    let at = match cells.iter().position(|(k, _)| *k == key) {
        Some(at) => at,
        None => {
            cells.push((key, C::default()));
            cells.len() - 1
        }
    };
    &mut cells[at].1
}

impl Bucket {
    pub(super) fn add(&mut self, other: &Bucket) {
        for (key, c) in &other.loops {
            cell(&mut self.loops, *key).add(c);
        }
        for (key, c) in &other.roles {
            cell(&mut self.roles, *key).add(c);
        }
        for (key, c) in &other.regs {
            cell(&mut self.regs, *key).add(c);
        }
        for (key, s) in &other.spectra {
            cell(&mut self.spectra, *key).merge(s);
        }
        self.trim(FOLLOWED);
    }

    /// Keeps the most active registrations, most active first.
    pub(super) fn trim(&mut self, limit: usize) {
        if self.regs.len() > limit {
            self.regs
                .sort_by_key(|(key, c)| (std::cmp::Reverse(c.activity()), *key));
            self.regs.truncate(TOP);
        }
    }
}
