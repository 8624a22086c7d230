//! From a recording to a [`Summary`]: one pass of the model over every event, with one listener for the longest wait.
//! Step: trace → model → **view**.

use super::summary::{Behind, Bounds, Fd, Loop, Process, Recording, Setup, Summary, Times, Worst};
use crate::model::{self, Fidelity, Id, Model, Part, Registration, Run, Segment, Sink, Word};
use crate::record::event::{Cause, Space};
use crate::text::names::descriptor;
use crate::trace::{Error, Events, Reader};
use std::collections::{HashMap, VecDeque};

/// Segments kept a loop thread to tell the longest wait; a longer one is told as far as they reach back.
const RETAINED: usize = 16_384;

/// Folds the whole recording. `progress` hears how much of it is done, 0 to 1.
///
/// # Errors
/// When the file cannot be read; damage inside it is no error but a part of the summary.
pub fn fold(reader: &mut Reader, progress: &mut dyn FnMut(f64)) -> Result<Summary, Error> {
    let mut model = Model::default();
    let mut ear = Ear::default();
    let mut worst = None;
    let mut events = Events::default();
    let pages = reader.pages().len();
    for page in 0..pages {
        reader.read_page(page, &mut events)?;
        for (number, event, text) in events.iter() {
            model.apply(number, event, text, &mut ear);
            if let Some(run) = ear.found.take() {
                worst = Some(tell(&model, &ear, &run));
            }
        }
        ear.forget(&model);
        progress((page + 1) as f64 / pages as f64);
    }
    model.settle();
    Ok(summarise(reader, &model, &ear, worst))
}

/// Listens to every run: how long it waited behind others, and what ran before the longest wait.
#[derive(Default)]
struct Ear {
    segments: Map<(Id, Id), Kept>,
    /// What each registration waited behind others, in all and at worst.
    waits: Map<Id, Waited>,
    longest: Option<u64>,
    found: Option<Run>,
    /// Runs whose instant of readiness is measured, and all of those where something is known of it.
    measured: u64,
    known: u64,
}

#[derive(Clone, Copy, Default)]
struct Waited {
    sum: u64,
    max: u64,
}

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// The last segments of a loop's thread, in their order, and apart from them its waits with a running sum: how long it
/// waited between two instants is asked at every run, over as many segments as there are descriptors.
#[derive(Default)]
struct Kept {
    all: VecDeque<Segment>,
    waits: VecDeque<Asleep>,
}

struct Asleep {
    start: u64,
    end: u64,
    /// What all waits before this one took together.
    before: u64,
}

impl Kept {
    fn push(&mut self, segment: Segment) {
        if self.all.len() == RETAINED
            && let Some(old) = self.all.pop_front()
            && old.part == Part::Wait
        {
            self.waits.pop_front();
        }
        if segment.part == Part::Wait {
            let last = self.waits.back();
            let before = last.map_or(0, |w| w.before.saturating_add(w.end - w.start));
            self.waits.push_back(Asleep {
                start: segment.start,
                end: segment.end.max(segment.start),
                before,
            });
        }
        self.all.push_back(segment);
    }

    /// How much of the time from `from` to `until` went into waits.
    fn asleep(&self, from: u64, until: u64) -> u64 {
        let first = self.waits.partition_point(|w| w.end <= from);
        let behind = self.waits.partition_point(|w| w.start < until);
        if behind <= first {
            return 0;
        }
        let (a, b) = (&self.waits[first], &self.waits[behind - 1]);
        let whole = (b.before - a.before).saturating_add(b.end - b.start);
        let outside = from.saturating_sub(a.start) + b.end.saturating_sub(until);
        whole.saturating_sub(outside)
    }
}

