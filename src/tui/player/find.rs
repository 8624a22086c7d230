//! Looking up where a turn began, where a window will begin, where a mark was made and where output stands. Step: trace →
//! model → **view**.

use super::folder::{Folder, Until};
use super::{LEAD_IN, Player, RUN_UP, SUMMED};
use crate::derive::{self, Marks};
use crate::model::{Id, Sink, Turn};
use crate::record::event::{Event, Kind};
use crate::trace::Error;

impl Player {
    /// To the wakeup that starts the next (or the previous) turn of a loop, behind its ready batch.
    pub fn turn(&mut self, loop_id: Id, by: i64) -> Result<bool, Error> {
        let l = self.model().loops().get(loop_id as usize);
        let epfds: Vec<i32> = l.map(|l| l.epfds.clone()).unwrap_or_default();
        let is_wakeup = |e: &Event| {
            e.kind == Kind::WaitExit && e.x > 0 && (epfds.is_empty() || epfds.contains(&e.fd))
        };
        let found = match by > 0 {
            true => self.find_on(is_wakeup)?,
            false => self.find_back(is_wakeup)?,
        };
        if let Some((number, event)) = found {
            self.seek_event(number + 1 + event.x.max(0) as u64)?;
        }
        Ok(found.is_some())
    }

    /// The first event after the cursor that satisfies `is`.
    fn find_on(&mut self, is: impl Fn(&Event) -> bool) -> Result<Option<(u64, Event)>, Error> {
        let next = self.bound_for();
        for page in self.reader.page_of(next)..self.reader.pages().len() {
            let events = self.reader.page(page)?;
            if let Some((n, e, _)) = events.iter().find(|(n, e, _)| *n >= next && is(e)) {
                return Ok(Some((n, *e)));
            }
        }
        Ok(None)
    }

    /// The last event that satisfies `is` and whose batch ends before the place behind which the cursor stands.
    fn find_back(&mut self, is: impl Fn(&Event) -> bool) -> Result<Option<(u64, Event)>, Error> {
        let next = self.bound_for();
        let last = self.reader.pages().len().saturating_sub(1);
        for page in (0..=self.reader.page_of(next).min(last)).rev() {
            let events = self.reader.page(page)?;
            let behind = |n: u64, e: &Event| n + 1 + (e.x.max(0) as u64) < next;
            let all = events.iter().filter(|(n, e, _)| is(e) && behind(*n, e));
            if let Some((n, e, _)) = all.last() {
                return Ok(Some((n, *e)));
            }
        }
        Ok(None)
    }

    /// When a loop's turn of this number began: the instant of its wakeup.
    pub fn turn_start(&mut self, loop_id: Id, number: u64) -> Result<Option<u64>, Error> {
        if number == 0 {
            return Ok(None);
        }
        let mut folder = self.saved.before_turn(loop_id, number, &mut self.reader);
        let mut find = Begun {
            turn: (loop_id, number),
            at: None,
        };
        let begun = |folder: &Folder| {
            let l = folder.model.loops().get(loop_id as usize);
            l.map_or(0, |l| l.turns_begun())
        };
        let (from, before) = (folder.next, begun(&folder));
        loop {
            // A piece of some turns: what is looked for ends soon after it has begun.
            let done = folder.run(&mut self.reader, Until::event(u64::MAX), 4_096, &mut find)?;
            let l = folder.model.loops().get(loop_id as usize);
            let mut threads = l.into_iter().flat_map(|l| &l.threads);
            let open = threads.find(|t| t.turn == number && number > 0);
            let found = find.at.or(open.map(|t| t.wakeup));
            if found.is_some() || done {
                return Ok(found);
            }
            // Who looks for a turn goes there: a place is kept about where it should begin, by the events a turn has had.
            let (turns, left) = (begun(&folder) - before, number - begun(&folder).min(number));
            let ahead =
                u128::from(folder.next - from) * u128::from(left) / u128::from(turns.max(1));
            let goal = folder
                .next
                .saturating_add(u64::try_from(ahead).unwrap_or(u64::MAX));
            self.saved.offer(&folder, goal);
        }
    }

    /// A place before a window around a goal, if it will be as long as the last one and is folded.
    pub(super) fn window_before(&mut self, t: Option<u64>, target: u64) -> Result<u64, Error> {
        let pages = self.reader.pages();
        let at = pages.get(self.reader.page_of(target));
        let t = t.or(at.map(|page| page.t_first));
        let (Some(window), Some(t)) = (&self.window, t) else {
            // The first one is narrow.
            return Ok(target.saturating_sub(2 * RUN_UP));
        };
        let from = t.saturating_sub(window.key.to() - window.key.from());
        let page = pages.partition_point(|page| page.t_end < from);
        let first = pages.get(page).map_or(target, |page| page.first_event);
        if target.saturating_sub(first) > SUMMED {
            return Ok(0);
        }
        // A page is long against a narrow window: it begins somewhere in it.
        let first = self.reader.event_at_time(from)?.min(target);
        Ok(first.saturating_sub(LEAD_IN))
    }

    /// When a mark or span of this name was first made, if the recording has that stored.
    pub fn first_mark(&mut self, name: &str) -> Option<Option<u64>> {
        self.marks()?.find(name)
    }

    /// The first event at or after `number` on a page that may hold output of the program.
    pub fn next_output(&mut self, number: u64) -> u64 {
        let page = self.reader.page_of(number);
        let first = self
            .reader
            .pages()
            .get(page)
            .map_or(number, |p| p.first_event);
        match self.marks() {
            Some(marks) => marks.output_from(first).max(number),
            None => number,
        }
    }

    fn marks(&mut self) -> Option<&Marks> {
        if !self.ended {
            return None;
        }
        let reader = &mut self.reader;
        let stored = self.marks.get_or_insert_with(|| derive::marks(reader));
        stored.as_ref()
    }
}

/// The start of one turn.
struct Begun {
    turn: (Id, u64),
    at: Option<u64>,
}

impl Sink for Begun {
    fn turn(&mut self, turn: &Turn) {
        if (turn.loop_id, turn.number) == self.turn {
            self.at = Some(turn.start);
        }
    }
}
