//! How a loop wakes up: without sleeping, or for nothing. Step: model → **view**.

use super::super::book::{Cause, Detail, Entry};
use super::super::facts::{Called, Changed, Cx, Done, Hook, Report, Rule, Waited, Words};
use super::super::thresholds::told;
use super::super::{Code, Confidence, Severity};
use super::ignored::{IGNORED, Ignored, Pace};
use super::retries::{Retries, is_retry};
use crate::model::{Fired, Id, Map, Model, Run, Turn};
use crate::record::event::Op;

/// Threads or loops watched at once.
const MOST: usize = 4_096;
const SECOND: u64 = 1_000_000_000;
/// Seconds in a row that make idle wakeups a habit.
const HABIT: u64 = 10;
/// Turns in which something gets done are few if they are no more than this part of the waits, …
const FEW: u64 = 20;
/// … and turns in between are no work if they are shorter than this part of those that may be.
const SHORT: u64 = 5;

/// One second of one thread on one loop.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    start: u64,
    event: u64,
    waits: u64,
    /// Waits that did not sleep.
    awake: u64,
    /// Of those, the ones that asked only, and were told nothing.
    empty: u64,
    asleep: u64,
    /// Events are missing in it.
    doubt: bool,
    /// The registration reported last.
    reg: Option<Id>,
    /// Seconds like this before it, and when the first began.
    row: u64,
    since: (u64, u64),
    /// All waits since the first second.
    pace: Pace,
}

/// How often something was got done on a loop since it was last asked. Kept once, by each rule that asks.
#[derive(Default)]
struct Progress {
    loops: Map<Id, u64>,
    /// One on which it was, and how often: a loop that gets anything done goes on to get more done.
    last: Option<(Id, u64)>,
}

impl Progress {
    fn made(&mut self, loop_id: Id) {
        if let Some((_, n)) = self.last.as_mut().filter(|(id, _)| *id == loop_id) {
            *n += 1;
            return;
        }
        if let Some((id, n)) = self.last.replace((loop_id, 1))
            && (self.loops.len() < MOST || self.loops.contains_key(&id))
        {
            *self.loops.entry(id).or_default() += n;
        }
    }

    fn done(&mut self, done: &Done<'_>) {
        // Of a call the program made itself only that it worked is known.
        let worked = done.result > 0 || done.op == Op::TryIo && done.result == 0;
        if !worked {
            return;
        }
        if let Some(busy) = done.busy {
            self.made(busy.loop_id);
        }
        if let Some(reg) = done.reg {
            self.made(reg.loop_id);
        }
    }

    /// How often it was, and from now on.
    fn take(&mut self, loop_id: Id) -> u64 {
        let last = self.last.take_if(|(id, _)| *id == loop_id);
        let before = self.loops.remove(&loop_id).unwrap_or(0);
        before.saturating_add(last.map_or(0, |(_, n)| n))
    }
}

/// The loop turns and turns, and nothing gets done: at all, about one descriptor, or inside a handler.
#[derive(Default)]
pub struct BusyLoop {
    seconds: Map<(Id, Id), Second>,
    progress: Progress,
    ignored: Ignored,
    retries: Retries,
}

impl Rule for BusyLoop {
    fn code(&self) -> Code {
        Code::BusyLoop
    }

