//! A handler that tries the same call again and again until it does not say EAGAIN: the busy-loop inside a turn.
//! Step: model → **view**.

use super::super::book::{Cause, Detail, Entry, Seen};
use super::super::facts::{Cx, Done, Words, name_of_op};
use super::super::thresholds::told;
use super::super::{Code, Confidence, Severity};
use crate::model::{Id, Map, Model, Run};
use crate::record::event::{Op, Space};
use crate::text::visible;

/// In [`Detail::b`]: a handler spins on EAGAIN; above it, the call.
pub(super) const RETRIES: u64 = 3;
/// Bits of [`Detail::b`] below the call.
const BELOW: u32 = 32;

/// −EAGAIN
const AGAIN: i32 = -11;
/// Threads watched at once.
const MOST: usize = 4_096;
/// Fewer tries in a row are told as whatever else they are.
const FEWEST: u64 = 1_000;
/// Tries from one judgement to the next.
const EVERY: u64 = 256;

/// Tries in a row.
#[derive(Clone, Copy, Debug)]
struct Row {
    fd: i32,
    op: Op,
    tries: u64,
    since: (u64, u64),
    /// It is told: whose.
    told: Option<(Option<Id>, Cause)>,
}

/// What each thread tries.
#[derive(Default)]
pub(super) struct Retries(Map<Id, Row>);

impl Retries {
    /// A call on a descriptor has returned.
    pub fn done(&mut self, cx: &mut Cx<'_>, done: &Done<'_>) {
        let Some(busy) = done.busy.filter(|_| done.result == AGAIN) else {
            return self.over(cx, done.thread);
        };
        let fresh = Row {
            fd: done.fd,
            op: done.op,
            tries: 0,
            since: (done.t.saturating_sub(done.took), done.event),
            told: None,
        };
        if self.0.len() >= MOST && !self.0.contains_key(&done.thread) {
            return;
        }
        let row = self.0.entry(done.thread).or_insert(fresh);
        if (row.fd, row.op) != (done.fd, done.op) {
            *row = fresh;
        }
        row.tries += 1;
        if row.tries < FEWEST || !row.tries.is_multiple_of(EVERY) {
            return;
        }
        let (from, event) = row.since;
        let spent = cx.model.spent_in_turn(done.thread, from, done.t);
        let own = done.t.saturating_sub(from).saturating_sub(spent.kept_off());
        if own < cx.limits.blocking_warning
            || !super::blocking::is_a_loop(cx, busy.loop_id, done.thread)
        {
            return;
        }
        let mut seen = match done.reg {
            Some(reg) => cx.about(Code::BusyLoop, reg),
            None => cx.about_loop(Code::BusyLoop, busy.loop_id),
        };
        let role = done.reg.map_or(0, |reg| reg.role);
        seen.cause = Cause::Call(name_of_op(done.op), role);
        (seen.loop_id, seen.process) = (Some(busy.loop_id), done.process);
        seen.thread = Some(done.thread);
        seen.fd = done.fd;
        (seen.at, seen.event, seen.worst) = (from, event, own);
        seen.confidence = Confidence::Measured;
        seen.severity = match own >= cx.limits.blocking_error {
            true => Severity::Error,
            false => Severity::Warning,
        };
        seen.detail = Detail {
            a: row.tries,
            b: RETRIES | u64::from(done.op.code()) << BELOW,
            c: u64::from(done.site),
        };
        match row.told {
            Some(_) => cx.book.go_on(cx.model, cx.now, seen),
            None => {
                row.told = Some((seen.reg, seen.cause));
                cx.note(seen);
            }
        }
    }

    /// The thread does something else: whoever was ready meanwhile has waited for it.
    pub fn over(&mut self, cx: &mut Cx<'_>, thread: Id) {
        if self.0.is_empty() {
            return;
        }
        let Some((row, (reg, cause))) = self.0.remove(&thread).and_then(|r| Some((r, r.told?)))
        else {
            return;
        };
        let Some(busy) = cx.model.busy(thread) else {
            return;
        };
        let mut seen = cx.about_loop(Code::BusyLoop, busy.loop_id);
        seen.process = super::super::process_of(cx.model, thread);
        (seen.thread, seen.reg, seen.cause) = (Some(thread), reg, cause);
        cx.book.held_up(&seen, row.since.0, cx.now);
    }

    pub fn lost(&mut self) {
        self.0.clear();
    }
}

/// It is about a handler that tries again and again.
pub(in super::super) fn is_retry(w: &Seen) -> bool {
    w.code == Code::BusyLoop && w.detail.b & 0xffff_ffff == RETRIES
}

/// A run that tried the same call for long: a finding tells that, and it is neither greed nor work.
pub(super) fn retried(cx: &Cx<'_>, run: &Run) -> bool {
    (cx.book.entries()).any(|e| {
        let here = (e.worst.loop_id, e.worst.thread) == (Some(run.loop_id), Some(run.thread));
        is_retry(&e.worst) && here && e.last >= run.start && e.first <= run.end
    })
}

pub(super) fn words(model: &Model, entry: &Entry) -> Words {
    let w = &entry.worst;
    let op = Op::from_code((w.detail.b >> BELOW) as u16);
    let call = op.map_or("a call", Op::name);
    let site = model.name(w.process, Space::Site, w.detail.c as u32);
    let place = match site.is_empty() {
        true => String::new(),
        false => format!(", called at {}", visible(site)),
    };
    let often = match w.times {
        1 => String::new(),
        n => format!("; so it went {}", super::times(n)),
    };
    let what = match op {
        Some(Op::Write | Op::Send | Op::Sendfile | Op::Splice) => "there is no room",
        Some(Op::Accept) => "there is no connection",
        _ => "there is nothing to read",
    };
    Words {
        summary: format!(
            "a handler called {call} on {} at least {} times in a row for {} and got EAGAIN each time{place}: {what}, and it spins until there \
             is, while everybody else waits{often}.",
            entry.who(),
            w.detail.a,
            told(w.worst)
        ),
        advice: "Return to the loop at EAGAIN: keep beside the connection what is half read or half written, and go on when it is \
                 reported again."
            .to_owned(),
    }
}
