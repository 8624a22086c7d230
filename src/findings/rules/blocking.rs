//! A call that sleeps inside a turn: one long one, many short ones, or a sleep in no call that was seen.
//! Step: model → **view**.

use super::super::book::{Cause, Detail, Entry, Seen};
use super::super::facts::{
    Called, Cx, Done, Hook, LOCKED, POLLED, Rule, Waited, Words, name_of_op, of_run, op_of_name,
};
use super::super::pending::Stretch;
use super::super::thresholds::told;
use super::super::{Code, Confidence, Severity};
use super::spent::{is_reason, own};
use super::streams::asks_for_one;
use super::times;
use crate::model::{Fidelity, Id, LoopKind, Map, Model, Phase, Run};
use crate::record::event::{FdKind, Op, Space};
use crate::text::visible;
use std::collections::BTreeMap;

/// Threads watched at once.
const MOST: usize = 4_096;

/// A call that sleeps, inside a turn.
#[derive(Default)]
pub struct BlockingHandler {
    /// What each thread was found in since its last wait: if it ends before the next, nobody was kept waiting.
    fresh: Map<Id, Vec<Key>>,
    /// Times that were long enough even for a crowded machine.
    strong: BTreeMap<Key, u64>,
    /// Of each call of each place on a loop, whose handler made it the first time it was long; nobody's between handlers.
    places: Map<(Id, Id, u32, u16), Option<Id>>,
    /// The last long call of each thread.
    long: Map<Id, Long>,
}

/// A call on a descriptor that took long.
#[derive(Clone, Copy, Debug)]
struct Long {
    since: u64,
    until: u64,
    fd: i32,
    op: Op,
    site: u16,
}

type Key = (Code, Option<Id>, Id, Cause);

/// Waits that make a loop of a thread's polls.
const MANY_WAITS: u64 = 50;

/// So many times the longest wait for a CPU that was seen lately is no wait for a CPU.
const FAR: u64 = 8;

/// Calls of one turn that are remembered.
const MOST_FRESH: usize = 64;

impl BlockingHandler {
    /// What a call is told about: its place in the program, for one handler or several it may be; a line of which it is not always
    /// clear who is served there is one cause.
    fn cause(&mut self, call: &Called, role: Option<Id>) -> Cause {
        let place = (call.busy.loop_id, call.process, call.name, call.site);
        let room = self.places.len() < MOST || self.places.contains_key(&place);
        let role = match call.site != 0 && room {
            true => match *self.places.entry(place).or_insert(role) {
                first if first.is_none() || role.is_none() => first,
                _ => role,
            },
            false => role,
        };
        Cause::Call(call.name, role.unwrap_or(0))
    }

    /// A call that took so long, apart from the time in which others had the thread's CPU.
    fn note(&mut self, cx: &mut Cx<'_>, call: &Called, own: u64) {
        // A single descriptor's poll is a call with a time-out, and no loop.
        if asks_for_one(cx.model, call.busy.loop_id, call.thread) {
            return;
        }
        let reg = call.busy.reg.and_then(|id| cx.model.reg(id));
        let mut seen = match reg {
            Some(reg) => cx.about(Code::BlockingHandler, reg),
            None => cx.about_loop(Code::BlockingHandler, call.busy.loop_id),
        };
        seen.loop_id = Some(call.busy.loop_id);
        seen.process = call.process;
        seen.thread = Some(call.thread);
        seen.cause = self.cause(call, reg.map(|r| r.role));
        seen.at = call.since;
        seen.event = call.event;
        seen.worst = own;
        // A program that asks poll now and then is no loop: what it does in between is its own affair.
        let l = cx.model.loops().get(call.busy.loop_id as usize);
        let loops = l.is_some_and(|l| l.kind == LoopKind::Epoll || l.waits >= MANY_WAITS);
        // Where a set of poll's has nothing in it any more, nobody waits: it was made for something that is over.
        if l.is_some_and(|l| l.kind != LoopKind::Epoll && !has_any(cx, l.id)) {
            return;
        }
        seen.confidence = match loops {
            true if call.name == LOCKED => Confidence::Inferred,
            true => Confidence::Measured,
            false => Confidence::Maybe,
        };
        seen.severity = match !call.goes_on && Self::takes_one_each(cx, &seen) {
            true => Severity::Info,
            false => self.severity(cx, &seen, own, cx.late(call.process)),
        };
        seen.detail = Detail {
            a: u64::from(call.name) | u64::from(call.goes_on) << 32,
            b: u64::from(call.site),
            c: u64::from(call.fd as u32) | u64::from(call.busy.inferred) << 32,
        };
        if !call.goes_on && (self.fresh.len() < MOST || self.fresh.contains_key(&call.thread)) {
            let fresh = self.fresh.entry(call.thread).or_default();
            if fresh.len() < MOST_FRESH {
                fresh.push((seen.code, seen.loop_id, seen.process, seen.cause));
            }
        }
        cx.book.held_up(&seen, call.since, call.t);
        let stretch = Stretch {
            from: call.since,
            to: call.t,
            own,
            // Its CPU was away when the sleep was over, perhaps.
            exposed: own,
        };
        cx.note_later(seen, stretch, |limits, seen, known| {
            let least = match known.own {
                ns if ns >= limits.blocking_error => Severity::Error,
                ns if ns >= limits.blocking_warning => Severity::Warning,
                _ => Severity::Info,
            };
            seen.severity = seen.severity.min(least);
            true
        });
    }

