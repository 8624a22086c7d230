//! What became of a report: per registration, the last time it was reported and what has been done on its descriptor since.
//! The model keeps states; whether anybody reacted is what most findings ask. Step: model → **view**.

use crate::model::registration::OUT;
use crate::model::{Id, Map};
use crate::record::event::Op;
use std::collections::hash_map::Entry;

/// Registrations and numbers followed at once; of further ones nothing is found.
const MOST: usize = 65_536;

/// A report of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// When.
    pub t: u64,
    /// Number of the `Ready` event.
    pub event: u64,
    /// Events reported.
    pub mask: u32,
    /// The thread that was told.
    pub thread: Id,
}

/// A read-like or write-like call that has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// Which call.
    pub op: Op,
    /// Bytes or −errno.
    pub result: i32,
    /// Bytes asked.
    pub asked: u64,
    /// It only wakes whoever waits: a write to an eventfd. That is nothing done about a report.
    pub wakes: bool,
}

/// One registration's story. Every report and call reads one of them, of thousands: what no rule asks is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    /// The last report.
    pub told: Option<Told>,
    /// Calls on its descriptor since, by anybody.
    pub ops: u32,
    /// One of them was made by the thread that was told.
    pub answered: bool,
    /// One of them was read-like.
    pub read: bool,
    /// One of them was something done about the report.
    pub heeded: bool,
    /// A write was tried since.
    pub wrote: bool,
    /// A MOD was made since.
    pub changed: bool,
    /// Reports in a row before which nobody did anything about the one before.
    pub quiet: u64,
    /// When the first of them came, and its event.
    pub quiet_since: (u64, u64),
    /// Reports of nothing but OUT in a row without a write.
    pub outs: u64,
    /// When the first of them came.
    pub outs_since: (u64, u64),
    /// Reports in a row after its end was read, with nothing but further reads of the end.
    pub ends: u64,
    /// When the first of them came.
    pub ends_since: (u64, u64),
    /// The end has been read, and nothing but that was done since.
    pub ended: bool,
    /// Reports in a row after a read that failed, with nothing but further failing reads.
    pub fails: u64,
    /// When the first of them came.
    pub fails_since: (u64, u64),
    /// The last read failed, with another error than EAGAIN or EINTR.
    pub failed: bool,
}

/// −EAGAIN and −EINTR: another try may do better.
const PASSING: [i32; 2] = [-11, -4];

/// Bits that stand for events one waits for.
const EVENTS: u32 = 0x3fff;

impl Track {
    /// It is reported.
    fn report(&mut self, told: Told) {
        let again = self.told.is_some();
        let here = (told.t, told.event);
        let step = |goes_on: bool, n: &mut u64, since: &mut (u64, u64)| {
            if goes_on {
                if *n == 0 {
                    *since = here;
                }
                *n += 1;
            } else {
                *n = 0;
            }
        };
        let quiet = again && !self.heeded && !self.changed;
        step(quiet, &mut self.quiet, &mut self.quiet_since);
        let outs = again && told.mask & EVENTS == OUT && !self.wrote && !self.changed;
        step(outs, &mut self.outs, &mut self.outs_since);
        let ends = again && self.ended && !self.changed;
        step(ends, &mut self.ends, &mut self.ends_since);
        let fails = again && self.failed && !self.changed;
        step(fails, &mut self.fails, &mut self.fails_since);
        self.told = Some(told);
        self.ops = 0;
        self.answered = false;
        self.read = false;
        self.heeded = false;
        self.wrote = false;
        self.changed = false;
    }

    /// A call on its description; `meant`: on its own number.
    fn done(&mut self, thread: Id, last: Last, meant: bool) {
        self.ops = self.ops.saturating_add(1);
        self.heeded |= !last.wakes;
        self.answered |= meant && self.told.is_some_and(|told| told.thread == thread);
        match last.op {
            Op::Read | Op::Recv | Op::Accept | Op::Peek => {
                self.read = true;
                self.ended = last.result == 0 && last.asked > 0 && last.op != Op::Accept;
                let accepts = last.op == Op::Accept;
                self.failed = last.result < 0 && !accepts && !PASSING.contains(&last.result);
            }
            Op::Write | Op::Send | Op::Sendfile | Op::Splice | Op::Connect => {
                self.wrote = true;
                (self.ended, self.failed) = (false, false);
            }
            _ => (self.ended, self.failed) = (false, false),
        }
    }
}

