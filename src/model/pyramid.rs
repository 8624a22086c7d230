//! The summary pyramid: what every zoom of a time axis draws, without folding the events again.
//!
//! Buckets of 10 ms, and of four times as much on every level above. A bucket says, per loop, how its threads spent
//! the time; per loop and role, how much was run, queued and certainly waited unnoticed; and the same for the most
//! active registrations of the bucket (the others are in their role's sums only). Buckets are additive: a chunk
//! may hold more of a bucket that an earlier chunk began, so that a recording can write what it has and go on.
//! Step: trace → **model** → view.

mod bucket;

use std::collections::BTreeMap;

use self::bucket::cell;
pub use self::bucket::{Bucket, Cell, LoopCell};

use super::codec::{Codec, Cursor, put};
use super::facts::{Id, Part, Run, Segment, Sink, Turn};

/// Width of the lowest level's buckets.
pub const BASE_NS: u64 = 10_000_000;
/// How many levels: the top one's buckets are 10 ms × 4¹¹ = 11.6 hours wide.
pub const LEVELS: usize = 12;
/// Registrations told apart in one bucket.
pub const TOP: usize = 8;
/// Registrations followed while a bucket grows, before only the [`TOP`] are kept.
const FOLLOWED: usize = 32;
/// Buckets one interval is spread over at most: the last ones.
const SPREAD: u64 = 1_024;
/// Buckets kept per level; the oldest are dropped beyond (a level above still has them).
const KEPT: usize = 16_384;
/// Buckets that grow before they are handed to the level above.
const OPEN: usize = 64;

#[derive(Clone, Debug, Default)]
struct Level {
    /// Grows; not in `done` nor in the level above yet.
    open: BTreeMap<u64, Bucket>,
    done: BTreeMap<u64, Bucket>,
}

/// See the [module](self). Feed it as a [`Sink`], or with [`decode`](Self::decode).
#[derive(Clone, Debug)]
pub struct Pyramid {
    levels: Vec<Level>,
    /// Where the last interval went: nearly always where the next one goes.
    newest: u64,
}

impl Default for Pyramid {
    fn default() -> Self {
        Self {
            levels: vec![Level::default(); LEVELS],
            newest: 0,
        }
    }
}

/// The width of a level's buckets.
pub fn width(level: usize) -> u64 {
    BASE_NS << (2 * level.min(LEVELS - 1))
}

impl Pyramid {
    /// The lowest level with at most `buckets` buckets in `span`.
    pub fn level_for(span: u64, buckets: u64) -> usize {
        (0..LEVELS)
            .find(|level| span / width(*level) < buckets.max(1))
            .unwrap_or(LEVELS - 1)
    }

    /// The buckets of a level that overlap `from..until`, as (first instant, bucket), in order of time.
    pub fn buckets(
        &mut self,
        level: usize,
        from: u64,
        until: u64,
    ) -> impl Iterator<Item = (u64, &Bucket)> {
        self.close();
        let level = level.min(LEVELS - 1);
        let width = width(level);
        let last = until.div_ceil(width).max(from / width);
        self.levels[level]
            .done
            .range(from / width..last)
            .map(move |(at, bucket)| (at * width, bucket))
    }

    /// The highest level whose buckets are at most `ns` wide; the lowest if none is.
    pub fn level_within(ns: u64) -> usize {
        (0..LEVELS)
            .rev()
            .find(|level| width(*level) <= ns)
            .unwrap_or(0)
    }

    /// The instant from which on a level has everything: not 0 once old buckets have been dropped.
    pub fn since(&mut self, level: usize) -> u64 {
        self.close();
        let level = level.min(LEVELS - 1);
        match self.levels[level].done.first_key_value() {
            Some((at, _)) if self.levels[level].done.len() >= KEPT => at * width(level),
            _ => 0,
        }
    }

