//! Checkpoints in memory: whole models at some places, so that going back costs one of them and the events after it.
//! Step: **model** → view.

use super::folder::Folder;
use crate::derive;
use crate::model::Model;
use crate::trace::{Error, Reader};

/// Events between checkpoints, at first.
const SPACING: u64 = 65_536;
/// Checkpoints in memory.
const MOST: usize = 24;
/// Registrations all checkpoints may hold together; each is a few kilobytes.
const MOST_REGS: usize = 12_000;

#[derive(Debug)]
struct Saved {
    next: u64,
    model: Model,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Checkpoints {
    saved: Vec<Saved>,
    spacing: u64,
}

impl Default for Checkpoints {
    fn default() -> Self {
        Checkpoints {
            saved: Vec::new(),
            spacing: SPACING,
        }
    }
}

impl Checkpoints {
    /// Events until a fold at `next` should be offered.
    pub fn room(&self, next: u64) -> u64 {
        let due = self.saved.last().map_or(0, |s| s.next) + self.spacing;
        match due > next {
            true => due - next,
            false => u64::MAX,
        }
    }

    /// Keeps this place if it is the furthest so far and far enough from the last one.
    pub fn offer(&mut self, folder: &Folder) {
        let last = self.saved.last().map_or(0, |s| s.next);
        if folder.next < last + self.spacing {
            return;
        }
        self.saved.push(Saved {
            next: folder.next,
            model: folder.model.clone(),
        });
        let regs = |s: &[Saved]| s.iter().map(|s| s.model.regs_len()).sum::<usize>();
        while self.saved.len() > MOST || (self.saved.len() > 4 && regs(&self.saved) > MOST_REGS) {
            // Every other one goes; those near the end stay close together.
            let sparse = self.saved.len().saturating_sub(3);
            let mut i = 0;
            self.saved.retain(|_| {
                i += 1;
                i > sparse || i % 2 == 0
            });
            self.spacing *= 2;
        }
    }

    /// The latest place at or before event `early`, ready to go on; the beginning if there is none.
    pub fn before(&self, early: u64, reader: &mut Reader) -> Result<Folder, Error> {
        let found = self.saved.iter().rev().find(|s| s.next <= early);
        let here = found.map_or(0, |s| s.next);
        // One of the recording's own may stand closer.
        let stored = derive::checkpoint_at(reader, early).filter(|at| *at > here);
        if let Some((model, next)) = stored.and_then(|_| derive::checkpoint(reader, early)) {
            return Ok(Folder::resume(model, next, reader));
        }
        Ok(match found {
            Some(s) => Folder::resume(s.model.clone(), s.next, reader),
            None => Folder::start(),
        })
    }

    /// Whether going to event `early` from a checkpoint saves much against going on from `here`.
    pub fn shortens(&self, here: u64, early: u64, reader: &Reader) -> bool {
        let found = self.saved.iter().rev().find(|s| s.next <= early);
        let stored = derive::checkpoint_at(reader, early);
        found
            .map(|s| s.next)
            .max(stored)
            .is_some_and(|at| at > here + SPACING)
    }
}
