//! The fields a filter knows, and what values they take. Step: model → **view**.

use crate::model::Word;
use crate::model::registration as bits;

/// A field of a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Descriptor number.
    Fd,
    /// Descriptor name.
    Name,
    /// Loop id, or name.
    Loop,
    /// Pid, or command.
    Process,
    /// Tid, or thread name.
    Thread,
    /// Turn number, per loop.
    Iteration,
    /// Handler name.
    Handler,
    /// The registration's word now.
    State,
    /// Interest, by event name: holds it.
    Interest,
    /// Events reported, by name: holds it.
    Ready,
    /// Notice time, at most.
    Notice,
    /// Queue time.
    Queue,
    /// Run time.
    Run,
    /// Notice + queue, at most.
    Wait,
    /// Bytes read and written.
    Bytes,
    /// Code of a finding that names it.
    Finding,
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A number, in ns or bytes where the field is a time or size.
    Number(i64),
    Text(String),
    Words(Vec<Word>),
    Mask(u32),
}

/// What kind of value a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Number,
    Duration,
    Size,
    Text,
    NumberOrText,
    State,
    Events,
}

impl Field {
    /// Every field, as help shows them.
    pub const ALL: [Field; 16] = [
        Field::Fd,
        Field::Name,
        Field::Loop,
        Field::Process,
        Field::Thread,
        Field::Iteration,
        Field::Handler,
        Field::State,
        Field::Interest,
        Field::Ready,
        Field::Notice,
        Field::Queue,
        Field::Run,
        Field::Wait,
        Field::Bytes,
        Field::Finding,
    ];

    /// Its name in a filter.
    pub const fn name(self) -> &'static str {
        match self {
            Field::Fd => "fd",
            Field::Name => "name",
            Field::Loop => "loop",
            Field::Process => "process",
            Field::Thread => "thread",
            Field::Iteration => "iteration",
            Field::Handler => "handler",
            Field::State => "state",
            Field::Interest => "interest",
            Field::Ready => "ready",
            Field::Notice => "notice",
            Field::Queue => "queue",
            Field::Run => "run",
            Field::Wait => "wait",
            Field::Bytes => "bytes",
            Field::Finding => "finding",
        }
    }

    /// The field of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }

    pub(super) const fn takes(self) -> Takes {
        match self {
            Field::Fd | Field::Iteration => Takes::Number,
            Field::Name | Field::Handler | Field::Finding => Takes::Text,
            Field::Loop | Field::Process | Field::Thread => Takes::NumberOrText,
            Field::State => Takes::State,
            Field::Interest | Field::Ready => Takes::Events,
            Field::Notice | Field::Queue | Field::Run | Field::Wait => Takes::Duration,
            Field::Bytes => Takes::Size,
        }
    }

    /// A comparison that shows how it is used.
    pub const fn example(self) -> &'static str {
        match self {
            Field::Fd => "fd == 7",
            Field::Name => "name ~ \"ann\"",
            Field::Loop => "loop == 0",
            Field::Process => "process ~ \"redis\"",
            Field::Thread => "thread == 4242",
            Field::Iteration => "iteration >= 330",
            Field::Handler => "handler == \"echo\"",
            Field::State => "state == residual",
            Field::Interest => "interest == ET",
            Field::Ready => "ready == HUP",
            Field::Notice => "notice > 5ms",
            Field::Queue => "queue > 5ms",
            Field::Run => "run >= 10ms",
            Field::Wait => "wait > 100ms",
            Field::Bytes => "bytes >= 64KiB",
            Field::Finding => "finding == greedy-handler",
        }
    }
}

/// States by their names in exports and on screen.
pub(super) const STATES: [(&str, Word); 16] = [
    ("stale", Word::Stale),
    ("running", Word::Running),
    ("fetched", Word::Fetched),
    ("queued", Word::Fetched),
    ("ghost", Word::Ghost),
    ("residual", Word::Residual),
    ("left-over", Word::Residual),
    ("ready", Word::Ready),
    ("blocked-out", Word::BlockedOut),
    ("disarmed", Word::Disarmed),
    ("off", Word::Disarmed),
    ("muted", Word::Muted),
    ("armed", Word::Armed),
    ("gone", Word::Gone),
    ("closed", Word::Gone),
    ("unknown", Word::Unknown),
];

/// Events and modes by name.
pub(super) const EVENTS: [(&str, u32); 12] = [
    ("IN", bits::IN),
    ("PRI", bits::PRI),
    ("OUT", bits::OUT),
    ("ERR", bits::ERR),
    ("HUP", bits::HUP),
    ("NVAL", libc::POLLNVAL as u32),
    ("RDHUP", bits::RDHUP),
    ("ET", bits::ET),
    ("EDGE", bits::ET),
    ("ONESHOT", bits::ONESHOT),
    ("EXCLUSIVE", bits::EXCLUSIVE),
    ("WAKEUP", bits::WAKEUP),
];

/// Units of time in ns.
pub(super) const TIMES: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
];

/// Units of size in bytes.
pub(super) const SIZES: [(&str, u64); 10] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
];
