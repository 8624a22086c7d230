//! Thresholds from a run that went well: what took longest in it, and half as much again. Step: trace → model → **view**.

use super::fold::fold_with;
use super::listen::Listener;
use crate::findings::{Code, Outcome, Severity, Thresholds};
use crate::model::{Fired, Histogram, Model, Run, Sink, Turn};
use crate::text::visible;
use crate::trace::{Error, Reader};
use crate::when::Duration;
use std::fmt::Write;

/// A suggestion is never below the default's part by this: a busy machine makes as much of anything.
const LEAST_PART: u64 = 5;

/// What was measured of the thresholds that are times.
#[derive(Default)]
struct Measures {
    computed: Histogram,
    faults: Histogram,
    runs: Histogram,
    turns: Histogram,
    waits: Histogram,
    timers: Histogram,
    /// The longest call inside a turn.
    called: Option<u64>,
}

impl Sink for Measures {
    fn run(&mut self, run: &Run) {
        if run.spent.is_known() {
            self.computed.record(run.spent.on_cpu);
            self.faults.record(run.spent.fault);
        }
        self.runs
            .record(run.run().saturating_sub(run.spent.kept_off()));
        self.waits.record(run.waited().hi);
    }

    fn turn(&mut self, turn: &Turn) {
        let length = turn.end.saturating_sub(turn.start);
        self.turns
            .record(length.saturating_sub(turn.spent.kept_off()));
    }

    fn timer(&mut self, fired: &Fired) {
        if let Some(late) = fired.late() {
            self.timers.record(late);
        }
    }
}

impl Listener for Measures {
    fn end(&mut self, _model: &Model, found: &Outcome) {
        let calls = found.found.iter();
        let calls = calls.filter(|f| f.code == Code::BlockingHandler);
        self.called = calls.map(|f| f.worst_ns).max();
    }
}

/// Thresholds that are about one thing, and their defaults.
type Names = [(&'static str, u64)];

/// A threshold, what it is about, and what the run says of that.
struct Line {
    name: &'static str,
    value: u64,
    why: String,
}

/// A file of thresholds for `--thresholds`: with them nothing of this run is too long.
///
/// # Errors
/// When the recording cannot be read.
pub fn suggested(
    reader: &mut Reader,
    file: &str,
    progress: &mut dyn FnMut(f64),
) -> Result<String, Error> {
    let defaults = Thresholds::default();
    let summary = fold_with(
        reader,
        &defaults,
        &[],
        &mut |done| progress(done / 2.0),
        &mut (),
    )?;
    // Every call is told of where any length will do.
    let eager = Thresholds {
        blocking_warning: 1,
        ..Thresholds::default()
    };
    let mut measures = Measures::default();
    let mut second = |done| progress(0.5 + done / 2.0);
    fold_with(reader, &eager, &[], &mut second, &mut measures)?;
    let mut out = format!(
        "# Thresholds from {}, if all went well in it: what took longest, and half as much again;\n\
         # never below a {LEAST_PART}th of the default. Read by: loopscope report --thresholds FILE\n",
        visible(file)
    );
    let found = summary.findings.iter().flat_map(|o| &o.found);
    for f in found.filter(|f| f.severity >= Severity::Warning) {
        let _ = writeln!(
            out,
            "# Did it? {}: {}",
            f.code,
            visible(&f.summary).replace('\n', " ")
        );
    }
    out.push_str("[thresholds]\n");
    for line in measures.lines(&defaults) {
        let _ = writeln!(out, "# {}", line.why);
        let _ = writeln!(out, "{} = \"{}us\"", line.name, line.value / 1_000);
    }
    Ok(out)
}

impl Measures {
    fn lines(&self, d: &Thresholds) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut add = |what: &str, longest: u64, p99: Option<u64>, all: &Names| {
            let usual = p99.map_or(String::new(), |p99| {
                format!("99 of 100 up to {}, ", Duration(p99))
            });
            // The second and further ones stand to the first as their defaults do.
            let first = all.first().map_or(1, |(_, default)| *default).max(1);
            let value = above(longest).max(first / LEAST_PART);
            for (name, default) in all {
                let scaled = u128::from(value) * u128::from(*default) / u128::from(first);
                lines.push(Line {
                    name,
                    value: rounded(u64::try_from(scaled).unwrap_or(u64::MAX)),
                    why: format!("{what}: {usual}the longest {}", Duration(longest)),
                });
            }
        };
        let blocking = [
            ("blocking_warning", d.blocking_warning),
            ("blocking_error", d.blocking_error),
        ];
        if let Some(longest) = self.called {
            add("calls inside a turn", longest, None, &blocking);
        }
        let computing = [
            ("computing_warning", d.computing_warning),
            ("computing_error", d.computing_error),
        ];
        let runs = [("long_run", d.long_run), ("long_run_once", d.long_run_once)];
        let each: [(&str, &Histogram, &Names); 6] = [
            ("runs on their CPU", &self.computed, &computing),
            (
                "runs asleep in page faults",
                &self.faults,
                &[("fault_stall", d.fault_stall)],
            ),
            ("runs", &self.runs, &runs),
            ("turns", &self.turns, &[("long_turn", d.long_turn)]),
            (
                "waits of ready events",
                &self.waits,
                &[("starved", d.starved)],
            ),
            ("lateness of timers", &self.timers, &[("late", d.late)]),
        ];
        for (what, of, names) in each {
            if !of.is_empty() {
                let p99 = Some(of.quantile(0.99).min(of.max()));
                add(what, of.max(), p99, names);
            }
        }
        lines
    }
}

/// Half as much again.
fn above(longest: u64) -> u64 {
    longest.saturating_add(longest / 2)
}

/// Up to two digits, of microseconds at least.
fn rounded(ns: u64) -> u64 {
    let us = ns.div_ceil(1_000).max(1);
    let digits = us.ilog10().saturating_sub(1);
    let unit = 10u64.pow(digits);
    us.div_ceil(unit).saturating_mul(unit).saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_longest_stays_below_and_the_rest_follows_it() {
        let mut measures = Measures {
            called: Some(8_000_000),
            ..Measures::default()
        };
        for ns in [1_000, 70_000, 123_456_789] {
            measures.turns.record(ns);
        }
        let lines = measures.lines(&Thresholds::default());
        let of = |name: &str| lines.iter().find(|l| l.name == name).map(|l| l.value);
        assert_eq!(of("blocking_warning"), Some(12_000_000));
        assert_eq!(of("blocking_error"), Some(60_000_000));
        assert_eq!(of("long_turn"), Some(190_000_000));
        assert_eq!(of("starved"), None, "nobody waited: nothing is known");
        measures.called = Some(10);
        let lines = measures.lines(&Thresholds::default());
        assert_eq!(lines[0].value, 2_000_000, "not of nothing");
    }

    #[test]
    fn figures_are_round_and_never_lower() {
        for ns in [1, 999, 1_001, 12_345_678, 99_500_001, u64::MAX / 2] {
            assert!(rounded(ns) >= ns, "{ns}");
        }
        assert_eq!(rounded(12_345_678), 13_000_000);
        assert_eq!(rounded(1), 1_000);
    }
}
