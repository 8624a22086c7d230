//! The run that waited longest in a stretch of time. Step: trace → **model** → view.

use super::{Folder, Player, Until};
use crate::model::{Id, Run, Sink};
use crate::trace::Error;

/// Recordings with at most so many events are searched whole, in well under a second.
const SCANNED: u64 = 3_000_000;

impl Player {
    /// The finished run of a loop that waited longest and ended in a stretch of time; only of what is behind the
    /// cursor when the recording is very long and has no pyramid.
    pub fn worst(&mut self, loop_id: Id, from: u64, to: u64) -> Result<Option<Run>, Error> {
        let mut worst = Worst {
            loop_id,
            from,
            to,
            run: None,
        };
        if self.reader.len() <= SCANNED {
            let mut folder = Folder::start();
            let until = Until::event(u64::MAX);
            while !folder.run(&mut self.reader, until, u64::MAX, &mut worst)? {}
        } else if let Some(pyramid) = self.pyramid() {
            let Some((start, end)) = pyramid.worst(loop_id, from, to) else {
                return Ok(None);
            };
            (worst.from, worst.to) = (start, end);
            let first = self.reader.event_at_time(start)?;
            let mut folder = self.saved.before(first, &mut self.reader);
            while !folder.run(&mut self.reader, Until::time(end), u64::MAX, &mut worst)? {}
        } else {
            self.tail.runs.iter().for_each(|r| worst.run(r));
        }
        Ok(worst.run)
    }
}

/// Keeps the run that waited longest.
struct Worst {
    loop_id: Id,
    from: u64,
    to: u64,
    run: Option<Run>,
}

impl Sink for Worst {
    fn run(&mut self, run: &Run) {
        let wait = |r: &Run| r.waited().hi;
        let mine = run.loop_id == self.loop_id && (self.from..self.to).contains(&run.end);
        if mine && self.run.as_ref().is_none_or(|w| wait(run) > wait(w)) {
            self.run = Some(*run);
        }
    }
}
