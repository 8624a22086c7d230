//! How one wait follows another: again and again with time-out 0, or with as many events as there is room for.
//! Step: model → **view**.

use super::super::book::{Detail, Entry};
use super::super::facts::{Cx, Hook, Rule, Waited, Words};
use super::super::thresholds::told;
use super::super::{Code, Confidence, Severity};
use super::times;
use crate::model::{Id, LoopKind, Map, Model, Turn};

/// Threads or loops watched at once.
const MOST: usize = 4_096;
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

/// Empty waits of one thread in a row.
#[derive(Clone, Copy, Debug, Default)]
struct Burst {
    row: u64,
    start: (u64, u64),
    last: u64,
    /// Bursts of this minute, their waits, and when the minute began.
    bursts: u64,
    waits: u64,
    minute: (u64, u64),
    told: bool,
}

/// A turn this long does something, even if nothing of it is recorded.
const AT_WORK: u64 = 50_000;

/// Short spins until a timer is due.
#[derive(Default)]
pub struct TimerSpin {
    threads: Map<(Id, Id), Burst>,
}

impl Rule for TimerSpin {
    fn code(&self) -> Code {
        Code::TimerSpin
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Waited, Hook::Turn]
    }

    fn turn(&mut self, _cx: &mut Cx<'_>, turn: &Turn) {
        let works =
            turn.task_ns > 0 || turn.timer_ns > 0 || turn.end.saturating_sub(turn.start) > AT_WORK;
        if works && let Some(b) = self.threads.get_mut(&(turn.loop_id, turn.thread)) {
            b.row = 0;
        }
    }

    fn waited(&mut self, cx: &mut Cx<'_>, wait: &Waited) {
        let key = (wait.loop_id, wait.thread);
        if self.threads.len() >= MOST && !self.threads.contains_key(&key) {
            return;
        }
        let b = self.threads.entry(key).or_default();
        if wait.timeout == 0 && wait.n == 0 {
            if b.row == 0 {
                b.start = (wait.entered, wait.event);
            }
            b.row += 1;
            b.last = wait.t;
            return;
        }
        let (row, start) = (std::mem::take(&mut b.row), b.start);
        let length = b.last.saturating_sub(start.0);
        if row < cx.limits.timer_spin_waits
            || length > cx.limits.timer_spin_length
            || cx.starts(wait.process)
        {
            return;
        }
        if b.bursts == 0 || start.0.saturating_sub(b.minute.0) > MINUTE {
            (b.bursts, b.waits, b.minute, b.told) = (0, 0, start, false);
        }
        b.bursts += 1;
        b.waits += row;
        if b.bursts < cx.limits.timer_spin_bursts {
            return;
        }
        let mut seen = cx.about_loop(Code::TimerSpin, wait.loop_id);
        seen.thread = Some(wait.thread);
        let key = (seen.code, seen.loop_id, seen.process, seen.cause);
        if std::mem::replace(&mut b.told, true) {
            cx.book.extend(key, cx.now, length, 1);
            return;
        }
        (seen.at, seen.event) = b.minute;
        seen.times = b.bursts;
        seen.worst = length;
        // A handful of empty waits may be a program's own queue of work; hundreds are not.
        let mean = b.waits / b.bursts;
        seen.severity = if mean >= 20 {
            Severity::Warning
        } else {
            Severity::Info
        };
        seen.detail = Detail {
            a: mean,
            b: 0,
            c: 0,
        };
        cx.note(seen);
    }

    fn lost(&mut self) {
        self.threads.clear();
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        Words {
            summary: format!(
                "{} the loop asked with time-out 0 again and again, {} waits on average within {} or less, until a timer was \
                 due.",
                times(w.times),
                w.detail.a,
                told(w.worst)
            ),
            advice: "Round the time-out up to the next millisecond, or wait with epoll_pwait2 or a timerfd: less than 1 ms \
                     rounded down is 0."
                .to_owned(),
        }
    }
}

/// One second of one loop's batches.
#[derive(Clone, Copy, Debug, Default)]
struct Full {
    start: (u64, u64),
    waits: u64,
    full: u64,
    told: bool,
}

/// Most batches are as large as they may be.
#[derive(Default)]
pub struct BatchFull {
    loops: Map<Id, Full>,
}

impl Rule for BatchFull {
    fn code(&self) -> Code {
        Code::BatchFull
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Waited]
    }

    fn waited(&mut self, cx: &mut Cx<'_>, wait: &Waited) {
        if wait.n <= 0 || wait.room == 0 {
            return;
        }
        let l = cx.model.loops().get(wait.loop_id as usize);
        let epoll = l.is_some_and(|l| l.kind == LoopKind::Epoll);
        let shared = l.is_some_and(|l| l.threads.len() > 1);
        if !epoll || (wait.room == 1 && shared) {
            return;
        }
        if self.loops.len() >= MOST && !self.loops.contains_key(&wait.loop_id) {
            return;
        }
        let f = self.loops.entry(wait.loop_id).or_default();
        if f.waits == 0 || wait.t.saturating_sub(f.start.0) > SECOND {
            let s = *f;
            *f = Full {
                start: (wait.t, wait.event),
                told: s.told,
                ..Full::default()
            };
            let enough = s.waits >= 100
                && s.full.saturating_mul(100) >= s.waits.saturating_mul(cx.limits.full_share);
            // Nobody is left out of a batch that has room for all.
            let more = enough && {
                let here = cx.model.regs().filter(|r| r.loop_id == wait.loop_id);
                here.filter(|r| r.is_live()).count() > wait.room as usize
            };
            if more && !cx.starts(wait.process) {
                let mut seen = cx.about_loop(Code::BatchFull, wait.loop_id);
                let key = (seen.code, seen.loop_id, seen.process, seen.cause);
                f.told = true;
                if s.told {
                    cx.book.extend(key, cx.now, 0, s.full);
                } else {
                    (seen.at, seen.event) = s.start;
                    seen.times = s.full;
                    seen.severity = Severity::Info;
                    seen.confidence = Confidence::Measured;
                    seen.detail = Detail {
                        a: s.waits,
                        b: u64::from(wait.room),
                        c: s.full,
                    };
                    cx.note(seen);
                }
            }
        }
        f.waits += 1;
        f.full += u64::from(wait.n as u32 == wait.room);
    }

    fn lost(&mut self) {
        self.loops.clear();
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        Words {
            summary: format!(
                "{} of {} wakeups within a second filled their batch of {}: who is behind the {} served waits for the next \
                 round.",
                w.detail.c, w.detail.a, w.detail.b, w.detail.b
            ),
            advice: "Wait with room for more events; the kernel keeps those that do not fit at the head of its list.".to_owned(),
        }
    }
}
