//! From one event to what rules hear of: looks up what it is about, before and after the model has folded it in.
//! Step: model → **view**.

use super::asleep::Asleep;
use super::facts::{Called, Changed, Cx, Done, Hook, Life, POLLED, Report, Waited};
use super::stuck::Stuck;
use super::track::{Last, Story, Told};
use super::{Findings, process_of, tell};
use crate::model::{self, Busy, Id, Map, Model, Registration, ThreadState};
use crate::record::event::{Ctl, Event, FdKind, Kind, Off, Op, Wait, flags};

/// −EAGAIN
const AGAIN: i32 = -11;

/// A call that has begun.
#[derive(Clone, Copy, Debug)]
struct Begun {
    since: u64,
    event: u64,
    name: u32,
    fd: i32,
    site: u16,
    busy: Option<Busy>,
}

/// An epoll_ctl that has begun, and the registration it is about as it was.
#[derive(Clone, Copy, Debug)]
struct Asked {
    op: u16,
    fd: i32,
    event: u64,
    mask: u32,
    data: u64,
    /// Id, process, interest and data of the registration before.
    was: Option<(Id, Id, u32, u64)>,
}

/// What only the time before an event knows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    /// The number was open: its generation.
    open: Option<u32>,
    process: Id,
}

/// Calls under way, by thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Seams {
    calls: Map<Id, Begun>,
    asked: Map<Id, Asked>,
    asleep: Asleep,
    stuck: Stuck,
}

impl Seams {
    pub(super) fn forget(&mut self) {
        self.calls.clear();
        self.asked.clear();
        self.asleep.forget();
        self.stuck.forget();
    }

    /// Looks at what an event is about to change.
    #[inline]
    pub(super) fn before(&mut self, model: &Model, number: u64, e: &Event) -> Before {
        use Kind::{CtlBegin, DupBegin, DupEnd, FdCloseBegin, FdOpen};
        match e.kind {
            FdCloseBegin | DupBegin | FdOpen | CtlBegin | DupEnd => {
                self.number_before(model, number, e)
            }
            _ => Before::default(),
        }
    }

    /// The same of an event that opens, closes or changes a number.
    fn number_before(&mut self, model: &Model, number: u64, e: &Event) -> Before {
        let Some(thread) = model.thread_numbered(e.thread) else {
            return Before::default();
        };
        let process = process_of(model, thread);
        let fd = if e.kind == Kind::DupBegin { e.x } else { e.fd };
        if e.kind == Kind::CtlBegin {
            let loop_id = model.loop_through(process, e.y as i32);
            let reg = loop_id.and_then(|id| model.registration(id, process, e.fd));
            let asked = Asked {
                op: e.aux,
                fd: e.fd,
                event: number,
                mask: e.x as u32,
                data: e.arg,
                was: reg.map(|r| (r.id, r.process, r.interest, r.data)),
            };
            self.asked.insert(thread, asked);
        }
        Before {
            open: model.number(process, fd).map(|n| n.generation),
            process,
        }
    }

    /// Named calls that have not returned.
    pub(super) fn unfinished(&mut self, model: &Model) -> Vec<Called> {
        let mut all: Vec<Called> = (self.calls.iter())
            .filter_map(|(thread, begun)| {
                let t = model.threads().get(*thread as usize)?;
                let ended = t.ended.unwrap_or_else(|| model.now());
                called(*thread, t.process, begun, ended, true)
            })
            .collect();
        all.extend(self.stuck.unfinished(model));
        all.sort_by_key(|c| c.event);
        all
    }
}

fn called(thread: Id, process: Id, begun: &Begun, t: u64, goes_on: bool) -> Option<Called> {
    Some(Called {
        since: begun.since,
        t,
        event: begun.event,
        thread,
        process,
        name: begun.name,
        fd: begun.fd,
        site: begun.site,
        busy: begun.busy?,
        goes_on,
    })
}

type At = (u64, u64, bool);

