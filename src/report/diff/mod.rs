//! Two recordings of one program compared by role: what got better, what worse, and what the noise hides. Step:
//! trace → model → **view**.
//!
//! Each recording is cut into 16 slices of equal time; a figure's value in each slice shows how much it varies by itself.
//! It has changed where the rank test of Mann and Whitney says that the slices of both are hardly of one kind (p < 0.005) *and* their
//! medians differ by at least a quarter and by a microsecond: of two recordings of the same program the second is never
//! quite the same. Where fewer than seven slices of one have enough runs (three for a median, twenty for 99 of 100),
//! nobody can tell.

mod json;
mod portrait;
mod rank;
mod role;
mod text;

pub use json::to_json;
pub use portrait::Figure;
pub use role::Role;
pub use text::to_text;

use self::portrait::{Portrait, Sliced};
use super::limit::{Judged, Limit};
use super::summary::Summary;
use crate::findings::{Code, Severity, Thresholds};
use crate::trace::{Error, Reader};
use std::collections::BTreeSet;

/// The chance of a mistake that is taken.
const CHANCE: f64 = 0.005;
/// The least change that counts, as a part of the value before, and in nanoseconds.
const LEAST_PART: f64 = 0.25;
const LEAST_NS: f64 = 1_000.0;
/// Slices needed on each side.
const LEAST_SLICES: usize = 7;
/// Runs a slice needs for its median, and for its 99 of 100.
const LEAST_RUNS: [(f64, u64); 2] = [(0.5, 3), (0.99, 20)];

/// What became of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It grew.
    Worse,
    /// It shrank.
    Better,
    /// What differs is no more than what varies.
    Noise,
    /// Too few runs on one side.
    TooFew,
}

impl Verdict {
    /// The word of reports.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Worse => "worse",
            Verdict::Better => "better",
            Verdict::Noise => "noise",
            Verdict::TooFew => "too-few",
        }
    }
}

/// One figure of one role on both sides.
#[derive(Clone, Debug)]
pub struct Change {
    /// Whose.
    pub role: Role,
    /// Of what.
    pub figure: Figure,
    /// Which quantile: 0.5 or 0.99.
    pub quantile: f64,
    /// Its value over each whole recording, in nanoseconds.
    pub value: [u64; 2],
    /// How many values it is made of.
    pub count: [u64; 2],
    /// The chance that both are of one kind.
    pub chance: f64,
    /// What became of it.
    pub verdict: Verdict,
}

impl Change {
    /// After ÷ before − 1.
    pub fn part(&self) -> Option<f64> {
        let [before, after] = self.value;
        (before > 0).then(|| after as f64 / before as f64 - 1.0)
    }
}

/// A finding of one recording or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub code: Code,
    /// Of whom.
    pub role: Role,
    /// How often, before and after.
    pub count: [u64; 2],
    /// How much the worse of the two matters.
    pub severity: Severity,
}

impl Finding {
    /// "new", "gone" or "both".
    pub const fn verdict(&self) -> &'static str {
        match self.count {
            [0, _] => "new",
            [_, 0] => "gone",
            _ => "both",
        }
    }
}

/// Two recordings compared.
#[derive(Debug)]
pub struct Diff {
    /// Each by itself.
    pub sides: [Summary; 2],
    /// Figures of roles that are in both: worse ones first, then better, then the rest; the largest change first.
    pub changes: Vec<Change>,
    /// Roles that only one has.
    pub only: [Vec<Role>; 2],
    /// Findings.
    pub findings: Vec<Finding>,
}

impl Diff {
    /// Reads and compares both; each is judged by the limits in `kept`.
    ///
    /// # Errors
    /// When one cannot be read; damage inside it is no error but a part of its summary.
    pub fn of(
        before: &mut Reader,
        after: &mut Reader,
        limits: &Thresholds,
        kept: &[Limit],
        progress: &mut dyn FnMut(f64),
    ) -> Result<Self, Error> {
        let a = Portrait::of(before, limits, kept, &mut |done| progress(done / 2.0))?;
        let b = Portrait::of(after, limits, kept, &mut |done| progress(0.5 + done / 2.0))?;
        Ok(compared(a, b))
    }

    /// Each limit, judged on both sides; it is the second's verdict that counts.
    pub fn limits(&self) -> impl Iterator<Item = (&Judged, &Judged)> {
        let [before, after] = &self.sides;
        before.limits.iter().zip(&after.limits)
    }

    /// Changes with this verdict.
    pub fn with(&self, verdict: Verdict) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |c| c.verdict == verdict)
    }
}

fn compared(a: Portrait, b: Portrait) -> Diff {
    let mut changes = Vec::new();
    for ((role, figure), before) in &a.figures {
        let Some(after) = b.figures.get(&(role.clone(), *figure)) else {
            continue;
        };
        for (quantile, least) in LEAST_RUNS {
            changes.push(change(role, *figure, quantile, least, [before, after]));
        }
    }
    let size = |c: &Change| {
        let [before, after] = c.value.map(|v| v.max(1) as f64);
        (after / before).ln().abs()
    };
    changes.sort_by(|x, y| (x.verdict.cmp(&y.verdict)).then(size(y).total_cmp(&size(x))));
    let roles = |p: &Portrait| -> BTreeSet<Role> {
        p.figures.keys().map(|(role, _)| role.clone()).collect()
    };
    let (of_a, of_b) = (roles(&a), roles(&b));
    let keys: BTreeSet<_> = a.findings.keys().chain(b.findings.keys()).collect();
    let of = |p: &Portrait, key| p.findings.get(key).copied();
    let findings = keys.into_iter().map(|key| {
        let sides = [of(&a, key), of(&b, key)];
        Finding {
            code: key.0,
            role: key.1.clone(),
            count: sides.map(|s| s.map_or(0, |(n, _)| n)),
            severity: (sides.iter().flatten().map(|(_, s)| *s).max()).unwrap_or(Severity::Info),
        }
    });
    Diff {
        changes,
        only: [
            of_a.difference(&of_b).cloned().collect(),
            of_b.difference(&of_a).cloned().collect(),
        ],
        findings: findings.collect(),
        sides: [a.summary, b.summary],
    }
}

fn change(role: &Role, figure: Figure, q: f64, least: u64, sides: [&Sliced; 2]) -> Change {
    let slices = sides.map(|s| s.quantiles(q, least));
    let chance = rank::chance(&slices[0], &slices[1]);
    let [before, after] = [median(&slices[0]), median(&slices[1])];
    let verdict = if slices.iter().any(|s| s.len() < LEAST_SLICES) {
        Verdict::TooFew
    } else if chance >= CHANCE || (after - before).abs() < LEAST_NS.max(before * LEAST_PART) {
        Verdict::Noise
    } else if after > before {
        Verdict::Worse
    } else {
        Verdict::Better
    };
    Change {
        role: role.clone(),
        figure,
        quantile: q,
        value: sides.map(|s| s.all.quantile(q)),
        count: sides.map(|s| s.all.count()),
        chance,
        verdict,
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}
