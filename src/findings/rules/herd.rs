//! Several threads on one thing: who is woken in vain, and who takes it all. Step: model → **view**.

use super::super::book::{Detail, Entry};
use super::super::facts::{Cx, Done, Hook, Rule, Words};
use super::super::{Code, Confidence, Severity};
use super::times;
use crate::model::registration::IN;
use crate::model::{Id, Map, Model, Transition, Word};
use crate::record::event::{FdKind, Op};

/// −EAGAIN
const AGAIN: i32 = -11;
/// Descriptions or registrations watched at once.
const MOST: usize = 4_096;
/// Threads told apart on one description.
const MOST_THREADS: usize = 256;
/// What one took, another that was woken for it finds gone within this time.
const TOGETHER: u64 = 5_000_000;

/// The first call of the thread that was told, after a report of bytes or connections.
fn answers(done: &Done<'_>) -> bool {
    let reads = matches!(done.op, Op::Read | Op::Recv | Op::Accept);
    reads
        && done.track.is_some_and(|t| {
            !t.answered
                && t.told
                    .is_some_and(|told| told.thread == done.thread && told.mask & IN != 0)
        })
}

#[derive(Clone, Debug, Default)]
struct Herd {
    woken: u64,
    wasted: u64,
    /// Of these, wakeups that ended inside the wait.
    inside: u64,
    threads: Vec<Id>,
    /// Who took something last, and when.
    took: Option<(Id, u64)>,
    first: (u64, u64),
    reg: Id,
}

/// Many wake up for what one takes.
#[derive(Default)]
pub struct ThunderingHerd {
    shared: Map<u32, Herd>,
}

impl ThunderingHerd {
    /// What there is to say once no more will come, of one process or of all.
    fn judge(&mut self, cx: &mut Cx<'_>, ending: Option<Id>) {
        let mut all: Vec<(&u32, &Herd)> = self.shared.iter().collect();
        all.sort_unstable_by_key(|(desc, _)| **desc);
        let mut judged: Vec<u32> = Vec::new();
        for (desc, herd) in all {
            let enough = herd.woken >= cx.limits.shares_of && herd.threads.len() >= 2;
            if !enough
                || herd.wasted.saturating_mul(100) < herd.woken.saturating_mul(cx.limits.herd_share)
            {
                continue;
            }
            let reg = cx.model.reg(herd.reg);
            let Some(reg) = reg.filter(|r| ending.is_none_or(|p| p == r.process)) else {
                continue;
            };
            judged.push(*desc);
            let mut seen = cx.about(Code::ThunderingHerd, reg);
            (seen.at, seen.event) = herd.first;
            seen.times = herd.wasted;
            seen.confidence = Confidence::Measured;
            seen.detail = Detail {
                a: herd.woken,
                b: herd.threads.len() as u64,
                c: herd.inside,
            };
            cx.note(seen);
        }
        judged
            .iter()
            .for_each(|desc| drop(self.shared.remove(desc)));
    }
}

impl Rule for ThunderingHerd {
    fn code(&self) -> Code {
        Code::ThunderingHerd
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Done, Hook::Roused, Hook::Tick, Hook::Ending]
    }

    fn ending(&mut self, cx: &mut Cx<'_>, process: Id, thread: Option<Id>) {
        if thread.is_none() {
            self.judge(cx, Some(process));
        }
    }

    fn roused(&mut self, cx: &mut Cx<'_>, thread: Id, loop_id: Id) {
        // What its loop waits for as well, and another thread has just taken.
        let (model, now) = (cx.model, cx.now);
        let taken = self.shared.iter_mut().filter(|(desc, herd)| {
            let by_another = herd
                .took
                .is_some_and(|(by, at)| by != thread && now.saturating_sub(at) <= TOGETHER);
            by_another && model.registrations(**desc).any(|r| r.loop_id == loop_id)
        });
        if let Some((_, herd)) = taken.max_by_key(|(desc, herd)| (herd.took.map(|t| t.1), **desc)) {
            herd.woken += 1;
            herd.wasted += 1;
            herd.inside += 1;
            if herd.threads.len() < MOST_THREADS && !herd.threads.contains(&thread) {
                herd.threads.push(thread);
            }
        }
    }

    fn done(&mut self, cx: &mut Cx<'_>, done: &Done<'_>) {
        let (Some(number), Some(reg)) = (done.number, done.reg) else {
            return;
        };
        // A connection is one thread's at a time, and its number soon another's.
        let passing = matches!(number.kind, FdKind::Tcp | FdKind::Unix | FdKind::Unknown);
        if passing || !matches!(done.op, Op::Read | Op::Recv | Op::Accept) {
            return;
        }
        let known = self.shared.contains_key(&number.desc);
        if !known && self.shared.len() >= MOST {
            return;
        }
        // With several registrations on the description, each thread is told through its own.
        let mut own = cx
            .model
            .registrations(number.desc)
            .filter_map(|r| cx.tracks.reg(r.id));
        let first =
            own.any(|t| !t.answered && t.told.is_some_and(|told| told.thread == done.thread));
        let herd = self.shared.entry(number.desc).or_default();
        if !known {
            herd.first = (cx.now, cx.event);
            herd.reg = reg.id;
        }
        if herd.threads.len() < MOST_THREADS && !herd.threads.contains(&done.thread) {
            herd.threads.push(done.thread);
        }
        if first {
            herd.woken += 1;
            let gone = herd.took.is_some_and(|(thread, at)| {
                thread != done.thread && done.t.saturating_sub(at) <= TOGETHER
            });
            herd.wasted += u64::from(done.result == AGAIN && gone);
        }
        if done.result >= 0 {
            herd.took = Some((done.thread, done.t));
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        if cx.over {
            self.judge(cx, None);
        }
    }

    fn lost(&mut self) {
        self.shared.clear();
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        Words {
            summary: format!(
                "{} threads wait for {}: at least {} of {} times one was woken for it, another had taken it before{}.",
                w.detail.b,
                entry.who(),
                w.times,
                w.detail.a,
                match w.detail.c {
                    0 => ". Wakeups that end inside the kernel are not counted".to_owned(),
                    n => format!("; {n} of them slept on inside the kernel's wait"),
                }
            ),
            advice: "Register it with EPOLLEXCLUSIVE in each thread's own epoll, give each thread a listener of its own \
                     (SO_REUSEPORT), or use EPOLLET or EPOLLONESHOT on one shared epoll."
                .to_owned(),
        }
    }
}