impl Findings {
    /// Hands an event to the rules, after the model has folded it in.
    pub(super) fn event(&mut self, model: &Model, at: At, number: u64, e: &Event, was: Before) {
        match e.kind {
            Kind::ProcessEnd => {
                let ended = model.processes().iter().rev();
                let mut ended = ended.filter(|p| p.number == Some(e.arg));
                if let Some(process) = ended.next().map(|p| p.id) {
                    tell!(self, model, at, Life, life, process, Life::Ended);
                    self.tracks.process_ended(process);
                }
                return;
            }
            Kind::Anchor | Kind::Output | Kind::Name | Kind::ProcessStart => return,
            _ => {}
        }
        let Some(thread) = model.thread_numbered(e.thread) else {
            return;
        };
        let process = process_of(model, thread);
        if !model::says_nothing_of_a_call(e.kind) {
            self.seams.stuck.acts(thread);
        }
        match e.kind {
            Kind::Ready => self.ready(model, at, thread, process, e),
            Kind::Io => self.io(model, at, thread, process, e),
            Kind::WaitEnter => self.wait_enter(model, at, number, thread, process, e),
            Kind::WaitExit => self.wait_exit(model, at, thread, process, e),
            Kind::CtlEnd => self.ctl_end(model, at, thread, process, e),
            Kind::CallBegin => {
                let begun = Begun {
                    since: at.0,
                    event: number,
                    name: e.x as u32,
                    fd: e.fd,
                    site: e.site,
                    busy: model.busy(thread),
                };
                self.seams.calls.insert(thread, begun);
            }
            Kind::CallEnd => self.call_over(model, at, thread, process, false),
            Kind::ThreadEnd => {
                self.call_over(model, at, thread, process, true);
                if let Some(call) = self.seams.stuck.over(model, thread, at.0) {
                    tell!(self, model, at, Call, call, &call);
                }
                self.seams.asked.remove(&thread);
                self.seams.asleep.ended(thread);
                self.crowd.back(process, thread, at.0);
            }
            Kind::FdOpen => self.opened(model, at, process, e, was),
            Kind::FdCloseBegin if was.open.is_some() => {
                let closed = Life::Closed { fd: e.fd };
                tell!(self, model, at, Life, life, process, closed);
                self.tracks.closed(process, e.fd);
            }
            Kind::DupBegin if was.open.is_some() => {
                let closed = Life::Closed { fd: e.x };
                tell!(self, model, at, Life, life, process, closed);
                self.tracks.closed(was.process, e.x);
            }
            Kind::FdSeen => {
                let seen = Life::Seen { fd: e.fd };
                tell!(self, model, at, Life, life, process, seen);
            }
            Kind::FdGone if model.number(process, e.fd).is_none() => {
                let closed = Life::Closed { fd: e.fd };
                tell!(self, model, at, Life, life, process, closed);
                self.tracks.closed(process, e.fd);
            }
            Kind::TimerfdSet if e.x >= 0 => {
                if let Some(number) = model.number(process, e.fd) {
                    for reg in model.registrations(number.desc) {
                        self.tracks.changed(reg.id);
                    }
                }
            }
            Kind::SwitchOut | Kind::SwitchIn => {
                self.crowd.back(process, thread, at.0);
                if e.kind == Kind::SwitchOut && e.aux == Off::Preempted.code() {
                    self.crowd.off(thread, at.0);
                }
                if !self.seams.calls.contains_key(&thread) {
                    (self.seams.stuck).switched(model, thread, process, number, e);
                }
                if let Some(loop_id) = self.seams.asleep.switched(model, thread, e) {
                    tell!(self, model, at, Roused, roused, thread, loop_id);
                }
            }
            Kind::Exec => tell!(self, model, at, Life, life, process, Life::Exec),
            Kind::Unread => self.seen_unread(model, at, process, e),
            Kind::Signals => self.seen_signals(model, at, process, e),
            _ => {}
        }
    }

