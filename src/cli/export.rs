//! `loopscope export F --to FORMAT`: a recording, or a part of it, for other tools. Step: trace → **outside**.

use super::at::resolve;
use super::open::{open, warn};
use super::output::Output;
use super::progress::Progress;
use super::{Exit, Failure, Outcome};
use crate::export::ndjson;
use crate::trace::Reader;
use crate::when::When;
use std::path::PathBuf;

/// Write a recording, or a part of it, for other tools
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The recording
    file: PathBuf,
    /// The format
    #[arg(long, value_enum)]
    to: Format,
    /// Start here: 1.25s, 50%, -10s, event:N, iteration:LOOP:N, mark:NAME
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    from: Option<When>,
    /// End here
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    until: Option<When>,
    /// Write to this file; - is stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq)]
enum Format {
    /// One event a line, as JSON with readable names (docs/EXPORT.md)
    Ndjson,
}

pub(super) fn run(args: Args) -> Outcome {
    let mut reader = open(&args.file)?;
    let (from, until) = window(&mut reader, args.from.as_ref(), args.until.as_ref())?;
    match args.to {
        Format::Ndjson => {
            let mut out = Output::create(args.output.as_deref(), args.force)?;
            let mut progress = Progress::new("exporting");
            ndjson::lines(
                &mut reader,
                from..=until,
                &mut |done| progress.show(done),
                &mut |line| out.text(line),
            )?;
            progress.clear();
            out.finish()?;
        }
    }
    warn(&reader, &args.file);
    Ok(Exit::OK)
}

/// The window asked for, the whole recording where nothing was.
fn window(
    reader: &mut Reader,
    from: Option<&When>,
    until: Option<&When>,
) -> anyhow::Result<(u64, u64)> {
    let start = from.map_or(Ok(0), |when| resolve(reader, when))?;
    let end = until.map_or(Ok(reader.duration_ns()), |when| resolve(reader, when))?;
    if start > end {
        return Err(Failure::usage("--from lies behind --until")
            .hint("swap them")
            .into());
    }
    Ok((start, end))
}
