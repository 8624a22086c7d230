//! What the tests of recordings share: a stream of events, and reading a file whole.
#![allow(dead_code, unused_imports, clippy::unwrap_used)] // each test uses a part

#[path = "../../benches/common/synth.rs"]
mod synth;

use std::path::Path;

use loopscope::record::event::Event;
use loopscope::trace::{Error, Events, Meta, Options, Reader, Writer};

pub use synth::{Random, Synth};

pub type Stream = Vec<(Event, Vec<u8>)>;

/// A realistic stream of this many turns.
pub fn stream(turns: usize) -> Stream {
    let mut synth = Synth::new(7, 50);
    let mut out = Vec::new();
    let mut emit = |e: &Event, text: &[u8]| out.push((*e, text.to_vec()));
    synth.start(&mut emit);
    for _ in 0..turns {
        synth.turn(&mut emit);
    }
    out
}

/// The event without the place of its text, which belongs to the buffer it came in.
pub fn bare(e: &Event) -> Event {
    Event {
        text: Default::default(),
        ..*e
    }
}

/// Every numbered event in the file with its number.
pub fn read_numbered(reader: &mut Reader) -> Vec<(u64, Event, Vec<u8>)> {
    let mut events = Events::default();
    let mut out = Vec::new();
    for page in 0..reader.pages().len() {
        reader.read_page(page, &mut events).expect("a page");
        if events.numbered {
            out.extend(
                events
                    .iter()
                    .map(|(n, e, text)| (n, bare(e), text.to_vec())),
            );
        }
    }
    out
}

/// Every event in the file.
pub fn read_all(reader: &mut Reader) -> Stream {
    read_numbered(reader)
        .into_iter()
        .map(|(_, e, text)| (e, text))
        .collect()
}

/// Writes a finished recording with pages of `page` events.
pub fn write(
    path: &Path,
    stream: &Stream,
    page: usize,
    options: Options,
) -> Result<loopscope::trace::Summary, Error> {
    let meta = Meta {
        tool: "test".into(),
        command: vec!["server".into()],
        ..Meta::default()
    };
    let mut writer = Writer::create(path, &meta, options)?;
    for (i, (event, text)) in stream.iter().enumerate() {
        writer.write(event, text);
        if (i + 1) % page == 0 {
            writer.seal();
        }
    }
    writer.finish()
}
