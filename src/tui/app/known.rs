//! How well the handler runs of the shown loop are known: what is inferred carries a mark wherever it is drawn.
//! Step: model → **view**.

use super::App;
use crate::model::{Fidelity, Model, Process, Registration, Run, Word};

/// The mark of what is inferred.
pub const GUESS: &str = "~";

/// `~` for a run whose start and end are inferred, nothing for one that the program marks.
pub fn mark_of(run: &Run) -> &'static str {
    match run.fidelity {
        Fidelity::Inferred => GUESS,
        _ => "",
    }
}

impl App {
    /// Handler runs of the loop shown are inferred from the program's calls, and all that is computed from them.
    pub fn infers(&self) -> bool {
        let here = |model: &Model| {
            let l = model.loops().get(self.loop_id as usize);
            l.is_some_and(|l| l.handlers() == Fidelity::Inferred)
        };
        // Before the first run it is the window that knows of later ones.
        here(self.model()) || self.player.window().is_some_and(|w| here(w.model()))
    }

    /// `~` before what rests on inferred runs, nothing before what the program marks itself.
    pub fn mark(&self) -> &'static str {
        if self.infers() { GUESS } else { "" }
    }

    /// The state to show of a registration. Where what changed it was left out to keep up, it is the last that is known,
    /// and how long ago it was that.
    pub fn state(&self, reg: &Registration) -> (Word, Option<u64>) {
        let last = match reg.word {
            Word::Unknown => self.player.last_known(reg.id),
            _ => None,
        };
        match last {
            Some((word, then)) => (word, Some(self.t().saturating_sub(then))),
            None => (reg.word, None),
        }
    }

    /// The program we launched has ended and so has every process that joined it; all of that has been shown.
    pub fn is_over(&self) -> bool {
        let ended = self.live.as_ref().is_some_and(|live| !live.is_running());
        let all = |mut processes: std::slice::Iter<'_, Process>| processes.all(|p| p.end.is_some());
        ended && self.player.at_end() && all(self.player.model().processes().iter())
    }

    /// The title of a box whose figures rest on handler runs.
    pub fn titled(&self, title: &str) -> String {
        match self.infers() {
            true => format!("{title}, handlers {GUESS}inferred"),
            false => title.to_owned(),
        }
    }
}
