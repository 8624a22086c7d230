//! Call sites as small numbers: a caller's address becomes an id once, its text goes into the recording once.
//! Step: **event** → ring.
//!
//! The key is the address of the caller's [`Location`], which the compiler keeps for ever. The table has a fixed size,
//! is claimed by compare-and-swap and never allocates, so it works in a signal handler and in a forked child.

use std::fmt::Write;
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use super::state::Here;
use crate::record::event::{Kind, Space};
use crate::record::stack_text::StackText;
use crate::record::wire::Rec;

/// Sites the table holds; later ones are recorded as 0, unknown.
const SITES: usize = 4096;

struct Entry {
    /// Null until claimed, then never changed.
    key: AtomicPtr<Location<'static>>,
    /// The generation of the recording that knows its text (see [`super::state`]).
    told: AtomicU32,
}

static TABLE: [Entry; SITES] = [const {
    Entry {
        key: AtomicPtr::new(ptr::null_mut()),
        told: AtomicU32::new(0),
    }
}; SITES];

/// The id of a call site, its text told to this recording first; 0 if the table is full.
pub(super) fn id(here: &Here, site: &'static Location<'static>) -> u16 {
    let key = ptr::from_ref(site).cast_mut();
    // Locations lie 24 bytes apart or more; the multiplication spreads what is left of their address.
    let mut at = (key.addr().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % SITES;
    for _ in 0..SITES {
        let entry = &TABLE[at];
        // Relaxed: the key is all there is, nothing is published with it.
        let mut found = entry.key.load(Ordering::Relaxed);
        if found.is_null() {
            let claimed = entry.key.compare_exchange(
                ptr::null_mut(),
                key,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            found = claimed.err().unwrap_or(key);
        }
        if found == key {
            let id = at as u16 + 1;
            if entry.told.load(Ordering::Relaxed) != here.generation {
                tell(here, id, site, entry);
            }
            return id;
        }
        at = (at + 1) % SITES;
    }
    0
}

#[cold]
fn tell(here: &Here, id: u16, site: &Location<'_>, entry: &Entry) {
    let mut text = StackText::new();
    // The compiler names a file by the way it came to it, `src/../demos/a.rs` for a module with a `#[path]`.
    text.push_path(site.file());
    // Writing to a StackText cannot fail; what is too long is cut by the push.
    let _ = write!(text, ":{}:{}", site.line(), site.column());
    let name = Rec {
        ticks: here.now(),
        kind: Kind::Name,
        aux: Space::Site.code(),
        x: i32::from(id),
        ..Rec::default()
    };
    // Two threads may both tell it, which says nothing new; a dropped one is told again at the next use.
    if here.push_text(&name, text.as_bytes()) {
        entry.told.store(here.generation, Ordering::Relaxed);
    }
}
