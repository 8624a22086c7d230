//! The epoll family: epoll_create(2), epoll_ctl(2), epoll_wait(2) and their kin. Step: **event** → ring.

use core::ffi::{c_int, c_void};

use crate::events::ctl;
use crate::events::fd::{self, CLOEXEC, New};
use crate::events::wait::{self, Time, Waiting, milliseconds};
use crate::memory;
use crate::next::hooks;
use crate::record::event::{FdKind, Wait};
use crate::sys::sys_call;

/// struct epoll_event: packed on x86-64 alone, so that 32-bit programs have the same.
#[repr(C)]
#[cfg_attr(target_arch = "x86_64", repr(packed))]
#[derive(Clone, Copy)]
pub struct Event {
    mask: u32,
    data: u64,
}

/// Bytes of the kernel's signal set.
const SIGNAL_SET: usize = 8;

const CTL_ADD: c_int = 1;
const CTL_MOD: c_int = 3;

/// A change with whatever call. The kernel looks at the event only to add and to change.
#[inline(always)]
pub fn changing(
    (epfd, op, fd): (c_int, c_int, c_int),
    event: *const Event,
    caller: usize,
    next: impl FnOnce() -> c_int,
) -> c_int {
    let before = match op {
        CTL_ADD | CTL_MOD => memory::before(event).map(|e| (e.mask, e.data)),
        _ => Some((0, 0)),
    };
    // SAFETY: asked for once the kernel has read it only.
    let after = || unsafe { member(event, 0) };
    ctl::changing(epfd, op, fd, before, after, caller, next)
}

/// Event `i` of a batch the kernel has just written at `events`.
///
/// # Safety
///
/// The batch has more than `i` events.
#[inline(always)]
pub unsafe fn member(events: *const Event, i: usize) -> (u32, u64) {
    // SAFETY: the caller's word.
    let event = unsafe { events.add(i).read_unaligned() };
    (event.mask, event.data)
}

/// The signals that a mask lets through while a wait lasts; 0 without one, and where it cannot be read before the kernel has.
#[inline(always)]
pub fn let_through(mask: *const c_void) -> u64 {
    match mask.is_null() {
        true => 0,
        false => memory::before(mask.cast::<u64>()).map_or(0, |blocked| !blocked),
    }
}

/// A wait with whatever call.
#[inline(always)]
pub fn waiting(
    call: Wait,
    (epfd, events, room): (c_int, *mut Event, c_int),
    timeout_ns: u64,
    lets: u64,
    caller: usize,
    next: impl FnOnce() -> c_int,
) -> c_int {
    let waiting = Waiting {
        call,
        epfd,
        room,
        timeout_ns,
        lets,
        caller,
    };
    // SAFETY: asked for the events that the wait has returned only.
    wait::waiting(waiting, next, |i| unsafe { member(events, i) })
}

hooks! {
    /// epoll_create(2)
    epoll_create(size: c_int) -> c_int,
        // The size has had no meaning since Linux 2.6.8, but must be positive.
        else if size > 0 { sys_call!(EPOLL_CREATE1, 0) } else { -22 },
        |next, caller| fd::opening(New::of(FdKind::Epoll, 0), caller, next);
    /// epoll_create1(2)
    epoll_create1(flags: c_int) -> c_int,
        else sys_call!(EPOLL_CREATE1, flags),
        |next, caller| fd::opening(New::of(FdKind::Epoll, flags & CLOEXEC), caller, next);
    /// epoll_ctl(2)
    epoll_ctl(epfd: c_int, op: c_int, fd: c_int, event: *mut Event) -> c_int,
        else sys_call!(EPOLL_CTL, epfd, op, fd, event),
        |next, caller| changing((epfd, op, fd), event, caller, next);
    /// epoll_wait(2)
    epoll_wait(epfd: c_int, events: *mut Event, room: c_int, timeout: c_int) -> c_int,
        else sys_call!(EPOLL_PWAIT, epfd, events, room, timeout, 0, SIGNAL_SET),
        |next, caller| waiting(Wait::Epoll, (epfd, events, room), milliseconds(timeout), 0, caller, next);
    /// epoll_pwait(2)
    epoll_pwait(epfd: c_int, events: *mut Event, room: c_int, timeout: c_int, mask: *const c_void) -> c_int,
        else sys_call!(EPOLL_PWAIT, epfd, events, room, timeout, mask, SIGNAL_SET),
        |next, caller| waiting(Wait::Pwait, (epfd, events, room), milliseconds(timeout), let_through(mask), caller, next);
    /// epoll_pwait2(2)
    epoll_pwait2(epfd: c_int, events: *mut Event, room: c_int, timeout: *const Time, mask: *const c_void) -> c_int,
        else sys_call!(EPOLL_PWAIT2, epfd, events, room, timeout, mask, SIGNAL_SET),
        |next, caller| waiting(Wait::Pwait2, (epfd, events, room), Time::ns_at(timeout, 1), let_through(mask), caller, next);
}