/// Accepts of one listener, by thread.
#[derive(Clone, Debug, Default)]
struct Share {
    by: Vec<(Id, u64)>,
    first: (u64, u64),
    reg: Id,
}

/// One of several workers takes nearly every connection.
#[derive(Default)]
pub struct WorkerSkew {
    listeners: Map<u32, Share>,
}

impl WorkerSkew {
    /// What there is to say once no more will come, of one process or of all.
    fn judge(&mut self, cx: &mut Cx<'_>, ending: Option<Id>) {
        let model = cx.model;
        let mut all: Vec<(&u32, &Share)> = self.listeners.iter().collect();
        all.sort_unstable_by_key(|(desc, _)| **desc);
        let mut judged: Vec<u32> = Vec::new();
        for (desc, share) in all {
            let total: u64 = share.by.iter().map(|(_, n)| n).sum();
            let Some((most_by, most)) = share.by.iter().copied().max_by_key(|(_, n)| *n) else {
                continue;
            };
            if total < cx.limits.shares_of
                || most.saturating_mul(100) < total.saturating_mul(cx.limits.skew_share)
            {
                continue;
            }
            // Everybody who waits for it, and how busy each one's loop is.
            let loops = model
                .registrations(*desc)
                .filter_map(|r| model.loops().get(r.loop_id as usize));
            let mut waiting: Vec<(Id, f64)> = Vec::new();
            for l in loops {
                let busy = l.utilisation().unwrap_or(0.0);
                for t in l.threads.iter().filter(|t| t.waits > 0) {
                    if waiting.len() < MOST_THREADS
                        && !waiting.iter().any(|(id, _)| *id == t.thread)
                    {
                        waiting.push((t.thread, busy));
                    }
                }
            }
            let process = model.threads().get(most_by as usize).map(|t| t.process);
            let mine = ending.is_none()
                || ending == process
                || model.reg(share.reg).map(|r| r.process) == ending;
            let Some(reg) = model.reg(share.reg).filter(|_| waiting.len() >= 2 && mine) else {
                continue;
            };
            judged.push(*desc);
            let own = waiting
                .iter()
                .find(|(id, _)| *id == most_by)
                .map_or(0.0, |w| w.1);
            let idlest = waiting.iter().map(|w| w.1).fold(1.0, f64::min);
            let mut seen = cx.about(Code::WorkerSkew, reg);
            seen.thread = Some(most_by);
            (seen.at, seen.event) = share.first;
            seen.times = most;
            seen.confidence = Confidence::Measured;
            // As long as the one is not at its limit, nobody waits for it.
            seen.severity = match own >= 0.7 && idlest < 0.2 {
                true => Severity::Warning,
                false => Severity::Info,
            };
            seen.detail = Detail {
                a: total,
                b: waiting.len() as u64,
                c: (own * 100.0) as u64 | ((idlest * 100.0) as u64) << 32,
            };
            cx.note(seen);
        }
        judged
            .iter()
            .for_each(|desc| drop(self.listeners.remove(desc)));
    }
}

