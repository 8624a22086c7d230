//! Which loop a screen shows before a person chooses one. Step: model → **view**.

use super::App;
use crate::model::{Id, Loop};
use crate::trace::Error;
use crate::tui::view::which::passes_on;
use crate::when::When;
use std::cmp::Reverse;

impl App {
    /// The loop that `at` names or lies in; otherwise the busiest so far.
    pub fn choose_loop_at(&mut self, at: &When) -> Result<(), Error> {
        let asked = match at {
            When::Iteration { loop_id, .. } => Some(*loop_id),
            When::Event(number) => self.loop_of_event(*number)?,
            _ => None,
        };
        self.loop_id = asked.or_else(|| self.busiest()).unwrap_or(0);
        Ok(())
    }

    /// Leaves a loop that nobody chose for the busiest one: it has done nothing, as one that a library keeps for itself,
    /// or it only passes on what another loop is told of.
    pub fn leave_idle_loop(&mut self) {
        let idle = self.the_loop().is_some_and(|l| l.turns == 0);
        if (idle || passes_on(self, self.loop_id).is_some())
            && !self.loop_chosen
            && self.chosen.is_none()
        {
            self.loop_id = self.busiest().unwrap_or(self.loop_id);
        }
    }

    fn busiest(&self) -> Option<Id> {
        let loops = self.model().loops().iter();
        let rank = |l: &&Loop| {
            let own = passes_on(self, l.id).is_none();
            // Turns without an event, of timers or of looks, count where nobody has any.
            let waited = !l.threads.is_empty();
            (own, l.ready, l.turns, waited, Reverse(l.id))
        };
        loops.max_by_key(rank).map(|l| l.id)
    }

    /// The loop whose thread pushed the event; of several the one it names.
    fn loop_of_event(&mut self, number: u64) -> Result<Option<Id>, Error> {
        let mut cursor = self.player.reader_mut().events_from(number);
        let event = cursor.next()?.map(|(_, event, _)| (event.thread, event.fd));
        let Some((number, fd)) = event else {
            return Ok(None);
        };
        // The newest of that number, should there have been several.
        let mut threads = self.model().threads().iter().rev();
        let Some(thread) = threads.find(|t| t.number == number).map(|t| t.id) else {
            return Ok(None);
        };
        let of_thread = |l: &&Loop| l.threads.iter().any(|t| t.thread == thread);
        let mine = self.model().loops().iter().filter(of_thread);
        let best = mine.max_by_key(|l| (l.epfds.contains(&fd), l.turns, Reverse(l.id)));
        Ok(best.map(|l| l.id))
    }
}
