//! System calls of the shim's own: the constructor's, and those of a hook that runs before it.
//! Step: none of the pipeline; what it stands on.
//!
//! They go straight to the kernel: libc's functions are cancellation points, set errno, and may be other people's hooks.

use core::ffi::c_long;

/// Numbers of the calls made here or decoded in `syscall(2)`.
pub use numbers::*;

/// A system call with up to six arguments; the kernel's answer, −errno for a failure.
///
/// # Safety
///
/// As the call's manual page says.
#[inline(always)]
pub unsafe fn call6(number: c_long, a: [usize; 6]) -> isize {
    #[cfg(target_arch = "x86_64")]
    {
        let result;
        // SAFETY: the kernel keeps all registers but rax, rcx and r11; what it does with memory is the caller's word.
        unsafe {
            core::arch::asm!(
                "syscall",
                inlateout("rax") number as isize => result,
                in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
                in("r10") a[3], in("r8") a[4], in("r9") a[5],
                lateout("rcx") _, lateout("r11") _,
                options(nostack),
            );
        }
        result
    }
    #[cfg(target_arch = "aarch64")]
    {
        let result;
        // SAFETY: the kernel keeps all registers but x0; what it does with memory is the caller's word.
        unsafe {
            core::arch::asm!(
                "svc #0",
                in("x8") number,
                inlateout("x0") a[0] as isize => result,
                in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5],
                options(nostack),
            );
        }
        result
    }
}

/// A system call with as many arguments as are given, which are cast to words: `sys_call!(CLOSE, fd)`.
macro_rules! sys_call {
    ($number:ident $(, $a:expr)* $(,)?) => {
        $crate::sys::call6($crate::sys::$number, $crate::sys::words([$($a as usize),*]))
    };
}
pub(crate) use sys_call;

/// Fills up with zeroes.
#[inline(always)]
pub fn words<const N: usize>(given: [usize; N]) -> [usize; 6] {
    let mut all = [0; 6];
    for (to, from) in all.iter_mut().zip(given) {
        *to = from;
    }
    all
}

unsafe extern "C" {
    fn __errno_location() -> *mut core::ffi::c_int;
}

/// The calling thread's errno.
#[inline]
pub fn errno() -> i32 {
    // SAFETY: libc's promise: the calling thread's own, for as long as it lives.
    unsafe { *__errno_location() }
}

/// The kernel's answer as libc gives it: −1 and errno for a failure.
#[inline]
pub fn as_libc(answer: isize) -> isize {
    if (-4095..0).contains(&answer) {
        // SAFETY: as in `errno`.
        unsafe { *__errno_location() = -answer as i32 };
        return -1;
    }
    answer
}

/// [`as_libc`] for assembly to jump to.
pub extern "C" fn as_libc_c(answer: isize) -> isize {
    as_libc(answer)
}

/// Runs `ask` and puts errno back.
pub fn keeping_errno<T>(ask: impl FnOnce() -> T) -> T {
    let before = errno();
    let answer = ask();
    // SAFETY: as in `errno`.
    unsafe { *__errno_location() = before };
    answer
}

/// Stops the program here and now.
#[cfg(loopscope_shim)]
pub fn trap() -> ! {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: an instruction that is none: SIGILL.
    unsafe {
        core::arch::asm!("ud2", options(noreturn, nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("udf #0", options(noreturn, nostack));
    }
}

macro_rules! numbers {
    ($($name:ident = $x86_64:literal $aarch64:literal;)*) => {
        mod numbers {
            use core::ffi::c_long;
            $(
                #[doc = concat!("The number of ", stringify!($name), ", −1 where the machine has no such call.")]
                #[allow(dead_code)] // decoding and fallbacks use their own part
                pub const $name: c_long = if cfg!(target_arch = "x86_64") { $x86_64 } else { $aarch64 };
            )*
        }
    };
}

// Columns: x86-64, AArch64 (asm-generic).
numbers! {
    LSEEK = 8 62; READ = 0 63; WRITE = 1 64; OPEN = 2 -1; CLOSE = 3 57; POLL = 7 -1; MMAP = 9 222; MSYNC = 26 227; MUNMAP = 11 215;
    PREAD = 17 67; PWRITE = 18 68; READV = 19 65; WRITEV = 20 66; PIPE = 22 -1; SELECT = 23 -1; MADVISE = 28 233;
    DUP = 32 23; DUP2 = 33 -1; NANOSLEEP = 35 101; GETPID = 39 172; SENDFILE = 40 71; SOCKET = 41 198;
    CONNECT = 42 203; ACCEPT = 43 202; SENDTO = 44 206; RECVFROM = 45 207; SENDMSG = 46 211; RECVMSG = 47 212;
    SHUTDOWN = 48 210; BIND = 49 200; LISTEN = 50 201; GETSOCKNAME = 51 204; GETPEERNAME = 52 205; SOCKETPAIR = 53 199; SETSOCKOPT = 54 208; GETSOCKOPT = 55 209;
    CLONE = 56 220; EXECVE = 59 221; EXECVEAT = 322 281; FORK = 57 -1; WAIT4 = 61 260; FCNTL = 72 25; FLOCK = 73 32; FSYNC = 74 82; FDATASYNC = 75 83; CREAT = 85 -1;
    RT_SIGPROCMASK = 14 135; GETEUID = 107 175; GETPPID = 110 173; GETTID = 186 178; FUTEX = 202 98; EPOLL_CREATE = 213 -1; SEMTIMEDOP = 220 192;
    CLOCK_NANOSLEEP = 230 115; EPOLL_WAIT = 232 -1; EPOLL_CTL = 233 21; WAITID = 247 95; INOTIFY_INIT = 253 -1;
    OPENAT = 257 56; FACCESSAT = 269 48; PSELECT6 = 270 72; PPOLL = 271 73; SPLICE = 275 76; SYNC_FILE_RANGE = 277 84; EPOLL_PWAIT = 281 22;
    SIGNALFD = 282 -1; TIMERFD_CREATE = 283 85; EVENTFD = 284 -1; TIMERFD_SETTIME = 286 86; ACCEPT4 = 288 242;
    SIGNALFD4 = 289 74; EVENTFD2 = 290 19; EPOLL_CREATE1 = 291 20; DUP3 = 292 24; PIPE2 = 293 59;
    INOTIFY_INIT1 = 294 26; PREADV = 295 69; PWRITEV = 296 70; RECVMMSG = 299 243; SYNCFS = 306 267;
    SENDMMSG = 307 269; SECCOMP = 317 277; PRCTL = 157 167; MEMFD_CREATE = 319 279; COPY_FILE_RANGE = 326 285; PREADV2 = 327 286; PWRITEV2 = 328 287;
    IO_URING_SETUP = 425 425; PIDFD_OPEN = 434 434; CLOSE_RANGE = 436 436; PIDFD_GETFD = 438 438; EPOLL_PWAIT2 = 441 441;
}
