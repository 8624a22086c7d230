//! What held the loop up, for no reason that has a name: a long run, a long turn. Step: model → **view**.
//!
//! Without switch records nobody knows why a run was long: a call that sleeps is told by its own records
//! ([`super::blocking`]), anything else is "long". Records of where a thread was taken off its CPU tell the reasons apart
//! ([`super::spent`]), and what is left of "long" are runs with many of them.

use super::super::book::{Detail, Entry, called};
use super::super::facts::{Called, Cx, Done, Hook, Rule, Words, of_run};
use super::super::pending::Stretch;
use super::super::thresholds::told;
use super::super::{Code, Confidence, Severity};
use super::retries::retried;
use super::spent::{handler, has_a_reason, own};
use super::times;
use crate::model::{Id, Map, Model, Run, Turn};

/// A run of which nobody knows why it was long.
#[derive(Default)]
pub struct LongHandler {
    /// Per thread, the last call that is told by itself, or was held up by the machine: from, to.
    told: Map<Id, (u64, u64)>,
    /// Per process, calls that cannot sleep and took long all the same: the machine kept the program from running.
    held_up: Map<Id, u64>,
}

/// Threads and processes watched at once.
const MOST: usize = 4_096;
/// A call that cannot sleep and took this long was held up.
pub(super) const HELD_UP: u64 = 10_000_000;

impl LongHandler {
    fn takes(&mut self, thread: Id, from: u64, to: u64) {
        if self.told.len() < MOST || self.told.contains_key(&thread) {
            self.told.insert(thread, (from, to));
        }
    }
}

impl Rule for LongHandler {
    fn code(&self) -> Code {
        Code::LongHandler
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Run, Hook::Call, Hook::Slow, Hook::Tick]
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        if !cx.over || self.held_up.is_empty() {
            return;
        }
        // A machine that stops calls that cannot sleep stops handlers as well.
        let long = |code| {
            use Code::{ComputingHandler, LongHandler, LongIteration};
            matches!(code, LongHandler | LongIteration | ComputingHandler)
        };
        for entry in cx.book.entries_mut().filter(|e| long(e.worst.code)) {
            let held_up = self.held_up.get(&entry.worst.process).copied().unwrap_or(0);
            if held_up.saturating_mul(4) > entry.worst.times {
                entry.worst.severity = Severity::Info;
                entry.worst.detail.c |= 1 << 63;
            }
        }
    }

    fn call(&mut self, cx: &mut Cx<'_>, call: &Called) {
        if call.t.saturating_sub(call.since) >= cx.limits.blocking_warning {
            self.takes(call.thread, call.since, call.t);
        }
    }

    fn done(&mut self, cx: &mut Cx<'_>, done: &Done<'_>) {
        if done.took < HELD_UP {
            return;
        }
        let since = done.t.saturating_sub(done.took);
        let spent = cx.model.spent_in_turn(done.thread, since, done.t);
        // Time in a call is told by itself, or nobody's fault.
        self.takes(done.thread, since, done.t);
        let story = cx.tracks.number(done.process, done.fd);
        let sleeps = story.is_none_or(|s| s.blocks != Some(false) && !s.refused);
        // That others had the CPU is known where the kernel tells it, and taken off everywhere.
        let stood_still = done.took.saturating_sub(spent.kept_off()) >= HELD_UP;
        if !sleeps
            && stood_still
            && (self.held_up.len() < MOST || self.held_up.contains_key(&done.process))
        {
            *self.held_up.entry(done.process).or_default() += 1;
        }
    }

    fn run(&mut self, cx: &mut Cx<'_>, run: &Run) {
        let length = own(run);
        if length < cx.limits.long_run || retried(cx, run) {
            return;
        }
        let known = run.spent.unknown < length / 2;
        if known && has_a_reason(run) {
            return;
        }
        // Most of it in a call that is told of by itself?
        let in_calls = self.told.get(&run.thread).map_or(0, |(from, to)| {
            to.min(&run.end).saturating_sub(*from.max(&run.start))
        });
        if !known && in_calls.max(run.in_call) >= length / 2 {
            return;
        }
        let Some(reg) = cx.model.reg(run.reg) else {
            return;
        };
        let mut seen = cx.about(Code::LongHandler, reg);
        seen.loop_id = Some(run.loop_id);
        seen.thread = Some(run.thread);
        seen.at = run.start;
        seen.event = run.event;
        seen.worst = length;
        seen.confidence = of_run(run);
        seen.detail = Detail {
            a: u64::from(run.ios),
            b: run.bytes_in.saturating_add(run.bytes_out),
            c: u64::from(run.handler) | u64::from(known) << 62,
        };
        // Nobody knows how much of it others had the CPU, only that there are others.
        let crowded = !known && length < cx.limits.long_run.saturating_add(cx.late(seen.process));
        seen.detail.c |= u64::from(crowded) << 63;
        cx.book.held_up(&seen, run.start, run.end);
        let stretch = Stretch {
            from: run.start,
            to: run.end,
            own: length,
            exposed: run.spent.exposed(),
        };
        cx.note_later(seen, stretch, |limits, seen, known| {
            let often = known.before + 1 >= limits.long_times || known.own >= limits.long_run_once;
            seen.worst = known.own;
            seen.severity = match often && seen.detail.c >> 63 == 0 {
                true => Severity::Warning,
                false => Severity::Info,
            };
            known.own >= limits.long_run
        });
    }

    fn words(&self, model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let handler = handler(model, entry, w.detail.c);
        let seems = if w.confidence == Confidence::Measured {
            "ran"
        } else {
            "seems to have run"
        };
        let machine = match w.detail.c >> 62 {
            0 => "what it did is not recorded",
            1 => "it computed, slept and waited, none of them for most of the time",
            _ => "what cannot sleep was held up as well, so the machine was busy with others",
        };
        let summary = format!(
            "the handler{handler} of {} {seems} for {} or more {}, {} at worst, {}; {machine}.",
            entry.who(),
            told(50_000_000.min(w.worst)),
            times(w.times),
            told(w.worst),
            match w.detail.a {
                0 => "without a call".to_owned(),
                1 => format!("with one call that moved {} bytes", w.detail.b),
                n => format!("with {n} calls that moved {} bytes", w.detail.b),
            }
        );
        Words {
            summary,
            advice: "Cut the work into pieces that give the loop a turn in between, or hand it to a thread."
                .to_owned(),
        }
    }
}

