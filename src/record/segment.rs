//! The shared memory of a process tree: a header, a control block a ring, the rings. Step: event → **ring**.
//!
//! | words                        | content                                                             |
//! |------------------------------|---------------------------------------------------------------------|
//! | 0–511                        | header: [`header`]                                                  |
//! | 512 + 32 × ring              | control block of a ring: [`ring::control`]                           |
//! | after them, page-aligned     | slots of ring 0, ring 1, …                                          |
//!
//! Rings are numbered: the large ones, the small ones, last the overflow ring. A thread takes a free one by
//! compare-and-swap of its owner word, without a system call; when none is free it writes to the overflow ring.
//! The collector makes the segment and knows its layout itself; it reads the header never again.

mod bell;
mod layout;

pub use self::bell::Bell;
pub use self::layout::Layout;
use super::clock::Clock;
use super::handshake::Source;
use super::ring::{self, Consumer, Memory, Producer, control, first_position};
use super::sync::{AtomicU64, Ordering};
use super::wire::{SLOT_BYTES, VERSION};
// Mapped memory holds the machine's atomics; the alias above is the same type, except for loom, which models single
// rings on its own atomics and never makes a segment.
use core::sync::atomic::AtomicU64 as Word;

/// The header's words.
pub mod header {
    /// [`super::MAGIC`].
    pub const MAGIC: u64 = 0;
    /// Wire version, slot size << 16.
    pub const WIRE: u64 = 1;
    /// [`super::Clock::code`].
    pub const CLOCK: u64 = 2;
    /// The session's random number.
    pub const NONCE: u64 = 3;
    /// Large rings, slots of each << 32.
    pub const LARGE: u64 = 4;
    /// Small rings, slots of each << 32.
    pub const SMALL: u64 = 5;
    /// Slots of the overflow ring.
    pub const OVERFLOW: u64 = 6;
    /// 1 once the collector has stopped.
    pub const ENDED: u64 = 7;
    /// Claims made so far.
    pub const CLAIMS: u64 = 8;
    /// 1 while the collector sleeps long; a futex word (its low half).
    pub const BELL: u64 = 9;
}

/// First word of a segment.
pub const MAGIC: u64 = u64::from_le_bytes(*b"lscopeSM");

const HEADER_WORDS: u64 = 512;

/// Most rings a segment can have.
pub const MAX_RINGS: u64 = 1024;

/// A cache line that only one thread writes, so that a thread's `limit` does not bounce with its neighbour's.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Limit(core::sync::atomic::AtomicU64);

impl Limit {
    /// What a fork does to it in the child, for systems and tests without MADV_WIPEONFORK.
    pub fn wipe(&self) {
        self.0.store(0, core::sync::atomic::Ordering::Relaxed);
    }
}

/// Why a piece of memory is no segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Ring sizes are not powers of two, or there are too many rings.
    Layout,
    /// It is smaller than its header says, or not page-aligned.
    Size,
    /// It does not start like one.
    Magic,
    /// Its wire version or slot size is not this version's.
    Version,
    /// It names a clock this machine does not have.
    Clock,
}

impl core::fmt::Display for Bad {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Bad::Layout => "cannot lay out rings: sizes must be powers of two, at most 1024 rings; choose others",
            Bad::Size => "cannot use shared memory: it is smaller than its header says; use one loopscope version",
            Bad::Magic => "cannot use shared memory: it is not loopscope's; use one loopscope version",
            Bad::Version => "cannot use shared memory: another wire version; use one loopscope version",
            Bad::Clock => "cannot use shared memory: it names a clock this machine lacks; record on the same machine",
        })
    }
}

impl core::error::Error for Bad {}

/// A segment mapped into this process.
#[derive(Debug)]
pub struct Segment {
    base: *const AtomicU64,
    layout: Layout,
    clock: Clock,
    nonce: u64,
}

// SAFETY: the memory is shared and all access to it is atomic; who may write a ring is decided by claiming it.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

