//! What lies ahead of the cursor: names that are given a little later, and the next mark. Step: trace → **view**.

use super::{Folder, Player, Until};
use crate::model::Model;
use crate::record::event::{Event, Kind};
use crate::trace::Error;

/// Events a fold runs ahead of the cursor for names.
const AHEAD: u64 = 20_000;
/// Events searched for a mark with one key.
const SEARCHED: u64 = 20_000_000;

impl Player {
    /// Folds a little ahead of the cursor, unless that has been done from near here.
    pub fn look_ahead(&mut self) -> Result<(), Error> {
        let next = self.folder.next;
        let fresh = |(from, folder): &(u64, Folder)| *from <= next && next < folder.next;
        if self.at_end() || self.ahead.as_ref().is_some_and(fresh) {
            return Ok(());
        }
        let mut folder = self.ahead.take().map_or_else(Folder::start, |(_, f)| f);
        folder.go_on_from(&self.folder, &self.reader);
        let until = Until::event(next.saturating_add(AHEAD));
        while !folder.run(&mut self.reader, until, AHEAD, &mut ())? {}
        self.ahead = Some((next, folder));
        Ok(())
    }

    /// The program's state a little after the cursor, where [`look_ahead`](Self::look_ahead) has been.
    pub fn ahead(&self) -> Option<&Model> {
        self.ahead.as_ref().map(|(_, folder)| &folder.model)
    }

    /// The next (or the previous) mark or begin of a span: its number. Nothing within the events that are searched at
    /// once: where the search has come to.
    pub fn mark(&mut self, by: i64) -> Result<Result<u64, u64>, Error> {
        let is_mark = |e: &Event| matches!(e.kind, Kind::Mark | Kind::SpanBegin);
        let next = self.bound_for();
        let count = self.reader.pages().len();
        let here = self.reader.page_of(next).min(count.saturating_sub(1));
        let pages: Vec<usize> = match by > 0 {
            true => (here..count).collect(),
            false => (0..count.min(here + 1)).rev().collect(),
        };
        for page in pages {
            let events = self.reader.page(page)?;
            let all = events.iter().filter(|(_, e, _)| is_mark(e));
            let found = match by > 0 {
                true => all.map(|(n, ..)| n).find(|n| *n >= next),
                // The one the cursor stands right behind is the one it has come from.
                false => all.map(|(n, ..)| n).filter(|n| n + 1 < next).last(),
            };
            if let Some(number) = found {
                return Ok(Ok(number));
            }
            let at = self.reader.pages()[page].first_event;
            if at.abs_diff(next) > SEARCHED {
                return Ok(Err(at));
            }
        }
        let end = if by > 0 {
            self.reader.end()
        } else {
            self.reader.first()
        };
        Ok(Err(end))
    }
}
