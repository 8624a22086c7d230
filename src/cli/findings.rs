//! What commands share about findings: what makes a check fail, and its exit code. Step: model → **view**.

use super::error::{Exit, Failure};
use crate::findings::{Code, Confidence, Found, Severity, Thresholds};
use crate::report::{Baseline, Limit, Summary, Verdict};
use crate::text::visible;
use crate::text::visit::quoted;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What makes a check fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailOn {
    /// This code, as a finding or as the effect of one.
    Code(Code),
    /// Any finding that matters so much.
    AtLeast(Severity),
}

impl FromStr for FailOn {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "warning" => Ok(FailOn::AtLeast(Severity::Warning)),
            "error" => Ok(FailOn::AtLeast(Severity::Error)),
            code => code
                .parse()
                .map(FailOn::Code)
                .map_err(|e: crate::findings::NoSuchCode| e.to_string()),
        }
    }
}

/// What a check asks, on the command line.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct Checks {
    /// Exit with 1 if one of these was found (codes, or `warning`, `error` and worse), with 3 if nobody can tell
    #[arg(long, value_name = "CODE,…", value_delimiter = ',')]
    pub fail_on: Vec<FailOn>,
    /// Exit with 1 if this is so, with 3 if others had the CPU and nobody can tell: 'p99(queue) > 5ms' (count, sum, mean, p50,
    /// p90, p99 or max of notice, queue, run, wait or bytes)
    #[arg(long, value_name = "LIMIT")]
    pub fail_if: Vec<Limit>,
    /// Findings in this file are known and do not fail; one that is gone has to leave it
    #[arg(long, value_name = "FILE", requires = "fail_on")]
    pub baseline: Option<PathBuf>,
}

/// The same, read.
pub(super) struct Check {
    checks: Checks,
    baseline: Baseline,
}

impl Checks {
    /// Nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.fail_on.is_empty() && self.fail_if.is_empty()
    }

    /// Reads the list of what is known.
    ///
    /// # Errors
    /// When there is none, or a line of it names no finding.
    pub fn read(self) -> anyhow::Result<Check> {
        let baseline = match &self.baseline {
            Some(file) => {
                let name = file.display();
                let text = std::fs::read_to_string(file).map_err(|e| {
                    Failure::usage(format!("cannot read the known findings in {name}"))
                        .because(e)
                        .hint(format!(
                            "make it with: loopscope report RECORDING --format baseline > {name}"
                        ))
                })?;
                Baseline::new(&text).map_err(|e| {
                    Failure::usage(format!("{name} is no list of known findings"))
                        .because(e)
                        .hint("a line is a finding's name, the program and the descriptor; `#` begins a comment")
                })?
            }
            None => Baseline::default(),
        };
        Ok(Check {
            checks: self,
            baseline,
        })
    }
}

/// The thresholds of a file, or the defaults.
///
/// # Errors
/// When it cannot be read, or a line of it makes no sense.
pub(super) fn limits(file: Option<&Path>) -> anyhow::Result<Thresholds> {
    match file {
        Some(file) => read(file),
        None => Ok(Thresholds::default()),
    }
}

/// The thresholds of a file.
///
/// # Errors
/// As [`limits`].
pub(super) fn read(file: &Path) -> anyhow::Result<Thresholds> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|e| Failure::usage(format!("cannot read the thresholds in {name}")).because(e))?;
    Thresholds::default().overridden(&text).map_err(|e| {
        Failure::usage(format!("the thresholds in {name} are wrong: {e}"))
            .hint("`loopscope explain thresholds` prints them as they should be")
            .into()
    })
}

/// It is one of these.
fn fails(found: &Found, fail_on: &[FailOn]) -> bool {
    fail_on.iter().any(|on| match on {
        FailOn::Code(code) => found.is(*code),
        FailOn::AtLeast(severity) => found.severity >= *severity,
    })
}

impl Check {
    /// The limits that are to be judged.
    pub fn limits(&self) -> &[Limit] {
        &self.checks.fail_if
    }

    fn hits<'a>(&'a self, summary: &'a Summary) -> impl Iterator<Item = &'a Found> {
        let found = summary.findings.iter().flat_map(|o| &o.found);
        found.filter(|f| fails(f, &self.checks.fail_on) && !self.baseline.knows(summary, f))
    }

    /// Known findings that are gone.
    fn gone<'a>(&'a self, summary: &'a Summary) -> Vec<&'a str> {
        let outcome = summary.findings.as_ref();
        outcome.map_or_else(Vec::new, |o| self.baseline.gone(summary, o))
    }

    /// What a check of a recording just made found, one line each.
    pub fn tell(&self, summary: &Summary, out: &mut impl std::io::Write) {
        for f in self.hits(summary) {
            let said = visible(&f.summary);
            // Nobody listens: the exit code says it all the same.
            let _ = writeln!(out, "loopscope: {} ({}): {said}", f.code.title(), f.code);
        }
        for judged in summary.limits.iter().filter(|j| j.verdict != Verdict::Kept) {
            let _ = writeln!(out, "loopscope: {}", visible(&judged.told()));
        }
    }

    /// Known findings that are gone, and the command that takes each from its list.
    pub fn tell_gone(&self, summary: &Summary, out: &mut impl std::io::Write) {
        let file = self
            .checks
            .baseline
            .as_ref()
            .map(|f| f.display().to_string());
        let file = quoted(file.as_deref().unwrap_or_default()).to_string();
        for line in self.gone(summary) {
            let line = quoted(line).to_string();
            let _ = writeln!(
                out,
                "loopscope: {line} is not found any more; take it from the list: grep -vxF -- {line} {file} > {file}.new; \
                 mv {file}.new {file}"
            );
        }
    }

    /// 0: none of these was found; 1: one was, or a limit is passed, or a known finding is gone; 3: nobody can tell.
    ///
    /// # Errors
    /// When a code was not looked for in this recording.
    pub fn judge(&self, summary: &Summary) -> anyhow::Result<Exit> {
        if self.checks.is_empty() {
            return Ok(Exit::OK);
        }
        let lost = summary.recording.lost > 0 || !summary.recording.complete;
        let checked = summary
            .findings
            .as_ref()
            .filter(|_| !self.checks.fail_on.is_empty());
        let unchecked = self.checks.fail_on.iter().find_map(|f| match f {
            FailOn::Code(code) if checked.is_some_and(|o| !o.checked.contains(code)) => Some(code),
            _ => None,
        });
        if let Some(code) = unchecked {
            let failure = Failure::usage(format!("{code} was not looked for in this recording"))
                .hint("it judges handlers, and nobody was seen to serve anything");
            return Err(failure.into());
        }
        let sure = self
            .hits(summary)
            .any(|f| f.confidence != Confidence::Maybe);
        let perhaps = self.hits(summary).next().is_some();
        let is = |verdict| summary.limits.iter().any(|j| j.verdict == verdict);
        let gone = checked.is_some() && !self.gone(summary).is_empty();
        Ok(match sure || is(Verdict::Passed) || (gone && !lost) {
            true => Exit(1),
            // Only perhaps found, or perhaps among what is missing.
            false if perhaps || lost || is(Verdict::Inconclusive) => Exit(3),
            false => Exit::OK,
        })
    }
}
