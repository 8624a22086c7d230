//! What every wrapper reports of a descriptor: calls with their results, its birth, addresses, duplicates and end.
//! Step: **event** → ring.
//!
//! An end (close, dup) is recorded before and after the call, because the number is free for other threads in
//! between; everything else once, after the call. The callers' errno is whatever their own call left there: nothing
//! in here fails in a way that sets it.

use std::io;
use std::os::fd::RawFd;
use std::panic::Location;

use super::address;
use super::batch::run_end;
use super::state::{self, Here};
use crate::record::event::{FdKind, Kind, Op};
use crate::record::ring::Call;
use crate::record::wire::Rec;

/// Bits of an FdOpen's flags.
pub(crate) const NONBLOCKING: u64 = 1;
pub(crate) const CLOEXEC: u64 = 2;
pub(crate) const BOTH_KNOWN: u64 = 4;
/// What mio gives every descriptor it makes.
#[cfg(feature = "mio")]
pub(crate) const MIO_FLAGS: u64 = NONBLOCKING | CLOEXEC | BOTH_KNOWN;

/// The same of any descriptor, asked of the kernel.
pub(crate) fn flags_of(fd: RawFd) -> u64 {
    address::keeping_errno(|| {
        // SAFETY: two questions about a descriptor, no memory passed.
        let (status, own) = unsafe {
            (
                libc::fcntl(fd, libc::F_GETFL),
                libc::fcntl(fd, libc::F_GETFD),
            )
        };
        if status < 0 || own < 0 {
            return 0;
        }
        let mut flags = BOTH_KNOWN;
        if status & libc::O_NONBLOCK != 0 {
            flags |= NONBLOCKING;
        }
        if own & libc::FD_CLOEXEC != 0 {
            flags |= CLOEXEC;
        }
        flags
    })
}

/// A call on a descriptor about to be made.
#[derive(Clone, Copy)]
pub(crate) struct Calling {
    pub(crate) op: Op,
    pub(crate) fd: RawFd,
    /// Bytes asked for.
    pub(crate) asked: usize,
    pub(crate) at: &'static Location<'static>,
}

/// The result as the event table has it: `Ok` by `value`, an error as −errno.
pub(crate) fn code<T>(result: &io::Result<T>, value: impl FnOnce(&T) -> i64) -> i32 {
    match result {
        Ok(ok) => value(ok).clamp(i32::MIN.into(), i32::MAX.into()) as i32,
        Err(error) => -errno(error),
    }
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(match error.kind() {
        io::ErrorKind::WouldBlock => libc::EAGAIN,
        io::ErrorKind::Interrupted => libc::EINTR,
        _ => libc::EIO,
    })
}

/// Makes a call that moves bytes and records it.
#[inline(always)]
pub(crate) fn bytes(
    calling: impl FnOnce() -> Calling,
    call: impl FnOnce() -> io::Result<usize>,
) -> io::Result<usize> {
    result(calling, call, |n| *n as i64)
}

/// Makes a call and records it; `value` is what the event holds of a success.
#[inline(always)]
pub(crate) fn result<T>(
    calling: impl FnOnce() -> Calling,
    call: impl FnOnce() -> io::Result<T>,
    value: impl FnOnce(&T) -> i64,
) -> io::Result<T> {
    if state::records_calls() {
        return recorded(&calling(), call, value);
    }
    call()
}

#[cold]
#[inline(never)]
fn recorded<T>(
    calling: &Calling,
    call: impl FnOnce() -> io::Result<T>,
    value: impl FnOnce(&T) -> i64,
) -> io::Result<T> {
    let begun = begin(calling);
    let result = call();
    end(calling, begun, code(&result, value));
    result
}

/// The instant a call began, and what it interrupts.
#[derive(Clone, Copy)]
pub(crate) struct Begun {
    ticks: u64,
    around: Call,
    site: u16,
}

#[inline(never)]
pub(crate) fn begin(calling: &Calling) -> Option<Begun> {
    let here = state::here()?;
    let site = here.site(calling.at);
    let ticks = here.now();
    Some(Begun {
        ticks,
        around: here.enter(calling.op, calling.fd, ticks),
        site,
    })
}

#[inline(never)]
pub(crate) fn end(calling: &Calling, begun: Option<Begun>, code: i32) {
    let Some(here) = state::here() else { return };
    let ticks = here.now();
    let (began, site) = match begun {
        Some(begun) => {
            here.leave(begun.around);
            (begun.ticks, begun.site)
        }
        None => (ticks, 0),
    };
    returned(&here, calling, ticks, began, site, code);
}

