//! The life of a descriptor: opened, duplicated, closed. A beginning is told at its end, an ending at both its ends,
//! because the number is free for other threads in between. Step: **event** → ring.

use core::ffi::c_int;

use super::{Answer, code, open};
use crate::record::event::{FdKind, Kind};
use crate::record::wire::Rec;
use crate::tls::Here;
use crate::{site, tls};

/// O_NONBLOCK, SOCK_NONBLOCK, EFD_NONBLOCK, …: one number on Linux.
pub const NONBLOCK: c_int = 0o4000;
/// O_CLOEXEC and its namesakes.
pub const CLOEXEC: c_int = 0o2_000_000;

/// What is known of a new descriptor.
#[derive(Clone, Copy)]
pub struct New {
    /// What it is.
    pub kind: FdKind,
    /// What it was made from, −1 nothing.
    pub from: c_int,
    /// [`NONBLOCK`] and [`CLOEXEC`].
    pub flags: c_int,
}

impl New {
    /// One made from nothing.
    pub const fn of(kind: FdKind, flags: c_int) -> New {
        New {
            kind,
            from: -1,
            flags,
        }
    }

    /// A birth certificate without a call of ours: somebody else has opened it.
    pub fn tell(self, fd: c_int, caller: usize) {
        if let Some(here) = tls::here() {
            let site = site::id(&here, caller);
            self.push(&here, fd, site);
        }
    }

    fn push(self, here: &Here, fd: c_int, site: u16) {
        open::set(fd, self.kind);
        let nonblocking = u64::from(self.flags & NONBLOCK != 0);
        let cloexec = u64::from(self.flags & CLOEXEC != 0) << 1;
        let both_known = 1 << 2;
        here.ring().push(&Rec {
            ticks: here.now(),
            kind: Kind::FdOpen,
            aux: self.kind.code(),
            fd,
            x: self.from,
            arg: nonblocking | cloexec | both_known,
            site,
            ..Rec::default()
        });
    }
}

/// Makes a call that returns a new descriptor.
#[inline(always)]
pub fn opening(new: New, caller: usize, call: impl FnOnce() -> c_int) -> c_int {
    let fd = call();
    if fd >= 0 {
        new.tell(fd, caller);
    }
    fd
}

/// Makes a call that puts two new descriptors where `pair` points.
#[inline(always)]
pub fn opening_two(
    new: New,
    pair: *const [c_int; 2],
    caller: usize,
    call: impl FnOnce() -> c_int,
) -> c_int {
    let done = call();
    if done == 0 {
        // SAFETY: the call succeeded, so two integers are there.
        let [a, b] = unsafe { pair.read_unaligned() };
        new.tell(a, caller);
        new.tell(b, caller);
    }
    done
}

/// Tells that every descriptor from `first` to `last` is closed by one call, which is about to be made and does not fail
/// for them. Descriptors that nobody has told of are not known to anybody else either.
pub fn closing_range(first: u32, last: u32, caller: usize) {
    let Some(here) = tls::here() else {
        return;
    };
    let site = site::id(&here, caller);
    open::take(first, last, |fd| {
        for kind in [Kind::FdCloseBegin, Kind::FdCloseEnd] {
            here.ring().push(&Rec {
                ticks: here.now(),
                kind,
                fd,
                site,
                ..Rec::default()
            });
        }
    });
}

/// Makes a call that closes a descriptor.
#[inline(always)]
pub fn closing<R: Answer>(fd: c_int, caller: usize, call: impl FnOnce() -> R) -> R {
    both_ends(
        (Kind::FdCloseBegin, 0),
        Kind::FdCloseEnd,
        fd,
        caller,
        |answer: R| match answer.value() {
            -1 => code(answer),
            // pclose(3) answers a status.
            _ => {
                open::clear(fd);
                0
            }
        },
        call,
    )
}

/// Makes a call that duplicates a descriptor, over `target` unless that is −1.
#[inline(always)]
pub fn duplicating<R: Answer>(
    old: c_int,
    target: c_int,
    caller: usize,
    call: impl FnOnce() -> R,
) -> R {
    both_ends(
        (Kind::DupBegin, target),
        Kind::DupEnd,
        old,
        caller,
        |answer: R| {
            let new = code(answer);
            open::copy(old, new);
            new
        },
        call,
    )
}

#[inline(always)]
fn both_ends<R: Answer>(
    (begin, x): (Kind, i32),
    end: Kind,
    fd: c_int,
    caller: usize,
    code: impl FnOnce(R) -> i32,
    call: impl FnOnce() -> R,
) -> R {
    let Some(here) = tls::here() else {
        return call();
    };
    let rec = Rec {
        fd,
        site: site::id(&here, caller),
        ..Rec::default()
    };
    here.ring().push(&Rec {
        ticks: here.now(),
        kind: begin,
        x,
        ..rec
    });
    let answer = call();
    here.ring().push(&Rec {
        ticks: here.now(),
        kind: end,
        x: code(answer),
        ..rec
    });
    answer
}
