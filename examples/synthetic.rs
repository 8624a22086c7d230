//! Makes a large recording of a made-up server, to try how loopscope bears size:
//!
//! ```sh
//! cargo run --release --example synthetic -- 100000000 huge.lscope
//! loopscope replay huge.lscope
//! ```
//!
//! The first argument is the number of events, the second the file; a third sets the number of connections (1,000).

use std::error::Error;

use loopscope::derive;
use loopscope::trace::{Meta, Options, Writer};

#[path = "../benches/common/synth.rs"]
mod synth;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (events, path, fds) = match arguments.as_slice() {
        [events, path] => (events.parse::<u64>()?, path, 1_000),
        [events, path, fds] => (events.parse()?, path, fds.parse()?),
        _ => return Err("usage: synthetic EVENTS FILE [CONNECTIONS]".into()),
    };
    let meta = Meta {
        command: vec!["synthetic-server".into()],
        source: "synthetic".into(),
        ..Meta::default()
    };
    let mut writer = Writer::create(path, &meta, Options::default())?;
    let mut synth = synth::Synth::new(7, fds);
    let mut emit = |event: &_, text: &[u8]| writer.write(event, text);
    synth.start(&mut emit);
    while synth.emitted() < events {
        synth.turn(&mut emit);
    }
    let summary = writer.finish()?;
    println!(
        "{}: {} events, {:.2} bytes each, {:.1} s of a server's life",
        path,
        summary.events,
        summary.bytes as f64 / summary.events as f64,
        synth.now() as f64 / 1e9
    );
    // What `loopscope record` does at its end: whoever opens the recording next sees it at once.
    let mut tenths = 0;
    derive::ensure(path.as_ref(), &mut |done, all| {
        if done * 10 / all.max(1) > tenths {
            tenths = done * 10 / all.max(1);
            eprint!("\rindexing, once: {} %", tenths * 10);
        }
        true
    })?;
    eprintln!();
    Ok(())
}
