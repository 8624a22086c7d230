//! Handlers of programs that mark none, inferred from their calls. Step: **model**.
//!
//! A handler starts at the entry of the first call on its descriptor after the fetch, where the one before it ends; what
//! lies between the wakeup and the first start is the loop's rest. The last one ends with the last call on its descriptor;
//! what follows up to the next wait is its tail, which may be anything. A return to a descriptor already served is another
//! piece of its run. A call on any other descriptor belongs to the handler that runs, and so does one that does not answer
//! what was reported: a write where only input was, a close or change of what has not hung up.

use super::facts::{Fidelity, Id, Part, Run, Sink, Why};
use super::loops::{ItemState, OpenRun, Phase, ThreadState};
use super::process::Seat;
use super::registration::{ERR, HUP, IN, OUT, PRI, RDHUP};
use super::run::MAX_NESTED;
use super::spent::BlockedIn;
use super::states::At;
use super::{Model, NONE};
use crate::record::event::{Event, Kind, Op};

/// Later pieces of one run that are kept apart for blame.
pub(super) const MOST_PIECES: usize = 64;
/// Runs looked through for one whose registration has gone.
const LOOK_BACK: usize = 64;

/// A call of a thread, as far as handlers are concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    pub(super) fd: i32,
    /// What the number refers to, `NONE` when not known; how many times it has been opened.
    pub(super) desc: u32,
    generation: u32,
    entry: u64,
    exit: u64,
    /// Events it answers: one of them reported makes it the start of a handler.
    pub(super) answers: u32,
    /// It ends at a later event.
    begins: bool,
    site: u16,
}

impl ThreadState {
    /// The run under way is inferred.
    pub(super) fn inferred_run(&self) -> bool {
        (self.run.as_ref()).is_some_and(|open| open.facts.fidelity == Fidelity::Inferred)
    }

    /// Number of the `WaitExit` that told of what a run serves.
    fn told_by(&self, open: &OpenRun) -> u64 {
        let item = self.batch.get(open.item as usize);
        item.map_or(self.wakeup_event, |item| item.told_by)
    }
}

impl Model {
    /// Handlers are to be inferred where nobody marks them.
    #[inline]
    pub(super) fn process_infers(&self, process: Id) -> bool {
        self.processes
            .get(process as usize)
            .is_some_and(|p| p.infers)
    }

