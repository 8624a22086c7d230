//! `loopscope export F --to FORMAT`: a recording, or a part of it, for other tools. Step: trace → **outside**.

use super::at::resolve;
use super::draft::Draft;
use super::drawn::themes;
use super::open::{note, open, warn};
use super::output::{Output, is_stream, stdout_is_tty};
use super::progress::Progress;
use super::snapshot::Size;
use super::{Exit, Failure, Outcome, present};
use crate::derive::Store;
use crate::export::{dispatches, ndjson};
use crate::report::code::{Weight, to_folded};
use crate::trace::{self, Anonymous, Reader, Summary};
use crate::tui::Theme;
use crate::when::When;
use std::io::{self, Seek};
use std::path::{Path, PathBuf};

/// Write a recording, or a part of it, for other tools
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The recording; for cast, html and slides also the name of a demo, for the recording of it that ships
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
    /// Only events that took at least so long from ready to the handler's end, as 5ms (--to dispatches)
    #[arg(long, value_name = "TIME", value_parser = length)]
    over: Option<u64>,
    /// Hide whose it is, to hand it on: hosts, paths, arguments, text fields, terminal output (--to lscope)
    #[arg(long)]
    anon: bool,
    /// Columns and rows of the screens (--to cast, html, slides) [default: 80x24]
    #[arg(long, value_name = "WxH")]
    size: Option<Size>,
    /// Whose colours the screens have (--to cast, html, slides) [default: a terminal's own]
    #[arg(long, value_name = "NAME", value_parser = themes())]
    theme: Option<Theme>,
    /// Write to this file; - is stdout; slides go into a directory of this name
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
    /// Every event that was served, one a line, as JSON: since when it was ready, told, begun, ended, and behind whom
    Dispatches,
    /// Stacks for a flame graph tool, one a line, with the microseconds that --by says
    Folded,
    /// The replay as an asciicast (v3), with markers at the steps of the lesson or else at what was found
    Cast,
    /// One page for a browser, without network: screen after screen with captions and questions, by keys or touch
    Html,
    /// A directory with slides in Markdown, a picture of each step as SVG and PNG, the captions and the speaker's notes
    Slides,
}

impl Format {
    /// Made of the UI's screens, from step to step.
    fn is_shown(self) -> bool {
        matches!(self, Format::Cast | Format::Html | Format::Slides)
    }
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq)]
enum By {
    /// That events waited meanwhile, each by itself
    #[default]
    Waiting,
    /// On the CPU
    Cpu,
}

fn length(text: &str) -> Result<u64, String> {
    crate::when::duration(text)
        .ok_or_else(|| "a time is a number and a unit, like 5ms, 200us".to_owned())
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
    if args.over.is_some() && args.to != Format::Dispatches {
        return Err(Failure::usage("--over says which events are written")
            .hint("give it with --to dispatches")
            .into());
    }
    if (args.size.is_some() || args.theme.is_some()) && !args.to.is_shown() {
        return Err(
            Failure::usage("--size and --theme say how the screens are drawn")
                .hint("give them with --to cast, html or slides")
                .into(),
        );
    }
    let whole = match args.to {
        Format::Folded => Some("folded"),
        Format::Dispatches => Some("dispatches"),
        Format::Cast => Some("cast"),
        Format::Html => Some("html"),
        Format::Slides => Some("slides"),
        Format::Ndjson | Format::Lscope => None,
    };
    if let Some(name) = whole.filter(|_| args.from.is_some() || args.until.is_some()) {
        return Err(Failure::usage(format!("--to {name} takes a whole recording"))
            .hint("cut the part first: loopscope export --to lscope --from T --until T -o PART.lscope")
            .into());
    }
    if args.to.is_shown() {
        let to = present::To {
            path: args.output.as_deref(),
            force: args.force,
            size: args.size.unwrap_or(Size(80, 24)),
            theme: args.theme.unwrap_or_default(),
        };
        match args.to {
            Format::Html => present::html(&args.file, &to)?,
            Format::Slides => present::slides(&args.file, &to)?,
            _ => present::cast(&args.file, &to)?,
        }
        return Ok(Exit::OK);
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
        Format::Dispatches => {
            let mut out = Output::create(args.output.as_deref(), args.force)?;
            let mut progress = Progress::new("exporting");
            dispatches::lines(
                &mut reader,
                args.over.unwrap_or(0),
                &mut |done| progress.show(done),
                &mut |line| out.text(line),
            )?;
            progress.clear();
            out.finish()?;
        }
        Format::Folded => folded(&mut reader, &args)?,
        Format::Lscope => lscope(&mut reader, &args, from, until)?,
        // Made of screens, above.
        Format::Cast | Format::Html | Format::Slides => {}
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