    /// Another thread of the loop waits for its events, and could have served what this one kept.
    fn others_serve(cx: &Cx<'_>, loop_id: Option<Id>, thread: Option<Id>) -> bool {
        let l = loop_id.and_then(|id| cx.model.loops().get(id as usize));
        l.is_some_and(|l| {
            let mut others = l.threads.iter().filter(|t| Some(t.thread) != thread);
            others.any(|t| matches!(t.phase, Phase::Waiting { .. }))
        })
    }

    /// One of several threads that wait on the loop for one event each: whoever is free takes what is ready, and a thread that is not
    /// keeps nothing from the others.
    fn takes_one_each(cx: &Cx<'_>, seen: &Seen) -> bool {
        let l = seen
            .loop_id
            .and_then(|id| cx.model.loops().get(id as usize));
        l.is_some_and(|l| {
            let mut threads = l.threads.iter();
            l.threads.len() > 1
                && threads.any(|t| Some(t.thread) == seen.thread && t.maxevents == 1)
        })
    }

    /// How much a sleep of this length matters, of which so much may be a wait for a CPU. On a crowded machine one that is
    /// longer than that tells little: a wait may be longer than any that was seen.
    fn severity(&mut self, cx: &Cx<'_>, seen: &Seen, slept: u64, late: u64) -> Severity {
        if Self::others_serve(cx, seen.loop_id, seen.thread) {
            return Severity::Info;
        }
        let severity = match slept.saturating_sub(late) {
            ns if ns >= cx.limits.blocking_error => Severity::Error,
            ns if ns >= cx.limits.blocking_warning => Severity::Warning,
            _ => return Severity::Info,
        };
        // Hardly many times as long.
        let sure = slept.saturating_sub(late.saturating_mul(FAR)) >= cx.limits.blocking_error;
        if late == 0 || sure {
            return severity;
        }
        let key = (seen.code, seen.loop_id, seen.process, seen.cause);
        if self.strong.len() >= MOST && !self.strong.contains_key(&key) {
            return Severity::Info;
        }
        let strong = self.strong.entry(key).or_default();
        *strong += 1;
        match *strong >= cx.limits.blocking_times {
            true => severity,
            false => Severity::Info,
        }
    }

    /// Something about a run that slept, in what has this name.
    fn of_run(cx: &Cx<'_>, run: &Run, name: u32, slept: u64) -> Option<Seen> {
        let reg = cx.model.reg(run.reg)?;
        let mut seen = cx.about(Code::BlockingHandler, reg);
        seen.loop_id = Some(run.loop_id);
        seen.thread = Some(run.thread);
        seen.cause = Cause::Call(name, reg.role);
        (seen.at, seen.event, seen.worst) = (run.start, run.event, slept);
        seen.detail = Detail {
            a: u64::from(name),
            b: u64::from(run.site),
            c: u64::from(u32::MAX) | u64::from(run.fidelity != Fidelity::Measured) << 32,
        };
        Some(seen)
    }

    /// A run that slept in no call that was seen.
    fn locked(&mut self, cx: &mut Cx<'_>, run: &Run) {
        let (limits, waited) = (cx.limits, run.spent.waiting);
        if waited < limits.blocking_warning {
            return;
        }
        let Some(mut seen) = Self::of_run(cx, run, LOCKED, waited) else {
            return;
        };
        // Nothing said what it slept for. A thread of several that share a loop may have been done and waited for work.
        let l = cx.model.loops().get(run.loop_id as usize);
        seen.confidence = match l.is_some_and(|l| l.threads.len() == 1) {
            true => Confidence::Inferred,
            false => Confidence::Maybe,
        };
        // Whoever has the lock may wait for a CPU as well.
        let late = cx.late(seen.process).saturating_mul(2);
        seen.severity = match self.severity(cx, &seen, waited, late) {
            Severity::Error if !Self::takes_one_each(cx, &seen) => Severity::Warning,
            _ => Severity::Info,
        };
        cx.book.held_up(&seen, run.start, run.end);
        cx.note(seen);
    }

