//! What is on a loop and what is not: registrations missing, useless, failed, or changed more than used.
//! Step: model → **view**.

use super::super::book::{Cause, Detail, Entry};
use super::super::facts::{Changed, Cx, Hook, Rule, Unread, Waited, Words};
use super::super::thresholds::told;
use super::super::{Code, Confidence, Severity};
use super::times;
use crate::model::registration::{IN, ONESHOT, OUT, PRI};
use crate::model::{Id, Kernel, LoopKind, Map, Model, Transition, Word};
use crate::record::event::Ctl;

/// Registrations, loops or failures watched at once.
const MOST: usize = 16_384;
/// −EPERM: the file is always ready.
const NOT_PERMITTED: i32 = -1;

/// Numbers on which bytes were seen to wait: told once, as long as nothing changes.
#[derive(Default)]
struct Waiting {
    numbers: Map<(Id, i32), u64>,
}

impl Waiting {
    fn saw(&mut self, unread: &Unread<'_>) {
        let key = (unread.process, unread.fd);
        if unread.bytes == 0 {
            self.numbers.remove(&key);
        } else if self.numbers.len() < MOST || self.numbers.contains_key(&key) {
            self.numbers.insert(key, unread.bytes);
        }
    }

    /// Those on which bytes have waited long enough, and since when. Where something was done since, they wait no longer.
    fn due(&mut self, cx: &Cx<'_>) -> Vec<(Id, i32, u64, (u64, u64))> {
        let (mut due, wait) = (Vec::new(), cx.limits.unheard);
        self.numbers.retain(|(process, fd), bytes| {
            let since = cx.tracks.number(*process, *fd).and_then(|s| s.unread);
            if let Some(since) = since.filter(|s| cx.now.saturating_sub(s.0) >= wait) {
                due.push((*process, *fd, *bytes, since));
            }
            since.is_some()
        });
        due.sort_unstable();
        due
    }
}

/// An accepted connection that is on no loop, with bytes waiting.
#[derive(Default)]
pub struct NeverRegistered {
    waiting: Waiting,
    told: Map<(Id, i32, u32), ()>,
}

impl Rule for NeverRegistered {
    fn code(&self) -> Code {
        Code::NeverRegistered
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Unread, Hook::Tick]
    }

    fn unread(&mut self, _cx: &mut Cx<'_>, unread: &Unread<'_>) {
        if unread.reg.is_none() && unread.number.is_some_and(|n| n.taken) {
            self.waiting.saw(unread);
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        if self.waiting.numbers.is_empty() {
            return;
        }
        let model = cx.model;
        for (process, fd, bytes, (since, event)) in self.waiting.due(cx) {
            let number = model.number(process, fd).filter(|n| n.taken);
            let (Some(number), Some(story)) = (number, cx.tracks.number(process, fd)) else {
                continue;
            };
            let key = (process, fd, number.generation);
            let on_a_loop = model.registrations(number.desc).next().is_some();
            let used = story.registered || story.opened.1 == 0 || story.touched > story.opened.0;
            if on_a_loop || used || self.told.contains_key(&key) || self.told.len() >= MOST {
                continue;
            }
            // A process that waits on a loop; and nobody it could have been handed to.
            let mut epolls = model.loops().iter().filter(|l| l.kind == LoopKind::Epoll);
            let own = epolls.find(|l| l.process == process);
            let mut heirs = model.processes().iter();
            let heir = heirs.find(|p| p.parent == Some(process) && p.start >= story.opened.0);
            let (Some(l), None) = (own, heir) else {
                continue;
            };
            self.told.insert(key, ());
            let mut seen = cx.about_number(Code::NeverRegistered, process, fd, number.generation);
            seen.loop_id = Some(l.id);
            seen.cause = Cause::Loop;
            (seen.at, seen.event) = (since, event);
            seen.worst = cx.now.saturating_sub(since);
            seen.severity = Severity::Error;
            seen.confidence = cx.absence(seen.process);
            seen.detail.a = bytes;
            cx.note(seen);
        }
    }

    fn lost(&mut self) {
        self.waiting.numbers.clear();
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        Words {
            summary: format!(
                "{} was accepted and added to no loop; {} bytes of it wait for {} or more, and nothing will tell the program.",
                entry.who(),
                w.detail.a,
                told(w.worst)
            ),
            advice: "EPOLL_CTL_ADD what accept returns, and look at what that call says."
                .to_owned(),
        }
    }
}

/// Registered for nothing that could be read, while bytes wait.
#[derive(Default)]
pub struct InterestWithoutIn {
    /// Registrations whose every mask is known: whether any asked to read.
    asked: Map<Id, bool>,
    told: Map<Id, ()>,
    waiting: Waiting,
}

