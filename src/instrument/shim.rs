//! Is the preload shim at work in this very process? Then it records the calls, and the library only what no shim can
//! know, into the same rings. Step: **event** → ring.
//!
//! Asked of the process itself, not of the recorder: only here it is known for forked children too, and a static program
//! carries `LD_PRELOAD` in its environment and no shim.

use std::ffi::c_int;
use std::sync::atomic::{AtomicPtr, Ordering};

type Ask = extern "C" fn() -> c_int;

/// The shim's own answer; null where there is no shim, or nobody has looked.
static ASK: AtomicPtr<std::ffi::c_void> = AtomicPtr::new(std::ptr::null_mut());

/// Looks for the shim, before the library joins the session it may have joined.
pub(super) fn look() {
    // SAFETY: a C string; the default handle searches what is loaded.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"loopscope_shim_is_on".as_ptr()) };
    ASK.store(found, Ordering::Relaxed);
}

/// Whether the shim records the calling thread; makes it take a ring if it has none.
pub(super) fn is_on() -> bool {
    let ask = ASK.load(Ordering::Relaxed);
    if ask.is_null() {
        return false;
    }
    // SAFETY: a function of ours by its name: src/preload defines it with this type.
    let ask: Ask = unsafe { std::mem::transmute(ask) };
    ask() != 0
}
