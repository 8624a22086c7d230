//! A registration that is reported again and again because nobody does what would end it. Step: model → **view**.

use super::super::book::{Detail, Entry, Seen};
use super::super::facts::{Changed, Cx, Done, Hook, Report, Rule, Words};
use super::super::thresholds::told;
use super::super::track::Track;
use super::super::{Code, Confidence, Severity};
use super::times;
use crate::model::registration::{ERR, ET, HUP, IN, OUT, PRI, RDHUP};
use crate::model::{Id, Map, Model};
use crate::record::event::{FdKind, Op};

/// −EMFILE, −ENFILE, −ENOBUFS
const LIMITS: [i32; 3] = [-24, -23, -105];
/// Registrations or listeners watched at once by one rule.
const MOST: usize = 4_096;

/// A row of reports that has just become, or goes on being, a spin: how long it is by now.
fn spins(cx: &Cx<'_>, t: u64, row: u64, since: (u64, u64)) -> Option<(u64, bool)> {
    let least = cx.limits.spin_reports;
    if row < least {
        return None;
    }
    let length = t.saturating_sub(since.0);
    // On average as fast as the limit says; single slow ones do not hide it.
    let fast = length / row.max(1) <= cx.limits.spin_within / least.max(1);
    fast.then_some((length, row == least))
}

/// Notes the start of a spin, or that it goes on.
fn note(cx: &mut Cx<'_>, mut seen: Seen, row: u64, length: u64, begins: bool, since: (u64, u64)) {
    let key = (seen.code, seen.loop_id, seen.process, seen.cause);
    if !begins {
        // Seldom enough to cost nothing, often enough to be near the truth.
        if row.is_multiple_of(16) {
            cx.book.extend(key, cx.now, length, 0);
        }
        return;
    }
    (seen.at, seen.event) = since;
    seen.worst = length.max(1);
    cx.note(seen);
}

/// Woken for room to write, with nothing to write.
pub struct WritableSpin;

impl Rule for WritableSpin {
    fn code(&self) -> Code {
        Code::WritableSpin
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Report]
    }

    fn report(&mut self, cx: &mut Cx<'_>, r: &Report<'_>) {
        if r.reg.interest & ET != 0 || r.reg.closed_ns.is_some() {
            return;
        }
        let Some((length, begins)) = spins(cx, r.t, r.track.outs, r.track.outs_since) else {
            return;
        };
        let mut seen = cx.about(Code::WritableSpin, r.reg);
        seen.thread = Some(r.thread);
        seen.confidence = cx.absence(seen.process);
        seen.detail.a = u64::from(r.reg.interest);
        note(cx, seen, r.track.outs, length, begins, r.track.outs_since);
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        Words {
            summary: format!(
                "{} is registered for {} and has room, so every wait returns at once with OUT; the program writes nothing \
                 to it. So it went {}, for {} or more at worst.",
                entry.who(),
                crate::text::names::mask(w.detail.a as u32),
                times(w.times),
                told(w.worst)
            ),
            advice: "Ask for EPOLLOUT only while a write has met EAGAIN, and take it back with EPOLL_CTL_MOD once all is \
                     written."
                .to_owned(),
        }
    }
}

/// Woken for a hang-up or error that nobody looks at.
pub struct HangupSpin;