    fn ready(&mut self, model: &Model, at: At, thread: Id, process: Id, e: &Event) {
        let Some((_, item)) = model.told_last(thread) else {
            return;
        };
        let (id, mask) = (item.reg, e.x as u32);
        let told = Told {
            t: at.0,
            event: at.1,
            mask,
            thread,
        };
        let reg = model.reg_told(item);
        if !self.tracks.report(id, told) {
            return;
        }
        let (Some(reg), Some(track)) = (reg, self.tracks.reg(id)) else {
            return;
        };
        let report = Report {
            t: at.0,
            event: at.1,
            thread,
            process,
            reg,
            mask,
            track,
        };
        tell!(self, model, at, Report, report, &report);
    }

    fn io(&mut self, model: &Model, at: At, thread: Id, process: Id, e: &Event) {
        let Some(op) = Op::from_code(e.aux) else {
            return;
        };
        let number = model.number(process, e.fd);
        let last = Last {
            op,
            result: e.x,
            asked: e.arg,
            wakes: op == Op::Write && number.is_some_and(|n| n.kind == FdKind::Eventfd),
        };
        let busy = model.busy(thread);
        let (reg, alone) = number.map_or((None, true), |n| meant(model, n.desc, e.fd, busy));
        let done = Done {
            t: at.0,
            event: at.1,
            thread,
            process,
            fd: e.fd,
            number,
            op,
            result: e.x,
            asked: e.arg,
            took: e.y,
            reg,
            track: reg.and_then(|r| self.tracks.reg(r.id)),
            busy,
            site: e.site,
        };
        tell!(self, model, at, Done, done, &done);
        if op == Op::Accept {
            tell!(self, model, at, Accepted, done, &done);
        }
        if e.y >= self.slow {
            tell!(self, model, at, Slow, done, &done);
        }
        self.tracks.hear(process);
        let Some(number) = number else { return };
        let meant = reg.map(|r| r.id);
        match meant.filter(|_| alone) {
            Some(id) => self.tracks.done(id, thread, last, true),
            None => {
                for reg in model.registrations(number.desc) {
                    let meant = meant == Some(reg.id);
                    self.tracks.done(reg.id, thread, last, meant);
                }
            }
        }
        let registered = meant.is_some();
        if let Some(story) = self.tracks.number_mut(process, e.fd, number.generation) {
            story.touched = at.0;
            story.refused |= e.x == AGAIN;
            story.registered |= registered;
            story.unread = None;
            let reads = matches!(op, Op::Read | Op::Recv);
            story.read |= reads || op == Op::Accept;
            if reads && e.x == 0 && e.arg > 0 {
                story.end.get_or_insert((at.0, at.1));
            }
        }
    }

    fn wait_enter(
        &mut self,
        model: &Model,
        at: At,
        number: u64,
        thread: Id,
        process: Id,
        e: &Event,
    ) {
        let Some((loop_id, place)) = model.waited_on(thread) else {
            return;
        };
        if place.in_turn() && polls(e) {
            // Asked in the middle of a turn: a call that blocks it.
            if e.arg != 0 {
                let begun = Begun {
                    since: at.0,
                    event: number,
                    name: POLLED,
                    fd: -1,
                    site: e.site,
                    busy: model.busy(thread),
                };
                self.seams.calls.insert(thread, begun);
            }
            return;
        }
        self.seams.calls.remove(&thread);
        self.seams.asleep.ended(thread);
        let wait = Waited {
            lets: e.lets_through(),
            ..waited(at, (thread, process), (loop_id, place), 0)
        };
        tell!(self, model, at, Enter, enter, &wait);
    }

    fn wait_exit(&mut self, model: &Model, at: At, thread: Id, process: Id, e: &Event) {
        if self
            .seams
            .calls
            .get(&thread)
            .is_some_and(|c| c.name == POLLED)
            && polls(e)
        {
            return self.call_over(model, at, thread, process, false);
        }
        let Some((loop_id, place)) = model.waited_on(thread) else {
            return;
        };
        if place.wakeup_event != at.1 {
            return;
        }
        let wait = waited(at, (thread, process), (loop_id, place), e.x);
        if wait.n == 0 && wait.timeout > 0 {
            let due = wait.entered.saturating_add(wait.timeout.unsigned_abs());
            self.crowd.waited(process, at.0, at.0.saturating_sub(due));
        }
        tell!(self, model, at, Waited, waited, &wait);
    }

