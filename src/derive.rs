//! What one fold over a recording leaves for every later look: checkpoints, the summary pyramid, where marks are.
//! Step: trace → **model** → view.
//!
//! Events are the only truth; what stands here can be thrown away and is, when it comes from another version of the
//! model. [`ensure`] folds a recording once and stores the result in it, so that opening costs the page table and
//! going anywhere costs one checkpoint and the events after it.

mod marks;
mod store;

pub use marks::Marks;
pub use store::Store;

use std::path::Path;

use crate::model::pyramid::Pyramid;
use crate::model::{Base, Config, Model, Written};
use crate::trace::{Appender, Error, Events, Reader};

/// The kind of a derived page that holds a [`Model`] as [`Model::save_beside`] wrote it, from before event `events.end`.
pub const CHECKPOINT: u16 = 1;
/// The kind of a derived page that holds a chunk of a [`Pyramid`].
pub const PYRAMID: u16 = 2;
/// The kind of a derived page that holds ended registrations for the checkpoints from `events.end` on, as [`Written`]
/// wrote them. One whose events start with the recording has all of them, another those since the page before.
pub const ENDED: u16 = 3;
/// The kind of a derived page that says where marks are first made.
pub const MARKS: u16 = 4;

/// Checkpoints stand at least this many events apart: what some hundredths of a second fold.
const APART: u64 = 3 * 65_536;
/// And not much more than this many, whatever they weigh: who goes to the last event before one folds all of these.
const FAR: u64 = 8 * 65_536;
/// The last one stands at least this many before the recording's end: what is known there is told by them.
const RUN_UP: u64 = 32_768;
/// All derived pages together weigh about this many thousandths of what the events do, and never more than so many: less
/// than a tenth of the file.
const SHARE: u64 = 107;
const MOST_SHARE: u64 = 111;
/// One checkpoint in so many stands alone, the others tell what has changed since an earlier one of their group
/// ([`Base`]): the nearest from which the way to the first takes at most three steps.
const GROUP: u64 = 8;
/// Recordings with fewer events are folded whole in the time of a key press.
const WORTH: u64 = 3 * APART;

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
    let mut writing = Writing {
        appender: Appender::open(path)?,
        first: reader.first(),
        at: reader.first(),
        weight: 0,
        due: 0,
        sizes: [0; 2],
        total: 0,
        bases: Vec::new(),
        count: 0,
        written: Written::default(),
        repeated: 0,
    };
    let mut model = Model::new(Config::default());
    let mut pyramid = Pyramid::default();
    let mut marks = Marks::default();
    let mut events = Events::default();
    let mut chunks = Vec::new();
    let mut begun = reader.first();
    let mut outcome = Outcome::Stored;
    for index in 0..reader.pages().len() {
        reader.read_page(index, &mut events)?;
        let page = &reader.pages()[index];
        let (first, end, bytes) = (page.first_event, page.events().end, page.size);
        for (number, event, text) in events.iter() {
            model.apply(number, event, text, &mut pyramid);
            marks.look(&model, event, first);
        }
        writing.weight += bytes;
        let next = reader.pages().get(index + 1).map(|page| page.events().end);
        if writing.is_due(end) || writing.is_last(end, next, reader.end()) {
            let chunk = chunk(&mut pyramid);
            writing.checkpoint(&model, end, chunk.len() as u64)?;
            chunks.push((begun..end, chunk));
            begun = end;
        }
        if !progress(end, reader.end()) {
            outcome = Outcome::Stopped;
            break;
        }
    }
    let mut appender = writing.appender;
    if outcome == Outcome::Stored {
        let mut bytes = Vec::new();
        marks.save(&mut bytes);
        appender.derived(MARKS, Model::VERSION, reader.first()..reader.end(), &bytes)?;
        chunks.push((begun..reader.end(), chunk(&mut pyramid)));
        // All or nothing: chunks add up, so one stored twice would count twice.
        for (events, bytes) in chunks {
            appender.derived(PYRAMID, Model::VERSION, events, &bytes)?;
        }
    }
    appender.finish()?;
    Ok(outcome)
}

