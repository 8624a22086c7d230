//! What a thread does on one of its loops at an instant. Step: **model**.

use super::facts::Id;

/// What a thread does on a loop right now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Lost events: not known.
    #[default]
    Unknown,
    /// Inside the wait.
    Waiting {
        /// Its entry.
        since: u64,
        /// The time-out in ns, −1 for ever.
        timeout: i64,
    },
    /// A handler runs.
    Running {
        /// The registration it serves; `None` when the model could not tell.
        reg: Option<Id>,
        /// Its start.
        since: u64,
    },
    /// A timer callback runs.
    Timer {
        /// Name id.
        name: u32,
        /// Its start.
        since: u64,
    },
    /// A task runs.
    Task {
        /// Name id.
        name: u32,
        /// Its start.
        since: u64,
    },
    /// The loop's own rest.
    Rest {
        /// Its start.
        since: u64,
    },
    /// Its turn is over, and the thread is inside the wait of another loop, outside of this one.
    Elsewhere {
        /// The entry of that wait.
        since: u64,
    },
    /// The thread has ended.
    Ended,
    /// Its turn ended with the loop: the last number of the epoll description was closed.
    Closed,
}

impl Phase {
    /// Neither asleep in a wait, of this loop or of one outside, nor over.
    pub fn in_turn(&self) -> bool {
        use Phase::{Closed, Elsewhere, Ended, Waiting};
        !matches!(self, Waiting { .. } | Elsewhere { .. } | Ended | Closed)
    }
}
