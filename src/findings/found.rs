//! A finding, as every view shows it. Step: model → **view**.

use super::Code;
use crate::model::Id;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing that should fail a check.
    Info,
    /// Costs time, or will.
    Warning,
    /// Breaks something.
    Error,
}

impl Severity {
    /// The word of reports.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// How well a finding is founded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// Records of the calls themselves say so.
    Measured,
    /// It follows from a rule.
    Inferred,
    /// What was recorded allows for another explanation. Never more than [`Severity::Info`].
    Maybe,
}

impl Confidence {
    /// The word of reports.
    pub const fn name(self) -> &'static str {
        match self {
            Confidence::Measured => "measured",
            Confidence::Inferred => "inferred",
            Confidence::Maybe => "maybe",
        }
    }
}

/// An event that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Its number in the recording.
    pub event: u64,
    /// When.
    pub at_ns: u64,
}

/// A recurrence at even distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// From one time to the next, on average.
    pub ns: u64,
    /// How far single distances are off, at most.
    pub spread_ns: u64,
}

/// Who waited for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Victims {
    /// Runs that waited behind it.
    pub count: u64,
    /// The longest of these waits, at least.
    pub worst_ns: u64,
    /// Whose it was.
    pub worst: String,
}

/// One finding: one rule, one cause, however often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub code: Code,
    /// Effects of the same cause that are no findings of their own.
    pub effects: Vec<Code>,
    /// How much it matters.
    pub severity: Severity,
    /// How well it is founded.
    pub confidence: Confidence,
    /// The loop, where it is one's.
    pub loop_id: Option<Id>,
    /// The process.
    pub process: Id,
    /// The thread, where it is one's.
    pub thread: Option<Id>,
    /// The registration of the worst time, where it is one's.
    pub reg: Option<Id>,
    /// What it is about whatever its numbers: a listener, a peer's host, a handler, or the kind of descriptor; may be empty.
    pub role: String,
    /// The descriptor of the worst time, −1 none.
    pub fd: i32,
    /// How many times that number had been opened.
    pub generation: u32,
    /// The first time.
    pub first_ns: u64,
    /// The last.
    pub last_ns: u64,
    /// When it was worst.
    pub at_ns: u64,
    /// How many times.
    pub count: u64,
    /// How long the worst time lasted; 0 where that means nothing.
    pub worst_ns: u64,
    /// It comes on a beat.
    pub period: Option<Period>,
    /// Who waited for it.
    pub victims: Option<Victims>,
    /// Who did what, whom it made wait: one sentence.
    pub summary: String,
    /// Which change cures it.
    pub advice: String,
    /// Events that show it, at most [`MOST_EVIDENCE`], in order.
    pub evidence: Vec<Evidence>,
}

/// Evidence kept a finding: the first times and the worst ones.
pub const MOST_EVIDENCE: usize = 8;

impl Found {
    /// Its code, then those of its effects.
    pub fn codes(&self) -> impl Iterator<Item = Code> {
        std::iter::once(self.code).chain(self.effects.iter().copied())
    }

    /// It is about this code, or has it for an effect.
    pub fn is(&self, code: Code) -> bool {
        self.codes().any(|c| c == code)
    }
}
