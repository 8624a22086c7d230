//! What commands share about findings: reading thresholds, and the exit code of a check. Step: model → **view**.

use super::error::{Exit, Failure};
use crate::findings::{Code, Confidence, Found, Severity, Thresholds};
use crate::report::Summary;
use crate::text::visible;
use std::path::Path;
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

/// The thresholds of a file.
///
/// # Errors
/// When it cannot be read, or a line of it makes no sense.
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

/// What a check of a recording just made found, one line each.
pub(super) fn tell(summary: &Summary, fail_on: &[FailOn], out: &mut impl std::io::Write) {
    let found = summary.findings.iter().flat_map(|o| &o.found);
    for f in found.filter(|f| fails(f, fail_on)) {
        let said = visible(&f.summary);
        // Nobody listens: the exit code says it all the same.
        let _ = writeln!(out, "loopscope: {} ({}): {said}", f.code.title(), f.code);
    }
}

/// 0: none of these was found; 1: one was; 3: nobody can tell.
///
/// # Errors
/// When a code was not looked for in this recording.
pub(super) fn judge(summary: &Summary, fail_on: &[FailOn]) -> anyhow::Result<Exit> {
    let Some(outcome) = summary.findings.as_ref().filter(|_| !fail_on.is_empty()) else {
        return Ok(Exit::OK);
    };
    let unchecked = fail_on.iter().find_map(|f| match f {
        FailOn::Code(code) if !outcome.checked.contains(code) => Some(code),
        _ => None,
    });
    if let Some(code) = unchecked {
        let failure = Failure::usage(format!("{code} was not looked for in this recording"))
            .hint("it judges handlers, and nobody was seen to serve anything");
        return Err(failure.into());
    }
    let hits: Vec<_> = (outcome.found.iter())
        .filter(|f| fails(f, fail_on))
        .collect();
    let sure = hits.iter().any(|f| f.confidence != Confidence::Maybe);
    let lost = summary.recording.lost > 0 || !summary.recording.complete;
    Ok(match (sure, hits.is_empty()) {
        (true, _) => Exit(1),
        (false, true) if !lost => Exit::OK,
        // Only perhaps found, or perhaps among what is missing.
        _ => Exit(3),
    })
}
