//! From a recording to a [`Summary`]: one pass of the model over every event, with one listener for the longest wait.
//! Step: trace → model → **view**.

use super::code;
use super::limit::{Limit, Measured};
use super::listen::Listener;
use super::meanwhile;
use super::places::{self, Kept, Longest};
use super::rules::Rules;
use super::still::Left;
use super::summary::{
    Bounds, Fd, LongRun, Loop, Process, Recording, Setup, Slept, Stolen, Summary, Tasks, Timers,
    Times, Worst,
};
use super::worst;
use crate::findings::Thresholds;
use crate::model::hot::Hot;
use crate::model::recent::{RETAINED, Recent};
use crate::model::{self, Fidelity, Id, Model, Registration, Run, SameSocket, Segment, Sink, Word};
use crate::record::event::{Kind, Op, Space};
use crate::text::names::{Ending, descriptor};
use crate::trace::{Error, Reader};
use std::collections::HashMap;

/// A longest wait is told once no longer one has come for so many events: telling walks all that is kept, and while a
/// recording gets worse, every other run is the longest so far. An event ends at most two segments.
const PATIENCE: u64 = RETAINED as u64 / 8;

/// Folds the whole recording; `limits` says what it takes to be a finding. `progress` hears how much of it is done, 0 to 1.
///
/// # Errors
/// When the file cannot be read; damage inside it is no error but a part of the summary.
pub fn fold(
    reader: &mut Reader,
    limits: &Thresholds,
    progress: &mut dyn FnMut(f64),
) -> Result<Summary, Error> {
    fold_with(reader, limits, &[], progress, &mut ())
}

/// The same, and whether the recording keeps these limits.
///
/// # Errors
/// As [`fold`].
pub fn fold_judged(
    reader: &mut Reader,
    limits: &Thresholds,
    kept: &[Limit],
    progress: &mut dyn FnMut(f64),
) -> Result<Summary, Error> {
    fold_with(reader, limits, kept, progress, &mut ())
}

/// The same, while somebody else listens to the same pass.
///
/// # Errors
/// As [`fold`].
pub fn fold_with<L: Listener>(
    reader: &mut Reader,
    limits: &Thresholds,
    kept: &[Limit],
    progress: &mut dyn FnMut(f64),
    also: &mut L,
) -> Result<Summary, Error> {
    let mut measured = Measured::new(kept);
    let mut model = Model::default();
    let mut rules = Rules::of(reader, limits);
    let mut ear = Ear {
        keep: !measured.is_empty(),
        ..Ear::default()
    };
    let (mut hot, mut worst) = (Hot::default(), None);
    let mut found: Option<(Run, u64)> = None;
    let mut left = Left::default();
    let pages = reader.pages().len();
    for page in 0..pages {
        let events = reader.page(page)?;
        reader.read_ahead(page + 1, || {
            for (number, event, text) in events.iter() {
                let mut all = (&mut ear, &mut (&mut hot, &mut *also));
                left.before(&model, event);
                rules.apply(&mut model, number, event, text, &mut all);
                for run in ear.ended.drain(..) {
                    measured.run(&model, &run);
                }
                if event.kind == Kind::Steal {
                    ear.places.stolen(&model, event.t.saturating_sub(event.y));
                }
                if let Some(run) = ear.found.take() {
                    found = Some((run, number));
                }
                if let Some((run, _)) = found.take_if(|(_, at)| number - *at >= PATIENCE) {
                    worst = Some(ear.worst(&model, &run));
                }
            }
        });
        ear.forget(&model);
        also.page(&model);
        progress((page + 1) as f64 / pages as f64);
    }
    if let Some((run, _)) = found {
        worst = Some(ear.worst(&model, &run));
    }
    let still = left.finish(&model, ear.longest.unwrap_or(0));
    model.settle();
    let mut found = rules.finish(&mut model);
    also.end(&model, &found);
    reader.verify_rest()?;
    let places = places::told(reader, &model, &ear.places)?;
    let mut summary = summarise(reader, &model, &ear, worst, &places);
    summary.code = code::code(reader, &model, hot)?;
    places::tell(reader, &model, &mut found)?;
    if summary.code.is_some() {
        meanwhile::tell(reader, &model, &mut found)?;
    }
    summary.still = still;
    summary.findings = Some(found);
    summary.limits = measured.judge(&model);
    Ok(summary)
}

