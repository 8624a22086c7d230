//! Which descriptors have been told of and not closed since, and what they are: all that a call which closes many has to
//! tell, and what a socket's later calls are about. Hints that threads set and clear as they go; a forked child has its
//! own copy. Step: **event** → ring.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::record::event::FdKind;

/// Descriptors known, from 0; a program that is allowed more closes those one by one, or untold.
const KNOWN: usize = 1 << 16;

static OPEN: [AtomicU64; KNOWN / 64] = [const { AtomicU64::new(0) }; KNOWN / 64];
/// The kind's code, and the sides of its address that have been told, or what was noted.
static KINDS: [AtomicU8; KNOWN] = [const { AtomicU8::new(0) }; KNOWN];

/// One side of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Side {
    /// The socket's own.
    Local = 1 << 6,
    /// The other end's.
    Peer = 1 << 7,
}

const SIDES: u8 = Side::Local as u8 | Side::Peer as u8;
/// Where the two bits of [`note`] stand: a descriptor that has no sides has room there.
const NOTED: u32 = SIDES.trailing_zeros();

/// A descriptor came into being.
pub fn set(fd: c_int, kind: FdKind) {
    mark(fd, kind.code() as u8);
}

/// A descriptor came into being that is another one's description.
pub fn copy(from: c_int, to: c_int) {
    mark(to, word(from));
}

fn mark(fd: c_int, word: u8) {
    if let (Some(bits), Some(kind)) = (OPEN.get(fd as usize / 64), KINDS.get(fd as usize)) {
        kind.store(word, Ordering::Relaxed);
        bits.fetch_or(1 << (fd % 64), Ordering::Relaxed);
    }
}

/// A descriptor is closed.
pub fn clear(fd: c_int) {
    if let (Some(bits), Some(kind)) = (OPEN.get(fd as usize / 64), KINDS.get(fd as usize)) {
        kind.store(0, Ordering::Relaxed);
        bits.fetch_and(!(1 << (fd % 64)), Ordering::Relaxed);
    }
}

fn word(fd: c_int) -> u8 {
    KINDS
        .get(fd as usize)
        .map_or(0, |kind| kind.load(Ordering::Relaxed))
}

/// What a descriptor is, as far as it has been told.
pub fn kind(fd: c_int) -> FdKind {
    FdKind::from_code((word(fd) & !SIDES).into()).unwrap_or(FdKind::Unknown)
}

/// Notes that a side of its address is told; whether it was before.
pub fn tells(fd: c_int, side: Side) -> bool {
    let before = KINDS
        .get(fd as usize)
        .map_or(0, |kind| kind.fetch_or(side as u8, Ordering::Relaxed));
    before & side as u8 != 0
}

/// Two bits of what else is to be known of it, where it is no socket.
pub fn note(fd: c_int, bits: u8) {
    if let Some(kind) = KINDS.get(fd as usize) {
        kind.fetch_or(bits << NOTED, Ordering::Relaxed);
    }
}

/// They, or 0.
pub fn noted(fd: c_int) -> u8 {
    word(fd) >> NOTED
}

/// It turned out to be something more special, or has another address from here on.
pub fn becomes(fd: c_int, now: FdKind) {
    if let Some(kind) = KINDS.get(fd as usize) {
        kind.store(now.code() as u8, Ordering::Relaxed);
    }
}

/// Clears all from `first` to `last` and calls back with each that was set.
pub fn take(first: u32, last: u32, mut each: impl FnMut(c_int)) {
    let (first, last) = (first as usize, (last as usize).min(KNOWN - 1));
    for (at, word) in OPEN.iter().enumerate() {
        let (low, high) = (at * 64, at * 64 + 63);
        if high < first || low > last || word.load(Ordering::Relaxed) == 0 {
            continue;
        }
        let from = u64::MAX << first.saturating_sub(low);
        let to = u64::MAX >> high.saturating_sub(last);
        let mut bits = word.fetch_and(!(from & to), Ordering::Relaxed) & from & to;
        while bits != 0 {
            let fd = (low + bits.trailing_zeros() as usize) as c_int;
            becomes(fd, FdKind::Unknown);
            each(fd);
            bits &= bits - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_taken_once() {
        let taken = |first, last| {
            let mut all = Vec::new();
            take(first, last, |fd| all.push(fd));
            all
        };
        for fd in [3, 63, 64, 65, 200, 65_535, 65_536, -1] {
            set(fd, FdKind::Pipe);
        }
        clear(65);
        assert_eq!(taken(0, 2), []);
        assert_eq!(taken(63, 64), [63, 64]);
        assert_eq!(taken(63, 64), []);
        assert_eq!((kind(3), kind(64)), (FdKind::Pipe, FdKind::Unknown));
        assert_eq!(taken(0, u32::MAX), [3, 200, 65_535]);
        // A copy knows what the original does, until either becomes something else.
        set(40_000, FdKind::Tcp);
        assert!(!tells(40_000, Side::Peer) && tells(40_000, Side::Peer));
        copy(40_000, 40_001);
        assert!(tells(40_001, Side::Peer) && !tells(40_001, Side::Local));
        assert_eq!(kind(40_001), FdKind::Tcp);
        becomes(40_001, FdKind::TcpListener);
        assert!(!tells(40_001, Side::Peer));
        assert_eq!(
            (kind(40_001), kind(40_000)),
            (FdKind::TcpListener, FdKind::Tcp)
        );
        assert_eq!(kind(-1), FdKind::Unknown);
        clear(40_000);
        clear(40_001);
    }
}
