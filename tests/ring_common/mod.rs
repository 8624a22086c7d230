//! A segment on the heap, for the tests of the ring.
#![allow(dead_code)] // each test binary uses its part

use loopscope::capture::drain::Drain;
use loopscope::record::clock::Clock;
use loopscope::record::ring::{Consumer, Producer};
use loopscope::record::segment::{Layout, Limit, Segment};
use std::sync::atomic::AtomicU64;

/// Three rings of 16 slots and an overflow ring of 32.
pub fn tiny() -> Layout {
    Layout {
        large: 1,
        large_slots: 16,
        small: 2,
        small_slots: 16,
        overflow_slots: 32,
    }
}

/// A segment in memory that is never given back, so that it outlives every handle.
pub struct Heap {
    pub segment: Segment,
    pub limits: &'static [Limit],
    pub words: &'static [AtomicU64],
    pub pid: u32,
}

impl Heap {
    pub fn new(layout: Layout) -> Self {
        let count = layout.words().expect("a layout that can be laid out");
        let words: &'static [AtomicU64] = (0..count)
            .map(|_| AtomicU64::new(0))
            .collect::<Vec<_>>()
            .leak();
        let limits = (0..layout.limits())
            .map(|_| Limit::default())
            .collect::<Vec<_>>()
            .leak();
        // SAFETY: the words are leaked: they stay as long as the process.
        let segment =
            unsafe { Segment::create(words.as_ptr(), count, layout, Clock::Monotonic, 1) };
        Heap {
            segment: segment.expect("enough memory"),
            limits,
            words,
            pid: std::process::id(),
        }
    }

    /// The same with a collector at its other end.
    pub fn drained(layout: Layout) -> (Self, Drain) {
        let heap = Heap::new(layout);
        // SAFETY: as above.
        let theirs = unsafe { Segment::attach(heap.words.as_ptr(), heap.words.len() as u64) };
        let drain = Drain::new(theirs.expect("a segment as the collector made it"));
        (heap, drain)
    }

    pub fn claim(&self, tid: u32) -> Option<Producer> {
        self.segment.claim(tid, self.pid, self.limits)
    }

    pub fn claim_as(&self, tid: u32, pid: u32) -> Producer {
        self.segment
            .claim(tid, pid, self.limits)
            .expect("a free ring")
    }

    pub fn consumers(&self) -> Vec<Consumer> {
        self.segment.consumers().collect()
    }

    /// Rings that have an owner.
    pub fn owned(&self) -> usize {
        self.consumers().iter().filter(|c| c.owner() != 0).count()
    }

    /// What a fork does to the limits.
    pub fn wipe(&self) {
        for limit in self.limits {
            limit.wipe();
        }
    }
}

/// Words that a fork shares.
pub fn shared(words: usize) -> &'static [AtomicU64] {
    map(words * 8, libc::MAP_SHARED)
}

/// The limits of a layout in memory that a fork wipes.
pub fn wiped(layout: Layout) -> &'static [Limit] {
    let bytes = layout.limits() * size_of::<Limit>();
    let limits: &'static [Limit] = map(bytes, libc::MAP_PRIVATE);
    // SAFETY: the mapping just made, whole.
    let advised = unsafe {
        libc::madvise(
            limits.as_ptr().cast_mut().cast(),
            bytes,
            libc::MADV_WIPEONFORK,
        )
    };
    assert_eq!(advised, 0);
    limits
}

fn map<T>(bytes: usize, sharing: libc::c_int) -> &'static [T] {
    // SAFETY: a fresh anonymous mapping, zeroed, never unmapped; zero is a valid value of the atomics made of it.
    unsafe {
        let base = libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            sharing | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        assert_ne!(base, libc::MAP_FAILED);
        std::slice::from_raw_parts(base.cast(), bytes / size_of::<T>())
    }
}

/// `n`, or fifty times as much at full length.
pub fn length(n: u64) -> u64 {
    if std::env::var_os("LOOPSCOPE_FULL").is_some() {
        50 * n
    } else {
        n
    }
}

/// The calling thread's id.
pub fn tid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::gettid() as u32 }
}
