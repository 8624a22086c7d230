//! Who made others wait: the gapless segments of a loop thread's time, and what overlaps a wait. Step: **model**.

use std::collections::VecDeque;

use super::codec::codec;
use super::facts::{Part, Range, Run, Segment};

/// Segments kept per loop thread; a wait that reaches further back is blamed for its last part only.
pub const RETAINED: usize = 16_384;

/// A segment whose blame may still grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub start: u64,
    pub end: u64,
    pub part: Part,
    /// Slot of a run's registration, else `NONE`.
    pub slot: u32,
    /// Runs of the loop finished before it, all threads.
    pub runs: u64,
    /// Waits that began before this segment and after the previous one's start, minus those that ended there.
    pub step_lo: i64,
    pub step_hi: i64,
    /// Time inside it of waits that began inside it.
    pub part_lo: u64,
    pub part_hi: u64,
}

/// The segments since the earliest instant an unserved event may have become ready.
#[derive(Clone, Debug, Default)]
pub(super) struct Retained {
    pub segments: VecDeque<Kept>,
    /// Open waits at the start of `segments[0]`, not counting its own steps.
    pub open_lo: i64,
    pub open_hi: i64,
}

codec!(Kept {
    start,
    end,
    part,
    slot,
    runs,
    step_lo,
    step_hi,
    part_lo,
    part_hi
});
codec!(Retained {
    segments,
    open_lo,
    open_hi
});

/// What ran between the run's becoming ready and its start, longest first. Each part is a range where the ready
/// time is bounded; the upper ends add up to notice + queue at most, the lower ends to notice + queue at least,
/// as far as `segments` (of the run's loop and thread, in order) reach back.
pub fn blame<'a>(segments: impl IntoIterator<Item = &'a Segment>, run: &Run) -> Vec<(Part, Range)> {
    let latest = run.ready.map_or(run.wakeup, |r| r.hi).min(run.start);
    let earliest = run.ready.map_or(run.wakeup, |r| r.lo).min(latest);
    let mut parts: Vec<(Part, Range)> = Vec::new();
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
        match parts.iter_mut().find(|(p, _)| *p == s.part) {
            Some((_, range)) => {
                range.lo += lo;
                range.hi += hi;
            }
            None => parts.push((s.part, Range { lo, hi })),
        }
    }
    parts.sort_by_key(|(_, range)| std::cmp::Reverse((range.hi, range.lo)));
    parts
}
