//! Timers that are descriptors: on which clock one is made, and what it is armed for. Step: **event** → ring.

use core::ffi::{c_int, c_long};

use super::fd::{CLOEXEC, NONBLOCK, New, opening};
use super::{code, open};
use crate::record::clock;
use crate::record::event::{Arming, FdKind, Kind};
use crate::record::wire::Rec;
use crate::{memory, site, tls};

const REALTIME: c_int = 0;
const MONOTONIC: c_int = 1;
const BOOTTIME: c_int = 7;
const REALTIME_ALARM: c_int = 8;
const BOOTTIME_ALARM: c_int = 9;
const ABSOLUTE: c_int = 1;

/// `struct itimerspec`: interval and first expiry, each seconds and nanoseconds.
pub type Spec = [c_long; 4];

/// The clocks a timer can be on, in the two bits that a descriptor's kind leaves for it; 0 not known.
const CLOCKS: [c_int; 4] = [-1, REALTIME, MONOTONIC, BOOTTIME];

/// Makes a call that makes a timer.
#[inline(always)]
pub fn making(clock: c_int, flags: c_int, caller: usize, call: impl FnOnce() -> c_int) -> c_int {
    let new = New::of(FdKind::Timerfd, flags & (NONBLOCK | CLOEXEC));
    let fd = opening(new, caller, call);
    if fd >= 0 {
        let ticks_with = match clock {
            REALTIME_ALARM => REALTIME,
            BOOTTIME_ALARM => BOOTTIME,
            other => other,
        };
        let at = CLOCKS.iter().position(|known| *known == ticks_with);
        open::note(fd, at.unwrap_or(0) as u8);
    }
    fd
}

/// Makes a call that arms a timer, moves it or takes it back. `old` is where the kernel puts what was set until then.
///
/// # Safety
///
/// The program passes both to the kernel.
#[inline(always)]
pub unsafe fn setting(
    fd: c_int,
    flags: c_int,
    (spec, old): (*const Spec, *const Spec),
    caller: usize,
    call: impl FnOnce() -> c_int,
) -> c_int {
    let Some(here) = tls::here() else {
        return call();
    };
    let before = memory::before(spec);
    let answer = call();
    let result = code(answer);
    // The kernel may have written the old one over it.
    let is_whole = old.is_null() || old.addr().abs_diff(spec.addr()) >= size_of::<Spec>();
    let known = match before {
        None if result == 0 && is_whole => {
            // SAFETY: the kernel has read it.
            Some(unsafe { spec.read_unaligned() })
        }
        known => known,
    };
    let spec = known.unwrap_or_default();
    let [interval, first] = [[spec[0], spec[1]], [spec[2], spec[3]]].map(nanoseconds);
    let (arming, left) = match first {
        _ if known.is_none() => (Arming::Unknown, 0),
        0 => (Arming::Off, 0),
        due if flags & ABSOLUTE != 0 => match CLOCKS.get(usize::from(open::noted(fd))) {
            Some(clock @ 0..) => (Arming::In, due.saturating_sub(clock::read(*clock))),
            _ => (Arming::Unknown, 0),
        },
        left => (Arming::In, left),
    };
    here.ring().push(&Rec {
        ticks: here.now(),
        kind: Kind::TimerfdSet,
        aux: arming.code(),
        fd,
        x: result,
        arg: interval,
        y: Some(left),
        site: site::id(&here, caller),
        ..Rec::default()
    });
    answer
}

fn nanoseconds([seconds, rest]: [c_long; 2]) -> u64 {
    let (seconds, rest) = (seconds.max(0) as u64, rest.max(0) as u64);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}
