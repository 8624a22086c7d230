//! Loops, and each thread's place on a loop: ready batch, open run. Step: **model**.

use std::sync::Arc;

use super::Histogram;
use super::blame::Retained;
use super::data::DataMap;
use super::facts::{Fidelity, Id, Range, Run};
pub use super::phase::Phase;
use super::{Tasks, Timers};

/// What a loop waits with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LoopKind {
    /// An epoll description.
    #[default]
    Epoll,
    /// One thread's poll calls.
    Poll,
    /// One thread's select calls.
    Select,
    /// The threads of a process that sleep in the call itself, each on one descriptor.
    Threads,
}

impl LoopKind {
    /// The name used in exports and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            LoopKind::Epoll => "epoll",
            LoopKind::Poll => "poll",
            LoopKind::Select => "select",
            LoopKind::Threads => "threads",
        }
    }

    /// What its wait is called in a sentence.
    pub const fn call(self) -> &'static str {
        match self {
            LoopKind::Epoll => "epoll_wait",
            LoopKind::Poll => "poll",
            LoopKind::Select => "select",
            LoopKind::Threads => "the call",
        }
    }
}

/// epoll_ctl calls on a loop, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtlCounts {
    /// ADD that returned 0.
    pub add: u64,
    /// MOD that returned 0.
    pub modify: u64,
    /// DEL that returned 0.
    pub del: u64,
    /// Any that failed.
    pub failed: u64,
}

/// What others waited because of something that is not a registration's handler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caused {
    /// Timer callbacks.
    pub timers: Range,
    /// Tasks of the loop's run queue.
    pub tasks: Range,
    /// The loop's own rest.
    pub rest: Range,
    /// Inside the wait: the kernel's wakeup.
    pub wait: Range,
    /// After the last call on the fd served last, where handlers are inferred.
    pub tail: Range,
}

/// One loop: an epoll description and the threads that wait on it, one thread's poll or select, or the threads of a process
/// that sleep in the calls themselves.
#[derive(Clone, Debug)]
pub struct Loop {
    /// The model's number.
    pub id: Id,
    /// The process that made it, as far as known.
    pub process: Id,
    /// What it waits with.
    pub kind: LoopKind,
    /// The descriptor numbers it has been waited on or changed through, first seen first (at most 64 kept).
    pub epfds: Vec<i32>,
    /// A name the program gave it.
    pub name: Arc<str>,
    /// Each thread that has waited on it.
    pub threads: Vec<ThreadState>,
    /// When it was first heard of.
    pub since: u64,
    /// When its last descriptor was closed.
    pub ended: Option<u64>,
    /// Waits that returned: wakeups + timeouts + interrupted + failed.
    pub waits: u64,
    /// Waits that returned events.
    pub wakeups: u64,
    /// Waits that returned 0.
    pub timeouts: u64,
    /// Waits that returned EINTR.
    pub interrupted: u64,
    /// Waits that returned any other error.
    pub failed: u64,
    /// Waits entered that have not returned.
    pub unfinished: u64,
    /// Events returned.
    pub ready: u64,
    /// The largest ready batch.
    pub max_batch: u32,
    /// Waits that returned maxevents.
    pub saturated: u64,
    /// epoll_ctl calls.
    pub ctl: CtlCounts,
    /// poll or select calls made inside this loop's handlers.
    pub nested_polls: u64,
    /// Time inside waits: its own, and of the loop outside that it is taken from.
    pub wait_ns: u64,
    /// Time in turns.
    pub busy_ns: u64,
    /// Time in handler runs.
    pub run_ns: u64,
    /// Time in timers.
    pub timer_ns: u64,
    /// Time in tasks.
    pub task_ns: u64,
    /// Time after the last call on the fd served last, where handlers are inferred.
    pub tail_ns: u64,
    /// How its threads spent those of its handler runs of which something is known.
    pub spent: super::Spent,
    /// Events another thread than the one told has served, where handlers are inferred.
    pub handed: u64,
    /// Finished turns.
    pub turns: u64,
    /// Handler runs finished.
    pub dispatched: u64,
    /// Events the program did not reach.
    pub skipped: u64,
    /// Length of turns.
    pub iteration: Histogram,
    /// Notice time, lower bounds.
    pub notice_lo: Histogram,
    /// Notice time, upper bounds.
    pub notice_hi: Histogram,
    /// Queue time.
    pub queue: Histogram,
    /// Run time.
    pub run: Histogram,
    /// Its timers.
    pub timers: Timers,
    /// Its tasks.
    pub tasks: Tasks,
    /// What others waited for that was no handler.
    pub caused: Caused,
    /// Waiting that reached further back than the segments kept for blame: blamed for its last part only.
    pub caused_clipped: u64,
    pub(super) procs: Vec<Id>,
    pub(super) seats: super::Map<Id, u32>,
    pub(super) data: DataMap,
    pub(super) marked: bool,
    pub(super) inferred: bool,
    /// Last exit of a wait with room in its batch.
    pub(super) room_exit: Option<u64>,
    /// Registrations believed ready in the kernel (slots).
    pub(super) believed: Vec<u32>,
    /// It is in the model's list of loops to be asked when a wait has lasted.
    pub(super) doubtful: bool,
    /// Registrations whose state is known (ids), for a loss to turn over.
    pub(super) known: Vec<Id>,
    /// Length of `known` when ended ones were last forgotten.
    pub(super) known_live: u32,
    /// It is in the `dirty` lists of its processes.
    pub(super) dirty: bool,
    /// Turns begun.
    pub(super) turns_begun: u64,
    /// Live registrations, first of a chain (slot).
    pub(super) head: u32,
    pub(super) runs_total: u64,
    /// The last registrations that ended while a wait was under way, the oldest first.
    pub(super) ended_lately: Vec<super::told_late::Ended>,
    pub(super) fair: super::fairness::Sums,
    pub(super) window: super::fairness::Window,
}

