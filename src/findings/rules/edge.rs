//! Reports that come once only: edge-triggered and one-shot registrations whose program stopped half-way.
//! Step: model → **view**.

use super::super::book::{Detail, Entry};
use super::super::facts::{Cx, Done, Hook, Report, Rule, Waited, Words};
use super::super::thresholds::told;
use super::super::{Code, Confidence, Severity};
use super::backlog::{self, Backlogs, LISTENER, is_listener};
use super::{due, times};
use crate::model::registration::{ET, HUP, IN, ONESHOT, RDHUP};
use crate::model::{Drain, Id, Kernel, Map, Model, Transition, Why, Word};
use crate::record::event::{FdKind, Op};

/// Registrations watched at once by one rule.
const MOST: usize = 16_384;

/// What was left behind, as far as known.
#[derive(Clone, Copy, Debug)]
struct Left {
    loop_id: Id,
    since: u64,
    event: u64,
    /// Bytes seen to wait, and since when.
    unread: Option<(u64, u64)>,
    /// A wait with room in its batch has returned without them since: no report is on its way.
    proven: bool,
}

/// Bytes that wait for so long on a loop that sleeps were left behind: nobody takes so long to wake up.
const PATIENCE: u64 = 5;

/// Bytes left behind on an edge-triggered registration.
#[derive(Default)]
pub struct EtNotDrained {
    left: Map<Id, Left>,
    /// Loops whose program reads without a report: it keeps a list of its own of what is left.
    lists: Map<Id, u64>,
    /// The last return of each loop's wait that had room in its batch.
    exits: Map<Id, u64>,
    /// Those whose sender goes on.
    backlogs: Backlogs,
}

impl EtNotDrained {
    /// The registration's silence has come to an end, or the recording has.
    fn stalled(&mut self, cx: &mut Cx<'_>, id: Id, over: bool) {
        let Some(left) = self.left.remove(&id) else {
            return;
        };
        let limit = cx.limits.left_behind;
        let length = cx.now.saturating_sub(left.since);
        let Some(reg) = cx.model.reg(id).filter(|_| length >= limit) else {
            return;
        };
        // One that never meets EAGAIN is told of as such.
        if self.lists.contains_key(&left.loop_id) || self.backlogs.is_told(reg) {
            return;
        }
        let waited = |at: u64| cx.now.saturating_sub(at) >= limit.saturating_mul(PATIENCE);
        let sure = left.unread.is_some_and(|(_, at)| left.proven || waited(at));
        let perhaps = over && left.unread.is_none();
        if !sure && !perhaps {
            return;
        }
        let mut seen = cx.about(Code::EtNotDrained, reg);
        seen.at = left.since;
        seen.event = left.event;
        seen.worst = length;
        (seen.severity, seen.confidence) = match sure && !cx.blind {
            true => (Severity::Error, Confidence::Measured),
            false => (Severity::Info, Confidence::Maybe),
        };
        seen.detail = Detail {
            a: left.unread.map_or(0, |(bytes, _)| bytes),
            b: u64::from(over) + u64::from(is_listener(reg.kind)) * LISTENER,
            c: 0,
        };
        cx.note(seen);
    }

    /// Nothing more will come of it: of one process, or of all.
    fn over(&mut self, cx: &mut Cx<'_>, process: Option<Id>) {
        for (id, _) in due(&self.left, |_| true) {
            let Some(reg) = cx.model.reg(id) else {
                continue;
            };
            if reg.word == Word::Residual && process.is_none_or(|p| p == reg.process) {
                self.saw(id, reg.unread.unwrap_or(0), cx.now);
                self.stalled(cx, id, true);
            }
        }
    }

    fn saw(&mut self, id: Id, bytes: u64, at: u64) {
        if let Some(left) = self.left.get_mut(&id).filter(|_| bytes > 0) {
            let (most, since) = left.unread.unwrap_or((0, at));
            left.unread = Some((most.max(bytes), since));
        }
    }
}

impl Rule for EtNotDrained {
    fn code(&self) -> Code {
        Code::EtNotDrained
    }

