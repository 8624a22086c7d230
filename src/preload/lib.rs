//! The preload shim: what `LD_PRELOAD` puts between a program and libc, so that its calls become events.
//! Step: **event → ring**, in a program that knows nothing of it.
//!
//! | file | concept |
//! |---|---|
//! | [`start`] | the constructor: next functions, handshake, memory |
//! | [`next`] | the function behind each hook, and the `hooks!` table |
//! | [`tls`] | the calling thread's ring |
//! | [`identity`] | who the calling thread is, also where the kernel may not be asked |
//! | [`memory`] | what of the program's memory may be read, and when |
//! | [`site`], [`name`], [`said`] | callers, named calls and the program's own names as small numbers |
//! | [`events`] | what a call becomes, by family |
//! | [`hooks`] | the exported functions, by family |
//! | [`sys`] | system calls of our own: at start, and before it |
//!
//! What holds in every hook: no allocation, no lock, no system call of its own, errno kept, nothing to drop across the
//! call (a cancelled thread is unwound through us). The next function is called, never the kernel, so that what libc
//! does there (cancellation, above all) still happens; only before the constructor has run is the kernel called.
//!
//! build.rs compiles this crate by itself, without std, under `--cfg loopscope_shim`; only then do the hooks have the
//! names of the functions they stand for. Without the cfg it is an ordinary test crate of the package.

#![cfg_attr(loopscope_shim, no_std)]
#![cfg_attr(not(loopscope_shim), allow(dead_code))] // the hooks are called by whoever loads the shim
#![allow(clippy::missing_safety_doc)] // every hook's contract is that of the function it stands for

#[path = "../record/mod.rs"]
#[allow(dead_code, unused_imports)] // the reading end is the collector's
mod record;

mod events;
mod hooks;
mod identity;
mod memory;
mod name;
mod next;
mod said;
mod site;
mod start;
mod sys;
mod tls;

#[cfg(loopscope_shim)]
mod alone {
    //! What std would bring.

    /// Nothing here panics on purpose; should it, the program must not go on with half a record.
    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        super::sys::trap()
    }

    /// Named by the unwind tables of `core`, never called: nothing of ours catches.
    #[unsafe(no_mangle)]
    extern "C" fn rust_eh_personality() {}
}
