//! A turn ends, or is given up for lost; the waiting its segments caused goes into the totals. Step: **model**.

use super::facts::{Fidelity, Id, Part, Sink, Turn, Why};
use super::loops::{ItemState, Phase};
use super::process::Seat;
use super::spent::Spent;
use super::states::At;
use super::{Model, NONE};

impl Model {
    /// The turn ends: its batch is over, its figures go out.
    pub(super) fn end_turn<S: Sink + ?Sized>(&mut self, seat: Seat, at: At, sink: &mut S) {
        match self.seat(seat) {
            Some(ts) if ts.in_turn => {}
            _ => return,
        }
        self.end_side_work(seat, at);
        self.tell_served(seat, sink);
        self.skip_rest(seat, at, sink);
        self.unpin(seat, at, sink);
        self.segment(seat, at.t, Part::Wait, NONE, sink);
        let Some(l) = self.loops.get_mut(seat.loop_id as usize) else {
            return;
        };
        let Some(ts) = l.threads.get_mut(seat.at as usize) else {
            return;
        };
        ts.in_turn = false;
        let length = at.t.saturating_sub(ts.wakeup);
        l.turns += 1;
        l.busy_ns = l.busy_ns.saturating_add(length);
        l.run_ns = l.run_ns.saturating_add(ts.parts.run_ns);
        l.timer_ns = l.timer_ns.saturating_add(ts.parts.timer_ns);
        l.task_ns = l.task_ns.saturating_add(ts.parts.task_ns);
        l.tail_ns = l.tail_ns.saturating_add(ts.parts.tail_ns);
        l.iteration.record(length);
        let turn = Turn {
            loop_id: seat.loop_id,
            thread: ts.thread,
            number: ts.turn,
            event: ts.wakeup_event,
            start: ts.wakeup,
            end: at.t.max(ts.wakeup),
            batch: ts.batch_len,
            maxevents: ts.maxevents,
            runs: ts.parts.runs,
            skipped: ts.parts.skipped,
            run_ns: ts.parts.run_ns,
            timer_ns: ts.parts.timer_ns,
            task_ns: ts.parts.task_ns,
            tail_ns: ts.parts.tail_ns,
            longest: ts.parts.longest,
            spent: Spent::default(),
        };
        let spent = self.spent(turn.thread, turn.start, turn.end).0;
        let turn = Turn { spent, ..turn };
        sink.turn(&turn);
        self.give_blame(seat, 0, false);
    }

    /// The loop is closed: what its threads do from now on is no handler of it, whatever they were told before. A handler that
    /// the program marks goes on until the program says so.
    pub(super) fn close_turns<S: Sink + ?Sized>(&mut self, loop_id: Id, at: At, sink: &mut S) {
        let mut place = 0;
        loop {
            let seat = Seat { loop_id, at: place };
            place += 1;
            let Some(ts) = self.seat(seat) else { return };
            if !ts.in_turn || !ts.inferred || ts.marks {
                continue;
            }
            let thread = ts.thread;
            self.close_runs(thread, seat, at, sink);
            self.end_turn(seat, at, sink);
            self.abandon(seat, at, sink);
            if let Some(ts) = self.seat(seat) {
                ts.phase = Phase::Closed;
            }
        }
    }

    /// Brings what a thread's segments caused up to date; those that end before `horizon` are dropped.
    pub(super) fn give_blame(&mut self, seat: Seat, horizon: u64, always: bool) {
        let Some(l) = self.loops.get_mut(seat.loop_id as usize) else {
            return;
        };
        let Some(ts) = l.threads.get_mut(seat.at as usize) else {
            return;
        };
        if !always && !ts.retained.is_due() {
            return;
        }
        let regs = &mut self.regs;
        let caused = &mut l.caused;
        let add = |total: &mut u64, more: i64| *total = total.saturating_add_signed(more);
        ts.retained.settle(horizon, |part, slot, [lo, hi]| {
            let range = match part {
                Part::Run(id) | Part::More(id) => {
                    if let Some(reg) = regs.get_mut(slot).filter(|r| r.id == id) {
                        add(&mut reg.caused_lo, lo);
                        add(&mut reg.caused_hi, hi);
                    }
                    return;
                }
                Part::Timer(_) => &mut caused.timers,
                Part::Task(_) => &mut caused.tasks,
                Part::Rest => &mut caused.rest,
                Part::Wait => &mut caused.wait,
                Part::Tail(_) => &mut caused.tail,
            };
            add(&mut range.lo, lo);
            add(&mut range.hi, hi);
        });
    }

    /// Lost events: forget what the thread was doing on this loop.
    pub(super) fn abandon<S: Sink + ?Sized>(&mut self, seat: Seat, at: At, sink: &mut S) {
        self.give_blame(seat, 0, true);
        let Some(ts) = self.seat(seat) else { return };
        ts.phase = Phase::Unknown;
        ts.call = None;
        ts.awaited = 0;
        ts.in_turn = false;
        ts.depth = 0;
        ts.segment = None;
        ts.retained.clear();
        let run = ts.run.take();
        let thread = ts.thread;
        if let Some(run) = run
            && let Some(reg) = self.regs.get_mut(run.slot)
        {
            reg.s.running = reg.s.running.saturating_sub(1);
            if run.served == NONE {
                reg.s.pins = reg.s.pins.saturating_sub(1);
            }
            self.show(run.slot, at, Why::Lost, Fidelity::Absent, sink);
        }
        // What had ended before the loss is known as well as it ever will be.
        self.tell_served(seat, sink);
        let mut index = 0;
        while let Some(item) = self.seat(seat).and_then(|ts| ts.batch.get_mut(index)) {
            index += 1;
            if item.state == ItemState::Fetched || item.state == ItemState::Running {
                let fetched = item.state == ItemState::Fetched;
                item.state = ItemState::Unmarked;
                let slot = item.slot;
                if let Some(reg) = self.regs.get_mut(slot) {
                    reg.s.fetched = reg.s.fetched.saturating_sub(u32::from(fetched));
                }
                self.show(slot, at, Why::Lost, Fidelity::Absent, sink);
            }
        }
        self.unpin(seat, at, sink);
        if let Some(ts) = self.seat(seat) {
            ts.batch.clear();
        }
        if let Some(t) = self.threads.get_mut(thread as usize) {
            t.work.open.retain(|open| *open != seat);
        }
    }
}
