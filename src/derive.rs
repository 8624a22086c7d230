//! What one fold over a recording leaves for every later look: checkpoints and the summary pyramid.
//! Step: trace → **model** → view.
//!
//! Events are the only truth; what stands here can be thrown away and is, when it comes from another version of the
//! model. [`ensure`] folds a recording once and stores the result in it, so that opening costs the page table and
//! going anywhere costs one checkpoint and the events after it.

use std::path::Path;

use crate::model::pyramid::Pyramid;
use crate::model::{Config, Model};
use crate::trace::{Appender, Error, Events, Reader};

/// The kind of a derived page that holds a [`Model`] as [`Model::save`] wrote it, from before event `events.end`.
pub const CHECKPOINT: u16 = 1;
/// The kind of a derived page that holds a chunk of a [`Pyramid`].
pub const PYRAMID: u16 = 2;

/// Checkpoints stand at least this many events apart: what a tenth of a second folds, with room to spare.
const APART: u64 = 300_000;
/// The events since the last checkpoint weigh at least this many times what the checkpoint does in the file.
const WEIGHT: u64 = 4;
/// Recordings with fewer events are folded whole in the time of a key press.
const WORTH: u64 = 2 * APART;

/// Hears how many of how many events have been folded; answers whether to go on.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64) -> bool;

/// What [`ensure`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The recording had everything, or is too short to need it.
    Present,
    /// It was computed and stored.
    Stored,
    /// `progress` asked to stop: the recording holds what was done until then.
    Stopped,
}

/// Whether a recording has what [`ensure`] would compute.
pub fn present(reader: &Reader) -> bool {
    if reader.len() < WORTH {
        return true;
    }
    // The pyramid's last chunk is written last.
    let chunks = reader.derived(PYRAMID, Model::VERSION);
    chunks.iter().any(|d| d.events.end >= reader.end())
}

/// Folds a finished recording and stores checkpoints and pyramid in it, unless it has them.
///
/// # Errors
/// When the file cannot be read or written (read-only, disk full, another program writes it): the recording can be
/// looked at all the same, only more slowly.
pub fn ensure(path: &Path, progress: Progress<'_>) -> Result<Outcome, Error> {
    let mut reader = Reader::open(path)?;
    if present(&reader) {
        return Ok(Outcome::Present);
    }
    let mut appender = Appender::open(path)?;
    let mut model = Model::new(Config::default());
    let mut pyramid = Pyramid::default();
    let mut events = Events::default();
    // Where the last checkpoint stands, what the events since weigh, what a checkpoint weighs.
    let (mut at, mut weight, mut size) = (reader.first(), 0, 0);
    let mut chunks = Vec::new();
    let mut outcome = Outcome::Stored;
    for index in 0..reader.pages().len() {
        reader.read_page(index, &mut events)?;
        let page = &reader.pages()[index];
        let (end, bytes) = (page.events().end, page.size);
        for (number, event, text) in events.iter() {
            model.apply(number, event, text, &mut pyramid);
        }
        weight += bytes;
        if end - at.min(end) >= APART && weight >= WEIGHT * size {
            let before = appender.bytes();
            let mut saved = Vec::new();
            model.save(&mut saved);
            appender.derived(CHECKPOINT, Model::VERSION, at..end, &saved)?;
            size = appender.bytes() - before;
            chunks.push((at..end, chunk(&mut pyramid)));
            (at, weight) = (end, 0);
        }
        if !progress(end, reader.end()) {
            outcome = Outcome::Stopped;
            break;
        }
    }
    if outcome == Outcome::Stored {
        chunks.push((at..reader.end(), chunk(&mut pyramid)));
        // All or nothing: chunks add up, so one stored twice would count twice.
        for (events, bytes) in chunks {
            appender.derived(PYRAMID, Model::VERSION, events, &bytes)?;
        }
    }
    appender.finish()?;
    Ok(outcome)
}

fn chunk(pyramid: &mut Pyramid) -> Vec<u8> {
    let mut bytes = Vec::new();
    pyramid.take(&mut bytes);
    bytes
}

/// The latest stored checkpoint at or before event `number`: the model and the number of the event to go on with.
/// A damaged one is passed over.
pub fn checkpoint(reader: &mut Reader, number: u64) -> Option<(Model, u64)> {
    let mut stored = reader.derived(CHECKPOINT, Model::VERSION);
    stored.retain(|d| d.events.end <= number);
    stored.sort_by_key(|d| d.events.end);
    stored.iter().rev().find_map(|d| {
        let bytes = reader.read_derived(d).ok()?;
        Some((Model::load(&bytes)?, d.events.end))
    })
}

/// Where [`checkpoint`] would stand for event `number`, without reading it.
pub fn checkpoint_at(reader: &Reader, number: u64) -> Option<u64> {
    let stored = reader.derived(CHECKPOINT, Model::VERSION);
    let ends = stored.iter().map(|d| d.events.end);
    ends.filter(|end| *end <= number).max()
}

/// The stored pyramid, if the recording has a whole one.
pub fn pyramid(reader: &mut Reader) -> Option<Pyramid> {
    let stored = reader.derived(PYRAMID, Model::VERSION);
    if stored.is_empty() || !present(reader) {
        return None;
    }
    let mut pyramid = Pyramid::default();
    for chunk in &stored {
        let bytes = reader.read_derived(chunk).ok()?;
        pyramid.decode(&bytes)?;
    }
    Some(pyramid)
}
