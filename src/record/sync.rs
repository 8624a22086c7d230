//! The atomics of the ring, swappable for loom's, and the two unlocked instructions a push lives on.
//! Step: event → **ring**.
//!
//! A ring is written by one thread only, but that thread's signal handlers may push in the middle of a push.
//! Against those an instruction is atomic without the lock prefix, because a signal arrives between two
//! instructions (Intel SDM vol. 3, 6.6). That is worth 10 ns a push.

#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicU64, Ordering};
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU64, Ordering};

/// Sets `word` to `new` if it holds `old`; `false` if it did not. Atomic against signal handlers of the calling
/// thread, not against other writers.
#[inline(always)]
pub fn replace_local(word: &AtomicU64, old: u64, new: u64) -> bool {
    #[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
    {
        let same: u8;
        // SAFETY: the pointer comes from a live reference to an atomic, 8 bytes and aligned; the instruction touches
        // nothing else but the flags, which are declared clobbered by default.
        unsafe {
            core::arch::asm!(
                "cmpxchg qword ptr [{word}], {new}",
                "sete {same}",
                word = in(reg) word.as_ptr(),
                new = in(reg) new,
                same = out(reg_byte) same,
                inout("rax") old => _,
                options(nostack),
            );
        }
        same != 0
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
    {
        word.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}

/// Adds to `word`. Atomic against signal handlers of the calling thread, not against other writers.
#[inline(always)]
pub fn add_local(word: &AtomicU64, n: u64) {
    #[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
    // SAFETY: as in `replace_local`: a live, aligned 8-byte atomic; only memory at it and the flags change.
    unsafe {
        core::arch::asm!(
            "add qword ptr [{word}], {n}",
            word = in(reg) word.as_ptr(),
            n = in(reg) n,
            options(nostack),
        );
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
    word.fetch_add(n, Ordering::Relaxed);
}