/// Listens to every run, for the longest wait and what ran before it.
#[derive(Default)]
struct Ear {
    recent: Recent,
    longest: Option<u64>,
    found: Option<Run>,
    places: Longest,
    /// Runs that the last event ended, where limits ask for them.
    keep: bool,
    ended: Vec<Run>,
    /// Runs whose instant of readiness is measured, and all of those where something is known of it.
    measured: u64,
    known: u64,
}

impl Ear {
    /// Lets go of what the model has let go of, so that memory stays constant however long the recording is.
    fn forget(&mut self, model: &Model) {
        self.places.forget(model);
        self.recent.forget(model);
    }

    /// The longest wait, told while the model stands at its end.
    fn worst(&self, model: &Model, run: &Run) -> Worst {
        worst::tell(model, &self.recent, self.longest.unwrap_or(0), run)
    }
}

impl Sink for Ear {
    fn run(&mut self, run: &Run) {
        self.known += u64::from(run.notice.is_some());
        self.measured += u64::from(run.notice_fidelity == Fidelity::Measured);
        self.places.note(run);
        if self.keep {
            self.ended.push(*run);
        }
        let wait = run.waited().hi;
        if self.longest.is_none_or(|longest| wait > longest) {
            self.longest = Some(wait);
            self.found = Some(*run);
        }
    }

    fn segment(&mut self, segment: &Segment) {
        self.recent.segment(segment);
    }
}

fn summarise(
    reader: &Reader,
    model: &Model,
    ear: &Ear,
    worst: Option<Worst>,
    places: &HashMap<Id, String>,
) -> Summary {
    let meta = reader.meta();
    let recording = Recording {
        title: meta.title.clone(),
        source: meta.source.clone(),
        command: meta.command.clone(),
        started_ns: meta.started_ns,
        duration_ns: reader.duration_ns(),
        // The reader numbers what damage took as well; what was received is counted here.
        events: reader.len().saturating_sub(reader.damaged()),
        lost: model.lost(),
        lost_by_cause: model
            .lost_by_cause()
            .map(|(cause, n)| (cause.name(), n))
            .collect(),
        switches_lost: model.switches_lost(),
        late: model.late(),
        stolen: model.steal().total().map(|bounds| Stolen {
            bounds,
            counted: model.steal().counted(),
            share: model.steal().share(reader.duration_ns()),
        }),
        complete: reader.complete(),
        kernel_ready: match (ear.known, ear.measured) {
            (0, _) => meta.kernel_ready.clone(),
            (known, measured) if measured >= known.div_ceil(2) => "measured".to_owned(),
            _ => "bounded".to_owned(),
        },
        handlers: match model
            .loops()
            .iter()
            .map(model::Loop::handlers)
            .collect::<Vec<_>>()
        {
            all if all.contains(&Fidelity::Inferred) => "inferred".to_owned(),
            all if all.contains(&Fidelity::Measured) => "measured".to_owned(),
            _ => meta.handlers.clone(),
        },
    };
    let place = |r: &Registration| places.get(&r.id).cloned().unwrap_or_default();
    let same = SameSocket::of(&model.regs().collect::<Vec<_>>());
    let fds = model.regs().map(|r| Fd {
        longest: ear.places.of(r.id).map(|kept| a_run(model, kept)),
        ..an_fd(model, r, same.name(r), place(r))
    });
    let mut fds: Vec<Fd> = fds.collect();
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
        processes_omitted: 0,
        loops_omitted: 0,
        fds_total: fds.len() as u64 + folded,
        fds,
        setup: setup.chain(model.setup().iter().map(|s| told(s))).collect(),
        still: None,
        worst,
        findings: None,
        code: None,
        limits: Vec::new(),
        problems: reader.problems().iter().map(ToString::to_string).collect(),
        quantile_error: (
            model::Histogram::fine().relative_error(),
            model::Histogram::default().relative_error(),
        ),
    }
}

