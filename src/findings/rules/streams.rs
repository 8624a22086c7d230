//! What was done on a stream: calls that slept, and writes cut short. Step: model → **view**.

use super::super::book::{Cause, Detail, Entry};
use super::super::facts::{Changed, Cx, Done, Hook, Rule, Words, name_of_op};
use super::super::thresholds::told;
use super::super::{Code, Confidence, Severity};
use super::{due, times};
use crate::model::registration::{IN, OUT};
use crate::model::{Id, LoopKind, Map, Model, Transition, Word};
use crate::record::event::{FdKind, Op};

/// −EAGAIN and −EINTR
const AGAIN: i32 = -11;
const INTERRUPTED: i32 = -4;
/// A write of less than this finds room or is refused; it does not sleep for long.
const MUCH: u64 = 16_384;
/// Registrations watched at once.
const MOST: usize = 16_384;

/// What to do instead of a connect that sleeps.
pub(super) const CONNECT: &str = "Make the socket non-blocking before connect (SOCK_NONBLOCK) and go on when the loop reports OUT; of a \
     Unix socket EAGAIN says that the listener's queue is full: try again later.";

/// A call that slept on a descriptor that blocks, inside a turn.
pub struct FdLeftBlocking;

impl FdLeftBlocking {
    /// A call that never came back.
    fn stuck(cx: &mut Cx<'_>, thread: Id) {
        let model = cx.model;
        if let Some(thread) = model.threads().get(thread as usize) {
            let Some(call) = thread.in_call else { return };
            let (Some(busy), Some(op)) = (model.busy(thread.id), call.op) else {
                return;
            };
            let sleeps = matches!(
                op,
                Op::Read | Op::Recv | Op::Accept | Op::Write | Op::Send | Op::Connect
            );
            if asks_for_one(model, busy.loop_id, thread.id) {
                return;
            }
            let ended = thread.ended.unwrap_or(cx.now);
            let length = ended.saturating_sub(call.since);
            if !sleeps || length < cx.limits.blocking_io.saturating_mul(20) {
                return;
            }
            let number = model.number(thread.process, call.fd);
            let reg = number.and_then(|n| model.registrations(n.desc).next());
            let mut seen = match reg {
                Some(reg) => cx.about(Code::FdLeftBlocking, reg),
                None => {
                    let generation = number.map_or(0, |n| n.generation);
                    cx.about_number(Code::FdLeftBlocking, thread.process, call.fd, generation)
                }
            };
            seen.loop_id = Some(busy.loop_id);
            seen.thread = Some(thread.id);
            seen.fd = call.fd;
            seen.at = call.since;
            seen.worst = length;
            seen.severity = Severity::Error;
            seen.confidence = Confidence::Measured;
            seen.detail = Detail {
                a: u64::from(op.code()) | 1 << 32,
                b: u64::from(call.site),
                c: u64::from(reg.is_some()),
            };
            cx.note(seen);
        }
    }

    /// The call could sleep for want of bytes, room or a connection, and so it did.
    fn slept(cx: &Cx<'_>, done: &Done<'_>) -> bool {
        let Some(number) = done.number else {
            return false;
        };
        let kind = number.kind;
        let listens = matches!(kind, FdKind::TcpListener | FdKind::UnixListener);
        let waits = streams(kind)
            || matches!(
                kind,
                FdKind::Udp | FdKind::UnixDatagram | FdKind::Eventfd | FdKind::Timerfd
            )
            || listens;
        let story = cx.tracks.number(done.process, done.fd);
        let blocks = story.is_some_and(|s| s.blocks == Some(true) && !s.refused);
        if !waits || !blocks || matches!(done.result, AGAIN | INTERRUPTED) {
            return false;
        }
        match done.op {
            Op::Read | Op::Recv | Op::Accept => {
                // The first read after a report finds what was reported: if it took long, that was no sleep.
                let answered = done
                    .track
                    .is_none_or(|t| t.ops > 0 || t.told.is_none_or(|told| told.mask & IN == 0));
                answered && done.result >= 0
            }
            Op::Write | Op::Send => done.asked >= MUCH && done.result as u32 as u64 == done.asked,
            // A Unix socket's is done at once, unless the listener's queue is full; then the kernel tells of a sleep.
            Op::Connect => {
                let since = done.t.saturating_sub(done.took);
                let spent = || cx.model.spent_in_turn(done.thread, since, done.t);
                done.result == 0
                    && (kind != FdKind::Unix || spent().blocked >= cx.limits.blocking_io)
            }
            _ => false,
        }
    }
}

