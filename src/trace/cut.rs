//! A cut: part of a recording as a recording of its own (`export --to lscope --from --until`). Step: **trace**.
//!
//! The cut starts with events that restate what came before (see [`restate`](super::restate)): they bear flag `AGAIN` and
//! stand at instant 0. It starts a little earlier than asked when a thread is in the middle of a turn then, at that
//! turn's wakeup, so that no turn is cut in two; a turn that has lasted longer than [`LONGEST`] is. Instants count from
//! the cut's start; [`Meta::cut`](super::Meta) says where that lay. It ends with the last event before `until`.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use super::anonymous::Anonymous;
use super::error::Error;
use super::events::Events;
use super::meta::{CutFrom, Meta};
use super::reader::Reader;
use super::restate::Restater;
use super::stored::{Options, Summary};
use super::writer::Writer;
use crate::record::event::{Event, Kind};

/// How far back a cut reaches for the start of a turn, in nanoseconds.
const LONGEST: u64 = 1_000_000_000;

/// Writes the events from instant `from` up to (not including) `until` to a new recording, attachments included.
pub fn cut(
    source: &mut Reader,
    path: impl AsRef<Path>,
    options: Options,
    from: u64,
    until: u64,
) -> Result<Summary, Error> {
    cut_to(source, from, until, None, |meta| {
        Writer::create(path, meta, options)
    })
}

/// The same into an empty file that is open for reading and writing; `path` is for messages. `hide` leaves out whose it is.
pub fn cut_into(
    source: &mut Reader,
    file: File,
    path: impl AsRef<Path>,
    from: u64,
    until: u64,
    hide: Option<&Anonymous>,
) -> Result<Summary, Error> {
    cut_to(source, from, until, hide, |meta| {
        Writer::into(file, path, meta)
    })
}

fn cut_to(
    source: &mut Reader,
    from: u64,
    until: u64,
    hide: Option<&Anonymous>,
    create: impl FnOnce(&Meta) -> Result<Writer, Error>,
) -> Result<Summary, Error> {
    let asked = source.event_at_time(from)?;
    let end = source.event_at_time(until)?.max(asked);
    let (start, base) = turn_start(source, asked, from)?;
    let mut page = Events::default();
    let mut restater = Restater::default();
    let mut before = false;
    for index in 0..source.pages().len() {
        if source.pages()[index].first_event > start {
            break;
        }
        source.read_page(index, &mut page)?;
        for (_, e, text) in page
            .iter()
            .take_while(|(n, ..)| !page.numbered || *n < start)
        {
            restater.apply(e, text);
            before = true;
        }
    }
    let (mut said, mut text) = (Vec::new(), Vec::new());
    if before {
        restater.say(0, 0, &mut said, &mut text);
    }
    let mut meta = source.meta().clone();
    let original = meta.cut.map_or(0, |cut| cut.from);
    meta.started_ns = meta.started_ns.saturating_add(base);
    meta.monotonic_ns = meta.monotonic_ns.saturating_add(base);
    let last = until.min(source.duration_ns());
    let place = CutFrom {
        from: original + base,
        until: original + last,
        first_event: start,
        restated: said.len() as u64,
    };
    meta.cut = Some(place);
    if let Some(hide) = hide {
        meta = hide.meta(meta);
    }
    let mut writer = create(&meta)?;
    for (name, bytes) in source.attachments()? {
        let bytes = match hide {
            Some(hide) => hide.attachment(&name, &bytes),
            None => Some(bytes),
        };
        if let Some(bytes) = bytes {
            writer.attach(&name, &bytes)?;
        }
    }
    let mut write = |e: &Event, text: &[u8]| match hide {
        Some(hide) => writer.write(e, &hide.text(e, text)),
        None => writer.write(e, text),
    };
    said.iter().for_each(|e| write(e, e.text.of(&text)));
    for index in source
        .pages()
        .partition_point(|p| p.first_event + p.count <= start)
        ..source.pages().len()
    {
        if source.pages()[index].first_event >= end {
            break;
        }
        source.read_page(index, &mut page)?;
        for (_, e, text) in page
            .iter()
            .filter(|(n, ..)| page.numbered && (start..end).contains(n))
        {
            let e = Event {
                t: e.t.saturating_sub(base),
                ..*e
            };
            write(&e, text);
        }
    }
    writer.finish()
}

/// The number and instant at which the earliest turn began that a thread is in at event `asked`.
fn turn_start(source: &mut Reader, asked: u64, from: u64) -> Result<(u64, u64), Error> {
    let mut turns: HashMap<u32, (u64, u64)> = HashMap::new();
    let mut page = Events::default();
    let since = from.saturating_sub(LONGEST);
    for index in source.pages().partition_point(|p| p.t_end < since)..source.pages().len() {
        if source.pages()[index].first_event >= asked {
            break;
        }
        source.read_page(index, &mut page)?;
        for (n, e, _) in page.iter().take_while(|(n, ..)| *n < asked) {
            match e.kind {
                Kind::WaitExit if page.numbered && e.t >= since => {
                    turns.insert(e.thread, (n, e.t));
                }
                Kind::WaitEnter | Kind::ThreadEnd => {
                    turns.remove(&e.thread);
                }
                _ => {}
            }
        }
    }
    Ok(turns
        .into_values()
        .min()
        .map_or((asked, from), |(n, t)| (n, t.min(from))))
}
