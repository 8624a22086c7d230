//! What a recording of 100 million events costs to look at: first frame, going anywhere, memory.
//!
//! ```sh
//! cargo run --release --example synthetic -- 100000000 huge.lscope
//! cargo bench --bench huge -- huge.lscope
//! ```
//!
//! Without a file it makes one of 5 million events in the temporary directory. The first look stores checkpoints; that
//! is timed by itself. Then, on every screen: opening the file at a random instant with one frame, and going from there
//! to another event, instant or iteration, a step or a turn on and back, the ends, each with one frame. Of each way the
//! longest journey is gone five times more, from opening the file on: what it costs by itself is the median of these,
//! without what happened to the machine that moment.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use loopscope::derive;
use loopscope::model::Model;
use loopscope::trace::{Meta, Options, Reader, Writer};
use loopscope::tui::{self, App, Look, Message, Source, View};
use processor::processor;

#[path = "common/processor.rs"]
mod processor;
#[path = "common/synth.rs"]
#[allow(dead_code)] // each of its users needs another part of it
mod synth;

const LOOKS: usize = 11;
/// Times the longest journeys are gone again.
const AGAIN: usize = 5;

/// Where a recording was opened, and where to from there: the last of these is what was timed.
struct Journey {
    view: View,
    opened: u64,
    way: &'static str,
    goes: Vec<To>,
}

