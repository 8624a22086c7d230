//! The loop's own run queue: work put off until the handlers are done. Step: **event** → ring.
//!
//! A task is known by a number of the program's own, as a timer is.
//!
//! ```
//! use loopscope::task;
//!
//! task::queued("flush", 1);
//! // … after the handlers of this turn …
//! {
//!     let _task = task::begin("flush", 1);
//!     // the work
//! }
//! ```

use std::panic::Location;

use super::state;
use crate::record::event::{Kind, Space};
use crate::record::wire::Rec;

/// A task was put on the loop's queue, from any thread.
///
/// ```
/// loopscope::task::queued("flush", 1);
/// ```
#[inline]
#[track_caller]
pub fn queued(name: &'static str, id: u64) {
    if state::is_on() {
        push(Kind::TaskQueued, name, id, Location::caller());
    }
}

/// The loop runs a task until the guard is dropped.
///
/// ```
/// let _task = loopscope::task::begin("flush", 1);
/// ```
#[inline]
#[track_caller]
pub fn begin(name: &'static str, id: u64) -> Running {
    let running = state::is_on();
    if running {
        push(Kind::TaskBegin, name, id, Location::caller());
    }
    Running { id, running }
}

/// A task that runs; see [`begin`].
#[derive(Debug)]
#[must_use = "the task ends when this is dropped"]
pub struct Running {
    id: u64,
    running: bool,
}

impl Drop for Running {
    #[inline]
    fn drop(&mut self) {
        if self.running {
            push(Kind::TaskEnd, "", self.id, Location::caller());
        }
    }
}

#[inline(never)]
fn push(kind: Kind, name: &'static str, id: u64, at: &'static Location<'static>) {
    let Some(here) = state::here() else { return };
    let x = if name.is_empty() {
        0
    } else {
        here.name(Space::Task, name)
    };
    let site = if kind == Kind::TaskEnd {
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
        site,
        ..Rec::default()
    });
}
