//! What we were started with, for the program to be started with the same: signals ignored or blocked, standard streams
//! that are not there, the environment in its order. Step: none of the pipeline; it keeps the program as it would be alone.
//!
//! Before main, Rust opens /dev/null for missing streams and ignores SIGPIPE; `posix_spawn` ignores libc's internal signals
//! in the child; `Command` sorts the environment. So all of it is noted by a constructor of ours, and put back by the child
//! itself between fork and exec.

use std::ffi::{CStr, CString, OsStr, c_char};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Signals, numbered from 1, as the kernel's sets have them.
const SIGNALS: i32 = 64;

static IGNORED: AtomicU64 = AtomicU64::new(0);
static BLOCKED: AtomicU64 = AtomicU64::new(0);
/// The standard streams that are not open, a bit each.
static MISSING: AtomicU8 = AtomicU8::new(0);

// SAFETY: a constructor of the type that the loader calls.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE: extern "C" fn() = note;

/// Before main and before Rust's own preparations; there is one thread.
extern "C" fn note() {
    let (mut ignored, mut blocked, mut missing) = (0, 0, 0);
    // SAFETY: asks about the process's own signals and descriptors; zero is a valid sigset_t.
    unsafe {
        let mut mask: libc::sigset_t = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_SETMASK, ptr::null(), &raw mut mask);
        for signal in 1..=SIGNALS {
            let mut action = Action::default();
            sigaction(signal, ptr::null(), &raw mut action);
            if action.handler == libc::SIG_IGN {
                ignored |= bit(signal);
            }
            if libc::sigismember(&raw const mask, signal) == 1 {
                blocked |= bit(signal);
            }
        }
        for fd in 0..3 {
            if libc::fcntl(fd, libc::F_GETFD) == -1 {
                missing |= 1 << fd;
            }
        }
    }
    // Relaxed: there are no other threads yet.
    IGNORED.store(ignored, Ordering::Relaxed);
    BLOCKED.store(blocked, Ordering::Relaxed);
    MISSING.store(missing, Ordering::Relaxed);
}

/// What the kernel knows of a signal. libc keeps two signals to itself and does not let them be asked about.
#[repr(C)]
#[derive(Default)]
struct Action {
    handler: usize,
    rest: [usize; 3],
}

/// # Safety
///
/// As rt_sigaction(2) says; with a handler that is none it may be called after a fork too.
unsafe fn sigaction(signal: i32, new: *const Action, old: *mut Action) {
    // Bytes of the kernel's signal set.
    let size = SIGNALS as usize / 8;
    // SAFETY: the caller's word. A failure, of a number that is no signal, changes nothing.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, old, size) };
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// Which of a program's standard streams are ours, a bit each: those may be missing.
pub(super) const ALL: u8 = 0b111;
/// Its output alone.
pub(super) const STDOUT: u8 = 0b010;
/// It has a terminal of its own.
pub(super) const NONE: u8 = 0;

/// An environment as exec wants it. Made before the fork: a child may not allocate.
struct Environment {
    list: Vec<*const c_char>,
    /// What the list points to.
    _text: Vec<CString>,
}

// SAFETY: it is never changed, and what it points to is its own.
unsafe impl Send for Environment {}
// SAFETY: as above.
unsafe impl Sync for Environment {}

impl Environment {
    fn pointer(&self) -> *const *const c_char {
        self.list.as_ptr()
    }
}

unsafe extern "C" {
    static mut environ: *const *const c_char;
}

/// Makes the program start as we were started, but for these variables. `ours`: which of its standard streams it inherits.
pub(super) fn pass_on(
    command: &mut Command,
    variables: &[(&str, &OsStr)],
    ours: u8,
) -> io::Result<()> {
    let environment = with(own_environment(), variables)?;
    let (ignored, blocked) = (
        IGNORED.load(Ordering::Relaxed),
        BLOCKED.load(Ordering::Relaxed),
    );
    let missing = MISSING.load(Ordering::Relaxed) & ours;
    // SAFETY: runs in the forked child: system calls and one store, no allocation, no lock.
    unsafe {
        command.pre_exec(move || {
            let mut mask: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut mask);
            for signal in 1..=SIGNALS {
                if ignored & bit(signal) != 0 {
                    let action = Action {
                        handler: libc::SIG_IGN,
                        ..Action::default()
                    };
                    sigaction(signal, &raw const action, ptr::null_mut());
                }
                if blocked & bit(signal) != 0 {
                    libc::sigaddset(&raw mut mask, signal);
                }
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask, ptr::null_mut());
            for fd in (0..3).filter(|fd| missing & 1 << fd != 0) {
                libc::close(fd);
            }
            // Taken up by the exec that follows, since the command has no environment of its own.
            environ = environment.pointer();
            Ok(())
        });
    }
    Ok(())
}

/// Every variable as it stands, also what has no `=`.
fn own_environment() -> Vec<CString> {
    let mut all = Vec::new();
    // SAFETY: libc's list, which ends with a null; nobody changes it: `set_var` is not used anywhere.
    unsafe {
        let mut at = environ;
        while let Some(entry) = at.as_ref().filter(|entry| !entry.is_null()) {
            all.push(CStr::from_ptr(*entry).to_owned());
            at = at.add(1);
        }
    }
    all
}

/// A variable that is there is changed in its place, a new one comes last.
fn with(mut text: Vec<CString>, variables: &[(&str, &OsStr)]) -> io::Result<Environment> {
    for (name, value) in variables {
        let entry = CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())?;
        let is = |e: &CString| {
            let rest = e.as_bytes().strip_prefix(name.as_bytes());
            rest.is_some_and(|rest| rest.first() == Some(&b'='))
        };
        match text.iter_mut().find(|e| is(e)) {
            Some(there) => *there = entry,
            None => text.push(entry),
        }
    }
    let list = text.iter().map(|entry| entry.as_ptr());
    Ok(Environment {
        list: list.chain([ptr::null()]).collect(),
        _text: text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_keep_their_place_and_new_ones_come_last() {
        let own = ["Z=1", "odd", "A=2", "AB=3"].map(|e| CString::new(e).unwrap());
        let made = with(own.to_vec(), &[("A", "x".as_ref()), ("NEW", "y".as_ref())]).unwrap();
        let text: Vec<&str> = made._text.iter().map(|e| e.to_str().unwrap()).collect();
        assert_eq!(text, ["Z=1", "odd", "A=x", "AB=3", "NEW=y"]);
        assert_eq!(made.list.len(), 6);
        assert!(made.list[5].is_null());
        assert!(with(Vec::new(), &[("A", OsStr::from_bytes(b"\0"))]).is_err());
    }
}