/// A call on a descriptor has returned.
pub(crate) fn returned(
    here: &Here,
    calling: &Calling,
    ticks: u64,
    began: u64,
    site: u16,
    code: i32,
) {
    here.push(&Rec {
        ticks,
        kind: Kind::Io,
        aux: calling.op.code(),
        fd: calling.fd,
        x: code,
        arg: calling.asked as u64,
        y: Some(ticks.saturating_sub(began)),
        site,
        ..Rec::default()
    });
}

/// A descriptor came into being; `from` is what it was made from, −1 nothing.
pub(crate) fn opened(
    kind: FdKind,
    fd: RawFd,
    from: RawFd,
    flags: u64,
    at: &'static Location<'static>,
) {
    if !state::is_on() {
        return;
    }
    let Some(here) = state::here() else { return };
    if state::records_calls() {
        let site = here.site(at);
        here.push(&Rec {
            ticks: here.now(),
            kind: Kind::FdOpen,
            aux: kind.code(),
            fd,
            x: from,
            arg: flags,
            site,
            ..Rec::default()
        });
    }
    addressed(&here, kind, fd);
}

/// A descriptor made elsewhere came into our hands: what it is and its addresses.
pub(crate) fn adopted(kind: FdKind, fd: RawFd) {
    if !state::is_on() {
        return;
    }
    if let Some(here) = state::here() {
        addressed(&here, kind, fd);
    }
}

#[cold]
fn addressed(here: &Here, kind: FdKind, fd: RawFd) {
    let text = address::pair(kind, fd);
    let record = Rec {
        ticks: here.now(),
        kind: Kind::FdAddr,
        aux: kind.code(),
        fd,
        ..Rec::default()
    };
    if !text.as_bytes().is_empty() {
        here.push_text(&record, text.as_bytes());
    }
}

/// Closes a descriptor by `close` and records its end. What `close` returns is 0 or −errno.
#[inline(always)]
pub(crate) fn closing(fd: RawFd, close: impl FnOnce() -> i32) {
    if !state::records_calls() {
        close();
        return;
    }
    plain(Kind::FdCloseBegin, fd, 0);
    let code = close();
    plain(Kind::FdCloseEnd, fd, code);
    if let Some(here) = state::here()
        && here.serves() == fd
    {
        // Nothing is left to serve, and the thread may never wait again.
        here.serve(-1);
        run_end(-1, 0);
    }
}

/// Duplicates `old` by `dup` and records both ends of it.
pub(crate) fn duplicating<T>(
    old: RawFd,
    dup: impl FnOnce() -> io::Result<T>,
    new: impl FnOnce(&T) -> RawFd,
) -> io::Result<T> {
    if !state::records_calls() {
        return dup();
    }
    plain(Kind::DupBegin, old, -1);
    let result = dup();
    plain(Kind::DupEnd, old, code(&result, |copy| new(copy).into()));
    result
}

#[inline(never)]
fn plain(kind: Kind, fd: RawFd, x: i32) {
    if let Some(here) = state::here() {
        here.push(&Rec {
            ticks: here.now(),
            kind,
            fd,
            x,
            ..Rec::default()
        });
    }
}

/// An epoll_ctl(2) about to be made, as it is recorded.
#[derive(Clone, Copy)]
pub(crate) struct Changing {
    pub(crate) op: crate::record::event::Ctl,
    pub(crate) epfd: RawFd,
    pub(crate) fd: RawFd,
    pub(crate) mask: u32,
    pub(crate) data: u64,
    pub(crate) at: &'static Location<'static>,
}

/// Makes an epoll_ctl(2) and records both ends of it.
#[inline(always)]
pub(crate) fn changing(
    changing: impl FnOnce() -> Changing,
    call: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    if !state::records_calls() {
        return call();
    }
    let c = changing();
    ctl(&c, Kind::CtlBegin, c.mask as i32, c.data);
    let result = call();
    ctl(&c, Kind::CtlEnd, code(&result, |()| 0), 0);
    result
}

#[inline(never)]
fn ctl(c: &Changing, kind: Kind, x: i32, arg: u64) {
    if let Some(here) = state::here() {
        // Before the stamp: telling a new site's text is a push of its own, and stamps of a ring never go back.
        let site = here.site(c.at);
        here.push(&Rec {
            ticks: here.now(),
            kind,
            aux: c.op.code(),
            fd: c.fd,
            x,
            arg,
            y: Some(c.epfd as u64),
            site,
            ..Rec::default()
        });
    }
}
