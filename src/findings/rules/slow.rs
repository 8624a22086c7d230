//! What held the loop up: a call that sleeps, a long run, a long turn. Step: model → **view**.
//!
//! Without switch records nobody knows why a run was long: a call that sleeps is told by its own records, anything else
//! is "long". Records of where a thread was taken off its CPU tell the reasons apart (see [`super::spent`]), and what
//! is left of "long" are runs with many of them.

use super::super::book::{Cause, Detail, Entry, called};
use super::super::facts::{Called, Cx, Hook, LOCKED, POLLED, Rule, Waited, Words, of_run};
use super::super::thresholds::told;
use super::super::{Code, Confidence, Severity};
use super::spent::{handler, has_a_reason};
use super::times;
use crate::model::{Fidelity, Id, LoopKind, Map, Model, Run, Turn};
use crate::record::event::Space;
use crate::text::visible;

/// A call that sleeps, inside a turn.
#[derive(Default)]
pub struct BlockingHandler {
    /// What each thread was found in since its last wait: if it ends before the next, nobody was kept waiting.
    fresh: Map<Id, Vec<Key>>,
}

type Key = (Code, Option<Id>, Id, Cause);

/// Waits that make a loop of a thread's polls.
const MANY_WAITS: u64 = 50;

/// Calls of one turn that are remembered.
const MOST_FRESH: usize = 64;

