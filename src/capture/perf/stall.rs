//! When samples are taken. Step: event → **ring** → trace.
//!
//! A clock that is to find a thread is set and taken back with every switch: a loop that sleeps a hundred thousand times a second
//! pays a tenth of its time for that. So it goes only while some thread computes for long, and a second more; a healthy loop
//! is not sampled.
#![forbid(unsafe_code)]

use super::record::{Record, Said};
use std::collections::HashMap;

/// When samples are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampling {
    /// Never.
    Off,
    /// While a thread computes for long.
    #[default]
    Stalls,
    /// All the time.
    Always,
}

/// A thread that has had its CPU for so many nanoseconds without a word computes for long.
const LONG: u64 = 4_000_000;
/// Samples are taken for so long after the last such thread.
const HOLD: u64 = 1_000_000_000;
/// Threads remembered.
const MOST: usize = 65_536;

/// How long a thread has had its CPU since it last said something or slept.
#[derive(Clone, Copy, Debug, Default)]
struct Computing {
    /// It has it since then.
    since: Option<u64>,
    /// Before that.
    sum: u64,
}

/// Who computes, as switch records tell. Instants are CLOCK_MONOTONIC.
#[derive(Debug, Default)]
pub struct Awake {
    threads: HashMap<u64, Computing>,
    until: u64,
}

impl Awake {
    /// Takes in what the kernel tells of a thread.
    pub fn take(&mut self, record: &Record) {
        let Record {
            time,
            who,
            ref said,
        } = *record;
        match said {
            Said::In if self.threads.len() < MOST || self.threads.contains_key(&who) => {
                self.threads.entry(who).or_default().since = Some(time);
            }
            Said::Out { preempted: true } => {
                if let Some(thread) = self.threads.get_mut(&who) {
                    let had = thread
                        .since
                        .take()
                        .map_or(0, |since| time.saturating_sub(since));
                    thread.sum = thread.sum.saturating_add(had);
                }
            }
            Said::Out { preempted: false } => _ = self.threads.remove(&who),
            _ => {}
        }
    }

    /// Whether samples are worth taking. `threads` are those that push, and whether they have said nothing since the last
    /// time.
    pub fn computes(&mut self, now: u64, threads: impl Iterator<Item = (u64, bool)>) -> bool {
        for (who, silent) in threads {
            let Some(thread) = self.threads.get_mut(&who) else {
                continue;
            };
            if !silent {
                thread.sum = 0;
                thread.since = thread.since.map(|_| now);
                continue;
            }
            let since = thread.since.unwrap_or(now);
            if thread.sum.saturating_add(now.saturating_sub(since)) >= LONG {
                self.until = now.saturating_add(HOLD);
            }
        }
        now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn told(awake: &mut Awake, time: u64, who: u64, said: Said) {
        awake.take(&Record { time, who, said });
    }

    #[test]
    fn who_computes_for_long_is_sampled_and_for_a_while_after() {
        let mut awake = Awake::default();
        told(&mut awake, 0, 1, Said::In);
        assert!(!awake.computes(3 * MS, [(1, true)].into_iter()));
        // A word: it begins anew.
        assert!(!awake.computes(5 * MS, [(1, false)].into_iter()));
        assert!(!awake.computes(8 * MS, [(1, true)].into_iter()));
        assert!(awake.computes(9 * MS, [(1, true)].into_iter()));
        let end = 9 * MS + HOLD;
        told(&mut awake, 10 * MS, 1, Said::Out { preempted: false });
        assert!(awake.computes(end - 1, [(1, true)].into_iter()));
        assert!(!awake.computes(end, [(1, true)].into_iter()));
    }

    #[test]
    fn who_sleeps_or_has_no_cpu_does_not_compute() {
        let mut awake = Awake::default();
        let off = |preempted| Said::Out { preempted };
        for (time, said) in [(0, Said::In), (2 * MS, off(true)), (90 * MS, Said::In)] {
            told(&mut awake, time, 1, said);
        }
        assert!(!awake.computes(91 * MS, [(1, true), (7, true)].into_iter()));
        told(&mut awake, 91 * MS, 1, off(true));
        assert!(!awake.computes(95 * MS, [(1, true)].into_iter()));
        // What it had before it was pre-empted counts.
        told(&mut awake, 96 * MS, 1, Said::In);
        assert!(awake.computes(97 * MS, [(1, true)].into_iter()));
    }
}