    fn call_over(&mut self, model: &Model, at: At, thread: Id, process: Id, goes_on: bool) {
        let begun = self.seams.calls.remove(&thread);
        let call = begun.and_then(|begun| called(thread, process, &begun, at.0, goes_on));
        if let Some(call) = call {
            tell!(self, model, at, Call, call, &call);
        }
    }

    fn ctl_end(&mut self, model: &Model, at: At, thread: Id, process: Id, e: &Event) {
        let asked = self.seams.asked.remove(&thread);
        let asked = asked.filter(|a| (a.op, a.fd) == (e.aux, e.fd));
        let Some(loop_id) = model.loop_through(process, e.y as i32) else {
            return;
        };
        let Some(op) = Ctl::from_code(e.aux) else {
            return;
        };
        let reg = model.registration(loop_id, process, e.fd);
        let was = asked.and_then(|a| a.was);
        let changed = Changed {
            t: at.0,
            event: asked.map_or(at.1, |a| a.event),
            thread,
            process,
            loop_id,
            fd: e.fd,
            op,
            result: e.x,
            reg,
            same: op == Ctl::Mod
                && asked.is_some_and(|a| was.is_some_and(|w| (w.2, w.3) == (a.mask, a.data))),
            took: was.filter(|_| op == Ctl::Del && e.x >= 0).map(|w| w.1),
        };
        tell!(self, model, at, Ctl, ctl, &changed);
        if e.x < 0 {
            return;
        }
        if let Some(reg) = reg {
            self.tracks.changed(reg.id);
        }
        if let Some(number) = model.number(process, e.fd)
            && let Some(story) = self.tracks.number_mut(process, e.fd, number.generation)
        {
            story.touched = at.0;
            story.registered |= op != Ctl::Del;
            story.deleted = (op == Ctl::Del).then_some((at.0, at.1));
        }
    }

    fn opened(&mut self, model: &Model, at: At, process: Id, e: &Event, was: Before) {
        if was.open.is_some() {
            let closed = Life::Closed { fd: e.fd };
            tell!(self, model, at, Life, life, process, closed);
        }
        let Some(number) = model.number(process, e.fd) else {
            return;
        };
        let story = Story {
            generation: number.generation,
            blocks: (e.arg & 4 != 0).then_some(e.arg & 1 == 0),
            opened: (at.0, at.1),
            touched: at.0,
            // Said again at the start of a cut: what was before is not known.
            registered: e.flags & flags::AGAIN != 0,
            ..Story::default()
        };
        self.tracks.opened(process, e.fd, story);
        let opened = Life::Opened { fd: e.fd };
        tell!(self, model, at, Life, life, process, opened);
    }
}

/// A wait of a thread of a process on a loop, which it enters, or which has returned `n`.
fn waited(at: At, who: (Id, Id), on: (Id, &ThreadState), n: i32) -> Waited {
    let ((thread, process), (loop_id, place)) = (who, on);
    Waited {
        t: at.0,
        event: at.1,
        thread,
        process,
        loop_id,
        entered: place.entered,
        timeout: place.timeout(),
        room: place.maxevents,
        n,
        lets: 0,
    }
}

/// Of several registrations on one description the one that a call on this number is about, made in this turn; and whether
/// there are no others.
fn meant(model: &Model, desc: u32, fd: i32, busy: Option<Busy>) -> (Option<&Registration>, bool) {
    let mut all = model.registrations(desc);
    let (first, second) = (all.next(), all.next());
    if second.is_none() {
        return (first, true);
    }
    let of_loop = |r: &&Registration| busy.is_none_or(|b| b.loop_id == r.loop_id);
    let mut own = model.registrations(desc).filter(|r| r.fd == fd);
    let reg = own
        .find(of_loop)
        .or_else(|| model.registrations(desc).find(of_loop))
        .or(first);
    (reg, false)
}

fn polls(e: &Event) -> bool {
    matches!(
        Wait::from_code(e.aux),
        Some(Wait::Poll | Wait::Ppoll | Wait::Select | Wait::Pselect)
    )
}
