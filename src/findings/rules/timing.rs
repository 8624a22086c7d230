//! Timers: expiries nobody reads, and timers that fire late because the loop was busy. Step: model → **view**.

use super::super::book::{Detail, Entry, Seen};
use super::super::facts::{Changed, Cx, Done, Hook, Report, Rule, Waited, Words};
use super::super::pending::{Judge, Known, Stretch};
use super::super::thresholds::{Thresholds, told};
use super::super::{Code, Confidence, Severity};
use super::{due, own_part, times};
use crate::model::{Fired, Id, Map, Model, Transition, Word};
use crate::record::event::{FdKind, Space};

/// Timers watched at once.
const MOST: usize = 16_384;
/// A read may come a little after its period.
const SLACK: u64 = 50_000_000;

/// A periodic timerfd that was reported and is not read.
#[derive(Default)]
pub struct PeriodicTimerfdUnread {
    /// Edge-triggered ones: reported when, by which event, every.
    pending: Map<Id, (u64, u64, u64)>,
}

impl PeriodicTimerfdUnread {
    fn interval(cx: &Cx<'_>, reg: Id) -> Option<u64> {
        let timer = cx.model.timerfd(reg)?;
        (timer.armed && timer.interval > 0).then_some(timer.interval)
    }
}

impl Rule for PeriodicTimerfdUnread {
    fn code(&self) -> Code {
        Code::PeriodicTimerfdUnread
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

    fn report(&mut self, cx: &mut Cx<'_>, r: &Report<'_>) {
        if r.reg.kind != FdKind::Timerfd {
            return;
        }
        let Some(interval) = Self::interval(cx, r.reg.id) else {
            return;
        };
        if r.reg.is_edge() {
            if self.pending.len() < MOST {
                self.pending.insert(r.reg.id, (r.t, r.event, interval));
            }
            return;
        }
        if r.track.quiet != cx.limits.spin_reports {
            return;
        }
        let mut seen = cx.about(Code::PeriodicTimerfdUnread, r.reg);
        seen.thread = Some(r.thread);
        (seen.at, seen.event) = r.track.quiet_since;
        seen.severity = Severity::Error;
        seen.confidence = cx.absence(seen.process);
        seen.worst = r.t.saturating_sub(r.track.quiet_since.0).max(1);
        seen.detail = Detail {
            a: interval,
            b: 0,
            c: 0,
        };
        cx.note(seen);
    }

    fn done(&mut self, _cx: &mut Cx<'_>, done: &Done<'_>) {
        if let Some(reg) = done.reg {
            self.pending.remove(&reg.id);
        }
    }

    fn ctl(&mut self, _cx: &mut Cx<'_>, ctl: &Changed<'_>) {
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
        let now = cx.now;
        let all = due(&self.pending, |(at, _, every)| {
            now.saturating_sub(*at) >= every.saturating_mul(2).saturating_add(SLACK)
        });
        for (id, (at, event, interval)) in all {
            self.pending.remove(&id);
            // Armed anew counts as read.
            let changed = cx.tracks.reg(id).is_none_or(|t| t.changed || t.ops > 0);
            let Some(reg) = cx.model.reg(id).filter(|r| r.is_live() && !changed) else {
                continue;
            };
            let mut seen = cx.about(Code::PeriodicTimerfdUnread, reg);
            (seen.at, seen.event) = (at, event);
            seen.severity = Severity::Error;
            seen.confidence = cx.absence(seen.process);
            seen.worst = now.saturating_sub(at);
            seen.detail = Detail {
                a: interval,
                b: 1,
                c: 0,
            };
            cx.note(seen);
        }
    }

    fn lost(&mut self) {
        self.pending.clear();
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let every = told(w.detail.a);
        let summary = match w.detail.b {
            0 => format!(
                "{} fires every {every}, is level-triggered and is never read: every wait returns at once with it.",
                entry.who()
            ),
            _ => format!(
                "{} is to fire every {every}, was reported once and not read: edge-triggered, it has not fired since, for {}.",
                entry.who(),
                told(w.worst)
            ),
        };
        Words {
            summary,
            advice: "Read its 8 bytes each time it is reported: that is also what arms it for the next period.".to_owned(),
        }
    }
}

/// When a thread that waits wants to be up again, by the time-out it asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    /// The last time-outs, the latest first.
    asked: [i64; 3],
    /// Then something is due; `None` where nothing is, or the wait lasted until then.
    due: Option<u64>,
    /// The wait has returned before.
    early: bool,
}

/// Notes what a thread did late. Late because others had its CPU is the machine's doing.
fn note_late(cx: &mut Cx<'_>, seen: Seen, (thread, due, at): (Id, u64, u64), judge: Judge) {
    let own = own_part(cx, seen.process, thread, due, at);
    let stretch = Stretch {
        from: due,
        to: at,
        own,
        exposed: own,
    };
    cx.note_later(seen, stretch, judge);
}

