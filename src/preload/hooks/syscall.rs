//! `syscall(2)`: a program that names calls by number is recorded like one that calls them by name. Node closes most of
//! its descriptors this way. Step: **event** → ring.

use core::ffi::{c_int, c_long};

use super::{children, epoll, fd, guard, io, poll, process, range};
use crate::events::fd::{CLOEXEC, NONBLOCK, New, closing, duplicating, opening, opening_two};
use crate::events::io::{asking, moving};
use crate::events::open::Side;
use crate::events::socket::{self, Place};
use crate::events::wait::{Time, milliseconds};
use crate::events::{call, timerfd};
use crate::name::Name;
use crate::next::Next;
use crate::record::event::{FdKind, Op, Wait};
use crate::sys;

static NEXT: Next = Next::new();

/// The next function.
pub const TABLE: crate::next::Table = &[(c"syscall", &NEXT)];

type Words = [usize; 6];
type Syscall = unsafe extern "C" fn(c_long, usize, usize, usize, usize, usize, usize) -> c_long;

/// The program's call, passed on.
#[inline(always)]
fn pass(number: c_long, a: Words) -> isize {
    // SAFETY: the function of this name takes a number and up to six words, variadic, which for words is the same.
    match unsafe { NEXT.get::<Syscall>() } {
        // SAFETY: the program's own call.
        Some(next) => (unsafe { next(number, a[0], a[1], a[2], a[3], a[4], a[5]) }) as isize,
        // SAFETY: as above.
        None => sys::as_libc(unsafe { sys::call6(number, a) }),
    }
}

const KEPT: c_int = NONBLOCK | CLOEXEC;

