//! What was seen and is not judged yet: how much of it the hypervisor took is told a moment later. Step: model → **view**.
//!
//! A stretch on a CPU may be shorter than it looks: where a hypervisor had the CPU meanwhile, the kernel's records say that the
//! thread ran. So what a rule makes of such a stretch waits until that is told, and then the rule judges what is left.

use super::book::{Book, Key, Seen};
use super::found::Victims;
use super::thresholds::Thresholds;
use crate::model::{Id, Model, Steal};
use std::collections::VecDeque;

/// Stretches that wait at once.
const MOST: usize = 1_024;

/// The stretch that an occurrence is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stretch {
    /// Its beginning.
    pub from: u64,
    /// Its end.
    pub to: u64,
    /// What counts of it, as far as is known now.
    pub own: u64,
    /// So much of it can have been stolen: the thread was on a CPU, or nobody knows.
    pub exposed: u64,
}

/// What is known in the end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// How often it has been seen before.
    pub before: u64,
    /// What counts of the stretch.
    pub own: u64,
    /// The most that was stolen of it.
    pub stolen: u64,
}

/// Judges an occurrence: how much it matters, and whether it is one at all.
pub type Judge = fn(&Thresholds, &mut Seen, Known) -> bool;

#[derive(Clone, Debug)]
struct Waiting {
    seen: Seen,
    stretch: Stretch,
    /// The CPU its thread was on all the while.
    cpu: Option<i32>,
    judge: Judge,
    victims: Vec<Victims>,
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    all: VecDeque<Waiting>,
}

impl Pending {
    /// It may be time to judge.
    #[inline]
    pub fn is_due(&self, now: u64) -> bool {
        let first = self.all.front();
        first.is_some_and(|w| now >= w.stretch.to.saturating_add(Steal::TOLD))
    }

    /// The newest occurrence of this cause that is not judged is none; false if there is no such.
    pub fn retract(&mut self, key: Key) -> bool {
        let at = self.all.iter().rposition(|w| w.seen.key() == key);
        at.and_then(|at| self.all.remove(at)).is_some()
    }

    /// Something of this kind that ended since then waits.
    pub fn any(&self, since: u64, mut which: impl FnMut(&Seen) -> bool) -> bool {
        let mut late = self.all.iter().filter(|w| w.stretch.to >= since);
        late.any(|w| which(&w.seen))
    }

    /// Who waited for an occurrence; false if it does not wait itself.
    pub fn suffered(&mut self, key: Key, from: u64, victims: &Victims) -> bool {
        let mut all = self.all.iter_mut().rev();
        let found = all.find(|w| w.stretch.from == from && w.seen.key() == key);
        found.is_some_and(|w| {
            w.victims.push(victims.clone());
            true
        })
    }
}

impl Book {
    /// Notes an occurrence once it is known what the hypervisor took of its stretch: at once where nobody counts that.
    pub fn note_later(
        &mut self,
        model: &Model,
        limits: &Thresholds,
        seen: Seen,
        stretch: Stretch,
        judge: Judge,
    ) {
        let on = |thread: Id| model.cpu_since(thread, stretch.from);
        let waiting = Waiting {
            cpu: seen.thread.and_then(on),
            seen,
            stretch,
            judge,
            victims: Vec::new(),
        };
        if !model.steal().is_counted() {
            return self.judged(model, limits, waiting);
        }
        if self.pending.all.len() >= MOST
            && let Some(first) = self.pending.all.pop_front()
        {
            self.judged(model, limits, first);
        }
        self.pending.all.push_back(waiting);
    }

    /// Judges what it is time for; `over`: everything.
    pub(super) fn judge_due(&mut self, model: &Model, limits: &Thresholds, over: bool) {
        while over || self.pending.is_due(model.now()) {
            let Some(first) = self.pending.all.pop_front() else {
                return;
            };
            self.judged(model, limits, first);
        }
    }

    fn judged(&mut self, model: &Model, limits: &Thresholds, waiting: Waiting) {
        let (mut seen, stretch) = (waiting.seen, waiting.stretch);
        let key = seen.key();
        let stolen = model.stolen(waiting.cpu, stretch.from, stretch.to);
        let stolen = stolen.min(stretch.exposed);
        let known = Known {
            before: self.times(key.0, key.1, key.2, key.3),
            own: stretch.own.saturating_sub(stolen),
            stolen,
        };
        if !(waiting.judge)(limits, &mut seen, known) {
            return;
        }
        self.note(model, seen);
        for victims in waiting.victims {
            self.suffered(key, u64::MAX, victims);
        }
    }
}
