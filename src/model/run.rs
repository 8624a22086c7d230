//! Handler runs: begun, ended, and their times. Step: **model**.

use super::facts::{Fidelity, Id, Part, Run, Sink, Why};
use super::loops::{ItemState, LoopKind, OpenRun, Phase};
use super::process::Seat;
use super::states::{At, Birth};
use super::{Model, NONE};
use crate::record::event::{BY_FD, Event, flags};

/// Loops that can be nested on one thread.
pub(super) const MAX_NESTED: usize = 16;

impl Model {
    pub(super) fn run_begin<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        // −1: it serves no descriptor.
        let named = (e.aux == BY_FD).then(|| i32::try_from(e.arg).unwrap_or(-1));
        let Some(seat) = self.marked_seat(thread, process, e, named) else {
            return;
        };
        let by_fd = named.map(|fd| self.keyed(seat.loop_id, process, fd));
        self.close_runs(thread, seat, at, sink);
        if let Some(l) = self.loops.get(seat.loop_id as usize)
            && self
                .threads
                .get(thread as usize)
                .is_some_and(|t| !t.work.open.is_empty())
        {
            let epfds = l.epfds.clone();
            self.leave_others(thread, &epfds, at, sink);
        }
        self.end_side_work(seat, at);
        let Some(l) = self.loops.get_mut(seat.loop_id as usize) else {
            return;
        };
        l.marked = true;
        let runs_total = l.runs_total;
        let Some(ts) = l.threads.get_mut(seat.at as usize) else {
            return;
        };
        // The event it serves: the one at its index, else the next one with its data word (or its descriptor).
        let by_index = usize::from(e.aux);
        let item = if e.aux < BY_FD && ts.batch.get(by_index).is_some_and(|i| i.data == e.arg) {
            Some(by_index)
        } else {
            let start = (ts.next_item as usize).min(ts.batch.len());
            let waiting = |i: &super::Item| {
                by_fd.map_or(i.data == e.arg, |slot| slot != NONE && i.slot == slot)
                    && matches!(i.state, ItemState::Fetched | ItemState::Stale)
            };
            let after = ts.batch[start..]
                .iter()
                .position(waiting)
                .map(|i| i + start);
            let any = after.or_else(|| ts.batch[..start].iter().position(waiting));
            // The number may mean something else by now than what the kernel told of.
            any.or_else(|| {
                let was = |i: &super::Item| {
                    i.state == ItemState::Stale
                        && self.regs.get(i.slot).is_some_and(|r| Some(r.fd) == named)
                };
                ts.batch.iter().position(was)
            })
        };
        ts.marks = true;
        let mut slot;
        let mut first = false;
        let mut facts = Run {
            event: at.number,
            loop_id: seat.loop_id,
            reg: Id::MAX,
            role: 0,
            thread,
            turn: ts.turn,
            index: e.aux,
            batch: ts.batch_len,
            mask: 0,
            // A worker that has not waited itself was told of nothing.
            wakeup: if ts.in_turn { ts.wakeup } else { at.t }.min(at.t),
            start: at.t,
            end: at.t,
            more: 0,
            fidelity: Fidelity::Measured,
            ready: None,
            notice: None,
            notice_fidelity: Fidelity::Absent,
            asleep: 0,
            handler: e.x as u32,
            site: e.site,
            bytes_in: 0,
            bytes_out: 0,
            ios: 0,
            in_call: 0,
            spent: Default::default(),
            blocked_in: None,
            drained: false,
            bypassed: 0,
            behalf: None,
        };
        if let Some(index) = item
            && let Some(item) = ts.batch.get_mut(index)
        {
            ts.next_item = index as u32 + 1;
            slot = item.slot;
            first = item.state == ItemState::Fetched;
            if first && self.regs.get(slot).is_some_and(|r| r.s.fetched == 0) {
                // Its registration ended before its turn; another thread's batch hid that it did.
                first = false;
                item.stale = true;
            }
            item.state = ItemState::Running;
            facts.index = index as u16;
            facts.mask = item.mask;
            facts.ready = item.ready;
            facts.notice_fidelity = item.fidelity;
            facts.bypassed =
                u32::try_from(runs_total.saturating_sub(item.runs_at)).unwrap_or(u32::MAX);
        } else {
            slot = by_fd.unwrap_or_else(|| {
                self.loops
                    .get(seat.loop_id as usize)
                    .map_or(NONE, |l| l.data.get(e.arg))
            });
            if slot == NONE && named.is_none_or(|fd| fd >= 0) {
                let (desc, generation) = named
                    .and_then(|fd| self.desc_at(process, fd))
                    .unwrap_or((NONE, 0));
                slot = self.birth(
                    &Birth {
                        loop_id: seat.loop_id,
                        process,
                        fd: named.unwrap_or(-1),
                        generation,
                        desc,
                        interest: None,
                        data: named.is_none().then_some(e.arg),
                        fidelity: Fidelity::Absent,
                    },
                    at,
                    Why::Start,
                    sink,
                );
            }
        }
        if item.is_none()
            && let Some((wakeup, told)) = self.take_over_marked(slot, thread)
        {
            facts.wakeup = wakeup.min(at.t);
            facts.mask = told.map_or(0, |item| item.mask);
            facts.ready = told.and_then(|item| item.ready);
            facts.notice_fidelity = told.map_or(Fidelity::Absent, |item| item.fidelity);
        }
        let mut part = Id::MAX;
        let mut new_handler = false;
        if let Some(reg) = self.regs.get_mut(slot) {
            facts.reg = reg.id;
            part = reg.id;
            reg.s.fetched -= u32::from(first).min(reg.s.fetched);
            reg.s.running += 1;
            reg.s.pins += 1;
            reg.s.unserved = false;
            reg.s.carried = None;
            if facts.handler != 0 && (reg.handler, reg.handler_process) != (facts.handler, process)
            {
                reg.handler = facts.handler;
                reg.handler_process = process;
                new_handler = true;
            } else if facts.handler == 0 && reg.handler_process == process {
                facts.handler = reg.handler;
            }
        }
        if new_handler {
            self.find_role(slot);
        }
        self.segment(seat, at.t, Part::Run(part), slot, sink);
        let Some(ts) = self.seat(seat) else { return };
        ts.phase = Phase::Running {
            reg: (part != Id::MAX).then_some(part),
            since: at.t,
        };
        let open = OpenRun {
            facts,
            slot,
            item: item.map_or(u32::MAX, |i| i as u32),
            read: false,
            eof: false,
            write_blocked: false,
            piece: at.t,
            own: at.t,
            inside: false,
            fd: -1,
            generation: 0,
            served: NONE,
            noticed: false,
            sure: [0; 4],
        };
        ts.run = Some(match ts.room.take() {
            Some(mut room) => {
                *room = open;
                room
            }
            None => Box::new(open),
        });
        self.show(slot, at, Why::Start, Fidelity::Measured, sink);
        let Some(t) = self.threads.get_mut(thread as usize) else {
            return;
        };
        if t.work.open.len() < MAX_NESTED {
            t.work.open.push(seat);
        }
    }

    /// The seat of a run that begins: on its loop; where it names none, the one that was told of the descriptor it serves,
    /// else one where the thread marks, else the one it waited on last.
    fn marked_seat(&mut self, thread: Id, process: Id, e: &Event, fd: Option<i32>) -> Option<Seat> {
        if e.fd >= 0 {
            return self.seat_at(thread, process, e.fd, e.t);
        }
        let work = &self.threads.get(thread as usize)?.work;
        let (last, one) = (work.last?, work.seats.len() == 1);
        let Some(fd) = fd.filter(|_| !one) else {
            return Some(last);
        };
        if self.is_told(last, process, fd) {
            return Some(last);
        }
        let seats = self.threads.get(thread as usize)?.work.seats.iter();
        let mut others = seats.rev().take(MAX_NESTED);
        let told = others.clone().find(|s| self.is_told(**s, process, fd));
        let marks = |seat: Seat| {
            let l = self.loops.get(seat.loop_id as usize);
            let ts = l.and_then(|l| l.threads.get(seat.at as usize));
            ts.is_some_and(|ts| ts.in_turn && ts.marks)
        };
        let other = told.or_else(|| others.find(|s| !marks(last) && marks(**s)));
        Some(other.copied().unwrap_or(last))
    }

    /// The last batch of this seat holds the descriptor.
    fn is_told(&self, seat: Seat, process: Id, fd: i32) -> bool {
        let l = self.loops.get(seat.loop_id as usize);
        let reg = self.regs.get(self.keyed(seat.loop_id, process, fd));
        match (l.and_then(|l| l.threads.get(seat.at as usize)), reg) {
            (Some(ts), Some(reg)) => {
                ts.in_turn && reg.s.item.0 == seat.at && reg.s.reported_by == ts.wakeup_event
            }
            _ => false,
        }
    }

    /// The seat of a run that ends: on its loop, or the innermost of the thread's where it names none.
    fn marked_end(&mut self, thread: Id, process: Id, e: &Event) -> Option<Seat> {
        if e.fd >= 0 {
            return self.seat_at(thread, process, e.fd, e.t);
        }
        let work = &self.threads.get(thread as usize)?.work;
        let mut open = work.open.iter().rev();
        let marked = open.find(|seat| {
            let l = self.loops.get(seat.loop_id as usize);
            let ts = l.and_then(|l| l.threads.get(seat.at as usize));
            ts.is_some_and(|ts| ts.run.is_some() && !ts.inferred_run())
        });
        marked.copied().or(work.last)
    }

    /// Ends the open run of this loop and thread, and every run nested inside it.
    pub(super) fn close_runs<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        seat: Seat,
        at: At,
        sink: &mut S,
    ) {
        let Some(t) = self.threads.get(thread as usize) else {
            return;
        };
        let Some(depth) = t.work.open.iter().position(|open| *open == seat) else {
            // Nested deeper than is followed: it may be open all the same.
            self.end_run(seat, at, sink);
            return;
        };
        while let Some(t) = self.threads.get_mut(thread as usize)
            && t.work.open.len() > depth
            && let Some(inner) = t.work.open.pop()
        {
            self.end_run(inner, at, sink);
        }
    }

    pub(super) fn run_end<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let Some(seat) = self.marked_end(thread, process, e) else {
            return;
        };
        self.close_runs(thread, seat, at, sink);
        if e.flags & flags::LEFT != 0 {
            self.skip_rest(seat, at, sink);
        }
        let kind = self.loops.get(seat.loop_id as usize).map(|l| l.kind);
        if kind == Some(LoopKind::Threads) {
            // What a thread does without its one descriptor is no loop's business; it may be about to end.
            self.end_turn(seat, at, sink);
        }
    }

    pub(super) fn end_run<S: Sink + ?Sized>(&mut self, seat: Seat, at: At, sink: &mut S) {
        let Some(ts) = self.seat(seat) else { return };
        if ts.inferred_run() {
            self.leave(seat, at, sink);
            return;
        }
        let Some(mut open) = ts.run.take() else {
            return;
        };
        self.run_over(seat, &mut open, at.t);
        self.run_told(seat, &mut open, sink);
        self.segment(seat, at.t, Part::Rest, NONE, sink);
        self.after_run(seat, &open, at, sink);
        if let Some(ts) = self.seat(seat) {
            ts.room = Some(open);
        }
    }
}
