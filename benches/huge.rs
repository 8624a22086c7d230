//! What a recording of 100 million events costs to look at: first frame, going anywhere, memory.
//!
//! ```sh
//! cargo run --release --example synthetic -- 100000000 huge.lscope
//! cargo bench --bench huge -- huge.lscope
//! ```
//!
//! Without a file it makes one of 5 million events in the temporary directory. The first look stores checkpoints; that
//! is timed by itself. Every later look opens the file anew, goes to a random instant and draws one frame.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use loopscope::derive;
use loopscope::trace::{Meta, Options, Reader, Writer};
use loopscope::tui::{self, App, Look, Source, View};

#[path = "common/synth.rs"]
#[allow(dead_code)] // each of its users needs another part of it
mod synth;

const LOOKS: usize = 21;

fn main() -> Result<(), Box<dyn Error>> {
    let given = std::env::args().skip(1).find(|a| !a.starts_with("--"));
    let directory = tempfile::tempdir()?;
    let path = match given {
        Some(path) => PathBuf::from(path),
        None => made(&directory.path().join("made.lscope"))?,
    };
    let started = Instant::now();
    let outcome = derive::ensure(&path, &mut |_, _| true)?;
    println!(
        "{:<34}{:>12}  {outcome:?}",
        "checkpoints and pyramid",
        show(started.elapsed())
    );
    let reader = Reader::open(&path)?;
    let (events, duration) = (reader.len(), reader.duration_ns());
    drop(reader);
    println!("{:<34}{events:>12}", "events");

    let mut random = synth::Random::new(11);
    for view in [
        View::Loop,
        View::Timeline,
        View::Fairness,
        View::Fd,
        View::Events,
    ] {
        let first = look(&path, view, 0)?;
        let mut there: Vec<Duration> = Vec::new();
        for _ in 0..LOOKS {
            there.push(look(&path, view, random.below(duration))?);
        }
        there.sort();
        println!(
            "{:<34}{:>12}  anywhere: median {}, longest {}",
            format!("first frame of {}", view.name()),
            show(first),
            show(there[LOOKS / 2]),
            show(there[LOOKS - 1]),
        );
    }
    println!("{:<34}{:>9} MiB", "largest memory", peak_kib()? / 1024);
    Ok(())
}

/// Opens the file, goes to an instant and draws a frame of 200x60.
fn look(path: &Path, view: View, t: u64) -> Result<Duration, Box<dyn Error>> {
    let started = Instant::now();
    let source = Source::Replay {
        path: path.to_owned(),
        follow: false,
    };
    let options = tui::Options {
        view,
        at: Some(loopscope::when::When::At(t)),
        ..tui::Options::default()
    };
    let mut app = App::open(&source, options, Look::default())??;
    let buffer = tui::frame(&mut app, 200, 60)?;
    assert!(buffer.content.iter().any(|cell| cell.symbol() != " "));
    Ok(started.elapsed())
}

fn made(path: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let mut writer = Writer::create(path, &Meta::default(), Options::default())?;
    let mut synth = synth::Synth::new(7, 1_000);
    let mut emit = |event: &_, text: &[u8]| writer.write(event, text);
    synth.start(&mut emit);
    while synth.emitted() < 5_000_000 {
        synth.turn(&mut emit);
    }
    writer.finish()?;
    Ok(path.to_owned())
}

fn peak_kib() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    Ok(line
        .unwrap_or("0 kB")
        .trim()
        .trim_end_matches(" kB")
        .parse()?)
}

fn show(d: Duration) -> String {
    format!("{:.1} ms", d.as_secs_f64() * 1e3)
}