/// A turn that is long though none of its runs is.
#[derive(Default)]
pub struct LongIteration {
    /// The longest run of the turn that each thread is in, without the time in which others had its CPU.
    longest: Map<Id, u64>,
}

impl Rule for LongIteration {
    fn code(&self) -> Code {
        Code::LongIteration
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Run, Hook::Turn]
    }

    fn lost(&mut self) {
        self.longest.clear();
    }

    fn run(&mut self, _cx: &mut Cx<'_>, run: &Run) {
        if self.longest.len() < MOST || self.longest.contains_key(&run.thread) {
            let longest = self.longest.entry(run.thread).or_default();
            *longest = run.run().saturating_sub(run.spent.kept_off()).max(*longest);
        }
    }

    fn turn(&mut self, cx: &mut Cx<'_>, turn: &Turn) {
        // While others had its CPU the loop stood still through no fault of its own.
        let own = self.longest.remove(&turn.thread);
        let length = (turn.end.saturating_sub(turn.start)).saturating_sub(turn.spent.kept_off());
        let limits = cx.limits;
        let longest = own.or(turn.longest.map(|(_, ns)| ns)).unwrap_or(0);
        if length < limits.long_turn || longest >= limits.long_run {
            return;
        }
        let process = super::super::process_of(cx.model, turn.thread);
        // Work of its own, timers and tasks that nobody marks, is the loop's if it computes: what it sleeps in is told by itself.
        let computed = turn.spent.on_cpu >= limits.long_turn && turn.spent.on_cpu >= length / 2;
        let is_loop = super::blocking::is_a_loop(cx, turn.loop_id, turn.thread);
        if cx.starts(process) || turn.runs == 0 && !computed || !is_loop {
            return;
        }
        let mut seen = cx.about_loop(Code::LongIteration, turn.loop_id);
        seen.thread = Some(turn.thread);
        seen.at = turn.start;
        seen.event = turn.event;
        seen.worst = length;
        seen.detail = Detail {
            a: u64::from(turn.runs),
            b: turn.run_ns,
            c: u64::from(computed),
        };
        let stretch = Stretch {
            from: turn.start,
            to: turn.end,
            own: length,
            exposed: turn.spent.exposed(),
        };
        cx.note_later(seen, stretch, |limits, seen, known| {
            // Most of it in runs: many, none of which is long. Anything else may be the machine's doing.
            let runs = seen.detail.b >= seen.worst / 2;
            seen.worst = known.own;
            // What the hypervisor may have had is taken off.
            let computed = seen.detail.c != 0 && known.own >= limits.long_turn;
            let often = known.before + 1 >= limits.long_times;
            seen.severity = match (runs || computed) && often {
                true => Severity::Warning,
                false => Severity::Info,
            };
            known.own >= limits.long_turn
        });
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        // Without others' time on its CPU, as the whole is.
        let rest = w.worst.saturating_sub(w.detail.b);
        let outside = rest > w.worst / 2;
        let plural = |n: u64, what: &str| match n {
            1 => format!("1 {what}"),
            n => format!("{n} {what}s"),
        };
        Words {
            summary: format!(
                "{} of the loop {} long, {} at worst: {} took {} of it, {} passed between and after them{}.",
                plural(w.times, "turn"),
                if w.times == 1 { "was" } else { "were" },
                told(w.worst),
                plural(w.detail.a, "run"),
                told(w.detail.b),
                told(rest),
                match outside && w.detail.c != 0 {
                    true => ", computed by what no handler is seen for: tasks, timers, continuations",
                    false => "",
                }
            ),
            advice: match outside {
                true => "Cut that work into pieces that give the loop a turn in between, or hand it to a thread; the list of \
                         functions says where it is."
                    .to_owned(),
                false => "Serve fewer events a turn (a smaller maxevents, a budget for each handler), or spread the \
                          connections over more loops."
                    .to_owned(),
            },
        }
    }
}

/// The handler's own name for a sentence.
pub(super) fn of(entry: &Entry) -> String {
    called(&entry.name, entry.worst.fd)
}