impl Rule for BlockingHandler {
    fn code(&self) -> Code {
        Code::BlockingHandler
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Call, Hook::Run, Hook::Enter, Hook::Ending]
    }

    fn run(&mut self, cx: &mut Cx<'_>, run: &Run) {
        let (limits, waited) = (cx.limits, run.spent.waiting);
        if waited < limits.blocking_warning {
            return;
        }
        let Some(reg) = cx.model.reg(run.reg) else {
            return;
        };
        let mut seen = cx.about(Code::BlockingHandler, reg);
        seen.loop_id = Some(run.loop_id);
        seen.thread = Some(run.thread);
        seen.cause = Cause::Call(LOCKED, reg.role);
        (seen.at, seen.event, seen.worst) = (run.start, run.event, waited);
        // Nothing said what it slept for. A thread of several that share a loop may have been done and waited for work.
        let l = cx.model.loops().get(run.loop_id as usize);
        seen.confidence = match l.is_some_and(|l| l.threads.len() == 1) {
            true => Confidence::Inferred,
            false => Confidence::Maybe,
        };
        seen.severity = match waited >= limits.blocking_error {
            true => Severity::Warning,
            false => Severity::Info,
        };
        seen.detail = Detail {
            a: u64::from(LOCKED),
            b: u64::from(run.site),
            c: u64::from(u32::MAX) | u64::from(run.fidelity != Fidelity::Measured) << 32,
        };
        cx.book.held_up(&seen, run.start, run.end);
        cx.note(seen);
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
    }

    fn call(&mut self, cx: &mut Cx<'_>, call: &Called) {
        let length = call.t.saturating_sub(call.since);
        if length < cx.limits.blocking_warning {
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
        seen.cause = Cause::Call(call.name, reg.map_or(0, |r| r.role));
        seen.at = call.since;
        seen.event = call.event;
        seen.worst = length;
        // A program that asks poll now and then is no loop: what it does in between is its own affair.
        let l = cx.model.loops().get(call.busy.loop_id as usize);
        let loops = l.is_some_and(|l| l.kind == LoopKind::Epoll || l.waits >= MANY_WAITS);
        seen.confidence = match loops {
            true => Confidence::Measured,
            false => Confidence::Maybe,
        };
        seen.severity = match length >= cx.limits.blocking_error {
            true => Severity::Error,
            false => Severity::Warning,
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
        cx.note(seen);
    }

    fn words(&self, model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let name = w.detail.a as u32;
        let goes_on = w.detail.a >> 32 != 0;
        let call = match name {
            POLLED => "poll".to_owned(),
            LOCKED => "no call that is recorded, most often for a lock,".to_owned(),
            name => visible(model.name(w.process, Space::Call, name)).into_owned(),
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
            (true, _) => {
                format!("{who} is in {call}{on}{place} since {length} and has not come back.")
            }
            (_, n) if name == LOCKED => format!(
                "{who} slept in {call} {}, for {length} at worst; its first call was made{}.",
                times(n),
                place.trim_start_matches(", called")
            ),
            (_, 1) => format!("{who} was in {call}{on} for {length}{place}."),
            (_, n) => format!(
                "{who} was in {call}{on} {}{place}, for {length} at worst.",
                times(n)
            ),
        };
        let advice = match call.as_str() {
            _ if name == LOCKED => {
                "Hold the lock for shorter where others hold it, or do what needs it in a thread: while the loop waits for a \
                 lock, every connection waits."
            }
            "poll" => {
                "Do not wait for one descriptor inside a handler: add it to the loop and go on when it is reported."
            }
            c if c.contains("sleep") => {
                "Let a timer of the loop do it: a handler that sleeps stops every connection."
            }
            c if c.contains("sync") => {
                "Hand it to a thread of its own, and answer when that has told the loop."
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

/// A run of which nobody knows why it was long.
#[derive(Default)]
pub struct LongHandler {
    /// Per thread, the last call that is told by itself, or was held up by the machine: from, to.
    told: Map<Id, (u64, u64)>,
    /// Per process, calls that cannot sleep and took long all the same: the machine kept the program from running.
    held_up: Map<Id, u64>,
}

/// Threads and processes watched at once.
const MOST: usize = 4_096;
/// A call that cannot sleep and took this long was held up.
const HELD_UP: u64 = 10_000_000;

impl LongHandler {
    fn takes(&mut self, thread: Id, from: u64, to: u64) {
        if self.told.len() < MOST || self.told.contains_key(&thread) {
            self.told.insert(thread, (from, to));
        }
    }
}

impl Rule for LongHandler {
    fn code(&self) -> Code {
        Code::LongHandler
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Run, Hook::Call, Hook::Done, Hook::Tick]
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        if !cx.over || self.held_up.is_empty() {
            return;
        }
        // A machine that stops calls that cannot sleep stops handlers as well.
        let long = |code| {
            use Code::{ComputingHandler, LongHandler, LongIteration};
            matches!(code, LongHandler | LongIteration | ComputingHandler)
        };
        for entry in cx.book.entries_mut().filter(|e| long(e.worst.code)) {
            let held_up = self.held_up.get(&entry.worst.process).copied().unwrap_or(0);
            if held_up.saturating_mul(4) > entry.worst.times {
                entry.worst.severity = Severity::Info;
                entry.worst.detail.c |= 1 << 63;
            }
        }
    }

    fn call(&mut self, cx: &mut Cx<'_>, call: &Called) {
        if call.t.saturating_sub(call.since) >= cx.limits.blocking_warning {
            self.takes(call.thread, call.since, call.t);
        }
    }

    fn done(&mut self, cx: &mut Cx<'_>, done: &super::super::facts::Done<'_>) {
        if done.took < HELD_UP {
            return;
        }
        // Time in a call is told by itself, or nobody's fault.
        self.takes(done.thread, done.t.saturating_sub(done.took), done.t);
        let story = cx.tracks.number(done.process, done.fd);
        let sleeps = story.is_none_or(|s| s.blocks != Some(false) && !s.refused);
        if !sleeps && (self.held_up.len() < MOST || self.held_up.contains_key(&done.process)) {
            *self.held_up.entry(done.process).or_default() += 1;
        }
    }

    fn run(&mut self, cx: &mut Cx<'_>, run: &Run) {
        let length = run.run();
        if length < cx.limits.long_run {
            return;
        }
        let known = run.spent.unknown < length / 2;
        if known && has_a_reason(run) {
            return;
        }
        // Most of it in a call that is told of by itself?
        let in_calls = self.told.get(&run.thread).map_or(0, |(from, to)| {
            to.min(&run.end).saturating_sub(*from.max(&run.start))
        });
        if in_calls.max(run.in_call) >= length / 2 {
            return;
        }
        let Some(reg) = cx.model.reg(run.reg) else {
            return;
        };
        let limits = cx.limits;
        let mut seen = cx.about(Code::LongHandler, reg);
        seen.loop_id = Some(run.loop_id);
        seen.thread = Some(run.thread);
        seen.at = run.start;
        seen.event = run.event;
        seen.worst = length;
        seen.confidence = of_run(run);
        seen.detail = Detail {
            a: u64::from(run.ios),
            b: run.bytes_in.saturating_add(run.bytes_out),
            c: u64::from(run.handler) | u64::from(known) << 62,
        };
        let before = cx
            .book
            .times(Code::LongHandler, seen.loop_id, seen.process, seen.cause);
        let often = before + 1 >= limits.long_times || length >= limits.long_run_once;
        seen.severity = if often {
            Severity::Warning
        } else {
            Severity::Info
        };
        cx.book.held_up(&seen, run.start, run.end);
        cx.note(seen);
    }

    fn words(&self, model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let handler = handler(model, entry, w.detail.c);
        let seems = if w.confidence == Confidence::Measured {
            "ran"
        } else {
            "seems to have run"
        };
        let machine = match w.detail.c >> 62 {
            0 => "what it did is not recorded",
            1 => "it computed, slept and waited, none of them for most of the time",
            _ => "calls that cannot sleep took as long, so the machine was busy with others",
        };
        let summary = format!(
            "the handler{handler} of {} {seems} for {} or more {}, {} at worst, {}; {machine}.",
            entry.who(),
            told(50_000_000.min(w.worst)),
            times(w.times),
            told(w.worst),
            match w.detail.a {
                0 => "without a call".to_owned(),
                1 => format!("with one call that moved {} bytes", w.detail.b),
                n => format!("with {n} calls that moved {} bytes", w.detail.b),
            }
        );
        Words {
            summary,
            advice: "Cut the work into pieces that give the loop a turn in between, or hand it to a thread."
                .to_owned(),
        }
    }
}

/// A turn that is long though none of its runs is.
#[derive(Default)]
pub struct LongIteration {
    /// The longest run of the turn that each thread is in, without the time in which others had its CPU.
    longest: Map<Id, u64>,
}

impl Rule for LongIteration {
    fn code(&self) -> Code {
        Code::LongIteration
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Run, Hook::Turn]
    }

    fn lost(&mut self) {
        self.longest.clear();
    }

    fn run(&mut self, _cx: &mut Cx<'_>, run: &Run) {
        if self.longest.len() < MOST || self.longest.contains_key(&run.thread) {
            let longest = self.longest.entry(run.thread).or_default();
            *longest = run.run().saturating_sub(run.spent.preempted).max(*longest);
        }
    }

    fn turn(&mut self, cx: &mut Cx<'_>, turn: &Turn) {
        // While others had its CPU the loop stood still through no fault of its own.
        let own = self.longest.remove(&turn.thread);
        let length = (turn.end.saturating_sub(turn.start)).saturating_sub(turn.spent.preempted);
        let limits = cx.limits;
        let longest = own.or(turn.longest.map(|(_, ns)| ns)).unwrap_or(0);
        if length < limits.long_turn || longest >= limits.long_run {
            return;
        }
        let process = super::super::process_of(cx.model, turn.thread);
        if cx.starts(process) || turn.runs == 0 {
            return;
        }
        let mut seen = cx.about_loop(Code::LongIteration, turn.loop_id);
        seen.thread = Some(turn.thread);
        seen.at = turn.start;
        seen.event = turn.event;
        seen.worst = length;
        seen.detail = Detail {
            a: u64::from(turn.runs),
            b: turn.run_ns,
            c: turn.rest_ns().saturating_add(turn.tail_ns),
        };
        let before = cx
            .book
            .times(Code::LongIteration, seen.loop_id, seen.process, seen.cause);
        // Most of it in runs: many, none of which is long. Anything else may be the machine's doing.
        let runs = turn.run_ns >= length / 2;
        seen.severity = match runs && before + 1 >= limits.long_times {
            true => Severity::Warning,
            false => Severity::Info,
        };
        cx.note(seen);
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        Words {
            summary: format!(
                "{} turns of the loop were long, {} at worst: {} runs took {} of it, {} passed between and after them.",
                w.times,
                told(w.worst),
                w.detail.a,
                told(w.detail.b),
                told(w.detail.c & !(1 << 63))
            ),
            advice: "Serve fewer events a turn (a smaller maxevents, a budget for each handler), or spread the connections \
                     over more loops."
                .to_owned(),
        }
    }
}

/// The handler's own name for a sentence.
pub(super) fn of(entry: &Entry) -> String {
    called(&entry.name, entry.worst.fd)
}
