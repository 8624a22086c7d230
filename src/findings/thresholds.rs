//! The numbers a finding needs to fire: defaults, a file that overrides them, and the same as text to print beside the
//! findings. Step: model → **view**.

use crate::when::{Duration, duration};
use std::fmt;

/// How a threshold is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// A duration: `"50ms"`.
    Time,
    /// A plain number.
    Count,
}

macro_rules! thresholds {
    ($($(#[doc = $doc:literal])* $name:ident: $unit:ident = $default:expr,)*) => {
        /// What a finding needs to fire; durations in nanoseconds, shares in per cent.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Thresholds { $($(#[doc = $doc])* pub $name: u64,)* }

        impl Default for Thresholds {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Thresholds {
            fn all(&self) -> Vec<(&'static str, Unit, u64, &'static str)> {
                vec![$((stringify!($name), Unit::$unit, self.$name, concat!($($doc),*)),)*]
            }

            fn field(&mut self, name: &str) -> Option<(&mut u64, Unit)> {
                match name {
                    $(stringify!($name) => Some((&mut self.$name, Unit::$unit)),)*
                    _ => None,
                }
            }
        }
    };
}

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

thresholds! {
    /// blocking-handler: a call this long inside a turn is a warning
    blocking_warning: Time = 10 * MS,
    /// blocking-handler: this long, an error
    blocking_error: Time = 50 * MS,
    /// blocking-handler: fewer times that nobody was seen to wait for are info
    blocking_times: Count = 3,
    /// computing-handler: so much time on its CPU in one run is a warning where others waited for it
    computing_warning: Time = 10 * MS,
    /// computing-handler: so much, an error
    computing_error: Time = 50 * MS,
    /// page-fault-stall: asleep in page faults for so long in one run
    fault_stall: Time = 5 * MS,
    /// page-fault-stall: or for so much of a run that is long enough to be pre-empted, per cent
    fault_share: Count = 30,
    /// preempted-handler: a run this long, for half of which others had its CPU
    preempted_run: Time = 10 * MS,
    /// long-handler: a run this long
    long_run: Time = 50 * MS,
    /// computing-handler, page-fault-stall, long-handler, long-iteration: so many times make a warning of it
    long_times: Count = 3,
    /// computing-handler, long-handler: one run this long matters by itself
    long_run_once: Time = 250 * MS,
    /// long-iteration: a turn this long without a long run
    long_turn: Time = 100 * MS,
    /// starvation: ready this long and not served
    starved: Time = 100 * MS,
    /// starvation: while one other run lasted this long …
    starved_behind_run: Time = 50 * MS,
    /// starvation: … or so many others ran
    starved_behind_runs: Count = 64,
    /// greedy-handler: reads or accepts in one run
    greedy_calls: Count = 64,
    /// greedy-handler: so many are enough where others were seen to wait behind it
    greedy_calls_felt: Count = 40,
    /// greedy-handler: or bytes moved in one run
    greedy_bytes: Count = 1 << 20,
    /// greedy-handler: and the run lasts this long
    greedy_run: Time = 2 * MS,
    /// greedy-handler: so many times make a warning of it
    greedy_times: Count = 3,
    /// greedy-handler: one run this long is a warning by itself
    greedy_run_once: Time = 20 * MS,
    /// fd-left-blocking: a call on a descriptor that blocks slept this long
    blocking_io: Time = 5 * MS,
    /// et-not-drained: bytes stay behind this long
    left_behind: Time = 200 * MS,
    /// et-eof-missed: nothing was done about the end for this long
    eof_missed: Time = S,
    /// busy-loop: waits a second that do not sleep
    spinning_waits: Count = 1_000,
    /// busy-loop: the part of a second that waits may take, per cent
    spinning_asleep: Count = 20,
    /// busy-loop: turns this long on average do work nobody sees
    spinning_turn: Time = 100 * US,
    /// a wait this short did not sleep
    not_asleep: Time = 20 * US,
    /// timer-spin: empty waits in a row
    timer_spin_waits: Count = 5,
    /// timer-spin: within this time
    timer_spin_length: Time = 1_200 * US,
    /// timer-spin: such bursts a minute
    timer_spin_bursts: Count = 20,
    /// writable-spin, hangup-spin, eof-ignored, data-names-other-fd: reports in a row
    spin_reports: Count = 20,
    /// the same: so many reports within this time are a spin
    spin_within: Time = S,
    /// fd-limit-spin: accepts that fail in a second
    limit_accepts: Count = 10,
    /// short-write-dropped: no further write for this long
    rest_missing: Time = S,
    /// never-registered, interest-without-in: bytes wait this long
    unheard: Time = S,
    /// thundering-herd, spurious-wakeup: reports before a share is told
    shares_of: Count = 100,
    /// thundering-herd: the share that found nothing, per cent
    herd_share: Count = 50,
    /// spurious-wakeup: the share that found nothing, per cent
    spurious_share: Count = 20,
    /// worker-skew: the share of one worker, per cent
    skew_share: Count = 90,
    /// ghost-event: reports of a closed descriptor that make an error of it
    ghost_reports: Count = 20,
    /// exec-inherited-epoll: a started program has it open this long
    inherited: Time = S,
    /// fd-leak: open and unused this long after its end
    leak_after: Time = 60 * S,
    /// fd-leak: windows of 10 s in which the number of open descriptors grows
    leak_windows: Count = 10,
    /// oneshot-not-rearmed: off this long
    off_for: Time = 5 * S,
    /// late-timer: this late behind the loop's own work
    late: Time = 5 * MS,
    /// late-timer: this late after the time-out that a loop without marked timers had asked for
    late_asked: Time = 20 * MS,
    /// late-timer: so many times
    late_times: Count = 3,
    /// batch-full: the share of waits of a second that fill the batch, per cent
    full_share: Count = 50,
    /// registration-churn: dispatches before a ratio is told
    churn_of: Count = 1_000,
    /// registration-churn: epoll_ctl calls a dispatch
    churn_calls: Count = 2,
    /// signal-starved: a signal that the waits let through is pending this long
    signal_pending: Time = S,
    /// signal-starved: while so many waits returned events, and none returned without
    signal_waits: Count = 10,
    /// idle-wakeups: wakeups a second for 10 s
    idle_wakeups: Count = 5,
    /// idle-wakeups: time-outs a second for 10 s
    idle_timeouts: Count = 50,
    /// rules about rates say nothing of a process so long after its start
    grace: Time = S,
}

/// What is wrong with a file of thresholds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadThreshold {
    /// Line, from 1.
    pub line: usize,
    what: String,
}

impl fmt::Display for BadThreshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for BadThreshold {}

impl Thresholds {
    /// These, with what a file of `name = value` lines says otherwise: TOML, of which it needs integers, strings
    /// (`"50ms"`), comments and one table, `[thresholds]`.
    ///
    /// # Errors
    /// At the first line that says something else.
    pub fn overridden(mut self, text: &str) -> Result<Self, BadThreshold> {
        for (at, line) in text.lines().enumerate() {
            let bad = |what: String| BadThreshold { line: at + 1, what };
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() || line == "[thresholds]" {
                continue;
            }
            let Some((name, value)) = line.split_once('=') else {
                return Err(bad("this is no `name = value`".to_owned()));
            };
            let (name, value) = (name.trim(), value.trim());
            let Some((field, unit)) = self.field(name) else {
                return Err(bad(format!(
                    "there is no threshold {name:?}; `loopscope explain thresholds` lists them"
                )));
            };
            let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
            let read = match (unit, quoted) {
                (Unit::Time, Some(text)) => duration(text),
                (Unit::Time, None) => None,
                (Unit::Count, _) => value.replace('_', "").parse().ok(),
            };
            *field = read.ok_or_else(|| {
                bad(match unit {
                    Unit::Time => format!("{name} is a duration, like \"50ms\""),
                    Unit::Count => format!("{name} is a whole number"),
                })
            })?;
        }
        Ok(self)
    }

    /// The same as a file, each line with what it means.
    pub fn to_toml(&self) -> String {
        let mut out = "[thresholds]\n".to_owned();
        for (name, unit, value, doc) in self.all() {
            out += &format!("#{doc}\n{name} = {}\n", written(unit, value));
        }
        out
    }

    /// A number that differs where a name or a value does (FNV-1a over both): what was found with one set of thresholds
    /// is not what is found with another.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for (name, _, value, _) in self.all() {
            for byte in name.bytes().chain(value.to_le_bytes()) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        hash
    }

    /// Those that differ from the defaults, as `name = value`.
    pub fn changed(&self) -> Vec<String> {
        let defaults = Self::default().all();
        let pairs = self.all().into_iter().zip(defaults);
        pairs
            .filter(|(mine, theirs)| mine.2 != theirs.2)
            .map(|((name, unit, value, _), _)| format!("{name} = {}", written(unit, value)))
            .collect()
    }
}

fn written(unit: Unit, value: u64) -> String {
    match unit {
        Unit::Count => value.to_string(),
        Unit::Time => {
            for (suffix, scale) in [("s", S), ("ms", MS), ("us", US)] {
                if value >= scale && value.is_multiple_of(scale) {
                    return format!("\"{}{suffix}\"", value / scale);
                }
            }
            format!("\"{value}ns\"")
        }
    }
}

/// A duration as a sentence tells it.
pub(super) fn told(ns: u64) -> String {
    Duration(ns).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        let mine = Thresholds {
            long_run: 7 * MS + 1,
            spin_reports: 3,
            ..Thresholds::default()
        };
        let text = mine.to_toml();
        assert_eq!(Thresholds::default().overridden(&text), Ok(mine.clone()));
        assert_eq!(
            mine.changed(),
            ["long_run = \"7000001ns\"", "spin_reports = 3"]
        );
        assert_ne!(mine.fingerprint(), Thresholds::default().fingerprint());
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line() {
        let read = |text: &str| Thresholds::default().overridden(text);
        for (text, line) in [
            ("long_run = 50", 1),
            ("# fine\n\nno_such = 3", 3),
            ("spin_reports = \"many\"", 1),
            ("[thresholds]\nnonsense", 2),
        ] {
            assert_eq!(read(text).map_err(|e| e.line), Err(line), "{text}");
        }
    }
}
