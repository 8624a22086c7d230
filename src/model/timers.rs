//! The loop's own timers: which are armed and for when, and how late they fired. Step: **model**.
//!
//! A timer is known by its process and the program's own number, per loop. One armed before its thread first waited
//! stays with the thread until it does. Lost events leave doubt about every armed timer: it may have been moved, taken
//! back or fired, so it counts as nobody's next until it is armed again.

use std::collections::BTreeMap;

use super::codec::codec;
use super::facts::{Fired, Id, Sink};
use super::states::At;
use super::{Histogram, Model};
use crate::record::event::Event;

/// Timers armed at once, of all loops; one armed beyond them is counted as ignored.
const MAX_TIMERS: u64 = 65_536;

/// An armed timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// The process that armed it; its name is one of this process's.
    pub process: Id,
    /// The program's own number.
    pub id: u64,
    /// Name id ([`crate::record::event::Space::Timer`]).
    pub name: u32,
    /// When it was armed, or last moved.
    pub armed: u64,
    /// The instant it was armed for, never before `armed`.
    pub due: u64,
    /// No event was lost since that may have changed it.
    pub certain: bool,
}

/// The timers of one loop.
#[derive(Clone, Debug)]
pub struct Timers {
    armed: BTreeMap<(Id, u64), Timer>,
    /// Some are certain.
    sure: bool,
    /// How often one was armed or moved.
    pub arms: u64,
    /// How often one was taken back.
    pub cancelled: u64,
    /// How often one fired.
    pub fired: u64,
    /// Start of the callback − due, of those whose due instant is known; one that fired early counts as 0.
    pub late: Histogram,
}

codec!(Timer {
    process,
    id,
    name,
    armed,
    due,
    certain
});
codec!(Timers {
    armed,
    sure,
    arms,
    cancelled,
    fired,
    late
});

impl Default for Timers {
    fn default() -> Self {
        Self {
            armed: BTreeMap::new(),
            sure: false,
            arms: 0,
            cancelled: 0,
            fired: 0,
            late: Histogram::fine(),
        }
    }
}

impl Timers {
    /// The armed timers, by process and number.
    pub fn armed(&self) -> impl Iterator<Item = &Timer> {
        self.armed.values()
    }

    /// How many are armed.
    pub fn len(&self) -> usize {
        self.armed.len()
    }

    /// None is armed.
    pub fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }

    /// The one due first, of those that are certain.
    pub fn next(&self) -> Option<&Timer> {
        let certain = self.armed.values().filter(|t| t.certain);
        certain.min_by_key(|t| (t.due, t.process, t.id))
    }

    /// Nothing was ever said about timers.
    pub fn is_unused(&self) -> bool {
        self.arms == 0 && self.fired == 0
    }

    /// Events were lost. Every timer is touched once for each time it was armed, however many losses there are.
    pub(super) fn doubt(&mut self) {
        if std::mem::take(&mut self.sure) {
            self.armed.values_mut().for_each(|t| t.certain = false);
        }
    }

    fn end_of(&mut self, process: Id) -> u64 {
        let of = (process, 0)..=(process, u64::MAX);
        let gone: Vec<(Id, u64)> = self.armed.range(of).map(|(key, _)| *key).collect();
        for key in &gone {
            self.armed.remove(key);
        }
        gone.len() as u64
    }
}

impl Model {
    /// The loop an event of a timer or task speaks of: its own, or the one the thread waited on last.
    pub(super) fn loop_of_side(&mut self, thread: Id, process: Id, e: &Event) -> Option<Id> {
        match e.fd >= 0 {
            true => self.loop_at(process, e.fd, e.t),
            false => Some(self.threads.get(thread as usize)?.work.last?.loop_id),
        }
    }

