//! What the hypervisor took: of a virtual machine's CPUs, and so perhaps of a run. Step: **model**.
//!
//! A CPU that the hypervisor gave to another machine stands still, and to the kernel's switch records the thread on it runs.
//! /proc/stat has a sum for each CPU, in ticks of 10 ms. So what is known of a stretch is how much of it may have been stolen
//! at most (bounded): what its CPU lost while both lasted. It is told up to a tenth of a second after it happened.

use std::collections::{BTreeMap, VecDeque};

use super::Model;
use super::codec::codec;
use super::facts::{Id, Range};
use crate::record::event::{Event, STEAL_TICK};

/// Stretches kept at most.
const MOST: usize = 2_048;
/// What was stolen so long ago is asked for no more.
const KEPT: u64 = 5_000_000_000;
/// CPUs told apart.
const MOST_CPUS: usize = 1_024;

/// A stretch in which a CPU lost so much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    from: u64,
    to: u64,
    cpu: i32,
    ns: u64,
}

codec!(Window { from, to, cpu, ns });

/// What the hypervisor took of each CPU, and of late when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steal {
    counted: bool,
    cpus: u32,
    windows: VecDeque<Window>,
    by_cpu: BTreeMap<i32, u64>,
}

codec!(Steal {
    counted,
    cpus,
    windows,
    by_cpu
});

impl Steal {
    /// After so long it has been told what was stolen of a stretch: the collector reads it ten times a second.
    pub const TOLD: u64 = 500_000_000;

    fn told(&mut self, e: &Event) {
        self.counted = true;
        self.cpus = self.cpus.max(u32::from(e.aux));
        // A CPU cannot lose more than there is.
        let ns = e.arg.min(e.y.saturating_add(STEAL_TICK));
        if e.x < 0 || ns == 0 {
            return;
        }
        if self.by_cpu.len() < MOST_CPUS || self.by_cpu.contains_key(&e.x) {
            let sum = self.by_cpu.entry(e.x).or_default();
            *sum = sum.saturating_add(ns);
        }
        let old = e.t.saturating_sub(KEPT);
        while self.windows.len() >= MOST || self.windows.front().is_some_and(|w| w.to < old) {
            self.windows.pop_front();
        }
        self.windows.push_back(Window {
            from: e.t.saturating_sub(e.y),
            to: e.t,
            cpu: e.x,
            ns,
        });
    }

    /// The most that was stolen from a thread between two instants, on this CPU, or on whichever one it was.
    fn most(&self, cpu: Option<i32>, from: u64, to: u64) -> u64 {
        let (mut most, mut counted) = (0u64, 0u64);
        // Stretches of several CPUs end together: a thread was on one of them.
        let mut last: Option<(u64, u64, u64)> = None;
        let here = |w: &&Window| cpu.is_none_or(|cpu| cpu == w.cpu);
        for w in self.windows.iter().filter(here) {
            let both = w.to.min(to).saturating_sub(w.from.max(from));
            let ns = both.min(w.ns.saturating_add(STEAL_TICK));
            if both == 0 {
                continue;
            }
            let (before, counted_before) = match last {
                Some((end, ns, counted)) if end == w.to => (ns, counted),
                _ => (0, 0),
            };
            most = most.saturating_add(ns.saturating_sub(before));
            counted = counted.saturating_add(w.ns.saturating_sub(counted_before));
            last = Some((w.to, ns.max(before), w.ns.max(counted_before)));
        }
        // All of them together are off by less than one tick.
        let whole = counted.saturating_add(STEAL_TICK);
        most.min(whole).min(to.saturating_sub(from))
    }

    /// Somebody counts it.
    pub fn is_counted(&self) -> bool {
        self.counted
    }

    /// What was stolen of all CPUs, as far as counted; nothing where nobody counts it.
    pub fn total(&self) -> Option<Range> {
        let ticks = |n: usize| STEAL_TICK.saturating_mul(n as u64);
        let sum: u64 = self
            .by_cpu
            .values()
            .fold(0, |sum, ns| sum.saturating_add(*ns));
        self.counted.then(|| Range {
            lo: sum.saturating_sub(ticks(self.by_cpu.len())),
            hi: sum.saturating_add(ticks(self.cpus.max(1) as usize)),
        })
    }

