//! The coding of events inside a page: lanes of like events, columns of like numbers. Step: **trace**.
//!
//! Events that agree in thread, kind, flags, site (and in the small enum in `aux`, and in a negative result) form a
//! *lane*. A page says once per lane what its events have in common; a stream of lane numbers gives their order; and what
//! differs inside a lane goes into one column per field. A loop repeats itself, so that the stream and most columns
//! all but vanish under LZ4, and what stays is the times, which are packed in as many bits as they need ([`bits`]).
//!
//! Data words and descriptors go through a dictionary of (word, fd) pairs: "ready 17", "runs 17", "reads fd 9" become the
//! same small number wherever they mean the same registration, and LZ4 sees the repetition.
//!
//! Decoding writes every event once from its lane's template and then fills one column at a time, without a branch per event.
//! `docs/FORMAT.md` has the bytes.

use crate::record::event::{Ctl, Event, Kind};

/// Version of this coding, in the page header.
pub(crate) const VERSION: u16 = 1;

/// The columns, in the order in which they are stored. `Y` comes after `T` because it may be told relative to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Arg,
    Fd,
    X,
    Aux,
    Len,
    T,
    Y,
}

pub(crate) const FIELDS: [Field; 7] = [
    Field::Arg,
    Field::Fd,
    Field::X,
    Field::Aux,
    Field::Len,
    Field::T,
    Field::Y,
];

impl Field {
    pub fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The field's value; `step` is the time since the event before.
    pub fn get(self, e: &Event, step: u64) -> u64 {
        match self {
            Field::Arg => e.arg,
            Field::Fd => e.fd as u64,
            Field::X => e.x as u64,
            Field::Aux => u64::from(e.aux),
            Field::Len => u64::from(e.text.len),
            Field::T => step,
            Field::Y => e.y,
        }
    }

    pub fn set(self, e: &mut Event, value: u64) {
        match self {
            Field::Arg => e.arg = value,
            Field::Fd => e.fd = value as i32,
            Field::X => e.x = value as i32,
            Field::Aux => e.aux = value as u16,
            Field::Len => e.text.len = value as u16,
            Field::T => e.t = value,
            Field::Y => e.y = value,
        }
    }
}

/// How a column is stored; `base` is added to every value.
pub(crate) mod code {
    /// 1, 2, 4 or 8 bytes each: `FIXED + log2(bytes)`.
    pub const FIXED: u8 = 0;
    /// The first value, then the same for the step from each to the next.
    pub const DELTA: u8 = 4;
    /// A packed run.
    pub const PACKED: u8 = 8;
    /// A packed run of (time since the event before − value): a call's duration is most of the time since the last stamp.
    pub const PACKED_OF_STEP: u8 = 9;
    /// Places in the dictionary, in as many bytes each as its size needs.
    pub const PLACE: u8 = 10;
}

/// Whether `arg` holds a data word.
pub(crate) fn has_word(kind: Kind, aux: u16) -> bool {
    match kind {
        Kind::Ready | Kind::RunBegin | Kind::Handler => true,
        Kind::CtlBegin | Kind::CtlEnd => aux != Ctl::Del.code(),
        _ => false,
    }
}

/// Whether `fd` holds a loop's descriptor, which hardly changes inside a lane.
pub(crate) fn has_epfd(kind: Kind) -> bool {
    use Kind::*;
    matches!(
        kind,
        WaitEnter
            | WaitExit
            | Ready
            | RunBegin
            | RunEnd
            | Handler
            | TimerArm
            | TimerCancel
            | TimerBegin
            | TimerEnd
    ) || matches!(kind, TaskQueued | TaskBegin | TaskEnd)
}

/// In how many bytes a place in a dictionary of this length is stored.
pub(crate) fn place_width(len: usize) -> usize {
    match len {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}
