//! Which code ran, and who waited meanwhile. Step: **model**.
//!
//! A sample says what a thread was doing at an instant. It weighs the time it stands for once for each event that was ready
//! then and not served: so code is listed by the waiting it caused and not by the CPU it used. When an event became ready is
//! known between two ends; so is the waiting.

use super::Map;
use super::facts::{Id, Run, Sink};
use super::stack::Sample;
use std::collections::VecDeque;

/// Samples of a thread that may still be weighed, some eight seconds of computing. An event that waited for longer is counted
/// against these alone.
const PENDING: usize = 8_192;
/// Threads whose samples are.
const THREADS: usize = 1_024;
/// Stacks told apart.
const STACKS: usize = 262_144;

/// A process, a stack of it (0: not known), and whether its thread slept there.
pub type Key = (Id, u32, bool);

/// What a stack did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heat {
    /// How often it was found.
    pub samples: u64,
    /// Nanoseconds on the CPU that these stand for.
    pub cpu_ns: u64,
    /// Of these, inside of the kernel.
    pub kernel_ns: u64,
    /// Nanoseconds asleep.
    pub asleep_ns: u64,
    /// Nanoseconds that events waited meanwhile, each by itself: at least, at most.
    pub waiting_ns: (u64, u64),
}

impl Heat {
    /// Takes the same of another stack in.
    pub fn add(&mut self, other: &Heat) {
        self.samples += other.samples;
        self.cpu_ns = self.cpu_ns.saturating_add(other.cpu_ns);
        self.kernel_ns = self.kernel_ns.saturating_add(other.kernel_ns);
        self.asleep_ns = self.asleep_ns.saturating_add(other.asleep_ns);
        let (least, most) = other.waiting_ns;
        self.waiting_ns.0 = self.waiting_ns.0.saturating_add(least);
        self.waiting_ns.1 = self.waiting_ns.1.saturating_add(most);
    }
}

/// A sample that may still be weighed. What changes from one to the next is kept: how many events wait, least and most.
#[derive(Clone, Copy, Debug)]
struct One {
    sample: Sample,
    change: (i64, i64),
}

/// The samples of one thread.
#[derive(Clone, Debug, Default)]
struct Thread {
    pending: VecDeque<One>,
    /// How many wait before the first of them.
    waiting: (i64, i64),
    /// The change that goes with the next one.
    owed: (i64, i64),
}

/// Listens for samples, and for the runs of events that waited. See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct Hot {
    threads: Map<Id, Thread>,
    stacks: Map<Key, Heat>,
}

impl Hot {
    /// What each stack did, once nothing more comes.
    pub fn finish(mut self) -> Vec<(Key, Heat)> {
        for thread in self.threads.values_mut() {
            thread.settle(0, &mut self.stacks);
        }
        let mut all: Vec<_> = self.stacks.into_iter().collect();
        all.sort_unstable_by_key(|(of, _)| *of);
        all
    }
}

impl Thread {
    /// Weighs the oldest samples, down to so many that are left.
    fn settle(&mut self, left: usize, stacks: &mut Map<Key, Heat>) {
        while self.pending.len() > left {
            let Some(One { sample, change }) = self.pending.pop_front() else {
                return;
            };
            self.waiting.0 += change.0;
            self.waiting.1 += change.1;
            let weight = |n: i64| sample.ns.saturating_mul(u64::try_from(n).unwrap_or(0));
            let of = |is: bool| if is { sample.ns } else { 0 };
            let heat = Heat {
                samples: u64::from(!sample.asleep),
                cpu_ns: of(!sample.asleep),
                kernel_ns: of(sample.in_kernel),
                asleep_ns: of(sample.asleep),
                waiting_ns: (weight(self.waiting.0), weight(self.waiting.1)),
            };
            let key = (sample.process, sample.stack, sample.asleep);
            // Very many: the rest are told apart no longer.
            let key = match stacks.len() >= STACKS && !stacks.contains_key(&key) {
                true => (sample.process, 0, sample.asleep),
                false => key,
            };
            stacks.entry(key).or_default().add(&heat);
        }
    }

    /// An event waited from `from` on until its run started at `to`.
    fn waited(&mut self, from: u64, to: u64, of: impl Fn(&mut (i64, i64)) -> &mut i64) {
        let place = |t: u64, all: &VecDeque<One>| all.partition_point(|one| one.sample.t < t);
        let (first, end) = (place(from, &self.pending), place(to, &self.pending));
        if first >= end {
            return;
        }
        if let Some(one) = self.pending.get_mut(first) {
            *of(&mut one.change) += 1;
        }
        let after = self.pending.get_mut(end);
        *of(after.map_or(&mut self.owed, |one| &mut one.change)) -= 1;
    }
}