impl Segment {
    /// Lays out fresh, zeroed memory: the collector's way in.
    ///
    /// # Safety
    ///
    /// `words` 64-bit words at `base`, aligned to 8 bytes, stay mapped, readable and writable as long as the
    /// segment or anything made from it lives. Other processes may write them, through atomics.
    pub unsafe fn create(
        base: *const Word,
        words: u64,
        layout: Layout,
        clock: Clock,
        nonce: u64,
    ) -> Result<Self, Bad> {
        if layout.words()? > words || !base.is_aligned() {
            return Err(Bad::Size);
        }
        let base = base.cast::<AtomicU64>();
        let segment = Segment {
            base,
            layout,
            clock,
            nonce,
        };
        for ring in 0..layout.rings() {
            let memory = segment.memory(ring);
            let start = first_position(memory.capacity());
            memory
                .control(control::HEAD)
                .store(start, Ordering::Relaxed);
            memory
                .control(control::TAIL)
                .store(start, Ordering::Relaxed);
        }
        let pair = |count: u32, slots: u32| count as u64 | (slots as u64) << 32;
        segment.set(header::WIRE, VERSION as u64 | (SLOT_BYTES as u64) << 16);
        segment.set(header::CLOCK, clock.code());
        segment.set(header::NONCE, nonce);
        segment.set(header::LARGE, pair(layout.large, layout.large_slots));
        segment.set(header::SMALL, pair(layout.small, layout.small_slots));
        segment.set(header::OVERFLOW, layout.overflow_slots as u64);
        // Release: pairs with the Acquire in `attach`.
        segment.word(header::MAGIC).store(MAGIC, Ordering::Release);
        Ok(segment)
    }

    /// Reads the layout of a segment that a collector made: a program's way in.
    ///
    /// # Safety
    ///
    /// As for [`Segment::create`].
    pub unsafe fn attach(base: *const Word, words: u64) -> Result<Self, Bad> {
        if words < HEADER_WORDS || !base.is_aligned() {
            return Err(Bad::Size);
        }
        let base = base.cast::<AtomicU64>();
        let word = |at: u64| {
            // SAFETY: `at` is a constant below HEADER_WORDS and at least that many words are there.
            let word = unsafe { &*base.add(at as usize) };
            // Acquire: the first pairs with the Release in `create`.
            word.load(Ordering::Acquire)
        };
        if word(header::MAGIC) != MAGIC {
            return Err(Bad::Magic);
        }
        if word(header::WIRE) != VERSION as u64 | (SLOT_BYTES as u64) << 16 {
            return Err(Bad::Version);
        }
        let clock = Clock::from_code(word(header::CLOCK)).ok_or(Bad::Clock)?;
        let (large, small) = (word(header::LARGE), word(header::SMALL));
        let layout = Layout {
            large: large as u32,
            large_slots: (large >> 32) as u32,
            small: small as u32,
            small_slots: (small >> 32) as u32,
            overflow_slots: word(header::OVERFLOW) as u32,
        };
        if layout.words()? > words {
            return Err(Bad::Size);
        }
        Ok(Segment {
            base,
            layout,
            clock,
            nonce: word(header::NONCE),
        })
    }

    /// The layout.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The clock that stamps what is pushed here.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The session's random number.
    pub fn nonce(&self) -> u64 {
        self.nonce
    }

    /// The collector has stopped: pushing is of no use.
    pub fn ended(&self) -> bool {
        self.word(header::ENDED).load(Ordering::Relaxed) != 0
    }

    /// The collector stops.
    pub fn end(&self) {
        self.set(header::ENDED, 1);
    }

    /// What the collector sleeps on.
    pub fn bell(&self) -> Bell {
        Bell(core::ptr::from_ref(self.word(header::BELL)))
    }

    /// Takes a free ring for the calling thread, large ones first; nothing if there is none. No system call.
    ///
    /// `limits` are [`Layout::limits`] lines of private memory, the same for all threads of the process, which a
    /// fork wipes (an anonymous private mapping with MADV_WIPEONFORK) and nobody else writes.
    pub fn claim(&self, tid: u32, pid: u32, limits: &'static [Limit]) -> Option<Producer> {
        self.claim_for(Source::Library, tid, pid, limits)
    }

