//! Roles: what closed registrations are folded into, and how views group many fds. Step: **model**.

use std::sync::Arc;

use super::Histogram;

/// What makes a role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RoleKind {
    /// Everything without a better role, or beyond the limit of 4,096 roles.
    #[default]
    Other,
    /// A listening socket; the text is its address.
    Listener,
    /// The text is the name of the handler that serves it.
    Handler,
    /// The text is the peer's host.
    Peer,
    /// The text is the descriptor's kind.
    Kind,
}

/// A role: registrations of one listener, handler or peer host.
#[derive(Clone, Debug, Default)]
pub struct Role {
    /// What makes it.
    pub kind: RoleKind,
    /// Which one.
    pub text: Arc<str>,
    /// Closed registrations folded into the sums below (kept ones are not).
    pub folded: u64,
    /// Their reported events.
    pub ready: u64,
    /// Their handler runs.
    pub dispatched: u64,
    /// Their events the program did not reach.
    pub skipped: u64,
    /// Bytes they read.
    pub bytes_in: u64,
    /// Bytes they wrote.
    pub bytes_out: u64,
    /// Time in their handlers.
    pub run_ns: u64,
    /// Their notice time, lower bounds.
    pub notice_lo: Histogram,
    /// Their notice time, upper bounds.
    pub notice_hi: Histogram,
    /// Their queue time.
    pub queue: Histogram,
    /// Their run time.
    pub run: Histogram,
    /// What they made others wait, at least.
    pub caused_lo: u64,
    /// What they made others wait, at most.
    pub caused_hi: u64,
}
