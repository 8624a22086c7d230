//! A limit that a script sets for a recording: `p99(queue) > 5ms`. It holds, it does not, or the machine was too busy to tell.
//! Step: model → **view**.
//!
//! What others with the CPU did to the program is taken off where the kernel's switch records tell it. If the limit is
//! passed with it and is not passed without it, nobody can tell whose doing that was. The same goes for what the hypervisor may
//! have taken, which is told a moment later: what took long waits for that.

use crate::model::{Histogram, Model, Run, Steal};
use crate::when::Duration;
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

/// How many values become one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Aggregate {
    Count,
    Sum,
    Mean,
    Quantile(f64),
    Max,
}

const AGGREGATES: [(&str, Aggregate); 7] = [
    ("count", Aggregate::Count),
    ("sum", Aggregate::Sum),
    ("mean", Aggregate::Mean),
    ("p50", Aggregate::Quantile(0.5)),
    ("p90", Aggregate::Quantile(0.9)),
    ("p99", Aggregate::Quantile(0.99)),
    ("max", Aggregate::Max),
];

/// What is measured of a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Notice,
    Queue,
    Run,
    Wait,
    Bytes,
}

const FIELDS: [(&str, Field); 5] = [
    ("notice", Field::Notice),
    ("queue", Field::Queue),
    ("run", Field::Run),
    ("wait", Field::Wait),
    ("bytes", Field::Bytes),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// The longer ones first: `>=` begins like `>`.
const OPS: [(&str, Op); 6] = [
    ("==", Op::Eq),
    ("!=", Op::Ne),
    ("<=", Op::Le),
    (">=", Op::Ge),
    ("<", Op::Lt),
    (">", Op::Gt),
];

const TIMES: [(&str, u64); 5] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
];
const SIZES: [(&str, u64); 8] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("kB", 1_000),
];

/// `AGG(field) op value`, as it was written and as it is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    text: String,
    aggregate: Aggregate,
    field: Field,
    op: Op,
    value: u64,
}

impl FromStr for Limit {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let names = |all: &[&str]| all.join(", ");
        let (aggregate, rest) = (text.split_once('('))
            .ok_or_else(|| "a limit is written like `p99(queue) > 5ms`".to_owned())?;
        let (field, rest) = (rest.split_once(')')).ok_or_else(|| {
            "the bracket is not closed; a limit is written like `p99(queue) > 5ms`".to_owned()
        })?;
        let (aggregate, field, rest) = (aggregate.trim(), field.trim(), rest.trim());
        let aggregate = of(&AGGREGATES, aggregate).ok_or_else(|| {
            format!(
                "{aggregate:?} is none of {}",
                names(&AGGREGATES.map(|a| a.0))
            )
        })?;
        let field = of(&FIELDS, field)
            .ok_or_else(|| format!("{field:?} is none of {}", names(&FIELDS.map(|f| f.0))))?;
        let (sign, op) = (OPS.iter().copied())
            .find(|(sign, _)| rest.starts_with(sign))
            .ok_or_else(|| {
                format!(
                    "after the bracket comes one of {}",
                    names(&OPS.map(|o| o.0))
                )
            })?;
        let value = rest.strip_prefix(sign).unwrap_or_default().trim();
        let units: &[(&str, u64)] = match (aggregate, field) {
            (Aggregate::Count, _) => &[],
            (_, Field::Bytes) => &SIZES,
            _ => &TIMES,
        };
        let value = number(value, units).ok_or_else(|| match units {
            [] => format!("{value:?} is no whole number"),
            [(first, _), ..] => format!(
                "{value:?} is no number with a unit, like 5{}",
                if *first == "B" { "KiB" } else { "ms" }
            ),
        })?;
        Ok(Limit {
            text: text.trim().to_owned(),
            aggregate,
            field,
            op,
            value,
        })
    }
}

fn of<T: Copy>(all: &[(&str, T)], name: &str) -> Option<T> {
    all.iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
}

/// A number and one of these units; without units a plain one. 0 needs none.
fn number(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(at);
    let unit = unit.trim();
    if units.is_empty() || (unit.is_empty() && digits == "0") {
        return digits.parse().ok().filter(|_| unit.is_empty());
    }
    let scale = of(units, unit)?;
    let value = digits.parse::<f64>().ok()? * scale as f64;
    (value.is_finite() && value < u64::MAX as f64).then_some(value.round() as u64)
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What became of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// What the script wants to hear of is so.
    Passed,
    /// It is not.
    Kept,
    /// Nothing was measured, or others had the CPU and nobody can tell.
    Inconclusive,
}

impl Verdict {
    /// The word of reports.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Kept => "kept",
            Verdict::Inconclusive => "inconclusive",
        }
    }
}

