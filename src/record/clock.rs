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
pub fn read(clock: c_int) -> u64 {
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
    /// CLOCK_MONOTONIC at instant 0; differs from the start's after a jump.
    zero: u64,
    /// The rate measured between the last two anchors, which the current piece's leaves to make an error good.
    beside: u64,
}

const ONE: u64 = 1 << 32;

/// A measured rate that differs by more than one part in this many is a jump. A clock is slewed by far less (adjtimex(2):
/// 500 parts per million), and two readings of the clocks 10 ms apart are off by less.
const JUMP: u64 = 20;

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
            zero: start.mono,
            beside: rate,
        }
    }

    /// Learns of a later anchor. Ticks before it convert as they did.
    ///
    /// Where ticks and CLOCK_MONOTONIC disagree by more than 5%, one of them jumped: a suspend stops the clock
    /// and not every counter, or resets the counter. Then the rate stays as it was and the difference is never made
    /// good, because time may not stand still nor run backwards. `false` says that ticks went back: what is stamped
    /// from here on converts right, older stamps that were not converted yet no longer do.
    pub fn learn(&mut self, anchor: Anchor) -> bool {
        let Some(current) = self.pieces.get(self.len - 1).copied() else {
            return true;
        };
        if anchor.ticks <= self.last.ticks {
            let passed = anchor.mono.saturating_sub(self.last.mono);
            let here = current.ns(self.last.ticks).saturating_add(passed);
            self.len = 0;
            self.jump(
                anchor,
                Piece {
                    ticks: anchor.ticks,
                    ns: here,
                    ..current
                },
            );
            return false;
        }
        let interval = anchor.ticks - self.last.ticks;
        let passed = anchor.mono.saturating_sub(self.last.mono);
        let here = current.ns(anchor.ticks);
        let measured = rate(passed, interval).unwrap_or(0);
        if measured.abs_diff(current.rate) > current.rate / JUMP {
            let should = anchor.mono.wrapping_sub(self.zero);
            self.jump(
                anchor,
                Piece {
                    ticks: anchor.ticks,
                    ns: here.max(should),
                    ..current
                },
            );
            return true;
        }
        self.beside = measured;
        // Where we stand against where we should, made good over one more interval; both lie close together.
        let aim = anchor.mono.wrapping_sub(self.zero).saturating_add(passed);
        let span = aim
            .saturating_sub(here)
            .clamp(passed - passed / 10, passed.saturating_add(passed / 10));
        self.add(Piece {
            ticks: anchor.ticks,
            ns: here,
            rate: rate(span, interval).unwrap_or(measured),
        });
        self.last = anchor;
        true
    }

    fn jump(&mut self, anchor: Anchor, piece: Piece) {
        self.zero = anchor.mono.wrapping_sub(piece.ns);
        self.add(piece);
        self.last = anchor;
    }

    fn add(&mut self, piece: Piece) {
        if self.len == PIECES {
            self.pieces.copy_within(1.., 0);
            self.len -= 1;
        }
        if let Some(free) = self.pieces.get_mut(self.len) {
            *free = piece;
            self.len += 1;
        }
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

    /// The ticks at an instant of CLOCK_MONOTONIC, which the kernel stamps by: as far from the last anchor as the two clocks
    /// ran beside each other between it and the one before.
    pub fn ticks_at(&self, mono: u64) -> u64 {
        let ticks = |ns: u64| {
            let ticks = ((ns as u128) << 32) / self.beside.max(1) as u128;
            u64::try_from(ticks).unwrap_or(u64::MAX)
        };
        match mono.checked_sub(self.last.mono) {
            Some(after) => self.last.ticks.saturating_add(ticks(after)),
            None => (self.last.ticks).saturating_sub(ticks(self.last.mono - mono)),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ticks: u64, mono: u64) -> Anchor {
        Anchor {
            ticks,
            mono,
            ..Anchor::default()
        }
    }

    /// Three ticks a nanosecond, off by so many parts per million.
    fn ticks(ns: u64, ppm: i64) -> u64 {
        (ns as i128 * 3 * (1_000_000 + ppm as i128) / 1_000_000) as u64 + 1_000
    }

    const SECOND: u64 = 1_000_000_000;

    /// A third of a nanosecond has no end in binary.
    #[track_caller]
    fn close(got: u64, want: u64) {
        assert!(got.abs_diff(want) <= 2, "{got} is not {want}");
    }

    #[test]
    fn a_drifting_counter_is_followed_without_a_step_back() {
        // The first rate is wrong by 0.02%, then the counter drifts by a few parts per million, now here, now there.
        let mut converter = Converter::new(
            Clock::Tsc,
            at(ticks(0, 0), 77),
            at(ticks(200_000, 200), 77 + 200_000),
        );
        let (mut last, mut worst) = (0, 0);
        let mut counter = ticks(0, 0);
        for second in 1..=100u64 {
            let drift = [30, -20, 5, -5][second as usize % 4];
            let step = (ticks(SECOND, drift) - ticks(0, drift)) / 100;
            for _ in 0..100 {
                let ns = converter.ns(counter);
                assert!(ns >= last);
                last = ns;
                counter += step;
            }
            assert!(converter.learn(at(counter, 77 + second * SECOND)));
            if second > 3 {
                worst = worst.max(converter.ns(counter).abs_diff(second * SECOND));
            }
        }
        assert!(worst < 100_000, "off by {worst} ns");
    }

    #[test]
    fn an_instant_of_the_kernel_finds_its_ticks() {
        let mut converter = Converter::new(
            Clock::Tsc,
            at(ticks(0, 0), 500),
            at(ticks(1_000_000, 50), 1_000_500),
        );
        for second in 1..=3u64 {
            let ns = second * SECOND;
            assert!(converter.learn(at(ticks(ns, 5), 500 + ns)));
            for ahead in [0, 1_000_000, SECOND] {
                let (back, on) = (ns - ahead, ns + ahead);
                // 5 parts per million for the first interval, whose rate was off; none after.
                close(converter.ticks_at(500 + back), ticks(back, 5));
                close(converter.ticks_at(500 + on), ticks(on, 5));
            }
        }
        let plain = Converter::new(Clock::Monotonic, at(70, 70), at(100, 100));
        assert_eq!([60, 70, 5_000].map(|t| plain.ticks_at(t)), [60, 70, 5_000]);
    }

    #[test]
    fn a_suspend_is_not_made_good() {
        let mut converter = Converter::new(Clock::Tsc, at(0, 0), at(3_000, 1_000));
        assert!(converter.learn(at(3 * SECOND, SECOND)));
        // The counter ran on for an hour, the clock did not.
        let hour = 3_600 * SECOND;
        assert!(converter.learn(at(3 * (2 * SECOND + hour), 2 * SECOND)));
        assert!(converter.learn(at(3 * (3 * SECOND + hour), 3 * SECOND)));
        let instant = |ns: u64| converter.ns(3 * (ns + hour));
        close(instant(3 * SECOND) - instant(2 * SECOND), SECOND);
        close(converter.duration(3 * SECOND), SECOND);
    }

    #[test]
    fn a_counter_that_was_reset_goes_on_where_time_was() {
        let mut converter = Converter::new(Clock::Tsc, at(30, 0), at(3_030, 1_000));
        assert!(converter.learn(at(30 + 3 * SECOND, SECOND)));
        assert!(!converter.learn(at(50, 2 * SECOND)));
        close(converter.ns(50), 2 * SECOND);
        close(converter.ns(50 + 3 * SECOND), 3 * SECOND);
        assert!(converter.learn(at(50 + 3 * SECOND, 3 * SECOND)));
        close(converter.ns(50 + 6 * SECOND), 4 * SECOND);
    }

    #[test]
    fn this_machine_tells_the_time() {
        let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        let clock = Clock::best(&std::fs::read_to_string(source).unwrap_or_default());
        assert_eq!(Clock::from_code(clock.code()), Some(clock));
        let (a, b) = (Anchor::take(clock), Anchor::take(clock));
        assert!(a.ticks < b.ticks && a.mono <= b.mono && a.boot >= a.mono && a.real > 1 << 60);
        assert_eq!(Clock::best("hpet"), Clock::Monotonic);
    }
}