    fn hooks(&self) -> &'static [Hook] {
        &[
            Hook::Transition,
            Hook::Done,
            Hook::Report,
            Hook::Waited,
            Hook::Enter,
            Hook::Tick,
            Hook::Unread,
            Hook::Ending,
        ]
    }

    fn ending(&mut self, cx: &mut Cx<'_>, process: Id, thread: Option<Id>) {
        if thread.is_none() {
            self.over(cx, Some(process));
        }
    }

    fn transition(&mut self, cx: &mut Cx<'_>, t: &Transition) {
        match (t.to, t.why) {
            (Word::Residual, _) => {
                let habit = self.backlogs.left(t.reg, t.t, t.event);
                let seen = habit.and_then(|habit| habit.of_listener(cx, t.reg));
                let listed = |id| self.lists.contains_key(&id);
                if let Some(seen) = seen.filter(|s| !s.loop_id.is_some_and(listed)) {
                    cx.note(seen);
                }
            }
            (Word::Gone | Word::Unknown, _) | (_, Why::Drained | Why::Mod) => {
                self.backlogs.drained(t.reg);
            }
            _ => {}
        }
        match (t.from, t.to) {
            (_, Word::Residual) if self.left.len() < MOST => {
                let Some(reg) = cx.model.reg(t.reg) else {
                    return;
                };
                self.left.entry(t.reg).or_insert(Left {
                    loop_id: reg.loop_id,
                    since: t.t,
                    event: t.event,
                    unread: None,
                    proven: false,
                });
            }
            (Word::Residual, Word::Gone | Word::Unknown) => {
                self.left.remove(&t.reg);
            }
            _ => {}
        }
    }

    fn unread(&mut self, cx: &mut Cx<'_>, unread: &super::super::facts::Unread<'_>) {
        let Some(reg) = unread.reg else {
            return;
        };
        self.saw(reg.id, unread.bytes, cx.now);
        let long = |since: u64| cx.now.saturating_sub(since) >= cx.limits.left_behind;
        let backlog = self.backlogs.saw(reg.id, unread.bytes);
        if let Some(backlog) = backlog.filter(|b| long(b.since))
            && !self.lists.contains_key(&reg.loop_id)
        {
            let seen = backlog.seen(cx, reg, unread.bytes);
            cx.note(seen);
        }
    }

    fn done(&mut self, _cx: &mut Cx<'_>, done: &Done<'_>) {
        if self.left.is_empty() {
            return;
        }
        let Some(reg) = done.reg.filter(|r| r.interest & ET != 0) else {
            return;
        };
        let reads = matches!(done.op, Op::Read | Op::Recv | Op::Accept);
        if reads && self.left.contains_key(&reg.id) && reg.word != Word::Running {
            // Read though nobody reported it: the program knows of it by itself.
            if self.lists.len() < MOST {
                *self.lists.entry(reg.loop_id).or_default() += 1;
            }
            self.left.remove(&reg.id);
        }
    }

    fn waited(&mut self, _cx: &mut Cx<'_>, wait: &Waited) {
        let room = wait.n >= 0 && (wait.n as u32) < wait.room;
        if room && (self.exits.len() < MOST || self.exits.contains_key(&wait.loop_id)) {
            self.exits.insert(wait.loop_id, wait.t);
        }
    }

    fn enter(&mut self, cx: &mut Cx<'_>, wait: &Waited) {
        if self.left.is_empty() {
            return;
        }
        // What the last wait reported is told by now, and not among these.
        let exit = self.exits.get(&wait.loop_id).copied().unwrap_or(0);
        let mut unread: Vec<(Id, u64)> = Vec::new();
        for (id, left) in self
            .left
            .iter_mut()
            .filter(|(_, l)| l.loop_id == wait.loop_id)
        {
            left.proven |= left.unread.is_some_and(|(_, at)| at <= exit);
            if left.unread.is_none()
                && let Some(bytes) = cx.model.reg(*id).and_then(|r| r.unread)
            {
                unread.push((*id, bytes));
            }
        }
        for (id, bytes) in unread {
            self.saw(id, bytes, cx.now);
        }
    }

    fn report(&mut self, cx: &mut Cx<'_>, report: &Report<'_>) {
        // Only more bytes have woken it up again.
        self.stalled(cx, report.reg.id, false);
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        if cx.over {
            self.over(cx, None);
        }
    }

    fn lost(&mut self) {
        self.left.clear();
        self.backlogs.clear();
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        if w.detail.b & LISTENER != 0 {
            return backlog::of_listener(entry);
        }
        let bytes = match w.detail.a {
            0 => "what may have been left".to_owned(),
            n => format!("{n} bytes"),
        };
        let until = match w.detail.b {
            0 => "until the other side sent more",
            _ => "and nothing has come to read them since",
        };
        let advice = "Read (or accept) until EAGAIN in each run; or keep the descriptor on a list of your own and come back to \
                      it; or drop EPOLLET."
            .to_owned();
        if w.detail.c > 0 {
            return Words {
                summary: format!(
                    "the handler of {} stopped reading before EAGAIN after each of {} reports in a row; {bytes} lay behind at the \
                     last look, after {}: edge-triggered, epoll tells of new bytes, and each report takes less than there is.",
                    entry.who(),
                    w.detail.c,
                    told(w.worst)
                ),
                advice,
            };
        }
        Words {
            summary: format!(
                "the handler of {} stopped reading before EAGAIN {}; {bytes} stayed behind for {} at worst, {until}: \
                 edge-triggered, epoll does not report them again.",
                entry.who(),
                times(w.times),
                told(w.worst)
            ),
            advice,
        }
    }
}

