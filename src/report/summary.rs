//! A report's content, before it becomes JSON or text: plain figures, no layout. Step: model → **view**.

use super::limit::Judged;
use crate::findings;
use crate::model::{Histogram, Range, Spent, Stretches};
use crate::text::names::Ending;

/// Count, sum, quantiles and maximum of a set of times, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// How many.
    pub count: u64,
    /// Their sum, exact.
    pub sum: u64,
    /// The median; like every quantile never too low, and too high by at most the stated error.
    pub p50: u64,
    /// 90 of 100 are not above this.
    pub p90: u64,
    /// 99 of 100 are not above this.
    pub p99: u64,
    /// The longest, exact.
    pub max: u64,
}

impl From<&Histogram> for Times {
    fn from(h: &Histogram) -> Self {
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|q| h.quantile(q));
        Times {
            count: h.count(),
            sum: h.sum(),
            p50,
            p90,
            p99,
            max: h.max(),
        }
    }
}

/// Times known to lie between two bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// At least these.
    pub lo: Times,
    /// At most these.
    pub hi: Times,
}

/// The whole report.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// What was recorded.
    pub recording: Recording,
    /// Every process.
    pub processes: Vec<Process>,
    /// Those that are not listed.
    pub processes_omitted: u64,
    /// Every loop.
    pub loops: Vec<Loop>,
    /// Those that are not listed.
    pub loops_omitted: u64,
    /// The descriptors that waited longest in all, first the one that waited most.
    pub fds: Vec<Fd>,
    /// How many descriptors there were, listed or not.
    pub fds_total: u64,
    /// What the capture could not do.
    pub setup: Vec<Setup>,
    /// The longest wait with what ran meanwhile.
    pub worst: Option<Worst>,
    /// Who still waits where the recording ends, if that is longer than any wait that came to an end.
    pub still: Option<Still>,
    /// Which functions ran; nothing without samples.
    pub code: Option<super::code::Code>,
    /// What was found, and what was looked for; nothing where nobody looked.
    pub findings: Option<findings::Outcome>,
    /// The limits that somebody set for it.
    pub limits: Vec<Judged>,
    /// Damage the reader met, in words.
    pub problems: Vec<String>,
    /// How much too high quantiles may be, in per cent: of loops, of descriptors.
    pub quantile_error: (f64, f64),
}

/// What was recorded, and how well.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// A name for people, or empty.
    pub title: String,
    /// What captured the events.
    pub source: String,
    /// The recorded command line.
    pub command: Vec<String>,
    /// The start, nanoseconds since 1970.
    pub started_ns: u64,
    /// From start to the last event.
    pub duration_ns: u64,
    /// How many events are in the file.
    pub events: u64,
    /// How many are missing.
    pub lost: u64,
    /// Why they are missing.
    pub lost_by_cause: Vec<(&'static str, u64)>,
    /// How many of the kernel's switch records are missing.
    pub switches_lost: u64,
    /// How many came too late for their place in the order.
    pub late: u64,
    /// What the hypervisor took; nothing where nobody counts it.
    pub stolen: Option<Stolen>,
    /// The file ends as its writer meant it to, and nothing in it is damaged.
    pub complete: bool,
    /// "measured" or "bounded".
    pub kernel_ready: String,
    /// "measured" or "inferred".
    pub handlers: String,
}

/// What the hypervisor took of all CPUs together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stolen {
    /// At least and at most: the kernel tells it in ticks.
    pub bounds: Range,
    /// As it was counted.
    pub counted: u64,
    /// Which part of the CPUs' time that is.
    pub share: Option<f64>,
}

/// A recorded process.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// The recording's own number.
    pub id: u32,
    /// The kernel's.
    pub pid: i64,
    /// The parent's number in this recording.
    pub parent: Option<u32>,
    /// Its command.
    pub name: String,
    /// When it ended, and how; nothing while it runs.
    pub ended: Option<(u64, Ending)>,
}

