//! How well the handler runs of the shown loop are known: what is inferred carries a mark wherever it is drawn.
//! Step: model → **view**.

use super::App;
use crate::model::{Fidelity, Model, Run};

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

    /// The title of a box whose figures rest on handler runs.
    pub fn titled(&self, title: &str) -> String {
        match self.infers() {
            true => format!("{title}, handlers {GUESS}inferred"),
            false => title.to_owned(),
        }
    }
}
