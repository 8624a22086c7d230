//! Programs that lock themselves up: what a seccomp filter or a forbidden clock would do to the hooks.
//! Step: none of the pipeline; it keeps the program alive.

use core::ffi::{c_int, c_ulong};

use crate::next::hooks;
use crate::sys::sys_call;
use crate::{identity, tls};

const PR_SET_SECCOMP: c_int = 22;
const PR_SET_TSC: c_int = 26;
const MODE_STRICT: c_ulong = 1;
const TSC_SIGSEGV: c_ulong = 2;

/// The program is about to restrict itself. Strict mode also takes away the clock: recording ends. A filter leaves it,
/// and hooks make no call; but a thread that takes its first ring must not ask the kernel who it is.
pub fn restricting(strict: bool) {
    match strict {
        true => tls::switch_off(),
        false => identity::filtered(),
    }
}

/// A prctl(2) is about to be made.
pub fn controlling(option: c_int, a: c_ulong) {
    match (option, a) {
        (PR_SET_SECCOMP, mode) => restricting(mode == MODE_STRICT),
        (PR_SET_TSC, TSC_SIGSEGV) => tls::switch_off(),
        _ => {}
    }
}

hooks! {
    /// prctl(2)
    prctl(option: c_int, a: c_ulong, b: c_ulong, c: c_ulong, d: c_ulong) -> c_int,
        else sys_call!(PRCTL, option, a, b, c, d),
        |next, caller| {
            controlling(option, a);
            next()
        };
}