/// An edge-triggered report of the end, of which only the bytes were read.
#[derive(Default)]
pub struct EtEofMissed {
    pending: Map<Id, (u64, u64, u32)>,
}

impl Rule for EtEofMissed {
    fn code(&self) -> Code {
        Code::EtEofMissed
    }

    fn hooks(&self) -> &'static [Hook] {
        &[
            Hook::Report,
            Hook::Done,
            Hook::Ctl,
            Hook::Transition,
            Hook::Tick,
        ]
    }

    fn report(&mut self, _cx: &mut Cx<'_>, r: &Report<'_>) {
        let ended = r.mask & (RDHUP | HUP) != 0 && r.mask & IN != 0;
        let stream = matches!(
            r.reg.kind,
            FdKind::Tcp | FdKind::Unix | FdKind::Pipe | FdKind::Unknown
        );
        if r.reg.is_edge() && ended && stream && self.pending.len() < MOST {
            self.pending.insert(r.reg.id, (r.t, r.event, r.mask));
        } else {
            self.pending.remove(&r.reg.id);
        }
    }

    fn done(&mut self, cx: &mut Cx<'_>, done: &Done<'_>) {
        let Some(reg) = done.reg else { return };
        let Some(pending) = self.pending.get_mut(&reg.id) else {
            return;
        };
        let read = matches!(done.op, Op::Read | Op::Recv) && done.result > 0;
        if read {
            pending.0 = cx.now;
        } else {
            // It met the end or an error, or is being written to by design.
            self.pending.remove(&reg.id);
        }
    }

    fn ctl(&mut self, _cx: &mut Cx<'_>, ctl: &super::super::facts::Changed<'_>) {
        if let Some(reg) = ctl.reg {
            self.pending.remove(&reg.id);
        }
    }

    fn transition(&mut self, _cx: &mut Cx<'_>, t: &Transition) {
        if t.to == Word::Gone {
            self.pending.remove(&t.reg);
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        let (now, wait) = (cx.now, cx.limits.eof_missed);
        let all = due(&self.pending, |(at, ..)| now.saturating_sub(*at) >= wait);
        for (id, (at, event, mask)) in all {
            self.pending.remove(&id);
            let Some(reg) = cx.model.reg(id).filter(|r| r.is_live()) else {
                continue;
            };
            let read = cx.tracks.reg(id).is_some_and(|t| t.read);
            if !read {
                // Nobody has read at all: it was left behind as a whole, or is handled elsewhere.
                continue;
            }
            let mut seen = cx.about(Code::EtEofMissed, reg);
            seen.at = at;
            seen.event = event;
            seen.worst = now.saturating_sub(at);
            seen.confidence = cx.absence(seen.process);
            seen.detail.a = u64::from(mask);
            cx.note(seen);
        }
    }

    fn lost(&mut self) {
        self.pending.clear();
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        Words {
            summary: format!(
                "{} was told of bytes and of the end at once ({}) {}, and its handler read the bytes and never the end: \
                 edge-triggered, there is no further report, and the connection stays open.",
                entry.who(),
                crate::text::names::mask(w.detail.a as u32),
                times(w.times)
            ),
            advice: "Read on until 0 or EAGAIN, or look at EPOLLRDHUP and EPOLLHUP in the report."
                .to_owned(),
        }
    }
}

