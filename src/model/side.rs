//! Timers, tasks and named calls: what a turn holds besides handler runs. Step: **model**.

use super::facts::{Id, Part, Sink};
use super::loops::{OpenRun, Phase};
use super::process::Seat;
use super::states::At;
use super::{Model, NONE};
use crate::record::event::{Event, Kind, Op};

/// A call the program named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Name id.
    pub name: u32,
    /// Its descriptor, −1 none.
    pub fd: i32,
    /// Where it was made, 0 not known.
    pub site: u16,
    /// When it was entered.
    pub since: u64,
}

impl Model {
    /// The seat of a timer or task: of its loop, or of the loop the thread waited on last.
    fn side_seat(&mut self, thread: Id, process: Id, e: &Event) -> Option<Seat> {
        if e.fd >= 0 {
            self.seat_at(thread, process, e.fd, e.t)
        } else {
            self.threads.get(thread as usize)?.work.last
        }
    }

    /// A timer or task starts. Inside a handler run (or another timer or task) it belongs to that.
    pub(super) fn side_begin<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let Some(seat) = self.side_seat(thread, process, e) else {
            return;
        };
        let Some(ts) = self.seat(seat) else { return };
        if ts.inferred_run() {
            // What the program names is no part of a handler that is only inferred.
            self.close_runs(thread, seat, at, sink);
        }
        let Some(ts) = self.seat(seat) else { return };
        let name = e.x as u32;
        match ts.phase {
            Phase::Rest { .. } => {}
            Phase::Running { .. } | Phase::Timer { .. } | Phase::Task { .. } => {
                ts.depth = ts.depth.saturating_add(1);
                return;
            }
            _ => return,
        }
        ts.depth = 0;
        let part = if e.kind == Kind::TimerBegin {
            ts.phase = Phase::Timer { name, since: at.t };
            Part::Timer(name)
        } else {
            ts.phase = Phase::Task { name, since: at.t };
            Part::Task(name)
        };
        self.segment(seat, at.t, part, NONE, sink);
    }

    pub(super) fn side_end<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let Some(seat) = self.side_seat(thread, process, e) else {
            return;
        };
        let Some(ts) = self.seat(seat) else { return };
        if ts.depth > 0 {
            ts.depth -= 1;
        } else if self.end_side_work(seat, at) {
            self.segment(seat, at.t, Part::Rest, NONE, sink);
        }
    }

    /// Ends the timer or task under way; true if there was one.
    pub(super) fn end_side_work(&mut self, seat: Seat, at: At) -> bool {
        let Some(ts) = self.seat(seat) else {
            return false;
        };
        match ts.phase {
            Phase::Timer { since, .. } => {
                ts.parts.timer_ns = ts.parts.timer_ns.saturating_add(at.t.saturating_sub(since))
            }
            Phase::Task { since, .. } => {
                ts.parts.task_ns = ts.parts.task_ns.saturating_add(at.t.saturating_sub(since))
            }
            _ => return false,
        }
        ts.depth = 0;
        ts.phase = Phase::Rest { since: at.t };
        true
    }

    /// The innermost open run of a thread.
    #[inline]
    pub(super) fn open_run(&mut self, thread: Id) -> Option<&mut OpenRun> {
        let seat = *self.threads.get(thread as usize)?.work.open.last()?;
        self.seat(seat)?.run.as_deref_mut()
    }

    /// A call of this length has returned inside the thread's run.
    pub(super) fn in_call(&mut self, thread: Id, length: u64) {
        if let Some(run) = self.open_run(thread) {
            run.facts.in_call = run.facts.in_call.saturating_add(length);
        }
    }

    /// The seat whose business the thread is on: of its open run, else of its last wait.
    pub(super) fn busy_seat(&self, thread: Id) -> Option<Seat> {
        let work = &self.threads.get(thread as usize)?.work;
        work.open.last().copied().or(work.last)
    }

    pub(super) fn call_begin(&mut self, thread: Id, e: &Event, at: At) {
        if let Some(t) = self.threads.get_mut(thread as usize) {
            t.work.call = Some((e.fd, e.x as u32, at.t));
        }
        let Some(seat) = self.busy_seat(thread) else {
            return;
        };
        if let Some(ts) = self.seat(seat) {
            ts.call = Some(Call {
                name: e.x as u32,
                fd: e.fd,
                site: e.site,
                since: at.t,
            });
        }
    }

    pub(super) fn call_end(&mut self, thread: Id, at: At) {
        let Some(t) = self.threads.get_mut(thread as usize) else {
            return;
        };
        if let Some((fd, name, since)) = t.work.call.take() {
            self.slept_in(thread, since, at.t, (Some(Op::Named), name, fd));
            self.in_call(thread, at.t.saturating_sub(since));
        }
        if let Some(seat) = self.busy_seat(thread)
            && let Some(ts) = self.seat(seat)
        {
            ts.call = None;
        }
    }
}