impl Ear {
    /// How long the run's event waited, at most. Where readiness is only bounded, time inside the kernel's wait does not
    /// count: had the event been ready then, the wait would have returned.
    fn waited(&self, run: &Run) -> u64 {
        let Some(wait) = run.wait() else {
            return run.queue();
        };
        if run.notice_fidelity == Fidelity::Measured {
            return wait.hi;
        }
        let earliest = run.ready.map_or(run.wakeup, |r| r.lo);
        let kept = self.segments.get(&(run.loop_id, run.thread));
        let inside = kept.map_or(0, |k| k.asleep(earliest, run.start));
        wait.hi.saturating_sub(inside)
    }
}

impl Ear {
    /// Lets go of what the model has let go of, so that memory stays constant however long the recording is.
    fn forget(&mut self, model: &Model) {
        if self.waits.len() > 2 * model.regs_len() + 1024 {
            self.waits.retain(|id, _| model.reg(*id).is_some());
        }
        if self.segments.len() > 64 {
            let lives =
                |id: &Id| (model.threads().get(*id as usize)).is_some_and(|t| t.ended.is_none());
            self.segments.retain(|(_, thread), _| lives(thread));
        }
    }
}

impl Sink for Ear {
    fn run(&mut self, run: &Run) {
        self.known += u64::from(run.notice.is_some());
        self.measured += u64::from(run.notice_fidelity == Fidelity::Measured);
        let wait = self.waited(run);
        let waits = self.waits.entry(run.reg).or_default();
        waits.sum += wait;
        waits.max = waits.max.max(wait);
        if self.longest.is_none_or(|longest| wait > longest) {
            self.longest = Some(wait);
            self.found = Some(*run);
        }
    }

    fn segment(&mut self, segment: &Segment) {
        (self.segments.entry((segment.loop_id, segment.thread)))
            .or_default()
            .push(*segment);
    }
}

/// The wait with its names, looked up while the model stands at its end.
fn tell(model: &Model, ear: &Ear, run: &Run) -> Worst {
    let segments = ear.segments.get(&(run.loop_id, run.thread));
    let of_thread = || segments.into_iter().flat_map(|kept| &kept.all);
    let earliest = run.ready.map_or(run.wakeup, |r| r.lo);
    let mut pieces: Map<Part, u32> = Map::default();
    for s in of_thread().filter(|s| s.end > earliest && s.start < run.start) {
        *pieces.entry(s.part).or_default() += 1;
    }
    let process = model
        .loops()
        .get(run.loop_id as usize)
        .map_or(0, |l| l.process);
    let mut behind: Vec<Behind> = Vec::new();
    for (part, range) in model::blame(of_thread(), run) {
        let (who, fd) = match part {
            Part::Run(id) if id == run.reg => ("its own earlier run".to_owned(), None),
            Part::Run(id) => model.reg(id).map_or(("a closed fd".to_owned(), None), |r| {
                (descriptor(&r.name, r.kind).to_owned(), Some(r.fd))
            }),
            Part::Timer(id) => (named("timer", model.name(process, Space::Timer, id)), None),
            Part::Task(id) => (named("task", model.name(process, Space::Task, id)), None),
            Part::Rest => ("the loop itself".to_owned(), None),
            Part::Wait => ("the kernel's wakeup".to_owned(), None),
        };
        if part == Part::Wait && run.notice_fidelity != Fidelity::Measured {
            continue;
        }
        behind.push(Behind {
            who,
            fd,
            ns: range.hi,
            times: pieces.get(&part).copied().unwrap_or(0),
        });
    }
    let (name, fd) = model.reg(run.reg).map_or((String::new(), -1), |r| {
        (descriptor(&r.name, r.kind).to_owned(), r.fd)
    });
    Worst {
        fd,
        name,
        loop_id: run.loop_id,
        ready_ns: run.ready.map_or(run.wakeup, |r| r.lo),
        wakeup_ns: run.wakeup,
        start_ns: run.start,
        run_ns: run.run(),
        waited: ear.longest.unwrap_or(0),
        notice: run.notice.map(|n| (n.lo, n.hi)),
        behind,
    }
}

