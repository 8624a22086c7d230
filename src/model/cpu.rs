//! Which of its time a thread was on a CPU, from the kernel's switch records, or from its counters where there are none.
//! Step: **model**.
//!
//! A sleep explains itself only later: by the end of the call that it lay in, or by the page fault that ends right after it.
//! So the last sleeps of a thread are kept, and how a stretch was spent is told when it is over. Before the first switch
//! record, and from a loss on to the next one, nothing is known.

use std::collections::VecDeque;

use super::counted::{Counted, asleep_in};
use super::spent::{BlockedIn, Spent};
use crate::record::event::Op;

/// Sleeps kept; more than that in one turn are put together where they are of a kind.
const MOST: usize = 256;
/// Page faults kept apart in one turn; what comes later counts where the last of them was.
const MOST_FAULTS: usize = 64;
/// A page fault is over this soon after the last sleep that it took: some 10 µs, on a busy virtual machine often 100,
/// and more where the hypervisor takes the CPU away meanwhile.
const SOON: u64 = 1_000_000;
/// Between two sleeps of one fault the kernel is busy for no longer: it asks the disk for what will be read next.
const AMID: u64 = 3_000_000;
/// The kernel's stamps and a thread's own are off from each other by less.
const SKEW: u64 = 100_000;
/// A wait that lasts so long is slept in: without a switch record in it the kernel no longer tells of the thread.
const LONG: u64 = 20_000_000;

/// Why a thread was off its CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Why {
    #[default]
    Unknown,
    Preempted,
    /// It slept, nobody has said in what.
    Slept,
    /// In a system call, nobody has said in which.
    InCall,
    /// In this call.
    Call(Option<Op>, u32, i32),
    Fault,
    /// A signal or a debugger had stopped it.
    Stopped,
    /// Pre-empted for so long, and asleep for the rest, nobody knows in what order: as the kernel counts it.
    Counted(u64),
    /// The same, asleep in this call.
    CountedIn(u64, Option<Op>, u32, i32),
    /// The same, asleep in several calls or in some of them only.
    CountedSomewhere(u64),
}

/// A stretch off its CPU; of several put together `off` is less than their extent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub from: u64,
    pub to: u64,
    pub off: u64,
    pub why: Why,
}

/// A thread and its CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cpu {
    /// Off its CPU (or not known) since then; `None` while it runs.
    pub off: Option<Off>,
    /// Stretches that are over, oldest first, none overlapping.
    pub spans: VecDeque<Span>,
    /// The latest switch record.
    pub switched: u64,
    /// The latest event of its own.
    pub seen: u64,
    /// Some switch record has come.
    pub told: bool,
    /// Page faults: when, and how many.
    pub faults: VecDeque<(u64, u64)>,
    /// The CPU it was told to be on last.
    pub place: Option<i32>,
    /// Since when.
    pub moved: u64,
    /// What the kernel counted last, in the turn that goes on.
    pub counted: Option<Counted>,
}

/// A stretch off its CPU that goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Off {
    pub since: u64,
    pub why: Why,
}

impl Cpu {
    /// It left its CPU.
    pub fn out(&mut self, t: u64, preempted: bool, keep: bool) {
        self.back(t, keep);
        let why = if preempted {
            Why::Preempted
        } else {
            Why::Slept
        };
        self.off = Some(Off { since: t, why });
    }

    /// The record is of this CPU.
    pub fn on(&mut self, t: u64, cpu: i32) {
        if self.place != Some(cpu) {
            (self.place, self.moved) = (Some(cpu), t);
        }
    }

    /// It comes back, and it was seen what for it was off its CPU.
    pub fn seen_off(&mut self, why: Why) {
        if let Some(off) = &mut self.off
            && off.why == Why::Slept
        {
            off.why = why;
        }
    }