impl Sink for Hot {
    fn sample(&mut self, sample: &Sample) {
        if self.threads.len() >= THREADS && !self.threads.contains_key(&sample.thread) {
            for thread in self.threads.values_mut() {
                thread.settle(0, &mut self.stacks);
            }
            self.threads.clear();
        }
        let thread = self.threads.entry(sample.thread).or_default();
        thread.settle(PENDING - 1, &mut self.stacks);
        let change = std::mem::take(&mut thread.owed);
        thread.pending.push_back(One {
            sample: *sample,
            change,
        });
    }

    fn run(&mut self, run: &Run) {
        let Some(thread) = self.threads.get_mut(&run.thread) else {
            return;
        };
        let (earliest, latest) = match run.ready {
            Some(ready) => (ready.lo.min(run.wakeup), ready.hi.min(run.wakeup)),
            None => (run.wakeup, run.wakeup),
        };
        thread.waited(latest, run.start, |change| &mut change.0);
        thread.waited(earliest, run.start, |change| &mut change.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Range;
    use proptest::prelude::*;

    fn sample(t: u64, stack: u32) -> Sample {
        Sample {
            t,
            thread: 0,
            process: 0,
            stack,
            ns: 10,
            in_kernel: stack == 2,
            asleep: stack == 4,
        }
    }

    /// An event that was ready in `lo..=hi` at the latest and served at `start`, told when it has ended.
    fn wait(lo: u64, hi: u64, start: u64) -> Run {
        Run {
            ready: Some(Range { lo, hi }),
            ..Run::sample(0, start, 0, 5)
        }
    }

    #[test]
    fn a_sample_weighs_those_who_wait() {
        let mut hot = Hot::default();
        for (t, stack) in [(100, 1), (110, 1), (120, 2)] {
            hot.sample(&sample(t, stack));
        }
        // One was ready before the second at the latest, perhaps before the first; another between second and third.
        hot.run(&wait(95, 105, 130));
        hot.run(&wait(115, 115, 130));
        hot.sample(&sample(140, 3));
        let all = hot.finish();
        let heat = |stack| all.iter().find(|(of, _)| of.1 == stack).unwrap().1;
        let of = |stack| {
            (
                heat(stack).samples,
                heat(stack).cpu_ns,
                heat(stack).waiting_ns,
            )
        };
        assert_eq!(of(1), (2, 20, (10, 20)));
        assert_eq!(of(2), (1, 10, (20, 20)));
        assert_eq!(of(3), (1, 10, (0, 0)));
        assert_eq!((heat(1).kernel_ns, heat(2).kernel_ns), (0, 10));
    }

    proptest! {
        /// The same as counting for each sample who waits.
        #[test]
        fn weights_are_counts(
            samples in prop::collection::vec((0u64..400, 1u32..5), 0..60),
            waits in prop::collection::vec((0u64..400, 0u64..50, 0u64..100), 0..60),
        ) {
            let mut hot = Hot::default();
            let mut events: Vec<(u64, Result<Sample, Run>)> = Vec::new();
            for (t, stack) in &samples {
                events.push((*t, Ok(sample(*t, *stack))));
            }
            for (lo, more, later) in &waits {
                let run = wait(*lo, lo + more, lo + more + later);
                events.push((run.end, Err(run)));
            }
            events.sort_by_key(|(t, _)| *t);
            for (_, event) in &events {
                match event {
                    Ok(sample) => hot.sample(sample),
                    Err(run) => hot.run(run),
                }
            }
            let got: Map<Key, Heat> = hot.finish().into_iter().collect();
            for stack in 1..5 {
                let mine = samples.iter().filter(|(_, of)| *of == stack);
                let mut want = (0, 0);
                for (t, _) in mine {
                    for (lo, more, later) in &waits {
                        let start = lo + more + later;
                        want.0 += u64::from(lo + more <= *t && *t < start) * 10;
                        want.1 += u64::from(lo <= t && *t < start) * 10;
                    }
                }
                let heat = got.get(&(0, stack, stack == 4)).copied().unwrap_or_default();
                prop_assert_eq!(heat.waiting_ns, want);
            }
        }
    }
}