    /// What was counted as stolen of all CPUs; 0 where nobody counts it.
    pub fn counted(&self) -> u64 {
        self.by_cpu
            .values()
            .fold(0, |sum, ns| sum.saturating_add(*ns))
    }

    /// Which part of the CPUs' time that was in a recording of this length.
    pub fn share(&self, length: u64) -> Option<f64> {
        let all = length as f64 * f64::from(self.cpus.max(1));
        (self.counted && length > 0).then(|| (self.counted() as f64 / all).min(1.0))
    }
}

impl Model {
    /// The machine's CPUs have lost something to the hypervisor.
    pub(super) fn stolen_told(&mut self, e: &Event) {
        self.steal.told(e);
    }

    /// What the hypervisor took of the machine.
    pub fn steal(&self) -> &Steal {
        &self.steal
    }

    /// The CPU that a thread has been on since this instant or before; nothing where it changed, or nobody tells.
    pub fn cpu_since(&self, thread: Id, since: u64) -> Option<i32> {
        let cpu = &self.threads.get(thread as usize)?.work.cpu;
        cpu.place.filter(|_| cpu.moved <= since)
    }

    /// The most that the hypervisor took between two instants from a thread that was on this CPU (`None`: on any of them), as
    /// far as it has been told.
    pub fn stolen(&self, cpu: Option<i32>, from: u64, to: u64) -> u64 {
        self.steal.most(cpu, from, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::event::Kind;

    const MS: u64 = 1_000_000;

    fn steal(t: u64, y: u64, cpu: i32, ns: u64) -> Event {
        Event {
            kind: Kind::Steal,
            t: t * MS,
            arg: ns * MS,
            y: y * MS,
            x: cpu,
            aux: 2,
            ..Event::default()
        }
    }

    #[test]
    fn a_stretch_lost_at_most_what_its_cpu_lost_while_both_lasted() {
        let mut s = Steal::default();
        assert_eq!((s.total(), s.share(MS)), (None, None));
        s.told(&steal(0, 0, -1, 0));
        assert_eq!(s.total(), Some(Range { lo: 0, hi: 20 * MS }));
        s.told(&steal(200, 100, 0, 20));
        s.told(&steal(200, 100, 1, 60));
        let most = |cpu, from, to| s.most(cpu, from * MS, to * MS) / MS;
        assert_eq!(most(Some(0), 100, 200), 30, "a tick more than told");
        assert_eq!(most(Some(0), 110, 120), 10, "no more than it lasted");
        assert_eq!(most(Some(0), 195, 295), 5, "only what overlaps");
        assert_eq!(most(Some(0), 200, 300), 0);
        assert_eq!(most(Some(7), 0, 300), 0);
        assert_eq!(most(None, 0, 300), 70, "a thread was on one of them");
        assert_eq!(s.counted(), 80 * MS);
        assert_eq!(s.share(400 * MS), Some(0.1));
        let total = s.total().map(|r| (r.lo / MS, r.hi / MS));
        assert_eq!(total, Some((60, 100)));
    }

    #[test]
    fn stretches_one_after_the_other_are_off_by_one_tick_together() {
        let mut s = Steal::default();
        for i in 1..=5 {
            s.told(&steal(i * 100, 110, 0, 20));
        }
        assert_eq!(s.most(Some(0), 0, 500 * MS), 110 * MS);
    }

    #[test]
    fn little_is_kept_and_a_cpu_loses_no_more_than_there_is() {
        let mut s = Steal::default();
        for i in 0..10_000u64 {
            s.told(&steal(i, 1, (i % 3_000) as i32, u64::MAX / MS));
        }
        assert!(s.windows.len() <= MOST && s.by_cpu.len() <= MOST_CPUS);
        assert!(s.most(None, 0, u64::MAX) < 30_000 * MS);
        s.told(&steal(1_000_000, 10, 0, 10));
        assert_eq!(s.windows.len(), 1);
    }
}