/// A loop.
#[derive(Clone, Debug, Default)]
pub struct Loop {
    /// The recording's own number.
    pub id: u32,
    /// Its process.
    pub process: u32,
    /// That process's pid.
    pub pid: i64,
    /// "epoll", "poll" or "select".
    pub kind: &'static str,
    /// A name the program gave, or empty.
    pub name: String,
    /// The epoll descriptors by which it is known.
    pub epfds: Vec<i32>,
    /// The tids that wait on it.
    pub threads: Vec<i64>,
    /// Calls that returned.
    pub waits: u64,
    /// Of these: with at least one event.
    pub wakeups: u64,
    /// With none.
    pub timeouts: u64,
    /// With EINTR.
    pub interrupted: u64,
    /// With another error.
    pub failed: u64,
    /// Calls that never returned.
    pub unfinished: u64,
    /// Events returned.
    pub ready: u64,
    /// The largest batch.
    pub max_batch: u64,
    /// Full batches.
    pub saturated: u64,
    /// How its handlers are known: "measured", "inferred"; nothing where nobody was seen to serve anything.
    pub handlers: Option<&'static str>,
    /// Events another thread than the one told has served.
    pub handed: u64,
    /// poll and select calls inside its handlers.
    pub nested_polls: u64,
    /// Time after the last call on the fd served last, where handlers are inferred.
    pub tail_ns: Option<u64>,
    /// epoll_ctl calls: added, modified, deleted, failed.
    pub ctl: [u64; 4],
    /// Time inside waits.
    pub wait_ns: u64,
    /// Time outside.
    pub busy_ns: u64,
    /// Jain's index, where there is something to share.
    pub fairness: Option<f64>,
    /// The busy part of its turns.
    pub iteration: Times,
    /// Kernel-ready to wakeup.
    pub notice: Option<Bounds>,
    /// Wakeup to handler start.
    pub queue: Option<Times>,
    /// Handler start to end.
    pub run: Option<Times>,
    /// How its threads spent those of these runs of which something is known.
    pub spent: Option<Spent>,
    /// Its timers, where it told of any.
    pub timers: Option<Timers>,
    /// Its tasks, where it told of any.
    pub tasks: Option<Tasks>,
}

/// The timers of a loop.
#[derive(Clone, Debug, Default)]
pub struct Timers {
    /// Times one was armed or moved.
    pub arms: u64,
    /// Times one was taken back.
    pub cancelled: u64,
    /// Times one fired.
    pub fired: u64,
    /// Armed at the end.
    pub pending: u64,
    /// Time in their callbacks.
    pub run_ns: u64,
    /// Due to fired, of those whose due instant is known.
    pub late: Times,
}

/// The tasks of a loop.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    /// Times one began.
    pub begun: u64,
    /// Time in them.
    pub run_ns: u64,
    /// Queued to begun.
    pub queued: Times,
}

/// A registration that took part.
#[derive(Clone, Debug, Default)]
pub struct Fd {
    /// Its loop.
    pub loop_id: u32,
    /// Its process.
    pub process: u32,
    /// The number.
    pub fd: i32,
    /// How many times that number had been opened.
    pub generation: u32,
    /// What it is.
    pub name: String,
    /// What serves it, as the program calls it.
    pub handler: String,
    /// Where in the program its longest run began, of those that cost others most.
    pub longest_at: String,
    /// The interest mask.
    pub interest: u32,
    /// Its state at the end.
    pub state: &'static str,
    /// How well that is known.
    pub fidelity: &'static str,
    /// When it was registered.
    pub registered_ns: u64,
    /// When it was deleted or closed.
    pub closed_ns: Option<u64>,
    /// Times the kernel reported it.
    pub ready: u64,
    /// Times its handler ran for it.
    pub dispatched: u64,
    /// Reported events that another thread than the one told has served.
    pub handed: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Its part of all run time.
    pub share: Option<f64>,
    /// The most runs of others between its becoming ready and its own.
    pub bypassed_max: u32,
    /// What its events waited behind others, at most: notice and queue without the time inside the kernel's wait where
    /// readiness is only bounded (had it been ready, the wait would have returned).
    pub waited: u64,
    /// The longest of these waits.
    pub waited_max: u64,
    /// The longest wait of one event with all of its notice time.
    pub wait_max: u64,
    /// What its runs did on behalf of others, and those of others on its behalf; `None` where nobody says so.
    pub behalf: [Option<Stretches>; 2],
    /// Kernel-ready to wakeup.
    pub notice: Option<Bounds>,
    /// Wakeup to handler start.
    pub queue: Option<Times>,
    /// Handler start to end.
    pub run: Option<Times>,
    /// What followed its last call, where handlers are inferred.
    pub tail: Option<Times>,
    /// The waiting others did while it ran.
    pub caused: Option<(u64, u64)>,
    /// How its thread spent those of its runs of which something is known.
    pub spent: Option<Spent>,
    /// Its longest run, where that is known.
    pub longest: Option<LongRun>,
}

