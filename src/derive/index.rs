//! The fold that leaves checkpoints, the summary pyramid and where marks are. Step: trace → **model**.

use std::ops::Range;

use super::{CHECKPOINT, ENDED, MARKS, Marks, PYRAMID};
use crate::model::pyramid::Pyramid;
use crate::model::{Base, Config, Model, Written};
use crate::trace::{Appender, Error, Events, Reader};

/// Checkpoints stand this many events apart, or more where they would weigh too much: who goes to the last event before
/// one folds all of these, and a thousand connections at work make that some hundredths of a second.
pub(super) const APART: u64 = 2 * 65_536;
/// The last one stands at least this many before the recording's end: what is known there is told by them.
const RUN_UP: u64 = 32_768;
/// All derived pages together weigh at most about so many thousandths of what the events do: a quarter of the file.
const MOST_SHARE: u64 = 320;
/// One checkpoint in so many stands alone, the others tell what has changed since an earlier one of their group
/// ([`Base`]): the nearest from which the way to the first takes at most three steps.
const GROUP: u64 = 8;

/// An index in the making.
pub(super) struct Index {
    model: Model,
    pyramid: Pyramid,
    marks: Marks,
    writing: Writing,
    /// Parts of the pyramid, with the events each tells of, and where the next one begins.
    chunks: Vec<(Range<u64>, Vec<u8>)>,
    begun: u64,
}

impl Index {
    /// Before the first event.
    pub fn new(reader: &Reader) -> Self {
        let first = reader.first();
        Index {
            model: Model::new(Config::default()),
            pyramid: Pyramid::default(),
            marks: Marks::default(),
            writing: Writing {
                first,
                at: first,
                ..Writing::default()
            },
            chunks: Vec::new(),
            begun: first,
        }
    }

    /// Folds a page, and writes the checkpoint that is due after it.
    pub fn page(
        &mut self,
        reader: &Reader,
        index: usize,
        events: &Events,
        appender: &mut Appender,
    ) -> Result<(), Error> {
        let page = &reader.pages()[index];
        let (first, end) = (page.first_event, page.events().end);
        for (number, event, text) in events.iter() {
            self.model.apply(number, event, text, &mut self.pyramid);
            self.marks.look(&self.model, event, first);
        }
        self.writing.weight += page.size;
        let next = reader.pages().get(index + 1).map(|page| page.events().end);
        if self.writing.is_due(end) || self.writing.is_last(end, next, reader.end()) {
            let chunk = chunk(&mut self.pyramid);
            let more = chunk.len() as u64;
            self.writing.checkpoint(appender, &self.model, end, more)?;
            self.chunks.push((self.begun..end, chunk));
            self.begun = end;
        }
        Ok(())
    }

    /// Writes what the whole fold is needed for.
    pub fn finish(mut self, reader: &Reader, appender: &mut Appender) -> Result<(), Error> {
        let all = reader.first()..reader.end();
        let mut bytes = Vec::new();
        self.marks.save(&mut bytes);
        appender.derived(MARKS, Model::VERSION, all, &bytes)?;
        let last = self.begun..reader.end();
        self.chunks.push((last, chunk(&mut self.pyramid)));
        // All or nothing: chunks add up, so one stored twice would count twice.
        for (events, bytes) in self.chunks {
            appender.derived(PYRAMID, Model::VERSION, events, &bytes)?;
        }
        Ok(())
    }
}

/// Checkpoints on their way into the file.
#[derive(Default)]
struct Writing {
    first: u64,
    /// Where the last checkpoint stands.
    at: u64,
    /// What all events so far weigh.
    weight: u64,
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
    /// Far enough from the last one, and there is room for it: the first of a group weighs more.
    fn is_due(&self, end: u64) -> bool {
        let [alone, based] = self.sizes;
        let next = match self.count % GROUP {
            0 => alone,
            _ => based,
        };
        let room = self.weight * MOST_SHARE / 1_000;
        end.saturating_sub(self.at) >= APART && room >= self.total + next
    }

    /// The end of a recording is where most look first, so the last page that leaves room for a run-up has one too.
    fn is_last(&self, end: u64, next: Option<u64>, all: u64) -> bool {
        let room = all.saturating_sub(RUN_UP);
        let last = end <= room && next.is_some_and(|next| next > room);
        last && end.saturating_sub(self.at) >= APART / 2
    }

    /// Writes one; `more` is what else is to be written that has come up since the last.
    fn checkpoint(
        &mut self,
        appender: &mut Appender,
        model: &Model,
        end: u64,
        more: u64,
    ) -> Result<(), Error> {
        let before = appender.bytes();
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
            appender.derived(ENDED, Model::VERSION, from..end, &bytes)?;
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
        appender.derived(CHECKPOINT, Model::VERSION, self.at..end, &bytes)?;
        let size = appender.bytes() - before + more;
        self.sizes[usize::from(!alone)] = size;
        self.total += size;
        self.count += 1;
        self.at = end;
        Ok(())
    }
}

fn chunk(pyramid: &mut Pyramid) -> Vec<u8> {
    let mut bytes = Vec::new();
    pyramid.take(&mut bytes);
    bytes
}
