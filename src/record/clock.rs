//! The clock that stamps pushes, and the way from its ticks to nanoseconds. Step: **event** → ring → trace.
//!
//! A program reads the time stamp counter where the kernel itself trusts it, else CLOCK_MONOTONIC. The collector
//! reads all clocks side by side every second ([`Anchor`]); between anchors ticks and nanoseconds run in proportion.

use core::ffi::{c_int, c_long};

/// What the ticks in a ring are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The x86 time stamp counter.
    Tsc,
    /// Nanoseconds of CLOCK_MONOTONIC.
    Monotonic,
}

impl Clock {
    /// The code in a segment's header.
    pub const fn code(self) -> u64 {
        match self {
            Clock::Tsc => 1,
            Clock::Monotonic => 2,
        }
    }

    /// The clock with this code, if this machine has it.
    pub const fn from_code(code: u64) -> Option<Self> {
        match code {
            1 if cfg!(target_arch = "x86_64") => Some(Clock::Tsc),
            2 => Some(Clock::Monotonic),
            _ => None,
        }
    }

    /// The best clock of this machine; `clocksource` is the content of
    /// `/sys/devices/system/clocksource/clocksource0/current_clocksource`. The counter is used only if CPUID calls it
    /// invariant and the kernel keeps time by it, since the kernel watches it for us.
    pub fn best(clocksource: &str) -> Self {
        if matches!(clocksource.trim(), "tsc" | "kvm-clock") && tsc_is_invariant() {
            Clock::Tsc
        } else {
            Clock::Monotonic
        }
    }

    /// The name in a recording's header.
    pub const fn name(self) -> &'static str {
        match self {
            Clock::Tsc => "tsc",
            Clock::Monotonic => "monotonic",
        }
    }

    /// Now, in ticks.
    #[inline(always)]
    pub fn now(self) -> u64 {
        match self {
            Clock::Tsc => tsc(),
            Clock::Monotonic => read(MONOTONIC),
        }
    }
}

/// The time stamp counter; on other machines than x86-64, where [`Clock::Tsc`] cannot be made, CLOCK_MONOTONIC.
#[inline(always)]
pub fn tsc() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction has no preconditions; where the kernel forbids it (prctl PR_SET_TSC) it traps.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    read(MONOTONIC)
}

fn tsc_is_invariant() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        // Leaf 8000_0007, EDX bit 8: invariant TSC (AMD APM vol. 3, E.4.6; Intel SDM vol. 3, 18.17.1).
        let leaf = 0x8000_0007;
        core::arch::x86_64::__cpuid(0x8000_0000).eax >= leaf
            && core::arch::x86_64::__cpuid(leaf).edx & 1 << 8 != 0
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

const REALTIME: c_int = 0;
const MONOTONIC: c_int = 1;
const BOOTTIME: c_int = 7;

#[repr(C)]
struct Timespec {
    sec: i64,
    nsec: c_long,
}

unsafe extern "C" {
    fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int;
}

/// Nanoseconds of one of the kernel's clocks; 0 if it does not exist.
fn read(clock: c_int) -> u64 {
    let mut time = Timespec { sec: 0, nsec: 0 };
    // SAFETY: `time` is a live timespec of this 64-bit platform's layout; the call writes nothing else and keeps
    // errno on success, which a known clock guarantees.
    unsafe { clock_gettime(clock, &mut time) };
    (time.sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.nsec as u64)
}

const _: () = assert!(
    size_of::<c_long>() == 8,
    "loopscope knows 64-bit Linux only"
);

/// The clocks side by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anchor {
    /// Ticks of the ring's clock.
    pub ticks: u64,
    /// CLOCK_MONOTONIC, nanoseconds.
    pub mono: u64,
    /// CLOCK_BOOTTIME, nanoseconds.
    pub boot: u64,
    /// CLOCK_REALTIME, nanoseconds since 1970.
    pub real: u64,
}

impl Anchor {
    /// Reads them. The ticks are the middle of the closest of three tries around CLOCK_MONOTONIC.
    pub fn take(clock: Clock) -> Self {
        if clock == Clock::Monotonic {
            let mono = read(MONOTONIC);
            return Anchor {
                ticks: mono,
                mono,
                boot: read(BOOTTIME),
                real: read(REALTIME),
            };
        }
        let mut best = (u64::MAX, Anchor::default());
        for _ in 0..3 {
            let before = clock.now();
            let mono = read(MONOTONIC);
            let width = clock.now().saturating_sub(before);
            if width < best.0 {
                best = (
                    width,
                    Anchor {
                        ticks: before + width / 2,
                        mono,
                        ..best.1
                    },
                );
            }
        }
        Anchor {
            boot: read(BOOTTIME),
            real: read(REALTIME),
            ..best.1
        }
    }
}