/// A limit, the figure, and the same without what others did.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The limit.
    pub limit: Limit,
    /// The figure; nothing where no dispatch has one.
    pub figure: Option<u64>,
    /// The figure without the time in which others had the CPU.
    pub own: Option<u64>,
    /// What that means.
    pub verdict: Verdict,
}

/// The dispatches of a recording, measured for some limits.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    limits: Vec<(Limit, Histogram, Histogram)>,
    waiting: VecDeque<Waiting>,
}

/// A dispatch of which it is not told yet what the hypervisor took.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    run: Run,
    /// While it was queued, others had the CPU.
    queue: u64,
    /// Where its thread was while it ran.
    cpu: Option<i32>,
}

/// What is shorter is not asked what was stolen of it.
const LEAST: u64 = 1_000_000;
/// Dispatches that wait at most.
const MOST: usize = 4_096;

impl Measured {
    pub fn new(limits: &[Limit]) -> Self {
        let each = |l: &Limit| (l.clone(), Histogram::fine(), Histogram::fine());
        Measured {
            limits: limits.iter().map(each).collect(),
            waiting: VecDeque::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// A dispatch is over.
    pub fn run(&mut self, model: &Model, run: &Run) {
        let queue = model
            .spent_in_turn(run.thread, run.wakeup, run.start)
            .kept_off();
        let waiting = Waiting {
            run: *run,
            queue,
            cpu: model.cpu_since(run.thread, run.start),
        };
        while let Some(first) = self.waiting.front().copied()
            && (self.waiting.len() >= MOST || first.run.end.saturating_add(Steal::TOLD) < run.end)
        {
            self.waiting.pop_front();
            self.told(model, &first);
        }
        let long = run.run().max(run.waited().hi) >= LEAST;
        match long && model.steal().is_counted() {
            true => self.waiting.push_back(waiting),
            false => self.told(model, &waiting),
        }
    }

    /// All is known of it.
    fn told(&mut self, model: &Model, waiting: &Waiting) {
        let Waiting { run, queue, cpu } = waiting;
        let waited = run.waited().hi;
        let stolen = |ns: u64, to: u64| match ns >= LEAST {
            true => model.stolen(None, to.saturating_sub(ns), to),
            false => 0,
        };
        for (limit, all, own) in &mut self.limits {
            let (value, others) = match limit.field {
                Field::Notice => {
                    let notice = run.notice.map(|n| n.hi);
                    (notice, stolen(notice.unwrap_or(0), run.wakeup))
                }
                Field::Queue => {
                    let length = run.queue();
                    (
                        Some(length),
                        queue.saturating_add(stolen(length, run.start)),
                    )
                }
                Field::Run => {
                    let exposed = run.spent.exposed();
                    let stolen = match run.run() >= LEAST {
                        true => model.stolen(*cpu, run.start, run.end).min(exposed),
                        false => 0,
                    };
                    (Some(run.run()), run.spent.kept_off().saturating_add(stolen))
                }
                Field::Wait => (
                    Some(waited),
                    queue.saturating_add(stolen(waited, run.start)),
                ),
                Field::Bytes => (Some(run.bytes_in.saturating_add(run.bytes_out)), 0),
            };
            if let Some(value) = value {
                all.record(value);
                own.record(value.saturating_sub(others));
            }
        }
    }

    pub fn judge(mut self, model: &Model) -> Vec<Judged> {
        while let Some(first) = self.waiting.pop_front() {
            self.told(model, &first);
        }
        let judged = |(limit, all, own): (Limit, Histogram, Histogram)| {
            let figure = limit.figure(&all);
            let own = limit.figure(&own);
            let verdict = match (figure.map(|f| limit.holds(f)), own.map(|f| limit.holds(f))) {
                (Some(true), Some(true)) => Verdict::Passed,
                (Some(false), Some(false)) => Verdict::Kept,
                _ => Verdict::Inconclusive,
            };
            Judged {
                limit,
                figure,
                own,
                verdict,
            }
        };
        self.limits.into_iter().map(judged).collect()
    }
}

impl Limit {
    fn figure(&self, of: &Histogram) -> Option<u64> {
        match self.aggregate {
            Aggregate::Count => Some(of.count()),
            Aggregate::Sum => Some(of.sum()),
            _ if of.is_empty() => None,
            Aggregate::Mean => Some(of.mean()),
            Aggregate::Quantile(q) => Some(of.quantile(q)),
            Aggregate::Max => Some(of.max()),
        }
    }

    fn holds(&self, figure: u64) -> bool {
        match self.op {
            Op::Eq => figure == self.value,
            Op::Ne => figure != self.value,
            Op::Lt => figure < self.value,
            Op::Le => figure <= self.value,
            Op::Gt => figure > self.value,
            Op::Ge => figure >= self.value,
        }
    }

    /// A figure of it, with its unit.
    pub fn told(&self, figure: u64) -> String {
        match (self.aggregate, self.field) {
            (Aggregate::Count, _) => figure.to_string(),
            (_, Field::Bytes) => format!("{figure} bytes"),
            _ => Duration(figure).to_string(),
        }
    }
}

impl Judged {
    /// `p99(queue) > 5ms: yes, 18.8 ms`.
    pub fn told(&self) -> String {
        let figure = self.figure.map(|f| self.limit.told(f));
        let own = self.own.map(|f| self.limit.told(f));
        match (self.verdict, figure, own) {
            (Verdict::Passed, Some(figure), _) => format!("{}: yes, {figure}", self.limit),
            (Verdict::Kept, Some(figure), _) => format!("{}: no, {figure}", self.limit),
            (_, Some(figure), Some(own)) => format!(
                "{}: inconclusive, {figure}, but {own} without the time in which others had the CPU",
                self.limit
            ),
            _ => format!("{}: inconclusive, no dispatch has one", self.limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Spent;
    use crate::record::event::{Event, Kind};

    fn limit(text: &str) -> Limit {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn limits_are_read_and_mistakes_explained() {
        let l = limit("p99(queue) > 5ms");
        assert_eq!(
            (l.aggregate, l.field, l.op, l.value),
            (Aggregate::Quantile(0.99), Field::Queue, Op::Gt, 5_000_000)
        );
        assert_eq!(limit(" sum( bytes )>=1.5KiB").value, 1536);
        assert_eq!(limit("count(run)<100").value, 100);
        assert_eq!(limit("max(wait) == 0").value, 0);
        for (wrong, piece) in [
            ("queue > 5ms", "p99(queue) > 5ms"),
            ("p98(queue) > 5ms", "p50"),
            ("p99(size) > 5ms", "notice"),
            ("p99(queue) = 5ms", "=="),
            ("p99(queue) > 5", "5ms"),
            ("sum(bytes) > 5ms", "5KiB"),
            ("count(run) > 5ms", "whole number"),
            ("p99(queue > 5ms", "bracket"),
            ("", "p99"),
        ] {
            let error = wrong.parse::<Limit>().unwrap_err();
            assert!(error.contains(piece), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_others_did_makes_it_inconclusive() {
        let limits = [
            "max(run) > 10ms",
            "max(run) > 90ms",
            "max(run) > 50ms",
            "max(run) < 50ms",
            "count(notice) == 0",
            "max(notice) > 0",
        ];
        let mut measured = Measured::new(&limits.map(limit));
        let run = Run {
            spent: Spent {
                preempted: 60_000_000,
                on_cpu: 20_000_000,
                ..Spent::default()
            },
            ..Run::sample(0, 0, 0, 80_000_000)
        };
        measured.run(&Model::default(), &run);
        let judged = measured.judge(&Model::default());
        let verdicts: Vec<Verdict> = judged.iter().map(|j| j.verdict).collect();
        use Verdict::{Inconclusive, Kept, Passed};
        assert_eq!(
            verdicts,
            [
                Passed,
                Kept,
                Inconclusive,
                Inconclusive,
                Passed,
                Inconclusive
            ]
        );
        assert!(
            judged[2].told().contains("20.0 ms without"),
            "{}",
            judged[2].told()
        );
    }

    #[test]
    fn what_the_hypervisor_may_have_taken_makes_it_inconclusive_also_when_told_late() {
        let steal = |t: u64, x: i32, arg: u64, y: u64| Event {
            kind: Kind::Steal,
            t,
            x,
            arg,
            y,
            aux: 1,
            ..Event::default()
        };
        let mut model = Model::default();
        let mut measured = Measured::new(&["max(run) > 10ms", "max(run) > 15ms"].map(limit));
        let mut number = 0;
        let mut tell = |model: &mut Model, e: Event| {
            model.apply(number, &e, &[], &mut ());
            number += 1;
        };
        tell(&mut model, steal(0, -1, 0, 0));
        let ran = |from: u64, length: u64| Run {
            spent: Spent {
                on_cpu: length,
                ..Spent::default()
            },
            ..Run::sample(0, from, 0, length)
        };
        measured.run(&model, &ran(1_000_000_000, 14_000_000));
        tell(&mut model, steal(1_080_000_000, 0, 20_000_000, 100_000_000));
        // Long after, when nothing was stolen.
        measured.run(&model, &ran(2_000_000_000, 12_000_000));
        let verdicts: Vec<Verdict> = measured
            .clone()
            .judge(&model)
            .iter()
            .map(|j| j.verdict)
            .collect();
        assert_eq!(verdicts, [Verdict::Passed, Verdict::Kept]);
        measured.limits[1].0 = limit("max(run) > 13ms");
        let judged = measured.judge(&model);
        assert_eq!(judged[1].verdict, Verdict::Inconclusive);
        assert_eq!(judged[1].own, Some(12_000_000));
    }
}