    /// A long run that slept in calls of which none is told by itself: many short ones, or one of a kind that has no finding.
    fn little_by_little(&self, cx: &mut Cx<'_>, run: &Run) {
        let blocked = run.spent.blocked;
        let (Some(most), true) = (run.blocked_in, own(run) >= cx.limits.long_run) else {
            return;
        };
        let one = self.long.get(&run.thread).copied().filter(|long| {
            let took = long.until.saturating_sub(long.since);
            long.since >= run.start && long.until <= run.end && took >= blocked / 2
        });
        let name = match (one, most.op) {
            (Some(long), _) => name_of_op(long.op),
            (None, Some(Op::Named)) => most.name,
            (None, Some(op)) => name_of_op(op),
            (None, None) => return,
        };
        let much = blocked >= cx.limits.blocking_warning && is_reason(run, blocked);
        if !much || Self::told(cx, run) {
            return;
        }
        let Some(mut seen) = Self::of_run(cx, run, name, blocked) else {
            return;
        };
        seen.confidence = of_run(run);
        // Each of them waited for a CPU when it was over.
        seen.severity = match cx.late(seen.process) {
            0 if Self::others_serve(cx, seen.loop_id, seen.thread) => Severity::Info,
            0 if Self::takes_one_each(cx, &seen) => Severity::Info,
            0 => Severity::Warning,
            _ => Severity::Info,
        };
        match one {
            Some(long) => seen.detail.b = u64::from(long.site),
            None => seen.detail.a |= IN_ALL,
        }
        let fd = one.map_or(most.fd, |long| long.fd);
        seen.detail.c = u64::from(fd as u32) | seen.detail.c >> 32 << 32;
        cx.book.held_up(&seen, run.start, run.end);
        cx.note(seen);
    }

    /// A call of this run has been told of by itself.
    fn told(cx: &Cx<'_>, run: &Run) -> bool {
        let calls = [Code::BlockingHandler, Code::FdLeftBlocking];
        let here = |w: &Seen| calls.contains(&w.code) && w.loop_id == Some(run.loop_id);
        cx.book.pending.any(run.start, here)
            || (cx.book.entries()).any(|e| here(&e.worst) && e.last >= run.start)
    }
}

/// A program that asks poll now and then is no loop, nor is what has nothing left to ask for: what it does in between is its own
/// affair.
pub(super) fn is_a_loop(cx: &Cx<'_>, loop_id: Id, thread: Id) -> bool {
    let l = cx.model.loops().get(loop_id as usize);
    let asks = |waits: u64| waits >= MANY_WAITS && !asks_for_one(cx.model, loop_id, thread);
    l.is_some_and(|l| l.kind == LoopKind::Epoll || asks(l.waits) && has_any(cx, loop_id))
}

/// Something is registered on it.
fn has_any(cx: &Cx<'_>, loop_id: Id) -> bool {
    let mut regs = cx.model.regs();
    regs.any(|r| r.loop_id == loop_id && r.is_live())
}

/// In [`Detail::a`]: not one call but many of one run.
const IN_ALL: u64 = 1 << 33;

