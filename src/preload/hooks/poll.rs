//! poll(2), ppoll(2), select(2) and pselect(2): loops that hand the kernel their whole list on every call.
//! Step: **event** → ring.

use core::ffi::{c_int, c_ulong, c_void};
use core::ptr;

use crate::events::peek;
use crate::events::wait::{self, FOR_EVER, Time, Waiting, milliseconds};
use crate::next::hooks;
use crate::record::event::Wait;
use crate::sys::sys_call;

/// struct pollfd
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PollFd {
    fd: c_int,
    events: u16,
    revents: u16,
}

/// fd_set, as far as one looks at it: 64 descriptors a word.
pub type Set = *mut c_ulong;

/// Masks that stand for the three sets of select(2).
const IN: u32 = 1;
const PRI: u32 = 2;
const OUT: u32 = 4;

/// A poll with whatever call.
#[inline(always)]
pub fn polling(
    call: Wait,
    fds: *mut PollFd,
    count: c_ulong,
    timeout_ns: u64,
    caller: usize,
    next: impl FnOnce() -> c_int,
) -> c_int {
    let waiting = Waiting {
        call,
        epfd: -1,
        room: c_int::try_from(count).unwrap_or(c_int::MAX),
        timeout_ns,
        lets: 0,
        caller,
    };
    wait::scanning(waiting, next, |each| {
        for i in 0..count as usize {
            // SAFETY: poll has returned events, so it has read and written all `count` of them.
            let p = unsafe { fds.add(i).read_unaligned() };
            if p.revents != 0 && !each(p.revents.into(), p.fd) {
                return;
            }
        }
    })
}

/// A select with whatever call. The batch names a descriptor once for each set it is in, as the result counts.
#[inline(always)]
pub fn selecting(
    call: Wait,
    count: c_int,
    sets: [Set; 3],
    timeout_ns: u64,
    caller: usize,
    next: impl FnOnce() -> c_int,
) -> c_int {
    let waiting = Waiting {
        call,
        epfd: -1,
        room: count,
        timeout_ns,
        lets: 0,
        caller,
    };
    wait::scanning(waiting, next, |each| {
        let words = usize::try_from(count).unwrap_or(0).div_ceil(64);
        for word in 0..words {
            let bits = sets.map(|set| match set.is_null() {
                true => 0,
                // SAFETY: select has written each set, in whole words, up to the last descriptor that is ready. Further
                // it may have stopped short of `count`: at the highest number the process ever had.
                false => unsafe { set.add(word).read_unaligned() },
            });
            let mut any = bits.iter().fold(0, |all, set| all | set);
            while any != 0 {
                let bit = any.trailing_zeros();
                any &= any - 1;
                for (set, mask) in bits.iter().zip([IN, OUT, PRI]) {
                    if set >> bit & 1 != 0 && !each(mask, (word * 64) as c_int + bit as c_int) {
                        return;
                    }
                }
            }
        }
    })
}

/// A time-out that libc's function reads by itself, as those of ppoll(3) and pselect(3) do.
///
/// # Safety
///
/// `time` is null or what the program passes to one of them.
unsafe fn ns(time: *const Time) -> u64 {
    // SAFETY: the caller's word.
    unsafe { peek(time) }.map_or(FOR_EVER, |t| t.ns(1))
}

/// ppoll(2) and pselect(2) keep the program's time-out as it was; the kernel writes the rest of it back.
///
/// # Safety
///
/// As [`ns`].
unsafe fn copied(time: *const Time) -> Option<Time> {
    // SAFETY: the caller's word.
    unsafe { peek(time) }
}

fn pointer(time: &mut Option<Time>) -> *mut Time {
    time.as_mut().map_or(ptr::null_mut(), ptr::from_mut)
}

/// The signal mask as pselect6(2) wants it.
#[repr(C)]
struct Mask(*const c_void, usize);

const SIGNAL_SET: usize = 8;

hooks! {
    /// poll(2)
    poll(fds: *mut PollFd, count: c_ulong, timeout: c_int) -> c_int,
        else {
            let mut time = (timeout >= 0).then(|| Time::of_ms(timeout));
            sys_call!(PPOLL, fds, count, pointer(&mut time), 0, SIGNAL_SET)
        },
        |next, caller| polling(Wait::Poll, fds, count, milliseconds(timeout), caller, next);
    /// poll(2), fortified
    __poll_chk(fds: *mut PollFd, count: c_ulong, timeout: c_int, room: usize) -> c_int,
        else {
            let mut time = (timeout >= 0).then(|| Time::of_ms(timeout));
            sys_call!(PPOLL, fds, count, pointer(&mut time), 0, SIGNAL_SET)
        },
        |next, caller| polling(Wait::Poll, fds, count, milliseconds(timeout), caller, next);
    /// ppoll(2)
    ppoll(fds: *mut PollFd, count: c_ulong, timeout: *const Time, mask: *const c_void) -> c_int,
        else sys_call!(PPOLL, fds, count, pointer(&mut copied(timeout)), mask, SIGNAL_SET),
        |next, caller| {
            // SAFETY: the program passes it to the kernel.
            let time = unsafe { ns(timeout) };
            polling(Wait::Ppoll, fds, count, time, caller, next)
        };
    /// ppoll(2), fortified
    __ppoll_chk(fds: *mut PollFd, count: c_ulong, timeout: *const Time, mask: *const c_void, room: usize) -> c_int,
        else sys_call!(PPOLL, fds, count, pointer(&mut copied(timeout)), mask, SIGNAL_SET),
        |next, caller| {
            // SAFETY: the program passes it to the kernel.
            let time = unsafe { ns(timeout) };
            polling(Wait::Ppoll, fds, count, time, caller, next)
        };
    /// select(2)
    select(count: c_int, read: Set, write: Set, except: Set, timeout: *mut Time) -> c_int,
        else {
            let mut time = copied(timeout).map(Time::to_timespec);
            sys_call!(PSELECT6, count, read, write, except, pointer(&mut time), 0)
        },
        |next, caller| {
            let time = Time::ns_at(timeout, 1_000);
            selecting(Wait::Select, count, [read, write, except], time, caller, next)
        };
    /// pselect(2)
    pselect(count: c_int, read: Set, write: Set, except: Set, timeout: *const Time, mask: *const c_void) -> c_int,
        else {
            let with = Mask(mask, SIGNAL_SET);
            sys_call!(PSELECT6, count, read, write, except, pointer(&mut copied(timeout)), &raw const with)
        },
        |next, caller| {
            // SAFETY: the program passes it to the kernel.
            let time = unsafe { ns(timeout) };
            selecting(Wait::Pselect, count, [read, write, except], time, caller, next)
        };
}
