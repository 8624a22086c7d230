//! What is shown: the model, its loop and its registrations at the cursor, or at a turn that is held. Step: model → **view**.

use super::App;
use crate::model::{Loop, Model, Registration};
use crate::tui::player::Facts;

impl App {
    /// The model shown: at the cursor, or at the held turn.
    pub fn model(&self) -> &Model {
        match &self.held {
            Some(held) => &held.folder.model,
            None => self.player.model(),
        }
    }

    /// What happened up to the instant shown.
    pub fn tail(&self) -> &Facts {
        match &self.held {
            Some(held) => &held.facts,
            None => self.player.tail(),
        }
    }

    /// The instant shown.
    pub fn t(&self) -> u64 {
        match &self.held {
            Some(held) => held.t,
            None if self.following => self.player.t() + self.idle,
            None => self.player.t() + self.beyond(),
        }
    }

    /// How many loops there are at the instant shown.
    pub fn loops(&self) -> usize {
        self.model().loops().len()
    }

    /// The loop shown.
    pub fn the_loop(&self) -> Option<&Loop> {
        self.model().loops().get(self.loop_id as usize)
    }

    /// Registrations of the loop shown, by fd number, live ones first.
    pub fn regs(&self) -> Vec<&Registration> {
        let mut regs: Vec<&Registration> = self.regs_unsorted().collect();
        // There are thousands, far apart in memory: each is looked at once.
        regs.sort_by_cached_key(|r| (!r.is_live(), r.fd, r.id));
        regs
    }

    /// The same in no order.
    pub fn regs_unsorted(&self) -> impl Iterator<Item = &Registration> {
        let regs = self.model().regs();
        regs.filter(|r| r.loop_id == self.loop_id)
    }

    /// The chosen registration.
    pub fn chosen(&self) -> Option<&Registration> {
        let reg = self.model().reg(self.chosen?)?;
        (reg.loop_id == self.loop_id).then_some(reg)
    }
}