fn named(what: &str, name: &str) -> String {
    if name.is_empty() {
        what.to_owned()
    } else {
        format!("{what} {name}")
    }
}

fn summarise(reader: &Reader, model: &Model, ear: &Ear, worst: Option<Worst>) -> Summary {
    let meta = reader.meta();
    let damaged: u64 = (model.lost_by_cause())
        .filter(|(cause, _)| *cause == Cause::Damaged)
        .map(|(_, n)| n)
        .sum();
    let recording = Recording {
        title: meta.title.clone(),
        source: meta.source.clone(),
        command: meta.command.clone(),
        started_ns: meta.started_ns,
        duration_ns: reader.duration_ns(),
        // The reader numbers what damage took as well; what was received is counted here.
        events: reader.len().saturating_sub(damaged),
        lost: model.lost(),
        lost_by_cause: model
            .lost_by_cause()
            .map(|(cause, n)| (cause.name(), n))
            .collect(),
        late: model.late(),
        complete: reader.complete(),
        kernel_ready: match (ear.known, ear.measured) {
            (0, _) => meta.kernel_ready.clone(),
            (known, measured) if measured >= known.div_ceil(2) => "measured".to_owned(),
            _ => "bounded".to_owned(),
        },
        handlers: match model.loops().iter().any(model::Loop::has_handlers) {
            true => "measured".to_owned(),
            false => meta.handlers.clone(),
        },
    };
    let mut fds: Vec<Fd> = model.regs().map(|r| an_fd(model, ear, r)).collect();
    fds.sort_by(|a, b| {
        let place = |f: &Fd| (f.loop_id, f.fd, f.generation, f.registered_ns);
        b.waited
            .cmp(&a.waited)
            .then_with(|| place(a).cmp(&place(b)))
    });
    let folded: u64 = model.roles().iter().map(|r| r.folded).sum();
    let setup = meta.setup.iter().map(|s| Setup {
        missing: s.missing.clone(),
        because: s.because.clone(),
        advice: s.advice.clone(),
    });
    Summary {
        recording,
        processes: model.processes().iter().map(a_process).collect(),
        loops: model.loops().iter().map(|l| a_loop(model, l)).collect(),
        fds_total: fds.len() as u64 + folded,
        fds,
        setup: setup.collect(),
        worst,
        problems: reader.problems().iter().map(ToString::to_string).collect(),
        quantile_error: (
            model::Histogram::fine().relative_error(),
            model::Histogram::default().relative_error(),
        ),
    }
}

fn a_process(p: &model::Process) -> Process {
    Process {
        id: p.id,
        pid: i64::from(p.pid),
        parent: p.parent,
        name: p.name.to_string(),
    }
}

/// Times that were computed; nothing where no run could be told apart.
fn times(h: &model::Histogram, computed: bool) -> Option<Times> {
    (computed || h.count() > 0).then(|| Times::from(h))
}

fn bounds(lo: &model::Histogram, hi: &model::Histogram) -> Option<Bounds> {
    (hi.count() > 0).then(|| Bounds {
        lo: lo.into(),
        hi: hi.into(),
    })
}

fn a_loop(model: &Model, l: &model::Loop) -> Loop {
    let tid = |t: &model::ThreadState| {
        model
            .threads()
            .get(t.thread as usize)
            .map_or(0, |t| i64::from(t.tid))
    };
    Loop {
        id: l.id,
        process: l.process,
        pid: model
            .processes()
            .get(l.process as usize)
            .map_or(0, |p| i64::from(p.pid)),
        kind: l.kind.name(),
        name: l.name.to_string(),
        epfds: l.epfds.clone(),
        threads: l.threads.iter().map(tid).collect(),
        waits: l.waits,
        wakeups: l.wakeups,
        timeouts: l.timeouts,
        interrupted: l.interrupted,
        failed: l.failed,
        unfinished: l.unfinished,
        ready: l.ready,
        max_batch: u64::from(l.max_batch),
        saturated: l.saturated,
        ctl: [l.ctl.add, l.ctl.modify, l.ctl.del, l.ctl.failed],
        wait_ns: l.wait_ns,
        busy_ns: l.busy_ns,
        fairness: model.fairness(l.id),
        iteration: Times::from(&l.iteration),
        notice: bounds(&l.notice_lo, &l.notice_hi),
        queue: times(&l.queue, l.has_handlers()),
        run: times(&l.run, l.has_handlers()),
    }
}

