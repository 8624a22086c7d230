//! What a finding's thread was doing when it was worst: a fold of its own goes there, a piece at a time beside the screen,
//! so that the names of what was found there are known. Step: trace → model → **view**.

use super::{Folder, Player, Until};
use crate::derive::meanwhile::{MOST_EVENTS, end, stacks};
use crate::findings::Found;
use crate::findings::meanwhile::Stacks;
use crate::model::Model;
use crate::trace::{Error, Reader};

/// Events folded between two looks at the keys.
const PIECE: u64 = 50_000;

/// A look into one finding.
#[derive(Debug)]
pub(super) struct Meanwhile {
    found: Found,
    folder: Folder,
    /// Where the fold ends.
    until: Until,
    /// Once it is there.
    stacks: Option<Stacks>,
}

impl Meanwhile {
    /// It looks into this one: what is only counted on has the same worst time.
    fn is_of(&self, found: &Found) -> bool {
        let key = |f: &Found| (f.code, f.thread, f.at_ns, f.worst_ns);
        key(&self.found) == key(found)
    }

    /// The page table has changed.
    pub(super) fn rebase(&mut self, reader: &Reader) {
        self.folder.rebase(reader);
    }
}

impl Player {
    /// Looks into what happened while this finding was worst; true while there is more to do.
    pub fn look_into(&mut self, at: usize) -> Result<bool, Error> {
        let looked = self.meanwhile.take();
        let Some(found) = self.found().and_then(|outcome| outcome.found.get(at)) else {
            return Ok(false);
        };
        let mut looked = match looked {
            Some(looked) if looked.is_of(found) => looked,
            _ => {
                let found = found.clone();
                let first = self.reader.event_at_time(found.at_ns)?;
                Box::new(Meanwhile {
                    until: Until {
                        event: first.saturating_add(MOST_EVENTS as u64),
                        time: end(&found),
                    },
                    folder: self.saved.before(first, &mut self.reader),
                    // Nobody is asked about what has no thread or no length.
                    stacks: (found.thread.is_none() || found.worst_ns == 0).then(Stacks::default),
                    found,
                })
            }
        };
        if looked.stacks.is_none() {
            let until = looked.until;
            if looked.folder.run(&mut self.reader, until, PIECE, &mut ())? {
                let model = &looked.folder.model;
                looked.stacks = Some(stacks(&mut self.reader, model, &looked.found)?);
            }
        }
        let more = looked.stacks.is_none();
        self.meanwhile = Some(looked);
        Ok(more)
    }

    /// What was found there, and the model that knows its names.
    pub fn looked_into(&self, at: usize) -> Option<(&Stacks, &Model)> {
        let found = self.found()?.found.get(at)?;
        let looked = self.meanwhile.as_ref().filter(|l| l.is_of(found))?;
        Some((looked.stacks.as_ref()?, &looked.folder.model))
    }
}
