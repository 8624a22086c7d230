//! What the model says while it folds: finished runs, turns, segments and state transitions.
//!
//! The model itself stays bounded; whoever wants every run (report, export, timeline, findings) listens with a
//! [`Sink`]. Step: trace → **model** → view. Instants and durations are nanoseconds.

use super::behalf::{Behalf, OnBehalf};
use super::marks::Mark;
use super::spent::{BlockedIn, Spent};
use super::stack::Sample;

/// The model's number of a process, thread, loop or registration: dense, from 0, never reused in one recording.
pub type Id = u32;

/// A number of nanoseconds known to lie between two bounds; `lo == hi` when it is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// At least this.
    pub lo: u64,
    /// At most this.
    pub hi: u64,
}

/// How well something is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fidelity {
    /// Stamped or counted.
    Measured,
    /// Between two known instants.
    Bounded,
    /// Follows from a rule, not from a record.
    Inferred,
    /// Not known.
    #[default]
    Absent,
}

impl Fidelity {
    /// The word used in the report and exports.
    pub const fn name(self) -> &'static str {
        match self {
            Fidelity::Measured => "measured",
            Fidelity::Bounded => "bounded",
            Fidelity::Inferred => "inferred",
            Fidelity::Absent => "absent",
        }
    }
}

/// The one word for a registration's state; the first that applies, in this order (DESIGN, "What the model knows").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Word {
    /// A fetched event whose registration ended before its turn.
    Stale,
    /// Its handler runs.
    Running,
    /// Reported, its handler has not started ("queued" on screen).
    Fetched,
    /// Its descriptor is closed, but a dup or fork keeps it reporting.
    Ghost,
    /// Edge-triggered with data left behind: no report will come ("left over" on screen).
    Residual,
    /// Ready in the kernel, the program not told.
    Ready,
    /// A write met EAGAIN: waiting for room.
    BlockedOut,
    /// One-shot, reported, not re-armed ("off (one-shot)" on screen).
    Disarmed,
    /// Interest mask 0: only errors and hang-ups are reported.
    Muted,
    /// Waiting for the kernel to find something.
    Armed,
    /// Deleted, or its last descriptor closed.
    Gone,
    /// Lost or late events may have touched it.
    #[default]
    Unknown,
}

/// Why a registration changed state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// epoll_ctl ADD.
    Add,
    /// epoll_ctl MOD.
    Mod,
    /// epoll_ctl DEL.
    Del,
    /// The last descriptor was closed.
    Close,
    /// A descriptor was closed while a dup or fork kept the description.
    CloseWithAlias,
    /// The number was reused, so an earlier close must have happened.
    Reuse,
    /// A load generator's stamp: bytes arrived.
    Supplied,
    /// Reported in a ready batch.
    Reported,
    /// A wait with room in its batch did not report it.
    NotReported,
    /// A wait that lasts proves that it is not ready.
    Slept,
    /// A thread went to sleep in a call on it.
    Asked,
    /// The thread that asked for it asks for another one.
    AskedOther,
    /// Its handler started.
    Start,
    /// Its handler ended having met EAGAIN, end of file or a short read.
    Drained,
    /// Its handler ended with data left.
    LeftData,
    /// A write met EAGAIN.
    WriteBlocked,
    /// The program left the batch before its turn.
    Skipped,
    /// Another thread than the one that was told has served it.
    HandedOver,
    /// /proc showed it so; no event of the program had said it.
    Observed,
    /// Events were lost or late.
    Lost,
}

/// A finished handler run, with the three parts of its latency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// Number of its `RunBegin` event.
    pub event: u64,
    /// The loop.
    pub loop_id: Id,
    /// The registration served.
    pub reg: Id,
    /// Its role at the run's end: index into [`Model::roles`](super::Model::roles).
    pub role: Id,
    /// The thread it ran on.
    pub thread: Id,
    /// The loop's turn it belongs to.
    pub turn: u64,
    /// Position in the ready batch.
    pub index: u16,
    /// Size of that batch.
    pub batch: u32,
    /// Events the kernel reported.
    pub mask: u32,
    /// When the wait returned.
    pub wakeup: u64,
    /// When the handler started.
    pub start: u64,
    /// When it ended; where handlers are inferred, when its first piece did.
    pub end: u64,
    /// Where handlers are inferred: time the thread came back to it for, later in the turn.
    pub more: u64,
    /// How well start and end are known.
    pub fidelity: Fidelity,
    /// The instant it became ready lies in here.
    pub ready: Option<Range>,
    /// Kernel-ready to wakeup.
    pub notice: Option<Range>,
    /// How well `notice` is known.
    pub notice_fidelity: Fidelity,
    /// Where readiness is only bounded: what of that bound the thread spent inside the kernel's wait.
    pub asleep: u64,
    /// Handler name id ([`crate::record::event::Space::Handler`] of its process), 0 none.
    pub handler: u32,
    /// Call site name id, 0 none.
    pub site: u16,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// I/O calls made.
    pub ios: u32,
    /// Time inside I/O and named calls, as far as recorded.
    pub in_call: u64,
    /// How the thread spent it, as far as known.
    pub spent: Spent,
    /// The call it slept in longest.
    pub blocked_in: Option<BlockedIn>,
    /// It met EAGAIN, end of file or a short read.
    pub drained: bool,
    /// Runs of other registrations between its becoming ready (at the latest) and its start.
    pub bypassed: u32,
    /// On whose behalf it was, as the program said last; nothing where it did not say.
    pub behalf: Option<Behalf>,
}

