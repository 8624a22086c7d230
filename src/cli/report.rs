//! `loopscope report F`: who waited, behind whom and why, as text or JSON. Step: model → **view**.

use super::findings::{self, FailOn};
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
    /// Print JSON (schema 1) instead of text
    #[arg(long)]
    json: bool,
    /// List this many descriptors [default: 10 in text, all in JSON]
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Exit with 1 if one of these was found (codes, or `warning`, `error` and worse), with 3 if nobody can tell
    #[arg(long, value_name = "CODE,…", value_delimiter = ',')]
    fail_on: Vec<FailOn>,
    /// What it takes to be a finding, as `loopscope explain thresholds` prints it
    #[arg(long, value_name = "FILE")]
    thresholds: Option<PathBuf>,
}

/// Rows of a table in the text report when nobody says.
pub(super) const TOP: usize = 10;

pub(super) fn run(args: Args) -> Outcome {
    let limits = match &args.thresholds {
        Some(file) => findings::read(file)?,
        None => Thresholds::default(),
    };
    let mut summary = summarise(&args.file, &limits)?;
    let verdict = findings::judge(&summary, &args.fail_on)?;
    if args.json {
        summary.fds.truncate(args.top.unwrap_or(usize::MAX));
        let mut out = Output::stdout();
        out.text(&report::to_json(&summary))?;
        out.finish()?;
    } else {
        print(&summary, &args.file, args.top.unwrap_or(TOP))?;
    }
    Ok(verdict)
}

/// The text report on stdout; also what the UI's commands print where there is no terminal.
pub(super) fn print_text(file: &Path, top: usize) -> Outcome {
    let summary = summarise(file, &Thresholds::default())?;
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

pub(super) fn summarise(file: &Path, limits: &Thresholds) -> anyhow::Result<report::Summary> {
    let mut reader = open(file)?;
    let mut progress = Progress::new("reading");
    let summary = report::fold(&mut reader, limits, &mut |done| progress.show(done))?;
    progress.clear();
    warn(&reader, file);
    Ok(summary)
}
