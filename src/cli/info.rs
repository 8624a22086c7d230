//! `loopscope info F`: what a recording says about itself, how large it is and whether it is whole. Every
//! page is read and checked, so that it and the report say the same of it. Step: **trace** → outside.

use super::open::open;
use super::output::Output;
use super::progress::Progress;
use super::{Exit, Outcome};
use crate::json::Json;
use crate::record::event::Kind;
use crate::report::words::grouped;
use crate::text::names::Ending;
use crate::text::{visible, wallclock};
use crate::trace::{Events, PageKind, Reader, State};
use crate::when::Duration;
use std::path::PathBuf;

/// Show what a recording is: program, machine, size, pages, damage
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The recording
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What both forms print.
struct Info {
    file: String,
    bytes: u64,
    segments: u64,
    pages: u64,
    damaged_pages: u64,
    event_bytes: u64,
    /// The header's; a file made before its program was started has the first process that joined.
    pid: Option<u32>,
    /// How that process ended, if its end lies in the last pages.
    ended: Option<Ending>,
    attachments: Vec<(String, usize)>,
}

pub(super) fn run(args: Args) -> Outcome {
    let mut reader = open(&args.file)?;
    let mut progress = Progress::new("checking");
    reader.verify_with(&mut |done| progress.show(done))?;
    progress.clear();
    let pages = reader.pages();
    let mut segments: Vec<u32> = pages.iter().map(|p| p.segment).collect();
    segments.dedup();
    let good = |p: &&crate::trace::PageInfo| p.state == State::Good && p.kind == PageKind::Events;
    let mut info = Info {
        file: args.file.display().to_string(),
        bytes: std::fs::metadata(&args.file).map_or(0, |m| m.len()),
        segments: segments.len() as u64,
        pages: pages.len() as u64,
        pid: None,
        ended: None,
        damaged_pages: pages.iter().filter(|p| p.state == State::Damaged).count() as u64,
        event_bytes: pages.iter().filter(good).map(|p| p.size).sum(),
        attachments: reader
            .attachments()?
            .into_iter()
            .map(|(name, bytes)| (name, bytes.len()))
            .collect(),
    };
    info.pid = match reader.meta().pid {
        0 => first_process(&mut reader),
        pid => Some(pid),
    };
    info.ended = end_of_first(&mut reader);
    let mut out = Output::stdout();
    match args.json {
        true => out.text(&to_json(&reader, &info))?,
        false => out.text(&to_text(&reader, &info))?,
    }
    out.finish()?;
    Ok(Exit::OK)
}

/// Average bytes of an event in its page; nothing for a recording without events.
fn bytes_per_event(reader: &Reader, info: &Info) -> Option<f64> {
    let events = events(reader);
    (events > 0).then(|| info.event_bytes as f64 / events as f64)
}

/// The events that can be had: the reader numbers what damage took as well.
fn events(reader: &Reader) -> u64 {
    reader.len().saturating_sub(reader.damaged())
}

/// The process that joined first, if the first page of events tells.
fn first_process(reader: &mut Reader) -> Option<u32> {
    let good = |p: &crate::trace::PageInfo| p.state == State::Good && p.kind == PageKind::Events;
    let page = reader.pages().iter().position(good)?;
    let mut events = Events::default();
    reader.read_page(page, &mut events).ok()?;
    let start = events
        .events
        .iter()
        .find(|e| e.kind == Kind::ProcessStart)?;
    u32::try_from(start.x).ok()
}

/// How the process that joined first ended; looked for from the end on, where it stands unless others lived much longer.
fn end_of_first(reader: &mut Reader) -> Option<Ending> {
    let good = |p: &crate::trace::PageInfo| p.state == State::Good && p.kind == PageKind::Events;
    let pages = reader.pages().iter().enumerate().rev();
    let last: Vec<usize> = (pages.filter(|(_, page)| good(page)).map(|(at, _)| at))
        .take(LAST_PAGES)
        .collect();
    let mut events = Events::default();
    for page in last {
        reader.read_page(page, &mut events).ok()?;
        let mut all = events.events.iter().rev();
        if let Some(end) = all.find(|e| e.kind == Kind::ProcessEnd && e.arg == 0) {
            return Some(Ending::of(end.x));
        }
    }
    None
}

const LAST_PAGES: usize = 64;