impl Run {
    /// One of a batch of one, for tests.
    #[cfg(test)]
    pub fn sample(reg: Id, wakeup: u64, queue: u64, length: u64) -> Run {
        Run {
            event: 0,
            loop_id: 0,
            reg,
            role: 0,
            thread: 0,
            turn: 1,
            index: 0,
            batch: 1,
            mask: 1,
            wakeup,
            start: wakeup + queue,
            end: wakeup + queue + length,
            more: 0,
            fidelity: Fidelity::Measured,
            ready: None,
            notice: None,
            notice_fidelity: Fidelity::Absent,
            asleep: 0,
            handler: 0,
            site: 0,
            bytes_in: 0,
            bytes_out: 0,
            ios: 0,
            in_call: 0,
            spent: Default::default(),
            blocked_in: None,
            drained: true,
            bypassed: 0,
            behalf: None,
        }
    }

    /// Wakeup to handler start.
    pub fn queue(&self) -> u64 {
        self.start.saturating_sub(self.wakeup)
    }
    /// Handler start to end, with what it was come back to for.
    pub fn run(&self) -> u64 {
        self.end
            .saturating_sub(self.start)
            .saturating_add(self.more)
    }
    /// notice + queue, `None` when notice is absent.
    pub fn wait(&self) -> Option<Range> {
        let queue = self.queue();
        self.notice.map(|n| Range {
            lo: n.lo + queue,
            hi: n.hi + queue,
        })
    }
    /// How long its event waited for its turn: the wait without `asleep`. A wait returns for what is ready, so while the
    /// loop slept nobody was kept waiting; only a measured notice proves otherwise. Where notice is absent, the queue time.
    ///
    /// Every "longest wait" is this, at its upper end: on screens, in the report, in what is kept of closed fds.
    pub fn waited(&self) -> Range {
        let wait = self.wait().unwrap_or(Range {
            lo: self.queue(),
            hi: self.queue(),
        });
        Range {
            lo: wait.lo,
            hi: wait.hi.saturating_sub(self.asleep).max(wait.lo),
        }
    }
}

/// A finished turn: the busy part from a wakeup to the next wait entry of the same loop and thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// The loop.
    pub loop_id: Id,
    /// The thread.
    pub thread: Id,
    /// Counted per loop, from 1.
    pub number: u64,
    /// Event number of its `WaitExit`.
    pub event: u64,
    /// The wakeup.
    pub start: u64,
    /// The next wait entry.
    pub end: u64,
    /// Events in the ready batch.
    pub batch: u32,
    /// Room in the ready batch.
    pub maxevents: u32,
    /// Handler runs.
    pub runs: u32,
    /// Events not reached.
    pub skipped: u32,
    /// Time in handler runs.
    pub run_ns: u64,
    /// Time in timers.
    pub timer_ns: u64,
    /// Time in tasks.
    pub task_ns: u64,
    /// Where handlers are inferred: from the last call on the fd served last to the next wait.
    pub tail_ns: u64,
    /// The longest run's registration and length.
    pub longest: Option<(Id, u64)>,
    /// How the thread spent it, runs and all else, as far as known.
    pub spent: Spent,
}

impl Turn {
    /// The loop's own rest: the turn minus its runs, timers, tasks and tail.
    pub fn rest_ns(&self) -> u64 {
        (self.end.saturating_sub(self.start))
            .saturating_sub(self.run_ns)
            .saturating_sub(self.timer_ns)
            .saturating_sub(self.task_ns)
            .saturating_sub(self.tail_ns)
    }
}

