//! Descriptors come and go: what opens, duplicates and closes them. Step: **event** → ring.

use core::ffi::{c_char, c_int, c_long, c_uint, c_void};

use crate::events::call::named;
use crate::events::fd::{CLOEXEC, NONBLOCK, New, closing, duplicating, opening, opening_two};
use crate::events::timerfd;
use crate::name::Name;
use crate::next::hooks;
use crate::record::event::FdKind;
use crate::sys::sys_call;

const AT_FDCWD: c_int = -100;
const O_CREAT_WRONLY_TRUNC: c_int = 0o1101;
const F_DUPFD: c_int = 0;
const F_DUPFD_CLOEXEC: c_int = 1030;
const F_SETLKW: c_int = 7;
const F_OFD_SETLKW: c_int = 38;
const KEPT: c_int = NONBLOCK | CLOEXEC;

const AF_UNIX: c_int = 1;
const AF_INET: c_int = 2;
const AF_INET6: c_int = 10;
const SOCK_STREAM: c_int = 1;
const SOCK_DGRAM: c_int = 2;

/// What socket(2) makes.
pub fn socket_kind(domain: c_int, kind: c_int) -> FdKind {
    match (domain, kind & 0xf) {
        (AF_INET | AF_INET6, SOCK_STREAM) => FdKind::Tcp,
        (AF_INET | AF_INET6, SOCK_DGRAM) => FdKind::Udp,
        (AF_UNIX, SOCK_DGRAM) => FdKind::UnixDatagram,
        (AF_UNIX, _) => FdKind::Unix,
        _ => FdKind::Unknown,
    }
}

/// fcntl(2), of which only the duplicating commands make something.
#[inline(always)]
pub fn controlling(
    fd: c_int,
    command: c_int,
    caller: usize,
    next: impl FnOnce() -> c_int,
) -> c_int {
    match command {
        F_DUPFD | F_DUPFD_CLOEXEC => duplicating(fd, -1, caller, next),
        F_SETLKW | F_OFD_SETLKW => named(Name::FcntlLock, fd, caller, next),
        _ => next(),
    }
}

/// dup2(2) over itself does nothing.
#[inline(always)]
pub fn duplicating_over(
    old: c_int,
    new: c_int,
    caller: usize,
    next: impl FnOnce() -> c_int,
) -> c_int {
    if old == new || new < 0 {
        return next();
    }
    duplicating(old, new, caller, next)
}

