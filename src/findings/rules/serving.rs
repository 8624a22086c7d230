//! Who was served and who waited. Step: model → **view**.

use super::super::book::{Cause, Detail, Entry};
use super::super::facts::{Cx, Hook, Rule, Words, of_run};
use super::super::pending::Stretch;
use super::super::thresholds::told;
use super::super::{Code, Confidence, Severity};
use super::retries::retried;
use super::spent::own;
use super::times;
use crate::model::{Id, Map, Model, Run};

/// Ready for long, while others ran.
pub struct Starvation;

impl Rule for Starvation {
    fn code(&self) -> Code {
        Code::Starvation
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Run]
    }

    fn run(&mut self, cx: &mut Cx<'_>, run: &Run) {
        let waited = run.waited();
        let limits = cx.limits;
        if waited.hi < limits.starved || u64::from(run.bypassed) < limits.starved_behind_runs {
            return;
        }
        let Some(reg) = cx.model.reg(run.reg) else {
            return;
        };
        let mut seen = cx.about(Code::Starvation, reg);
        seen.loop_id = Some(run.loop_id);
        // Whoever it was: the crowd on this loop is the cause.
        seen.cause = Cause::Loop;
        seen.thread = Some(run.thread);
        seen.at = run.start;
        seen.event = run.event;
        let sure = waited.lo >= limits.starved;
        seen.worst = if sure { waited.lo } else { waited.hi };
        seen.confidence = if sure { of_run(run) } else { Confidence::Maybe };
        // Without others on the loop's CPU it had not waited for so long.
        let queue = cx.model.spent_in_turn(run.thread, run.wakeup, run.start);
        seen.detail = Detail {
            a: u64::from(run.bypassed),
            b: u64::from(run.index),
            c: u64::from(run.batch),
        };
        let stretch = Stretch {
            from: run.start.saturating_sub(waited.lo).min(run.wakeup),
            to: run.start,
            own: waited.lo.saturating_sub(queue.kept_off()),
            exposed: u64::MAX,
        };
        cx.note_later(seen, stretch, |limits, seen, known| {
            if known.own < limits.starved {
                seen.severity = Severity::Info;
            }
            true
        });
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let bound = if w.confidence == Confidence::Maybe {
            "up to "
        } else {
            ""
        };
        Words {
            summary: format!(
                "{} was ready and waited {}, {bound}{} at worst, while {} runs of others were served before it; it stood at \
                 place {} of {} in its batch.",
                entry.who(),
                times(w.times),
                told(w.worst),
                w.detail.a,
                w.detail.b + 1,
                w.detail.c
            ),
            advice: "Give each handler a budget and go on with the next event when it is used up; a smaller maxevents makes \
                     the kernel's order come round sooner."
                .to_owned(),
        }
    }
}

/// Registrations counted at once.
const MOST: usize = 4_096;

/// One run that takes all it can get while others wait.
#[derive(Default)]
pub struct GreedyHandler {
    /// Runs that took far more than their share while others of their batch waited.
    strong: Map<Id, u64>,
}

impl Rule for GreedyHandler {
    fn code(&self) -> Code {
        Code::GreedyHandler
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Run]
    }

    fn run(&mut self, cx: &mut Cx<'_>, run: &Run) {
        // While others had its CPU it took nothing.
        let (limits, length) = (cx.limits, own(run));
        let moved = run.bytes_in.saturating_add(run.bytes_out);
        let calls = u64::from(run.ios).max(1);
        // A few small calls and one large one are no greed.
        let again = calls >= 8 || moved / calls >= limits.greedy_bytes / 2;
        let much = calls >= limits.greedy_calls || (moved >= limits.greedy_bytes && again);
        if length < limits.greedy_run
            || !(much || calls >= limits.greedy_calls_felt)
            || retried(cx, run)
        {
            return;
        }
        let Some(reg) = cx.model.reg(run.reg) else {
            return;
        };
        let others = u64::from(run.batch).saturating_sub(u64::from(run.index) + 1);
        let mut seen = cx.about(Code::GreedyHandler, reg);
        seen.loop_id = Some(run.loop_id);
        seen.thread = Some(run.thread);
        seen.at = run.start;
        seen.event = run.event;
        seen.worst = length;
        seen.confidence = of_run(run);
        seen.detail = Detail {
            a: u64::from(run.ios),
            b: moved,
            c: others | u64::from(reg.is_edge()) << 32,
        };
        // Whether anybody was kept waiting by the others turns out later.
        seen.severity = Severity::Info;
        if much && others > 0 {
            let times = match self.strong.len() < MOST || self.strong.contains_key(&reg.id) {
                true => self.strong.entry(reg.id).or_default(),
                false => &mut 0,
            };
            *times += 1;
            if *times >= limits.greedy_times || length >= limits.greedy_run_once {
                seen.severity = Severity::Warning;
            }
        }
        cx.book.held_up(&seen, run.start, run.end);
        let stretch = Stretch {
            from: run.start,
            to: run.end,
            own: length,
            exposed: run.spent.exposed(),
        };
        cx.note_later(seen, stretch, |limits, _, known| {
            known.own >= limits.greedy_run
        });
    }

    fn lost(&mut self) {
        self.strong.clear();
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let others = w.detail.c & 0xffff_ffff;
        let edge = w.detail.c >> 32 != 0;
        let seems = if w.confidence == Confidence::Measured {
            "made"
        } else {
            "seems to have made"
        };
        let waiting = match others {
            0 => String::new(),
            1 => " while one other of its batch waited".to_owned(),
            n => format!(" while {n} others of its batch waited"),
        };
        Words {
            summary: format!(
                "the handler of {} {seems} {} calls and moved {} bytes in one run of {}{waiting}; so it did {}.",
                entry.who(),
                w.detail.a,
                w.detail.b,
                told(w.worst),
                times(w.times)
            ),
            advice: match edge {
                true => "Stop after a budget of bytes or calls; the edge will not be told again, so keep the descriptor on a \
                         list of your own, or ask again with EPOLL_CTL_MOD.",
                false => "Stop after a budget of bytes or calls: level-triggered, the kernel reports what is left at the next \
                          wait, behind the others.",
            }
            .to_owned(),
        }
    }
}