/// Something the capture could not do, told by an event.
fn told(said: &str) -> Setup {
    let mut parts = said.split('\0').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    Setup {
        missing: next(),
        because: next(),
        advice: next(),
    }
}

fn a_process(p: &model::Process) -> Process {
    Process {
        id: p.id,
        pid: i64::from(p.pid),
        parent: p.parent,
        name: p.name.to_string(),
        ended: (p.end).map(|at| (at, Ending::of(p.status.unwrap_or(model::UNKNOWN_STATUS)))),
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
        handlers: match l.handlers() {
            Fidelity::Measured => Some("measured"),
            Fidelity::Inferred => Some("inferred"),
            _ => None,
        },
        handed: l.handed,
        nested_polls: l.nested_polls,
        tail_ns: (l.handlers() == Fidelity::Inferred).then_some(l.tail_ns),
        ctl: [l.ctl.add, l.ctl.modify, l.ctl.del, l.ctl.failed],
        wait_ns: l.wait_ns,
        busy_ns: l.busy_ns,
        fairness: model.fairness(l.id),
        iteration: Times::from(&l.iteration),
        notice: bounds(&l.notice_lo, &l.notice_hi),
        queue: times(&l.queue, l.has_handlers()),
        run: times(&l.run, l.has_handlers()),
        spent: l.spent.is_known().then_some(l.spent),
        timers: (!l.timers.is_unused()).then(|| Timers {
            arms: l.timers.arms,
            cancelled: l.timers.cancelled,
            fired: l.timers.fired,
            pending: l.timers.len() as u64,
            run_ns: l.timer_ns,
            late: Times::from(&l.timers.late),
        }),
        tasks: (l.tasks.begun > 0).then(|| Tasks {
            begun: l.tasks.begun,
            run_ns: l.task_ns,
            queued: Times::from(&l.tasks.queued),
        }),
    }
}

fn an_fd(model: &Model, r: &Registration, name: &str, longest_at: String) -> Fd {
    let of_loop = model.loops().get(r.loop_id as usize);
    let handlers = of_loop.is_some_and(model::Loop::has_handlers);
    let all = of_loop.map_or(0, |l| l.run_ns);
    Fd {
        loop_id: r.loop_id,
        process: r.process,
        fd: r.fd,
        generation: r.generation,
        name: descriptor(name, r.kind).to_owned(),
        handler: model
            .name(r.handler_process, Space::Handler, r.handler)
            .to_owned(),
        longest_at,
        interest: r.interest,
        state: word(r.word),
        fidelity: r.fidelity.name(),
        registered_ns: r.registered_ns,
        closed_ns: r.closed_ns,
        ready: r.ready,
        dispatched: r.dispatched,
        handed: r.handed,
        bytes_in: r.bytes_in,
        bytes_out: r.bytes_out,
        share: (handlers && all > 0).then(|| r.run_ns as f64 / all as f64),
        bypassed_max: r.bypassed_max,
        waited: r.waited,
        waited_max: r.waited_max.hi,
        wait_max: r.wait_max,
        behalf: [r.for_others, r.on_its_behalf].map(|s| Some(s).filter(|s| s.count > 0)),
        notice: bounds(&r.notice_lo, &r.notice_hi),
        queue: times(&r.queue, handlers),
        run: times(&r.run, handlers),
        tail: times(&r.tail, false),
        caused: handlers.then_some((r.caused_lo, r.caused_hi)),
        spent: r.spent.is_known().then_some(r.spent),
        longest: None,
    }
}

/// A longest run and why it was long.
fn a_run(model: &Model, kept: &Kept) -> LongRun {
    let process = (model.threads().get(kept.thread as usize)).map_or(0, |t| t.process);
    LongRun {
        ns: kept.ns,
        at: kept.start,
        spent: kept.spent.is_known().then_some(kept.spent),
        blocked_in: kept.blocked_in.map(|b| Slept {
            call: match b.op {
                Some(Op::Named) => model.name(process, Space::Call, b.name).to_owned(),
                op => op.map_or("a call", Op::name).to_owned(),
            },
            fd: Some(b.fd).filter(|fd| *fd >= 0),
            ns: b.ns,
        }),
        stolen: model.steal().is_counted().then_some(kept.stolen),
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
