//! Cause and effect: who waited while something that is a finding went on, and which findings are only the effect of
//! another. Step: model → **view**.

use super::book::{Book, Cause, Entry, Seen, called};
use super::found::Victims;
use super::rules::ignored::IGNORED;
use super::rules::retries::is_retry;
use super::thresholds::{Thresholds, told};
use super::{Code, Confidence, Severity};
use crate::model::{Id, Model, Run};
use crate::text::names::descriptor;
use std::collections::VecDeque;

/// Times of causes kept to find who waited for them.
const KEPT: usize = 64;
/// A wait behind a cause that is shorter is nobody's.
const LEAST: u64 = 1_000_000;

type Key = (Code, Option<Id>, Id, Cause);

/// A time in which a cause held a thread up.
#[derive(Clone, Copy, Debug)]
struct Stall {
    key: Key,
    loop_id: Id,
    thread: Id,
    reg: Option<Id>,
    start: u64,
    end: u64,
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct Blame {
    stalls: VecDeque<Stall>,
    /// Causes that starved somebody.
    starved: Vec<Key>,
    late: Vec<Key>,
}

/// Codes that say what held a loop up; of busy loops only handlers that try the same again and again.
fn holds_up(code: Code) -> bool {
    matches!(
        code,
        Code::BlockingHandler
            | Code::ComputingHandler
            | Code::PageFaultStall
            | Code::LongHandler
            | Code::GreedyHandler
            | Code::FdLeftBlocking
            | Code::BusyLoop
    )
}

/// A busy loop whose cause is known: one descriptor, or a handler that tries again and again.
fn is_one_descriptors(w: &Seen) -> bool {
    w.code == Code::BusyLoop && (w.detail.b == IGNORED || is_retry(w))
}

fn key_of(entry: &Entry) -> Key {
    let w = &entry.worst;
    (w.code, w.loop_id, w.process, w.cause)
}

impl Blame {
    pub(super) fn forget(&mut self) {
        self.stalls.clear();
    }

    /// A run ended: did it wait for something that was found?
    pub(super) fn run(&mut self, model: &Model, limits: &Thresholds, book: &mut Book, run: &Run) {
        for stall in book.stalls.drain(..) {
            if self.stalls.len() == KEPT {
                self.stalls.pop_front();
            }
            if holds_up(stall.0.0) {
                let (key, loop_id, thread, reg, start, end) = stall;
                self.stalls.push_back(Stall {
                    key,
                    loop_id,
                    thread,
                    reg,
                    start,
                    end,
                });
            }
        }
        if self.stalls.is_empty() {
            return;
        }
        let waited = run.waited();
        let earliest = run.start.saturating_sub(waited.hi);
        let mut worst: Option<(u64, Stall)> = None;
        for stall in &self.stalls {
            let same = stall.loop_id == run.loop_id && stall.thread == run.thread;
            if !same || stall.reg == Some(run.reg) {
                continue;
            }
            let (from, to) = (earliest.max(stall.start), run.start.min(stall.end));
            let overlap = to.saturating_sub(from);
            // What was ready for a short part of it only has hardly waited for it.
            let much = overlap >= LEAST && overlap >= (stall.end - stall.start) / 2;
            if much && worst.is_none_or(|(most, _)| overlap > most) {
                worst = Some((overlap, *stall));
            }
        }
        let Some((overlap, stall)) = worst else {
            return;
        };
        let name = model
            .reg(run.reg)
            .map_or_else(String::new, |r| called(descriptor(&r.name, r.kind), r.fd));
        // One time may be two findings for now, of which one will do in the end.
        let same = |s: &&Stall| {
            (s.loop_id, s.thread, s.start) == (stall.loop_id, stall.thread, stall.start)
        };
        for stall in self.stalls.iter().filter(same) {
            let victims = Victims {
                count: 1,
                worst_ns: overlap,
                worst: name.clone(),
            };
            book.suffered(stall.key, stall.start, victims);
            if waited.hi >= limits.starved && !self.starved.contains(&stall.key) {
                self.starved.push(stall.key);
            }
        }
    }

