//! Waits, ready batches and turns. Step: **model**.

use super::facts::{Fidelity, Id, Part, Range, Segment, Sink, Turn, Why};
use super::loops::{Item, ItemState, LoopKind, Phase, ThreadState, TurnParts};
use super::process::Seat;
use super::registration::{Kernel, OUT};
use super::states::{At, Birth};
use super::{Drain, Model, NONE};
use crate::record::event::{Event, Wait};

/// −EINTR
const INTERRUPTED: i32 = -4;
/// Threads on all loops together, at most.
const MAX_SEATS: usize = 131_072;
/// Events of one batch that are kept; the kernel allows more, no program asks for it.
const MAX_BATCH: usize = 65_536;

impl Model {
    #[inline]
    pub(super) fn seat(&mut self, seat: Seat) -> Option<&mut ThreadState> {
        self.loops
            .get_mut(seat.loop_id as usize)?
            .threads
            .get_mut(seat.at as usize)
    }

    /// The thread's place on the loop that `epfd` stands for.
    #[inline]
    pub(super) fn seat_at(&mut self, thread: Id, process: Id, epfd: i32, t: u64) -> Option<Seat> {
        if let Some((fd, epoch, seat)) = self.threads.get(thread as usize)?.work.cached
            && fd == epfd
            && epoch == self.epoch
        {
            return Some(seat);
        }
        let loop_id = self.loop_at(process, epfd, t)?;
        let seat = self.sit(thread, loop_id)?;
        self.threads.get_mut(thread as usize)?.work.cached = Some((epfd, self.epoch, seat));
        Some(seat)
    }

    fn sit(&mut self, thread: Id, loop_id: Id) -> Option<Seat> {
        let l = self.loops.get_mut(loop_id as usize)?;
        if let Some(at) = l.seats.get(&thread) {
            return Some(Seat { loop_id, at: *at });
        }
        if self.seats_used >= MAX_SEATS {
            self.ignored += 1;
            return None;
        }
        self.seats_used += 1;
        let at = l.threads.len() as u32;
        l.threads.push(ThreadState::new(thread));
        l.seats.insert(thread, at);
        let seat = Seat { loop_id, at };
        self.threads.get_mut(thread as usize)?.work.seats.push(seat);
        Some(seat)
    }

    /// The seat of a wait event: an epoll loop, or the thread's own poll or select loop.
    fn wait_seat(&mut self, thread: Id, process: Id, e: &Event) -> Option<Seat> {
        let kind = match Wait::from_code(e.aux) {
            Some(Wait::Poll | Wait::Ppoll) => LoopKind::Poll,
            Some(Wait::Select | Wait::Pselect) => LoopKind::Select,
            _ => return self.seat_at(thread, process, e.fd, e.t),
        };
        let key = (thread, kind as u8);
        let loop_id = match self.poll_loops.get(&key) {
            Some(id) => *id,
            None => {
                let id = self.new_loop(process, kind, e.t)?;
                self.poll_loops.insert(key, id);
                self.join_loop(process, id, -1);
                id
            }
        };
        self.sit(thread, loop_id)
    }

    fn is_polling(e: &Event) -> bool {
        matches!(
            Wait::from_code(e.aux),
            Some(Wait::Poll | Wait::Ppoll | Wait::Select | Wait::Pselect)
        )
    }

    /// Ends the segment under way at `t` and begins the next.
    #[inline]
    pub(super) fn segment<S: Sink + ?Sized>(
        &mut self,
        seat: Seat,
        t: u64,
        part: Part,
        slot: u32,
        sink: &mut S,
    ) {
        let Some(ts) = self.seat(seat) else { return };
        let mut start = t;
        if let Some((since, before, before_slot)) = ts.segment {
            if t <= since {
                // Nothing passed; a part of no length leaves no segment.
                start = since;
            } else if before == part && matches!(part, Part::Rest | Part::Wait) {
                return;
            } else {
                ts.retained.push(since, t, before, before_slot);
                sink.segment(&Segment {
                    loop_id: seat.loop_id,
                    thread: ts.thread,
                    start: since,
                    end: t,
                    part: before,
                });
            }
        }
        ts.begun = true;
        ts.segment = Some((start, part, slot));
    }

