//! Threads that fell asleep in a turn, in no call that was seen, and never came back: a lock that nobody gives back. Only the
//! kernel's switch records show it. Step: model → **view**.

use super::facts::{Called, LOCKED};
use crate::model::{Busy, Id, ItemState, Map, Model};
use crate::record::event::{Event, Kind, Off};

/// Threads watched at once.
const MOST: usize = 4_096;

/// A signal that ends a thread wakes it first: so long before, in nanoseconds.
const LAST: u64 = 10_000_000;

/// The last sleep of a thread that has done nothing of its own since.
#[derive(Clone, Copy, Debug)]
struct Sleep {
    since: u64,
    until: Option<u64>,
    event: u64,
    busy: Busy,
    process: Id,
}

/// Such threads, each with others that wait in its batch: whoever has left its loop for good leaves nobody there.
#[derive(Clone, Debug, Default)]
pub(super) struct Stuck(Map<Id, Sleep>);

impl Stuck {
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// The thread does something: it has come back.
    #[inline]
    pub(super) fn acts(&mut self, thread: Id) {
        if !self.0.is_empty() {
            self.0.remove(&thread);
        }
    }

    /// It leaves its CPU or is back, inside of no call that was seen to begin.
    pub(super) fn switched(
        &mut self,
        model: &Model,
        thread: Id,
        process: Id,
        event: u64,
        e: &Event,
    ) {
        if e.kind == Kind::SwitchIn {
            // A signal or a debugger had stopped it.
            if e.aux == Off::Stopped.code() {
                self.acts(thread);
            }
            if let Some(sleep) = self.0.get_mut(&thread) {
                sleep.until = Some(e.t);
            }
            return;
        }
        let busy = model.busy(thread).filter(|busy| keeps(model, thread, busy));
        match busy.filter(|_| e.aux == Off::Blocked.code()) {
            Some(busy) if self.0.len() < MOST || self.0.contains_key(&thread) => {
                let sleep = Sleep {
                    since: e.t,
                    until: None,
                    event,
                    busy,
                    process,
                };
                self.0.insert(thread, sleep);
            }
            _ => self.acts(thread),
        }
    }

    /// The thread ends, or the recording does, at `t`.
    pub(super) fn over(&mut self, model: &Model, thread: Id, t: u64) -> Option<Called> {
        let sleep = self.0.remove(&thread)?;
        let t = match sleep.until {
            Some(until) if t.saturating_sub(until) > LAST => return None,
            Some(until) => until,
            None => t,
        };
        // What it reads or writes is known, and told by another finding.
        let thread_of = model.threads().get(thread as usize);
        if thread_of.is_none_or(|t| t.in_call.is_some()) {
            return None;
        }
        Some(Called {
            since: sleep.since,
            t,
            event: sleep.event,
            thread,
            process: sleep.process,
            name: LOCKED,
            fd: -1,
            site: 0,
            busy: sleep.busy,
            goes_on: true,
        })
    }

    /// The same of every thread that is left, in their order.
    pub(super) fn unfinished(&mut self, model: &Model) -> Vec<Called> {
        let mut threads: Vec<Id> = self.0.keys().copied().collect();
        threads.sort_unstable();
        let over = |thread| self.over(model, thread, model.now());
        threads.into_iter().filter_map(over).collect()
    }
}

/// Somebody else in the thread's batch has not been served.
fn keeps(model: &Model, thread: Id, busy: &Busy) -> bool {
    let l = model.loops().get(busy.loop_id as usize);
    let mut seats = l.into_iter().flat_map(|l| &l.threads);
    let seat = seats.find(|t| t.thread == thread);
    let mut batch = seat.into_iter().flat_map(|t| &t.batch);
    batch.any(|item| {
        let lives = || model.reg(item.reg).is_some_and(|r| r.is_live());
        item.state == ItemState::Fetched && Some(item.reg) != busy.reg && lives()
    })
}
