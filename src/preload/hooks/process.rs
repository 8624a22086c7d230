//! Processes come, and become other programs. Step: **event** → ring.
//!
//! A forked child finds the rings' wiped page and takes a ring of its own; it says so at once, with its first record. A
//! vfork child runs on its parent's memory, so nothing of what it does is recorded: its closing of descriptors is not
//! the parent's. What is exec'd joins by itself, by its environment, which [`environment`](super::environment) keeps.

use core::ffi::{c_char, c_int, c_void};

use super::environment::{self, Strings};
use super::target::Target;
use crate::next::{hooks, libc_hooks};
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
pub fn forking(caller: usize, next: impl FnOnce() -> c_int) -> c_int {
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
const CLONE_VM: c_int = 0x100;
const AT_EMPTY_PATH: c_int = 0x1000;
const CLONE_VFORK: c_int = 0x4000;
const CLONE_THREAD: c_int = 0x1_0000;
const CLONE_SETTLS: c_int = 0x8_0000;

hooks! {
    /// fork(2)
    fork() -> c_int,
        else sys_call!(CLONE, SIGCHLD, 0, 0, 0, 0),
        |next, caller| forking(caller, next);
    /// fork(2) without the handlers of pthread_atfork(3)
    _Fork() -> c_int,
        else sys_call!(CLONE, SIGCHLD, 0, 0, 0, 0),
        |next, caller| forking(caller, next);
    /// execve(2)
    execve(path: *const c_char, arguments: Strings, variables: Strings) -> c_int,
        else sys_call!(EXECVE, path, arguments, variables),
        |next, caller| environment::keeping(environment::passed(variables), Target::Path(path), next, |kept| {
            // SAFETY: the program's own strings, and an environment that lives until the call returns or never does.
            crate::sys::as_libc(unsafe { sys_call!(EXECVE, path, arguments, kept) }) as c_int
        });
    /// execveat(2)
    execveat(at: c_int, path: *const c_char, arguments: Strings, variables: Strings, flags: c_int) -> c_int,
        else sys_call!(EXECVEAT, at, path, arguments, variables, flags),
        |next, caller| environment::keeping(environment::passed(variables), executed(at, path, flags), next, |kept| {
            // SAFETY: as above.
            crate::sys::as_libc(unsafe { sys_call!(EXECVEAT, at, path, arguments, kept, flags) }) as c_int
        });
}

/// The program of an execveat(2): by its path, or by the descriptor alone.
fn executed(at: c_int, path: *const c_char, flags: c_int) -> Target {
    match flags & AT_EMPTY_PATH {
        0 => Target::At(at, path),
        _ => Target::Open(at),
    }
}

/// execvpe(3), posix_spawn(3) and posix_spawnp(3) with another environment.
macro_rules! with {
    ($next:ident: $type:ty, $($argument:expr),*) => {{
        // SAFETY: the function of this name has this type.
        match unsafe { $next::NEXT.get::<$type>() } {
            // SAFETY: the program's own call, with an environment that lives until it returns or never does.
            Some(function) => unsafe { function($($argument),*) },
            None => -1,
        }
    }};
}

type Execvpe = unsafe extern "C" fn(*const c_char, Strings, Strings) -> c_int;
type Spawn = unsafe extern "C" fn(
    *mut c_int,
    *const c_char,
    *const c_void,
    *const c_void,
    Strings,
    Strings,
) -> c_int;

mod libc {
    //! Those that are more than a system call.

    use super::*;

    libc_hooks! {
        /// execvpe(3)
        execvpe(file: *const c_char, arguments: Strings, variables: Strings) -> c_int,
            |next, caller| environment::keeping(environment::passed(variables), Target::Search(file), next, |kept| {
                with!(execvpe: Execvpe, file, arguments, kept)
            });
        /// execv(3): with the program's own environment, which may have lost what ours need
        execv(path: *const c_char, arguments: Strings) -> c_int,
            |next, caller| environment::keeping(environment::own(), Target::Path(path), next, |kept| {
                // SAFETY: the program's own strings, and an environment that lives until the call returns or never does.
                crate::sys::as_libc(unsafe { sys_call!(EXECVE, path, arguments, kept) }) as c_int
            });
        /// execvp(3): as execv(3)
        execvp(file: *const c_char, arguments: Strings) -> c_int,
            |next, caller| environment::keeping(environment::own(), Target::Search(file), next, |kept| {
                with!(execvpe: Execvpe, file, arguments, kept)
            });
        /// fexecve(3)
        fexecve(fd: c_int, arguments: Strings, variables: Strings) -> c_int,
            |next, caller| environment::keeping(variables, Target::Open(fd), next, |kept| with!(
                fexecve: unsafe extern "C" fn(c_int, Strings, Strings) -> c_int, fd, arguments, kept
            ));
        /// posix_spawn(3)
        posix_spawn(
            pid: *mut c_int, path: *const c_char, actions: *const c_void, attributes: *const c_void, arguments: Strings,
            variables: Strings,
        ) -> c_int,
            |next, caller| spawning(pid, caller, |child| {
                let same = || with!(posix_spawn: Spawn, child, path, actions, attributes, arguments, variables);
                environment::keeping(environment::passed(variables), Target::Path(path), same, |kept| {
                    with!(posix_spawn: Spawn, child, path, actions, attributes, arguments, kept)
                })
            });
        /// posix_spawnp(3)
        posix_spawnp(
            pid: *mut c_int, file: *const c_char, actions: *const c_void, attributes: *const c_void, arguments: Strings,
            variables: Strings,
        ) -> c_int,
            |next, caller| spawning(pid, caller, |child| {
                let same = || with!(posix_spawnp: Spawn, child, file, actions, attributes, arguments, variables);
                environment::keeping(environment::passed(variables), Target::Search(file), same, |kept| {
                    with!(posix_spawnp: Spawn, child, file, actions, attributes, arguments, kept)
                })
            });
        /// daemon(3): the one that returns is a child
        daemon(keep_directory: c_int, keep_streams: c_int) -> c_int,
            |next, caller| {
                let done = next();
                if done == 0 {
                    announce(caller);
                }
                done
            };
        /// clone(2) as glibc has it
        clone(
            function: *mut c_void, stack: *mut c_void, flags: c_int, argument: *mut c_void, parent: *mut c_void,
            local: *mut c_void, child: *mut c_void,
        ) -> c_int,
            |next, caller| cloning(flags, caller, next);
    }
}

// What the variadic ones go on as.
pub use self::execve::execve;
pub use libc::{execv::execv, execvp::execvp};

/// The next functions of both kinds.
pub const TABLES: [crate::next::Table; 2] = [TABLE, libc::TABLE];

/// A child that runs another program at once. Where the program did not ask for its pid, we do.
#[inline(always)]
fn spawning(pid: *mut c_int, caller: usize, spawn: impl FnOnce(*mut c_int) -> c_int) -> c_int {
    let mut child = 0;
    let done = spawn(&raw mut child);
    if done == 0 {
        if !pid.is_null() {
            // SAFETY: the program's own place for it.
            unsafe { pid.write(child) };
        }
        forked(child, caller);
    }
    done
}

/// A child, or a thread that pthread_create(3) does not know.
#[inline(always)]
fn cloning(flags: c_int, caller: usize, next: impl FnOnce() -> c_int) -> c_int {
    let shares = flags & CLONE_VM != 0 && flags & CLONE_SETTLS == 0;
    if shares && flags & CLONE_VFORK != 0 {
        tls::vfork_enters();
        let pid = next();
        tls::vfork_left();
        if pid > 0 && flags & CLONE_THREAD == 0 {
            forked(pid, caller);
        }
        return pid;
    }
    if shares {
        tls::shares_memory();
    }
    let pid = next();
    if pid > 0 && flags & CLONE_THREAD == 0 {
        forked(pid, caller);
    }
    pid
}

/// The parent is back from a vfork.
extern "C" fn vfork_over(answer: c_int, caller: usize) -> c_int {
    tls::vfork_left();
    if answer > 0 {
        forked(answer, caller);
    }
    crate::sys::as_libc(answer as isize) as c_int
}

extern "C" fn vfork_begins() {
    tls::vfork_enters();
}

/// vfork(2), which cannot be passed on, since it returns twice into the frame it is called from. The child returns first, on the parent's stack, and overwrites what lies below: so the return address is
/// kept in a register, as libc does it, and the parent goes on as if it had just been called.
#[cfg(target_arch = "x86_64")]
#[cfg_attr(loopscope_shim, unsafe(no_mangle))]
#[unsafe(naked)]
pub unsafe extern "C" fn vfork() -> c_int {
    core::arch::naked_asm!(
        "sub rsp, 8",
        "call {begins}",
        "add rsp, 8",
        "pop rdi",
        "mov eax, 58",
        "syscall",
        "push rdi",
        "test eax, eax",
        "je 2f",
        "mov rsi, rdi",
        "mov edi, eax",
        "jmp {over}",
        "2:",
        "ret",
        begins = sym vfork_begins,
        over = sym vfork_over,
    )
}

/// vfork(2), as above; there it is clone(CLONE_VM | CLONE_VFORK | SIGCHLD).
#[cfg(target_arch = "aarch64")]
#[cfg_attr(loopscope_shim, unsafe(no_mangle))]
#[unsafe(naked)]
pub unsafe extern "C" fn vfork() -> c_int {
    core::arch::naked_asm!(
        "str x30, [sp, #-16]!",
        "bl {begins}",
        "ldr x30, [sp], #16",
        "mov x0, #0x4111",
        "mov x1, #0",
        "mov x2, #0",
        "mov x3, #0",
        "mov x4, #0",
        "mov x8, #220",
        "svc #0",
        "cbz x0, 2f",
        "mov x1, x30",
        "b {over}",
        "2:",
        "ret",
        begins = sym vfork_begins,
        over = sym vfork_over,
    )
}
