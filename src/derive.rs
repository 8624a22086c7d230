//! What one fold over a recording leaves for every later look: checkpoints, the summary pyramid, where marks are, what was
//! found. Step: trace → **model** → view.
//!
//! Events are the only truth; what stands here can be thrown away and is, when it comes from another version of the
//! model or the rules. [`ensure`] folds a recording once and stores the result in it, so that opening costs the page table and
//! going anywhere costs one checkpoint and the events after it.

mod found;
mod index;
mod marks;
pub mod meanwhile;
mod store;

pub use marks::Marks;
pub use store::Store;

use std::path::Path;

use crate::findings::{self, Thresholds};
use crate::model::Model;
use crate::model::pyramid::Pyramid;
use crate::trace::{Appender, Derived, Error, Events, Reader};
use found::Search;
use index::Index;

/// The kind of a derived page that holds a [`Model`] as [`Model::save_beside`] wrote it, from before event `events.end`.
pub const CHECKPOINT: u16 = 1;
/// The kind of a derived page that holds a chunk of a [`Pyramid`].
pub const PYRAMID: u16 = 2;
/// The kind of a derived page that holds ended registrations for the checkpoints from `events.end` on, as
/// [`Written`](crate::model::Written) wrote them. One whose events start with the recording has all of them, another those since the page before.
pub const ENDED: u16 = 3;
/// The kind of a derived page that says where marks are first made.
pub const MARKS: u16 = 4;
/// The kind of a derived page that says what was found in the whole recording; its version is that of model and rules.
pub const FINDINGS: u16 = 5;

/// Recordings with fewer events are folded whole in the time of a key press.
const WORTH: u64 = 3 * index::APART;

/// What was found weighs this many thousandths of what the events do, or a few kilobytes, unpacked: about half of that as
/// it is stored.
const FOUND_SHARE: u64 = 2;
const FOUND_LEAST: u64 = 8 << 10;

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
    reader.len() < WORTH || is_indexed(reader) && is_searched(reader)
}

/// It has its checkpoints, pyramid and marks.
fn is_indexed(reader: &Reader) -> bool {
    // The pyramid's last chunk is written last.
    let chunks = reader.derived(PYRAMID, Model::VERSION);
    chunks.iter().any(|d| d.events.end >= reader.end())
}

/// It was searched for findings, whatever came of it.
fn is_searched(reader: &Reader) -> bool {
    searched(reader).is_some()
}

/// The page that says what these rules found in the whole recording.
fn searched(reader: &Reader) -> Option<Derived> {
    let all = reader.first()..reader.end();
    let pages = reader.derived(FINDINGS, found::VERSION);
    pages.into_iter().rfind(|page| page.events == all)
}

/// Folds a finished recording and stores checkpoints, pyramid and findings in it, unless it has them.
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
    let mut index = (!is_indexed(&reader)).then(|| Index::new(&reader));
    let limits = Thresholds::default();
    let search = match is_searched(&reader) {
        false => Search::start(limits.clone()),
        true => None,
    };
    let mut events = Events::default();
    let mut weight = 0;
    for at in 0..reader.pages().len() {
        reader.read_page(at, &mut events)?;
        if let Some(index) = &mut index {
            index.page(&reader, at, &events, &mut appender)?;
        }
        if let Some(search) = &search {
            events = search.page(events);
        }
        let page = &reader.pages()[at];
        weight += page.size;
        if !progress(page.events().end, reader.end()) {
            appender.finish()?;
            return Ok(Outcome::Stopped);
        }
    }
    if let Some(outcome) = search.and_then(Search::finish) {
        let most = (weight * FOUND_SHARE / 1_000).max(FOUND_LEAST);
        let mut bytes = Vec::new();
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        found::save(&outcome, &limits, most, &mut bytes);
        let all = reader.first()..reader.end();
        appender.derived(FINDINGS, found::VERSION, all, &bytes)?;
    }
    if let Some(index) = index {
        index.finish(&reader, &mut appender)?;
    }
    appender.finish()?;
    Ok(Outcome::Stored)
}

/// What was found in the recording with these thresholds, if that is stored.
pub fn findings(reader: &mut Reader, limits: &Thresholds) -> Option<findings::Outcome> {
    let page = searched(reader)?;
    let bytes = reader.read_derived(&page).ok()?;
    found::load(&bytes, limits, reader.end())
}

/// The stored pyramid, if the recording has a whole one.
pub fn pyramid(reader: &mut Reader) -> Option<Pyramid> {
    let stored = reader.derived(PYRAMID, Model::VERSION);
    if stored.is_empty() || !is_indexed(reader) {
        return None;
    }
    let mut pyramid = Pyramid::default();
    for chunk in &stored {
        let bytes = reader.read_derived(chunk).ok()?;
        pyramid.decode(&bytes)?;
    }
    Some(pyramid)
}

/// Where the recording's marks are first made, if that is stored.
pub fn marks(reader: &mut Reader) -> Option<Marks> {
    let stored = reader.derived(MARKS, Model::VERSION);
    let last = stored.iter().rfind(|d| d.events.end >= reader.end())?;
    let bytes = reader.read_derived(last).ok()?;
    Marks::load(&bytes)
}
