//! Names that the program itself brings (docs/loopscope.h), as small numbers: each text is told to the recording once.
//! Step: **event** → ring.
//!
//! A text is looked at each time it is passed, because the program may build it in a buffer that it uses again; what is
//! remembered of it is 64 bits, that no two names of one program share. The table has a fixed size, is claimed by
//! compare-and-swap and never allocates, so it works in a signal handler and in a forked child.

use core::ffi::c_char;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::record::event::{Kind, MAX_TEXT, Space};
use crate::record::wire::Rec;
use crate::tls::Here;

/// Names the table holds, of all spaces; what comes after them goes by one name.
const NAMES: usize = 2048;

/// Entries looked at before the table counts as full.
const NEAR: usize = 64;

/// That name.
const MORE: &[u8] = b"(more names than are kept)";

/// Ids of the library's own names end below this; those of [`crate::name`] are of another space.
const FIRST: i32 = 1 << 20;

struct Entry {
    /// 0 until claimed, then never changed.
    key: AtomicU64,
    /// The generation of the process whose recording knows it.
    told: AtomicU32,
}

impl Entry {
    const fn free() -> Entry {
        Entry {
            key: AtomicU64::new(0),
            told: AtomicU32::new(0),
        }
    }
}

static TABLE: [Entry; NAMES] = [const { Entry::free() }; NAMES];

/// The one name, in the space of handlers and in that of marks.
static REST: [Entry; 2] = [const { Entry::free() }; 2];

/// The program's text: nothing for a null pointer and for what cannot be one. One byte more than an event carries is
/// read at most, so that a longer text is known to be longer.
///
/// # Safety
///
/// Null, or a C string that nobody changes during the hook.
pub unsafe fn text<'a>(at: *const c_char) -> &'a [u8] {
    let address = at.addr();
    if address < 1 << 16 || address >> 47 != 0 {
        return &[];
    }
    let mut length = 0;
    // SAFETY: the bytes up to the zero are the string's; none behind it is read.
    while length <= MAX_TEXT && unsafe { *at.add(length) } != 0 {
        length += 1;
    }
    // SAFETY: so many bytes were just read.
    unsafe { core::slice::from_raw_parts(at.cast(), length) }
}

/// The id of a name, its text told first; 0 for the empty one.
pub fn id(here: &Here, space: Space, text: &[u8]) -> i32 {
    if text.is_empty() {
        return 0;
    }
    let key = key(space, text);
    let first = (key >> 32) as usize;
    for step in 0..NEAR {
        let at = (first + step) % NAMES;
        let entry = &TABLE[at];
        // Relaxed, here and below: the key is all there is, nothing is published with it.
        let mut found = entry.key.load(Ordering::Relaxed);
        if found == 0 {
            let claimed = entry
                .key
                .compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed);
            found = claimed.err().unwrap_or(key);
        }
        if found == key {
            return entry.id(here, space, at, text);
        }
    }
    REST[usize::from(space == Space::Mark)].id(here, space, NAMES, MORE)
}

impl Entry {
    #[inline(always)]
    fn id(&self, here: &Here, space: Space, at: usize, text: &[u8]) -> i32 {
        let id = FIRST + at as i32;
        if self.told.load(Ordering::Relaxed) != here.generation {
            self.tell(here, space, id, text);
        }
        id
    }

    #[cold]
    #[inline(never)]
    fn tell(&self, here: &Here, space: Space, id: i32, text: &[u8]) {
        let name = Rec {
            ticks: here.now(),
            kind: Kind::Name,
            aux: space.code(),
            x: id,
            ..Rec::default()
        };
        // Two threads may both tell it, which says nothing new; a dropped one is told again at the next use.
        if here.ring().push_text(&name, text) {
            self.told.store(here.generation, Ordering::Relaxed);
        }
    }
}

/// 64 bits of a name, never 0.
#[inline]
fn key(space: Space, text: &[u8]) -> u64 {
    let mut hash = fold(u64::from(space.code()), text.len() as u64);
    for part in text.chunks(8) {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(part) {
            *to = *from;
        }
        hash = fold(hash, u64::from_le_bytes(word));
    }
    hash.max(1)
}

/// Both halves of a product: every bit of the word reaches every bit of the hash.
#[inline(always)]
fn fold(hash: u64, word: u64) -> u64 {
    let product =
        u128::from(hash ^ 0x9e37_79b9_7f4a_7c15) * u128::from(word ^ 0xe703_7ed1_a0b4_28db);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_by_space_length_and_every_byte() {
        let mut keys = std::collections::HashSet::new();
        for space in [Space::Handler, Space::Mark] {
            for n in 0..40_000 {
                assert!(keys.insert(key(space, format!("name {n}").as_bytes())));
            }
            for length in 1..300 {
                assert!(keys.insert(key(space, &vec![0; length])));
            }
        }
        assert!(!keys.contains(&0));
    }

    #[test]
    fn a_text_is_read_up_to_its_end_and_no_further_than_an_event_carries() {
        let read = |at: *const c_char| {
            // SAFETY: null, no address at all, or C strings.
            unsafe { text(at) }
        };
        assert_eq!(read(std::ptr::null()), b"");
        assert_eq!(read(std::ptr::without_provenance(77)), b"");
        assert_eq!(read(c"parse".as_ptr()), b"parse");
        let long = std::ffi::CString::new(vec![b'x'; 5000]).unwrap();
        assert_eq!(read(long.as_ptr()).len(), MAX_TEXT + 1);
    }
}
