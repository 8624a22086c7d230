//! Handler runs: begun, ended, and their times. Step: **model**.

use super::facts::{Fidelity, Id, Part, Range, Run, Sink, Why};
use super::loops::{ItemState, OpenRun, Phase};
use super::process::Seat;
use super::states::{At, Birth};
use super::{Model, NONE};
use crate::record::event::{Event, NO_INDEX, flags};

/// Loops that can be nested on one thread.
const MAX_NESTED: usize = 16;

impl Model {
    pub(super) fn run_begin<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let Some(seat) = self.seat_at(thread, process, e.fd, e.t) else {
            return;
        };
        self.close_runs(thread, seat, at, sink);
        self.end_side_work(seat, at);
        let Some(l) = self.loops.get_mut(seat.loop_id as usize) else {
            return;
        };
        l.marked = true;
        let runs_total = l.runs_total;
        let Some(ts) = l.threads.get_mut(seat.at as usize) else {
            return;
        };
        // The event it serves: the one at its index, else the next one with its data word.
        let by_index = usize::from(e.aux);
        let item = if e.aux != NO_INDEX && ts.batch.get(by_index).is_some_and(|i| i.data == e.arg) {
            Some(by_index)
        } else {
            let start = (ts.next_item as usize).min(ts.batch.len());
            let waiting = |i: &super::Item| {
                i.data == e.arg && matches!(i.state, ItemState::Fetched | ItemState::Stale)
            };
            let after = ts.batch[start..]
                .iter()
                .position(waiting)
                .map(|i| i + start);
            after.or_else(|| ts.batch[..start].iter().position(waiting))
        };
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
            wakeup: ts.wakeup.min(at.t),
            start: at.t,
            end: at.t,
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
            drained: false,
            bypassed: 0,
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
            slot = self
                .loops
                .get(seat.loop_id as usize)
                .map_or(NONE, |l| l.data.get(e.arg));
            if slot == NONE {
                slot = self.birth(
                    &Birth {
                        loop_id: seat.loop_id,
                        process,
                        fd: -1,
                        generation: 0,
                        desc: NONE,
                        interest: None,
                        data: Some(e.arg),
                        fidelity: Fidelity::Absent,
                    },
                    at,
                    Why::Start,
                    sink,
                );
            }
        }
        let mut part = Id::MAX;
        let mut new_handler = false;
        if let Some(reg) = self.regs.get_mut(slot) {
            facts.reg = reg.id;
            part = reg.id;
            reg.s.fetched -= u32::from(first).min(reg.s.fetched);
            reg.s.running += 1;
            reg.s.pins += 1;
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
        ts.run = Some(Box::new(OpenRun {
            facts,
            slot,
            item: item.map_or(u32::MAX, |i| i as u32),
            read: false,
            eof: false,
            write_blocked: false,
        }));
        self.show(slot, at, Why::Start, Fidelity::Measured, sink);
        let Some(t) = self.threads.get_mut(thread as usize) else {
            return;
        };
        if t.work.open.len() < MAX_NESTED {
            t.work.open.push(seat);
        }
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
        let Some(seat) = self.seat_at(thread, process, e.fd, e.t) else {
            return;
        };
        self.close_runs(thread, seat, at, sink);
        if e.flags & flags::LEFT != 0 {
            self.skip_rest(seat, at, sink);
        }
    }

    fn end_run<S: Sink + ?Sized>(&mut self, seat: Seat, at: At, sink: &mut S) {
        let Some(l) = self.loops.get_mut(seat.loop_id as usize) else {
            return;
        };
        let Some(ts) = l.threads.get_mut(seat.at as usize) else {
            return;
        };
        let Some(mut open) = ts.run.take() else {
            return;
        };
        let run = &mut open.facts;
        run.end = at.t.max(run.start);
        let length = run.run();
        ts.phase = Phase::Rest { since: run.end };
        ts.depth = 0;
        if let Some(item) = ts.batch.get_mut(open.item as usize) {
            item.state = ItemState::Done;
            run.ready = item.ready;
            run.notice_fidelity = item.fidelity;
        }
        run.notice = run.ready.map(|r| Range {
            lo: run.wakeup.saturating_sub(r.hi),
            hi: run.wakeup.saturating_sub(r.lo),
        });
        if let Some(ready) = run.ready
            && run.notice_fidelity == Fidelity::Bounded
        {
            run.asleep = ts.retained.asleep_since(ready.lo);
        }
        let (queue, waited) = (run.queue(), run.waited());
        ts.parts.runs += 1;
        ts.parts.run_ns = ts.parts.run_ns.saturating_add(length);
        if ts.parts.longest.is_none_or(|(_, longest)| length > longest) {
            ts.parts.longest = Some((run.reg, length));
        }
        l.dispatched += 1;
        l.runs_total += 1;
        l.run.record(length);
        l.queue.record(queue);
        if let Some(notice) = run.notice {
            l.notice_lo.record(notice.lo);
            l.notice_hi.record(notice.hi);
        }
        let own = self.regs.get(open.slot).and_then(|r| r.s.last_run);
        let own = own
            .filter(|(place, ..)| *place == seat.at)
            .map(|(_, from, to)| (from, to));
        let from = run.ready.unwrap_or(Range {
            lo: run.wakeup,
            hi: run.wakeup,
        });
        if ts.retained.wait([from.hi, from.lo], open.slot, own) {
            l.caused_clipped += 1;
        }
        if let Some(reg) = self.regs.get_mut(open.slot) {
            run.role = reg.role;
            reg.dispatched += 1;
            reg.run_ns = reg.run_ns.saturating_add(length);
            reg.run.record(length);
            reg.queue.record(queue);
            if let Some(notice) = run.notice {
                reg.notice_lo.record(notice.lo);
                reg.notice_hi.record(notice.hi);
            }
            let wait = run.wait().map_or(queue, |w| w.hi);
            reg.wait_max = reg.wait_max.max(wait);
            reg.wait_told(waited);
            reg.bypassed_max = reg.bypassed_max.max(run.bypassed);
            reg.s.running = reg.s.running.saturating_sub(1);
            reg.s.pins = reg.s.pins.saturating_sub(1);
            reg.s.last_run = Some((seat.at, run.start, run.end));
        }
        sink.run(&open.facts);
        self.share_window(seat.loop_id, &open.facts, open.slot, sink);
        self.segment(seat, at.t, Part::Rest, NONE, sink);
        self.after_run(seat, &open, at, sink);
    }
}