fn to_json(reader: &Reader, info: &Info) -> String {
    let meta = reader.meta();
    let mut json = Json::new();
    json.braces(|j| {
        j.field("schema", 1u32)
            .field("file", &info.file)
            .field("bytes", info.bytes);
        j.field("complete", reader.complete()).line();
        j.field("tool", &meta.tool)
            .field("source", &meta.source)
            .field("title", &meta.title);
        j.array("command", |j| {
            for argument in &meta.command {
                j.element(argument);
            }
        });
        j.field("cwd", &meta.cwd).field("pid", info.pid);
        j.field("exit_code", info.ended.and_then(Ending::code))
            .field("signal", info.ended.and_then(Ending::signal).as_deref())
            .line();
        j.field("started_at", &wallclock::utc(meta.started_ns))
            .field("duration_ns", reader.duration_ns());
        j.field("events", events(reader))
            .field("damaged_events", reader.damaged())
            .field("first_event", reader.first())
            .line();
        j.field("pages", info.pages)
            .field("damaged_pages", info.damaged_pages)
            .field("segments", info.segments);
        j.field("event_bytes", info.event_bytes)
            .field("bytes_per_event", bytes_per_event(reader, info))
            .line();
        j.field("kernel", &meta.kernel)
            .field("cpu", &meta.cpu)
            .field("cpus", meta.cpus);
        j.field("boot_id", &meta.boot_id)
            .field("clock", &meta.clock)
            .field("clocksource", &meta.clocksource);
        j.field("ticks_per_second", meta.ticks_per_second)
            .field("ring_bytes", meta.ring_bytes)
            .line();
        j.field("kernel_ready", &meta.kernel_ready)
            .field("handlers", &meta.handlers)
            .line();
        match meta.cut {
            Some(cut) => j.object("cut", |j| {
                j.field("from_ns", cut.from).field("until_ns", cut.until);
                j.field("first_event", cut.first_event)
                    .field("restated", cut.restated);
            }),
            None => j.field("cut", None::<u32>),
        };
        j.line().array("setup", |j| {
            for s in &meta.setup {
                j.braces(|j| {
                    j.field("missing", &s.missing)
                        .field("because", &s.because)
                        .field("do", &s.advice);
                });
            }
        });
        j.line().array("notes", |j| {
            for (name, value) in &meta.notes {
                j.braces(|j| {
                    j.field("name", name).field("value", value);
                });
            }
        });
        j.line().array("attachments", |j| {
            for (name, bytes) in &info.attachments {
                j.braces(|j| {
                    j.field("name", name).field("bytes", *bytes);
                });
            }
        });
        j.line().array("problems", |j| {
            for problem in reader.problems() {
                j.element(&problem.to_string());
            }
        });
    });
    json.as_str().to_owned() + "\n"
}

fn to_text(reader: &Reader, info: &Info) -> String {
    let meta = reader.meta();
    let mut rows: Vec<(&str, String)> = Vec::new();
    let whole = if reader.complete() {
        "complete"
    } else {
        "NOT COMPLETE"
    };
    rows.push((
        "file",
        format!("{}, {} bytes, {whole}", info.file, grouped(info.bytes)),
    ));
    if !meta.title.is_empty() {
        rows.push(("title", meta.title.clone()));
    }
    rows.push((
        "command",
        match info.pid {
            None => meta.command.join(" "),
            Some(pid) => format!("{} (pid {pid})", meta.command.join(" ")),
        },
    ));
    if let Some(ended) = info.ended {
        rows.push(("ended", ended.to_string()));
    }
    rows.push(("in", meta.cwd.clone()));
    let (start, length) = (
        wallclock::local(meta.started_ns),
        Duration(reader.duration_ns()),
    );
    rows.push((
        "recorded",
        format!("{start}, {length} long, by {} ({})", meta.source, meta.tool),
    ));
    rows.push((
        "machine",
        format!("{}, {} × {}", meta.kernel, meta.cpus, meta.cpu),
    ));
    let ticks = match meta.ticks_per_second {
        0 => String::new(),
        n => format!(", {} ticks a second", grouped(n)),
    };
    rows.push((
        "clock",
        format!(
            "{} (the kernel's clocksource: {}){ticks}",
            meta.clock, meta.clocksource
        ),
    ));
    let per_event =
        bytes_per_event(reader, info).map_or(String::new(), |b| format!(", {b:.2} bytes an event"));
    let first = match reader.first() {
        0 => String::new(),
        n => format!(", numbered from {}", grouped(n)),
    };
    let damaged = match reader.damaged() {
        0 => String::new(),
        n => format!(", {} more DAMAGED", grouped(n)),
    };
    rows.push((
        "events",
        format!("{}{first}{per_event}{damaged}", grouped(events(reader))),
    ));
    let damaged = match info.damaged_pages {
        0 => String::new(),
        n => format!(", {} DAMAGED", grouped(n)),
    };
    rows.push((
        "pages",
        format!(
            "{} in {} segments{damaged}",
            grouped(info.pages),
            grouped(info.segments)
        ),
    ));
    let handlers = match meta.handlers.as_str() {
        "inferred" => "inferred where the program marks none",
        other => other,
    };
    rows.push((
        "known",
        format!("readiness {}, handlers {handlers}", meta.kernel_ready),
    ));
    if let Some(cut) = meta.cut {
        rows.push((
            "cut",
            format!(
                "{} to {} of a longer recording",
                Duration(cut.from),
                Duration(cut.until)
            ),
        ));
    }
    rows.extend(info.attachments.iter().map(|(name, bytes)| {
        (
            "attached",
            format!("{name}, {} bytes", grouped(*bytes as u64)),
        )
    }));
    rows.extend(
        meta.notes
            .iter()
            .map(|(name, value)| ("note", format!("{name}: {value}"))),
    );
    rows.extend(meta.setup.iter().map(|s| {
        (
            "missing",
            format!("{}: {}; {}", s.missing, s.because, s.advice),
        )
    }));
    rows.extend(reader.problems().iter().map(|p| ("problem", p.to_string())));
    rows.iter()
        .map(|(name, text)| format!("{name:<10} {}\n", visible(text)))
        .collect()
}
