//! Handler runs, timers, tasks and named calls: what a turn is made of. Step: **model**.

use super::facts::{Fairness, Fidelity, Id, Part, Range, Run, Sink, Why};
use super::fairness::{Sums, WINDOW_NS};
use super::loops::{Call, ItemState, OpenRun, Phase};
use super::process::Seat;
use super::registration::{IN, Kernel, OUT};
use super::states::{At, Birth};
use super::{Drain, Model, NONE};
use crate::record::event::{Event, Kind, NO_INDEX, flags};

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
        let queue = run.queue();
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

    /// What the run left behind: the drain side, and what it says about the kernel's side.
    fn after_run<S: Sink + ?Sized>(&mut self, seat: Seat, open: &OpenRun, at: At, sink: &mut S) {
        let Some(reg) = self.regs.get_mut(open.slot) else {
            return;
        };
        let desc = self.descs.get(reg.s.desc);
        let io_seen = desc.is_some_and(|d| d.io_seen);
        let mask = open.facts.mask;
        let mut fidelity = Fidelity::Inferred;
        // A report for reading that nobody read leaves its data, if this program's reads are seen at all.
        let unread = reg
            .unread
            .filter(|_| reg.unread_fidelity == Fidelity::Measured);
        reg.s.drain = match unread {
            Some(0) if open.read || open.facts.drained => {
                fidelity = Fidelity::Measured;
                Drain::Drained
            }
            Some(bytes) if bytes > 0 => {
                fidelity = Fidelity::Measured;
                Drain::Left
            }
            _ if open.facts.drained => {
                fidelity = Fidelity::Measured;
                Drain::Drained
            }
            _ if open.read || (io_seen && mask & IN != 0) => Drain::Left,
            _ => reg.s.drain,
        };
        reg.s.blocked_out |= open.write_blocked;
        let drained = reg.s.drain == Drain::Drained && !open.eof;
        let level_ready = reg.s.kernel == Kernel::Ready && !reg.is_edge();
        // A level item stays on the ready list until a wait finds it empty; room to write is as lasting as data.
        let out_left = mask & OUT != 0 && reg.interest & OUT != 0 && !open.write_blocked;
        let why = if open.write_blocked {
            Why::WriteBlocked
        } else if drained {
            Why::Drained
        } else {
            Why::LeftData
        };
        if level_ready && !out_left && (drained || (open.write_blocked && mask & IN == 0)) {
            self.set_kernel(open.slot, Kernel::Armed);
        } else if level_ready {
            let lo = reg.s.reported.unwrap_or(at.t).min(at.t);
            reg.ready_since.get_or_insert(Range { lo, hi: at.t });
            let runs = self
                .loops
                .get(seat.loop_id as usize)
                .map_or(0, |l| l.runs_total);
            if reg.s.drain == Drain::Left || out_left {
                reg.s.ready_runs.get_or_insert(runs);
            }
        } else if reg.s.kernel == Kernel::Ready && drained {
            // A new edge, and its data, came during the run and were read by it: the re-check finds nothing.
            self.set_kernel(open.slot, Kernel::Armed);
        }
        let (why, fidelity) = match self.regs.get(open.slot).map(|r| r.s.kernel) {
            // Closed by its own handler, or by somebody while that ran; a ghost was reported, that is no guess.
            Some(Kernel::Gone) => (Why::Close, Fidelity::Measured),
            Some(Kernel::Ghost) => (Why::CloseWithAlias, Fidelity::Measured),
            _ => (why, fidelity),
        };
        self.show(open.slot, at, why, fidelity, sink);
    }

    /// Adds a run to the loop's fairness window; closes the window before it.
    fn share_window<S: Sink + ?Sized>(&mut self, loop_id: Id, run: &Run, slot: u32, sink: &mut S) {
        let Some(l) = self.loops.get_mut(loop_id as usize) else {
            return;
        };
        let number = run.end / WINDOW_NS + 1;
        if number > l.window.number {
            let mut sums = Sums::default();
            for slot in l.window.touched.drain(..) {
                if let Some(reg) = self
                    .regs
                    .get(slot)
                    .filter(|r| r.s.window == l.window.number && r.loop_id == loop_id)
                {
                    sums.add(reg.s.window_run, reg.s.window_queue);
                }
            }
            if let Some(index) = sums.index() {
                sink.fairness(&Fairness {
                    loop_id,
                    start: l.window.number.saturating_sub(1) * WINDOW_NS,
                    index,
                    fds: u32::try_from(sums.n).unwrap_or(u32::MAX),
                    longest: l.window.longest,
                });
                l.window.last = Some(index);
            }
            l.window.number = number;
            l.window.longest = None;
        }
        let Some(reg) = self.regs.get_mut(slot) else {
            return;
        };
        if reg.s.window != l.window.number {
            reg.s.window = l.window.number;
            reg.s.window_run = 0;
            reg.s.window_queue = 0;
            l.window.touched.push(slot);
        }
        reg.s.window_run = reg.s.window_run.saturating_add(run.run());
        reg.s.window_queue = reg.s.window_queue.saturating_add(run.queue());
        let wait = run.wait().map_or(run.queue(), |w| w.hi);
        if l.window.longest.is_none_or(|(_, longest)| wait > longest) {
            l.window.longest = Some((run.reg, wait));
        }
    }

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
    fn busy_seat(&self, thread: Id) -> Option<Seat> {
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
                since: at.t,
            });
        }
    }

    pub(super) fn call_end(&mut self, thread: Id, at: At) {
        let Some(t) = self.threads.get_mut(thread as usize) else {
            return;
        };
        if let Some((_, _, since)) = t.work.call.take() {
            self.in_call(thread, at.t.saturating_sub(since));
        }
        if let Some(seat) = self.busy_seat(thread)
            && let Some(ts) = self.seat(seat)
        {
            ts.call = None;
        }
    }
}
