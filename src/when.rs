//! An instant as a person types it: `1.25s`, `50%`, `-10s`, `event:9`, `iteration:0:330`, `mark:NAME`.
//!
//! One parser for `--at`, `--from`, `--until` and the UI's own prompt. It only parses; who holds the recording
//! answers the [`Question`]s it asks. Step: trace → **view**.
#![forbid(unsafe_code)]

use std::fmt;
use std::str::FromStr;

/// An instant of a recording, not yet looked up in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// Nanoseconds since the recording's start.
    At(u64),
    /// A part of the recording's length, in millionths.
    Part(u32),
    /// Nanoseconds before the recording's end.
    BeforeEnd(u64),
    /// The instant of an event, by its number in the file.
    Event(u64),
    /// The wakeup that starts a loop's iteration (a *turn* on screen), counted per loop from 1.
    Iteration {
        /// The loop's id, as in the report.
        loop_id: u32,
        /// The iteration's number.
        number: u64,
    },
    /// The first mark or span of this name.
    Mark(String),
}

/// What only the recording can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question<'a> {
    /// When was this event?
    Event(u64),
    /// When did this iteration start?
    Iteration {
        /// The loop's id.
        loop_id: u32,
        /// The iteration's number.
        number: u64,
    },
    /// When was a mark or span of this name first made?
    Mark(&'a str),
}

/// Why a text is no instant, or why the recording has no such instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSuchTime(String);

impl fmt::Display for NoSuchTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoSuchTime {}

/// The forms, for help and error texts.
pub const FORMS: &str =
    "1.25s, 310ms, 40us, 50%, -10s (before the end), event:N, iteration:LOOP:N or mark:NAME";

impl When {
    /// The instant in a recording of this length. `answer` looks up what only the recording knows.
    ///
    /// # Errors
    /// When the instant lies behind the end, or the recording has no such event, iteration or mark.
    pub fn resolve(
        &self,
        duration: u64,
        answer: impl FnOnce(Question<'_>) -> Option<u64>,
    ) -> Result<u64, NoSuchTime> {
        let found = match self {
            When::At(t) => Some(*t).filter(|t| *t <= duration),
            When::Part(part) => {
                let t = u128::from(duration) * u128::from(*part) / 1_000_000;
                u64::try_from(t).ok()
            }
            When::BeforeEnd(back) => duration.checked_sub(*back),
            When::Event(n) => answer(Question::Event(*n)),
            When::Iteration { loop_id, number } => answer(Question::Iteration {
                loop_id: *loop_id,
                number: *number,
            }),
            When::Mark(name) => answer(Question::Mark(name)),
        };
        found.ok_or_else(|| {
            let length = Duration(duration);
            NoSuchTime(match self {
                When::Iteration { loop_id, number } => format!(
                    "the recording has no iteration {number} of loop {loop_id}; the report lists its loops"
                ),
                When::Mark(name) => format!(
                    "the recording has no mark {name}; export --to ndjson tells what it has"
                ),
                When::Event(_) => format!(
                    "the recording has no instant {self}; loopscope info shows how many events it has"
                ),
                _ => format!("the recording has no instant {self}; it is {length} long"),
            })
        })
    }
}

impl FromStr for When {
    type Err = NoSuchTime;

    fn from_str(text: &str) -> Result<Self, NoSuchTime> {
        let wrong = || NoSuchTime(format!("`{text}` is no instant; write {FORMS}"));
        let text = text.trim();
        if let Some((word, rest)) = text.split_once(':') {
            return match word {
                "event" => rest.parse().map(When::Event).map_err(|_| wrong()),
                "mark" if !rest.is_empty() => Ok(When::Mark(rest.to_owned())),
                "iteration" | "turn" => {
                    let (loop_id, number) = rest.split_once(':').ok_or_else(wrong)?;
                    match (loop_id.parse(), number.parse()) {
                        (Ok(loop_id), Ok(number)) => Ok(When::Iteration { loop_id, number }),
                        _ => Err(wrong()),
                    }
                }
                _ => Err(wrong()),
            };
        }
        if let Some(number) = text.strip_suffix('%') {
            // 4 decimals of a per cent are millionths of the whole.
            let part = decimal(number.trim(), 4).ok_or_else(wrong)?;
            return match u32::try_from(part) {
                Ok(part) if part <= 1_000_000 => Ok(When::Part(part)),
                _ => Err(wrong()),
            };
        }
        match text.strip_prefix('-') {
            Some(back) => duration(back).map(When::BeforeEnd).ok_or_else(wrong),
            None => duration(text).map(When::At).ok_or_else(wrong),
        }
    }
}

/// `1.25s`, `310ms`, `40us`, `7ns`, `2min` in nanoseconds, exactly; a bare `0` needs no unit.
pub fn duration(text: &str) -> Option<u64> {
    let text = text.trim();
    let at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let (decimals, scale) = match unit.trim() {
        "ns" => (0, 1),
        "us" | "µs" | "μs" => (3, 1),
        "ms" => (6, 1),
        "s" => (9, 1),
        "m" | "min" => (9, 60),
        "" if number == "0" => return Some(0),
        _ => return None,
    };
    decimal(number, decimals)?.checked_mul(scale)
}

/// A decimal number times 10^decimals; further digits are cut.
fn decimal(text: &str, decimals: u32) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut value = whole.checked_mul(10u64.checked_pow(decimals)?)?;
    for (place, digit) in (0..decimals).zip(fraction.bytes()) {
        value = value.checked_add(u64::from(digit - b'0') * 10u64.pow(decimals - 1 - place))?;
    }
    Some(value)
}

