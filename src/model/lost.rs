//! Missing and late events: what they may touch turns unknown until an event says how it stands. Step: **model**.

use super::Model;
use super::facts::{Fidelity, Id, Sink, Why};
use super::states::At;
use crate::record::event::{Cause, Event, Kind};

impl Model {
    pub(super) fn events_lost<S: Sink + ?Sized>(&mut self, e: &Event, at: At, sink: &mut S) {
        let cause = usize::from(e.aux) & 15;
        self.lost_by_cause[cause] = self.lost_by_cause[cause].saturating_add(e.arg);
        let told = Cause::from_code(e.aux);
        if !matches!(told, Some(Cause::Newer | Cause::Samples)) {
            self.threads.iter_mut().for_each(|t| t.work.looked.lost());
        }
        match told {
            // A kind newer than this version says nothing this version could have missed; a sample more or less says the same.
            Some(Cause::Newer | Cause::Samples) => {}
            // Of no event of the program.
            Some(Cause::Switches) => self.lose_switches(at.t.saturating_sub(e.y)),
            Some(Cause::RingFull | Cause::Torn | Cause::Rejected) => {
                self.losses += 1;
                self.doubt_spans();
                self.doubt_timerfds();
                match self.thread_seen(e.thread) {
                    Some(thread) => {
                        let process = self.threads[thread as usize].process;
                        self.forget_thread(thread, at, sink);
                        self.forget_process(process, at, sink);
                    }
                    None => self.forget_everything(at, sink),
                }
            }
            _ => {
                self.lose_switches(at.t.saturating_sub(e.y));
                self.losses += 1;
                self.doubt_spans();
                self.doubt_timerfds();
                for thread in 0..self.threads.len() as Id {
                    self.forget_thread(thread, at, sink);
                }
                self.forget_everything(at, sink);
            }
        }
    }

    fn forget_everything<S: Sink + ?Sized>(&mut self, at: At, sink: &mut S) {
        for process in 0..self.processes.len() as Id {
            self.forget_process(process, at, sink);
        }
    }

    /// Its own events are missing: what it was in the middle of is not known.
    fn forget_thread<S: Sink + ?Sized>(&mut self, thread: Id, at: At, sink: &mut S) {
        let Some(t) = self.threads.get_mut(thread as usize) else {
            return;
        };
        if t.ended.is_some() {
            return;
        }
        t.work.ctl = None;
        t.work.nested_poll = None;
        t.work.call = None;
        t.work.timers.doubt();
        for index in 0..t.work.seats.len() {
            let Some(seat) = self
                .threads
                .get(thread as usize)
                .and_then(|t| t.work.seats.get(index))
                .copied()
            else {
                return;
            };
            self.abandon(seat, at, sink);
        }
    }

    /// Any of the process's registrations may have changed.
    fn forget_process<S: Sink + ?Sized>(&mut self, process: Id, at: At, sink: &mut S) {
        let Some(p) = self.processes.get_mut(process as usize) else {
            return;
        };
        let dirty = std::mem::take(&mut p.dirty);
        p.queue.doubt();
        let loops = p.loops.clone();
        for id in loops {
            if let Some(l) = self.loops.get_mut(id as usize) {
                l.room_exit = None;
                l.timers.doubt();
            }
        }
        for loop_id in dirty {
            let Some(l) = self.loops.get_mut(loop_id as usize) else {
                continue;
            };
            l.dirty = false;
            l.known_live = 0;
            for id in std::mem::take(&mut l.known) {
                if let Some(slot) = self.by_id.get(&id).copied() {
                    self.forget(slot, at, sink);
                }
            }
        }
    }

    /// One registration turns unknown.
    fn forget<S: Sink + ?Sized>(&mut self, slot: u32, at: At, sink: &mut S) {
        let Some(reg) = self.regs.get_mut(slot) else {
            return;
        };
        reg.s.listed = false;
        if !reg.is_live() {
            return;
        }
        reg.s.unknown = true;
        reg.s.proven = None;
        reg.s.emptied = None;
        reg.s.reported = None;
        reg.s.ready_runs = None;
        reg.s.drain = super::Drain::Unknown;
        reg.s.blocked_out = false;
        reg.ready_since = None;
        reg.unread = None;
        reg.unread_fidelity = Fidelity::Absent;
        self.show(slot, at, Why::Lost, Fidelity::Absent, sink);
    }

    /// An event came after its place in the order had been written: the rows it touched are in doubt.
    pub(super) fn doubt<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        match e.kind {
            Kind::CtlBegin
            | Kind::CtlEnd
            | Kind::FdOpen
            | Kind::DupBegin
            | Kind::DupEnd
            | Kind::Io => {
                if let Some(desc) = self.desc_seen(process, e.fd) {
                    for slot in self.regs_of(desc) {
                        self.doubt_reg(slot, at, sink);
                    }
                }
            }
            Kind::Ready => {
                let work = self.threads.get(thread as usize).map(|t| &t.work);
                let seat = match work.and_then(|work| work.last) {
                    // What polls names no loop.
                    Some(last) if e.fd < 0 => Some(last),
                    _ => self.seat_at(thread, process, e.fd, e.t),
                };
                let told = seat
                    .and_then(|seat| self.seat(seat))
                    .and_then(|ts| ts.batch.iter().rev().find(|item| item.data == e.arg));
                if let Some(slot) = told.map(|item| item.slot) {
                    self.doubt_reg(slot, at, sink);
                }
            }
            Kind::RunBegin => {
                if let Some(slot) = self.open_run(thread).map(|run| run.slot) {
                    self.doubt_reg(slot, at, sink);
                }
            }
            _ => {}
        }
    }

    fn doubt_reg<S: Sink + ?Sized>(&mut self, slot: u32, at: At, sink: &mut S) {
        // It may be in its loop's `known` list; being there twice or turning over twice does no harm.
        let listed = self.regs.get(slot).is_some_and(|r| r.s.listed);
        self.forget(slot, at, sink);
        if let Some(reg) = self.regs.get_mut(slot) {
            reg.s.listed = listed;
        }
    }
}