impl Rule for InterestWithoutIn {
    fn code(&self) -> Code {
        Code::InterestWithoutIn
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Ctl, Hook::Unread, Hook::Transition, Hook::Tick]
    }

    fn ctl(&mut self, _cx: &mut Cx<'_>, ctl: &Changed<'_>) {
        let Some(reg) = ctl.reg.filter(|_| ctl.result >= 0) else {
            return;
        };
        let asks = reg.interest & (IN | PRI | OUT) != 0;
        let room = self.asked.len() < MOST;
        match self.asked.get_mut(&reg.id) {
            Some(before) => *before |= asks,
            None if ctl.op == Ctl::Add && room => {
                self.asked.insert(reg.id, asks);
            }
            None => {}
        }
    }

    fn transition(&mut self, _cx: &mut Cx<'_>, t: &Transition) {
        if t.to == Word::Gone {
            self.asked.remove(&t.reg);
            self.told.remove(&t.reg);
        }
    }

    fn unread(&mut self, _cx: &mut Cx<'_>, unread: &Unread<'_>) {
        if unread
            .reg
            .is_some_and(|r| self.asked.get(&r.id) == Some(&false))
        {
            self.waiting.saw(unread);
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        if self.waiting.numbers.is_empty() {
            return;
        }
        let model = cx.model;
        for (process, fd, bytes, (since, event)) in self.waiting.due(cx) {
            let number = model.number(process, fd);
            let Some(reg) = number.and_then(|n| model.registrations(n.desc).next()) else {
                continue;
            };
            let never = self.asked.get(&reg.id) == Some(&false);
            let off = reg.kernel() == Some(Kernel::Disarmed);
            if !never || off || self.told.insert(reg.id, ()).is_some() {
                continue;
            }
            let mut seen = cx.about(Code::InterestWithoutIn, reg);
            (seen.at, seen.event) = (since, event);
            seen.worst = cx.now.saturating_sub(since);
            seen.severity = Severity::Error;
            seen.confidence = Confidence::Measured;
            seen.detail = Detail {
                a: u64::from(reg.interest),
                b: bytes,
                c: 0,
            };
            cx.note(seen);
        }
    }

    fn lost(&mut self) {
        self.waiting.numbers.clear();
        self.asked.clear();
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        Words {
            summary: format!(
                "{} is registered for {}, which asks neither to read nor to write; {} bytes of it wait for {} or more.",
                entry.who(),
                crate::text::names::mask(w.detail.a as u32),
                w.detail.b,
                told(w.worst)
            ),
            advice: "Add EPOLLIN to the mask: EPOLLET, EPOLLONESHOT and EPOLLRDHUP are no substitutes for it.".to_owned(),
        }
    }
}

/// epoll_ctl calls of one loop.
#[derive(Clone, Copy, Default)]
struct Churn {
    calls: u64,
    same: u64,
    oneshot: u64,
    first: (u64, u64),
}

/// More epoll_ctl calls than events.
#[derive(Default)]
pub struct RegistrationChurn {
    loops: Map<Id, Churn>,
}

impl Rule for RegistrationChurn {
    fn code(&self) -> Code {
        Code::RegistrationChurn
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Ctl, Hook::Tick]
    }

    fn ctl(&mut self, cx: &mut Cx<'_>, ctl: &Changed<'_>) {
        if self.loops.len() >= MOST && !self.loops.contains_key(&ctl.loop_id) {
            return;
        }
        let churn = self.loops.entry(ctl.loop_id).or_default();
        if churn.calls == 0 {
            churn.first = (cx.now, cx.event);
        }
        churn.calls += 1;
        churn.same += u64::from(ctl.same);
        let oneshot = ctl.reg.is_some_and(|r| r.interest & ONESHOT != 0);
        churn.oneshot += u64::from(oneshot);
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        if !cx.over {
            return;
        }
        let mut all: Vec<(Id, Churn)> = self.loops.iter().map(|(id, c)| (*id, *c)).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        for (id, churn) in all {
            let Some(l) = cx.model.loops().get(id as usize) else {
                continue;
            };
            let dispatches = l.ready;
            if dispatches < cx.limits.churn_of
                || churn.calls <= dispatches.saturating_mul(cx.limits.churn_calls)
            {
                continue;
            }
            let mut seen = cx.about_loop(Code::RegistrationChurn, id);
            (seen.at, seen.event) = churn.first;
            seen.times = churn.calls;
            seen.confidence = Confidence::Measured;
            seen.severity = match churn.same.saturating_mul(2) >= churn.calls {
                true => Severity::Warning,
                false => Severity::Info,
            };
            seen.detail = Detail {
                a: dispatches,
                b: churn.same,
                c: u64::from(churn.oneshot.saturating_mul(2) >= churn.calls),
            };
            cx.note(seen);
        }
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let summary = format!(
            "{} epoll_ctl calls were made for {} events; {} of them set what was set already{}.",
            w.times,
            w.detail.a,
            w.detail.b,
            match w.detail.c {
                0 => "",
                _ => ", and most arm a one-shot again",
            }
        );
        Words {
            summary,
            advice: "Register once for IN|OUT with EPOLLET, or keep the mask and call epoll_ctl only when it changes."
                .to_owned(),
        }
    }
}

