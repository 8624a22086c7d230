//! `loopscope save PID`: keeps what a running recorder has of a process, up to this moment. Step: **trace**.

use super::draft::Draft;
use super::export::cut_into;
use super::open::{note, warn};
use super::{Exit, Failure, Outcome, record};
use crate::capture::running;
use crate::text::visit::quoted;
use crate::trace::{Progress, Reader};
use crate::when;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Save what is being recorded of a running process, up to now
///
/// For a process that `loopscope record` or `run` has launched, or its recorder. The recording goes on.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The process, or the recorder
    #[arg(value_parser = process)]
    pid: u32,
    /// Only so much before now: 10s, 500ms
    #[arg(long, value_name = "D", value_parser = parse_last)]
    last: Option<u64>,
    /// The file [default: NAME-YYYYMMDD-HHMMSS-PID.lscope]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

fn process(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| "a process is named by its number; `pgrep NAME` tells it".to_owned())
}

fn parse_last(text: &str) -> Result<u64, String> {
    (when::duration(text).filter(|ns| *ns > 0))
        .ok_or_else(|| "a time is a number and a unit, like 1.5s, 300ms, 2min".to_owned())
}

pub(super) fn run(args: Args) -> Outcome {
    let mut found = running::find(args.pid)?;
    let reader = &mut found.reader;
    let now = catch_up(reader)?;
    if reader.is_empty() {
        return Err(Failure::new(format!(
            "nothing has been recorded of process {} yet",
            args.pid
        ))
        .into());
    }
    let end = reader.duration_ns().saturating_add(1);
    // Of a program that has done nothing lately, that is what there is to see: nothing but how it stands.
    let from = args
        .last
        .map_or(0, |last| now.max(end).saturating_sub(last).min(end - 1));
    let path = args.output.unwrap_or_else(|| {
        let command = reader.meta().command.first().map(std::ffi::OsString::from);
        PathBuf::from(record::default_name(&record::program_name(
            command.as_slice(),
        )))
    });
    let draft = Draft::create(&path, args.force)?;
    let made = cut_into(reader, &draft, from, end, None)?;
    draft.keep()?;
    warn(reader, &path);
    let name = path.display().to_string();
    note(&format!(
        "{} events; look: loopscope replay {}",
        made.events,
        quoted(&name)
    ));
    Ok(Exit::OK)
}

/// Waits until what happened before now has been written, at most a second: an idle program writes nothing. Returns now,
/// on the recording's clock.
fn catch_up(reader: &mut Reader) -> anyhow::Result<u64> {
    let now = monotonic().saturating_sub(reader.meta().monotonic_ns);
    let patience = Instant::now() + Duration::from_secs(1);
    while reader.duration_ns() < now && Instant::now() < patience {
        if reader.refresh()? == Progress::Ended {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(now)
}

/// CLOCK_MONOTONIC in nanoseconds.
fn monotonic() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a live timespec to write to; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    (time.tv_sec as u64).saturating_mul(1_000_000_000) + time.tv_nsec as u64
}