    fn hooks(&self) -> &'static [Hook] {
        &[
            Hook::Waited,
            Hook::Done,
            Hook::Report,
            Hook::Ctl,
            Hook::Fired,
            Hook::Call,
        ]
    }

    fn done(&mut self, cx: &mut Cx<'_>, done: &Done<'_>) {
        self.progress.done(done);
        self.retries.done(cx, done);
        if matches!(done.op, Op::Sendfile | Op::Splice)
            && let Some(busy) = done.busy
        {
            self.ignored.moved(busy.loop_id);
        }
    }

    fn call(&mut self, cx: &mut Cx<'_>, call: &Called) {
        self.retries.over(cx, call.thread);
    }

    fn ctl(&mut self, _cx: &mut Cx<'_>, ctl: &Changed<'_>) {
        if ctl.result >= 0 && !ctl.same {
            self.progress.made(ctl.loop_id);
        }
    }

    fn fired(&mut self, _cx: &mut Cx<'_>, fired: &Fired) {
        self.progress.made(fired.loop_id);
    }

    fn report(&mut self, cx: &mut Cx<'_>, r: &Report<'_>) {
        // Edge-triggered and one-shot reports say that something is new.
        if r.reg.is_edge() || r.reg.is_oneshot() {
            self.progress.made(r.reg.loop_id);
        }
        if let Some(second) = self.seconds.get_mut(&(r.reg.loop_id, r.thread)) {
            second.reg = Some(r.reg.id);
            let pace = second.pace;
            self.ignored.report(cx, r, pace);
        }
    }

    fn waited(&mut self, cx: &mut Cx<'_>, wait: &Waited) {
        let key = (wait.loop_id, wait.thread);
        let known = self.seconds.contains_key(&key);
        if !known && self.seconds.len() >= MOST {
            return;
        }
        let length = wait.t.saturating_sub(wait.entered);
        let second = self.seconds.entry(key).or_default();
        if !known {
            second.start = wait.entered;
            second.event = wait.event;
        }
        second.waits += 1;
        let awake = wait.timeout == 0 || (length <= cx.limits.not_asleep && wait.n != 0);
        second.awake += u64::from(awake);
        second.empty += u64::from(wait.timeout == 0 && wait.n == 0);
        second.asleep = second.asleep.saturating_add(if awake { 0 } else { length });
        second.pace.waits += 1;
        second.pace.slept += u64::from(!awake);
        self.retries.over(cx, wait.thread);
        let passed = wait.t.saturating_sub(second.start);
        if passed < SECOND {
            return;
        }
        let s = *second;
        let served = self.progress.take(wait.loop_id);
        let rate = s.awake.saturating_mul(SECOND) / passed.max(1);
        let turn = passed / s.waits.max(1);
        // Now and then it finds something to do, and asks and asks in between.
        let seldom = served.saturating_mul(FEW) <= s.waits
            && (s.waits - s.empty).saturating_mul(FEW) <= s.waits
            && turn < cx.limits.spinning_turn / SHORT;
        let spins = rate >= cx.limits.spinning_waits
            && s.asleep.saturating_mul(100) <= passed.saturating_mul(cx.limits.spinning_asleep)
            && turn < cx.limits.spinning_turn
            && (served == 0 || seldom)
            && !cx.starts(wait.process);
        let fresh = Second {
            start: wait.t,
            event: wait.event,
            pace: s.pace,
            ..Second::default()
        };
        if !spins {
            *second = fresh;
            return;
        }
        let since = if s.row == 0 {
            (s.start, s.event)
        } else {
            s.since
        };
        *second = Second {
            row: s.row + 1,
            since,
            ..fresh
        };
        let mut seen = cx.about_loop(Code::BusyLoop, wait.loop_id);
        seen.thread = Some(wait.thread);
        seen.cause = Cause::Thread(wait.thread);
        let lasted = wait.t.saturating_sub(since.0);
        if s.row > 0 {
            let key = (seen.code, seen.loop_id, seen.process, seen.cause);
            cx.book.extend(key, cx.now, lasted, 0);
            return;
        }
        let reported = s
            .reg
            .filter(|_| s.empty < s.waits / 2)
            .and_then(|id| cx.model.reg(id));
        if let Some(reg) = reported {
            (seen.reg, seen.fd, seen.generation) = (Some(reg.id), reg.fd, reg.generation);
        }
        // Asking only, with nothing told: perhaps the program has work of its own in between.
        let asks = s.empty >= s.waits / 2;
        seen.severity = if asks {
            Severity::Info
        } else {
            Severity::Warning
        };
        (seen.at, seen.event) = since;
        seen.worst = lasted;
        seen.confidence = match s.doubt {
            true => Confidence::Maybe,
            false => cx.absence(seen.process),
        };
        seen.detail = Detail {
            a: rate,
            b: u64::from(asks),
            c: served,
        };
        // One descriptor's may be told already.
        cx.book.go_on(cx.model, cx.now, seen);
    }

    fn lost(&mut self) {
        self.ignored.lost();
        self.retries.lost();
        // A loop that spins may well be faster than its recording: something may have been done in between.
        self.seconds
            .values_mut()
            .for_each(|second| second.doubt = true);
    }

    fn words(&self, model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        if is_retry(w) {
            return super::retries::words(model, entry);
        }
        let (summary, advice) = match (w.detail.b, w.fd) {
            (IGNORED, _) => (
                format!(
                    "{} was reported {} times a second for {}, and nobody read it, accepted from it or changed what is asked of it{}: \
                     every wait returns at once, and the loop never sleeps while it serves others.",
                    entry.who(),
                    w.detail.a,
                    told(w.worst),
                    match w.confidence {
                        Confidence::Maybe => " in a way that is recorded",
                        _ => "",
                    }
                ),
                "Read what is reported (accept, of a listener) until EAGAIN, or take it off the loop: level-triggered, it is told \
                 on every wait.",
            ),
            (_, ..0) if w.detail.c > 0 => (
                format!(
                    "the loop asked {} times a second for {} whether there is anything, without sleeping, and hardly ever was there \
                     anything to do that is recorded.",
                    w.detail.a,
                    told(w.worst)
                ),
                "Wait with the time until the next timer, or without limit; time-out 0 only while there is work.",
            ),
            (0, 0..) => (
                format!(
                    "the loop went round {} times a second for {} without sleeping, reading, writing or accepting anything; \
                     {} is reported each time.",
                    w.detail.a,
                    told(w.worst),
                    entry.who()
                ),
                "Serve what is reported, or take it off the loop: level-triggered, it is told on every wait.",
            ),
            _ => (
                format!(
                    "the loop asked {} times a second for {} whether there is anything, without sleeping and without getting \
                     anything done that is recorded.",
                    w.detail.a,
                    told(w.worst)
                ),
                "Wait with the time until the next timer, or without limit; time-out 0 only while there is work.",
            ),
        };
        Words {
            summary,
            advice: advice.to_owned(),
        }
    }
}

