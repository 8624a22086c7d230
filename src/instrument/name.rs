//! Names as small numbers: a handler's, mark's, timer's name goes into the recording once, events carry its id.
//! Step: **event** → ring.
//!
//! The table is like [`super::site`]'s: fixed, lock-free, never allocating. A key packs the text's address, length and
//! space into one word, so that one compare-and-swap claims it; the same text at another address gets the first one's
//! id.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::state::Here;
use crate::record::event::{Kind, Space};
use crate::record::wire::Rec;

/// Names the table holds; later ones are recorded as 0, unnamed.
const NAMES: usize = 1024;

/// Bits of an address: user memory ends below this on x86-64 and AArch64 unless a program asks for more by a hint.
const ADDRESS_BITS: u32 = 48;
/// Longer names are not told apart from each other by length, only by address.
const LEN_LIMIT: usize = (1 << 12) - 1;

struct Entry {
    /// 0 until claimed, then never changed.
    key: AtomicU64,
    /// The entry with the same text that came first, plus 1; 0 if that is this one.
    same: AtomicU32,
    /// The generation of the recording that knows its text.
    told: AtomicU32,
}

static TABLE: [Entry; NAMES] = [const {
    Entry {
        key: AtomicU64::new(0),
        same: AtomicU32::new(0),
        told: AtomicU32::new(0),
    }
}; NAMES];

fn pack(space: Space, name: &'static str) -> Option<u64> {
    let address = name.as_ptr().addr() as u64;
    let fits = address >> ADDRESS_BITS == 0 && name.len() < LEN_LIMIT && space.code() < 16;
    fits.then(|| address | (name.len() as u64) << ADDRESS_BITS | u64::from(space.code()) << 60)
}

fn unpack(key: u64) -> (u64, &'static str) {
    let len = (key >> ADDRESS_BITS) as usize & LEN_LIMIT;
    let address = (key & ((1 << ADDRESS_BITS) - 1)) as usize;
    // SAFETY: keys are made by `pack` only, from a `&'static str` with this address and this exact length; the
    // address was exposed there by the cast to an integer's equal here.
    let bytes =
        unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance(address), len) };
    // SAFETY: they were a str.
    (key >> 60, unsafe { std::str::from_utf8_unchecked(bytes) })
}

/// The id of a name, its text told to this recording first; 0 if the table is full.
pub(super) fn id(here: &Here, space: Space, name: &'static str) -> i32 {
    let Some(key) = pack(space, name) else {
        return 0;
    };
    let _ = name.as_ptr().expose_provenance();
    let mut at = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50) as usize % NAMES;
    for _ in 0..NAMES {
        let entry = &TABLE[at];
        // Relaxed: the text behind a key is immutable and was there before the program started.
        let mut found = entry.key.load(Ordering::Relaxed);
        if found == 0 {
            match entry
                .key
                .compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => {
                    entry
                        .same
                        .store(first_of(space, name, at), Ordering::Relaxed);
                    found = key;
                }
                Err(other) => found = other,
            }
        }
        if found == key {
            // A use between the claim and the store above gets the entry's own id: another id for the same text.
            let index = match entry.same.load(Ordering::Relaxed) {
                0 => at,
                same => same as usize - 1,
            };
            let id = index as i32 + 1;
            tell(here, space, id, name, &TABLE[index].told);
            return id;
        }
        at = (at + 1) % NAMES;
    }
    0
}

/// The entry that already holds this text, plus 1; 0 if there is none.
#[cold]
fn first_of(space: Space, name: &str, not: usize) -> u32 {
    let same = |(at, entry): (usize, &Entry)| {
        let key = entry.key.load(Ordering::Relaxed);
        at != not
            && key != 0
            && entry.same.load(Ordering::Relaxed) == 0
            && unpack(key) == (u64::from(space.code()), name)
    };
    TABLE
        .iter()
        .enumerate()
        .position(same)
        .map_or(0, |at| at as u32 + 1)
}

/// Gives an id its text unless this recording has it. Two threads may both do so, which says nothing new; a dropped
/// one is told again at the next use.
#[inline]
pub(super) fn tell(here: &Here, space: Space, id: i32, name: &str, told: &AtomicU32) {
    if told.load(Ordering::Relaxed) != here.generation {
        tell_now(here, space, id, name, told);
    }
}

#[cold]
fn tell_now(here: &Here, space: Space, id: i32, name: &str, told: &AtomicU32) {
    let record = Rec {
        ticks: here.now(),
        kind: Kind::Name,
        aux: space.code(),
        x: id,
        ..Rec::default()
    };
    if here.push_text(&record, name.as_bytes()) {
        told.store(here.generation, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back() {
        for (space, name) in [
            (Space::Handler, "flood"),
            (Space::Loop, ""),
            (Space::Mark, "größe"),
        ] {
            let key = pack(space, name).unwrap();
            assert_eq!(unpack(key), (u64::from(space.code()), name));
        }
    }
}
