//! How crowded the machine is for a process: the longest that one of its threads was lately seen to wait for a CPU.
//! Step: model → **view**.
//!
//! A sleeper that has been woken waits for a CPU as well, and no record tells for how long: to the kernel's switch records
//! it sleeps until it runs. What is told are other waits of the same kind: a thread that was taken off its CPU, a time-out
//! that came late; and what the hypervisor took of a CPU. A sleep that is no longer than those may have been a short one on a crowded machine.

use crate::model::{Id, Map};

/// A wait for a CPU that is shorter makes no crowd: the kernel's own time-outs are late by that much.
const LEAST: u64 = 2_000_000;
/// The crowd of so long ago is gone.
const LATELY: u64 = 1_000_000_000;
/// Processes and threads watched at once.
const MOST: usize = 4_096;

/// The longest wait of this second, and of the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    since: u64,
    longest: u64,
    before: u64,
}

impl Recent {
    fn at(self, t: u64) -> Recent {
        match t.saturating_sub(self.since) / LATELY {
            0 => self,
            1 => Recent {
                since: t,
                longest: 0,
                before: self.longest,
            },
            _ => Recent {
                since: t,
                ..Recent::default()
            },
        }
    }
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct Crowd {
    processes: Map<Id, Recent>,
    /// Threads taken off their CPU, since when.
    off: Map<Id, u64>,
    /// What the hypervisor took of a CPU at once: no process of this machine had it.
    stolen: Recent,
}

impl Crowd {
    /// A thread was taken off its CPU, for others.
    pub(super) fn off(&mut self, thread: Id, t: u64) {
        if self.off.len() < MOST || self.off.contains_key(&thread) {
            self.off.insert(thread, t);
        }
    }

    /// It is back, or went to sleep, or ends.
    pub(super) fn back(&mut self, process: Id, thread: Id, t: u64) {
        if let Some(since) = self.off.remove(&thread) {
            self.waited(process, t, t.saturating_sub(since));
        }
    }

    /// A thread of this process could have run, and waited for so long before it did.
    pub(super) fn waited(&mut self, process: Id, t: u64, ns: u64) {
        let full = self.processes.len() >= MOST && !self.processes.contains_key(&process);
        if ns < LEAST || full {
            return;
        }
        let recent = self.processes.entry(process).or_default();
        *recent = recent.at(t);
        recent.longest = recent.longest.max(ns);
    }

    /// The hypervisor took so much of a CPU.
    pub(super) fn stolen(&mut self, t: u64, ns: u64) {
        if ns >= LEAST {
            self.stolen = self.stolen.at(t);
            self.stolen.longest = self.stolen.longest.max(ns);
        }
    }

    /// The longest that a thread of this process was lately seen to wait for a CPU.
    pub fn late(&self, process: Id, now: u64) -> u64 {
        let longest = |r: Recent| r.at(now).longest.max(r.at(now).before);
        let recent = self.processes.get(&process).copied().map_or(0, longest);
        recent.max(longest(self.stolen))
    }

    /// Events are missing: who is off its CPU is not known.
    pub(super) fn forget(&mut self) {
        self.off.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_crowd_is_remembered_for_a_while_and_is_of_one_process() {
        let mut crowd = Crowd::default();
        crowd.off(4, 10 * MS);
        crowd.back(1, 4, 30 * MS);
        crowd.back(1, 4, 90 * MS);
        crowd.waited(1, 100 * MS, 7 * MS);
        crowd.waited(2, 100 * MS, LEAST - 1);
        assert_eq!(crowd.late(1, 100 * MS), 20 * MS);
        assert_eq!(crowd.late(2, 100 * MS), 0);
        crowd.waited(1, 1_100 * MS, 3 * MS);
        assert_eq!(crowd.late(1, 1_200 * MS), 20 * MS);
        assert_eq!(crowd.late(1, 2_200 * MS), 3 * MS);
        assert_eq!(crowd.late(1, 9_000 * MS), 0);
        crowd.stolen(9_000 * MS, 20 * MS);
        assert_eq!(crowd.late(5, 9_900 * MS), 20 * MS);
        assert_eq!(crowd.late(5, 11_000 * MS), 0);
    }

    #[test]
    fn what_a_loss_hides_is_no_wait() {
        let mut crowd = Crowd::default();
        crowd.off(4, 0);
        crowd.forget();
        crowd.back(1, 4, 500 * MS);
        assert_eq!(crowd.late(1, 500 * MS), 0);
    }
}