impl Journey {
    fn again(&self, path: &Path) -> Result<Took, Box<dyn Error>> {
        let mut app = open(path, self.view, self.opened)?;
        let mut started = Clock::start();
        for to in &self.goes {
            started = Clock::start();
            go(&mut app, to)?;
        }
        Ok(started.took())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let given = std::env::args().skip(1).find(|a| !a.starts_with("--"));
    let directory = tempfile::tempdir()?;
    let path = match given {
        Some(path) => PathBuf::from(path),
        None => made(&directory.path().join("made.lscope"))?,
    };
    let plain = Reader::open(&path)?
        .pages()
        .iter()
        .map(|p| p.size)
        .sum::<u64>();
    let started = Clock::start();
    let outcome = derive::ensure(&path, &mut |_, _| true)?;
    println!(
        "checkpoints, pyramid and findings: {}, {outcome:?}",
        started.took()
    );
    let reader = Reader::open(&path)?;
    let (events, duration) = (reader.len(), reader.duration_ns());
    let bytes = reader.bytes()?;
    let derived = (bytes - plain) as f64 * 100.0 / bytes as f64;
    println!("{}", stored(&reader));
    println!("events: {events}, bytes: {bytes}, of these not events: {derived:.1} %");
    println!("milliseconds of the processor (of the clock): median, longest of {LOOKS}");

    let mut random = synth::Random::new(11);
    println!(
        "{:<10}{:<26}{:<28}",
        "screen", "opened at any instant", "there, gone anywhere else"
    );
    let mut ways: Vec<(&str, Vec<Took>)> = Vec::new();
    let mut longest: Vec<(Took, Journey)> = Vec::new();
    for (view, _) in View::ALL {
        let (mut fresh, mut gone) = (Vec::new(), Vec::new());
        for look in 0..LOOKS {
            let started = Clock::start();
            let opened = random.below(duration) * u64::from(look > 0);
            let mut app = open(&path, view, opened)?;
            fresh.push(started.took());
            let mut goes = Vec::new();
            for (way, to) in destinations(&mut random, duration, events) {
                let started = Clock::start();
                go(&mut app, &to)?;
                let took = started.took();
                gone.push(took);
                match ways.iter_mut().find(|(name, _)| *name == way) {
                    Some((_, all)) => all.push(took),
                    None => ways.push((way, vec![took])),
                }
                goes.push(to);
                let before = longest.iter().position(|(_, journey)| journey.way == way);
                if before.is_none_or(|at| longest[at].0.processor < took.processor) {
                    let goes = goes.clone();
                    let journey = Journey {
                        view,
                        opened,
                        way,
                        goes,
                    };
                    before.map(|at| longest.swap_remove(at));
                    longest.push((took, journey));
                }
            }
        }
        println!(
            "{:<10}{:<26}{:<28}",
            view.name(),
            spread(&mut fresh),
            spread(&mut gone)
        );
    }
    println!(
        "{:<26}{:<26}the longest again, median of {AGAIN}",
        "going", "on any screen"
    );
    for (way, all) in &mut ways {
        let journey = longest.iter().find(|(_, journey)| journey.way == *way);
        let mut again = Vec::new();
        for (_, journey) in journey.into_iter().cycle().take(AGAIN) {
            again.push(journey.again(&path)?);
        }
        again.sort_by_key(|t| t.processor);
        println!("{way:<26}{:<26}{}", spread(all), again[AGAIN / 2]);
    }
    println!("largest memory: {} MiB", peak_kib()? / 1024);
    Ok(())
}

/// How many checkpoints there are, what they weigh, and how far apart they stand at most.
fn stored(reader: &Reader) -> String {
    let mut all = reader.derived(derive::CHECKPOINT, Model::VERSION);
    all.sort_by_key(|d| d.events.end);
    let places = all.iter().map(|d| d.events.end).chain([reader.end()]);
    let (mut last, mut apart) = (reader.first(), 0);
    for place in places {
        apart = apart.max(place - last);
        last = place;
    }
    let sizes = all.iter().map(|d| d.size / 1_000);
    let (least, most) = (sizes.clone().min(), sizes.max());
    format!(
        "checkpoints: {}, of {} to {} KB, at most {apart} events apart",
        all.len(),
        least.unwrap_or(0),
        most.unwrap_or(0)
    )
}

/// Somewhere to go.
#[derive(Clone)]
enum To {
    When(String),
    Message(Message),
}

/// One of every way to get somewhere else.
fn destinations(random: &mut synth::Random, duration: u64, events: u64) -> Vec<(&'static str, To)> {
    let mut any = |text: &str, most: u64| To::When(format!("{text}{}", random.below(most)));
    vec![
        ("to an event", any("event:", events)),
        ("a step on", To::Message(Message::Step(1))),
        ("a step back", To::Message(Message::Step(-1))),
        ("a turn on", To::Message(Message::Turn(1))),
        ("a turn back", To::Message(Message::Turn(-1))),
        // The made-up server turns once in 40 to 60 events.
        ("to an iteration", any("iteration:0:", events / 60)),
        (
            "to an instant",
            To::When(format!("{}ns", random.below(duration))),
        ),
        ("to a part", To::When(format!("{}%", random.below(100)))),
        (
            "to shortly before the end",
            To::When(format!("-{}ns", random.below(duration / 50))),
        ),
        ("to the end", To::Message(Message::Last)),
        ("to the start", To::Message(Message::First)),
    ]
}

fn open(path: &Path, view: View, t: u64) -> Result<App, Box<dyn Error>> {
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
    draw(&mut app)?;
    Ok(app)
}

fn go(app: &mut App, to: &To) -> Result<(), Box<dyn Error>> {
    match to {
        To::Message(message) => app.update(message.clone())?,
        To::When(text) => match tui::when::resolve(&mut app.player, text)?? {
            tui::when::To::Time(t) => app.player.seek(t)?,
            tui::when::To::Event(n) => app.player.seek_event(n + 1)?,
        },
    }
    draw(app)
}

/// Draws a frame of 200x60.
fn draw(app: &mut App) -> Result<(), Box<dyn Error>> {
    let buffer = tui::frame(app, 200, 60)?;
    assert!(buffer.content.iter().any(|cell| cell.symbol() != " "));
    Ok(())
}

/// What something took: the processor's time, and the clock's, which other work on the machine stretches.
#[derive(Clone, Copy)]
struct Took {
    processor: Duration,
    clock: Duration,
}

impl std::fmt::Display for Took {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        write!(f, "{:.0} ({:.0})", ms(self.processor), ms(self.clock))
    }
}

struct Clock {
    processor: Duration,
    clock: Instant,
}

impl Clock {
    fn start() -> Self {
        Clock {
            processor: processor(),
            clock: Instant::now(),
        }
    }
    fn took(&self) -> Took {
        Took {
            processor: processor() - self.processor,
            clock: self.clock.elapsed(),
        }
    }
}

fn spread(all: &mut [Took]) -> String {
    all.sort_by_key(|t| t.processor);
    format!("{}, {}", all[all.len() / 2], all[all.len() - 1])
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
