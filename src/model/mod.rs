//! The fold from events to loops, turns, registrations and their times: trace → **model** → view.
//!
//! [`Model::apply`] takes one event after the other and cannot fail: whatever the events say, the model stays
//! bounded and consistent. What it finds out goes to a [`Sink`]; what it keeps is read through getters.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::sync::Arc;

mod apply;
mod batch;
mod behalf;
pub mod blame;
mod both;
mod chains;
mod change;
mod checkpoint;
pub mod codec;
mod columns;
mod counted;
mod cpu;
mod ctl;
mod data;
mod descriptions;
mod dups;
mod ended;
mod endings;
mod entropy;
pub mod facts;
pub mod fairness;
mod fds;
mod files;
#[cfg(test)]
pub(crate) mod fuzz;
mod handed;
pub mod histogram;
pub mod hot;
mod infer;
mod io;
mod lasting;
mod left;
mod lonely;
mod looked;
pub mod loops;
mod lost;
pub mod marks;
mod names;
pub mod numbers;
mod outside;
mod phase;
pub mod process;
pub mod pyramid;
mod ran;
pub mod recent;
pub mod registration;
mod regs;
pub mod roles;
mod run;
mod same;
mod seat;
mod seen;
mod side;
mod single;
mod slab;
pub mod spectrum;
pub mod spent;
mod stack;
mod states;
mod steal;
mod supply;
mod switches;
mod tables;
pub mod tasks;
pub mod timerfds;
pub mod timers;
mod told_late;
mod turn;
mod unite;
mod wait;

pub(crate) use apply::says_nothing_of_a_call;
pub use behalf::{Behalf, OnBehalf, Stretches};
pub use blame::{asleep, blame};
pub use both::both;
pub use checkpoint::{Base, Ended, Written};
pub use facts::{
    Fairness, Fidelity, Fired, Id, Part, Range, Run, Segment, Sink, Transition, Turn, Why, Word,
};
pub use files::File;
#[doc(hidden)]
pub use histogram::Histogram;
pub use io::drained;
pub use loops::{Caused, CtlCounts, Item, ItemState, Loop, LoopKind, Phase, ThreadState};
pub use marks::{Mark, Marking, Span};
pub use numbers::{Busy, Number};
pub use process::{InCall, Process, Thread, UNKNOWN as UNKNOWN_STATUS};
pub use pyramid::Pyramid;
pub use recent::Recent;
pub use registration::{Drain, Kernel, Registration};
pub use roles::{Role, RoleKind};
pub use same::SameSocket;
pub use side::Call;
pub use spent::{BlockedIn, Spent};
pub use stack::Sample;
pub use steal::Steal;
pub use supply::reversed;
pub use tasks::{Task, Tasks};
pub use timerfds::{Expiry, Timerfd};
pub use timers::{Timer, Timers};

use crate::record::event::{Cause, Space};
use slab::{NONE, Slab};

/// Hash maps with a fixed, fast hasher: the fold must not depend on anything but the events.
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, foldhash::fast::FixedState>;

/// What a model keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Closed registrations kept one by one, those that waited most; the others fold into their role.
    pub keep_closed: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            keep_closed: 10_000,
        }
    }
}

