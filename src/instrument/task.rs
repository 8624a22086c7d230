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

use super::side::push;
use super::state;
use crate::record::event::{Kind, Space};

/// A task was put on the loop's queue, from any thread.
///
/// ```
/// loopscope::task::queued("flush", 1);
/// ```
#[inline]
#[track_caller]
pub fn queued(name: &'static str, id: u64) {
    if state::is_on() {
        let name = Some((Space::Task, name));
        push(Kind::TaskQueued, name, id, None, Location::caller());
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
        let name = Some((Space::Task, name));
        push(Kind::TaskBegin, name, id, None, Location::caller());
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
            push(Kind::TaskEnd, None, self.id, None, Location::caller());
        }
    }
}
