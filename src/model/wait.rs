//! Entry into a wait and return from it: the wakeup, with which a turn begins. Step: **model**.

use super::facts::{Id, Part, Sink};
use super::loops::{Loop, LoopKind, Phase, TurnParts};
use super::states::At;
use super::{Model, NONE};
use crate::record::event::{Event, Op, flags};

/// −EINTR
const INTERRUPTED: i32 = -4;

impl Loop {
    /// A wait has returned `n` events, or −errno.
    pub(super) fn count_return(&mut self, n: i32) {
        self.waits += 1;
        match n {
            1.. => {
                self.wakeups += 1;
                self.ready += n as u64;
                self.max_batch = self.max_batch.max(n as u32);
            }
            0 => self.timeouts += 1,
            INTERRUPTED => self.interrupted += 1,
            _ => self.failed += 1,
        }
    }
}

impl Model {
    pub(super) fn wait_enter<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        if let Some(t) = self.threads.get_mut(thread as usize) {
            t.work.looked.enters();
        }
        if Self::is_polling(e) {
            let own = self.polled_seat(thread, e);
            let Some(t) = self.threads.get(thread as usize) else {
                return;
            };
            if let Some(outer) = t.work.open.last().copied()
                && own.is_none_or(|own| !t.work.open.contains(&own))
                && !self.polls_outside(&t.work.open, own)
            {
                if let Some(t) = self.threads.get_mut(thread as usize) {
                    t.work.nested_poll = Some(at.t);
                }
                if let Some(l) = self.loops.get_mut(outer.loop_id as usize) {
                    l.nested_polls += 1;
                }
                return;
            }
            if self.asks(thread, e) {
                return;
            }
        }
        self.touched(thread, process, e, at, sink);
        let Some(seat) = self.wait_seat(thread, process, e) else {
            return;
        };
        self.leave_others(thread, &[e.fd], at, sink);
        self.close_runs(thread, seat, at, sink);
        self.set_aside(thread, seat, at, sink);
        self.end_turn(seat, at, sink);
        let started = self
            .threads
            .get(thread as usize)
            .map_or(at.t, |t| t.started);
        if let Some(l) = self.loops.get_mut(seat.loop_id as usize)
            && let Some(ts) = l.threads.get_mut(seat.at as usize)
            && !ts.begun
        {
            // What came in before the first wait was held up by the loop's own setting up.
            ts.segment
                .get_or_insert((l.since.max(started).min(at.t), Part::Rest, NONE));
        }
        self.segment(seat, at.t, Part::Wait, NONE, sink);
        if let Some(t) = self.threads.get_mut(thread as usize) {
            t.work.last = Some(seat);
        }
        self.adopt_timers(thread, seat.loop_id);
        let Some(ts) = self.seat(seat) else { return };
        ts.phase = Phase::Waiting {
            since: at.t,
            timeout: e.arg as i64,
        };
        ts.call = None;
        ts.depth = 0;
        ts.entered = at.t;
        ts.timeout = e.arg as i64;
        ts.maxevents = u32::try_from(e.x).unwrap_or(0);
        ts.waits += 1;
        ts.slept |= e.arg != 0;
        if e.arg != 0 {
            (ts.lay_down, ts.carried_since) = (at.t, u64::MAX);
        }
        if let Some(l) = self.loops.get_mut(seat.loop_id as usize) {
            l.unfinished += 1;
        }
        self.asks_for(seat, process, e, at, sink);
        self.doubt_from(seat.loop_id, at.t);
    }

    pub(super) fn wait_exit<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let nested = self.threads.get_mut(thread as usize);
        if let Some(since) = nested.and_then(|t| t.work.nested_poll.take())
            && Self::is_polling(e)
        {
            self.slept_in(thread, since, at.t, (Some(Op::Wait), 0, -1));
            self.in_call(thread, at.t.saturating_sub(since));
            return;
        }
        if self.is_answer(thread, e) {
            return;
        }
        self.touch_ends(thread, at);
        let infers = self.process_infers(process);
        let Some(seat) = self.wait_seat(thread, process, e) else {
            return;
        };
        self.come_back(thread, seat, at, sink);
        let Some(l) = self.loops.get_mut(seat.loop_id as usize) else {
            return;
        };
        let n = e.x;
        l.count_return(n);
        let Some(ts) = l.threads.get_mut(seat.at as usize) else {
            return;
        };
        let entered = match ts.phase {
            Phase::Waiting { since, .. } => since,
            _ => at.t,
        };
        if matches!(ts.phase, Phase::Waiting { .. }) {
            l.unfinished -= l.unfinished.min(1);
            l.wait_ns = l.wait_ns.saturating_add(at.t.saturating_sub(ts.entered));
        } else {
            // Its entry was lost: nobody knows how much room there was.
            ts.maxevents = 0;
        }
        let was_waiting = matches!(ts.phase, Phase::Waiting { .. });
        // A poll or select tells everything; how large its array was says nothing.
        let epoll = l.kind == LoopKind::Epoll;
        l.saturated += u64::from(epoll && n > 0 && n as u32 == ts.maxevents);
        l.turns_begun += 1;
        ts.turn = l.turns_begun;
        ts.wakeup = at.t;
        ts.wakeup_event = at.number;
        ts.phase = Phase::Rest { since: at.t };
        ts.batch_len = u32::try_from(n).unwrap_or(0);
        ts.awaited = ts.batch_len;
        // Nor does it prove anything of descriptors that may not have been in the array; one that came late has been over
        // for nobody knows how long.
        let late = e.flags & flags::LATE != 0;
        ts.exit_had_room = epoll && !late && n >= 0 && (n as u32) < ts.maxevents;
        ts.in_turn = true;
        ts.inferred = infers && !ts.marks;
        ts.next_item = 0;
        ts.parts = TurnParts::default();
        if let Some(t) = self.threads.get_mut(thread as usize) {
            let alone = t.work.seats.len() == 1 && t.work.open.is_empty();
            t.work.cpu.woke(entered, at.t, alone);
        }
        let looked = (self.threads.get(thread as usize))
            .map_or(at.t, |t| t.work.looked.since(entered, at.t));
        let Some(ts) = self.seat(seat) else { return };
        ts.looked = looked;
        let stranded = !was_waiting && (!ts.batch.is_empty() || ts.run.is_some());
        if stranded {
            self.abandon(seat, at, sink);
            let Some(ts) = self.seat(seat) else { return };
            ts.phase = Phase::Rest { since: at.t };
            ts.in_turn = true;
            ts.awaited = u32::try_from(n).unwrap_or(0);
        }
        let Some(ts) = self.seat(seat) else { return };
        ts.batch.clear();
        self.segment(seat, at.t, Part::Rest, NONE, sink);
        if n <= 0 {
            self.batch_complete(seat, at, sink);
        }
    }
}
