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
/// The same where a ring that fills up wakes us, and none does.
#[cfg(feature = "cli")] // only a session's collector is woken
const CALM: Duration = Duration::from_millis(8);
/// As much of a ring, in 1/256, as may fill in a pause: a quarter of the quarter at which it wakes us.
#[cfg(feature = "cli")]
const CALM_FILL: u32 = 16;
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

    /// The pause for a collector that is woken when a ring fills up: while events come, as long as lets the fullest ring
    /// fill by no more than [`CALM_FILL`] at the rate of the pause `before`. A pass costs as much as hundreds of events.
    #[cfg(feature = "cli")]
    pub(super) fn calm_pause(&self, before: Duration) -> Duration {
        if self.pause != SHORTEST {
            return self.pause;
        }
        let fill = u32::try_from(self.fullest).unwrap_or(u32::MAX).max(1);
        (before.max(SHORTEST) * CALM_FILL / fill).clamp(SHORTEST, CALM)
    }
}

/// Keeps a collector that is served before everybody else from being the only one that is.
#[cfg(feature = "cli")] // only a session's collector is
#[derive(Debug, Default)]
pub(super) struct Breath {
    /// When it last paused, in nanoseconds since the recording's start.
    rested: u64,
}

#[cfg(feature = "cli")]
impl Breath {
    /// Passes follow each other without a pause for no longer than this.
    const LONGEST: u64 = 20_000_000;
    /// In this time a program fills an eighth of its ring, at its fastest.
    const PAUSE: Duration = Duration::from_millis(1);

    /// The pause that is made, where this one is wanted.
    pub(super) fn taken(&mut self, wanted: Duration, now: u64) -> Duration {
        let breathless = now.saturating_sub(self.rested) >= Self::LONGEST;
        if wanted.is_zero() && !breathless {
            return wanted;
        }
        self.rested = now;
        wanted.max(Self::PAUSE)
    }
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// What comes of passes that each find the fullest ring so full, in 1/256 for each millisecond of the pause before.
    fn settled(a_ms: u64) -> Duration {
        let mut pause = SHORTEST;
        let mut calm = SHORTEST;
        for _ in 0..8 {
            let fullest = a_ms * calm.as_millis() as u64;
            let mut pass = Pass {
                records: 1000,
                fullest,
                ..Pass::default()
            };
            pause = pass.next_pause(pause);
            pass.pause = pause;
            calm = pass.calm_pause(calm);
        }
        calm
    }

    #[test]
    fn passes_are_rare_while_no_ring_fills_up() {
        assert_eq!(settled(0), CALM);
        assert_eq!(settled(2), CALM);
        assert_eq!(settled(4), ms(4));
        assert_eq!(settled(8), SHORTEST);
        assert_eq!(settled(20), SHORTEST);
    }

    #[test]
    fn a_ring_that_never_empties_leaves_time_for_others() {
        let mut breath = Breath::default();
        let (mut now, mut rests) = (0, 0);
        while now < 1_000_000_000 {
            let pause = breath.taken(Duration::ZERO, now);
            rests += u32::from(!pause.is_zero());
            now += 900_000 + pause.as_nanos() as u64;
        }
        assert!((40..60).contains(&rests), "{rests}");
        // Any other pause is one.
        assert_eq!(breath.taken(CALM, now), CALM);
        assert_eq!(
            breath.taken(Duration::ZERO, now + Breath::LONGEST / 2),
            Duration::ZERO
        );
    }

    #[test]
    fn a_ring_that_fills_up_and_one_that_is_silent_are_not_slept_over() {
        let full = Pass {
            records: 1000,
            fullest: 64,
            pause: Duration::ZERO,
            ..Pass::default()
        };
        assert_eq!(full.calm_pause(CALM), Duration::ZERO);
        let silent = Pass {
            pause: LONGEST,
            ..Pass::default()
        };
        assert_eq!(silent.calm_pause(CALM), LONGEST);
        // After a silence, whatever its length, a ring that hardly fills.
        let waking = Pass {
            records: 20,
            pause: SHORTEST,
            ..Pass::default()
        };
        assert_eq!(waking.calm_pause(LONGEST), CALM);
    }
}
