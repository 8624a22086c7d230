//! The longest wait with its names: who waited, and behind whom. Step: model → **view**.

use super::summary::{Behind, Worst};
use crate::model::{self, Fidelity, Id, LoopKind, Model, Part, Recent, Run, SameSocket, Segment};
use crate::record::event::Space;
use crate::text::names::descriptor;
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// The wait with its names, looked up while the model stands at its end.
pub(super) fn tell(model: &Model, recent: &Recent, longest: u64, run: &Run) -> Worst {
    let of_thread = || recent.of(run);
    let earliest = run.ready.map_or(run.wakeup, |r| r.lo);
    let same = SameSocket::of(&model.regs().collect::<Vec<_>>());
    let mut pieces: HashMap<Part, u32, FixedState> = HashMap::default();
    for s in of_thread().filter(|s| s.end > earliest && s.start < run.start) {
        *pieces.entry(s.part).or_default() += 1;
    }
    let in_loop = model.loops().get(run.loop_id as usize);
    let process = in_loop.map_or(0, |l| l.process);
    let in_calls = in_loop.is_some_and(|l| l.kind == LoopKind::Threads);
    let mut behind: Vec<Behind> = Vec::new();
    for (part, range) in recent.behind(run) {
        if part == Part::Wait && run.notice_fidelity != Fidelity::Measured {
            continue;
        }
        if part == Part::Wait && in_calls {
            behind.extend(slept_for(model, &same, of_thread(), run));
            continue;
        }
        let (who, fd) = match part {
            Part::Run(id) | Part::More(id) if id == run.reg => {
                ("its own earlier run".to_owned(), None)
            }
            Part::Tail(id) => (after(model, id), None),
            Part::Run(id) | Part::More(id) => {
                model.reg(id).map_or(("a closed fd".to_owned(), None), |r| {
                    (descriptor(same.name(r), r.kind).to_owned(), Some(r.fd))
                })
            }
            Part::Timer(id) => (named("timer", model.name(process, Space::Timer, id)), None),
            Part::Task(id) => (named("task", model.name(process, Space::Task, id)), None),
            Part::Rest => ("the loop itself".to_owned(), None),
            Part::Wait => (WAKEUP.to_owned(), None),
        };
        behind.push(Behind {
            who,
            fd,
            ns: range.hi,
            times: pieces.get(&part).copied().unwrap_or(0),
        });
    }
    behind.sort_by_key(|b| std::cmp::Reverse(b.ns));
    let (name, fd) = model.reg(run.reg).map_or((String::new(), -1), |r| {
        (descriptor(same.name(r), r.kind).to_owned(), r.fd)
    });
    Worst {
        fd,
        name,
        loop_id: run.loop_id,
        ready_ns: run.ready.map_or(run.wakeup, |r| r.lo),
        wakeup_ns: run.wakeup,
        start_ns: run.start,
        run_ns: run.run(),
        waited: longest,
        notice: run.notice.map(|n| (n.lo, n.hi)),
        behind,
    }
}

/// What the wait returned late, or so it seems to whoever was ready before.
const WAKEUP: &str = "the kernel's wakeup";

/// For whom a thread slept that asks for one descriptor a call: not for the one that was ready.
fn slept_for<'a>(
    model: &Model,
    same: &SameSocket,
    segments: impl Iterator<Item = &'a Segment>,
    run: &Run,
) -> Vec<Behind> {
    let tell = |(id, range): (Id, model::Range)| {
        let other = model.reg(id).filter(|_| id != run.reg);
        let name = other.map(|r| descriptor(same.name(r), r.kind));
        Behind {
            who: match (id == run.reg, name) {
                (true, _) => WAKEUP.to_owned(),
                (_, Some(name)) => format!("asleep waiting for {name}"),
                (_, None) => "asleep waiting for a closed fd".to_owned(),
            },
            fd: other.map(|r| r.fd),
            ns: range.hi,
            times: 1,
        }
    };
    model::asleep(segments, run).into_iter().map(tell).collect()
}

/// What follows the last call on an fd, up to the next wait: nobody can tell what it was.
fn after(model: &Model, id: model::Id) -> String {
    match model.reg(id) {
        Some(r) => format!("after fd {}: its handler, timers, tasks or GC", r.fd),
        None => "after a closed fd: its handler, timers, tasks or GC".to_owned(),
    }
}

fn named(what: &str, name: &str) -> String {
    if name.is_empty() {
        what.to_owned()
    } else {
        format!("{what} {name}")
    }
}