    /// The same, said to be for the library or for the shim: a thread has a ring for each.
    pub fn claim_for(
        &self,
        source: Source,
        tid: u32,
        pid: u32,
        limits: &'static [Limit],
    ) -> Option<Producer> {
        self.claim_among(0..self.layout.rings() - 1, source, tid, pid, limits)
    }

    /// The same, small rings first: for a thread nobody knows to be busy.
    pub fn claim_small(
        &self,
        source: Source,
        tid: u32,
        pid: u32,
        limits: &'static [Limit],
    ) -> Option<Producer> {
        let (large, all) = (self.layout.large as u64, self.layout.rings() - 1);
        self.claim_among((large..all).chain(0..large), source, tid, pid, limits)
    }

    /// The same, a large ring or none.
    pub fn claim_large(
        &self,
        source: Source,
        tid: u32,
        pid: u32,
        limits: &'static [Limit],
    ) -> Option<Producer> {
        self.claim_among(0..self.layout.large as u64, source, tid, pid, limits)
    }

    fn claim_among(
        &self,
        rings: impl Iterator<Item = u64>,
        source: Source,
        tid: u32,
        pid: u32,
        limits: &'static [Limit],
    ) -> Option<Producer> {
        let who = tid as u64 | (pid as u64) << 32;
        for ring in rings {
            let limit = &limits.get(ring as usize)?.0;
            let memory = self.memory(ring);
            if memory.claim(who) {
                let serial = self.word(header::CLAIMS).fetch_add(1, Ordering::Relaxed) + 1;
                memory
                    .control(control::SOURCE)
                    .store(source as u64, Ordering::Relaxed);
                // Release: pairs with the Acquire in `Consumer::serial`.
                memory
                    .control(control::SERIAL)
                    .store(serial, Ordering::Release);
                return Some(Producer::own(memory, limit, who));
            }
        }
        None
    }

    /// A second handle on the ring that the calling thread has for `source` already: the library joins the shim, so that
    /// what both say of one thread stands in one ring. A reservation of one is to the other what a signal handler's is.
    pub fn join(
        &self,
        source: Source,
        tid: u32,
        pid: u32,
        limits: &'static [Limit],
    ) -> Option<Producer> {
        let who = tid as u64 | (pid as u64) << 32;
        // The one claimed last, should an older one not have been freed yet.
        let (mut newest, mut found) = (0, None);
        for ring in 0..self.layout.rings() - 1 {
            let memory = self.memory(ring);
            let control = |word| memory.control(word).load(Ordering::Relaxed);
            let (owner, serial) = (control(control::OWNER), control(control::SERIAL));
            if owner == who && control(control::SOURCE) == source as u64 && serial > newest {
                (newest, found) = (serial, Some(ring));
            }
        }
        let ring = found?;
        let limit = &limits.get(ring as usize)?.0;
        Some(Producer::own(self.memory(ring), limit, who))
    }

    /// A handle on the overflow ring, for a thread that found no ring free.
    pub fn overflow(&self, tid: u32, pid: u32) -> Producer {
        let who = tid as u64 | (pid as u64) << 32;
        Producer::shared(self.memory(self.layout.rings() - 1), who)
    }

    /// The reading ends of all rings, the overflow ring's last. For the collector, once.
    pub fn consumers(&self) -> impl Iterator<Item = Consumer> {
        let rings = self.layout.rings();
        (0..rings).map(move |ring| Consumer::new(self.memory(ring), ring + 1 == rings))
    }

    fn word(&self, at: u64) -> &AtomicU64 {
        debug_assert!(at < HEADER_WORDS);
        // SAFETY: callers pass constants below HEADER_WORDS; `create` and `attach` checked that more is there.
        unsafe { &*self.base.add(at as usize) }
    }

    fn set(&self, at: u64, value: u64) {
        self.word(at).store(value, Ordering::Relaxed);
    }

    fn memory(&self, ring: u64) -> ring::Memory {
        debug_assert!(ring < self.layout.rings());
        // SAFETY: both lie inside the `layout.words()` words that `create` and `attach` checked to be there, and
        // their callers keep mapped.
        unsafe {
            Memory::new(
                self.base.add(self.layout.control_at(ring) as usize),
                self.base.add(self.layout.slots_at(ring) as usize),
                self.layout.capacity(ring),
            )
        }
    }
}
