//! Who made others wait: the gapless segments of a loop thread's time, and what overlaps a wait. Step: **model**.

use std::collections::{HashMap, VecDeque};

use super::codec::{Codec, Cursor, codec};
use super::facts::{Id, Part, Range, Run, Segment};

/// Segments kept per loop thread; a wait that reaches further back is blamed for its last part only.
pub const RETAINED: usize = 4_096;

/// A segment whose blame may still grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub start: u64,
    pub end: u64,
    pub part: Part,
    /// Slot of a run's registration, else `NONE`.
    pub slot: u32,
    /// Waits that cover it from its start on, minus those that did so before: the difference array.
    step: [i64; 2],
    /// Time inside it of waits that began inside it, minus what is the waiting registration's own run.
    inside: [i64; 2],
    /// What has been added to the totals.
    given: [i64; 2],
    /// Time the thread spent in waits before this segment, since it was first followed.
    slept: u64,
}

/// The segments since the earliest instant an unserved event may have become ready. Every wait ends at the end of
/// the last segment (a run is settled before its own segment is pushed), so one number per wait and bound is enough.
#[derive(Clone, Debug, Default)]
pub(super) struct Retained {
    segments: VecDeque<Kept>,
    /// Waits that cover the start of `segments[0]`, its own step not counted.
    open: [i64; 2],
    /// Steps for the segment pushed next: the waits that ended.
    ended: [i64; 2],
    /// Segments pushed since the totals were last brought up to date.
    fresh: u32,
    /// Time spent in waits so far.
    slept: u64,
    /// Segments dropped so far, and by bound where the last search ended, counted from the very first segment.
    dropped: u64,
    found: [u64; 2],
}

codec!(Kept {
    start,
    end,
    part,
    slot,
    step,
    inside,
    given,
    slept
});
impl Codec for Retained {
    fn put(&self, out: &mut Vec<u8>) {
        self.segments.put(out);
        self.open.put(out);
        self.ended.put(out);
        self.fresh.put(out);
        self.slept.put(out);
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        Some(Self {
            segments: Codec::get(c)?,
            open: Codec::get(c)?,
            ended: Codec::get(c)?,
            fresh: Codec::get(c)?,
            slept: Codec::get(c)?,
            dropped: 0,
            found: [0; 2],
        })
    }
}

impl Retained {
    /// Appends the next segment; segments are gapless unless events were lost.
    pub fn push(&mut self, start: u64, end: u64, part: Part, slot: u32) {
        let step = std::mem::take(&mut self.ended);
        self.fresh = self.fresh.saturating_add(1);
        self.segments.push_back(Kept {
            start,
            end,
            part,
            slot,
            step,
            inside: [0; 2],
            given: [0; 2],
            slept: self.slept,
        });
        if part == Part::Wait {
            self.slept = self.slept.saturating_add(end.saturating_sub(start));
        }
    }

    /// The place of the first segment that ends after `from`, where a wait begins. Those of one batch mostly begin
    /// together, so the last answer for a bound is tried first.
    #[inline]
    fn since(&mut self, from: u64, bound: usize) -> usize {
        let ends_after = |at: usize| self.segments.get(at).is_none_or(|s| s.end > from);
        let at = self.found[bound].wrapping_sub(self.dropped) as usize;
        if at <= self.segments.len() && ends_after(at) && (at == 0 || !ends_after(at - 1)) {
            return at;
        }
        let at = self.search(from);
        self.found[bound] = self.dropped + at as u64;
        at
    }

