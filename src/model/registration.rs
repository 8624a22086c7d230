//! A registration: one fd's place on a loop, its state and its times. Step: **model**.

use std::sync::Arc;

use super::Histogram;
use super::behalf::Stretches;
use super::facts::{Fidelity, Id, Range, Word};
use super::loops::Item;
use super::spent::Spent;
use crate::record::event::FdKind;

/// EPOLLIN, as epoll_ctl(2) numbers it.
pub const IN: u32 = 0x1;
/// EPOLLPRI
pub const PRI: u32 = 0x2;
/// EPOLLOUT
pub const OUT: u32 = 0x4;
/// EPOLLERR
pub const ERR: u32 = 0x8;
/// EPOLLHUP
pub const HUP: u32 = 0x10;
/// EPOLLRDHUP
pub const RDHUP: u32 = 0x2000;
/// EPOLLEXCLUSIVE
pub const EXCLUSIVE: u32 = 1 << 28;
/// EPOLLWAKEUP
pub const WAKEUP: u32 = 1 << 29;
/// EPOLLONESHOT
pub const ONESHOT: u32 = 1 << 30;
/// EPOLLET
pub const ET: u32 = 1 << 31;
/// The bits of an interest mask that are modes, not events.
pub const MODES: u32 = EXCLUSIVE | WAKEUP | ONESHOT | ET;

/// The kernel's side of a registration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kernel {
    /// Not on the ready list, as far as known.
    #[default]
    Armed,
    /// On the ready list.
    Ready,
    /// One-shot and reported.
    Disarmed,
    /// Its interest mask is 0.
    Muted,
    /// Its descriptor is closed, the description lives.
    Ghost,
    /// Ended.
    Gone,
}

/// The receiving side: what the last handler run left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drain {
    /// Not known.
    #[default]
    Unknown,
    /// The handler met EAGAIN, end of file or a short read.
    Drained,
    /// Data was left.
    Left,
}

/// One fd's place on a loop.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The model's number.
    pub id: Id,
    /// The loop.
    pub loop_id: Id,
    /// The process that registered it.
    pub process: Id,
    /// The descriptor number; −1 when only its data word is known.
    pub fd: i32,
    /// How many times that number has been opened in its fd table.
    pub generation: u32,
    /// The descriptor's name: given, or made from its addresses; may be empty.
    pub name: Arc<str>,
    /// Its addresses `proto local>peer` as its own side sees them; may be empty.
    pub addr: Arc<str>,
    /// What the descriptor is.
    pub kind: FdKind,
    /// Its role: index into [`Model::roles`](super::Model::roles).
    pub role: Id,
    /// The interest mask as the last ctl set it.
    pub interest: u32,
    /// The data word as the last ctl set it.
    pub data: u64,
    /// The one word for its state.
    pub word: Word,
    /// How well `word` is known.
    pub fidelity: Fidelity,
    /// Since when it is in this state.
    pub since: u64,
    /// When it was registered (or first heard of).
    pub registered_ns: u64,
    /// When it ended.
    pub closed_ns: Option<u64>,
    /// Times reported.
    pub ready: u64,
    /// Handler runs.
    pub dispatched: u64,
    /// Reported events the program did not reach.
    pub skipped: u64,
    /// Reported events whose registration ended before their turn.
    pub stale: u64,
    /// Reported events that another thread than the one told has served.
    pub handed: u64,
    /// Bytes read from it.
    pub bytes_in: u64,
    /// Bytes written to it.
    pub bytes_out: u64,
    /// Time in its handler runs.
    pub run_ns: u64,
    /// Notice time, lower bounds.
    pub notice_lo: Histogram,
    /// Notice time, upper bounds.
    pub notice_hi: Histogram,
    /// Queue time.
    pub queue: Histogram,
    /// Run time.
    pub run: Histogram,
    /// What follows its last run up to the next wait, where handlers are inferred; empty where they are marked.
    pub tail: Histogram,
    /// How its thread spent those of its runs of which something is known.
    pub spent: Spent,
    /// The most runs of others between its becoming ready (at the latest) and its start.
    pub bypassed_max: u32,
    /// What its runs made others wait, at least.
    pub caused_lo: u64,
    /// What its runs made others wait, at most.
    pub caused_hi: u64,
    /// What its runs did on behalf of others, where the program says so.
    pub for_others: Stretches,
    /// What the runs of others did on its behalf.
    pub on_its_behalf: Stretches,
    /// Bytes waiting in its receive queue; `None` when no backend knows.
    pub unread: Option<u64>,
    /// How well `unread` is known.
    pub unread_fidelity: Fidelity,
    /// It is ready and not told, since an instant in here.
    pub ready_since: Option<Range>,
    /// Handler name id of its process, 0 none.
    pub handler: u32,
    /// The process whose name space `handler` is counted in.
    pub handler_process: Id,
    /// The longest wait of one event with all of its notice time (notice at most + queue).
    pub wait_max: u64,
    /// What its events waited for their turn, at most ([`Run::waited`](super::Run::waited)).
    pub waited: u64,
    /// The longest of these waits, at most; 0 before the first.
    pub waited_max: Range,
    pub(super) s: State,
}

