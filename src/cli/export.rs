//! `loopscope export F --to FORMAT`: a recording, or a part of it, for other tools. Step: trace → **outside**.

use super::at::resolve;
use super::open::{note, open, warn};
use super::output::{Output, stdout_is_tty};
use super::progress::Progress;
use super::{Exit, Failure, Outcome};
use crate::export::ndjson;
use crate::report::words;
use crate::trace::{self, Options, Reader};
use crate::when::When;
use std::path::{Path, PathBuf};

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
    /// End before this
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
    /// A recording of its own, with what the part relies on restated at its start
    Lscope,
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
                from..until,
                &mut |done| progress.show(done),
                &mut |line| out.text(line),
            )?;
            progress.clear();
            out.finish()?;
        }
        Format::Lscope => lscope(&mut reader, &args, from, until)?,
    }
    warn(&reader, &args.file);
    Ok(Exit::OK)
}

/// Cuts to a file. A recording is written with its header twice and its page table last, so stdout gets a copy.
fn lscope(reader: &mut Reader, args: &Args, from: u64, until: u64) -> anyhow::Result<()> {
    let to = args
        .output
        .as_deref()
        .filter(|path| *path != Path::new("-"));
    if let Some(path) = to {
        let made = trace::cut(
            reader,
            path,
            Options {
                force: args.force,
                ..Options::default()
            },
            from,
            until,
        )?;
        let (events, path) = (made.events, path.display().to_string());
        note(&format!(
            "{events} events; look: loopscope replay {}",
            words::quoted(&path)
        ));
        return Ok(());
    }
    if stdout_is_tty() {
        return Err(Failure::usage("a recording is no text for a terminal")
            .hint("name a file with -o")
            .into());
    }
    let place = Scratch::new()?;
    let file = place.0.join("part.lscope");
    trace::cut(reader, &file, Options::default(), from, until)?;
    let mut out = Output::stdout();
    out.copy(&mut std::fs::File::open(&file)?)?;
    out.finish()
}

/// A private directory that goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let path = std::env::temp_dir().join(format!("loopscope-export-{}", std::process::id()));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        let failure = || {
            Failure::new(format!("cannot create {}", path.display()))
                .hint("set TMPDIR to a place you can write to")
        };
        made.map_err(|e| failure().because(e))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind lies in the directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The window asked for, up to behind the last event where no end was.
fn window(
    reader: &mut Reader,
    from: Option<&When>,
    until: Option<&When>,
) -> anyhow::Result<(u64, u64)> {
    let start = from.map_or(Ok(0), |when| resolve(reader, when))?;
    let end = until.map_or(Ok(reader.duration_ns().saturating_add(1)), |when| {
        resolve(reader, when)
    })?;
    if start >= end {
        return Err(Failure::usage("--until does not lie behind --from")
            .hint("the window is from the one up to the other")
            .into());
    }
    Ok((start, end))
}