/// A stretch of ticks that runs in proportion to nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Piece {
    ticks: u64,
    ns: u64,
    /// Nanoseconds a tick, times 2³².
    rate: u64,
}

impl Piece {
    fn ns(&self, ticks: u64) -> u64 {
        self.ns
            .saturating_add(scale(ticks.saturating_sub(self.ticks), self.rate))
    }
}

fn scale(ticks: u64, rate: u64) -> u64 {
    let ns = (ticks as u128 * rate as u128) >> 32;
    if ns > u64::MAX as u128 {
        u64::MAX
    } else {
        ns as u64
    }
}

/// Pieces remembered: a stamp older than the oldest counts by that one's rate.
const PIECES: usize = 4;

/// Ticks to nanoseconds since the recording's start: piecewise linear, continuous, never backwards.
///
/// A piece starts at each anchor, where the one before it has arrived, and aims at where CLOCK_MONOTONIC will be
/// one interval later. So an error (the counter drifts by parts per million against a disciplined clock) is not
/// corrected by a jump but by the next interval's slope.
#[derive(Clone, Debug)]
pub struct Converter {
    pieces: [Piece; PIECES],
    len: usize,
    start: Anchor,
    last: Anchor,
}

const ONE: u64 = 1 << 32;

impl Converter {
    /// A conversion whose zero is `start`. `rate_from` is an earlier or later anchor to take the first rate from;
    /// the longer the time between the two, the better.
    pub fn new(clock: Clock, start: Anchor, rate_from: Anchor) -> Self {
        let ticks = start.ticks.abs_diff(rate_from.ticks);
        let ns = start.mono.abs_diff(rate_from.mono);
        let rate = match clock {
            Clock::Monotonic => ONE,
            _ => rate(ns, ticks).unwrap_or(ONE),
        };
        let piece = Piece {
            ticks: start.ticks,
            ns: 0,
            rate,
        };
        Converter {
            pieces: [piece; PIECES],
            len: 1,
            start,
            last: start,
        }
    }

    /// Learns of a later anchor. Ticks before it convert as they did.
    pub fn learn(&mut self, anchor: Anchor) {
        let Some(current) = self.pieces.get(self.len - 1).copied() else {
            return;
        };
        let measured = rate(
            anchor.mono.saturating_sub(self.last.mono),
            anchor.ticks.saturating_sub(self.last.ticks),
        );
        let Some(measured) = measured.filter(|_| anchor.ticks > self.last.ticks) else {
            return;
        };
        let interval = anchor.ticks - self.last.ticks;
        let here = current.ns(anchor.ticks);
        // Where we stand against where we should; made good over one more interval, but by no more than a tenth of
        // it, so that time never stands still (a suspend stops CLOCK_MONOTONIC and not every counter).
        let should = anchor.mono.saturating_sub(self.start.mono);
        let ahead = scale(interval, measured);
        let aim = should.saturating_add(ahead).saturating_sub(here);
        let span = aim.clamp(ahead - ahead / 10, ahead.saturating_add(ahead / 10));
        let piece = Piece {
            ticks: anchor.ticks,
            ns: here,
            rate: rate(span, interval).unwrap_or(measured),
        };
        if self.len == PIECES {
            self.pieces.copy_within(1.., 0);
            self.len -= 1;
        }
        if let Some(free) = self.pieces.get_mut(self.len) {
            *free = piece;
            self.len += 1;
        }
        self.last = anchor;
    }

    /// Nanoseconds since the start; 0 before it.
    #[inline]
    pub fn ns(&self, ticks: u64) -> u64 {
        let known = self.pieces.get(..self.len).unwrap_or(&[]);
        match known
            .iter()
            .rev()
            .find(|p| p.ticks <= ticks)
            .or(known.first())
        {
            Some(piece) => piece.ns(ticks),
            None => 0,
        }
    }

    /// The nanoseconds that `ticks` ticks last, by the current rate.
    #[inline]
    pub fn duration(&self, ticks: u64) -> u64 {
        self.pieces
            .get(self.len - 1)
            .map_or(0, |p| scale(ticks, p.rate))
    }

    /// The ticks that `ns` nanoseconds last, by the current rate.
    pub fn ticks(&self, ns: u64) -> u64 {
        let rate = self.pieces.get(self.len - 1).map_or(ONE, |p| p.rate.max(1));
        (((ns as u128) << 32) / rate as u128).min(u64::MAX as u128) as u64
    }

    /// The recording's start.
    pub fn start(&self) -> Anchor {
        self.start
    }
}

fn rate(ns: u64, ticks: u64) -> Option<u64> {
    let rate = ((ns as u128) << 32).checked_div(ticks as u128)?;
    u64::try_from(rate).ok().filter(|r| *r > 0)
}