/// A warning once it has been so often, by the thread's own doing.
fn judge_late(least: u64, limits: &Thresholds, seen: &mut Seen, known: Known) -> bool {
    let often = known.before + 1 >= limits.late_times;
    seen.severity = match known.own >= least && often {
        true => Severity::Warning,
        false => Severity::Info,
    };
    true
}

/// Timers that fire late because the loop was at something else.
#[derive(Default)]
pub struct LateTimer {
    wanted: Map<Id, Wanted>,
}

impl LateTimer {
    /// The loop waits again, and only now: what was due meanwhile is late.
    fn missed(cx: &mut Cx<'_>, wait: &Waited, due: u64) {
        let l = cx.model.loops().get(wait.loop_id as usize);
        // A program that tells of its timers is judged by them; of several threads another may have served the timer.
        if l.is_none_or(|l| !l.timers.is_unused() || l.threads.len() > 1) || cx.starts(wait.process)
        {
            return;
        }
        let late = wait.t.saturating_sub(due);
        let mut seen = cx.about_loop(Code::LateTimer, wait.loop_id);
        seen.process = wait.process;
        seen.thread = Some(wait.thread);
        seen.at = due;
        seen.event = wait.event;
        seen.worst = late;
        seen.detail.c = 1;
        note_late(
            cx,
            seen,
            (wait.thread, due, wait.t),
            |limits, seen, known| judge_late(limits.late_asked, limits, seen, known),
        );
    }
}

impl Rule for LateTimer {
    fn code(&self) -> Code {
        Code::LateTimer
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Fired, Hook::Enter, Hook::Waited, Hook::Ending]
    }

    fn lost(&mut self) {
        self.wanted.clear();
    }

    fn ending(&mut self, _cx: &mut Cx<'_>, _process: Id, thread: Option<Id>) {
        if let Some(thread) = thread {
            self.wanted.remove(&thread);
        }
    }

    fn enter(&mut self, cx: &mut Cx<'_>, wait: &Waited) {
        if self.wanted.len() >= MOST && !self.wanted.contains_key(&wait.thread) {
            return;
        }
        let w = self.wanted.entry(wait.thread).or_default();
        let missed = w.due.take().filter(|_| w.early);
        // A time-out that is always the same is a habit, one that changes is computed from when something is due.
        let computed =
            wait.timeout > 0 && !w.asked.contains(&wait.timeout) && !w.asked.contains(&0);
        w.due = (computed).then(|| wait.t.saturating_add(wait.timeout.unsigned_abs()));
        w.early = false;
        if wait.timeout != 0 {
            w.asked = [wait.timeout, w.asked[0], w.asked[1]];
        }
        if let Some(due) = missed.filter(|due| wait.t >= due.saturating_add(cx.limits.late_asked)) {
            Self::missed(cx, wait, due);
        }
    }

    fn waited(&mut self, _cx: &mut Cx<'_>, wait: &Waited) {
        if let Some(w) = self.wanted.get_mut(&wait.thread) {
            w.early = wait.n > 0 && w.due.is_some_and(|due| wait.t < due);
        }
    }

    fn fired(&mut self, cx: &mut Cx<'_>, fired: &Fired) {
        let (Some(due), Some(late)) = (fired.due, fired.late()) else {
            return;
        };
        if late < cx.limits.late || cx.starts(fired.process) {
            return;
        }
        // Due while the loop slept: the kernel or the machine was late, not the loop.
        let Some(busy) = cx.model.busy(fired.thread).filter(|b| b.wakeup <= due) else {
            return;
        };
        let mut seen = cx.about_loop(Code::LateTimer, fired.loop_id);
        seen.process = fired.process;
        seen.thread = Some(fired.thread);
        seen.at = fired.start;
        seen.event = fired.event;
        seen.worst = late;
        seen.confidence = Confidence::Measured;
        seen.detail = Detail {
            a: u64::from(fired.name),
            b: busy.turn,
            c: 0,
        };
        note_late(
            cx,
            seen,
            (fired.thread, due, fired.start),
            |limits, seen, known| judge_late(limits.late, limits, seen, known),
        );
    }

    fn words(&self, model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let name = model.name(w.process, Space::Timer, w.detail.a as u32);
        let name = match name.is_empty() {
            true => "a timer".to_owned(),
            false => format!("timer {}", crate::text::visible(name)),
        };
        let summary = match w.detail.c {
            0 => format!(
                "timers fired late {}, {name} by {} at worst (turn {}): they were due while the loop was serving.",
                times(w.times),
                told(w.worst),
                w.detail.b
            ),
            _ => format!(
                "{} the time-out that the loop had asked for ran out while it was serving, and it waited again only {} after \
                 that at worst: what was due then came late.",
                times(w.times),
                told(w.worst)
            ),
        };
        Words {
            summary,
            advice: "Shorten what the loop does in one turn: a budget for each handler, fewer events a wait, long work in a \
                     thread."
                .to_owned(),
        }
    }
}
