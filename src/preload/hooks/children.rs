//! Waits for children: calls that may block, told by name, and the only ones that say how a child has ended.
//! Step: **event** → ring.

use core::ffi::{c_int, c_uint, c_void};

use crate::events::call::named;
use crate::name::Name;
use crate::next::hooks;
use crate::record::event::Kind;
use crate::record::wire::Rec;
use crate::sys::{as_libc, sys_call};
use crate::{site, tls};

/// The same call with another place for the status.
macro_rules! passed {
    ($type:ty, ($($argument:expr),*), else $raw:expr) => {
        // SAFETY: the function of this name has this type.
        match unsafe { NEXT.get::<$type>() } {
            // SAFETY: the program's own call; where it gives no place for the status, ours, which outlives the call.
            Some(function) => unsafe { function($($argument),*) },
            // SAFETY: as above.
            None => as_libc(unsafe { $raw }) as c_int,
        }
    };
}
hooks! {
    /// waitpid(2)
    waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int,
        else sys_call!(WAIT4, pid, status, options, 0),
        |next, caller| ending(status, caller, |place| waiting(Name::Waitpid, options, caller, || passed!(
            unsafe extern "C" fn(c_int, *mut c_int, c_int) -> c_int, (pid, place, options),
            else sys_call!(WAIT4, pid, place, options, 0)
        )));
    /// wait(2)
    wait(status: *mut c_int) -> c_int,
        else sys_call!(WAIT4, -1_isize, status, 0, 0),
        |next, caller| ending(status, caller, |place| waiting(Name::Wait, 0, caller, || passed!(
            unsafe extern "C" fn(*mut c_int) -> c_int, (place),
            else sys_call!(WAIT4, -1_isize, place, 0, 0)
        )));
    /// wait3(2)
    wait3(status: *mut c_int, options: c_int, usage: *mut c_void) -> c_int,
        else sys_call!(WAIT4, -1_isize, status, options, usage),
        |next, caller| ending(status, caller, |place| waiting(Name::Wait, options, caller, || passed!(
            unsafe extern "C" fn(*mut c_int, c_int, *mut c_void) -> c_int, (place, options, usage),
            else sys_call!(WAIT4, -1_isize, place, options, usage)
        )));
    /// wait4(2)
    wait4(pid: c_int, status: *mut c_int, options: c_int, usage: *mut c_void) -> c_int,
        else sys_call!(WAIT4, pid, status, options, usage),
        |next, caller| ending(status, caller, |place| waiting(Name::Waitpid, options, caller, || passed!(
            unsafe extern "C" fn(c_int, *mut c_int, c_int, *mut c_void) -> c_int, (pid, place, options, usage),
            else sys_call!(WAIT4, pid, place, options, usage)
        )));
    /// waitid(2)
    waitid(kind: c_int, id: c_uint, info: *mut c_void, options: c_int) -> c_int,
        else sys_call!(WAITID, kind, id, info, options, 0),
        |next, caller| informed(info, caller, || waiting(Name::Waitid, options, caller, next));
}

/// WNOHANG: asks, does not wait.
const NO_HANG: c_int = 1;

/// A wait for a child.
#[inline(always)]
pub fn waiting<R>(name: Name, options: c_int, caller: usize, next: impl FnOnce() -> R) -> R {
    if options & NO_HANG != 0 {
        return next();
    }
    named(name, -1, caller, next)
}

/// Makes a wait for a child with a place for its status, which is ours where the program does not want to know.
#[inline(always)]
pub fn ending(status: *mut c_int, caller: usize, wait: impl FnOnce(*mut c_int) -> c_int) -> c_int {
    let mut own = 0;
    let place = match status.is_null() {
        true => &raw mut own,
        false => status,
    };
    let pid = wait(place);
    if pid > 0 {
        // SAFETY: the kernel has just written there, or it would have refused.
        let status = unsafe { place.read_unaligned() };
        // Stopped and continued children are still there.
        if status & 0x7f != 0x7f {
            reaped(pid, status, caller);
        }
    }
    pid
}

/// Makes a waitid(2), which tells of a child in its own way.
#[inline(always)]
pub fn informed<R: PartialEq + From<i8>>(
    info: *mut c_void,
    caller: usize,
    wait: impl FnOnce() -> R,
) -> R {
    let done = wait();
    if done == R::from(0) && !info.is_null() {
        // SAFETY: the kernel has just written a siginfo_t there, or it would have refused.
        let word = |at: usize| unsafe { info.byte_add(at).cast::<c_int>().read_unaligned() };
        // All zero where no child has anything to tell.
        let (signal, code, pid, status) = (word(0), word(8), word(16), word(24));
        let status = match code {
            EXITED => (status & 0xff) << 8,
            KILLED => status & 0x7f,
            DUMPED => status & 0x7f | 0x80,
            _ => return done,
        };
        if signal == SIGCHLD {
            reaped(pid, status, caller);
        }
    }
    done
}

const SIGCHLD: c_int = 17;
/// CLD_EXITED, CLD_KILLED, CLD_DUMPED
const EXITED: c_int = 1;
const KILLED: c_int = 2;
const DUMPED: c_int = 3;

/// A child has ended with this wait status.
#[cold]
fn reaped(pid: c_int, status: c_int, caller: usize) {
    if let Some(here) = tls::here() {
        let site = site::id(&here, caller);
        here.ring().push(&Rec {
            ticks: here.now(),
            kind: Kind::Reaped,
            fd: -1,
            x: status,
            arg: pid as u64,
            site,
            ..Rec::default()
        });
    }
}
