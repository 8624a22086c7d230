//! `loopscope report F`: who waited, behind whom and why, as text or JSON. Step: model → **view**.

use super::findings::{self, Checks};
use super::open::{open, warn};
use super::output::Output;
use super::progress::Progress;
use super::{Exit, Outcome};
use crate::findings::Thresholds;
use crate::report::{self, text};
use std::path::{Path, PathBuf};

/// Tell who waited, behind whom and why
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The recording
    file: PathBuf,
    /// Print JSON (schema 1): the same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// What to print: text, json, md (for an issue), junit, sarif, baseline (the list for --baseline)
    #[arg(
        long,
        value_enum,
        default_value_t,
        hide_default_value = true,
        hide_possible_values = true
    )]
    format: Format,
    /// List this many of each kind; the rest is counted [default: 10 in text, 20 in JSON and Markdown]
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Print thresholds for --thresholds instead, from what took longest in this recording of a run that went well
    #[arg(long, conflicts_with_all = ["json", "format", "top", "fail_on", "fail_if", "baseline", "thresholds"])]
    suggest: bool,
    #[command(flatten)]
    checks: Checks,
    /// What it takes to be a finding, as `loopscope explain thresholds` prints it
    #[arg(long, value_name = "FILE")]
    thresholds: Option<PathBuf>,
}

/// Rows of a table in the text report when nobody says.
pub(super) const TOP: usize = 10;
/// Rows of a list for a script or an assistant to take whole.
const ROWS: usize = 20;

/// What a report looks like.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Format {
    #[default]
    Text,
    Json,
    Md,
    Junit,
    Sarif,
    Baseline,
}

pub(super) fn run(args: Args) -> Outcome {
    if args.suggest {
        return suggest(&args.file);
    }
    let limits = findings::limits(args.thresholds.as_deref())?;
    let check = args.checks.read()?;
    let mut summary = summarise(&args.file, &limits, check.limits())?;
    let verdict = check.judge(&summary)?;
    let name = args.file.display().to_string();
    let format = if args.json { Format::Json } else { args.format };
    let text = match format {
        Format::Text => {
            print(&summary, &args.file, args.top.unwrap_or(TOP))?;
            check.tell_gone(&summary, &mut std::io::stderr());
            return Ok(verdict);
        }
        Format::Json => {
            summary.shorten(args.top.unwrap_or(ROWS));
            report::to_json(&summary)
        }
        Format::Md => {
            summary.shorten(args.top.unwrap_or(ROWS));
            report::to_markdown(&summary, Some(&name))
        }
        Format::Junit => report::to_junit(&summary),
        Format::Sarif => report::to_sarif(&summary, &name),
        Format::Baseline => report::to_baseline(&summary),
    };
    let mut out = Output::stdout();
    out.text(&text)?;
    out.finish()?;
    check.tell_gone(&summary, &mut std::io::stderr());
    Ok(verdict)
}

/// Thresholds with which nothing of this recording is too long.
fn suggest(file: &Path) -> Outcome {
    let mut reader = open(file)?;
    let mut progress = Progress::new("measuring");
    let name = file.display().to_string();
    let text = report::suggested(&mut reader, &name, &mut |done| progress.show(done))?;
    progress.clear();
    warn(&reader, file);
    let mut out = Output::stdout();
    out.text(&text)?;
    out.finish()?;
    Ok(Exit::OK)
}

/// The text report on stdout; also what the UI's commands print where there is no terminal.
pub(super) fn print_text(file: &Path, top: usize) -> Outcome {
    let summary = summarise(file, &Thresholds::default(), &[])?;
    print(&summary, file, top)?;
    Ok(Exit::OK)
}

fn print(summary: &report::Summary, file: &Path, top: usize) -> anyhow::Result<()> {
    let mut out = Output::stdout();
    let name = file.display().to_string();
    out.text(&report::to_text(
        summary,
        &text::Options {
            top,
            file: Some(&name),
        },
    ))?;
    out.finish()
}

pub(super) fn summarise(
    file: &Path,
    limits: &Thresholds,
    kept: &[report::Limit],
) -> anyhow::Result<report::Summary> {
    let mut reader = open(file)?;
    let mut progress = Progress::new("reading");
    let mut show = |done| progress.show(done);
    let summary = report::fold_judged(&mut reader, limits, kept, &mut show)?;
    progress.clear();
    warn(&reader, file);
    Ok(summary)
}
