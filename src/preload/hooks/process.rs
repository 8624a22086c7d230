//! Processes come, and become other programs. Step: **event** → ring.

use core::ffi::c_int;

use crate::next::hooks;
use crate::record::event::Kind;
use crate::record::wire::Rec;
use crate::sys::sys_call;
use crate::{site, tls};

/// The first word of a process: 0, which no child has for a pid.
pub fn announce(caller: usize) {
    forked(0, caller);
}

/// A child was made (its pid), or this is one (0).
fn forked(pid: c_int, caller: usize) {
    if let Some(here) = tls::here() {
        let site = site::id(&here, caller);
        here.ring().push(&Rec {
            ticks: here.now(),
            kind: Kind::Fork,
            fd: -1,
            x: pid,
            site,
            ..Rec::default()
        });
    }
}

/// A fork with whatever call.
#[inline(always)]
fn forking(caller: usize, next: impl FnOnce() -> c_int) -> c_int {
    let pid = next();
    if pid >= 0 {
        forked(pid, caller);
    }
    pid
}

/// Whether the calls of the calling thread are recorded, for the library in the same program, which then leaves them
/// to us and joins the ring the thread has now.
#[cfg_attr(loopscope_shim, unsafe(no_mangle))]
pub extern "C" fn loopscope_shim_is_on() -> c_int {
    tls::pin().into()
}

/// SIGCHLD: what a fork's parent is told with.
const SIGCHLD: c_int = 17;

hooks! {
    /// fork(2)
    fork() -> c_int,
        else sys_call!(CLONE, SIGCHLD, 0, 0, 0, 0),
        |next, caller| forking(caller, next);
    /// fork(2) without the handlers of pthread_atfork(3)
    _Fork() -> c_int,
        else sys_call!(CLONE, SIGCHLD, 0, 0, 0, 0),
        |next, caller| forking(caller, next);
}
