//! How a thread spent its time where the kernel tells no switches: from what it counts of the thread, read now and then while
//! that is busy. Step: **model**.
//!
//! Between two readings of one turn so much was on CPU, so much pre-empted, and the rest asleep, nobody knows in what order.

use super::cpu::{Cpu, Off, Span, Why};

/// The counters grow while a thread runs tick by tick, of 10 ms at most: less is no sleep yet.
const COUNTED_TICK: i64 = 5_000_000;
/// Calls that are shorter are no sleep that the counters would show.
const LONG_CALL: u64 = 1_000_000;
/// A reading of what the kernel counts of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub t: u64,
    /// On a CPU, since it began.
    pub ran: u64,
    /// Ready to run and without one: up to when it last got one.
    pub waited: u64,
    /// It was running or ready to run.
    pub runnable: bool,
}

impl Counters {
    /// What they do not explain of the time since `before`: sleep, or a wait that goes on. They grow in ticks, so it may be
    /// less than none.
    fn unexplained(&self, before: &Counters) -> i64 {
        let grown =
            |now: u64, then: u64| i64::try_from(now.saturating_sub(then)).unwrap_or(i64::MAX);
        grown(self.t, before.t)
            .saturating_sub(grown(self.ran, before.ran))
            .saturating_sub(grown(self.waited, before.waited))
    }
}

/// Readings in the turn that goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// How time was spent is told up to here.
    pub first: Counters,
    /// The latest.
    pub last: Counters,
    /// What was left over of the time before.
    pub over: i64,
    /// Calls since `first` that may have been slept in: how long they were in all, the longest, and which that was.
    pub calls: u64,
    pub longest: (u64, Why),
}

impl Counted {
    /// A call lasted from `entry` to `exit`: it may be what the thread slept in.
    pub fn call(&mut self, entry: u64, exit: u64, why: Why) {
        let inside = exit.saturating_sub(entry.max(self.first.t));
        if inside >= LONG_CALL {
            self.calls = self.calls.saturating_add(inside);
        }
        if inside > self.longest.0 {
            self.longest = (inside, why);
        }
    }
}

/// In which call a thread slept for so long: in the one that lasted for most of it, in none if there was none.
pub(super) fn asleep_in(
    preempted: u64,
    slept: u64,
    calls: u64,
    (longest, call): (u64, Why),
) -> Why {
    match call {
        _ if calls < LONG_CALL => Why::Counted(preempted),
        Why::Call(op, name, fd) if longest >= slept - slept / 4 => {
            Why::CountedIn(preempted, op, name, fd)
        }
        _ => Why::CountedSomewhere(preempted),
    }
}

