//! How a push wakes a collector that sleeps. Step: event → **ring**.

use super::super::sync::{AtomicU64, Ordering};

/// A word that is 1 while the collector sleeps long, so that whoever has something urgent for it wakes it, once. The
/// waking itself, a system call, is the caller's: FUTEX_WAIT and FUTEX_WAKE, across processes.
#[derive(Clone, Copy, Debug)]
pub struct Bell(pub(super) *const AtomicU64);

// SAFETY: points into a segment, whose maker keeps it mapped as long as anything made from it lives; all access is atomic.
unsafe impl Send for Bell {}
// SAFETY: as above.
unsafe impl Sync for Bell {}

impl Bell {
    fn state(&self) -> &AtomicU64 {
        // SAFETY: see above.
        unsafe { &*self.0 }
    }

    /// The collector lies down, or gets up.
    pub fn sleeps(&self, yes: bool) {
        // SeqCst: the collector looks at what there is to do after it has said that it sleeps; whoever gives it
        // something to do looks at this after it has given it.
        self.state().store(yes as u64, Ordering::SeqCst);
    }

    /// The collector sleeps and has to be woken, by a FUTEX_WAKE on this word; only the first to ask is told so.
    #[inline]
    pub fn must_wake(&self) -> Option<*const u32> {
        // SeqCst, both: see `sleeps`.
        let asleep =
            self.state().load(Ordering::SeqCst) != 0 && self.state().swap(0, Ordering::SeqCst) != 0;
        asleep.then(|| self.word())
    }

    /// The futex word: the low half of ours.
    pub fn word(&self) -> *const u32 {
        const { assert!(cfg!(target_endian = "little")) };
        self.0.cast()
    }
}
