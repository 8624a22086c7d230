//! What a recording looks like, by role and in slices of its time: the slices show by how much a figure varies when
//! nothing changed. Step: trace → model → **view**.

use super::super::fold::fold_with;
use super::super::limit::Limit;
use super::super::listen::Listener;
use super::super::summary::Summary;
use super::role::{Role, of_finding, of_loop, of_run};
use crate::findings::{Code, Outcome, Severity, Thresholds};
use crate::model::{Histogram, Id, Model, Run, Sink, Turn};
use crate::trace::{Error, Reader};
use std::collections::{BTreeMap, HashMap};

/// Slices of a recording's time.
const SLICES: usize = 16;

/// One figure of a role: all of the recording, and each slice.
#[derive(Clone, Debug)]
pub(super) struct Sliced {
    pub all: Histogram,
    pub slices: Vec<Histogram>,
}

impl Sliced {
    fn new() -> Self {
        Sliced {
            all: Histogram::fine(),
            slices: vec![Histogram::fine(); SLICES],
        }
    }

    fn record(&mut self, slice: usize, value: u64) {
        self.all.record(value);
        self.slices[slice].record(value);
    }

    /// The quantile of each slice that has at least `least` values.
    pub fn quantiles(&self, q: f64, least: u64) -> Vec<f64> {
        let full = self.slices.iter().filter(|h| h.count() >= least);
        full.map(|h| h.quantile(q) as f64).collect()
    }
}

/// What is compared of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// From ready to its handler's start, as [`Run::waited`] at most.
    Wait,
    /// Its handler.
    Run,
    /// The busy part of a loop's turn.
    Turn,
}

impl Figure {
    /// The word of reports.
    pub const fn name(self) -> &'static str {
        match self {
            Figure::Wait => "wait",
            Figure::Run => "run",
            Figure::Turn => "turn",
        }
    }
}

/// A recording by role.
#[derive(Debug)]
pub(super) struct Portrait {
    pub summary: Summary,
    pub figures: BTreeMap<(Role, Figure), Sliced>,
    /// What was found, of whom, how often, how bad.
    pub findings: BTreeMap<(Code, Role), (u64, Severity)>,
}

impl Portrait {
    /// Reads the whole recording; `kept` are limits that it is measured for.
    pub fn of(
        reader: &mut Reader,
        limits: &Thresholds,
        kept: &[Limit],
        progress: &mut dyn FnMut(f64),
    ) -> Result<Self, Error> {
        let mut painter = Painter {
            length: reader.duration_ns().max(1),
            ..Painter::default()
        };
        let summary = fold_with(reader, limits, kept, progress, &mut painter)?;
        Ok(Portrait {
            summary,
            figures: painter.figures,
            findings: painter.findings,
        })
    }
}

/// Keeps what it hears until the page's end, when it asks whose it was.
#[derive(Default)]
struct Painter {
    length: u64,
    runs: Vec<Run>,
    turns: Vec<Turn>,
    roles: HashMap<(Id, Id), Role>,
    figures: BTreeMap<(Role, Figure), Sliced>,
    findings: BTreeMap<(Code, Role), (u64, Severity)>,
}

impl Painter {
    fn slice(&self, t: u64) -> usize {
        let part = u128::from(t) * SLICES as u128 / u128::from(self.length);
        (part as usize).min(SLICES - 1)
    }

    fn note(&mut self, role: &Role, figure: Figure, t: u64, value: u64) {
        let slice = self.slice(t);
        let key = (role.clone(), figure);
        (self.figures.entry(key).or_insert_with(Sliced::new)).record(slice, value);
    }
}

impl Sink for Painter {
    fn run(&mut self, run: &Run) {
        self.runs.push(*run);
    }
    fn turn(&mut self, turn: &Turn) {
        self.turns.push(*turn);
    }
}

impl Listener for Painter {
    fn page(&mut self, model: &Model) {
        for run in std::mem::take(&mut self.runs) {
            let known = self.roles.entry((run.reg, run.role));
            let role = known.or_insert_with(|| of_run(model, &run)).clone();
            self.note(&role, Figure::Wait, run.start, run.waited().hi);
            self.note(&role, Figure::Run, run.start, run.run());
        }
        for turn in std::mem::take(&mut self.turns) {
            let role = of_loop(model, turn.loop_id);
            let busy = turn.end.saturating_sub(turn.start);
            self.note(&role, Figure::Turn, turn.start, busy);
        }
        // Descriptors come and go; roles are few.
        if self.roles.len() > 65_536 {
            self.roles.clear();
        }
    }

    fn end(&mut self, model: &Model, found: &Outcome) {
        self.page(model);
        for f in &found.found {
            let key = (f.code, of_finding(model, f));
            let known = self.findings.entry(key).or_insert((0, f.severity));
            known.0 += f.count;
            known.1 = known.1.max(f.severity);
        }
    }
}
