//! `export --to dispatches`: every event that was served, one a line: since when it may have been ready, when the loop was
//! told, when its handler began and ended, and what ran before it. Step: trace, model → **outside**.

use crate::json::Json;
use crate::model::{Fidelity, Id, Model, Part, Range, Recent, Run, Segment, Sink};
use crate::record::event::Space;
use crate::text::names::{descriptor, mask};
use crate::trace::{Error, Events, Reader};

/// Hands one line after the other, line feed included, to `emit` until it fails: of every served event whose notice (at
/// most), queue and run together took at least `over` nanoseconds. `progress` hears how much is done, 0 to 1.
///
/// # Errors
/// When the file cannot be read, or what `emit` returns.
pub fn lines<E: From<Error>>(
    reader: &mut Reader,
    over: u64,
    progress: &mut dyn FnMut(f64),
    emit: &mut dyn FnMut(&str) -> Result<(), E>,
) -> Result<(), E> {
    let clock = reader.meta().monotonic_ns;
    let (mut model, mut ear, mut events) = (Model::default(), Ear::default(), Events::default());
    let mut json = Json::new();
    let pages = reader.pages().len();
    for page in 0..pages {
        reader.read_page(page, &mut events)?;
        for (number, event, text) in events.iter() {
            model.apply(number, event, text, &mut ear);
            for run in ear.ended.drain(..).filter(|run| took(run) >= over) {
                json.clear();
                one(&mut json, clock, &model, &ear.recent, &run);
                emit(&format!("{}\n", json.as_str()))?;
            }
        }
        ear.recent.forget(&model);
        progress((page + 1) as f64 / pages as f64);
    }
    Ok(())
}

/// From when it may have been ready at the earliest to its handler's end.
fn took(run: &Run) -> u64 {
    let since = run
        .ready
        .map_or(run.wakeup, |ready| ready.lo.min(run.wakeup));
    run.end.saturating_sub(since)
}

/// Listens to runs, and to what came before them.
#[derive(Default)]
struct Ear {
    /// Runs that the last event told of.
    ended: Vec<Run>,
    recent: Recent,
}

impl Sink for Ear {
    fn run(&mut self, run: &Run) {
        self.ended.push(*run);
    }

    fn segment(&mut self, segment: &Segment) {
        self.recent.segment(segment);
    }
}

fn one(json: &mut Json, clock: u64, model: &Model, recent: &Recent, run: &Run) {
    let of = model.loops().get(run.loop_id as usize);
    let process = of.map_or(0, |l| l.process);
    let tid = model.threads().get(run.thread as usize).map(|t| t.tid);
    let pid = model.processes().get(process as usize).map(|p| p.pid);
    json.braces(|j| {
        j.field("event", run.event)
            .field("loop", run.loop_id)
            .field("turn", run.turn)
            .field("process", process)
            .field("pid", pid)
            .field("tid", tid);
        who(j, model, run.reg);
        let reg = model.reg(run.reg);
        j.field(
            "addresses",
            reg.map(|reg| &*reg.addr).filter(|text| !text.is_empty()),
        );
        let handler = model.name(process, Space::Handler, run.handler);
        j.field("handler", Some(handler).filter(|name| !name.is_empty()))
            .field("mask", mask(run.mask).as_str())
            .field("index", run.index)
            .field("batch", run.batch);
        j.field("ready_lo_ns", run.ready.map(|ready| ready.lo))
            .field("ready_hi_ns", run.ready.map(|ready| ready.hi))
            .field("told_ns", run.wakeup)
            .field("begin_ns", run.start)
            .field("end_ns", run.end)
            .field("monotonic_ns", clock);
        j.field("notice_lo_ns", run.notice.map(|notice| notice.lo))
            .field("notice_hi_ns", run.notice.map(|notice| notice.hi))
            .field("asleep_ns", run.asleep)
            .field("queue_ns", run.queue())
            .field("run_ns", run.run())
            .field("ready_is", known(run.notice_fidelity))
            .field("handler_is", known(run.fidelity));
        j.field("bytes_in", run.bytes_in)
            .field("bytes_out", run.bytes_out)
            .field("calls", run.ios);
        match run.behalf {
            Some(behalf) => j.object("on_behalf_of", |j| {
                // What has been closed since keeps its number.
                match model.reg(behalf.reg) {
                    Some(_) => who(j, model, behalf.reg),
                    None => {
                        j.field("fd", behalf.fd)
                            .field("generation", behalf.generation)
                            .field("name", None::<&str>);
                    }
                }
                j.field("before", behalf.before);
            }),
            None => j.field("on_behalf_of", None::<u64>),
        };
        j.array("behind", |j| {
            for (part, ns) in recent.behind(run) {
                j.braces(|j| behind(j, model, process, part, ns));
            }
        });
    });
}

/// A registration.
fn who(j: &mut Json, model: &Model, id: Id) {
    let reg = model.reg(id);
    let name = reg.map(|reg| descriptor(&reg.name, reg.kind).to_owned());
    j.field("fd", reg.map(|reg| reg.fd))
        .field("generation", reg.map(|reg| reg.generation))
        .field("name", name.as_ref());
}

/// What ran before it, and for how long of its wait.
fn behind(j: &mut Json, model: &Model, process: Id, part: Part, ns: Range) {
    match part {
        Part::Run(id) | Part::More(id) | Part::Tail(id) => {
            let what = if matches!(part, Part::Tail(_)) {
                "tail"
            } else {
                "run"
            };
            j.field("what", what);
            who(j, model, id);
        }
        Part::Timer(id) => {
            j.field("what", "timer")
                .field("name", model.name(process, Space::Timer, id));
        }
        Part::Task(id) => {
            j.field("what", "task")
                .field("name", model.name(process, Space::Task, id));
        }
        Part::Rest => {
            j.field("what", "rest");
        }
        Part::Wait => {
            j.field("what", "wait");
        }
    }
    j.field("lo_ns", ns.lo).field("hi_ns", ns.hi);
}

/// How well it is known; null: not at all.
fn known(how: Fidelity) -> Option<&'static str> {
    Some(how.name()).filter(|_| how != Fidelity::Absent)
}