    /// The same, searched from the last segment back in growing steps: waits are recent.
    fn search(&self, from: u64) -> usize {
        let mut high = self.segments.len();
        let (mut low, mut step) = (high, 1);
        while low > 0 {
            low = high.saturating_sub(step);
            if self.segments[low].end <= from {
                low += 1;
                break;
            }
            high = low;
            step *= 2;
        }
        while low < high {
            let middle = (low + high) / 2;
            match self.segments[middle].end <= from {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    /// How much of the time since `from` went into waits, as far as segments are kept.
    pub fn asleep_since(&mut self, from: u64) -> u64 {
        let first = self.since(from, 1);
        let Some(s) = self.segments.get(first) else {
            return 0;
        };
        let before = match s.part {
            Part::Wait => s.slept.saturating_add(from.saturating_sub(s.start)),
            _ => s.slept,
        };
        self.slept.saturating_sub(before)
    }

    /// A wait of `slot` from `from[bound]` to the end of the last segment. `own` are the pieces of its own last run,
    /// which are not its waiting for anybody; without them all of its own segments are looked for. True if it reached
    /// further back than what is kept.
    pub fn wait(
        &mut self,
        from: [u64; 2],
        slot: u32,
        own: Option<impl Iterator<Item = (u64, u64)> + Clone>,
    ) -> bool {
        let mut clipped = false;
        let len = self.segments.len();
        for (bound, from) in from.into_iter().enumerate() {
            let first = self.since(from, bound);
            let Some(s) = self.segments.get_mut(first) else {
                continue;
            };
            clipped |= first == 0 && from < s.start;
            let mut whole = first;
            if from > s.start {
                s.inside[bound] = s.inside[bound].saturating_add((s.end - from) as i64);
                whole += 1;
            }
            if whole < len {
                let s = &mut self.segments[whole].step[bound];
                *s = s.saturating_add(1);
                self.ended[bound] = self.ended[bound].saturating_sub(1);
            }
            let Some(own) = own.clone() else {
                let mine = self.segments.range_mut(first..);
                for s in mine.filter(|s| s.slot == slot) {
                    let own = s.end.saturating_sub(s.start.max(from)) as i64;
                    s.inside[bound] = s.inside[bound].saturating_sub(own);
                }
                continue;
            };
            for (start, end) in own.filter(|(_, end)| *end > from) {
                let at = self.search(start);
                if let Some(s) = self.segments.get_mut(at).filter(|s| s.slot == slot) {
                    let start = start.max(from).max(s.start);
                    let own = end.min(s.end).saturating_sub(start) as i64;
                    s.inside[bound] = s.inside[bound].saturating_sub(own);
                }
            }
        }
        clipped
    }

    /// Calls `give(part, slot, [lo, hi])` with what was caused and not yet given, and drops the segments that end
    /// before `horizon` and those beyond [`RETAINED`].
    pub fn settle(&mut self, horizon: u64, mut give: impl FnMut(Part, u32, [i64; 2])) {
        self.fresh = 0;
        let mut open = self.open;
        let mut dropped = 0;
        let excess = self.segments.len().saturating_sub(RETAINED);
        for (i, s) in self.segments.iter_mut().enumerate() {
            let mut new = [0; 2];
            for bound in 0..2 {
                open[bound] = open[bound].saturating_add(s.step[bound]);
                let length = s.end.saturating_sub(s.start) as i64;
                let total = open[bound]
                    .saturating_mul(length)
                    .saturating_add(s.inside[bound]);
                new[bound] = total.saturating_sub(s.given[bound]);
                s.given[bound] = total;
            }
            if new != [0; 2] {
                give(s.part, s.slot, new);
            }
            if i == dropped && (s.end <= horizon || i < excess) {
                dropped += 1;
                self.open = open;
            }
        }
        self.segments.drain(..dropped);
        self.dropped += dropped as u64;
    }

    /// It is time to bring the totals up to date: the work is paid for by the segments pushed since.
    pub fn is_due(&self) -> bool {
        self.segments.len() <= 64 || self.fresh as usize * 2 >= self.segments.len()
    }

    /// A turn without an end in sight has left so many segments that they must be brought up to date within it.
    pub fn is_crowded(&self) -> bool {
        self.segments.len() >= 2 * RETAINED
    }

    /// Forgets everything: lost events left a gap.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// What ran between the run's becoming ready and its start, longest first. Each part is a range where the ready
/// time is bounded; the upper ends add up to notice + queue at most, the lower ends to notice + queue at least,
/// as far as `segments` (of the run's loop and thread, in order) reach back.
pub fn blame<'a>(segments: impl IntoIterator<Item = &'a Segment>, run: &Run) -> Vec<(Part, Range)> {
    let (earliest, latest) = ready(run);
    let mut parts: Vec<(Part, Range)> = Vec::new();
    let mut places: HashMap<Part, usize, foldhash::fast::FixedState> = HashMap::default();
    for s in segments {
        if s.loop_id != run.loop_id || s.thread != run.thread {
            continue;
        }
        let end = s.end.min(run.start);
        let lo = end.saturating_sub(s.start.max(latest));
        let hi = end.saturating_sub(s.start.max(earliest));
        if hi == 0 {
            continue;
        }
        let place = *places.entry(s.part).or_insert_with(|| {
            parts.push((s.part, Range { lo: 0, hi: 0 }));
            parts.len() - 1
        });
        let range = &mut parts[place].1;
        range.lo += lo;
        range.hi += hi;
    }
    parts.sort_by_key(|(_, range)| std::cmp::Reverse((range.hi, range.lo)));
    parts
}

/// When it became ready: not before, and not after.
fn ready(run: &Run) -> (u64, u64) {
    let latest = run.ready.map_or(run.wakeup, |r| r.hi).min(run.start);
    (run.ready.map_or(run.wakeup, |r| r.lo).min(latest), latest)
}

/// Of a thread that sleeps in the calls themselves, each of which asks for one descriptor: for whom it slept between the
/// run's becoming ready and its start, longest first; together they are what [`blame`] has as [`Part::Wait`]. A call
/// was for the one whose run follows; the last one is the run's own.
pub fn asleep<'a>(segments: impl IntoIterator<Item = &'a Segment>, run: &Run) -> Vec<(Id, Range)> {
    let (earliest, latest) = ready(run);
    let mut all: Vec<(Id, Range)> = Vec::new();
    let mut open = Range { lo: 0, hi: 0 };
    let mut slept_for = |id: Id, slept: Range| match all.iter_mut().find(|(who, _)| *who == id) {
        _ if slept.hi == 0 => {}
        Some((_, range)) => {
            range.lo += slept.lo;
            range.hi += slept.hi;
        }
        None => all.push((id, slept)),
    };
    let here = |s: &&Segment| s.loop_id == run.loop_id && s.thread == run.thread;
    for s in segments.into_iter().filter(here) {
        match s.part {
            Part::Wait => {
                let end = s.end.min(run.start);
                open.lo += end.saturating_sub(s.start.max(latest));
                open.hi += end.saturating_sub(s.start.max(earliest));
            }
            Part::Run(id) | Part::More(id) => {
                slept_for(id, std::mem::replace(&mut open, Range { lo: 0, hi: 0 }));
            }
            _ => {}
        }
    }
    slept_for(run.reg, open);
    all.sort_by_key(|(_, range)| std::cmp::Reverse((range.hi, range.lo)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ann is served at 100 and 300 by a thread that sleeps for her in between; bob, ready at 20, is served at 310.
    #[test]
    fn a_thread_sleeps_for_the_one_it_serves_next() {
        let segment = |start, end, part| Segment {
            loop_id: 0,
            thread: 0,
            start,
            end,
            part,
        };
        let (ann, bob) = (7, 8);
        let segments = [
            segment(0, 100, Part::Wait),
            segment(100, 110, Part::Run(ann)),
            segment(110, 298, Part::Wait),
            segment(298, 300, Part::Rest),
            segment(300, 305, Part::Run(ann)),
            segment(305, 310, Part::Wait),
            segment(310, 320, Part::Run(bob)),
        ];
        let run = Run {
            turn: 3,
            ready: Some(Range { lo: 20, hi: 30 }),
            bypassed: 2,
            ..Run::sample(bob, 310, 0, 10)
        };
        let asleep = asleep(&segments, &run);
        let of = |lo, hi| Range { lo, hi };
        assert_eq!(asleep, [(ann, of(70 + 188, 80 + 188)), (bob, of(5, 5))]);
        let whole = blame(&segments, &run);
        assert_eq!(whole[0], (Part::Wait, of(70 + 193, 80 + 193)));
    }
}