/// What only the fold needs.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub slot: u32,
    pub desc: u32,
    pub kernel: Kernel,
    pub drain: Drain,
    pub blocked_out: bool,
    /// Lost or late events may have touched it.
    pub unknown: bool,
    pub data_known: bool,
    pub interest_known: bool,
    pub fetched: u32,
    pub running: u32,
    pub stale: u32,
    /// Batches and runs that refer to it.
    pub pins: u32,
    /// Kept because somebody asked for it by id.
    pub keep: bool,
    /// When it was last reported, and by which event.
    pub reported: Option<u64>,
    pub reported_by: u64,
    /// The last instant its receive side was proven empty.
    pub emptied: Option<u64>,
    /// The last ADD or MOD.
    pub proven: Option<u64>,
    /// The loop's run count when it was certainly ready.
    pub ready_runs: Option<u64>,
    /// Position in the loop's `believed` list plus one, 0 none.
    pub believed_at: u32,
    /// It is in the loop's `known` list.
    pub listed: bool,
    /// Kernel side and `unknown` before a call that is to end it, until that call has returned.
    pub before: Option<(Kernel, bool)>,
    /// Its last fetched item: the seat on the loop and the index in the batch.
    pub item: (u32, u32),
    /// Ended as far as known, but a silent process may hold its description.
    pub lingering: bool,
    /// Its key in the set of kept closed registrations.
    pub kept_wait: u64,
    /// Its last run: where, from, to.
    pub last_run: Option<(u32, u64, u64)>,
    /// When the last of its runs before that one ended, on any seat.
    pub ran_before: Option<u64>,
    /// The later pieces of that run, where handlers are inferred (at most [`MOST_PIECES`](super::infer::MOST_PIECES)).
    pub last_more: Vec<(u64, u64)>,
    /// Its last report was to a thread that marks no handlers, and has not been seen served.
    pub unserved: bool,
    /// That report, once its turn is over.
    pub carried: Option<Item>,
    // Chains through the slots: registrations of the loop, of the description, with the same data word.
    pub of_loop: Link,
    pub of_desc: Link,
    pub of_data: Link,
    /// Sums for the fairness window `window`.
    pub window: u64,
    pub window_run: u64,
    pub window_queue: u64,
}

/// Neighbours in a chain of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub prev: u32,
    pub next: u32,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            prev: super::NONE,
            next: super::NONE,
        }
    }
}

impl Registration {
    /// Edge-triggered.
    pub fn is_edge(&self) -> bool {
        self.interest & ET != 0
    }
    /// One-shot.
    pub fn is_oneshot(&self) -> bool {
        self.interest & ONESHOT != 0
    }
    /// Exclusive wakeups.
    pub fn is_exclusive(&self) -> bool {
        self.interest & EXCLUSIVE != 0
    }
    /// One event has waited this long for its turn; `more` of it has not been counted.
    pub(super) fn wait_told(&mut self, waited: Range, more: u64) {
        self.waited = self.waited.saturating_add(more);
        if waited.hi > self.waited_max.hi {
            self.waited_max = waited;
        }
    }
    /// It has not ended.
    pub fn is_live(&self) -> bool {
        self.closed_ns.is_none()
    }
    /// The kernel's side of its state; `None` when lost events may have touched it.
    pub fn kernel(&self) -> Option<Kernel> {
        (!self.s.unknown).then_some(self.s.kernel)
    }
    /// What its last handler run left behind.
    pub fn drain(&self) -> Drain {
        self.s.drain
    }
    /// Its last write met EAGAIN and nothing has shown room since.
    pub fn is_blocked_out(&self) -> bool {
        self.s.blocked_out
    }

    /// What is left in it once it has proven not to be ready: an edge says nothing of what lies there already.
    pub(super) fn not_ready(&self) -> Drain {
        match self.s.drain {
            Drain::Left if self.is_edge() => Drain::Left,
            _ => Drain::Unknown,
        }
    }

    /// The first word that applies, in the order of [`Word`].
    pub(super) fn word_now(&self) -> Word {
        let s = &self.s;
        if s.stale > 0 {
            Word::Stale
        } else if s.running > 0 {
            Word::Running
        } else if s.fetched > 0 {
            Word::Fetched
        } else if s.unknown {
            Word::Unknown
        } else if s.kernel == Kernel::Ghost {
            Word::Ghost
        } else if s.kernel == Kernel::Gone {
            Word::Gone
        } else if s.drain == Drain::Left && self.is_edge() && s.kernel == Kernel::Armed {
            Word::Residual
        } else {
            match s.kernel {
                Kernel::Ready => Word::Ready,
                _ if s.blocked_out => Word::BlockedOut,
                Kernel::Disarmed => Word::Disarmed,
                Kernel::Muted => Word::Muted,
                _ => Word::Armed,
            }
        }
    }
}