/// Everything known about the program at one point of its recording.
#[derive(Clone, Debug)]
pub struct Model {
    config: Config,
    now: u64,
    applied: u64,
    processes: Vec<Process>,
    process_of: Map<u64, Id>,
    threads: Vec<Thread>,
    thread_of: data::DataMap,
    loops: Vec<Loop>,
    poll_loops: Map<(Id, u8), Id>,
    /// The first question of a thread that has no such loop, and its answer.
    asked: Map<(Id, u8), Option<i32>>,
    regs: regs::Regs,
    by_id: Map<Id, u32>,
    next_reg: Id,
    /// Descriptions so far.
    next_file: u32,
    keys: Map<(Id, u32, i32), u32>,
    descs: Slab<fds::Desc>,
    names: names::Names,
    roles: Vec<Role>,
    role_of: Map<(u8, Arc<str>), Id>,
    kept: BTreeSet<(u64, u32)>,
    lost_by_cause: [u64; 16],
    late: u64,
    ignored: u64,
    /// Moves whenever an epoll descriptor's number may mean another loop.
    epoch: u64,
    slots_used: u64,
    seats_used: usize,
    timers_used: u64,
    spans: std::collections::BTreeMap<(Id, u64), Span>,
    /// Some of them are certain.
    spans_sure: bool,
    tasks_used: u64,
    /// Forked children that have not said hello, oldest first.
    silent: std::collections::VecDeque<Id>,
    accounts: Slab<supply::Account>,
    account_of: Map<Arc<str>, u32>,
    pairs: Map<(Id, u32), Arc<str>>,
    pair_order: std::collections::VecDeque<(Id, u32)>,
    /// Sockets whose inode is known, and their descriptions: a copy that was passed on is found by it.
    inodes: Map<u64, u32>,
    timerfds: Map<u32, Timerfd>,
    /// What the capture could not do, as it was told.
    setup: Vec<Arc<str>>,
    /// Losses so far: an account of sent bytes is complete only if none came since.
    losses: u64,
    unmatched: u64,
    contradicted: u64,
    /// Loops where a wait may prove that what is believed ready is not, and the first instant when one does.
    doubtful: Vec<Id>,
    doubtful_at: u64,
    steal: Steal,
}

impl Default for Model {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl Model {
    /// The version of the fold's rules: derived data of another version is rebuilt.
    pub const VERSION: u32 = 45;