/// One second of one thread's wakeups.
#[derive(Clone, Copy, Debug, Default)]
struct Idle {
    start: (u64, u64),
    woken: u64,
    timeouts: u64,
    row: u64,
    timed: u64,
    since: (u64, u64),
}

/// Wakeups again and again, with nothing to do.
#[derive(Default)]
pub struct IdleWakeups {
    threads: Map<(Id, Id), Idle>,
    progress: Progress,
}

impl Rule for IdleWakeups {
    fn code(&self) -> Code {
        Code::IdleWakeups
    }

    fn hooks(&self) -> &'static [Hook] {
        &[
            Hook::Waited,
            Hook::Done,
            Hook::Ctl,
            Hook::Fired,
            Hook::Run,
            Hook::Turn,
            Hook::Report,
        ]
    }

    fn done(&mut self, _cx: &mut Cx<'_>, done: &Done<'_>) {
        self.progress.done(done);
    }

    fn ctl(&mut self, _cx: &mut Cx<'_>, ctl: &Changed<'_>) {
        self.progress.made(ctl.loop_id);
    }

    fn fired(&mut self, _cx: &mut Cx<'_>, fired: &Fired) {
        self.progress.made(fired.loop_id);
    }

    fn report(&mut self, _cx: &mut Cx<'_>, r: &Report<'_>) {
        if r.reg.is_edge() || r.reg.is_oneshot() {
            self.progress.made(r.reg.loop_id);
        }
    }

    fn run(&mut self, _cx: &mut Cx<'_>, run: &Run) {
        // A handler that takes its time does something, even if it is not seen.
        if run.run() >= 100_000 {
            self.progress.made(run.loop_id);
        }
    }

    fn turn(&mut self, _cx: &mut Cx<'_>, turn: &Turn) {
        if turn.task_ns > 0 || turn.timer_ns > 0 {
            self.progress.made(turn.loop_id);
        }
    }

    fn waited(&mut self, cx: &mut Cx<'_>, wait: &Waited) {
        let key = (wait.loop_id, wait.thread);
        let known = self.threads.contains_key(&key);
        if !known && self.threads.len() >= MOST {
            return;
        }
        let i = self.threads.entry(key).or_default();
        if !known {
            i.start = (wait.t, wait.event);
        }
        i.woken += u64::from(wait.n > 0);
        i.timeouts += u64::from(wait.n == 0);
        let passed = wait.t.saturating_sub(i.start.0);
        if passed < SECOND {
            return;
        }
        let s = *i;
        let rate = |n: u64| n.saturating_mul(SECOND) / passed.max(1);
        let idle = self.progress.take(wait.loop_id) == 0 && !cx.starts(wait.process);
        let woken = idle && rate(s.woken) >= cx.limits.idle_wakeups;
        let timed = idle && !woken && rate(s.timeouts) >= cx.limits.idle_timeouts;
        *i = Idle {
            start: (wait.t, wait.event),
            ..Idle::default()
        };
        if !woken && !timed {
            return;
        }
        i.row = s.row + 1;
        i.timed = s.timed + u64::from(timed);
        i.since = if s.row == 0 { s.start } else { s.since };
        if i.row < HABIT {
            return;
        }
        let (row, since, only_timed) = (i.row, i.since, i.timed == i.row);
        let mut seen = cx.about_loop(Code::IdleWakeups, wait.loop_id);
        seen.thread = Some(wait.thread);
        seen.cause = Cause::Thread(wait.thread);
        let lasted = wait.t.saturating_sub(since.0);
        if row > HABIT {
            let key = (seen.code, seen.loop_id, seen.process, seen.cause);
            cx.book.extend(key, cx.now, lasted, 0);
            return;
        }
        (seen.at, seen.event) = since;
        seen.worst = lasted;
        seen.confidence = cx.absence(seen.process);
        // Short time-outs are a choice: they are told, not held against it.
        seen.severity = if only_timed {
            Severity::Info
        } else {
            Severity::Warning
        };
        seen.detail = Detail {
            a: rate(if only_timed { s.timeouts } else { s.woken }),
            b: u64::from(only_timed),
            c: 0,
        };
        cx.note(seen);
    }

    fn lost(&mut self) {
        self.threads.clear();
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let (what, advice) = match w.detail.b {
            0 => (
                "was woken",
                "Find out who wakes it (which descriptor is reported), and let that one speak only when there is something.",
            ),
            _ => (
                "let its wait time out",
                "Wait until the next timer is due, or without limit; have others wake the loop with an eventfd.",
            ),
        };
        Words {
            summary: format!(
                "the loop {what} {} times a second for {} and moved no byte.",
                w.detail.a,
                told(w.worst)
            ),
            advice: advice.to_owned(),
        }
    }
}