/// The longest run of a registration, and why it was long.
#[derive(Clone, Debug, Default)]
pub struct LongRun {
    /// How long.
    pub ns: u64,
    /// When it began.
    pub at: u64,
    /// How its thread spent it, if anything is known of that.
    pub spent: Option<Spent>,
    /// The call it slept in longest.
    pub blocked_in: Option<Slept>,
    /// The most that the hypervisor took of it; nothing where nobody counts it.
    pub stolen: Option<u64>,
}

/// A call that a thread slept in.
#[derive(Clone, Debug, Default)]
pub struct Slept {
    /// Its name.
    pub call: String,
    /// Its descriptor, if it has one.
    pub fd: Option<i32>,
    /// How long it slept there.
    pub ns: u64,
}

/// What a capture could not do.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// What is missing.
    pub missing: String,
    /// Why.
    pub because: String,
    /// What to do.
    pub advice: String,
}

/// One long wait, told with what ran meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Worst {
    /// Its descriptor.
    pub fd: i32,
    /// That descriptor's name.
    pub name: String,
    /// The loop.
    pub loop_id: u32,
    /// The earliest it may have become ready.
    pub ready_ns: u64,
    /// The wakeup that told the program.
    pub wakeup_ns: u64,
    /// When its handler started.
    pub start_ns: u64,
    /// How long the handler then ran.
    pub run_ns: u64,
    /// How long it waited behind others, at most; see [`Fd::waited`].
    pub waited: u64,
    /// notice, as a range; nothing where it is not known.
    pub notice: Option<(u64, u64)>,
    /// What ran meanwhile and for how long, longest first; the sum is the wait.
    pub behind: Vec<Behind>,
}

/// A wait that had no end.
#[derive(Clone, Debug, Default)]
pub struct Still {
    /// The name and the number of who waits.
    pub who: (String, Option<i32>),
    /// For how long at least.
    pub waited: u64,
    /// What had not come back: a descriptor's handler with its number, a timer, a task, or the loop.
    pub behind: (String, Option<i32>),
    /// Which handler runs is inferred.
    pub inferred: bool,
}

/// Something that ran during a wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// A descriptor's name, a timer's, a task's, or the loop itself.
    pub who: String,
    /// The number, for a descriptor.
    pub fd: Option<i32>,
    /// For how long.
    pub ns: u64,
    /// In how many pieces.
    pub times: u32,
}

impl Loop {
    /// Its handler runs are inferred from the program's calls.
    pub fn infers(&self) -> bool {
        self.handlers == Some("inferred")
    }
}

impl Summary {
    /// Leaves so many of each list, those that matter most, and counts the others: loops that were told most, descriptors that
    /// waited most, the worst findings, and the processes these are of before any other.
    pub fn shorten(&mut self, top: usize) {
        self.fds.truncate(top);
        if let Some(found) = &mut self.findings {
            found.omitted += found.found.len().saturating_sub(top) as u64;
            found.found.truncate(top);
        }
        if let Some(code) = &mut self.code {
            code.omitted += code.functions.len().saturating_sub(top) as u64;
            code.functions.truncate(top);
        }
        let ready = |l: &Loop| u64::MAX - l.ready;
        self.loops_omitted += shortened(&mut self.loops, top, ready);
        let of_loops = self.loops.iter().map(|l| l.process);
        let of_fds = self.fds.iter().map(|f| f.process);
        let found = self.findings.iter().flat_map(|o| &o.found);
        let named: Vec<_> = (of_loops.chain(of_fds).chain(found.map(|f| f.process))).collect();
        let unnamed = |p: &Process| u64::from(!named.contains(&p.id));
        self.processes_omitted += shortened(&mut self.processes, top, unnamed);
    }

    /// The mark of what rests on this loop's handler runs: `~` where they are inferred.
    pub fn guess(&self, loop_id: u32) -> &'static str {
        let of = self.loops.iter().find(|l| l.id == loop_id);
        if of.is_some_and(Loop::infers) {
            "~"
        } else {
            ""
        }
    }
}

/// Leaves the `top` of which this is lowest, in the order they had; how many it took.
fn shortened<T>(all: &mut Vec<T>, top: usize, by: impl Fn(&T) -> u64) -> u64 {
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_key(|at| by(&all[*at]));
    let mut keeps = vec![false; all.len()];
    order.iter().take(top).for_each(|at| keeps[*at] = true);
    let before = all.len();
    let mut keeps = keeps.into_iter();
    all.retain(|_| keeps.next().unwrap_or(false));
    (before - all.len()) as u64
}