    /// It is on a CPU: what was before is over.
    pub fn back(&mut self, t: u64, keep: bool) {
        let before = match self.told {
            true => self.off.take(),
            false => Some(Off::default()),
        };
        self.off = None;
        self.told = true;
        self.switched = t;
        if let Some(Off { since, why }) = before
            && keep
        {
            self.push(Span {
                from: since,
                to: t,
                off: t.saturating_sub(since),
                why,
            });
        }
    }

    pub(super) fn push(&mut self, span: Span) {
        let last = self.spans.back().map_or(0, |last| last.to);
        let from = span.from.max(last);
        if from >= span.to {
            return;
        }
        if self.spans.len() >= MOST {
            self.put_together();
        }
        self.spans.push_back(Span {
            from,
            off: span.off.min(span.to.saturating_sub(from)),
            ..span
        });
    }

    /// Makes room: neighbours of a kind in the older half become one; if that is not enough, the oldest are unknown.
    fn put_together(&mut self) {
        let newer = self.spans.split_off(MOST / 2);
        let mut older: VecDeque<Span> = VecDeque::with_capacity(MOST);
        for span in self.spans.drain(..) {
            match older.back_mut() {
                Some(last) if last.why == span.why => {
                    (last.to, last.off) = (span.to, last.off.saturating_add(span.off));
                }
                _ => older.push_back(span),
            }
        }
        if older.len() > MOST / 4 {
            let (from, to) = (older[0].from, older[MOST / 4].to);
            older.drain(..=MOST / 4);
            older.push_front(Span {
                from,
                to,
                off: to.saturating_sub(from),
                why: Why::Unknown,
            });
        }
        older.extend(newer);
        self.spans = older;
    }

    /// An event of its own: it runs.
    pub fn ran(&mut self, t: u64, keep: bool) {
        if let Some(off) = self.off
            && self.told
            && off.why != Why::Unknown
            && t.saturating_sub(off.since) > SKEW
        {
            // It cannot have: that it came back was not told.
            self.unknown(off.since, keep);
        }
        self.seen = self.seen.max(t);
    }

    /// From here on nothing is known, until the next switch record.
    pub fn unknown(&mut self, since: u64, keep: bool) {
        if !self.told {
            return;
        }
        self.place = None;
        while self.spans.back().is_some_and(|span| span.to > since) {
            if let Some(span) = self.spans.pop_back()
                && span.from < since
                && keep
            {
                self.spans.push_back(Span {
                    to: since,
                    // A part of several: how much of it was off is not known.
                    why: match span.off < span.to.saturating_sub(span.from) {
                        true => Why::Unknown,
                        false => span.why,
                    },
                    off: since.saturating_sub(span.from),
                    ..span
                });
                break;
            }
        }
        let since = match self.off {
            Some(off) if off.why == Why::Unknown => off.since.min(since),
            _ => since,
        };
        self.off = Some(Off {
            since,
            why: Why::Unknown,
        });
    }

    /// A call lasted from `entry` to `exit`: what it slept in between was in there.
    pub fn call(&mut self, entry: u64, exit: u64, why: Why) {
        if let Some(counted) = &mut self.counted {
            counted.call(entry, exit, why);
        }
        if let Some(off) = &mut self.off
            && off.why == Why::Slept
            && off.since >= entry
        {
            off.why = why;
        }
        for span in self.spans.iter_mut().rev() {
            if span.to < entry {
                return;
            }
            if let Why::Counted(preempted) = span.why {
                let inside = span.to.min(exit).saturating_sub(span.from.max(entry));
                let slept = span.off.saturating_sub(preempted);
                span.why = asleep_in(preempted, slept, inside, (inside, why));
            }
            let middle = span.from.midpoint(span.to);
            let open = matches!(span.why, Why::Slept | Why::InCall);
            if open && entry <= middle && middle <= exit {
                span.why = why;
            }
        }
    }