impl Rule for HangupSpin {
    fn code(&self) -> Code {
        Code::HangupSpin
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Report]
    }

    fn report(&mut self, cx: &mut Cx<'_>, r: &Report<'_>) {
        if r.mask & (HUP | ERR | RDHUP) == 0
            || r.reg.interest & ET != 0
            || r.reg.closed_ns.is_some()
        {
            return;
        }
        let track = r.track;
        // A terminal whose other side has gone answers EIO to every read.
        let (row, since) = match track.fails > track.quiet {
            true => (track.fails, track.fails_since),
            false => (track.quiet, track.quiet_since),
        };
        let Some((length, begins)) = spins(cx, r.t, row, since) else {
            return;
        };
        let mut seen = cx.about(Code::HangupSpin, r.reg);
        seen.thread = Some(r.thread);
        seen.confidence = cx.absence(seen.process);
        seen.severity = Severity::Error;
        seen.detail = Detail {
            a: u64::from(r.mask),
            b: u64::from(r.reg.interest),
            c: u64::from(r.reg.kind == FdKind::Tty),
        };
        note(cx, seen, row, length, begins, since);
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let mask = crate::text::names::mask;
        Words {
            summary: format!(
                "{} has hung up and is reported with {} on every wait (it is registered for {}); the program neither reads \
                 nor closes it. So it went {}, for {} or more at worst.",
                entry.who(),
                mask(w.detail.a as u32),
                mask(w.detail.b as u32),
                times(w.times),
                told(w.worst)
            ),
            advice: match w.detail.c {
                0 => "EPOLLHUP and EPOLLERR come without being asked for: handle them in every handler, read to the end or \
                      ask SO_ERROR, then close.",
                _ => "A terminal's master reports EPOLLHUP for as long as nobody has its other side open: take it off the \
                      loop, and put it back when somebody opens it.",
            }
            .to_owned(),
        }
    }
}

/// The end was read, and the descriptor kept on the loop.
pub struct EofIgnored;

impl Rule for EofIgnored {
    fn code(&self) -> Code {
        Code::EofIgnored
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Report]
    }

    fn report(&mut self, cx: &mut Cx<'_>, r: &Report<'_>) {
        let Track {
            ends, ends_since, ..
        } = *r.track;
        let Some((length, begins)) = spins(cx, r.t, ends, ends_since) else {
            return;
        };
        let mut seen = cx.about(Code::EofIgnored, r.reg);
        seen.thread = Some(r.thread);
        seen.confidence = Confidence::Measured;
        seen.severity = Severity::Error;
        note(cx, seen, ends, length, begins, ends_since);
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        Words {
            summary: format!(
                "a read of {} returned 0, the other side has gone; it was neither closed nor taken off the loop and is \
                 reported on every wait since. So it went {}, for {} or more at worst.",
                entry.who(),
                times(w.times),
                told(w.worst)
            ),
            advice: "Close the descriptor when a read returns 0; if there is still something to write, take EPOLLIN off it \
                     first."
                .to_owned(),
        }
    }
}

/// Accepts that fail for want of descriptors, again and again.
#[derive(Default)]
pub struct FdLimitSpin {
    /// By process and listener: failures of this second, since when, and whether it has been told.
    failing: Map<(Id, i32), (u64, u64, u64, bool)>,
}

impl Rule for FdLimitSpin {
    fn code(&self) -> Code {
        Code::FdLimitSpin
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Accepted]
    }

    fn done(&mut self, cx: &mut Cx<'_>, done: &Done<'_>) {
        if done.op != Op::Accept {
            return;
        }
        let key = (done.process, done.fd);
        if !LIMITS.contains(&done.result) {
            if done.result >= 0 {
                self.failing.remove(&key);
            }
            return;
        }
        let Some(reg) = done.reg.filter(|r| r.interest & IN != 0) else {
            return;
        };
        if self.failing.len() >= MOST && !self.failing.contains_key(&key) {
            return;
        }
        let fresh = (0, cx.now, cx.event, false);
        let failing = self.failing.entry(key).or_insert(fresh);
        if cx.now.saturating_sub(failing.1) > cx.limits.spin_within && !failing.3 {
            *failing = fresh;
        }
        failing.0 += 1;
        if failing.0 < cx.limits.limit_accepts {
            return;
        }
        let mut seen = cx.about(Code::FdLimitSpin, reg);
        seen.thread = Some(done.thread);
        seen.confidence = Confidence::Measured;
        seen.severity = Severity::Error;
        seen.detail.a = u64::from(done.result.unsigned_abs());
        seen.fd = done.fd;
        let (row, since, begins) = (failing.0, (failing.1, failing.2), !failing.3);
        failing.3 = true;
        let length = cx.now.saturating_sub(since.0);
        note(cx, seen, row, length, begins, since);
    }

    fn lost(&mut self) {
        self.failing.clear();
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let errno = crate::text::names::errno(w.detail.a as i32).unwrap_or("an error");
        Words {
            summary: format!(
                "accept on {} fails with {errno}: there is no descriptor left for the connection, which stays queued, so the \
                 listener is reported on every wait. So it went {}, for {} or more at worst.",
                entry.who(),
                times(w.times),
                told(w.worst)
            ),
            advice: "Take the listener off the loop until a descriptor is closed, or keep one in reserve: close it, accept, \
                     close what was accepted, open it again. Raise the limit (ulimit -n), and look for a leak."
                .to_owned(),
        }
    }
}

