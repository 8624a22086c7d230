//! `loopscope diff A B`: what got better, what worse, and what the noise hides. Step: model → **view**.

use super::findings;
use super::open::{open, warn};
use super::output::Output;
use super::progress::Progress;
use super::{Exit, Outcome};
use crate::findings::{Code, Severity, Thresholds};
use crate::report::diff::{self, Diff, Verdict};
use crate::report::{Limit, Verdict as Holds};
use std::path::PathBuf;
use std::str::FromStr;

/// Compare two recordings of a program by role: what got better, what worse
///
/// Descriptors are matched by the part they play (listener, peer, handler, given name), not by their numbers. A figure
/// has changed where it differs by more than it varies within each recording; the rest is noise.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The recording to compare with
    before: PathBuf,
    /// The recording to judge
    after: PathBuf,
    /// Print JSON (schema 1) instead of text
    #[arg(long)]
    json: bool,
    /// List this many rows of each table
    #[arg(long, value_name = "N", default_value_t = super::report::TOP)]
    top: usize,
    /// Exit with 1 if the second has one of these: `worse` (a figure got worse), or a finding that the first has not
    /// (codes, or `warning`, `error` and worse); with 3 if there is too little to tell
    #[arg(long, value_name = "WHAT,…", value_delimiter = ',')]
    fail_on: Vec<FailOn>,
    /// Exit with 1 if this is so of the second, with 3 if others had the CPU and nobody can tell: 'p99(queue) > 5ms' (as for
    /// report)
    #[arg(long, value_name = "LIMIT")]
    fail_if: Vec<Limit>,
    /// What it takes to be a finding, as `loopscope explain thresholds` prints it
    #[arg(long, value_name = "FILE")]
    thresholds: Option<PathBuf>,
}

/// What makes a comparison fail.
#[derive(Clone, Copy, Debug)]
enum FailOn {
    Worse,
    Finding(findings::FailOn),
}

impl FromStr for FailOn {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "worse" => Ok(FailOn::Worse),
            other => other.parse().map(FailOn::Finding),
        }
    }
}

pub(super) fn run(args: Args) -> Outcome {
    let limits = match &args.thresholds {
        Some(file) => findings::read(file)?,
        None => Thresholds::default(),
    };
    let (mut before, mut after) = (open(&args.before)?, open(&args.after)?);
    let mut progress = Progress::new("comparing");
    let mut show = |done| progress.show(done);
    let diff = Diff::of(&mut before, &mut after, &limits, &args.fail_if, &mut show)?;
    progress.clear();
    warn(&before, &args.before);
    warn(&after, &args.after);
    let mut out = Output::stdout();
    if args.json {
        out.text(&diff::to_json(&diff))?;
    } else {
        let names = [&args.before, &args.after].map(|f| f.display().to_string());
        out.text(&diff::to_text(&diff, [&names[0], &names[1]], args.top))?;
    }
    out.finish()?;
    Ok(judge(&diff, &args.fail_on))
}

/// 0: none of these, and no limit is passed; 1: one is; 3: too little ran to tell, or others had the CPU.
fn judge(diff: &Diff, fail_on: &[FailOn]) -> Exit {
    let new = |code: Option<Code>, least: Option<Severity>| {
        (diff.findings.iter()).any(|f| {
            f.verdict() == "new"
                && code.is_none_or(|c| c == f.code)
                && least.is_none_or(|s| f.severity >= s)
        })
    };
    let fails = fail_on.iter().any(|on| match on {
        FailOn::Worse => diff.with(Verdict::Worse).next().is_some(),
        FailOn::Finding(findings::FailOn::Code(code)) => new(Some(*code), None),
        FailOn::Finding(findings::FailOn::AtLeast(least)) => new(None, Some(*least)),
    });
    let limit = |is: Holds| diff.limits().any(|(_, after)| after.verdict == is);
    let asks = fail_on.iter().any(|on| matches!(on, FailOn::Worse));
    let blind = diff.changes.iter().all(|c| c.verdict == Verdict::TooFew);
    let fails = fails || limit(Holds::Passed);
    match (fails, asks && blind || limit(Holds::Inconclusive)) {
        (true, _) => Exit(1),
        (false, true) => Exit(3),
        (false, false) => Exit::OK,
    }
}
