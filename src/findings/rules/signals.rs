//! A signal that a wait lets through, and that never comes through because events come first. Step: model → **view**.

use super::super::book::{Cause, Detail, Entry};
use super::super::facts::{Cx, Hook, Rule, Waited, Words};
use super::super::thresholds::told;
use super::super::{Code, Confidence, Severity};
use crate::model::{Id, Map, Model};
use crate::text::names;

/// Threads watched at once.
const MOST: usize = 4_096;

/// A thread whose waits let signals through.
#[derive(Clone, Copy, Debug, Default)]
struct Letting {
    loop_id: Id,
    process: Id,
    /// What its last wait let through.
    lets: u64,
    /// Waits in a row that returned events.
    full: u64,
    held: Option<Held>,
}

/// Signals that were seen to wait, at each look since.
#[derive(Clone, Copy, Debug)]
struct Held {
    set: u64,
    since: u64,
    event: u64,
    /// Waits in a row by then.
    full: u64,
    told: bool,
}

/// epoll_pwait(2) lets a signal through only if it finds no event.
#[derive(Default)]
pub struct SignalStarved {
    threads: Map<Id, Letting>,
}

impl Rule for SignalStarved {
    fn code(&self) -> Code {
        Code::SignalStarved
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Enter, Hook::Waited, Hook::Signals, Hook::Ending]
    }

    fn enter(&mut self, _cx: &mut Cx<'_>, wait: &Waited) {
        let full = self.threads.len() >= MOST && !self.threads.contains_key(&wait.thread);
        if full || wait.lets == 0 && self.threads.is_empty() {
            return;
        }
        if wait.lets == 0 {
            self.threads.remove(&wait.thread);
            return;
        }
        let letting = self.threads.entry(wait.thread).or_default();
        (letting.loop_id, letting.process) = (wait.loop_id, wait.process);
        letting.lets = wait.lets;
    }

    fn waited(&mut self, _cx: &mut Cx<'_>, wait: &Waited) {
        if let Some(letting) = self.threads.get_mut(&wait.thread) {
            match wait.n {
                1.. => letting.full += 1,
                // Nothing was ready: what waited has come through, or will at the next.
                _ => (letting.full, letting.held) = (0, None),
            }
        }
    }

    fn signals(&mut self, cx: &mut Cx<'_>, thread: Id, set: u64, at: u64) {
        let Some(letting) = self.threads.get_mut(&thread) else {
            return;
        };
        let both = set & letting.lets;
        let held = letting.held.get_or_insert(Held {
            set: both,
            since: at,
            event: cx.event,
            full: letting.full,
            told: false,
        });
        held.set &= both;
        if held.set == 0 {
            letting.held = None;
            return;
        }
        let lasted = at.saturating_sub(held.since);
        let waits = letting.full.saturating_sub(held.full);
        if lasted < cx.limits.signal_pending || waits < cx.limits.signal_waits {
            return;
        }
        let mut seen = cx.about_loop(Code::SignalStarved, letting.loop_id);
        seen.process = letting.process;
        seen.thread = Some(thread);
        seen.cause = Cause::Thread(thread);
        (seen.at, seen.event, seen.worst) = (held.since, held.event, lasted);
        seen.severity = Severity::Warning;
        // What /proc shows is a look now and then: that it waited in between follows.
        seen.confidence = Confidence::Inferred;
        seen.detail = Detail {
            a: held.set,
            b: waits,
            c: 0,
        };
        if std::mem::replace(&mut held.told, true) {
            let key = (seen.code, seen.loop_id, seen.process, seen.cause);
            cx.book.extend(key, at, lasted, 0);
        } else {
            cx.note(seen);
        }
    }

    fn ending(&mut self, _cx: &mut Cx<'_>, _process: Id, thread: Option<Id>) {
        if let Some(thread) = thread {
            self.threads.remove(&thread);
        }
    }

    fn lost(&mut self) {
        self.threads.clear();
    }

    fn words(&self, model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let thread = w.thread.and_then(|id| model.threads().get(id as usize));
        let signals = names::signals(w.detail.a);
        Words {
            summary: format!(
                "thread {} lets {signals} through while it waits, and that has been pending for {} or more: its waits always find \
                 events, {} in a row when this was seen, and events come before signals.",
                thread.map_or(0, |t| t.tid),
                told(w.worst),
                w.detail.b,
            ),
            advice: "Make signals events: a signalfd on the loop, or a handler that writes to a pipe or eventfd of the loop; then \
                     the mask is not needed, and the kernel's order serves them in turn."
                .to_owned(),
        }
    }
}