/// An epoll_ctl that failed.
#[derive(Clone, Copy)]
struct Failed {
    thread: Id,
    process: Id,
    at: u64,
    event: u64,
    op: Ctl,
    errno: i32,
}

/// A failed epoll_ctl that nothing was done about.
#[derive(Default)]
pub struct RegistrationFailed {
    open: Map<(Id, i32), Failed>,
}

impl RegistrationFailed {
    fn settle(&mut self, cx: &mut Cx<'_>, which: impl Fn(&Failed, Id) -> bool) {
        if self.open.is_empty() {
            return;
        }
        let due = (self.open.iter()).filter(|((l, _), f)| which(f, *l));
        let mut due: Vec<((Id, i32), Failed)> = due.map(|(key, f)| (*key, *f)).collect();
        due.sort_unstable_by_key(|(_, f)| f.event);
        for (key, f) in due {
            self.open.remove(&key);
            let mut seen = cx.about_number(Code::RegistrationFailed, f.process, key.1, 0);
            seen.loop_id = Some(key.0);
            seen.thread = Some(f.thread);
            seen.cause = Cause::Errno(f.errno);
            (seen.at, seen.event) = (f.at, f.event);
            seen.confidence = Confidence::Measured;
            seen.severity = match (f.op, f.errno) {
                (Ctl::Del, _) | (_, NOT_PERMITTED) => Severity::Info,
                (_, -28 | -12) => Severity::Error,
                _ => Severity::Warning,
            };
            seen.detail.a = u64::from(f.op.code());
            seen.detail.b = u64::from(f.errno.unsigned_abs());
            cx.note(seen);
        }
    }
}

impl Rule for RegistrationFailed {
    fn code(&self) -> Code {
        Code::RegistrationFailed
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Ctl, Hook::Enter, Hook::Tick]
    }

    fn ctl(&mut self, _cx: &mut Cx<'_>, ctl: &Changed<'_>) {
        let key = (ctl.loop_id, ctl.fd);
        if ctl.result >= 0 || self.open.contains_key(&key) {
            // Another try, whatever came of it: the program has looked.
            self.open.remove(&key);
        } else if self.open.len() < MOST {
            let failed = Failed {
                thread: ctl.thread,
                process: ctl.process,
                at: ctl.t,
                event: ctl.event,
                op: ctl.op,
                errno: ctl.result,
            };
            self.open.insert(key, failed);
        }
    }

    fn enter(&mut self, cx: &mut Cx<'_>, wait: &Waited) {
        self.settle(cx, |f, l| l == wait.loop_id && f.thread == wait.thread);
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        // Made by a thread that waits on no loop.
        let (now, over) = (cx.now, cx.over);
        self.settle(cx, |f, _| over || now.saturating_sub(f.at) >= 250_000_000);
    }

    fn lost(&mut self) {
        self.open.clear();
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let errno = w.detail.b as i32;
        let name = crate::text::names::errno(errno)
            .map_or_else(|| format!("error {errno}"), str::to_owned);
        let op = Ctl::from_code(w.detail.a as u16)
            .map_or("epoll_ctl", Ctl::name)
            .to_uppercase();
        let why = match errno {
            1 => "a regular file or directory is always ready and cannot be registered",
            2 => "there is no such registration; it went with the last close of its description",
            9 => "the number is not open",
            17 => "there is one already, of this number and description",
            22 => "the arguments do not go together",
            28 => "the user's limit of registrations is reached (fs.epoll.max_user_watches)",
            _ => "the kernel refused it",
        };
        Words {
            summary: format!(
                "epoll_ctl {op} on {} failed with {name} {}: {why}; the program went on as if it had not.",
                entry.who(),
                times(w.times)
            ),
            advice: match errno {
                1 => "Read and write files directly, or in a thread.",
                2 | 9 => "Take a descriptor off the loop before it is closed, and add it anew when its number is used again.",
                17 => "Use EPOLL_CTL_MOD for what is registered; if you closed it, a copy of it is still open somewhere.",
                28 => "Register fewer descriptors or raise the limit.",
                _ => "Look at what epoll_ctl returns.",
            }
            .to_owned(),
        }
    }
}