    /// Page faults from `first` to `t`: a sleep right before the first was in there.
    pub fn fault(&mut self, first: u64, t: u64, count: u64, keep: bool) {
        if keep {
            let full = self.faults.len() >= MOST_FAULTS;
            match self.faults.back_mut() {
                Some(last) if full => *last = (t, last.1.saturating_add(count)),
                _ => self.faults.push_back((t, count)),
            }
        }
        if self.off.is_some() {
            return;
        }
        let (mut next, mut soon) = (first, SOON);
        for span in self.spans.iter_mut().rev() {
            // One of its own events since then, or more than the end of a fault: it was about something else.
            if span.to < self.seen || next.saturating_sub(span.to) > soon {
                return;
            }
            match span.why {
                Why::Slept => span.why = Why::Fault,
                Why::Preempted | Why::Fault => {}
                _ => return,
            }
            (next, soon) = (span.from, AMID);
        }
    }

    /// A wait is over that began at `entered`; none of what came before is asked for any more if `alone`.
    pub fn woke(&mut self, entered: u64, t: u64, alone: bool) {
        if alone {
            self.spans.clear();
            self.faults.clear();
        }
        self.counted = None;
        if self.told && self.switched < entered && t.saturating_sub(entered) >= LONG {
            self.unknown(entered, true);
        }
        if let Some(off) = &mut self.off
            && off.why == Why::Slept
        {
            off.why = Why::Call(Some(Op::Wait), 0, -1);
        }
    }

