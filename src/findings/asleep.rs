//! Threads inside a wait that are woken and sleep on: what woke them was gone. Only the kernel's switch records show it.
//! Step: model → **view**.

use crate::model::{Id, Map, Model, Phase};
use crate::record::event::{Event, Kind, Off};

/// Threads inside a wait that sleep there (false), or were woken (true).
#[derive(Clone, Debug, Default)]
pub(super) struct Asleep(Map<Id, bool>);

impl Asleep {
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// It ends, or begins another wait.
    pub(super) fn ended(&mut self, thread: Id) {
        self.0.remove(&thread);
    }

    /// A thread leaves its CPU or is back: the loop whose wait it sleeps on in, if it was woken for nothing.
    pub(super) fn switched(&mut self, model: &Model, thread: Id, e: &Event) -> Option<Id> {
        let waits = (model.waited_on(thread))
            .filter(|(_, place)| matches!(place.phase, Phase::Waiting { .. }));
        let Some((loop_id, _)) = waits else {
            self.ended(thread);
            return None;
        };
        if e.kind == Kind::SwitchIn {
            self.0.entry(thread).and_modify(|woken| *woken = true);
            return None;
        }
        let slept = e.aux == Off::Blocked.code();
        (slept && self.0.insert(thread, false) == Some(true)).then_some(loop_id)
    }
}