/// Its last poll(2) asked for a single descriptor: that is a call with a time-out, and nobody else waits for the thread.
pub(super) fn asks_for_one(model: &Model, loop_id: Id, thread: Id) -> bool {
    let l = model.loops().get(loop_id as usize);
    l.filter(|l| l.kind == LoopKind::Poll).is_some_and(|l| {
        let mut threads = l.threads.iter();
        threads.any(|t| t.thread == thread && t.maxevents == 1)
    })
}

impl Rule for FdLeftBlocking {
    fn code(&self) -> Code {
        Code::FdLeftBlocking
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Slow, Hook::Tick, Hook::Ending]
    }

    fn ending(&mut self, cx: &mut Cx<'_>, _process: Id, thread: Option<Id>) {
        if let Some(thread) = thread {
            Self::stuck(cx, thread);
        }
    }

    fn done(&mut self, cx: &mut Cx<'_>, done: &Done<'_>) {
        if done.took < cx.limits.blocking_io {
            return;
        }
        let Some(busy) = done.busy.filter(|_| Self::slept(cx, done)) else {
            return;
        };
        let since = done.t.saturating_sub(done.took);
        let spent = cx.model.spent_in_turn(done.thread, since, done.t);
        let slept = done.took.saturating_sub(spent.kept_off());
        if since < busy.wakeup || slept < cx.limits.blocking_io {
            return;
        }
        if asks_for_one(cx.model, busy.loop_id, done.thread) {
            return;
        }
        let mut seen = match done.reg {
            Some(reg) => cx.about(Code::FdLeftBlocking, reg),
            None => {
                let generation = done.number.map_or(0, |n| n.generation);
                let mut seen =
                    cx.about_number(Code::FdLeftBlocking, done.process, done.fd, generation);
                // One call of one handler, whatever number it gets each time.
                let serves = busy.reg.and_then(|id| cx.model.reg(id));
                seen.cause = Cause::Call(name_of_op(done.op), serves.map_or(0, |r| r.role));
                seen
            }
        };
        seen.loop_id = Some(busy.loop_id);
        seen.thread = Some(done.thread);
        seen.fd = done.fd;
        seen.at = since;
        seen.worst = slept;
        seen.detail = Detail {
            a: u64::from(done.op.code()),
            b: u64::from(done.site),
            c: u64::from(done.reg.is_some()),
        };
        // A write may be long because a lot is copied, or because the thread was kept from running, and a descriptor may
        // have been set non-blocking since by a call that is not recorded.
        if matches!(done.op, Op::Write | Op::Send) {
            seen.confidence = Confidence::Maybe;
        }
        cx.book.held_up(&seen, since, done.t);
        cx.note(seen);
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        if cx.over {
            let threads: Vec<Id> = cx
                .model
                .threads()
                .iter()
                .filter(|t| t.ended.is_none())
                .map(|t| t.id)
                .collect();
            threads
                .into_iter()
                .for_each(|thread| Self::stuck(cx, thread));
        }
    }

    fn words(&self, model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let op = Op::from_code(w.detail.a as u16).map_or("a call", Op::name);
        let site = model.name(
            w.process,
            crate::record::event::Space::Site,
            w.detail.b as u32,
        );
        let place = match site.is_empty() {
            true => String::new(),
            false => format!(" ({})", crate::text::visible(site)),
        };
        let on = match w.detail.c {
            0 => "which is on no loop",
            _ => "which is on the loop",
        };
        let summary = match w.detail.a >> 32 {
            0 => format!(
                "{op} on {}, {on} and not set non-blocking, put the whole loop to sleep {}, for {} at worst{place}.",
                entry.who(),
                times(w.times),
                told(w.worst)
            ),
            _ => format!(
                "{op} on {}, {on}, was entered in the middle of a turn and has not come back for {}{place}.",
                entry.who(),
                told(w.worst)
            ),
        };
        Words {
            summary,
            advice: match Op::from_code(w.detail.a as u16) {
                Some(Op::Connect) => CONNECT,
                _ => {
                    "Make the descriptor non-blocking (SOCK_NONBLOCK, accept4, fcntl O_NONBLOCK) and stop at EAGAIN."
                }
            }
            .to_owned(),
        }
    }
}