    /// How it spent the time from `from` to `to`, and the call it slept in longest.
    pub fn spent(&self, from: u64, to: u64) -> (Spent, Option<BlockedIn>) {
        let mut spent = Spent::default();
        let length = to.saturating_sub(from);
        if !self.told {
            spent.unknown = length;
            return (spent, None);
        }
        let mut calls: [Option<BlockedIn>; 4] = [None; 4];
        let open = self.off.map(|off| Span {
            from: off.since,
            to: to.max(off.since),
            off: to.saturating_sub(off.since),
            why: off.why,
        });
        let mut off = 0u64;
        for span in open.iter().chain(self.spans.iter().rev()) {
            if span.to <= from {
                break;
            }
            let extent = span.to.min(to).saturating_sub(span.from.max(from));
            let whole = span.to.saturating_sub(span.from);
            let counted = matches!(
                span.why,
                Why::Counted(_) | Why::CountedIn(..) | Why::CountedSomewhere(_)
            );
            let (ns, why) = match span.off {
                _ if extent == whole => (span.off.min(extent), span.why),
                off if off == whole && !counted => (extent, span.why),
                // A part of several.
                _ => (extent, Why::Unknown),
            };
            off = u64::saturating_add(off, ns);
            let (preempted, why) = match why {
                Why::Counted(preempted) => (preempted.min(ns), Why::Slept),
                Why::CountedSomewhere(preempted) => (preempted.min(ns), Why::Unknown),
                Why::CountedIn(preempted, op, name, fd) => {
                    (preempted.min(ns), Why::Call(op, name, fd))
                }
                why => (0, why),
            };
            spent.preempted = spent.preempted.saturating_add(preempted);
            let ns = ns - preempted;
            let sum = match why {
                Why::Unknown => &mut spent.unknown,
                Why::Preempted => &mut spent.preempted,
                Why::Slept
                | Why::InCall
                | Why::Counted(_)
                | Why::CountedIn(..)
                | Why::CountedSomewhere(_) => &mut spent.waiting,
                Why::Fault => &mut spent.fault,
                Why::Stopped => &mut spent.stopped,
                Why::Call(op, name, fd) => {
                    let call = BlockedIn { op, name, fd, ns };
                    let known = calls.iter_mut().find(|c| c.is_none_or(|c| c.same(&call)));
                    if let Some(known) = known {
                        *known = BlockedIn::longer(*known, Some(call));
                    }
                    &mut spent.blocked
                }
            };
            *sum = sum.saturating_add(ns);
        }
        spent.on_cpu = length.saturating_sub(off);
        let faults = self.faults.iter().rev().take_while(|(t, _)| *t >= from);
        let within = faults.filter(|(t, _)| *t < to);
        spent.faults = within.fold(0, |sum, (_, n)| sum.saturating_add(*n));
        let longest = calls.into_iter().flatten().max_by_key(|c| c.ns);
        (spent, longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::counted::Counters;
    use proptest::prelude::*;

    const CALL: Why = Why::Call(Some(Op::Read), 0, 7);

    /// On a CPU since instant 0.
    fn running() -> Cpu {
        let mut cpu = Cpu::default();
        cpu.back(0, true);
        cpu
    }

    impl Cpu {
        fn slept(&mut self, from: u64, to: u64) {
            self.out(from, false, true);
            self.back(to, true);
        }
    }

    #[test]
    fn a_sleep_is_what_the_call_around_it_was() {
        let mut cpu = running();
        cpu.slept(1_000, 5_000);
        cpu.slept(6_000, 6_500);
        cpu.call(900, 5_100, CALL);
        let (spent, inside) = cpu.spent(500, 10_500);
        let sums = (spent.on_cpu, spent.blocked, spent.waiting, spent.unknown);
        assert_eq!(sums, (5_500, 4_000, 500, 0));
        let inside = inside.unwrap();
        assert_eq!(
            (inside.op, inside.fd, inside.ns),
            (Some(Op::Read), 7, 4_000)
        );
        // Only what lies in the stretch counts.
        let (spent, _) = cpu.spent(4_000, 6_200);
        assert_eq!(
            (spent.on_cpu, spent.blocked, spent.waiting),
            (1_000, 1_000, 200)
        );
    }

    #[test]
    fn who_was_stopped_did_not_sleep() {
        let mut cpu = running();
        cpu.out(1_000, false, true);
        cpu.seen_off(Why::Stopped);
        cpu.back(4_000, true);
        cpu.call(500, 5_000, CALL);
        let (spent, inside) = cpu.spent(0, 5_000);
        assert_eq!((spent.stopped, spent.blocked, inside), (3_000, 0, None));
        assert_eq!(spent.total(), 5_000);
    }

    #[test]
    fn who_was_pre_empted_did_not_sleep() {
        let mut cpu = running();
        cpu.out(1_000, true, true);
        cpu.back(4_000, true);
        cpu.call(500, 5_000, CALL);
        let (spent, inside) = cpu.spent(0, 5_000);
        assert_eq!((spent.preempted, spent.blocked, inside), (3_000, 0, None));
    }

    #[test]
    fn a_sleep_in_a_call_was_no_fault_whatever_comes_after_it() {
        let mut cpu = running();
        cpu.out(1_000, false, true);
        cpu.seen_off(Why::InCall);
        cpu.back(9_000, true);
        cpu.fault(9_100, 9_200, 256, true);
        assert_eq!(cpu.spent(0, 10_000).0.waiting, 8_000);
        cpu.call(900, 9_050, CALL);
        assert_eq!(cpu.spent(0, 10_000).0.blocked, 8_000);
    }

    #[test]
    fn a_fault_right_after_a_sleep_explains_it_and_one_that_comes_later_does_not() {
        let mut cpu = running();
        cpu.slept(1_000, 2_000);
        let again = 2_000 + AMID;
        cpu.slept(again, again + 900);
        let over = again + 900 + SOON;
        cpu.fault(over, over, 1, true);
        assert_eq!(cpu.spent(0, 2 * AMID).0.fault, 1_900);
        let later = 3 * AMID;
        cpu.slept(later, later + 1_000);
        let over = later + 1_001 + SOON;
        cpu.fault(over, over, 2, true);
        let (spent, _) = cpu.spent(0, 4 * AMID);
        assert_eq!(
            (spent.fault, spent.waiting, spent.faults),
            (1_900, 1_000, 3)
        );
        // The thread has told something in between: the sleep was over, and no fault.
        let t = 5 * AMID;
        cpu.slept(t, t + 1_000);
        cpu.ran(t + 1_010, true);
        cpu.fault(t + 1_020, t + 1_020, 1, true);
        assert_eq!(cpu.spent(t, t + 2_000).0.waiting, 1_000);
    }

    #[test]
    fn nothing_is_known_before_the_first_record_and_after_a_loss() {
        let mut cpu = Cpu::default();
        assert_eq!(cpu.spent(0, 100).0.unknown, 100);
        cpu.back(50, true);
        assert_eq!(
            (cpu.spent(0, 100).0.unknown, cpu.spent(0, 100).0.on_cpu),
            (50, 50)
        );
        cpu.slept(200, 300);
        cpu.unknown(250, true);
        cpu.out(400, false, true);
        cpu.back(500, true);
        let (spent, _) = cpu.spent(100, 600);
        assert_eq!(
            (spent.on_cpu, spent.waiting, spent.unknown),
            (200, 150, 150)
        );
    }

    #[test]
    fn an_event_of_a_thread_that_is_said_to_sleep_shows_that_records_are_missing() {
        let mut cpu = running();
        cpu.out(1_000, false, true);
        cpu.ran(1_000 + SKEW, true);
        assert_eq!(cpu.off.unwrap().why, Why::Slept);
        cpu.ran(1_000 + SKEW + 1, true);
        assert_eq!(cpu.off.unwrap().why, Why::Unknown);
        // And a wait that nobody slept in.
        let mut cpu = running();
        cpu.woke(1_000, 1_000 + LONG, true);
        assert_eq!(cpu.spent(1_000 + LONG, 2_000 + LONG).0.unknown, 1_000);
    }

    #[test]
    fn more_sleeps_than_are_kept_are_put_together() {
        let mut cpu = running();
        let n = MOST as u64 * 10;
        for i in 0..n {
            cpu.slept(i * 1_000 + 100, i * 1_000 + 400);
            cpu.call(i * 1_000 + 90, i * 1_000 + 410, CALL);
        }
        assert!(cpu.spans.len() <= MOST);
        let (spent, inside) = cpu.spent(0, n * 1_000);
        assert_eq!((spent.blocked, spent.on_cpu), (n * 300, n * 700));
        assert_eq!(inside.unwrap().ns, n * 300);
        // A stretch that begins among those put together: how much of them lies in it is not known.
        assert!(cpu.spent(500, n * 1_000).0.unknown > 0);
    }

    proptest! {
        /// Whatever is told, the parts add up to the stretch, and little is kept.
        #[test]
        fn the_parts_add_up(
            steps in prop::collection::vec((0u8..9, 0u64..300_000, any::<bool>()), 0..900),
            from in 0u64..50_000_000,
            length in 0u64..90_000_000,
        ) {
            let (mut cpu, mut t, mut before) = (Cpu::default(), 0, 0);
            for (what, step, flag) in steps {
                t += step;
                match what {
                    0 | 1 => cpu.out(t, flag, true),
                    2 | 3 => cpu.back(t, true),
                    4 => cpu.call(before, t, CALL),
                    5 => cpu.fault(t.saturating_sub(step), t, 1, true),
                    8 => {
                        let (ran, waited) = (t / 2, t % 1_000_000);
                        cpu.count(Counters { t, ran, waited, runnable: flag }, true);
                    }
                    6 => cpu.unknown(t.saturating_sub(step), true),
                    _ => cpu.ran(t, true),
                }
                before = t;
            }
            prop_assert!(cpu.spans.len() <= MOST && cpu.faults.len() <= MOST_FAULTS);
            let (spent, inside) = cpu.spent(from, from + length);
            prop_assert_eq!(spent.total(), length);
            prop_assert!(inside.map_or(0, |b| b.ns) <= spent.blocked);
        }
    }
}