impl Loop {
    pub(super) fn new(id: Id, process: Id, kind: LoopKind, since: u64) -> Self {
        Self {
            id,
            process,
            kind,
            epfds: Vec::new(),
            name: "".into(),
            threads: Vec::new(),
            since,
            ended: None,
            waits: 0,
            wakeups: 0,
            timeouts: 0,
            interrupted: 0,
            failed: 0,
            unfinished: 0,
            ready: 0,
            max_batch: 0,
            saturated: 0,
            ctl: CtlCounts::default(),
            nested_polls: 0,
            wait_ns: 0,
            busy_ns: 0,
            run_ns: 0,
            timer_ns: 0,
            task_ns: 0,
            tail_ns: 0,
            spent: Default::default(),
            handed: 0,
            turns: 0,
            dispatched: 0,
            skipped: 0,
            iteration: Histogram::fine(),
            notice_lo: Histogram::fine(),
            notice_hi: Histogram::fine(),
            queue: Histogram::fine(),
            run: Histogram::fine(),
            timers: Timers::default(),
            tasks: Tasks::default(),
            caused: Caused::default(),
            caused_clipped: 0,
            procs: Vec::new(),
            seats: super::Map::default(),
            data: DataMap::default(),
            marked: false,
            inferred: false,
            room_exit: None,
            believed: Vec::new(),
            doubtful: false,
            known: Vec::new(),
            known_live: 0,
            dirty: false,
            turns_begun: 0,
            head: super::NONE,
            runs_total: 0,
            ended_lately: Vec::new(),
            fair: super::fairness::Sums::default(),
            window: super::fairness::Window::default(),
        }
    }

    /// How many turns have begun: the last one's number.
    pub fn turns_begun(&self) -> u64 {
        self.turns_begun
    }

    /// The share of the known time spent in turns.
    pub fn utilisation(&self) -> Option<f64> {
        let total = self.busy_ns + self.wait_ns;
        (total > 0).then(|| self.busy_ns as f64 / total as f64)
    }

