//! Who still waits where the recording ends: no run of theirs was ever seen, so that no figure of a finished wait tells of
//! them. Step: model → **view**.

use super::summary::Still;
use crate::model::{
    Fidelity, Id, ItemState, Loop, Model, Part, Phase, Registration, SameSocket, ThreadState,
    UNKNOWN_STATUS,
};
use crate::record::event::{Event, Kind, Space};
use crate::text::names::{Ending, descriptor};
use std::collections::BTreeMap;

/// Listens for the longest of these waits, of each process.
#[derive(Default)]
pub(super) struct Left(BTreeMap<Id, Still>);

impl Left {
    /// Before a thread's end is folded in, which takes its turn away.
    pub(super) fn before(&mut self, model: &Model, e: &Event) {
        if e.kind == Kind::ThreadEnd
            && let Some(thread) = model.thread_numbered(e.thread)
        {
            self.look(model, e.t, Some(thread));
        }
    }

    /// The longest, if it lasted for more than `longest` nanoseconds; the model stands at its end.
    pub(super) fn finish(mut self, model: &Model, longest: u64) -> Option<Still> {
        // Who exits has left its loop. A handler that does not come back ends with a signal, or goes on.
        let of = |process: &Id| model.processes().get(*process as usize);
        let killed = |process: &Id| {
            let status = of(process).and_then(|p| p.status).unwrap_or(UNKNOWN_STATUS);
            matches!(Ending::of(status), Ending::Killed(_))
        };
        let goes_on = |process: &Id| of(process).is_none_or(|p| p.end.is_none());
        self.0.retain(|process, _| killed(process));
        self.look(model, model.now(), None);
        self.0
            .retain(|process, _| killed(process) || goes_on(process));
        let all = self.0.into_values().filter(|s| s.waited > longest);
        all.max_by_key(|still| still.waited)
    }

    fn look(&mut self, model: &Model, now: u64, thread: Option<Id>) {
        let mine = |t: &&ThreadState| thread.is_none_or(|id| t.thread == id) && busy(t.phase);
        let of = |l| waits(model, l, now, mine);
        let all = model.loops().iter().flat_map(of);
        let Some(most) = all.max_by_key(|w| w.waited) else {
            return;
        };
        let known = self.0.get(&most.process).map_or(0, |still| still.waited);
        if most.waited > known
            && let Some(still) = told(model, &most)
        {
            self.0.insert(most.process, still);
        }
    }
}

/// Who waits, for how long at least, and what its thread does.
struct Wait {
    waited: u64,
    reg: Id,
    process: Id,
    phase: Phase,
    inferred: bool,
}

fn told(model: &Model, wait: &Wait) -> Option<Still> {
    let same = SameSocket::of(&model.regs().collect::<Vec<_>>());
    let name = |r: &Registration| (descriptor(same.name(r), r.kind).to_owned(), Some(r.fd));
    let behind = match wait.phase {
        Phase::Running { reg: Some(id), .. } => model.reg(id).map_or((String::new(), None), name),
        Phase::Timer { name, .. } => (named(model, wait.process, Part::Timer(name)), None),
        Phase::Task { name, .. } => (named(model, wait.process, Part::Task(name)), None),
        _ => ("the loop".to_owned(), None),
    };
    Some(Still {
        who: name(model.reg(wait.reg)?),
        waited: wait.waited,
        behind,
        inferred: wait.inferred,
    })
}

fn named(model: &Model, process: Id, part: Part) -> String {
    let (what, name) = match part {
        Part::Timer(id) => ("timer", model.name(process, Space::Timer, id)),
        Part::Task(id) => ("task", model.name(process, Space::Task, id)),
        _ => return String::new(),
    };
    match name.is_empty() {
        true => what.to_owned(),
        false => format!("{what} {name}"),
    }
}

/// What waits on a loop behind threads that are in a turn.
fn waits<'a>(
    model: &'a Model,
    l: &'a Loop,
    now: u64,
    mine: impl Fn(&&'a ThreadState) -> bool,
) -> impl Iterator<Item = Wait> {
    // Who is ready and not told of is told of by whichever thread asks.
    let asks = |t: &ThreadState| matches!(t.phase, Phase::Waiting { .. });
    let nobody_asks = !l.threads.iter().any(asks);
    l.threads.iter().filter(mine).flat_map(move |t| {
        let end = end(model, t).unwrap_or(now);
        let fetched = (t.batch.iter())
            .filter(|i| i.state == ItemState::Fetched)
            .map(|i| (i.reg, i.ready.map_or(i.told, |r| r.hi)));
        let ready = (model.regs())
            .filter(move |r| nobody_asks && r.loop_id == l.id && r.is_live())
            .filter_map(|r| Some((r.id, r.ready_since?.hi)));
        fetched.chain(ready).map(move |(reg, since)| Wait {
            waited: end.saturating_sub(since),
            reg,
            process: l.process,
            phase: t.phase,
            inferred: l.handlers() == Fidelity::Inferred,
        })
    })
}

/// A thread that runs something, as far as is known.
fn busy(phase: Phase) -> bool {
    use Phase::{Rest, Running, Task, Timer};
    matches!(
        phase,
        Running { .. } | Timer { .. } | Task { .. } | Rest { .. }
    )
}

/// When a thread ended, or its process.
fn end(model: &Model, t: &ThreadState) -> Option<u64> {
    let thread = model.threads().get(t.thread as usize)?;
    let process = model.processes().get(thread.process as usize);
    let ended = [thread.ended, process.and_then(|p| p.end)];
    ended.into_iter().flatten().min()
}
