//! The loop's own run queue: which tasks are on it and since when, and how long they waited there. Step: **model**.
//!
//! Any thread may queue a task, so where it will run is known for certain only when it begins: until then it counts for
//! the loop of the thread that queued it.

use super::codec::codec;
use super::facts::Id;
use super::states::At;
use super::{Histogram, Map, Model};
use crate::record::event::Event;

/// Tasks queued at once, of all loops; one queued beyond them is counted as ignored.
const MAX_TASKS: u64 = 65_536;

/// A task that has been queued and has not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// The process; its name is one of this process's.
    pub process: Id,
    /// The program's own number.
    pub id: u64,
    /// Name id ([`crate::record::event::Space::Task`]).
    pub name: u32,
    /// When it was queued, the first time if several.
    pub since: u64,
    /// The loop it probably runs on.
    pub loop_id: Option<Id>,
    /// No event was lost since that may have changed it.
    pub certain: bool,
}

/// What a loop did with its tasks.
#[derive(Clone, Debug)]
pub struct Tasks {
    /// Begun.
    pub begun: u64,
    /// Queued to begun, of those whose queueing was seen.
    pub queued: Histogram,
}

codec!(Task {
    process,
    id,
    name,
    since,
    loop_id,
    certain
});
codec!(Tasks { begun, queued });

impl Default for Tasks {
    fn default() -> Self {
        Self {
            begun: 0,
            queued: Histogram::fine(),
        }
    }
}

/// The tasks a process has queued and not begun.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    tasks: Map<u64, Task>,
    /// Some are certain.
    sure: bool,
}

codec!(Queue { tasks, sure });

impl Queue {
    /// Events were lost: what was queued may have begun.
    pub fn doubt(&mut self) {
        if std::mem::take(&mut self.sure) {
            self.tasks.values_mut().for_each(|t| t.certain = false);
        }
    }
}

impl Model {
    /// Tasks that wait for their turn on a loop, in no particular order.
    pub fn tasks_of(&self, loop_id: Id) -> impl Iterator<Item = &Task> {
        let all = self.processes.iter().flat_map(|p| p.queue.tasks.values());
        all.filter(move |t| t.certain && t.loop_id == Some(loop_id))
    }

    pub(super) fn task_queued(&mut self, thread: Id, process: Id, e: &Event, at: At) {
        let loop_id = self.loop_of_side(thread, process, e);
        let Some(p) = self.processes.get_mut(process as usize) else {
            return;
        };
        let known = p.queue.tasks.get(&e.arg);
        if known.is_some_and(|t| t.certain) {
            return;
        }
        if known.is_none() && self.tasks_used >= MAX_TASKS {
            self.ignored += 1;
            return;
        }
        self.tasks_used += u64::from(known.is_none());
        let task = Task {
            process,
            id: e.arg,
            name: e.x as u32,
            since: at.t,
            loop_id,
            certain: true,
        };
        p.queue.tasks.insert(e.arg, task);
        p.queue.sure = true;
    }

    pub(super) fn task_begins(&mut self, thread: Id, process: Id, e: &Event, at: At) {
        let loop_id = self.loop_of_side(thread, process, e);
        let Some(p) = self.processes.get_mut(process as usize) else {
            return;
        };
        let task = p.queue.tasks.remove(&e.arg);
        self.tasks_used = self.tasks_used.saturating_sub(u64::from(task.is_some()));
        let Some(l) = loop_id.and_then(|id| self.loops.get_mut(id as usize)) else {
            return;
        };
        l.tasks.begun += 1;
        if let Some(task) = task.filter(|t| t.certain) {
            l.tasks.queued.record(at.t.saturating_sub(task.since));
        }
    }

    /// The process has ended, or runs another program.
    pub(super) fn drop_tasks(&mut self, process: Id) {
        if let Some(p) = self.processes.get_mut(process as usize) {
            let gone = std::mem::take(&mut p.queue).tasks.len() as u64;
            self.tasks_used = self.tasks_used.saturating_sub(gone);
        }
    }
}
