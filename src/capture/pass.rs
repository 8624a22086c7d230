//! One pass over the rings: what it did, and how soon the next is worth making. Step: **ring** → trace.
#![forbid(unsafe_code)]

use crate::record::ring::Drained;
use std::time::Duration;

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Records taken out of rings.
    pub records: u64,
    /// The fullest ring, in 1/256.
    pub fullest: u64,
    /// Threads whose end was noticed.
    pub ended: u64,
    /// How long the next pass can wait.
    pub pause: Duration,
    /// Now, in nanoseconds since the recording's start.
    pub now: u64,
}

/// The longest pause, when nothing happens: 15 passes a second.
const LONGEST: Duration = Duration::from_millis(64);
/// The pause while events come.
pub(super) const SHORTEST: Duration = Duration::from_millis(2);
/// The pause when records have been taken out but not yet released.
pub(super) const HOLDING: Duration = Duration::from_millis(16);

impl Pass {
    pub(super) fn add(&mut self, done: &Drained, capacity: u64) {
        self.records += done.records;
        self.fullest = self.fullest.max(done.slots * 256 / capacity);
    }

    /// Passes follow the events: at once when a ring fills up, every 2 ms while events come, 15 a second when none do.
    pub(super) fn next_pause(&self, before: Duration) -> Duration {
        if self.fullest >= 64 {
            Duration::ZERO
        } else if self.records >= 16 {
            SHORTEST
        } else {
            (before.max(SHORTEST) * 2).min(LONGEST)
        }
    }
}