    /// Where in `from..until` the run of a loop that waited longest ended: the narrowest bucket known, as its first
    /// instant and the one after its last.
    pub fn worst(&mut self, loop_id: Id, from: u64, until: u64) -> Option<(u64, u64)> {
        let mut level = 0;
        while level + 1 < LEVELS && self.since(level) > from {
            level += 1;
        }
        let longest = |b: &Bucket| {
            let mine = b.roles.iter().filter(|(key, _)| key.0 == loop_id);
            mine.filter(|(_, c)| c.runs > 0)
                .map(|(_, c)| c.wait_max)
                .max()
        };
        let all = self.buckets(level, from, until);
        let all = all.filter_map(|(at, b)| Some((longest(b)?, at)));
        let (_, at) = all.max_by_key(|(wait, at)| (*wait, std::cmp::Reverse(*at)))?;
        Some((at, at + width(level)))
    }

    /// Appends everything not handed out before as a chunk, and forgets it.
    pub fn take(&mut self, out: &mut Vec<u8>) {
        self.close();
        for level in &mut self.levels {
            put(out, level.done.len() as u64);
            let mut last = 0;
            for (at, mut bucket) in std::mem::take(&mut level.done) {
                put(out, at - last);
                last = at;
                bucket.trim(TOP);
                bucket.put(out);
            }
        }
    }

    /// Adds a chunk written by [`take`](Self::take); nothing is added when it is damaged.
    pub fn decode(&mut self, bytes: &[u8]) -> Option<()> {
        let mut c = Cursor::new(bytes);
        let mut all = Vec::new();
        for level in 0..LEVELS {
            let mut at = 0u64;
            for _ in 0..c.u64()? {
                at = at.checked_add(c.u64()?)?;
                at.checked_mul(width(level))?;
                all.push((level, at, Bucket::get(&mut c)?));
            }
        }
        if !c.is_empty() {
            return None;
        }
        for (level, at, bucket) in all {
            self.levels[level].done.entry(at).or_default().add(&bucket);
        }
        self.bound();
        Some(())
    }

    /// Hands what grew to the finished buckets and to the level above.
    fn close(&mut self) {
        for level in 0..LEVELS {
            let open = std::mem::take(&mut self.levels[level].open);
            for (at, bucket) in open {
                if let Some(above) = self.levels.get_mut(level + 1) {
                    above.open.entry(at / 4).or_default().add(&bucket);
                }
                self.levels[level].done.entry(at).or_default().add(&bucket);
            }
        }
        self.bound();
    }

    fn bound(&mut self) {
        for level in &mut self.levels {
            while level.done.len() > KEPT {
                level.done.pop_first();
            }
        }
    }

    fn open(&mut self, at: u64) -> &mut Bucket {
        if at > self.newest {
            self.newest = at;
            if self.levels[0].open.len() >= OPEN {
                self.close();
            }
        }
        self.levels[0].open.entry(at).or_default()
    }

    /// Calls `add(bucket, time inside it)` for every base bucket of an interval.
    fn spread(&mut self, start: u64, end: u64, mut add: impl FnMut(&mut Bucket, u64)) {
        if start >= end {
            return;
        }
        let last = (end - 1) / BASE_NS;
        let first = (start / BASE_NS).max(last.saturating_sub(SPREAD));
        for at in first..=last {
            let from = start.max(at * BASE_NS);
            let until = end.min((at + 1) * BASE_NS);
            add(self.open(at), until.saturating_sub(from));
        }
    }
}

impl Sink for Pyramid {
    fn run(&mut self, run: &Run) {
        let (role, reg) = ((run.loop_id, run.role), (run.loop_id, run.reg));
        let both = |p: &mut Self, start, end, field: fn(&mut Cell) -> &mut u64| {
            p.spread(start, end, |bucket, ns| {
                *field(cell(&mut bucket.roles, role)) += ns;
                *field(cell(&mut bucket.regs, reg)) += ns;
                bucket.trim(FOLLOWED);
            });
        };
        both(self, run.start, run.end, |c| &mut c.run_ns);
        both(self, run.wakeup, run.start, |c| &mut c.queue_ns);
        if let Some(ready) = run.ready {
            both(self, ready.hi, run.wakeup, |c| &mut c.notice_ns);
        }
        let wait = run.waited().hi;
        let bucket = self.open(run.end / BASE_NS);
        cell(&mut bucket.spectra, run.loop_id).add(run);
        for c in [cell(&mut bucket.roles, role), cell(&mut bucket.regs, reg)] {
            c.runs += 1;
            c.wait_max = c.wait_max.max(wait);
        }
    }