fn an_fd(model: &Model, ear: &Ear, r: &Registration) -> Fd {
    let waits = ear.waits.get(&r.id).copied().unwrap_or_default();
    let of_loop = model.loops().get(r.loop_id as usize);
    let handlers = of_loop.is_some_and(model::Loop::has_handlers);
    let all = of_loop.map_or(0, |l| l.run_ns);
    Fd {
        loop_id: r.loop_id,
        process: r.process,
        fd: r.fd,
        generation: r.generation,
        name: descriptor(&r.name, r.kind).to_owned(),
        interest: r.interest,
        state: word(r.word),
        fidelity: fidelity(r.fidelity),
        registered_ns: r.registered_ns,
        closed_ns: r.closed_ns,
        ready: r.ready,
        dispatched: r.dispatched,
        bytes_in: r.bytes_in,
        bytes_out: r.bytes_out,
        share: (handlers && all > 0).then(|| r.run_ns as f64 / all as f64),
        bypassed_max: r.bypassed_max,
        waited: waits.sum,
        waited_max: waits.max,
        wait_max: r.wait_max,
        notice: bounds(&r.notice_lo, &r.notice_hi),
        queue: times(&r.queue, handlers),
        run: times(&r.run, handlers),
        tail: times(&r.tail, false),
        caused: handlers.then_some((r.caused_lo, r.caused_hi)),
    }
}

/// The state's word in data (on screen some have friendlier ones).
fn word(word: Word) -> &'static str {
    match word {
        Word::Stale => "stale",
        Word::Running => "running",
        Word::Fetched => "fetched",
        Word::Ghost => "ghost",
        Word::Residual => "residual",
        Word::Ready => "ready",
        Word::BlockedOut => "blocked-out",
        Word::Disarmed => "disarmed",
        Word::Muted => "muted",
        Word::Armed => "armed",
        Word::Gone => "gone",
        Word::Unknown => "unknown",
    }
}

fn fidelity(fidelity: Fidelity) -> &'static str {
    match fidelity {
        Fidelity::Measured => "measured",
        Fidelity::Bounded => "bounded",
        Fidelity::Inferred => "inferred",
        Fidelity::Absent => "absent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_asleep_is_summed_as_if_every_segment_were_walked() {
        let mut kept = Kept::default();
        let mut seed = 7_u64;
        let mut next = move |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let mut now = 0;
        for _ in 0..RETAINED + 500 {
            let start = now + next(3);
            now = start + next(20);
            let part = match next(3) {
                0 => Part::Wait,
                _ => Part::Rest,
            };
            kept.push(Segment {
                loop_id: 0,
                thread: 0,
                part,
                start,
                end: now,
            });
        }
        for _ in 0..2_000 {
            let from = now - next(5_000).min(now);
            let until = (from + next(4_000)).min(now + 10);
            let walked: u64 = (kept.all.iter())
                .filter(|s| s.part == Part::Wait && s.end > from && s.start < until)
                .map(|s| s.end.min(until).saturating_sub(s.start.max(from)))
                .sum();
            assert_eq!(kept.asleep(from, until), walked, "{from} to {until}");
        }
        assert_eq!(kept.all.len(), RETAINED);
        let waits = kept.all.iter().filter(|s| s.part == Part::Wait).count();
        assert_eq!(kept.waits.len(), waits);
    }
}