    /// A model that has seen nothing.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            now: 0,
            applied: 0,
            processes: Vec::new(),
            process_of: Map::default(),
            threads: Vec::new(),
            thread_of: data::DataMap::default(),
            loops: Vec::new(),
            poll_loops: Map::default(),
            asked: Map::default(),
            regs: regs::Regs::default(),
            by_id: Map::default(),
            next_reg: 0,
            next_file: 0,
            keys: Map::default(),
            descs: Slab::default(),
            names: names::Names::default(),
            roles: vec![Role::default()],
            role_of: Map::default(),
            kept: BTreeSet::new(),
            lost_by_cause: [0; 16],
            late: 0,
            ignored: 0,
            epoch: 0,
            slots_used: 0,
            seats_used: 0,
            timers_used: 0,
            spans: Default::default(),
            spans_sure: false,
            tasks_used: 0,
            silent: Default::default(),
            accounts: Slab::default(),
            account_of: Map::default(),
            pairs: Map::default(),
            pair_order: Default::default(),
            inodes: Map::default(),
            timerfds: Map::default(),
            setup: Vec::new(),
            losses: 0,
            unmatched: 0,
            contradicted: 0,
            doubtful: Vec::new(),
            doubtful_at: u64::MAX,
            steal: Steal::default(),
        }
    }

    /// The latest instant seen.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// How many events were applied.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// Every process heard of; the index is its id.
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// Every thread heard of; the index is its id.
    pub fn threads(&self) -> &[Thread] {
        &self.threads
    }

    /// Every loop; the index is its id.
    pub fn loops(&self) -> &[Loop] {
        &self.loops
    }

    /// Registrations: live ones and the closed ones that are kept, in no particular order.
    pub fn regs(&self) -> impl Iterator<Item = &Registration> {
        self.regs.iter()
    }

    /// How many registrations [`regs`](Self::regs) gives.
    pub fn regs_len(&self) -> usize {
        self.regs.len()
    }

    /// The process of the thread with this number in the events; the first one when it was not heard of.
    pub fn process_of_thread(&self, number: u32) -> Id {
        let thread = self.thread_seen(number);
        let thread = thread.and_then(|id| self.threads.get(id as usize));
        thread.map_or(0, |t| t.process)
    }

    /// How many of them have not been put aside as ended: what a copy of the model costs.
    pub fn live_len(&self) -> usize {
        self.regs.len() - self.kept.len().min(self.regs.len())
    }

    /// One registration; `None` once it was folded into its role.
    pub fn reg(&self, id: Id) -> Option<&Registration> {
        self.regs.get(*self.by_id.get(&id)?)
    }

    /// Keeps a registration after its end, whatever it waited: a finding names it.
    pub fn keep(&mut self, id: Id) {
        if let Some(reg) = self
            .by_id
            .get(&id)
            .and_then(|slot| self.regs.get_mut(*slot))
        {
            reg.s.keep = true;
            self.kept.remove(&(reg.s.kept_wait, reg.s.slot));
        }
    }

    /// The roles registrations have; the index is the role's id, 0 is "other".
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The text of a name id of a process; empty when unknown.
    pub fn name(&self, process: Id, space: Space, id: u32) -> &str {
        self.names.get(process, space.code(), id)
    }

    /// Events known to be missing, all causes.
    pub fn lost(&self) -> u64 {
        self.lost_by_cause().map(|(_, n)| n).sum()
    }

    /// Events known to be missing, by cause; causes without any are left out.
    pub fn lost_by_cause(&self) -> impl Iterator<Item = (Cause, u64)> + '_ {
        Cause::ALL
            .iter()
            .map(|cause| (*cause, self.lost_by_cause[usize::from(cause.code()) & 15]))
            .filter(|(cause, n)| *n > 0 && !cause.is_the_kernels())
    }

    /// Switch records and page faults that are missing: of no event of the program, so they count apart.
    pub fn switches_lost(&self) -> u64 {
        self.lost_by_cause[usize::from(Cause::Switches.code()) & 15]
    }

    /// Samples that are missing.
    pub fn samples_lost(&self) -> u64 {
        self.lost_by_cause[usize::from(Cause::Samples.code()) & 15]
    }

    /// Events that arrived after their place in the order had been written.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Events the model could not use: beyond its limits, or contradicting themselves.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// What the capture could not do, as told while it went on: missing, because, do, with a 0 between them.
    pub fn setup(&self) -> &[Arc<str>] {
        &self.setup
    }

    /// Sends of load generators that belong to no descriptor known when they came.
    pub fn unmatched(&self) -> u64 {
        self.unmatched
    }

    /// Measured ready times that contradict what the waits prove: a clock or a rule is wrong.
    pub fn contradicted(&self) -> u64 {
        self.contradicted
    }

    /// Brings the waiting that runs, timers, tasks, rest and waits caused up to date. The fold does so once a turn;
    /// call it before reading `caused` figures at an exact instant.
    pub fn settle(&mut self) {
        for loop_id in 0..self.loops.len() {
            for at in 0..self.loops[loop_id].threads.len() {
                self.give_blame(
                    process::Seat {
                        loop_id: loop_id as Id,
                        at: at as u32,
                    },
                    0,
                    true,
                );
            }
        }
    }

    /// The ready event that has gone unserved longest, certainly (`hi`) or perhaps (`lo`) since: starvation's age.
    pub fn longest_unserved(&self, loop_id: Id) -> Option<(Id, Range)> {
        let live = self
            .regs
            .iter()
            .filter(|r| r.loop_id == loop_id && r.is_live());
        live.filter_map(|r| Some((r.id, r.ready_since?)))
            .min_by_key(|(_, since)| since.hi)
    }

    /// Jain's index over a loop's fds, the whole recording; `None` before any run.
    pub fn fairness(&self, loop_id: Id) -> Option<f64> {
        let l = self.loops.get(loop_id as usize)?;
        let mut sums = l.fair;
        for reg in self
            .regs
            .iter()
            .filter(|r| r.loop_id == loop_id && r.dispatched > 0)
        {
            sums.add(reg.run.sum(), reg.queue.sum());
        }
        sums.index()
    }

    /// Jain's index over the window of 1 s that `now` lies in; `None` while nobody was served in it.
    pub fn fairness_now(&self, loop_id: Id, now: u64) -> Option<f64> {
        let window = &self.loops.get(loop_id as usize)?.window;
        if window.number != now / fairness::WINDOW_NS + 1 {
            return None;
        }
        let mut sums = fairness::Sums::default();
        for reg in window
            .touched
            .iter()
            .filter_map(|slot| self.regs.get(*slot))
        {
            if reg.loop_id == loop_id && reg.s.window == window.number {
                sums.add(reg.s.window_run, reg.s.window_queue);
            }
        }
        sums.index()
    }
}
