//! What a call becomes, by family; each is the same record that the library makes of it. Step: **event** → ring.
//!
//! Every function here makes the call itself, through the closure it is given, and leaves errno as the call left it.

pub mod call;
pub mod ctl;
pub mod fd;
pub mod io;
pub mod mark;
pub mod open;
pub mod socket;
pub mod timerfd;
pub mod wait;

use core::ffi::c_int;

use crate::sys;

/// What a libc function answers: −1 is a failure that errno explains.
pub trait Answer: Copy {
    /// As a number.
    fn value(self) -> i64;
}

impl Answer for c_int {
    #[inline(always)]
    fn value(self) -> i64 {
        self.into()
    }
}

impl Answer for isize {
    #[inline(always)]
    fn value(self) -> i64 {
        self as i64
    }
}

/// The answer as the event table has it: clipped to 32 bits, a failure as −errno.
#[inline(always)]
pub fn code(answer: impl Answer) -> i32 {
    let value = answer.value();
    if value == -1 {
        return failure();
    }
    value.clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

#[cold]
fn failure() -> i32 {
    -sys::errno()
}

/// What a pointer that the program hands to the kernel points to, as far as one may look: the kernel answers EFAULT
/// where we would crash. Null and what lies in the first or beyond the last page of user memory is not looked at.
///
/// # Safety
///
/// The program promises its callee a `T` at this address, or nothing at all.
#[inline(always)]
pub unsafe fn peek<T: Copy>(at: *const T) -> Option<T> {
    let address = at.addr();
    if address < 1 << 16 || address >> 47 != 0 {
        return None;
    }
    // SAFETY: the caller's word; unaligned, because the kernel would not mind either.
    Some(unsafe { at.read_unaligned() })
}