/// Whatever the program asks the kernel for: what has a hook by name is recorded as that hook records it.
unsafe extern "C" fn body(
    number: c_long,
    a0: usize,
    a1: usize,
    a2: usize,
    a3: usize,
    a4: usize,
    a5: usize,
    caller: usize,
) -> c_long {
    let a = [a0, a1, a2, a3, a4, a5];
    let next = move || pass(number, a);
    // Those that answer an integer.
    let int = move || pass(number, a) as c_int;
    let (fd, second) = (a0 as c_int, a1 as c_int);
    let ready = a1 as *mut epoll::Event;
    // Where the calls that answer an address put it.
    let place = || Place::new(a1 as *const _, a2 as *const _);
    let answer = match number {
        sys::READ | sys::PREAD => moving(Op::Read, fd, a2, caller, next),
        sys::WRITE | sys::PWRITE => moving(Op::Write, fd, a2, caller, next),
        // SAFETY: the kernel's answer to these pieces.
        sys::READV | sys::PREADV | sys::PREADV2 => asking(Op::Read, fd, caller, next, |n| unsafe {
            io::total(n, a1 as *const io::Piece, a2)
        }),
        sys::WRITEV | sys::PWRITEV | sys::PWRITEV2 => {
            // SAFETY: as above.
            asking(Op::Write, fd, caller, next, |n| unsafe {
                io::total(n, a1 as *const io::Piece, a2)
            })
        }
        sys::RECVFROM => moving(io::receive(a3 as c_int), fd, a2, caller, next),
        sys::SENDTO => moving(Op::Send, fd, a2, caller, next),
        sys::RECVMSG => {
            let flags = a2 as c_int;
            io::messaging(
                io::receive(flags),
                fd,
                a1 as *const io::Message,
                flags,
                caller,
                next,
            )
        }
        sys::SENDMSG => io::messaging(
            Op::Send,
            fd,
            a1 as *const io::Message,
            a2 as c_int,
            caller,
            next,
        ),
        sys::RECVMMSG => {
            let flags = a3 as c_int;
            let all = a1 as *const io::Numbered;
            io::messages(io::receive(flags), fd, all, flags, caller, int) as isize
        }
        sys::SENDMMSG => {
            let all = a1 as *const io::Numbered;
            io::messages(Op::Send, fd, all, a3 as c_int, caller, int) as isize
        }
        sys::COPY_FILE_RANGE => moving(Op::Sendfile, a2 as c_int, a4, caller, next),
        sys::SENDFILE => moving(Op::Sendfile, fd, a3, caller, next),
        sys::SPLICE => moving(Op::Splice, a2 as c_int, a4, caller, next),
        sys::ACCEPT => io::accepting(fd, place(), 0, caller, int) as isize,
        sys::ACCEPT4 => io::accepting(fd, place(), a3 as c_int, caller, int) as isize,
        sys::CONNECT => socket::connecting(fd, a1 as *const _, a2 as u32, caller, int) as isize,
        sys::BIND => socket::binding(fd, a1 as *const _, a2 as u32, int) as isize,
        sys::LISTEN => socket::listening(fd, int) as isize,
        sys::GETSOCKNAME => socket::asking(fd, Side::Local, place(), int) as isize,
        sys::GETPEERNAME => socket::asking(fd, Side::Peer, place(), int) as isize,
        sys::SHUTDOWN => moving(Op::Shutdown, fd, 0, caller, next),
        sys::WAIT4 => {
            let (name, status) = (Name::Waitpid, a1 as *mut c_int);
            children::ending(status, caller, |place| {
                children::waiting(name, a2 as c_int, caller, || {
                    pass(number, [a0, place as usize, a2, a3, a4, a5]) as c_int
                })
            }) as isize
        }
        sys::WAITID => children::informed(a2 as *mut _, caller, || {
            children::waiting(Name::Waitid, a3 as c_int, caller, next)
        }),
        sys::CLOSE => closing(fd, caller, next),
        sys::CLOSE_RANGE => range::closing(a0 as u32, a1 as u32, a2 as c_int, caller, int) as isize,
        sys::DUP => duplicating(fd, -1, caller, next),
        sys::DUP2 | sys::DUP3 => fd::duplicating_over(fd, second, caller, int) as isize,
        sys::FCNTL => fd::controlling(fd, second, caller, int) as isize,
        sys::OPEN | sys::OPENAT | sys::CREAT => {
            let flags = match number {
                sys::OPEN => second,
                sys::OPENAT => a2 as c_int,
                _ => 0,
            };
            opening(New::of(FdKind::Unknown, flags & KEPT), caller, int) as isize
        }
        sys::SOCKET => {
            let kind = fd::socket_kind(fd, second);
            opening(New::of(kind, second & KEPT), caller, int) as isize
        }
        sys::SOCKETPAIR => {
            let new = New::of(fd::socket_kind(fd, second), second & KEPT);
            opening_two(new, a3 as *const [c_int; 2], caller, int) as isize
        }
        sys::PIPE | sys::PIPE2 => {
            let flags = if number == sys::PIPE { 0 } else { second };
            let new = New::of(FdKind::Pipe, flags & KEPT);
            opening_two(new, a0 as *const [c_int; 2], caller, int) as isize
        }
        sys::EVENTFD => opening(New::of(FdKind::Eventfd, 0), caller, int) as isize,
        sys::EVENTFD2 => opening(New::of(FdKind::Eventfd, second & KEPT), caller, int) as isize,
        sys::TIMERFD_CREATE => timerfd::making(fd, second, caller, int) as isize,
        sys::TIMERFD_SETTIME => {
            // SAFETY: the program passes it to the kernel.
            unsafe {
                timerfd::setting(fd, second, (a2 as *const _, a3 as *const _), caller, int) as isize
            }
        }
        sys::SIGNALFD | sys::SIGNALFD4 if fd == -1 => {
            let flags = if number == sys::SIGNALFD {
                0
            } else {
                a3 as c_int
            };
            opening(New::of(FdKind::Signalfd, flags & KEPT), caller, int) as isize
        }
        sys::INOTIFY_INIT | sys::INOTIFY_INIT1 => {
            let flags = if number == sys::INOTIFY_INIT { 0 } else { fd };
            opening(New::of(FdKind::Inotify, flags & KEPT), caller, int) as isize
        }
        sys::MEMFD_CREATE => {
            let flags = if second & 1 != 0 { CLOEXEC } else { 0 };
            opening(New::of(FdKind::File, flags), caller, int) as isize
        }
        sys::PIDFD_OPEN => {
            let new = New::of(FdKind::Pidfd, CLOEXEC | second & NONBLOCK);
            opening(new, caller, int) as isize
        }
        sys::PIDFD_GETFD => opening(New::of(FdKind::Unknown, CLOEXEC), caller, int) as isize,
        sys::IO_URING_SETUP => opening(New::of(FdKind::Unknown, CLOEXEC), caller, int) as isize,
        sys::EPOLL_CREATE => opening(New::of(FdKind::Epoll, 0), caller, int) as isize,
        sys::EPOLL_CREATE1 => opening(New::of(FdKind::Epoll, fd & CLOEXEC), caller, int) as isize,
        sys::EPOLL_CTL => {
            let event = a3 as *const epoll::Event;
            epoll::changing((fd, second, a2 as c_int), event, caller, int) as isize
        }
        sys::EPOLL_WAIT | sys::EPOLL_PWAIT => {
            let (call, lets) = match number {
                sys::EPOLL_WAIT => (Wait::Epoll, 0),
                _ => (Wait::Pwait, epoll::let_through(a4 as *const _)),
            };
            let timeout = milliseconds(a3 as c_int);
            epoll::waiting(call, (fd, ready, a2 as c_int), timeout, lets, caller, int) as isize
        }
        sys::EPOLL_PWAIT2 => {
            let timeout = Time::ns_at(a3 as *const _, 1);
            let lets = epoll::let_through(a4 as *const _);
            let into = (fd, ready, a2 as c_int);
            epoll::waiting(Wait::Pwait2, into, timeout, lets, caller, int) as isize
        }
        sys::POLL => {
            let timeout = milliseconds(a2 as c_int);
            poll::polling(Wait::Poll, a0 as *mut _, a1 as _, timeout, caller, int) as isize
        }
        sys::PPOLL => {
            let timeout = Time::ns_at(a2 as *const _, 1);
            poll::polling(Wait::Ppoll, a0 as *mut _, a1 as _, timeout, caller, int) as isize
        }
        sys::SELECT | sys::PSELECT6 => {
            let (call, unit) = match number {
                sys::SELECT => (Wait::Select, 1_000),
                _ => (Wait::Pselect, 1),
            };
            let (sets, timeout) = ([a1, a2, a3].map(|set| set as poll::Set), a4 as *const _);
            poll::selecting(call, fd, sets, Time::ns_at(timeout, unit), caller, int) as isize
        }
        sys::FORK => process::forking(caller, int) as isize,
        sys::FSYNC => call::named(Name::Fsync, fd, caller, next),
        sys::FDATASYNC => call::named(Name::Fdatasync, fd, caller, next),
        sys::FLOCK => call::named(Name::Flock, fd, caller, next),
        sys::NANOSLEEP => call::named(Name::Nanosleep, -1, caller, next),
        sys::CLOCK_NANOSLEEP => call::named(Name::ClockNanosleep, -1, caller, next),
        sys::SECCOMP => {
            // Its first operation, 0, is strict mode; only 1 is a filter.
            if a0 < 2 {
                guard::restricting(a0 == 0);
            }
            next()
        }
        sys::PRCTL => {
            guard::controlling(fd, a1 as _);
            next()
        }
        _ => next(),
    };
    answer as c_long
}

