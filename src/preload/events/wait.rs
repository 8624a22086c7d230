//! Waits and their ready batches, of epoll and of poll and select. Step: **event** → ring.

use core::ffi::c_int;

use super::code;
use crate::record::event::{Kind, NO_INDEX, Wait};
use crate::record::ring::MAX_BATCH;
use crate::record::wire::Rec;
use crate::{memory, site, tls};

/// A wait about to happen.
#[derive(Clone, Copy)]
pub struct Waiting {
    /// The call.
    pub call: Wait,
    /// Its epoll descriptor, −1 for poll and select.
    pub epfd: c_int,
    /// maxevents; for poll and select how many descriptors the kernel scans.
    pub room: c_int,
    /// Nanoseconds; `u64::MAX`: for ever.
    pub timeout_ns: u64,
    /// Signals that it lets through, as its mask says; 0 none, or not known.
    pub lets: u64,
    /// Who called.
    pub caller: usize,
}

/// For ever.
pub const FOR_EVER: u64 = u64::MAX;
/// A time-out that cannot be read before the wait.
pub const NOT_KNOWN: u64 = u64::MAX - 1;

/// Nanoseconds of a time-out in milliseconds; negative means for ever.
#[inline(always)]
pub fn milliseconds(timeout: c_int) -> u64 {
    u64::try_from(timeout).map_or(FOR_EVER, |ms| ms * 1_000_000)
}

/// Seconds and a part of a second as the kernel reads them.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Time {
    seconds: i64,
    part: i64,
}

impl Time {
    /// The timespec of so many milliseconds.
    pub fn of_ms(ms: c_int) -> Time {
        Time {
            seconds: i64::from(ms / 1000),
            part: i64::from(ms % 1000) * 1_000_000,
        }
    }

    /// This, a timeval, as a timespec.
    pub fn to_timespec(self) -> Time {
        Time {
            part: self.part.saturating_mul(1000),
            ..self
        }
    }

    /// What a wait is told as a time-out, in nanoseconds, `part` being `unit` of them.
    #[inline(always)]
    pub fn ns_at(at: *const Time, unit: u64) -> u64 {
        match at.is_null() {
            true => FOR_EVER,
            false => memory::before(at).map_or(NOT_KNOWN, |time| time.ns(unit)),
        }
    }

    /// In nanoseconds, `part` being `unit` of them; what makes no sense, which the kernel refuses, is 0.
    pub fn ns(self, unit: u64) -> u64 {
        let (seconds, part) = (u64::try_from(self.seconds), u64::try_from(self.part));
        match (seconds, part) {
            (Ok(s), Ok(p)) => s
                .saturating_mul(1_000_000_000)
                .saturating_add(p.saturating_mul(unit))
                .min(NOT_KNOWN - 1),
            _ => 0,
        }
    }
}

/// Records a wait's entry and makes it; what it returned, and the record of its return, not pushed yet.
#[inline(always)]
fn waited(here: &tls::Here, waiting: &Waiting, call: impl FnOnce() -> c_int) -> (c_int, Rec) {
    let rec = Rec {
        aux: waiting.call.code(),
        fd: waiting.epfd,
        site: site::id(here, waiting.caller),
        ..Rec::default()
    };
    here.ring().push(&Rec {
        ticks: here.now(),
        kind: Kind::WaitEnter,
        x: waiting.room,
        arg: waiting.timeout_ns,
        y: (waiting.lets != 0).then_some(waiting.lets),
        ..rec
    });
    let n = call();
    let exit = Rec {
        ticks: here.now(),
        kind: Kind::WaitExit,
        x: code(n),
        ..rec
    };
    (n, exit)
}

/// Makes a wait and records its entry, its return and the batch. `member` gives event `i` of a batch of `n`: mask and
/// data word.
#[inline(always)]
pub fn waiting(
    waiting: Waiting,
    call: impl FnOnce() -> c_int,
    member: impl Fn(usize) -> (u32, u64),
) -> c_int {
    let Some(here) = tls::here() else {
        return call();
    };
    let (n, exit) = waited(&here, &waiting, call);
    let ticks = exit.ticks;
    let ready = |i: usize| {
        let (mask, data) = member(i);
        Rec {
            ticks,
            kind: Kind::Ready,
            aux: u16::try_from(i).unwrap_or(NO_INDEX),
            fd: waiting.epfd,
            x: mask as i32,
            arg: data,
            ..Rec::default()
        }
    };
    let n_ready = usize::try_from(n).unwrap_or(0);
    if n_ready == 0 {
        here.ring().push(&exit);
        return n;
    }
    let head = n_ready.min(MAX_BATCH - 1);
    here.ring().push_batch(&exit, head, ready);
    let mut done = head;
    while done < n_ready {
        let chunk = (n_ready - done).min(MAX_BATCH);
        here.ring()
            .push_batch(&ready(done), chunk - 1, |i| ready(done + 1 + i));
        done += chunk;
    }
    n
}

/// The same for a scan over descriptors: `scan` calls back with each that is ready, in order, with its mask and its
/// number, until it is told that it was the last.
#[inline(always)]
pub fn scanning(
    waiting: Waiting,
    call: impl FnOnce() -> c_int,
    scan: impl Fn(&mut dyn FnMut(u32, c_int) -> bool),
) -> c_int {
    let Some(here) = tls::here() else {
        return call();
    };
    let (n, exit) = waited(&here, &waiting, call);
    let ticks = exit.ticks;
    if n <= 0 {
        here.ring().push(&exit);
        return n;
    }
    // A batch needs its members by index, and back to front: a few at a time, from the stack.
    let mut some = [(0, 0); 32];
    let (mut filled, mut told, mut left) = (0, 0, n);
    let tell = |some: &[(u32, c_int)], told: usize| {
        let ready = |i: usize| {
            let (mask, fd) = some.get(i).copied().unwrap_or_default();
            Rec {
                ticks,
                kind: Kind::Ready,
                aux: u16::try_from(told + i).unwrap_or(NO_INDEX),
                fd: -1,
                x: mask as i32,
                arg: fd as u32 as u64,
                ..Rec::default()
            }
        };
        match (told, some.len()) {
            (0, n) => here.ring().push_batch(&exit, n, ready),
            (_, 0) => true,
            (_, n) => here.ring().push_batch(&ready(0), n - 1, |i| ready(1 + i)),
        };
    };
    scan(&mut |mask, fd| {
        left -= 1;
        if filled == some.len() {
            tell(&some, told);
            told += filled;
            filled = 0;
        }
        if let Some(free) = some.get_mut(filled) {
            *free = (mask, fd);
            filled += 1;
        }
        left > 0
    });
    tell(some.get(..filled).unwrap_or(&[]), told);
    n
}