/// Checkpoints on their way into the file.
struct Writing {
    appender: Appender,
    first: u64,
    /// Where the last checkpoint stands.
    at: u64,
    /// What all events so far weigh, and will when the next checkpoint is due, as their sizes go.
    weight: u64,
    due: u64,
    /// What the last checkpoint weighed that stands alone, and the last that has a base, each with what else is written
    /// with it; and all derived pages so far.
    sizes: [u64; 2],
    total: u64,
    /// Those of the group that later ones of it may stand on, with their places in it.
    bases: Vec<(u64, Base)>,
    /// Checkpoints written.
    count: u64,
    written: Written,
    /// Ended registrations written since all of them were.
    repeated: usize,
}

impl Writing {
    /// Checkpoints of a group stand as far apart as their mean weight asks, although the first weighs more.
    fn is_due(&self, end: u64) -> bool {
        let [alone, based] = self.sizes;
        let next = match self.count % GROUP {
            0 => alone,
            _ => based,
        };
        let (apart, room) = (
            end.saturating_sub(self.at),
            self.weight * MOST_SHARE / 1_000,
        );
        let in_turn = apart >= APART && self.weight >= self.due && room >= self.total + next;
        // The next ones make up for what this one is too heavy.
        in_turn || apart >= FAR && room >= self.total
    }

    /// The end of a recording is where most look first, so the last page that leaves room for a run-up has one too.
    fn is_last(&self, end: u64, next: Option<u64>, all: u64) -> bool {
        let room = all.saturating_sub(RUN_UP);
        let last = end <= room && next.is_some_and(|next| next > room);
        last && end.saturating_sub(self.at) >= APART / 2
    }

    /// The events a checkpoint of mean weight is worth.
    fn worth(&self) -> u64 {
        let [alone, based] = self.sizes;
        let based = if based == 0 { alone } else { based };
        (alone + (GROUP - 1) * based) / GROUP * 1_000 / SHARE
    }

    /// Writes one; `more` is what else is to be written that has come up since the last.
    fn checkpoint(&mut self, model: &Model, end: u64, more: u64) -> Result<(), Error> {
        let before = self.appender.bytes();
        let mut bytes = Vec::new();
        // Who goes to a checkpoint reads what was written since all of them were: a few times what is kept, at most.
        let whole = self.repeated > 4 * (model.regs_len() - model.live_len()) + 4_096;
        if whole || self.at == self.first {
            (self.written, self.repeated) = (Written::default(), 0);
        }
        let new = self.written.add(model, &mut bytes);
        if new > 0 {
            let from = if self.repeated == 0 {
                self.first
            } else {
                self.at
            };
            self.repeated += new;
            self.appender
                .derived(ENDED, Model::VERSION, from..end, &bytes)?;
        }
        bytes.clear();
        let alone = self.count.is_multiple_of(GROUP);
        // Its place in the group without the lowest bit: of 0 1 2 3 4 5 6 7 they are – 0 0 2 0 4 4 6.
        let place = self.count % GROUP;
        let under = place & place.wrapping_sub(1);
        let base = self.bases.iter().find(|(at, _)| !alone && *at == under);
        let base = base.map(|(_, base)| base);
        let this = model.save_beside(&self.written, base, end, &mut bytes);
        if place.is_multiple_of(2) {
            self.bases.retain(|(at, _)| *at < place && !alone);
            self.bases.push((place, this));
        }
        self.appender
            .derived(CHECKPOINT, Model::VERSION, self.at..end, &bytes)?;
        let size = self.appender.bytes() - before + more;
        self.sizes[usize::from(!alone)] = size;
        self.total += size;
        self.count += 1;
        self.at = end;
        // A place is the end of a page: what one is late, the next is early, but for what lies far behind.
        let worth = self.worth();
        self.due = self.due.max(self.weight.saturating_sub(worth)) + worth;
        Ok(())
    }
}

fn chunk(pyramid: &mut Pyramid) -> Vec<u8> {
    let mut bytes = Vec::new();
    pyramid.take(&mut bytes);
    bytes
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

/// Where the recording's marks are first made, if that is stored.
pub fn marks(reader: &mut Reader) -> Option<Marks> {
    let stored = reader.derived(MARKS, Model::VERSION);
    let last = stored.iter().rfind(|d| d.events.end >= reader.end())?;
    let bytes = reader.read_derived(last).ok()?;
    Marks::load(&bytes)
}
