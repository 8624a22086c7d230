//! `loopscope report F`: who waited, behind whom and why, as text or JSON. Step: model → **view**.

use super::open::{open, warn};
use super::output::Output;
use super::progress::Progress;
use super::{Exit, Outcome};
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
}

/// Rows of a table in the text report when nobody says.
pub(super) const TOP: usize = 10;

pub(super) fn run(args: Args) -> Outcome {
    if !args.json {
        return print_text(&args.file, args.top.unwrap_or(TOP));
    }
    let mut summary = summarise(&args.file)?;
    summary.fds.truncate(args.top.unwrap_or(usize::MAX));
    let mut out = Output::stdout();
    out.text(&report::to_json(&summary))?;
    out.finish()?;
    Ok(Exit::OK)
}

/// The text report on stdout; also what the UI's commands print where there is no terminal.
pub(super) fn print_text(file: &Path, top: usize) -> Outcome {
    let summary = summarise(file)?;
    let mut out = Output::stdout();
    let name = file.display().to_string();
    out.text(&report::to_text(
        &summary,
        &text::Options {
            top,
            file: Some(&name),
        },
    ))?;
    out.finish()?;
    Ok(Exit::OK)
}

fn summarise(file: &Path) -> anyhow::Result<report::Summary> {
    let mut reader = open(file)?;
    let mut progress = Progress::new("reading");
    let summary = report::fold(&mut reader, &mut |done| progress.show(done))?;
    progress.clear();
    warn(&reader, file);
    Ok(summary)
}