    /// Its own rest: turns minus runs, timers, tasks and tails.
    pub fn rest_ns(&self) -> u64 {
        self.busy_ns
            .saturating_sub(self.run_ns)
            .saturating_sub(self.timer_ns)
            .saturating_sub(self.task_ns)
            .saturating_sub(self.tail_ns)
    }

    /// Some handler run on it is known, marked by the program or inferred.
    pub fn has_handlers(&self) -> bool {
        self.marked || self.inferred
    }

    /// How well its handler runs are known: inferred as soon as one is; absent when nobody was seen to serve anything.
    pub fn handlers(&self) -> Fidelity {
        match (self.inferred, self.marked) {
            (true, _) => Fidelity::Inferred,
            (false, true) => Fidelity::Measured,
            (false, false) => Fidelity::Absent,
        }
    }
}

/// Where an event of a ready batch stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ItemState {
    /// Told, its handler has not started ("queued" on screen).
    #[default]
    Fetched,
    /// Its handler runs.
    Running,
    /// Its handler has run.
    Done,
    /// The program left the batch before it.
    Skipped,
    /// Its registration ended before its turn.
    Stale,
    /// The program does not mark its handlers and was not seen to serve it: nobody knows.
    Unmarked,
    /// Another thread has served it.
    HandedOver(Id),
}

/// One event of a ready batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The registration it was reported for.
    pub reg: Id,
    /// Events reported.
    pub mask: u32,
    /// Data word.
    pub data: u64,
    /// Where it stands.
    pub state: ItemState,
    /// The instant it became ready lies in here.
    pub ready: Option<Range>,
    /// How well `ready` is known.
    pub fidelity: Fidelity,
    /// When the thread was told of it: before its last wakeup where it has been carried over.
    pub told: u64,
    /// Number of the `WaitExit` that told it.
    pub(super) told_by: u64,
    /// Its notice time has been counted already, when the turn it was told in ended without a run of it.
    pub(super) noticed: bool,
    pub(super) slot: u32,
    /// The loop's run count when it was certainly ready.
    pub(super) runs_at: u64,
    /// It counts in its registration's `stale`.
    pub(super) stale: bool,
    /// Its run among the thread's `served`, `NONE` before it has one.
    pub(super) served: u32,
}

/// A thread on a loop.
#[derive(Clone, Debug)]
pub struct ThreadState {
    /// The thread.
    pub thread: Id,
    /// What it does now.
    pub phase: Phase,
    /// A call the program named that it is inside of.
    pub call: Option<super::Call>,
    /// The last ready batch, in kernel order.
    pub batch: Vec<Item>,
    /// Size the last wait reported; `batch` may be shorter while its events arrive.
    pub batch_len: u32,
    /// Room of the last wait.
    pub maxevents: u32,
    /// The current or last turn's number, counted per loop from 1; 0 before the first.
    pub turn: u64,
    /// When the last wait returned.
    pub wakeup: u64,
    /// Event number of the last `WaitExit`.
    pub wakeup_event: u64,
    /// Waits entered and returned by this thread.
    pub waits: u64,
    /// The entry of the last wait.
    pub entered: u64,
    /// The earliest instant at which the kernel may have looked for the last wait that returned.
    pub(super) looked: u64,
    /// The entry of the last wait that might sleep: who goes to sleep has nothing left that was told before.
    pub(super) lay_down: u64,
    /// The earliest instant at which an event told since then may have become ready that may yet be carried over.
    pub(super) carried_since: u64,
    pub(super) timeout: i64,
    /// The one descriptor it asks for or asked for last, where the call is the wait itself.
    pub on: Option<i32>,
    /// Some wait of it has had a time-out other than 0: it sleeps itself.
    pub(super) slept: bool,
    /// `Ready` events still to come.
    pub(super) awaited: u32,
    pub(super) exit_had_room: bool,
    pub(super) run: Option<Box<OpenRun>>,
    /// The room of the last run, for the next.
    pub(super) room: Option<Box<OpenRun>>,
    /// Where the search for the next item starts.
    pub(super) next_item: u32,
    pub(super) depth: u32,
    pub(super) parts: TurnParts,
    pub(super) in_turn: bool,
    /// Its segments have begun.
    pub(super) begun: bool,
    /// The segment under way: its start, part and the slot of a run's registration.
    pub(super) segment: Option<(u64, super::facts::Part, u32)>,
    pub(super) retained: Retained,
    /// The thread has marked a handler on this loop: what it does not mark has none.
    pub(super) marks: bool,
    /// This turn's handlers are inferred.
    pub(super) inferred: bool,
    /// The inferred runs of this turn whose first piece has ended, by their start.
    pub(super) served: Vec<OpenRun>,
}

