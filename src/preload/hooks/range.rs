//! Calls that close many descriptors at once. Step: **event** → ring.

use core::ffi::{c_int, c_uint};

use crate::events::fd::closing_range;
use crate::next::{hooks, libc_hooks};
use crate::sys::sys_call;

/// CLOSE_RANGE_CLOEXEC: marks, closes nothing.
const CLOSE_RANGE_CLOEXEC: c_int = 4;
/// With CLOSE_RANGE_UNSHARE: the flags there are.
const CLOSE_RANGE_FLAGS: c_int = 2 | CLOSE_RANGE_CLOEXEC;

/// Told before the call, as every end is. The kernel refuses a range upside down and flags it does not know; a kernel
/// that does not know the call leaves the program to close them one by one, which ends them all the same.
pub fn closing(
    first: c_uint,
    last: c_uint,
    flags: c_int,
    caller: usize,
    next: impl FnOnce() -> c_int,
) -> c_int {
    if first <= last && flags & !CLOSE_RANGE_FLAGS == 0 && flags & CLOSE_RANGE_CLOEXEC == 0 {
        closing_range(first, last, caller);
    }
    next()
}

hooks! {
    /// close_range(2)
    close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int,
        else sys_call!(CLOSE_RANGE, first, last, flags),
        |next, caller| closing(first, last, flags, caller, next);
}

mod libc {
    //! closefrom(3) answers nothing, which to a caller is the same as an integer it does not look at.

    use super::*;

    libc_hooks! {
        /// closefrom(3)
        closefrom(first: c_int) -> c_int,
            |next, caller| {
                closing_range(first.max(0) as u32, u32::MAX, caller);
                next()
            };
    }
}

/// The next functions of both kinds.
pub const TABLES: [crate::next::Table; 2] = [TABLE, libc::TABLE];