impl Rule for BlockingHandler {
    fn code(&self) -> Code {
        Code::BlockingHandler
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Call, Hook::Slow, Hook::Run, Hook::Enter, Hook::Ending]
    }

    fn run(&mut self, cx: &mut Cx<'_>, run: &Run) {
        self.locked(cx, run);
        self.little_by_little(cx, run);
    }

    fn done(&mut self, cx: &mut Cx<'_>, done: &Done<'_>) {
        let Some(busy) = done
            .busy
            .filter(|_| done.took >= cx.limits.blocking_warning)
        else {
            return;
        };
        let since = done.t.saturating_sub(done.took);
        if self.long.len() < MOST || self.long.contains_key(&done.thread) {
            let long = Long {
                since,
                until: done.t,
                fd: done.fd,
                op: done.op,
                site: done.site,
            };
            self.long.insert(done.thread, long);
        }
        let moves = matches!(done.op, Op::Read | Op::Write | Op::Sendfile | Op::Splice);
        // What sleeps for another's bytes or room was left blocking, and a finding of that name tells it.
        let file = done.number.is_some_and(|n| n.kind == FdKind::File);
        let spent = cx.model.spent_in_turn(done.thread, since, done.t);
        let slept = match spent.is_known() {
            true => spent.blocked.saturating_add(spent.unknown),
            false => done.took,
        };
        // What moves from one descriptor to another may sleep for either.
        let two = matches!(done.op, Op::Sendfile | Op::Splice) && spent.is_known();
        let told = moves && (file || two);
        if !told || since < busy.wakeup || slept < cx.limits.blocking_warning {
            return;
        }
        let call = Called {
            since,
            t: done.t,
            event: done.event,
            thread: done.thread,
            process: done.process,
            name: name_of_op(done.op),
            fd: done.fd,
            site: done.site,
            busy,
            goes_on: false,
        };
        self.note(cx, &call, slept);
    }

    fn enter(&mut self, _cx: &mut Cx<'_>, wait: &Waited) {
        self.fresh.remove(&wait.thread);
    }

    fn ending(&mut self, cx: &mut Cx<'_>, _process: Id, thread: Option<Id>) {
        let fresh = thread.and_then(|thread| self.fresh.remove(&thread));
        fresh
            .into_iter()
            .flatten()
            .for_each(|key| cx.book.retract(key));
    }

    fn lost(&mut self) {
        self.fresh.clear();
        self.long.clear();
    }

    fn call(&mut self, cx: &mut Cx<'_>, call: &Called) {
        let length = call.t.saturating_sub(call.since);
        let spent = cx.model.spent_in_turn(call.thread, call.since, call.t);
        let own = length.saturating_sub(spent.kept_off());
        if own >= cx.limits.blocking_warning {
            self.note(cx, call, own);
        }
    }

    fn words(&self, model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let name = w.detail.a as u32;
        let goes_on = w.detail.a >> 32 & 1 != 0;
        let op = op_of_name(name);
        let call = match (name, op) {
            (POLLED, _) => "poll".to_owned(),
            (LOCKED, _) => {
                "no call that is recorded, most often for a lock or a condition variable,"
                    .to_owned()
            }
            (_, Some(op)) => op.name().to_owned(),
            (name, None) => visible(model.name(w.process, Space::Call, name)).into_owned(),
        };
        let call = if call.is_empty() {
            "a call".to_owned()
        } else {
            call
        };
        let fd = w.detail.c as u32 as i32;
        let on = if fd >= 0 {
            format!(" on fd {fd}")
        } else {
            String::new()
        };
        let site = model.name(w.process, Space::Site, w.detail.b as u32);
        let place = match site.is_empty() {
            true => String::new(),
            false => format!(", called at {}", visible(site)),
        };
        let who = match (w.fd, w.detail.c >> 32) {
            (..0, _) => "the loop, between its handlers,".to_owned(),
            (_, 0) => format!("the handler of {}", entry.who()),
            (_, _) => format!("the handler that seems to serve {}", entry.who()),
        };
        let length = told(w.worst);
        let summary = match (goes_on, w.times) {
            (true, _) if name == LOCKED => {
                format!("{who} sleeps in {call} since {length}, and has not come back.")
            }
            (true, _) => {
                format!("{who} is in {call}{on}{place} since {length} and has not come back.")
            }
            (_, n) if name == LOCKED => format!(
                "{who} slept in {call} {}, for {length} at worst; its first call was made{}.",
                times(n),
                place.trim_start_matches(", called")
            ),
            (_, n) if w.detail.a & IN_ALL != 0 => format!(
                "{who} slept in many short calls {}, for {length} of one run at worst, most of it in {call}{on}.",
                times(n)
            ),
            (_, 1) => format!("{who} was in {call}{on} for {length}{place}."),
            (_, n) => format!(
                "{who} was in {call}{on} {}{place}, for {length} at worst.",
                times(n)
            ),
        };
        let advice = match call.as_str() {
            _ if name == LOCKED => {
                "Hold a lock for shorter where others hold it; let whoever is waited for tell the loop (an eventfd) instead of a \
                 condition variable; or do what has to wait in a thread: meanwhile every connection waits."
            }
            "poll" => {
                "Do not wait for one descriptor inside a handler: add it to the loop and go on when it is reported."
            }
            _ if op == Some(Op::Splice) => {
                "Make both ends non-blocking (SPLICE_F_NONBLOCK for pipes), and splice when the loop reports that there are bytes and \
                 room: until there are, splice sleeps."
            }
            _ if op == Some(Op::Connect) => super::streams::CONNECT,
            _ if op.is_some() => {
                "Read and write what is not in memory in a thread (or with io_uring), and ask other services through descriptors \
                 that are on the loop."
            }
            c if c.contains("sleep") => {
                "Let a timer of the loop do it: a handler that sleeps stops every connection."
            }
            c if c.contains("sync") => {
                "Hand it to a thread of its own, and answer when that has told the loop."
            }
            c if c.starts_with("sem") => {
                "Let whoever is waited for tell the loop (an eventfd), or do what has to wait in a thread."
            }
            c if c.starts_with("get") => {
                "Resolve names in a thread of its own or with an asynchronous resolver, and keep the answers."
            }
            c if c.starts_with("wait") || c == "system" => {
                "Wait for a child by its pidfd or by SIGCHLD through a signalfd, on the loop."
            }
            _ => "Hand the call to a thread of its own, or use a form of it that does not wait.",
        };
        Words {
            summary,
            advice: advice.to_owned(),
        }
    }
}