    fn turn(&mut self, turn: &Turn) {
        let length = turn.end.saturating_sub(turn.start);
        let c = cell(&mut self.open(turn.end / BASE_NS).loops, turn.loop_id);
        c.turns += 1;
        c.ready += u64::from(turn.batch);
        c.turn_max = c.turn_max.max(length);
    }

    fn segment(&mut self, segment: &Segment) {
        self.spread(segment.start, segment.end, |bucket, ns| {
            let c = cell(&mut bucket.loops, segment.loop_id);
            *match segment.part {
                Part::Run(_) | Part::More(_) => &mut c.run_ns,
                Part::Tail(_) => &mut c.tail_ns,
                Part::Timer(_) => &mut c.timer_ns,
                Part::Task(_) => &mut c.task_ns,
                Part::Rest => &mut c.rest_ns,
                Part::Wait => &mut c.wait_ns,
            } += ns;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spectrum::Spectrum;
    use proptest::prelude::*;

    fn run(reg: Id, wakeup: u64, queue: u64, length: u64) -> Run {
        Run {
            role: 1,
            ..Run::sample(reg, wakeup, queue, length)
        }
    }

    /// What the spectra of a level add up to.
    fn spectrum(p: &mut Pyramid, level: usize) -> Spectrum {
        let mut sum = Spectrum::default();
        for (_, bucket) in p.buckets(level, 0, u64::MAX >> 1) {
            bucket.spectra.iter().for_each(|(_, s)| sum.merge(s));
        }
        sum
    }

    fn total(p: &mut Pyramid, level: usize) -> Cell {
        let mut sum = Cell::default();
        for (_, bucket) in p.buckets(level, 0, u64::MAX >> 1) {
            for (_, c) in &bucket.roles {
                sum.add(c);
            }
        }
        sum
    }

    proptest! {
        #[test]
        fn every_level_sums_to_the_same(runs in proptest::collection::vec((0u32..40, 0u64..3_000_000_000, 0u64..50_000_000, 0u64..50_000_000), 1..200)) {
            let mut p = Pyramid::default();
            let mut expected = Cell::default();
            let mut times = Spectrum::default();
            for (reg, wakeup, queue, length) in &runs {
                p.run(&run(*reg, *wakeup, *queue, *length));
                times.add(&run(*reg, *wakeup, *queue, *length));
                expected.runs += 1;
                expected.run_ns += length;
                expected.queue_ns += queue;
                expected.wait_max = expected.wait_max.max(*queue);
            }
            for level in 0..LEVELS {
                prop_assert_eq!(total(&mut p, level), expected);
                prop_assert_eq!(&spectrum(&mut p, level), &times);
            }
            // In two chunks it is the same pyramid.
            let mut again = Pyramid::default();
            let mut parts = Pyramid::default();
            for half in runs.chunks(runs.len().div_ceil(2)) {
                for (reg, wakeup, queue, length) in half {
                    parts.run(&run(*reg, *wakeup, *queue, *length));
                }
                let mut bytes = Vec::new();
                parts.take(&mut bytes);
                prop_assert_eq!(again.decode(&bytes), Some(()));
            }
            for level in 0..LEVELS {
                prop_assert_eq!(total(&mut again, level), expected);
                prop_assert_eq!(&spectrum(&mut again, level), &times);
            }
        }

        #[test]
        fn hostile_chunks_never_panic(bytes: Vec<u8>) {
            let _ = Pyramid::default().decode(&bytes);
        }
    }

    #[test]
    fn a_run_is_split_where_buckets_meet() {
        let mut p = Pyramid::default();
        p.run(&run(7, 4_000_000, 1_000_000, 20_000_000));
        let parts: Vec<u64> = p
            .buckets(0, 0, 30_000_000)
            .map(|(_, b)| b.regs[0].1.run_ns)
            .collect();
        assert_eq!(parts, [5_000_000, 10_000_000, 5_000_000]);
        assert_eq!(Pyramid::level_for(30_000_000, 2), 1);
    }
}