/// What a loop's thread did in a segment of time. Segments of one (loop, thread) are gapless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// A handler run of this registration.
    Run(Id),
    /// The same, come back to after others had run (inferred handlers only).
    More(Id),
    /// After the last call on this registration: its handler, timers, tasks or anything else; nobody can tell (inferred
    /// handlers only).
    Tail(Id),
    /// A timer callback, by name id.
    Timer(u32),
    /// A task of the loop's run queue, by name id.
    Task(u32),
    /// The loop's own rest.
    Rest,
    /// Inside the wait.
    Wait,
}

/// One segment of a loop thread's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The loop.
    pub loop_id: Id,
    /// The thread.
    pub thread: Id,
    /// First instant.
    pub start: u64,
    /// First instant after it.
    pub end: u64,
    /// What it did.
    pub part: Part,
}

/// A registration changed its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// When.
    pub t: u64,
    /// Number of the event that showed it.
    pub event: u64,
    /// The registration.
    pub reg: Id,
    /// The word before.
    pub from: Word,
    /// The word after.
    pub to: Word,
    /// Why.
    pub why: Why,
    /// How well the new word is known.
    pub fidelity: Fidelity,
    /// Where the program called what changed it, 0 not known.
    pub site: u16,
}

/// How fair a loop was in a window of one second (see [`WINDOW_NS`](super::fairness::WINDOW_NS)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fairness {
    /// The loop.
    pub loop_id: Id,
    /// The window's first instant.
    pub start: u64,
    /// Jain's index over the fds that ran in it.
    pub index: f64,
    /// How many fds that were.
    pub fds: u32,
    /// The longest wait ([`Run::waited`], at most) and whose.
    pub longest: Option<(Id, u64)>,
}

/// A timer fired: its callback starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fired {
    /// Number of its `TimerBegin` event.
    pub event: u64,
    /// The loop.
    pub loop_id: Id,
    /// The thread it fires on.
    pub thread: Id,
    /// The process whose timer and name it is.
    pub process: Id,
    /// The program's own number.
    pub id: u64,
    /// Name id.
    pub name: u32,
    /// The instant it was armed for; `None` when that was not seen.
    pub due: Option<u64>,
    /// When its callback starts.
    pub start: u64,
}

impl Fired {
    /// How late it fires; 0 when early.
    pub fn late(&self) -> Option<u64> {
        self.due.map(|due| self.start.saturating_sub(due))
    }
}

/// Listens to the fold. Every method does nothing unless overridden.
pub trait Sink {
    /// A handler run ended.
    fn run(&mut self, _run: &Run) {}
    /// A turn ended.
    fn turn(&mut self, _turn: &Turn) {}
    /// A segment of a loop thread's time ended.
    fn segment(&mut self, _segment: &Segment) {}
    /// A registration changed state.
    fn transition(&mut self, _transition: &Transition) {}
    /// A loop's window of one second with at least one run ended.
    fn fairness(&mut self, _window: &Fairness) {}
    /// A timer fired.
    fn timer(&mut self, _fired: &Fired) {}
    /// A mark was made, a span opened or closed. `fields` (see [`crate::record::fields`]) are its own, at the end those
    /// of the begin.
    fn mark(&mut self, _mark: &Mark, _fields: &[u8]) {}
    /// A handler run said on whose behalf it works.
    fn behalf(&mut self, _said: &OnBehalf) {}
    /// A thread was found on its CPU.
    fn sample(&mut self, _sample: &Sample) {}
}

/// Listens to nothing.
impl Sink for () {}

/// Two that listen to one fold.
impl<A: Sink + ?Sized, B: Sink + ?Sized> Sink for (&mut A, &mut B) {
    fn run(&mut self, run: &Run) {
        self.0.run(run);
        self.1.run(run);
    }
    fn turn(&mut self, turn: &Turn) {
        self.0.turn(turn);
        self.1.turn(turn);
    }
    fn segment(&mut self, segment: &Segment) {
        self.0.segment(segment);
        self.1.segment(segment);
    }
    fn transition(&mut self, transition: &Transition) {
        self.0.transition(transition);
        self.1.transition(transition);
    }
    fn fairness(&mut self, window: &Fairness) {
        self.0.fairness(window);
        self.1.fairness(window);
    }
    fn timer(&mut self, fired: &Fired) {
        self.0.timer(fired);
        self.1.timer(fired);
    }
    fn mark(&mut self, mark: &Mark, fields: &[u8]) {
        self.0.mark(mark, fields);
        self.1.mark(mark, fields);
    }
    fn behalf(&mut self, said: &OnBehalf) {
        self.0.behalf(said);
        self.1.behalf(said);
    }
    fn sample(&mut self, sample: &Sample) {
        self.0.sample(sample);
        self.1.sample(sample);
    }
}
