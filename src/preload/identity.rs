//! Who the calling thread is. Asked of the kernel once a thread and process, when it takes a ring; in a program that has
//! put itself under a seccomp filter not even that, because an unexpected call may be its death: then libc's own note of
//! the thread's id serves. Step: event → **ring**.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use crate::sys::sys_call;

/// The program filters its own system calls.
static FILTERED: AtomicBool = AtomicBool::new(false);
/// The process id, as of the last time the kernel could be asked.
static PID: AtomicU32 = AtomicU32::new(0);
/// Its parent when it began; 0 not known.
static PARENT: AtomicU32 = AtomicU32::new(0);
/// Where libc's thread block notes the thread's id, in bytes from its start; 0 not found.
static NOTED: AtomicUsize = AtomicUsize::new(0);

/// A thread as rings name it.
pub struct Identity {
    /// Its id.
    pub tid: u32,
    /// Its process.
    pub pid: u32,
    /// Its process's parent; 0 not known.
    pub parent: u32,
}

/// Looks where libc notes a thread's id. From the constructor: then there is one thread, and its id is the process's.
pub fn learn() {
    // SAFETY: takes nothing, cannot fail.
    let tid = unsafe { sys_call!(GETTID) } as u32;
    PID.store(tid, Ordering::Relaxed);
    let mut found = 0;
    // glibc's struct pthread begins with the thread control block; the id lies some hundred bytes in, by version.
    for at in (0x200..0x400).step_by(4) {
        if noted(at) == tid {
            if found != 0 {
                return;
            }
            found = at;
        }
    }
    NOTED.store(found, Ordering::Relaxed);
}

/// A word of libc's thread block.
fn noted(at: usize) -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        let word: u32;
        // SAFETY: the thread pointer points to the thread block, which is larger than 0x400 bytes in glibc, the only
        // libc the constructor goes on with.
        unsafe {
            core::arch::asm!(
                "mov {word:e}, dword ptr fs:[{at}]",
                word = out(reg) word,
                at = in(reg) at,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        word
    }
    #[cfg(target_arch = "aarch64")]
    {
        // There the block lies before the thread pointer, and its size is nobody's business: not looked for.
        let _ = at;
        0
    }
}

/// The program is about to filter its calls.
pub fn filtered() {
    FILTERED.store(true, Ordering::Relaxed);
}

/// Whether it does.
pub fn is_filtered() -> bool {
    FILTERED.load(Ordering::Relaxed)
}

/// The thread's id; 0 where it cannot be known.
pub fn tid() -> u32 {
    if FILTERED.load(Ordering::Relaxed) {
        return match NOTED.load(Ordering::Relaxed) {
            0 => 0,
            at => noted(at),
        };
    }
    // SAFETY: takes nothing, cannot fail.
    unsafe { sys_call!(GETTID) as u32 }
}

/// Who we are; nothing where that cannot be known. `before` is the thread's id when it last took a ring; `forked` says
/// that this is the first look in a new process.
pub fn me(before: u32, forked: bool) -> Option<Identity> {
    let tid = tid();
    if tid == 0 {
        return None;
    }
    if FILTERED.load(Ordering::Relaxed) {
        if forked {
            // A raw clone leaves libc's note as it was in the parent.
            if tid == before {
                return None;
            }
            begun(tid, 0);
        }
        let pid = PID.load(Ordering::Relaxed);
        let parent = PARENT.load(Ordering::Relaxed);
        return Some(Identity { tid, pid, parent });
    }
    // SAFETY: takes nothing, cannot fail.
    let pid = unsafe { sys_call!(GETPID) } as u32;
    if forked {
        // SAFETY: as above.
        let parent = unsafe { sys_call!(GETPPID) } as u32;
        if parent == 0 {
            // The first process of a pid namespace: its number is another one's in the collector's.
            return None;
        }
        begun(pid, parent);
    }
    PID.store(pid, Ordering::Relaxed);
    let parent = PARENT.load(Ordering::Relaxed);
    Some(Identity { tid, pid, parent })
}

/// Notes who a new process is. What its memory, a copy, still says of the process is its parent; the kernel's `parent` may
/// have taken it over already, for one that makes a daemon is gone as soon as it has.
fn begun(pid: u32, parent: u32) {
    let copied = PID.swap(pid, Ordering::Relaxed);
    let parent = match copied {
        0 => parent,
        // Nobody's copy: the constructor's own note.
        own if own == pid => parent,
        forker => forker,
    };
    PARENT.store(parent, Ordering::Relaxed);
}
