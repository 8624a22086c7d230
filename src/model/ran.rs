//! A handler run is over: its times, and what others waited for it. Step: **model**.

use super::Model;
use super::facts::{Fidelity, Range, Sink};
use super::loops::{ItemState, OpenRun, Phase};
use super::process::Seat;

impl Model {
    /// The run (or its first piece) ends at `t`: its ready time is fixed, and whoever it waited for is given the blame. Comes
    /// before its own segment is ended.
    pub(super) fn run_over(&mut self, seat: Seat, open: &mut OpenRun, t: u64) {
        let Some(l) = self.loops.get_mut(seat.loop_id as usize) else {
            return;
        };
        let Some(ts) = l.threads.get_mut(seat.at as usize) else {
            return;
        };
        let run = &mut open.facts;
        run.end = t.max(run.start);
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
        l.runs_total += 1;
        let thread = ts.thread;
        let from = run.ready.unwrap_or(Range {
            lo: run.wakeup,
            hi: run.wakeup,
        });
        let (mut last, mut before, mut more) = (None, None, Vec::new());
        if let Some(reg) = self.regs.get_mut(open.slot) {
            reg.s.running = reg.s.running.saturating_sub(1);
            last = reg.s.last_run.replace((seat.at, run.start, run.end));
            before = reg.s.ran_before;
            reg.s.ran_before = before.max(last.map(|(_, _, end)| end));
            more = std::mem::take(&mut reg.s.last_more);
        }
        let here = last.filter(|(place, ..)| *place == seat.at);
        let pieces = if here.is_some() { more.as_slice() } else { &[] };
        let own = here.map(|(_, start, end)| (start, end));
        let own = own.into_iter().chain(pieces.iter().copied());
        // Named twice in a turn, or served by several threads: more than the last of its runs lies in its wait.
        let only_last = before.is_none_or(|end| end <= from.lo);
        let own = only_last.then_some(own);
        if ts.retained.wait([from.hi, from.lo], open.slot, own) {
            l.caused_clipped += 1;
        }
        self.stretch_over(&open.facts, open.piece, t);
        let (from, to) = (open.facts.start, open.facts.end);
        (open.facts.spent, open.facts.blocked_in) = self.spent(thread, from, to);
        more.clear();
        if let Some(reg) = self.regs.get_mut(open.slot) {
            reg.s.last_more = more;
        }
    }

    /// Nothing will be added to the run any more: its figures go out.
    pub(super) fn run_told<S: Sink + ?Sized>(
        &mut self,
        seat: Seat,
        open: &mut OpenRun,
        sink: &mut S,
    ) {
        let Some(l) = self.loops.get_mut(seat.loop_id as usize) else {
            return;
        };
        let Some(ts) = l.threads.get_mut(seat.at as usize) else {
            return;
        };
        let noticed = open.noticed;
        let run = &mut open.facts;
        let (length, queue, waited) = (run.run(), run.queue(), run.waited());
        ts.parts.runs += 1;
        ts.parts.run_ns = ts.parts.run_ns.saturating_add(length);
        if ts.parts.longest.is_none_or(|(_, longest)| length > longest) {
            ts.parts.longest = Some((run.reg, length));
        }
        l.dispatched += 1;
        l.run.record(length);
        l.queue.record(queue);
        if run.spent.is_known() {
            l.spent.add(&run.spent);
        }
        if let Some(notice) = run.notice.filter(|_| !noticed) {
            l.notice_lo.record(notice.lo);
            l.notice_hi.record(notice.hi);
        }
        if let Some(reg) = self.regs.get_mut(open.slot) {
            run.role = reg.role;
            reg.dispatched += 1;
            reg.run_ns = reg.run_ns.saturating_add(length);
            reg.run.record(length);
            if run.spent.is_known() {
                reg.spent.add(&run.spent);
            }
            reg.queue.record(queue);
            if let Some(notice) = run.notice.filter(|_| !noticed) {
                reg.notice_lo.record(notice.lo);
                reg.notice_hi.record(notice.hi);
            }
            let wait = run.wait().map_or(queue, |w| w.hi);
            reg.wait_max = reg.wait_max.max(wait);
            reg.wait_told(waited, if noticed { queue } else { waited.hi });
            reg.bypassed_max = reg.bypassed_max.max(run.bypassed);
            reg.s.pins = reg.s.pins.saturating_sub(1);
        }
        sink.run(&open.facts);
        self.share_window(seat.loop_id, &open.facts, open.slot, sink);
    }
}