impl Cpu {
    /// The kernel's counters say how it spent the time since they were last read in this turn. Switch records say it better.
    pub fn count(&mut self, now: Counters, keep: bool) {
        if self.switched != 0 || self.counted.is_some_and(|c| c.last.t >= now.t) {
            return;
        }
        let unknown = match self.told {
            true => self.off.map_or(now.t, |off| off.since.min(now.t)),
            false => 0,
        };
        self.told = true;
        let from_here = |over| Counted {
            first: now,
            last: now,
            over,
            ..Counted::default()
        };
        let Some(before) = &mut self.counted else {
            self.counted = Some(from_here(0));
            self.off = Some(Off {
                since: unknown,
                why: Why::Unknown,
            });
            return;
        };
        let first = before.first;
        let rest = now.unexplained(&first).saturating_add(before.over);
        if now.runnable && now.unexplained(&before.last) >= COUNTED_TICK {
            // It may have been waiting for a CPU all the while: that is counted once it gets one.
            before.last = now;
            return;
        }
        let (calls, longest) = (before.calls, before.longest);
        let length = now.t - first.t;
        let preempted = now.waited.saturating_sub(first.waited).min(length);
        let (slept, over) = match rest >= COUNTED_TICK {
            true => ((rest as u64).min(length - preempted), 0),
            false => (0, rest.max(-2 * COUNTED_TICK)),
        };
        if keep {
            self.push(Span {
                from: unknown,
                to: first.t,
                off: first.t.saturating_sub(unknown),
                why: Why::Unknown,
            });
            self.push(Span {
                from: first.t,
                to: now.t,
                off: preempted + slept,
                why: asleep_in(preempted, slept, calls, longest),
            });
        }
        self.counted = Some(from_here(over));
        self.off = Some(Off {
            since: now.t,
            why: Why::Unknown,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::event::Op;

    const CALL: Why = Why::Call(Some(Op::Read), 0, 7);
    const MS: u64 = 1_000_000;

    fn counters(t: u64, ran: u64, waited: u64, runnable: bool) -> Counters {
        Counters {
            t,
            ran,
            waited,
            runnable,
        }
    }

    #[test]
    fn the_kernels_counters_tell_what_lies_between_two_of_their_readings() {
        let count = |cpu: &mut Cpu, [t, ran, waited]: [u64; 3], runnable| {
            cpu.count(counters(t * MS, ran * MS, waited * MS, runnable), true);
        };
        let mut cpu = Cpu::default();
        // Of the 20 ms from 10 to 30 it was 5 pre-empted and slept for 12, of those to 50 it ran for all but what is no tick.
        count(&mut cpu, [10, 100, 7], true);
        count(&mut cpu, [30, 103, 12], false);
        count(&mut cpu, [50, 119, 12], true);
        cpu.call(9 * MS, 29 * MS, CALL);
        let (spent, inside) = cpu.spent(0, 60 * MS);
        let parts = (spent.preempted, spent.blocked, spent.on_cpu, spent.unknown);
        assert_eq!(parts, (5 * MS, 12 * MS, 23 * MS, 20 * MS));
        assert_eq!(inside.map(|b| b.fd), Some(7));
        // When in between is not known.
        let (spent, _) = cpu.spent(20 * MS, 50 * MS);
        assert_eq!((spent.on_cpu, spent.unknown), (20 * MS, 10 * MS));
        // What is left over of one stretch is no sleep by itself; with more of it in the next one it is.
        count(&mut cpu, [70, 135, 12], false);
        assert_eq!(cpu.spent(50 * MS, 70 * MS).0.waiting, 8 * MS);
        // Two naps in three calls' time: in which of them is not known. A call that ended before the reading counts as well.
        cpu.call(72 * MS, 78 * MS, CALL);
        cpu.call(80 * MS, 86 * MS, CALL);
        count(&mut cpu, [90, 143, 12], false);
        assert_eq!(cpu.spent(70 * MS, 90 * MS).0.unknown, 12 * MS);
        cpu.call(92 * MS, 102 * MS, CALL);
        count(&mut cpu, [110, 153, 12], false);
        assert_eq!(cpu.spent(90 * MS, 110 * MS).0.blocked, 10 * MS);
        // A wait lies between: these two readings are of different turns.
        cpu.woke(120 * MS, 130 * MS, true);
        count(&mut cpu, [135, 160, 12], true);
        assert_eq!(cpu.spent(130 * MS, 140 * MS).0.unknown, 10 * MS);
    }

    #[test]
    fn who_is_ready_to_run_may_be_waiting_for_a_cpu_and_is_told_so_once_he_has_one() {
        let count = |cpu: &mut Cpu, [t, ran, waited]: [u64; 3]| {
            cpu.count(counters(t * MS, ran * MS, waited * MS, true), true);
        };
        let mut cpu = Cpu::default();
        count(&mut cpu, [0, 10, 0]);
        count(&mut cpu, [16, 11, 0]);
        count(&mut cpu, [32, 11, 0]);
        assert_eq!(cpu.spent(0, 32 * MS).0.unknown, 32 * MS);
        count(&mut cpu, [48, 12, 46]);
        let (spent, _) = cpu.spent(0, 48 * MS);
        assert_eq!(
            (spent.preempted, spent.on_cpu, spent.unknown),
            (46 * MS, 2 * MS, 0)
        );
    }
}