hooks! {
    /// open(2): not known to be a regular file, those are never in an interest list
    open(path: *const c_char, flags: c_int, mode: c_uint) -> c_int,
        else sys_call!(OPENAT, AT_FDCWD, path, flags, mode),
        |next, caller| opening(New::of(FdKind::Unknown, flags & KEPT), caller, next);
    /// open(2), 64 bits
    open64(path: *const c_char, flags: c_int, mode: c_uint) -> c_int,
        else sys_call!(OPENAT, AT_FDCWD, path, flags, mode),
        |next, caller| opening(New::of(FdKind::Unknown, flags & KEPT), caller, next);
    /// open(2), fortified
    __open_2(path: *const c_char, flags: c_int) -> c_int,
        else sys_call!(OPENAT, AT_FDCWD, path, flags, 0),
        |next, caller| opening(New::of(FdKind::Unknown, flags & KEPT), caller, next);
    /// open(2), fortified, 64 bits
    __open64_2(path: *const c_char, flags: c_int) -> c_int,
        else sys_call!(OPENAT, AT_FDCWD, path, flags, 0),
        |next, caller| opening(New::of(FdKind::Unknown, flags & KEPT), caller, next);
    /// openat(2)
    openat(at: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int,
        else sys_call!(OPENAT, at, path, flags, mode),
        |next, caller| opening(New::of(FdKind::Unknown, flags & KEPT), caller, next);
    /// openat(2), 64 bits
    openat64(at: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int,
        else sys_call!(OPENAT, at, path, flags, mode),
        |next, caller| opening(New::of(FdKind::Unknown, flags & KEPT), caller, next);
    /// openat(2), fortified
    __openat_2(at: c_int, path: *const c_char, flags: c_int) -> c_int,
        else sys_call!(OPENAT, at, path, flags, 0),
        |next, caller| opening(New::of(FdKind::Unknown, flags & KEPT), caller, next);
    /// openat(2), fortified, 64 bits
    __openat64_2(at: c_int, path: *const c_char, flags: c_int) -> c_int,
        else sys_call!(OPENAT, at, path, flags, 0),
        |next, caller| opening(New::of(FdKind::Unknown, flags & KEPT), caller, next);
    /// creat(2)
    creat(path: *const c_char, mode: c_uint) -> c_int,
        else sys_call!(OPENAT, AT_FDCWD, path, O_CREAT_WRONLY_TRUNC, mode),
        |next, caller| opening(New::of(FdKind::File, 0), caller, next);
    /// creat(2), 64 bits
    creat64(path: *const c_char, mode: c_uint) -> c_int,
        else sys_call!(OPENAT, AT_FDCWD, path, O_CREAT_WRONLY_TRUNC, mode),
        |next, caller| opening(New::of(FdKind::File, 0), caller, next);
    /// memfd_create(2)
    memfd_create(name: *const c_char, flags: c_uint) -> c_int,
        else sys_call!(MEMFD_CREATE, name, flags),
        |next, caller| opening(New::of(FdKind::File, if flags & 1 != 0 { CLOEXEC } else { 0 }), caller, next);
    /// socket(2)
    socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int,
        else sys_call!(SOCKET, domain, kind, protocol),
        |next, caller| opening(New::of(socket_kind(domain, kind), kind & KEPT), caller, next);
    /// socketpair(2)
    socketpair(domain: c_int, kind: c_int, protocol: c_int, pair: *mut [c_int; 2]) -> c_int,
        else sys_call!(SOCKETPAIR, domain, kind, protocol, pair),
        |next, caller| opening_two(New::of(socket_kind(domain, kind), kind & KEPT), pair, caller, next);
    /// pipe(2)
    pipe(pair: *mut [c_int; 2]) -> c_int,
        else sys_call!(PIPE2, pair, 0),
        |next, caller| opening_two(New::of(FdKind::Pipe, 0), pair, caller, next);
    /// pipe2(2)
    pipe2(pair: *mut [c_int; 2], flags: c_int) -> c_int,
        else sys_call!(PIPE2, pair, flags),
        |next, caller| opening_two(New::of(FdKind::Pipe, flags & KEPT), pair, caller, next);
    /// eventfd(2)
    eventfd(value: c_uint, flags: c_int) -> c_int,
        else sys_call!(EVENTFD2, value, flags),
        |next, caller| opening(New::of(FdKind::Eventfd, flags & KEPT), caller, next);
    /// timerfd_create(2)
    timerfd_create(clock: c_int, flags: c_int) -> c_int,
        else sys_call!(TIMERFD_CREATE, clock, flags),
        |next, caller| timerfd::making(clock, flags, caller, next);
    /// timerfd_settime(2)
    timerfd_settime(fd: c_int, flags: c_int, spec: *const timerfd::Spec, before: *mut timerfd::Spec) -> c_int,
        else sys_call!(TIMERFD_SETTIME, fd, flags, spec, before),
        // SAFETY: the program passes it to the kernel.
        |next, caller| unsafe { timerfd::setting(fd, flags, (spec, before), caller, next) };
    /// signalfd(2): one that is given changes its mask only
    signalfd(fd: c_int, mask: *const c_void, flags: c_int) -> c_int,
        else sys_call!(SIGNALFD4, fd, mask, 8, flags),
        |next, caller| match fd {
            -1 => opening(New::of(FdKind::Signalfd, flags & KEPT), caller, next),
            _ => next(),
        };
    /// inotify_init(2)
    inotify_init() -> c_int,
        else sys_call!(INOTIFY_INIT1, 0),
        |next, caller| opening(New::of(FdKind::Inotify, 0), caller, next);
    /// inotify_init1(2)
    inotify_init1(flags: c_int) -> c_int,
        else sys_call!(INOTIFY_INIT1, flags),
        |next, caller| opening(New::of(FdKind::Inotify, flags & KEPT), caller, next);
    /// pidfd_open(2), close-on-exec always
    pidfd_open(pid: c_int, flags: c_uint) -> c_int,
        else sys_call!(PIDFD_OPEN, pid, flags),
        |next, caller| opening(New::of(FdKind::Pidfd, CLOEXEC | flags as c_int & NONBLOCK), caller, next);
    /// pidfd_getfd(2): somebody else's description
    pidfd_getfd(pidfd: c_int, fd: c_int, flags: c_uint) -> c_int,
        else sys_call!(PIDFD_GETFD, pidfd, fd, flags),
        |next, caller| opening(New::of(FdKind::Unknown, CLOEXEC), caller, next);
    /// dup(2)
    dup(old: c_int) -> c_int,
        else sys_call!(DUP, old),
        |next, caller| duplicating(old, -1, caller, next);
    /// dup2(2)
    dup2(old: c_int, new: c_int) -> c_int,
        else if old == new {
            // The same without dup2: asks whether the number is open.
            match sys_call!(FCNTL, old, 1) { 0.. => new as isize, error => error }
        } else {
            sys_call!(DUP3, old, new, 0)
        },
        |next, caller| duplicating_over(old, new, caller, next);
    /// dup3(2)
    dup3(old: c_int, new: c_int, flags: c_int) -> c_int,
        else sys_call!(DUP3, old, new, flags),
        |next, caller| duplicating_over(old, new, caller, next);
    /// fcntl(2)
    fcntl(fd: c_int, command: c_int, argument: c_long) -> c_int,
        else sys_call!(FCNTL, fd, command, argument),
        |next, caller| controlling(fd, command, caller, next);
    /// fcntl(2), 64 bits
    fcntl64(fd: c_int, command: c_int, argument: c_long) -> c_int,
        else sys_call!(FCNTL, fd, command, argument),
        |next, caller| controlling(fd, command, caller, next);
    /// close(2)
    close(fd: c_int) -> c_int,
        else sys_call!(CLOSE, fd),
        |next, caller| closing(fd, caller, next);
}