/// A write that took less than it was given, and the rest was never written.
#[derive(Default)]
pub struct ShortWriteDropped {
    short: Map<Id, (u64, u64, u64)>,
}

impl Rule for ShortWriteDropped {
    fn code(&self) -> Code {
        Code::ShortWriteDropped
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Done, Hook::Ctl, Hook::Transition, Hook::Tick]
    }

    fn done(&mut self, cx: &mut Cx<'_>, done: &Done<'_>) {
        let (Some(reg), Some(number)) = (done.reg, done.number) else {
            return;
        };
        if matches!(done.op, Op::Shutdown) {
            self.short.remove(&reg.id);
            return;
        }
        if !matches!(done.op, Op::Write | Op::Send | Op::Sendfile) {
            return;
        }
        let rest = match done.result {
            AGAIN => done.asked,
            n @ 1.. => done.asked.saturating_sub(n as u64),
            _ => 0,
        };
        let epoll = cx.model.loops().get(reg.loop_id as usize);
        let epoll = epoll.is_some_and(|l| l.kind == LoopKind::Epoll);
        // sendfile(2) stops at the end of the file as well.
        let plain = done.op != Op::Sendfile && streams(number.kind);
        if rest > 0 && epoll && plain && self.short.len() < MOST {
            self.short.insert(reg.id, (cx.now, cx.event, rest));
        } else {
            // Whatever follows may hold the rest.
            self.short.remove(&reg.id);
        }
    }

    fn ctl(&mut self, _cx: &mut Cx<'_>, ctl: &Changed<'_>) {
        if let Some(reg) = ctl.reg.filter(|r| r.interest & OUT != 0) {
            self.short.remove(&reg.id);
        }
    }

    fn transition(&mut self, _cx: &mut Cx<'_>, t: &Transition) {
        if t.to == Word::Gone {
            self.short.remove(&t.reg);
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        let (now, wait) = (cx.now, cx.limits.rest_missing);
        let all = due(&self.short, |(at, ..)| now.saturating_sub(*at) >= wait);
        for (id, (at, event, rest)) in all {
            self.short.remove(&id);
            let Some(reg) = cx
                .model
                .reg(id)
                .filter(|r| r.is_live() && r.interest & OUT == 0)
            else {
                continue;
            };
            let mut seen = cx.about(Code::ShortWriteDropped, reg);
            (seen.at, seen.event) = (at, event);
            seen.severity = Severity::Error;
            seen.confidence = cx.absence(seen.process);
            seen.detail.a = rest;
            cx.note(seen);
        }
    }

    fn lost(&mut self) {
        self.short.clear();
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        Words {
            summary: format!(
                "a write to {} took less than it was given {}; {} bytes were never written and the program does not ask to \
                 be told of room: the other side waits for them.",
                entry.who(),
                times(w.times),
                w.detail.a
            ),
            advice: "Keep what a write did not take, ask for EPOLLOUT, and go on writing there until nothing is left."
                .to_owned(),
        }
    }
}

/// What I/O on this may put to sleep until the other side does something.
fn streams(kind: FdKind) -> bool {
    matches!(kind, FdKind::Tcp | FdKind::Unix | FdKind::Pipe)
}