    /// A call on a descriptor, before what it does is looked at: it may start a handler, or carry one on.
    #[inline]
    pub(super) fn touched<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        if !self.process_infers(process) {
            return;
        }
        let (answers, begins) = match e.kind {
            Kind::Io => (answered(Op::from_code(e.aux)), false),
            // A loop nested in this one: its descriptor was reported.
            Kind::WaitEnter => (IN | PRI | ERR | HUP, true),
            Kind::CtlBegin | Kind::FdCloseBegin | Kind::DupBegin => (ERR | HUP | RDHUP, true),
            _ => return,
        };
        let length = if e.kind == Kind::Io { e.y } else { 0 };
        let slot = self.slot(process, e.fd);
        let touch = Touch {
            fd: e.fd,
            desc: slot.desc,
            generation: slot.generation,
            entry: at.t.saturating_sub(length),
            exit: at.t,
            answers,
            begins,
            site: e.site,
        };
        let served_here = self.serve(thread, process, &touch, at, sink);
        if !served_here && e.kind == Kind::Io {
            self.hand_over(thread, &touch, at, sink);
        }
    }

    /// A call that had begun on the descriptor of the handler under way has returned.
    #[inline]
    pub(super) fn touch_ends(&mut self, thread: Id, at: At) {
        if let Some(open) = self.open_run(thread)
            && std::mem::take(&mut open.inside)
        {
            open.own = open.own.max(at.t);
            open.now_sure();
        }
    }

    /// The seats on which the thread may be serving a batch, the innermost first.
    fn busy_with(&self, thread: Id, nth: usize) -> Option<Seat> {
        let work = &self.threads.get(thread as usize)?.work;
        match nth {
            0 => work.last,
            _ => work.open.iter().rev().nth(nth - 1).copied(),
        }
    }

    /// When the innermost run of the thread began, if it is one that the program marks.
    fn marked_since(&self, thread: Id) -> Option<u64> {
        let seat = self.threads.get(thread as usize)?.work.open.last()?;
        let l = self.loops.get(seat.loop_id as usize)?;
        let run = &l.threads.get(seat.at as usize)?.run.as_deref()?.facts;
        (run.fidelity == Fidelity::Measured).then_some(run.start)
    }

    /// True if the call belongs to something this thread was told.
    fn serve<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        touch: &Touch,
        at: At,
        sink: &mut S,
    ) -> bool {
        if touch.desc == NONE {
            // Nobody has it open: nothing of it was reported.
            return false;
        }
        let marked = self.marked_since(thread);
        let mut nth = 0;
        while let Some(seat) = self.busy_with(thread, nth) {
            nth += 1;
            let Some(ts) = self.seat(seat) else { continue };
            if !ts.in_turn || !ts.inferred || ts.marks {
                continue;
            }
            if marked.is_some_and(|since| ts.wakeup < since) {
                // The run under way is one that the program marks, on another loop.
                return true;
            }
            if matches!(ts.phase, Phase::Timer { .. } | Phase::Task { .. }) {
                return false;
            }
            let under_way = ts
                .run
                .as_deref()
                .filter(|open| open.fd == touch.fd && open.generation == touch.generation)
                .map(|open| (open.slot, open.facts.reg, ts.told_by(open)));
            // Where another thread has been told of it since, a worker of a pool has gone on to that event.
            let under_way = under_way.filter(|(slot, reg, told_by)| {
                let told = self.regs.get(*slot).filter(|r| r.id == *reg);
                told.is_none_or(|r| r.s.reported_by <= *told_by)
            });
            if under_way.is_some() {
                let Some(open) = self.seat(seat).and_then(|ts| ts.run.as_deref_mut()) else {
                    continue;
                };
                open.own = open.own.max(touch.exit);
                open.inside |= touch.begins;
                open.now_sure();
                return true;
            }
            let told = self.item_of(seat, process, touch);
            let index = match told {
                usize::MAX => self.carry_over(seat, process, touch).unwrap_or(told),
                _ => told,
            };
            let Some(ts) = self.seat(seat) else { continue };
            let idle = ts.run.is_none();
            let Some(item) = ts.batch.get(index) else {
                continue;
            };
            match item.state {
                ItemState::Fetched if idle || item.mask & touch.answers != 0 => {}
                ItemState::Done if item.served != NONE => {}
                _ => return false,
            }
            let start = touch.entry.max(ts.segment.map_or(0, |(since, ..)| since));
            // A worker that takes over what another was told of may have been parked before, unseen.
            let parked = item.told_by > ts.wakeup_event;
            self.pass_on(thread, seat, parked, At { t: start, ..at }, sink);
            self.piece(thread, seat, index, touch, At { t: start, ..at }, sink);
            return true;
        }
        false
    }

    /// The item of the seat's batch that is about the call's descriptor; `usize::MAX` for none.
    fn item_of(&mut self, seat: Seat, process: Id, touch: &Touch) -> usize {
        let slot = self.keyed(seat.loop_id, process, touch.fd);
        let told = self.regs.get(slot).map(|r| (r.s.item, r.s.reported_by));
        let Some(ts) = self.seat(seat) else {
            return usize::MAX;
        };
        if let Some(((place, index), exit)) = told {
            let item = ts.batch.get(index as usize).filter(|_| place == seat.at);
            let here = item.is_some_and(|item| item.slot == slot && item.told_by == exit);
            return if here { index as usize } else { usize::MAX };
        }
        // Its registration has ended; its handler goes on, and closes the descriptor at last.
        let served = ts.served.iter().rev().take(LOOK_BACK);
        let mut same =
            served.filter(|open| open.fd == touch.fd && open.generation == touch.generation);
        same.next().map_or(usize::MAX, |open| open.item as usize)
    }

    /// The handler under way on this seat ends where the next one starts, or with its last call where the thread may have
    /// been parked since; whatever was nested in it before.
    fn pass_on<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        seat: Seat,
        parked: bool,
        at: At,
        sink: &mut S,
    ) {
        let Some(t) = self.threads.get(thread as usize) else {
            return;
        };
        if let Some(depth) = t.work.open.iter().position(|open| *open == seat) {
            while let Some(t) = self.threads.get_mut(thread as usize)
                && t.work.open.len() > depth
                && let Some(inner) = t.work.open.pop()
            {
                if inner == seat && !parked {
                    self.end_piece(seat, at, sink);
                } else {
                    self.end_run(inner, at, sink);
                }
            }
        } else if parked {
            self.end_run(seat, at, sink);
        } else {
            self.end_piece(seat, at, sink);
        }
    }

    /// A handler starts, or is come back to.
    fn piece<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        seat: Seat,
        index: usize,
        touch: &Touch,
        at: At,
        sink: &mut S,
    ) {
        let Some(l) = self.loops.get_mut(seat.loop_id as usize) else {
            return;
        };
        l.inferred = true;
        let runs_total = l.runs_total;
        let Some(ts) = l.threads.get_mut(seat.at as usize) else {
            return;
        };
        let (turn, batch) = (ts.turn, ts.batch_len);
        let Some(item) = ts.batch.get_mut(index) else {
            return;
        };
        let slot = item.slot;
        item.state = ItemState::Running;
        let again = ts.served.get(item.served as usize).cloned();
        let first = again.is_none();
        let mut open = again.unwrap_or_else(|| OpenRun {
            facts: Run {
                event: at.number,
                loop_id: seat.loop_id,
                reg: item.reg,
                role: 0,
                thread,
                turn,
                index: index as u16,
                batch,
                mask: item.mask,
                wakeup: item.told.min(at.t),
                start: at.t,
                end: at.t,
                more: 0,
                fidelity: Fidelity::Inferred,
                ready: item.ready,
                notice: None,
                notice_fidelity: item.fidelity,
                asleep: 0,
                handler: 0,
                site: touch.site,
                bytes_in: 0,
                bytes_out: 0,
                ios: 0,
                in_call: 0,
                spent: Default::default(),
                blocked_in: None,
                drained: false,
                bypassed: u32::try_from(runs_total.saturating_sub(item.runs_at))
                    .unwrap_or(u32::MAX),
                behalf: None,
            },
            slot,
            item: index as u32,
            read: false,
            eof: false,
            write_blocked: false,
            piece: at.t,
            own: at.t,
            inside: false,
            fd: touch.fd,
            generation: touch.generation,
            served: NONE,
            noticed: item.noticed,
            sure: [0; 4],
        });
        open.piece = at.t;
        open.own = touch.exit.max(at.t);
        open.inside = touch.begins;
        let id = open.facts.reg;
        if let Some(reg) = self.regs.get_mut(slot) {
            reg.s.running += 1;
            if first {
                reg.s.fetched = reg.s.fetched.saturating_sub(1);
                reg.s.pins += 1;
                reg.s.unserved = false;
                reg.s.carried = None;
                open.facts.handler = reg.handler;
            }
        }
        let part = if first { Part::Run(id) } else { Part::More(id) };
        self.segment(seat, at.t, part, slot, sink);
        let Some(ts) = self.seat(seat) else { return };
        ts.phase = Phase::Running {
            reg: Some(id),
            since: at.t,
        };
        ts.run = Some(Box::new(open));
        self.show(slot, at, Why::Start, Fidelity::Inferred, sink);
        if let Some(t) = self.threads.get_mut(thread as usize)
            && t.work.open.len() < MAX_NESTED
        {
            t.work.open.push(seat);
        }
    }

    /// The piece under way ends; its run may be come back to until the turn ends.
    fn end_piece<S: Sink + ?Sized>(&mut self, seat: Seat, at: At, sink: &mut S) {
        let Some(ts) = self.seat(seat) else { return };
        if !ts.inferred_run() {
            return self.end_run(seat, at, sink);
        }
        let Some(mut open) = ts.run.take() else {
            return;
        };
        let t = at.t.max(open.piece);
        if open.served == NONE {
            self.run_over(seat, &mut open, t);
        } else {
            open.facts.more = open.facts.more.saturating_add(t - open.piece);
            let (spent, blocked_in) = self.spent(open.facts.thread, open.piece, t);
            open.facts.spent.add(&spent);
            open.facts.blocked_in = BlockedIn::longer(open.facts.blocked_in, blocked_in);
            self.stretch_over(&open.facts, open.piece, t);
            if let Some(reg) = self.regs.get_mut(open.slot) {
                reg.s.running = reg.s.running.saturating_sub(1);
                if reg.s.last_more.len() < MOST_PIECES {
                    reg.s.last_more.push((open.piece, t));
                }
            }
        }
        let Some(ts) = self.seat(seat) else { return };
        ts.phase = Phase::Rest { since: t };
        if open.served == NONE {
            open.served = ts.served.len() as u32;
            ts.served.push((*open).clone());
        } else if let Some(served) = ts.served.get_mut(open.served as usize) {
            served.clone_from(&open);
        }
        if let Some(item) = ts.batch.get_mut(open.item as usize) {
            item.state = ItemState::Done;
            item.served = open.served;
        }
        self.segment(seat, t, Part::Rest, NONE, sink);
        self.after_run(seat, &open, At { t, ..at }, sink);
    }

    /// The thread turns to the loop of `epfds`: the inferred handlers it was busy with are over, unless one of these is what
    /// they serve.
    pub(super) fn leave_others<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        epfds: &[i32],
        at: At,
        sink: &mut S,
    ) {
        let mut index = 0;
        while let Some(seat) = (self.threads.get(thread as usize))
            .and_then(|t| t.work.open.get(index))
            .copied()
        {
            let Some(ts) = self.seat(seat) else { return };
            let nested = ts
                .run
                .as_deref()
                .is_some_and(|open| epfds.contains(&open.fd));
            if nested || !ts.inferred_run() {
                index += 1;
            } else {
                self.close_runs(thread, seat, at, sink);
            }
        }
    }

    /// Nothing more is served: the last handler ended with the last call on its descriptor, its tail goes on until now.
    pub(super) fn leave<S: Sink + ?Sized>(&mut self, seat: Seat, at: At, sink: &mut S) {
        let Some(ts) = self.seat(seat) else { return };
        let Some(open) = ts.run.as_deref_mut() else {
            return;
        };
        open.only_sure();
        let (slot, id) = (open.slot, open.facts.reg);
        let end = open.own.max(open.piece).min(at.t);
        self.end_piece(seat, At { t: end, ..at }, sink);
        let tail = at.t - end;
        self.segment(seat, end, Part::Tail(id), NONE, sink);
        if let Some(reg) = self.regs.get_mut(slot) {
            reg.tail.record(tail);
        }
        let Some(ts) = self.seat(seat) else { return };
        ts.parts.tail_ns = ts.parts.tail_ns.saturating_add(tail);
        ts.phase = Phase::Rest { since: at.t };
        self.segment(seat, at.t, Part::Rest, NONE, sink);
    }

    /// The turn ends: its inferred runs are complete.
    pub(super) fn tell_served<S: Sink + ?Sized>(&mut self, seat: Seat, sink: &mut S) {
        let Some(ts) = self.seat(seat) else { return };
        if ts.served.is_empty() {
            return;
        }
        let mut served = std::mem::take(&mut ts.served);
        for open in &mut served {
            self.run_told(seat, open, sink);
        }
        served.clear();
        let Some(ts) = self.seat(seat) else { return };
        // The room is used again by the next turn.
        ts.served = served;
        ts.batch.iter_mut().for_each(|item| item.served = NONE);
    }
}

/// The events a call answers.
fn answered(op: Option<Op>) -> u32 {
    let gone = ERR | HUP | RDHUP;
    match op {
        Some(Op::Read | Op::Recv | Op::Peek | Op::Accept) => IN | PRI | gone,
        Some(Op::Write | Op::Send | Op::Sendfile | Op::Splice | Op::Connect) => OUT | gone,
        Some(Op::Shutdown) => gone,
        _ => IN | PRI | OUT | gone,
    }
}
