//! What the threads of loops did last: to tell whom an event waited behind once its run is known. Step: **model** → view.

use std::collections::{HashMap, VecDeque};

use super::facts::{Id, Run, Segment, Sink};
use super::{Model, blame};

/// Segments kept of a thread's time on a loop; a longer wait is told as far as they reach back.
pub const RETAINED: usize = 16_384;
/// Threads followed before those that have ended are let go of.
const FOLLOWED: usize = 64;

/// The last segments of each loop's thread, in their order. It is a [`Sink`].
#[derive(Clone, Debug, Default)]
pub struct Recent(HashMap<(Id, Id), VecDeque<Segment>, foldhash::fast::FixedState>);

impl Recent {
    /// Those of the run's thread on its loop.
    pub fn of(&self, run: &Run) -> impl Iterator<Item = &Segment> + Clone {
        self.0.get(&(run.loop_id, run.thread)).into_iter().flatten()
    }

    /// What ran between the run's becoming ready and its start ([`blame()`]).
    pub fn behind(&self, run: &Run) -> Vec<(super::Part, super::Range)> {
        blame(self.of(run), run)
    }

    /// Lets go of threads that have ended, so that memory stays the same however long the recording is.
    pub fn forget(&mut self, model: &Model) {
        if self.0.len() > FOLLOWED {
            let lives =
                |id: &Id| (model.threads().get(*id as usize)).is_some_and(|t| t.ended.is_none());
            self.0.retain(|(_, thread), _| lives(thread));
        }
    }
}

impl Sink for Recent {
    fn segment(&mut self, segment: &Segment) {
        let kept = (self.0.entry((segment.loop_id, segment.thread))).or_default();
        if kept.len() == RETAINED {
            kept.pop_front();
        }
        kept.push_back(*segment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Part, Range};

    #[test]
    fn the_last_segments_tell_what_a_run_waited_behind() {
        let mut recent = Recent::default();
        let segment = |start, end, thread| Segment {
            loop_id: 0,
            thread,
            start,
            end,
            part: Part::Run(7),
        };
        for at in 0..RETAINED as u64 + 10 {
            recent.segment(&segment(at * 10, at * 10 + 10, 0));
            recent.segment(&segment(at * 10, at * 10 + 10, 1));
        }
        let end = (RETAINED as u64 + 10) * 10;
        let run = Run::sample(1, end - 25, 25, 5);
        assert_eq!(recent.of(&run).count(), RETAINED);
        assert_eq!(
            recent.behind(&run),
            [(Part::Run(7), Range { lo: 25, hi: 25 })]
        );
    }

    #[test]
    fn threads_that_have_ended_are_let_go_of_once_there_are_many() {
        let mut recent = Recent::default();
        let mut told = |thread| {
            recent.segment(&Segment {
                loop_id: 0,
                thread,
                start: 0,
                end: 10,
                part: Part::Run(7),
            });
            // A model that knows of no thread: each has ended.
            recent.forget(&Model::default());
            recent.0.len()
        };
        for thread in 0..FOLLOWED as Id {
            assert_eq!(told(thread), thread as usize + 1);
        }
        assert_eq!(told(FOLLOWED as Id), 0);
    }
}
