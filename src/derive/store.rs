//! The checkpoints of a recording: which there are, and loading one. Step: trace → **model** → view.

use std::ops::Range;

use super::{CHECKPOINT, ENDED};
use crate::model::{Base, Ended, Id, Model, both};
use crate::trace::{Derived, Reader};

/// The checkpoints of one recording; ended registrations that have been read are kept.
#[derive(Debug, Default)]
pub struct Store {
    /// In the order of the places they are for.
    checkpoints: Vec<Derived>,
    pages: Vec<Derived>,
    ended: Ended,
    /// Which of the pages stand in it.
    read: Range<usize>,
    /// The bases last used, the latest at the end.
    bases: Vec<Base>,
    first: u64,
}

/// Registrations all bases that are kept may hold together; each is about a kilobyte.
const MOST_ROWS: usize = 20_000;
/// Ended registrations are read ahead as far as their pages weigh no more bytes than this: a few milliseconds.
const AHEAD: u64 = 128 << 10;
/// A base has a base that has a base, and so on, at most so often.
const DEEPEST: u32 = 8;

impl Store {
    /// What a recording has; nothing is read yet.
    pub fn of(reader: &Reader) -> Self {
        let sorted = |kind| {
            let mut all = reader.derived(kind, Model::VERSION);
            all.sort_by_key(|d| d.events.end);
            // Begun twice, they are there twice, and the same.
            all.dedup_by_key(|d| d.events.end);
            all
        };
        Self {
            checkpoints: sorted(CHECKPOINT),
            pages: sorted(ENDED),
            ended: Ended::default(),
            read: 0..0,
            bases: Vec::new(),
            first: reader.first(),
        }
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.checkpoints.is_empty()
    }

    /// How many there are at or before event `number`.
    fn until(&self, number: u64) -> usize {
        self.checkpoints.partition_point(|d| d.events.end <= number)
    }

    /// Where [`load`](Self::load) would stand for event `number`, without reading it.
    pub fn at(&self, number: u64) -> Option<u64> {
        let before = self.checkpoints.get(..self.until(number))?;
        Some(before.last()?.events.end)
    }

    /// The latest checkpoint at or before event `number`: the model and the number of the event to go on with.
    /// A damaged one is passed over.
    pub fn load(&mut self, reader: &mut Reader, number: u64) -> Option<(Model, u64)> {
        (0..self.until(number)).rev().find_map(|index| {
            let derived = self.checkpoints[index].clone();
            let end = derived.events.end;
            let pages = self.missing_ended(reader, end);
            let bytes = reader.read_derived(&derived).ok()?;
            let mut under = || match Model::base_of(&bytes) {
                Some(at) => Some(Some(self.read_base(reader, at, DEEPEST)?)),
                None => Some(None),
            };
            let read = || -> Vec<_> { pages.iter().map(|page| Ended::read(&page.0)).collect() };
            let (rows, base) = match pages.is_empty() {
                true => (Vec::new(), under()),
                false => both(read, under),
            };
            for (rows, (_, at)) in rows.into_iter().zip(pages) {
                // What is missing is missed by the checkpoints that name it.
                self.ended.add(rows.unwrap_or_default(), at);
            }
            let base = base?;
            let base = base.and_then(|at| self.bases.get(at));
            let model = Model::load_beside(&bytes, base, |slot| self.ended.get(slot, end))?;
            Some((model, end))
        })
    }

    /// The base at a place in the recording, which may have one in turn: where it stands among those that are kept.
    fn read_base(&mut self, reader: &mut Reader, at: u64, deepest: u32) -> Option<usize> {
        let base = match self.bases.iter().position(|base| base.at() == at) {
            Some(known) => self.bases.remove(known),
            None => {
                let derived = self.checkpoints.get(self.until(at).checked_sub(1)?)?;
                let bytes = (derived.events.end == at).then(|| reader.read_derived(derived));
                let bytes = bytes?.ok()?;
                let under = match Model::base_of(&bytes) {
                    Some(under) => Some(self.read_base(reader, under, deepest.checked_sub(1)?)?),
                    None => None,
                };
                let under = under.and_then(|under| self.bases.get(under));
                Base::read(&bytes, at, under)?
            }
        };
        self.bases.push(base);
        let rows = |bases: &[Base]| bases.iter().map(Base::rows).sum::<usize>();
        while self.bases.len() > 1 && rows(&self.bases) > MOST_ROWS {
            self.bases.remove(0);
        }
        Some(self.bases.len() - 1)
    }

    /// The last checkpoint at which fewer than `turns` turns of a loop have begun; 0 if that is none.
    pub fn before_turn(&self, reader: &mut Reader, loop_id: Id, turns: u64) -> u64 {
        let (mut low, mut high) = (0, self.checkpoints.len());
        while low < high {
            let middle = (low + high) / 2;
            let bytes = reader.read_derived(&self.checkpoints[middle]).ok();
            let begun = bytes.and_then(|bytes| Model::turns_begun(&bytes, loop_id));
            match begun {
                Some(begun) if begun < turns => low = middle + 1,
                // What cannot be read is passed over to the left, which costs time only.
                _ => high = middle,
            }
        }
        match low {
            0 => 0,
            _ => self.checkpoints[low - 1].events.end,
        }
    }

    /// The pages, and their places, of the ended registrations that checkpoint `end` may name and that are not there yet,
    /// and of those written a little later: who looks at a recording goes there too. Those of another time, from before
    /// all were written again, are forgotten.
    fn missing_ended(&mut self, reader: &mut Reader, end: u64) -> Vec<(Vec<u8>, u64)> {
        let until = self.pages.partition_point(|p| p.events.end <= end);
        let whole = |p: &Derived| p.events.start == self.first;
        let from = self.pages[..until].iter().rposition(whole).unwrap_or(0);
        if from != self.read.start || self.read.is_empty() {
            (self.ended, self.read) = (Ended::default(), from..from);
        }
        let (mut ahead, mut missing) = (0, Vec::new());
        for at in self.read.end..self.pages.len() {
            let page = &self.pages[at];
            ahead += if at < until { 0 } else { page.size };
            if at >= until && (whole(page) || ahead > AHEAD) {
                break;
            }
            if let Ok(bytes) = reader.read_derived(page) {
                missing.push((bytes, page.events.end));
            }
            self.read.end = at + 1;
        }
        missing
    }
}
