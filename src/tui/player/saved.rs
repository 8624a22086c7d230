//! Checkpoints in memory: whole models at some places, so that going back costs one of them and the events after it.
//! Those a recording has itself are read when one of them stands closer. Step: **model** → view.

use super::folder::Folder;
use crate::derive::Store;
use crate::model::{Id, Model};
use crate::trace::Reader;
use std::collections::VecDeque;

/// Events between checkpoints, at first.
const SPACING: u64 = 65_536;
/// Events that are folded in the time one registration takes to be copied.
const COPY: u64 = 64;
/// Checkpoints in memory.
const MOST: usize = 24;
/// The latest places are kept besides, so many events apart: what has just happened is looked at again and again.
const RECENT: u64 = 4 * SPACING;
/// So many of them.
const MOST_RECENT: usize = 6;
/// Registrations all checkpoints may hold together; each is a few kilobytes.
const MOST_REGS: usize = 20_000;

#[derive(Debug)]
struct Saved {
    next: u64,
    model: Model,
    left_out: u64,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Checkpoints {
    /// In the order of their places.
    saved: Vec<Saved>,
    /// The latest ones, oldest first.
    recent: VecDeque<Saved>,
    spacing: u64,
    store: Option<Store>,
}

impl Default for Checkpoints {
    fn default() -> Self {
        Checkpoints {
            saved: Vec::new(),
            recent: VecDeque::new(),
            spacing: SPACING,
            store: None,
        }
    }
}

impl Checkpoints {
    fn store(&mut self, reader: &Reader) -> &mut Store {
        self.store.get_or_insert_with(|| Store::of(reader))
    }

    /// How many stand at or before `event`.
    fn until(&self, event: u64) -> usize {
        self.saved.partition_point(|s| s.next <= event)
    }

    fn last_before(&self, event: u64) -> u64 {
        let at = self.until(event).checked_sub(1);
        at.map_or(0, |at| self.saved[at].next)
    }

    /// Events until a fold on its way to event `goal` should be offered.
    pub fn room(&self, folder: &Folder, goal: u64) -> u64 {
        if self.is_far(folder.next, goal) {
            return goal - folder.next - SPACING;
        }
        let spacing = self.spacing_for(&folder.model);
        let due = self.last_before(folder.next).saturating_add(spacing);
        due.saturating_sub(folder.next).max(spacing / 4)
    }

    fn spacing_for(&self, model: &Model) -> u64 {
        self.spacing.max(model.live_len() as u64 * COPY)
    }

    /// The recording's own checkpoints will do for places this far from a goal.
    fn is_far(&self, next: u64, goal: u64) -> bool {
        let own = self.store.as_ref().is_some_and(|s| !s.is_empty());
        own && goal > next + SPACING
    }

    /// Keeps this place on the way to event `goal` if it is far enough from the ones that are kept.
    pub fn offer(&mut self, folder: &Folder, goal: u64) {
        if self.is_far(folder.next, goal) {
            return;
        }
        self.remember(folder);
        let (next, spacing) = (folder.next, self.spacing_for(&folder.model));
        let at = self.until(next);
        let before = at.checked_sub(1).map_or(0, |at| self.saved[at].next);
        let after = self.saved.get(at).map_or(u64::MAX, |s| s.next);
        // Behind the furthest one the spacing counts, between two of them a half of it.
        let least = if after == u64::MAX {
            spacing
        } else {
            spacing / 2
        };
        if next - before < least || after - next < spacing / 2 {
            return;
        }
        self.put(next, &folder.model, folder.left_out);
    }

    /// Keeps the latest places, however far apart the others have come to stand.
    fn remember(&mut self, folder: &Folder) {
        let apart = RECENT.max(folder.model.live_len() as u64 * COPY);
        let last = self.recent.back().map_or(0, |s| s.next);
        if self.spacing <= RECENT || folder.next < last.saturating_add(apart) {
            return;
        }
        if self.recent.len() == MOST_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Saved {
            next: folder.next,
            model: folder.model.clone(),
            left_out: folder.left_out,
        });
    }

    /// Keeps this place.
    pub fn keep(&mut self, folder: &Folder) {
        self.put(folder.next, &folder.model, folder.left_out);
    }

    fn put(&mut self, next: u64, model: &Model, left_out: u64) {
        let at = self.until(next);
        if at > 0 && self.saved[at - 1].next == next {
            return;
        }
        let model = model.clone();
        self.saved.insert(
            at,
            Saved {
                next,
                model,
                left_out,
            },
        );
        let regs = |s: &[Saved]| s.iter().map(|s| s.model.live_len()).sum::<usize>();
        while self.saved.len() > MOST || (self.saved.len() > 4 && regs(&self.saved) > MOST_REGS) {
            match &self.store {
                Some(store) if !store.is_empty() => self.drop_far(next),
                _ => self.thin_out(),
            }
        }
    }

    /// What stands furthest from `here` goes: the recording's own are never far.
    fn drop_far(&mut self, here: u64) {
        let ends = [0, self.saved.len() - 1];
        let far = ends
            .into_iter()
            .max_by_key(|at| self.saved[*at].next.abs_diff(here));
        self.saved.remove(far.unwrap_or(0));
    }

    /// Every other one goes; those near the end stay close together.
    fn thin_out(&mut self) {
        let sparse = self.saved.len().saturating_sub(3);
        let mut i = 0;
        self.saved.retain(|_| {
            i += 1;
            i > sparse || i % 2 == 0
        });
        self.spacing *= 2;
    }

    /// The latest place in memory at or before event `early`.
    pub fn nearest(&self, early: u64) -> u64 {
        let mut recent = self.recent.iter().rev().map(|s| s.next);
        let recent = recent.find(|next| *next <= early).unwrap_or(0);
        self.last_before(early).max(recent)
    }

    /// The latest place at or before event `early`, ready to go on; the beginning if there is none.
    pub fn before(&mut self, early: u64, reader: &mut Reader) -> Folder {
        let here = self.nearest(early);
        // One of the recording's own may stand closer.
        let store = self.store(reader);
        let closer = store.at(early).is_some_and(|at| at > here);
        if closer && let Some((model, next)) = store.load(reader, early) {
            // Further away another place will be kept, closer to where it goes.
            if early < next + 2 * SPACING {
                self.put(next, &model, 0);
            }
            return Folder::resume(model, next, reader);
        }
        let kept = self.until(early).checked_sub(1).map(|at| &self.saved[at]);
        let recent = self.recent.iter().rev().find(|s| s.next <= early);
        match kept.into_iter().chain(recent).max_by_key(|s| s.next) {
            Some(found) => {
                let mut folder = Folder::resume(found.model.clone(), found.next, reader);
                folder.left_out = found.left_out;
                folder
            }
            None => Folder::start(),
        }
    }

    /// Whether going to event `early` from a checkpoint saves much against going on from `here`.
    pub fn shortens(&mut self, here: u64, early: u64, reader: &Reader) -> bool {
        let kept = self.last_before(early);
        let stored = self.store(reader).at(early).unwrap_or(0);
        kept.max(stored) > here + SPACING
    }

    /// A place before the turn of a loop with this number begins.
    pub fn before_turn(&mut self, loop_id: Id, number: u64, reader: &mut Reader) -> Folder {
        self.store(reader);
        let store = self.store.as_ref();
        let early = store.map_or(0, |store| store.before_turn(reader, loop_id, number));
        self.before(early, reader)
    }
}