    pub(super) fn wait_enter<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        if Self::is_polling(e) {
            let Some(t) = self.threads.get_mut(thread as usize) else {
                return;
            };
            if let Some(outer) = t.work.open.last().copied() {
                t.work.nested_poll = Some(at.t);
                if let Some(l) = self.loops.get_mut(outer.loop_id as usize) {
                    l.nested_polls += 1;
                }
                return;
            }
        }
        let Some(seat) = self.wait_seat(thread, process, e) else {
            return;
        };
        self.close_runs(thread, seat, at, sink);
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
        if let Some(l) = self.loops.get_mut(seat.loop_id as usize) {
            l.unfinished += 1;
        }
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
            self.in_call(thread, at.t.saturating_sub(since));
            return;
        }
        let Some(seat) = self.wait_seat(thread, process, e) else {
            return;
        };
        let Some(l) = self.loops.get_mut(seat.loop_id as usize) else {
            return;
        };
        let Some(ts) = l.threads.get_mut(seat.at as usize) else {
            return;
        };
        let n = e.x;
        l.waits += 1;
        match n {
            1.. => {
                l.wakeups += 1;
                l.ready += n as u64;
                l.max_batch = l.max_batch.max(n as u32);
            }
            0 => l.timeouts += 1,
            INTERRUPTED => l.interrupted += 1,
            _ => l.failed += 1,
        }
        if matches!(ts.phase, Phase::Waiting { .. }) {
            l.unfinished -= l.unfinished.min(1);
            l.wait_ns = l.wait_ns.saturating_add(at.t.saturating_sub(ts.entered));
        } else {
            // Its entry was lost: nobody knows how much room there was.
            ts.maxevents = 0;
        }
        let was_waiting = matches!(ts.phase, Phase::Waiting { .. });
        l.saturated += u64::from(n > 0 && n as u32 == ts.maxevents);
        l.turns_begun += 1;
        ts.turn = l.turns_begun;
        ts.wakeup = at.t;
        ts.wakeup_event = at.number;
        ts.phase = Phase::Rest { since: at.t };
        ts.batch_len = u32::try_from(n).unwrap_or(0);
        ts.awaited = ts.batch_len;
        ts.exit_had_room = n >= 0 && (n as u32) < ts.maxevents;
        ts.in_turn = true;
        ts.next_item = 0;
        ts.parts = TurnParts::default();
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

    pub(super) fn ready<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let seat = match self.threads.get(thread as usize).and_then(|t| t.work.last) {
            // The batch of a poll or select carries no descriptor that leads to its loop.
            Some(seat) if e.fd < 0 => Some(seat),
            _ => self.seat_at(thread, process, e.fd, e.t),
        };
        let Some(seat) = seat else { return };
        let Some(ts) = self.seat(seat) else { return };
        if ts.awaited == 0 || ts.batch.len() >= MAX_BATCH {
            self.ignored += 1;
            return;
        }
        ts.awaited -= 1;
        let (wakeup, exit, index, last) = (
            ts.wakeup,
            ts.wakeup_event,
            ts.batch.len() as u32,
            ts.awaited == 0,
        );
        let slot = self.reported_reg(seat.loop_id, process, e.arg, exit, at, sink);
        let mask = e.x as u32;
        let mut item = Item {
            reg: Id::MAX,
            mask,
            data: e.arg,
            state: ItemState::Fetched,
            ready: None,
            fidelity: Fidelity::Absent,
            slot,
            runs_at: 0,
            stale: false,
        };
        if let Some(l) = self.loops.get_mut(seat.loop_id as usize)
            && let Some(reg) = self.regs.get_mut(slot)
        {
            let s = &mut reg.s;
            let proof = [l.room_exit, s.reported, s.proven]
                .into_iter()
                .chain([s.emptied.filter(|_| mask & OUT == 0)])
                .flatten()
                .max();
            item.reg = reg.id;
            item.ready = proof.map(|lo| Range {
                lo: lo.min(wakeup),
                hi: wakeup,
            });
            item.fidelity = if proof.is_some() {
                Fidelity::Bounded
            } else {
                Fidelity::Absent
            };
            item.runs_at = s.ready_runs.unwrap_or(l.runs_total);
            reg.ready += 1;
            let previous = s.reported.replace(wakeup);
            let drained = s.drain == Drain::Drained;
            s.reported_by = exit;
            s.fetched += 1;
            s.pins += 1;
            s.item = (seat.at, index);
            let ghost = s.kernel == Kernel::Ghost || s.lingering || s.kernel == Kernel::Gone;
            let (kernel, drain) = Self::after_report(reg.interest);
            reg.s.drain = drain;
            if mask & OUT != 0 {
                reg.s.blocked_out = false;
            }
            let kernel = match (ghost, reg.s.interest_known) {
                (true, _) => Kernel::Ghost,
                (false, true) => kernel,
                (false, false) => Kernel::Armed,
            };
            if ghost {
                reg.closed_ns = None;
            }
            let known = reg.s.interest_known;
            self.stamped(slot, &mut item, wakeup, previous, drained);
            self.set_kernel(slot, kernel);
            if known {
                self.known_again(slot);
            }
        }
        if let Some(ts) = self.seat(seat) {
            ts.batch.push(item);
        }
        self.show(slot, at, Why::Reported, Fidelity::Measured, sink);
        if last {
            self.batch_complete(seat, at, sink);
        }
    }

    /// The registration a reported data word belongs to. A word nobody set makes one of unknown fidelity.
    fn reported_reg<S: Sink + ?Sized>(
        &mut self,
        loop_id: Id,
        process: Id,
        data: u64,
        exit: u64,
        at: At,
        sink: &mut S,
    ) -> u32 {
        let head = self
            .loops
            .get(loop_id as usize)
            .map_or(NONE, |l| l.data.get(data));
        let mut slot = head;
        // Several registrations with one word: the last set that this batch has not named yet.
        for _ in 0..super::states::MAX_CHAIN {
            let Some(reg) = self.regs.get(slot) else {
                break;
            };
            if reg.s.reported_by != exit || reg.s.reported.is_none() {
                return slot;
            }
            slot = reg.s.of_data.next;
        }
        if head != NONE {
            return head;
        }
        let slot = self.birth(
            &Birth {
                loop_id,
                process,
                fd: -1,
                generation: 0,
                desc: NONE,
                interest: None,
                data: Some(data),
                fidelity: Fidelity::Absent,
            },
            at,
            Why::Reported,
            sink,
        );
        if let Some(reg) = self.regs.get_mut(slot) {
            reg.name = format!("data {data:#x}").into();
        }
        slot
    }

    /// Every event of the batch is there (or the wait returned none).
    fn batch_complete<S: Sink + ?Sized>(&mut self, seat: Seat, at: At, sink: &mut S) {
        let Some(l) = self.loops.get_mut(seat.loop_id as usize) else {
            return;
        };
        let Some(ts) = l.threads.get_mut(seat.at as usize) else {
            return;
        };
        let (room, exit, wakeup) = (ts.exit_had_room, ts.wakeup_event, ts.wakeup);
        let mut horizon = ts
            .batch
            .iter()
            .filter_map(|i| i.ready)
            .map(|r| r.lo)
            .min()
            .unwrap_or(wakeup);
        if room {
            l.room_exit = l.room_exit.max(Some(wakeup));
            let refuted: Vec<u32> = l
                .believed
                .iter()
                .copied()
                .filter(|slot| {
                    self.regs
                        .get(*slot)
                        .is_some_and(|r| r.s.reported_by != exit)
                })
                .collect();
            for slot in refuted {
                if let Some(reg) = self.regs.get_mut(slot) {
                    reg.s.drain = Drain::Unknown;
                }
                self.set_kernel(slot, Kernel::Armed);
                self.show(slot, at, Why::NotReported, Fidelity::Inferred, sink);
            }
        } else {
            // What was not reported may have been ready since before the last wait with room.
            horizon = horizon.min(l.room_exit.unwrap_or(0));
        }
        self.give_blame(seat, horizon, false);
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
                Part::Run(id) => {
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
            };
            add(&mut range.lo, lo);
            add(&mut range.hi, hi);
        });
    }

    /// What the batch did not get to: skipped, or nobody knows where the program marks no handlers.
    pub(super) fn skip_rest<S: Sink + ?Sized>(&mut self, seat: Seat, at: At, sink: &mut S) {
        let mut index = 0;
        loop {
            let Some(l) = self.loops.get_mut(seat.loop_id as usize) else {
                return;
            };
            let (marked, runs_total) = (l.marked, l.runs_total);
            let Some(ts) = l.threads.get_mut(seat.at as usize) else {
                return;
            };
            let wakeup = ts.wakeup;
            let Some(item) = ts.batch.get_mut(index) else {
                return;
            };
            index += 1;
            if item.state != ItemState::Fetched {
                continue;
            }
            let slot = item.slot;
            item.state = if marked {
                ItemState::Skipped
            } else {
                ItemState::Unmarked
            };
            if let Some(reg) = self.regs.get_mut(slot) {
                if reg.s.fetched == 0 {
                    item.state = ItemState::Stale;
                    item.stale = true;
                    continue;
                }
                reg.s.fetched -= 1;
                if marked {
                    reg.skipped += 1;
                    if reg.is_edge() && reg.s.kernel == Kernel::Armed {
                        reg.s.drain = Drain::Left;
                    }
                    if reg.s.kernel == Kernel::Ready {
                        let lo = reg.s.reported.unwrap_or(at.t).min(at.t);
                        reg.ready_since.get_or_insert(Range { lo, hi: at.t });
                        reg.s.ready_runs.get_or_insert(runs_total);
                    }
                } else if let Some(ready) = item.ready {
                    // No run will tell its notice time, so it is told now.
                    reg.notice_lo.record(wakeup.saturating_sub(ready.hi));
                    reg.notice_hi.record(wakeup.saturating_sub(ready.lo));
                    l.notice_lo.record(wakeup.saturating_sub(ready.hi));
                    l.notice_hi.record(wakeup.saturating_sub(ready.lo));
                }
            }
            ts.parts.skipped += u32::from(marked);
            l.skipped += u64::from(marked);
            let why = if marked { Why::Skipped } else { Why::LeftData };
            self.show(slot, at, why, Fidelity::Inferred, sink);
        }
    }

    /// The turn ends: its batch is over, its figures go out.
    pub(super) fn end_turn<S: Sink + ?Sized>(&mut self, seat: Seat, at: At, sink: &mut S) {
        match self.seat(seat) {
            Some(ts) if ts.in_turn => {}
            _ => return,
        }
        self.end_side_work(seat, at);
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
            longest: ts.parts.longest,
        };
        sink.turn(&turn);
        self.give_blame(seat, 0, false);
    }

    /// The batch's events refer to their registrations no longer.
    fn unpin<S: Sink + ?Sized>(&mut self, seat: Seat, at: At, sink: &mut S) {
        let mut index = 0;
        while let Some(item) = self.seat(seat).and_then(|ts| ts.batch.get_mut(index)) {
            index += 1;
            let (slot, stale) = (std::mem::replace(&mut item.slot, NONE), item.stale);
            let Some(reg) = self.regs.get_mut(slot) else {
                continue;
            };
            reg.s.pins = reg.s.pins.saturating_sub(1);
            if stale && reg.s.stale > 0 {
                reg.s.stale -= 1;
                let why = if reg.s.kernel == Kernel::Ghost {
                    Why::CloseWithAlias
                } else {
                    Why::Close
                };
                self.show(slot, at, why, Fidelity::Measured, sink);
            }
        }
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
            reg.s.pins = reg.s.pins.saturating_sub(1);
            self.show(run.slot, at, Why::Lost, Fidelity::Absent, sink);
        }
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