impl ThreadState {
    /// The handler run under way, as far as it has come: its end is the last instant seen.
    pub fn open_run(&self) -> Option<&Run> {
        self.run.as_deref().map(|open| &open.facts)
    }

    /// Which event of the batch the run under way serves.
    pub fn serves(&self) -> Option<usize> {
        let at = self.run.as_deref()?.item as usize;
        (at < self.batch.len()).then_some(at)
    }

    pub(super) fn new(thread: Id) -> Self {
        Self {
            thread,
            phase: Phase::Unknown,
            call: None,
            batch: Vec::new(),
            batch_len: 0,
            maxevents: 0,
            turn: 0,
            wakeup: 0,
            wakeup_event: 0,
            waits: 0,
            entered: 0,
            looked: 0,
            lay_down: 0,
            carried_since: u64::MAX,
            timeout: 0,
            on: None,
            slept: false,
            awaited: 0,
            exit_had_room: false,
            run: None,
            room: None,
            next_item: 0,
            depth: 0,
            parts: TurnParts::default(),
            in_turn: false,
            begun: false,
            segment: None,
            retained: Retained::default(),
            marks: false,
            inferred: false,
            served: Vec::new(),
        }
    }
}

/// The turn so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TurnParts {
    pub runs: u32,
    pub skipped: u32,
    pub run_ns: u64,
    pub timer_ns: u64,
    pub task_ns: u64,
    pub tail_ns: u64,
    pub longest: Option<(Id, u64)>,
}

/// A handler run that has not ended.
#[derive(Clone, Debug)]
pub(super) struct OpenRun {
    pub facts: Run,
    /// The registration's slot, or `NONE`.
    pub slot: u32,
    /// Its item in the batch, or `u32::MAX`.
    pub item: u32,
    /// A read has moved bytes or met the end.
    pub read: bool,
    /// End of file was met.
    pub eof: bool,
    /// The last write met EAGAIN.
    pub write_blocked: bool,
    /// What follows is for inferred runs only. Start of the piece under way.
    pub piece: u64,
    /// End of the last call on its own descriptor.
    pub own: u64,
    /// A call on its own descriptor has begun and not returned.
    pub inside: bool,
    /// Its descriptor: that outlives the registration.
    pub fd: i32,
    pub generation: u32,
    /// Its place among the thread's `served`; `NONE` while its first piece is under way.
    pub served: u32,
    /// Its notice time has been counted.
    pub noticed: bool,
    /// Bytes in and out, calls and time in calls up to `own`: what came later may be the tail's.
    pub sure: [u64; 4],
}

impl OpenRun {
    /// The last call counted was on its own descriptor.
    pub fn now_sure(&mut self) {
        let run = &self.facts;
        self.sure = [run.bytes_in, run.bytes_out, u64::from(run.ios), run.in_call];
    }

    /// Takes back what was counted after the last call on its own descriptor.
    pub fn only_sure(&mut self) {
        let [bytes_in, bytes_out, ios, in_call] = self.sure;
        let run = &mut self.facts;
        (run.bytes_in, run.bytes_out, run.in_call) = (bytes_in, bytes_out, in_call);
        run.ios = u32::try_from(ios).unwrap_or(u32::MAX);
    }
}