/// One open number's story, registered or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// Which opening of the number.
    pub generation: u32,
    /// Made to block, as far as its making says; `None` when that was not seen.
    pub blocks: Option<bool>,
    /// A call on it has said EAGAIN, which one that blocks does not.
    pub refused: bool,
    /// Something was read or accepted from it, by a call that is recorded.
    pub read: bool,
    /// When it was opened, and by which event.
    pub opened: (u64, u64),
    /// It has been on a loop.
    pub registered: bool,
    /// When the last call on it returned.
    pub touched: u64,
    /// The other side's end was read, or reported.
    pub end: Option<(u64, u64)>,
    /// It was taken from its loop.
    pub deleted: Option<(u64, u64)>,
    /// Bytes were seen to wait, since when.
    pub unread: Option<(u64, u64)>,
}

/// All stories.
#[derive(Clone, Debug, Default)]
pub struct Tracks {
    regs: Map<Id, Track>,
    numbers: Map<(Id, i32), Story>,
    /// Processes of which some I/O was seen.
    heard: Map<Id, ()>,
}

impl Tracks {
    /// A registration's story.
    pub fn reg(&self, id: Id) -> Option<&Track> {
        self.regs.get(&id)
    }

    /// An open number's story.
    pub fn number(&self, process: Id, fd: i32) -> Option<&Story> {
        self.numbers.get(&(process, fd))
    }

    /// Some I/O of this process was seen: what is not seen is not done.
    pub fn is_heard(&self, process: Id) -> bool {
        self.heard.contains_key(&process)
    }

    pub(super) fn hear(&mut self, process: Id) {
        if self.heard.len() < MOST && !self.heard.contains_key(&process) {
            self.heard.insert(process, ());
        }
    }

    /// All numbers' stories.
    pub fn numbers(&self) -> impl Iterator<Item = (&(Id, i32), &Story)> {
        self.numbers.iter()
    }

    /// A registration is reported; false if it has been in this very batch: a select tells a descriptor once for each set
    /// it is in.
    pub(super) fn report(&mut self, id: Id, told: Told) -> bool {
        let room = self.regs.len() < MOST;
        let track = match self.regs.get_mut(&id) {
            Some(track) => track,
            None if room => self.regs.entry(id).or_default(),
            None => return true,
        };
        let again = |t: Told| (t.t, t.thread) == (told.t, told.thread);
        let first = !track.told.is_some_and(again);
        if first {
            track.report(told);
        }
        first
    }

    pub(super) fn done(&mut self, id: Id, thread: Id, last: Last, meant: bool) {
        if let Some(track) = self.regs.get_mut(&id) {
            track.done(thread, last, meant);
        }
    }

    pub(super) fn changed(&mut self, id: Id) {
        if let Some(track) = self.regs.get_mut(&id) {
            track.changed = true;
            (track.ended, track.failed) = (false, false);
        }
    }

    pub(super) fn ended(&mut self, id: Id) {
        self.regs.remove(&id);
    }

    pub(super) fn opened(&mut self, process: Id, fd: i32, story: Story) {
        if self.numbers.len() < MOST || self.numbers.contains_key(&(process, fd)) {
            self.numbers.insert((process, fd), story);
        }
    }

    /// The story of a number, made if it has none of this generation.
    pub(super) fn number_mut(
        &mut self,
        process: Id,
        fd: i32,
        generation: u32,
    ) -> Option<&mut Story> {
        let room = self.numbers.len() < MOST;
        let story = match self.numbers.entry((process, fd)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) if room => new.insert(Story::default()),
            Entry::Vacant(_) => return None,
        };
        if story.generation != generation {
            *story = Story {
                generation,
                ..Story::default()
            };
        }
        Some(story)
    }

    pub(super) fn closed(&mut self, process: Id, fd: i32) {
        self.numbers.remove(&(process, fd));
    }

    pub(super) fn process_ended(&mut self, process: Id) {
        self.numbers.retain(|(of, _), _| *of != process);
    }

    /// Events are missing: what was or was not done is not known any more.
    pub(super) fn forget(&mut self) {
        self.regs.clear();
        self.numbers.clear();
    }
}
