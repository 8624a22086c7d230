//! `loopscope export F --to FORMAT`: a recording, or a part of it, for other tools. Step: trace → **outside**.

use super::at::resolve;
use super::draft::Draft;
use super::open::{note, open, warn};
use super::output::{Output, is_stream, stdout_is_tty};
use super::progress::Progress;
use super::{Exit, Failure, Outcome};
use crate::derive::Store;
use crate::export::ndjson;
use crate::report::code::{Weight, to_folded};
use crate::trace::{self, Anonymous, Reader, Summary};
use crate::when::When;
use std::io::{self, Seek};
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
    /// What a stack's width is (--to folded) [default: waiting]
    #[arg(long, value_enum)]
    by: Option<By>,
    /// Hide whose it is, to hand it on: hosts, paths, arguments, text fields, terminal output (--to lscope)
    #[arg(long)]
    anon: bool,
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
    /// Stacks for a flame graph tool, one a line, with the microseconds that --by says
    Folded,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq)]
enum By {
    /// That events waited meanwhile, each by itself
    #[default]
    Waiting,
    /// On the CPU
    Cpu,
}

pub(super) fn run(args: Args) -> Outcome {
    if args.anon && args.to != Format::Lscope {
        return Err(Failure::usage("--anon makes a recording, --to lscope")
            .hint("export that one to other formats afterwards")
            .into());
    }
    if args.by.is_some() && args.to != Format::Folded {
        return Err(Failure::usage("--by says what a stack's width is")
            .hint("give it with --to folded")
            .into());
    }
    if args.to == Format::Folded && (args.from.is_some() || args.until.is_some()) {
        return Err(Failure::usage("--to folded takes a whole recording")
            .hint("cut the part first: loopscope export --to lscope --from T --until T -o PART.lscope")
            .into());
    }
    let mut reader = open(&args.file)?;
    let (from, until) = window(&mut reader, args.from.as_ref(), args.until.as_ref())?;
    match args.to {
        Format::Ndjson => {
            let mut out = Output::create(args.output.as_deref(), args.force)?;
            let mut progress = Progress::new("exporting");
            let early = ndjson::first(&reader, from);
            let stored = Store::of(&reader).load(&mut reader, early);
            ndjson::lines(
                &mut reader,
                stored.unwrap_or_default(),
                from..until,
                &mut |done| progress.show(done),
                &mut |line| out.text(line),
            )?;
            progress.clear();
            out.finish()?;
        }
        Format::Folded => folded(&mut reader, &args)?,
        Format::Lscope => lscope(&mut reader, &args, from, until)?,
    }
    warn(&reader, &args.file);
    Ok(Exit::OK)
}

/// Writes the stacks of a recording's samples.
fn folded(reader: &mut Reader, args: &Args) -> anyhow::Result<()> {
    let mut out = Output::create(args.output.as_deref(), args.force)?;
    let mut progress = Progress::new("exporting");
    let weight = match args.by.unwrap_or_default() {
        By::Waiting => Weight::Waiting,
        By::Cpu => Weight::Cpu,
    };
    let mut lines = 0u64;
    to_folded(
        reader,
        weight,
        &mut |done| progress.show(done),
        &mut |line| {
            lines += 1;
            out.text(line)
        },
    )?;
    progress.clear();
    out.finish()?;
    if lines == 0 {
        note(match weight {
            Weight::Waiting => "no event waited while a sample was taken; --by cpu has all samples",
            Weight::Cpu => {
                "no samples: recorded without them, or perf_event_open was refused (loopscope doctor)"
            }
        });
    }
    Ok(())
}

/// Cuts to a file or a stream.
fn lscope(reader: &mut Reader, args: &Args, from: u64, until: u64) -> anyhow::Result<()> {
    let hide = args.anon.then(Anonymous::default);
    if let Some(path) = args.output.as_deref().filter(|path| !is_stream(path)) {
        let draft = Draft::create(path, args.force)?;
        let made = cut_into(reader, &draft, from, until, hide.as_ref())?;
        draft.keep()?;
        let path = path.display().to_string();
        note(&format!(
            "{} events; look: loopscope replay {}",
            made.events,
            crate::text::visit::quoted(&path)
        ));
        return Ok(());
    }
    if args
        .output
        .as_deref()
        .is_none_or(|path| path == Path::new("-"))
        && stdout_is_tty()
    {
        return Err(Failure::usage("a recording is no text for a terminal")
            .hint("name a file with -o")
            .into());
    }
    let mut out = Output::create(args.output.as_deref(), args.force)?;
    // A recording is written with its header twice and its page table last, so a stream gets a copy.
    let draft = Draft::create(&scratch(), false)?;
    cut_into(reader, &draft, from, until, hide.as_ref())?;
    let mut file = draft.file();
    file.rewind()
        .map_err(|e| Failure::new("cannot read back the recording").because(e))?;
    out.copy(&mut file)?;
    out.finish()
}

/// Cuts into a draft; an error when not all of it fits there.
pub(super) fn cut_into(
    reader: &mut Reader,
    to: &Draft,
    from: u64,
    until: u64,
    hide: Option<&Anonymous>,
) -> anyhow::Result<Summary> {
    let failed =
        |e: io::Error| Failure::new(format!("cannot write {}", to.path().display())).because(e);
    let file = to.file().try_clone().map_err(failed)?;
    let made = trace::cut_into(reader, file, to.path(), from, until, hide)?;
    match made.lost {
        0 => Ok(made),
        _ => Err(failed(io::ErrorKind::StorageFull.into())
            .hint("free some space or write elsewhere")
            .into()),
    }
}

/// A name nobody else uses, in the directory for temporary files; never given, for what is made there is only copied.
fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!("loopscope-export-{}", std::process::id()))
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