/// The handler of one registration works on another one's descriptor.
#[derive(Default)]
pub struct DataNamesOtherFd {
    /// By registration: the other descriptor its thread worked on since it was reported, and how often in a row.
    other: Map<Id, (i32, u64)>,
}

impl Rule for DataNamesOtherFd {
    fn code(&self) -> Code {
        Code::DataNamesOtherFd
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Report, Hook::Done, Hook::Ctl]
    }

    fn done(&mut self, cx: &mut Cx<'_>, done: &Done<'_>) {
        // The report this thread was told last: alone in its batch, and its data is the number of this very call.
        let Some((_, item)) = cx.model.told_last(done.thread) else {
            return;
        };
        if i32::try_from(item.data & 0xffff_ffff).ok() != Some(done.fd) {
            return;
        }
        let reg = cx.model.reg_told(item);
        let Some(reg) = reg.filter(|r| r.fd >= 0 && r.fd != done.fd) else {
            return;
        };
        let another = done
            .reg
            .is_some_and(|r| r.loop_id == reg.loop_id && r.id != reg.id);
        if another && self.other.len() < MOST {
            self.other.entry(reg.id).or_insert((done.fd, 0)).0 = done.fd;
        }
    }

    fn ctl(&mut self, _cx: &mut Cx<'_>, ctl: &Changed<'_>) {
        if let Some(reg) = ctl.reg {
            self.other.remove(&reg.id);
        }
    }

    fn report(&mut self, cx: &mut Cx<'_>, r: &Report<'_>) {
        let Some(other) = self.other.get(&r.reg.id).copied() else {
            return;
        };
        // An edge that nobody answers may be a waker, and its token anything.
        if r.reg.is_edge() || r.reg.is_oneshot() {
            return;
        }
        if r.track.quiet == 0 || r.mask & (IN | OUT | PRI) == 0 {
            self.other.remove(&r.reg.id);
            return;
        }
        let track = r.track;
        let Some((length, begins)) = spins(cx, r.t, track.quiet, track.quiet_since) else {
            return;
        };
        let mut seen = cx.about(Code::DataNamesOtherFd, r.reg);
        seen.thread = Some(r.thread);
        seen.severity = Severity::Error;
        seen.confidence = cx.absence(seen.process);
        seen.detail.a = other.0 as u64;
        note(cx, seen, track.quiet, length, begins, track.quiet_since);
    }

    fn lost(&mut self) {
        self.other.clear();
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        Words {
            summary: format!(
                "{} was registered with a data word that names fd {}: when it is ready, the handler works on fd {} and \
                 nobody reads {}. So it went {}, for {} or more at worst.",
                entry.who(),
                w.detail.a,
                w.detail.a,
                super::slow::of(entry),
                times(w.times),
                told(w.worst)
            ),
            advice: "Set `data` anew for every EPOLL_CTL_ADD and EPOLL_CTL_MOD: a struct epoll_event that is used again \
                     still holds the descriptor before."
                .to_owned(),
        }
    }
}