/// One-shot, reported, and never armed again.
#[derive(Default)]
pub struct OneshotNotRearmed {
    off: Map<Id, (u64, u64)>,
    /// The longest time it took a loop to arm one again.
    longest: Map<Id, u64>,
}

impl OneshotNotRearmed {
    /// Those that have been off for too long.
    fn judge(&mut self, cx: &mut Cx<'_>, ending: Option<Id>) {
        let (now, least) = (cx.now, cx.limits.off_for);
        let all = due(&self.off, |(at, _)| now.saturating_sub(*at) >= least);
        for (id, (at, event)) in all {
            let Some(reg) = cx.model.reg(id).filter(|r| r.is_live()) else {
                self.off.remove(&id);
                continue;
            };
            let longest = self.longest.get(&reg.loop_id).copied().unwrap_or(0);
            let unread = reg.unread.unwrap_or(0);
            // Nothing waits for it, as far as known: wait and see until the end.
            let ends = ending == Some(reg.process);
            let patient = unread == 0 && !cx.over && !ends;
            if patient || now.saturating_sub(at) < longest.saturating_mul(4) {
                continue;
            }
            self.off.remove(&id);
            if reg.kernel() != Some(Kernel::Disarmed)
                || reg.drain() == Drain::Unknown && unread == 0
            {
                continue;
            }
            let mut seen = cx.about(Code::OneshotNotRearmed, reg);
            seen.at = at;
            seen.event = event;
            seen.worst = now.saturating_sub(at);
            (seen.severity, seen.confidence) = match (unread, cx.blind) {
                (0, _) | (_, true) => (Severity::Info, Confidence::Maybe),
                _ => (Severity::Error, Confidence::Measured),
            };
            seen.detail.a = unread;
            cx.note(seen);
        }
    }
}

impl Rule for OneshotNotRearmed {
    fn code(&self) -> Code {
        Code::OneshotNotRearmed
    }

    fn hooks(&self) -> &'static [Hook] {
        &[
            Hook::Report,
            Hook::Done,
            Hook::Ctl,
            Hook::Transition,
            Hook::Tick,
        ]
    }

    fn report(&mut self, _cx: &mut Cx<'_>, r: &Report<'_>) {
        if r.reg.interest & ONESHOT != 0 && self.off.len() < MOST {
            self.off.insert(r.reg.id, (r.t, r.event));
        }
    }

    fn done(&mut self, cx: &mut Cx<'_>, done: &Done<'_>) {
        // Somebody is at work on it.
        if let Some(reg) = done.reg
            && let Some(off) = self.off.get_mut(&reg.id)
        {
            off.0 = cx.now;
        }
    }

    fn ctl(&mut self, cx: &mut Cx<'_>, ctl: &super::super::facts::Changed<'_>) {
        if let Some(reg) = ctl.reg
            && ctl.result >= 0
            && let Some((at, _)) = self.off.remove(&reg.id)
        {
            let longest = self.longest.entry(reg.loop_id).or_default();
            *longest = (*longest).max(cx.now.saturating_sub(at));
        }
    }

    fn transition(&mut self, _cx: &mut Cx<'_>, t: &Transition) {
        if t.to == Word::Gone {
            self.off.remove(&t.reg);
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        self.judge(cx, None);
    }

    fn lost(&mut self) {
        self.off.clear();
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let waits = match w.detail.a {
            0 => "nobody knows whether anything waits on it".to_owned(),
            n => format!("{n} bytes wait on it"),
        };
        Words {
            summary: format!(
                "{} is registered one-shot, was reported, served, and not armed again for {}; {waits}, and no event will \
                 tell the loop of it, not even a hang-up.",
                entry.who(),
                told(w.worst)
            ),
            advice: "Arm it again with EPOLL_CTL_MOD at the end of every path through its handler, errors too.".to_owned(),
        }
    }
}
