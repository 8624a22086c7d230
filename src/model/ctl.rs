//! epoll_ctl: registrations come, change and go. Step: **model**.

use super::facts::Id;

/// A `CtlBegin` without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub op: u16,
    pub fd: i32,
    pub epfd: i32,
    pub mask: u32,
    pub data: u64,
    pub t: u64,
    /// The registration a DEL took out.
    pub reg: Option<Id>,
}