    fn timers_at(&mut self, loop_id: Option<Id>, thread: Id) -> Option<&mut Timers> {
        match loop_id {
            Some(id) => self.loops.get_mut(id as usize).map(|l| &mut l.timers),
            None => Some(&mut self.threads.get_mut(thread as usize)?.work.timers),
        }
    }

    pub(super) fn timer_arm(&mut self, thread: Id, process: Id, e: &Event, at: At) {
        let loop_id = self.loop_of_side(thread, process, e);
        let full = self.timers_used >= MAX_TIMERS;
        let Some(timers) = self.timers_at(loop_id, thread) else {
            return;
        };
        timers.arms += 1;
        let key = (process, e.arg);
        let known = timers.armed.contains_key(&key);
        if full && !known {
            self.ignored += 1;
            return;
        }
        let timer = Timer {
            process,
            id: e.arg,
            name: e.x as u32,
            armed: at.t,
            due: at.t.saturating_add(e.y),
            certain: true,
        };
        timers.armed.insert(key, timer);
        timers.sure = true;
        self.timers_used += u64::from(!known);
    }

    pub(super) fn timer_cancel(&mut self, thread: Id, process: Id, e: &Event) {
        let loop_id = self.loop_of_side(thread, process, e);
        if let Some(timers) = self.timers_at(loop_id, thread) {
            timers.cancelled += 1;
            let gone = timers.armed.remove(&(process, e.arg)).is_some();
            self.timers_used = self.timers_used.saturating_sub(u64::from(gone));
        }
    }

    pub(super) fn timer_fires<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let loop_id = self.loop_of_side(thread, process, e);
        let Some(timers) = self.timers_at(loop_id, thread) else {
            return;
        };
        timers.fired += 1;
        let timer = timers.armed.remove(&(process, e.arg));
        let due = timer.filter(|t| t.certain).map(|t| t.due);
        if let Some(due) = due {
            timers.late.record(at.t.saturating_sub(due));
        }
        let gone = u64::from(timer.is_some());
        self.timers_used = self.timers_used.saturating_sub(gone);
        if let Some(loop_id) = loop_id {
            sink.timer(&Fired {
                event: at.number,
                loop_id,
                thread,
                process,
                id: e.arg,
                name: e.x as u32,
                due,
                start: at.t,
            });
        }
    }

    /// The thread waits on a loop for the first time: what it armed before belongs there.
    pub(super) fn adopt_timers(&mut self, thread: Id, loop_id: Id) {
        let Some(t) = self.threads.get_mut(thread as usize) else {
            return;
        };
        if t.work.timers.is_unused() {
            return;
        }
        let early = std::mem::take(&mut t.work.timers);
        let Some(l) = self.loops.get_mut(loop_id as usize) else {
            return;
        };
        let before = (l.timers.armed.len() + early.armed.len()) as u64;
        l.timers.armed.extend(early.armed);
        l.timers.sure |= early.sure;
        l.timers.arms += early.arms;
        l.timers.cancelled += early.cancelled;
        l.timers.fired += early.fired;
        l.timers.late.merge(&early.late);
        // One armed both ways is one timer.
        let merged = before - l.timers.armed.len() as u64;
        self.timers_used = self.timers_used.saturating_sub(merged);
    }

    /// The process has ended, or runs another program: its timers are gone.
    pub(super) fn drop_timers(&mut self, process: Id) {
        let Some(p) = self.processes.get(process as usize) else {
            return;
        };
        for id in &p.loops {
            if let Some(l) = self.loops.get_mut(*id as usize) {
                let gone = l.timers.end_of(process);
                self.timers_used = self.timers_used.saturating_sub(gone);
            }
        }
    }

    /// Nobody will fire these any more.
    pub(super) fn clear_timers(&mut self, loop_id: Id) {
        if let Some(l) = self.loops.get_mut(loop_id as usize) {
            let gone = std::mem::take(&mut l.timers.armed).len() as u64;
            self.timers_used = self.timers_used.saturating_sub(gone);
        }
    }
}
