//! Callers as small numbers: the return address of a hook becomes an id once, and is told to the recording once.
//! Step: **event** → ring.
//!
//! The collector knows what is mapped where and turns the address into a module and an offset. The table has a fixed
//! size, is claimed by compare-and-swap and never allocates, so it works in a signal handler and in a forked child.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::record::event::{Kind, Space};
use crate::record::wire::Rec;
use crate::tls::Here;

/// Callers the table holds; later ones are recorded as 0, unknown.
const SITES: usize = 4096;

/// Ids of a program's own sites (the library's) end below this.
const FIRST: u16 = 1 << 14;

struct Entry {
    /// 0 until claimed, then never changed.
    address: AtomicUsize,
    /// The generation of the process whose recording knows it.
    told: AtomicU32,
}

static TABLE: [Entry; SITES] = [const {
    Entry {
        address: AtomicUsize::new(0),
        told: AtomicU32::new(0),
    }
}; SITES];

/// The id of the code that called a hook.
#[inline(always)]
pub fn id(here: &Here, caller: usize) -> u16 {
    let at = (caller.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % SITES;
    let entry = &TABLE[at];
    // Relaxed, here and below: the address is all there is, nothing is published with it.
    if entry.address.load(Ordering::Relaxed) == caller
        && entry.told.load(Ordering::Relaxed) == here.generation
    {
        return FIRST + at as u16;
    }
    find(here, caller, at)
}

#[cold]
#[inline(never)]
fn find(here: &Here, caller: usize, first: usize) -> u16 {
    if caller == 0 {
        return 0;
    }
    let mut at = first;
    // Far enough for a table that is all but full, near enough for a program with more callers than entries.
    for _ in 0..64 {
        let entry = &TABLE[at];
        let mut found = entry.address.load(Ordering::Relaxed);
        if found == 0 {
            let claimed =
                entry
                    .address
                    .compare_exchange(0, caller, Ordering::Relaxed, Ordering::Relaxed);
            found = claimed.err().unwrap_or(caller);
        }
        if found == caller {
            let id = FIRST + at as u16;
            if entry.told.load(Ordering::Relaxed) != here.generation {
                let name = Rec {
                    ticks: here.now(),
                    kind: Kind::Name,
                    aux: Space::Site.code(),
                    x: i32::from(id),
                    arg: caller as u64,
                    ..Rec::default()
                };
                // Two threads may both tell it, which says nothing new; a dropped one is told again at the next use.
                if here.ring().push(&name) {
                    entry.told.store(here.generation, Ordering::Relaxed);
                }
            }
            return id;
        }
        at = (at + 1) % SITES;
    }
    0
}