    /// Sorts out what is only the effect of something else.
    pub(super) fn settle(&mut self, limits: &Thresholds, book: &mut Book) {
        // What was the hypervisor's doing starved nobody.
        self.starved.retain(|key| book.has(*key));
        // A call or two that nobody was seen to wait for is worth knowing, and no more; one that never came back is.
        for entry in book
            .entries_mut()
            .filter(|e| e.worst.code == Code::BlockingHandler)
        {
            let stuck = entry.worst.detail.a >> 32 != 0;
            if entry.victims().is_none() && !stuck && entry.worst.times < limits.blocking_times {
                entry.worst.severity = Severity::Info;
            }
        }
        // Greed that nobody felt is none; greed that explains a long run is what it is called.
        for entry in book
            .entries_mut()
            .filter(|e| e.worst.code == Code::GreedyHandler)
        {
            // A crowd that once waited for a moment is no habit.
            let felt = entry.victims().map_or(0, |v| v.count);
            let again = entry.worst.times >= limits.greedy_times
                || entry.worst.worst >= limits.greedy_run_once;
            if felt >= limits.greedy_times && again {
                entry.worst.severity = entry.worst.severity.max(Severity::Warning);
            }
        }
        book.take_back(|e| {
            let weak = e.worst.severity == Severity::Info && e.victims().is_none();
            e.worst.code == Code::GreedyHandler && weak
        });
        let greedy: Vec<(Option<Id>, Cause)> = (book.entries())
            .filter(|e| e.worst.code == Code::GreedyHandler)
            .map(|e| (e.worst.loop_id, e.worst.cause))
            .collect();
        book.take_back(|e| {
            let long = matches!(e.worst.code, Code::LongHandler | Code::ComputingHandler);
            long && greedy.contains(&(e.worst.loop_id, e.worst.cause))
        });
        // Computing for a little longer than one should matters to those who waited for it.
        let little = (book.entries_mut()).filter(|e| {
            e.worst.code == Code::ComputingHandler && e.worst.worst < limits.computing_error
        });
        for entry in little {
            if entry.victims().map_or(0, |v| v.count) < limits.long_times {
                entry.worst.severity = Severity::Info;
            }
        }
        // A starvation on a loop where something is known to starve others is its effect.
        let starving: Vec<Option<Id>> = self.starved.iter().map(|key| key.1).collect();
        let merged = |e: &Entry, codes: &[Code], loops: &[Option<Id>]| {
            codes.contains(&e.worst.code) && loops.contains(&e.worst.loop_id)
        };
        book.take_back(|e| merged(e, &[Code::Starvation], &starving));
        // Timers that fire late on a loop that something held up are late for that.
        // What is worth knowing only does not explain what matters.
        let held: Vec<(Key, Severity)> = (book.entries())
            .filter(|e| e.worst.code != Code::BusyLoop || is_retry(&e.worst))
            .filter(|e| holds_up(e.worst.code) && e.worst.confidence != Confidence::Maybe)
            .map(|e| (key_of(e), e.worst.severity.min(Severity::Warning)))
            .collect();
        let mut late: Vec<Option<Id>> = Vec::new();
        book.take_back(|e| {
            let matters = e.worst.severity.min(Severity::Warning);
            let effect = matches!(e.worst.code, Code::LateTimer | Code::LongIteration)
                && (held.iter()).any(|(key, much)| key.1 == e.worst.loop_id && *much >= matters);
            if effect && e.worst.code == Code::LateTimer {
                late.push(e.worst.loop_id);
            }
            effect
        });
        self.late = (held.into_iter())
            .map(|(key, _)| key)
            .filter(|key| late.contains(&key.1))
            .collect();
        let crowded: Vec<Option<Id>> = (book.entries())
            .filter(|e| e.worst.code == Code::Starvation)
            .map(|e| e.worst.loop_id)
            .collect();
        book.take_back(|e| merged(e, &[Code::LongIteration], &crowded));
        // A loop that spins for a reason that is known does not spin for none.
        let spins: Vec<Entry> = (book.entries())
            .filter(|e| {
                matches!(
                    e.worst.code,
                    Code::WritableSpin
                        | Code::HangupSpin
                        | Code::FdLimitSpin
                        | Code::EofIgnored
                        | Code::TimerSpin
                        | Code::PeriodicTimerfdUnread
                        | Code::DataNamesOtherFd
                        | Code::GhostEvent
                )
            })
            .cloned()
            .collect();
        let unspecific = [Code::BusyLoop, Code::IdleWakeups, Code::SpuriousWakeup];
        book.take_back(|e| {
            let mut here = spins.iter().filter(|s| s.worst.loop_id == e.worst.loop_id);
            match is_one_descriptors(&e.worst) {
                // What is known of others is no reason of its.
                true => here.any(|s| e.fds.iter().all(|fd| s.fds.contains(fd))),
                false => unspecific.contains(&e.worst.code) && here.next().is_some(),
            }
        });
        let busy: Vec<Option<Id>> = (book.entries())
            .filter(|e| e.worst.code == Code::BusyLoop && !is_retry(&e.worst))
            .map(|e| e.worst.loop_id)
            .collect();
        let less = [Code::IdleWakeups, Code::SpuriousWakeup];
        book.take_back(|e| merged(e, &less, &busy));
        let herds: Vec<Cause> = (book.entries())
            .filter(|e| e.worst.code == Code::ThunderingHerd)
            .map(|e| e.worst.cause)
            .collect();
        if !herds.is_empty() {
            book.take_back(|e| e.worst.code == Code::SpuriousWakeup);
        }
    }

    /// What else a cause has done.
    pub(super) fn effects(&self, entry: &Entry) -> Vec<Code> {
        let key = key_of(entry);
        let mut effects = Vec::new();
        if self.starved.contains(&key) {
            effects.push(Code::Starvation);
        }
        if self.late.contains(&key) {
            effects.push(Code::LateTimer);
        }
        effects
    }
}

/// The end of a finding's sentence: on which beat it comes, and who waited for it.
pub(super) fn sequel(entry: &Entry) -> String {
    let mut out = String::new();
    if let Some(p) = entry.period() {
        out += &format!(
            " It comes every {}, give or take {}.",
            told(p.ns),
            told(p.spread_ns)
        );
    }
    if let Some(v) = entry.victims() {
        let events = match v.count {
            1 => "one event".to_owned(),
            n => format!("{n} events"),
        };
        out += &format!(
            " Behind it waited {events}, of {} for up to {}.",
            v.worst,
            told(v.worst_ns)
        );
    }
    out
}