impl fmt::Display for When {
    /// The form that parses back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::At(t) => Exact(*t).fmt(f),
            When::BeforeEnd(t) => write!(f, "-{}", Exact(*t)),
            When::Part(part) => {
                let (whole, rest) = (part / 10_000, part % 10_000);
                let fraction = format!("{rest:04}");
                let fraction = fraction.trim_end_matches('0');
                let point = if fraction.is_empty() { "" } else { "." };
                write!(f, "{whole}{point}{fraction}%")
            }
            When::Event(n) => write!(f, "event:{n}"),
            When::Iteration { loop_id, number } => write!(f, "iteration:{loop_id}:{number}"),
            When::Mark(name) => write!(f, "mark:{name}"),
        }
    }
}

/// Nanoseconds in the largest unit that shows all of them.
struct Exact(u64);

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, scale, digits) = match self.0 {
            t if t >= 1_000_000_000 => ("s", 1_000_000_000, 9),
            t if t >= 1_000_000 => ("ms", 1_000_000, 6),
            t if t >= 1_000 => ("us", 1_000, 3),
            _ => ("ns", 1, 0),
        };
        let fraction = format!("{:0digits$}", self.0 % scale);
        let fraction = if digits == 0 {
            ""
        } else {
            fraction.trim_end_matches('0')
        };
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{}{point}{fraction}{unit}", self.0 / scale)
    }
}

/// Nanoseconds as a person reads them: three figures and a unit, `5.79 ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration(pub u64);

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0;
        let text = match ns {
            0..1_000 => format!("{ns} ns"),
            _ => {
                // Rounded up a unit where three figures would show 1000 of the smaller one.
                let (unit, scale) = match ns {
                    ..999_500 => ("us", 1e3),
                    999_500..999_500_000 => ("ms", 1e6),
                    999_500_000..120_000_000_000 => ("s", 1e9),
                    120_000_000_000..7_200_000_000_000 => ("min", 60e9),
                    _ => ("h", 3600e9),
                };
                let value = ns as f64 / scale;
                let decimals = if value < 9.995 {
                    2
                } else {
                    usize::from(value < 99.95)
                };
                format!("{value:.decimals$} {unit}")
            }
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> When {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn every_form_of_the_manual() {
        assert_eq!(parse("1.25s"), When::At(1_250_000_000));
        assert_eq!(parse("310ms"), When::At(310_000_000));
        assert_eq!(parse("40us"), When::At(40_000));
        assert_eq!(parse("40 µs"), When::At(40_000));
        assert_eq!(parse("2min"), When::At(120_000_000_000));
        assert_eq!(parse("0"), When::At(0));
        assert_eq!(parse("50%"), When::Part(500_000));
        assert_eq!(parse("-10s"), When::BeforeEnd(10_000_000_000));
        assert_eq!(parse("event:9"), When::Event(9));
        assert_eq!(
            parse("iteration:0:330"),
            When::Iteration {
                loop_id: 0,
                number: 330
            }
        );
        assert_eq!(
            parse("mark:request 7: parse"),
            When::Mark("request 7: parse".into())
        );
    }

    #[test]
    fn what_is_no_instant_says_the_forms() {
        for text in [
            "",
            "s",
            "12",
            "1.2.3s",
            "abc",
            "1h30",
            "101%",
            "-",
            "-5%",
            "event:",
            "event:-1",
            "iteration:3",
            "mark:",
            "at:4",
            "99999999999999999999s",
            "1e9s",
            "٣s",
        ] {
            let error = text.parse::<When>().unwrap_err().to_string();
            assert!(error.contains(FORMS), "{text}: {error}");
        }
    }

    #[test]
    fn instants_are_looked_up_in_the_recording() {
        let none = |_: Question<'_>| None;
        assert_eq!(parse("50%").resolve(5_000, none), Ok(2_500));
        assert_eq!(parse("100%").resolve(u64::MAX, none), Ok(u64::MAX));
        assert_eq!(parse("-1us").resolve(5_000, none), Ok(4_000));
        assert_eq!(parse("5us").resolve(5_000, none), Ok(5_000));
        assert_eq!(
            parse("event:9").resolve(5_000, |q| (q == Question::Event(9)).then_some(77)),
            Ok(77)
        );
        for (beyond, told) in [
            ("-6us", "no instant -6us; it is 5.00 us long"),
            ("6us", "no instant 6us; it is 5.00 us long"),
            ("event:10", "no instant event:10; loopscope info"),
            ("mark:x", "no mark x; export --to ndjson"),
            ("iteration:0:1", "no iteration 1 of loop 0; the report"),
        ] {
            let error = parse(beyond).resolve(5_000, none).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn durations_show_three_figures() {
        let shown = |ns| Duration(ns).to_string();
        assert_eq!(shown(999), "999 ns");
        assert_eq!(shown(1_000), "1.00 us");
        assert_eq!(shown(999_499), "999 us");
        assert_eq!(shown(999_500), "1.00 ms");
        assert_eq!(shown(5_794_000), "5.79 ms");
        assert_eq!(shown(57_940_000), "57.9 ms");
        assert_eq!(shown(5_000_000_000), "5.00 s");
        assert_eq!(shown(119_000_000_000), "119 s");
        assert_eq!(shown(180_000_000_000), "3.00 min");
        assert_eq!(format!("{:>9}", Duration(1_000)), "  1.00 us");
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_back(t in any::<u64>(), part in 0u32..=1_000_000, loop_id: u32, number: u64) {
            for when in [
                When::At(t), When::BeforeEnd(t), When::Part(part), When::Event(number), When::Iteration { loop_id, number },
            ] {
                prop_assert_eq!(when.to_string().parse::<When>(), Ok(when));
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = text.parse::<When>();
        }
    }
}