impl Rule for WorkerSkew {
    fn code(&self) -> Code {
        Code::WorkerSkew
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Accepted, Hook::Tick, Hook::Ending]
    }

    fn ending(&mut self, cx: &mut Cx<'_>, process: Id, thread: Option<Id>) {
        if thread.is_none() {
            self.judge(cx, Some(process));
        }
    }

    fn done(&mut self, cx: &mut Cx<'_>, done: &Done<'_>) {
        let (Op::Accept, 0.., Some(number), Some(reg)) =
            (done.op, done.result, done.number, done.reg)
        else {
            return;
        };
        if self.listeners.len() >= MOST && !self.listeners.contains_key(&number.desc) {
            return;
        }
        let share = self.listeners.entry(number.desc).or_default();
        if share.by.is_empty() {
            share.first = (cx.now, cx.event);
            share.reg = reg.id;
        }
        match share
            .by
            .iter()
            .position(|(thread, _)| *thread == done.thread)
        {
            Some(at) => share.by[at].1 += 1,
            None if share.by.len() < MOST_THREADS => share.by.push((done.thread, 1)),
            None => {}
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        if cx.over {
            self.judge(cx, None);
        }
    }

    fn words(&self, model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let tid = w
            .thread
            .and_then(|id| model.threads().get(id as usize))
            .map_or(0, |t| t.tid);
        Words {
            summary: format!(
                "thread {tid} took {} of {} connections of {}, for which {} threads wait; its loop was busy {} % of the time, \
                 the idlest {} %.",
                w.times,
                w.detail.a,
                entry.who(),
                w.detail.b,
                w.detail.c & 0xffff_ffff,
                w.detail.c >> 32
            ),
            advice: "Give each worker a listener of its own with SO_REUSEPORT, or hand connections out: an idle worker that \
                     waits last is woken first."
                .to_owned(),
        }
    }
}

/// Reports of a registration, and how many of them found nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Firsts {
    all: u64,
    empty: u64,
    first: (u64, u64),
}

/// Reported, and the first try finds nothing.
#[derive(Default)]
pub struct SpuriousWakeup {
    regs: Map<Id, Firsts>,
}

impl SpuriousWakeup {
    /// No more will come of this registration.
    fn judge(&mut self, cx: &mut Cx<'_>, id: Id) {
        let (Some(f), Some(reg)) = (self.regs.remove(&id), cx.model.reg(id)) else {
            return;
        };
        let share = f.all.saturating_mul(cx.limits.spurious_share);
        if f.all < cx.limits.shares_of || f.empty.saturating_mul(100) < share {
            return;
        }
        let mut seen = cx.about(Code::SpuriousWakeup, reg);
        (seen.at, seen.event) = f.first;
        seen.times = f.empty;
        seen.confidence = Confidence::Measured;
        seen.detail.a = f.all;
        cx.note(seen);
    }

    /// The same of all of one process, or of all.
    fn judge_all(&mut self, cx: &mut Cx<'_>, ending: Option<Id>) {
        let mut all: Vec<Id> = self.regs.keys().copied().collect();
        all.sort_unstable();
        for id in all {
            let process = cx.model.reg(id).map(|r| r.process);
            if ending.is_none() || ending == process {
                self.judge(cx, id);
            }
        }
    }
}

impl Rule for SpuriousWakeup {
    fn code(&self) -> Code {
        Code::SpuriousWakeup
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Done, Hook::Tick, Hook::Ending, Hook::Transition]
    }

    fn transition(&mut self, cx: &mut Cx<'_>, t: &Transition) {
        if t.to == Word::Gone {
            self.judge(cx, t.reg);
        }
    }

    fn ending(&mut self, cx: &mut Cx<'_>, process: Id, thread: Option<Id>) {
        if thread.is_none() {
            self.judge_all(cx, Some(process));
        }
    }

    fn done(&mut self, cx: &mut Cx<'_>, done: &Done<'_>) {
        let Some(reg) = done.reg.filter(|_| answers(done)) else {
            return;
        };
        if reg.kind == FdKind::Timerfd
            || (self.regs.len() >= MOST && !self.regs.contains_key(&reg.id))
        {
            return;
        }
        let firsts = self.regs.entry(reg.id).or_default();
        if firsts.all == 0 {
            firsts.first = (cx.now, cx.event);
        }
        firsts.all += 1;
        firsts.empty += u64::from(done.result == AGAIN);
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        if cx.over {
            self.judge_all(cx, None);
        }
    }

    fn lost(&mut self) {
        self.regs.clear();
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        Words {
            summary: format!(
                "{} was reported, and the first call on it met EAGAIN {} of {} times.",
                entry.who(),
                times(w.times),
                w.detail.a
            ),
            advice: "Look for somebody else who reads it first: another thread or process, or this one outside of its \
                     handler. For UDP, for datagrams with bad checksums."
                .to_owned(),
        }
    }
}
