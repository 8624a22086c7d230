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

use super::state;
use crate::record::event::{Kind, Space};
use crate::record::wire::Rec;

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
        push(Kind::TimerCancel, "", id, None, Location::caller());
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
            push(Kind::TimerEnd, "", self.id, None, Location::caller());
        }
    }
}

#[inline(never)]
fn push(kind: Kind, name: &'static str, id: u64, y: Option<u64>, at: &'static Location<'static>) {
    let Some(here) = state::here() else { return };
    let x = if name.is_empty() {
        0
    } else {
        here.name(Space::Timer, name)
    };
    let site = if kind == Kind::TimerEnd {
        0
    } else {
        here.site(at)
    };
    here.push(&Rec {
        ticks: here.now(),
        kind,
        fd: here.epfd(),
        x,
        arg: id,
        y,
        site,
        ..Rec::default()
    });
}
