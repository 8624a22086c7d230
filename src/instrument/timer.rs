//! The loop's own timers: armed for when, taken back, fired when. Step: **event** → ring.
//!
//! A timer is known by a number of the program's own: an index into its wheel, a connection's token. Nothing here
//! keeps time; the program says what it does.
//!
//! ```
//! use loopscope::timer;
//! use std::time::{Duration, Instant};
//!
//! let every = Duration::from_millis(100);
//! timer::armed("heartbeat", 1, Instant::now() + every);
//! // … the wait times out …
//! {
//!     let _fired = timer::fired("heartbeat", 1);
//!     // the callback
//! }
//! timer::cancelled(1);
//! ```

use std::panic::Location;
use std::time::Instant;

use super::side::push;
use super::state;
use crate::record::event::{Kind, Space};

/// A timer was armed for `deadline`, or moved to it.
///
/// ```
/// use std::time::{Duration, Instant};
/// loopscope::timer::armed("idle", 7, Instant::now() + Duration::from_secs(30));
/// ```
#[inline]
#[track_caller]
pub fn armed(name: &'static str, id: u64, deadline: Instant) {
    if state::is_on() {
        let left = deadline
            .saturating_duration_since(Instant::now())
            .as_nanos();
        let left = u64::try_from(left).unwrap_or(u64::MAX);
        let name = Some((Space::Timer, name));
        push(Kind::TimerArm, name, id, Some(left), Location::caller());
    }
}

/// A timer was taken back before it fired.
///
/// ```
/// loopscope::timer::cancelled(7);
/// ```
#[inline]
#[track_caller]
pub fn cancelled(id: u64) {
    if state::is_on() {
        push(Kind::TimerCancel, None, id, None, Location::caller());
    }
}

/// A timer fires: its callback runs until the guard is dropped.
///
/// ```
/// let _fired = loopscope::timer::fired("idle", 7);
/// ```
#[inline]
#[track_caller]
pub fn fired(name: &'static str, id: u64) -> Fired {
    let running = state::is_on();
    if running {
        let name = Some((Space::Timer, name));
        push(Kind::TimerBegin, name, id, None, Location::caller());
    }
    Fired { id, running }
}

/// A timer's callback that runs; see [`fired`].
#[derive(Debug)]
#[must_use = "the callback ends when this is dropped"]
pub struct Fired {
    id: u64,
    running: bool,
}

impl Drop for Fired {
    #[inline]
    fn drop(&mut self) {
        if self.running {
            push(Kind::TimerEnd, None, self.id, None, Location::caller());
        }
    }
}