/// syscall(2). Calls that make a process or thread may return on another stack, where no frame of ours is: they jump on.
#[cfg(target_arch = "x86_64")]
#[cfg_attr(loopscope_shim, unsafe(no_mangle))]
#[unsafe(naked)]
pub unsafe extern "C" fn syscall(
    number: c_long,
    a0: usize,
    a1: usize,
    a2: usize,
    a3: usize,
    a4: usize,
    a5: usize,
) -> c_long {
    core::arch::naked_asm!(
        ".cfi_startproc",
        // clone, vfork, clone3
        "cmp rdi, 56",
        "je 2f",
        "cmp rdi, 58",
        "je 2f",
        "cmp rdi, 435",
        "je 2f",
        "sub rsp, 8",
        ".cfi_adjust_cfa_offset 8",
        "push qword ptr [rsp + 8]",
        ".cfi_adjust_cfa_offset 8",
        "push qword ptr [rsp + 24]",
        ".cfi_adjust_cfa_offset 8",
        "call {body}",
        "add rsp, 24",
        ".cfi_adjust_cfa_offset -24",
        "ret",
        "2:",
        "mov rax, qword ptr [rip + {next}]",
        "test rax, rax",
        "je 3f",
        "jmp rax",
        // Before the constructor: the kernel itself, as libc's function does it.
        "3:",
        "mov rax, rdi",
        "mov rdi, rsi",
        "mov rsi, rdx",
        "mov rdx, rcx",
        "mov r10, r8",
        "mov r8, r9",
        "mov r9, qword ptr [rsp + 8]",
        "syscall",
        "cmp rax, -4095",
        "jae 4f",
        "ret",
        "4:",
        "mov rdi, rax",
        "jmp {fails}",
        ".cfi_endproc",
        body = sym body,
        next = sym NEXT,
        fails = sym sys::as_libc_c,
    )
}

/// syscall(2)
#[cfg(target_arch = "aarch64")]
#[cfg_attr(loopscope_shim, unsafe(no_mangle))]
#[unsafe(naked)]
pub unsafe extern "C" fn syscall(
    number: c_long,
    a0: usize,
    a1: usize,
    a2: usize,
    a3: usize,
    a4: usize,
    a5: usize,
) -> c_long {
    core::arch::naked_asm!(
        // clone, clone3
        "cmp x0, #220",
        "b.eq 2f",
        "cmp x0, #435",
        "b.eq 2f",
        "mov x7, x30",
        "b {body}",
        "2:",
        "adrp x16, {next}",
        "ldr x16, [x16, :lo12:{next}]",
        "cbz x16, 3f",
        "br x16",
        // Before the constructor: the kernel itself, as libc's function does it.
        "3:",
        "mov x8, x0",
        "mov x0, x1",
        "mov x1, x2",
        "mov x2, x3",
        "mov x3, x4",
        "mov x4, x5",
        "mov x5, x6",
        "svc #0",
        "cmn x0, #4095",
        "b.cs 4f",
        "ret",
        "4:",
        "b {fails}",
        body = sym body,
        next = sym NEXT,
        fails = sym sys::as_libc_c,
    )
}
