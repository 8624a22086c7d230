//! How many rings of which size a segment has, and where each lies. Step: event → **ring**.

use super::super::ring::{CONTROL_WORDS, MAX_BATCH};
use super::super::wire::SLOT_WORDS;
use super::{Bad, HEADER_WORDS, MAX_RINGS};

const PAGE_WORDS: u64 = 512;

/// How many rings of which size a segment has. All sizes are powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Large rings; the first threads get them.
    pub large: u32,
    /// Slots of a large ring.
    pub large_slots: u32,
    /// Small rings.
    pub small: u32,
    /// Slots of a small ring.
    pub small_slots: u32,
    /// Slots of the overflow ring.
    pub overflow_slots: u32,
}

/// [`Layout::DEFAULT`].
impl Default for Layout {
    fn default() -> Self {
        Layout::DEFAULT
    }
}

// Eight times the largest reservation, which takes two slots a record in the overflow ring.
const _: () = assert!(Layout::DEFAULT.large_slots as usize >= 8 * MAX_BATCH);
const _: () = assert!(Layout::DEFAULT.small_slots as usize >= 8 * MAX_BATCH);
const _: () = assert!(Layout::DEFAULT.overflow_slots as usize >= 8 * 2 * MAX_BATCH);

impl Layout {
    /// 15 MiB: 3 rings of 2 MiB, 64 of 128 KiB, 1 MiB of overflow. A small ring holds what a thread pushes at 64,000
    /// records a second while the collector of an idle program sleeps (64 ms), a large one a million a second.
    pub const DEFAULT: Layout = Layout {
        large: 3,
        large_slots: 1 << 16,
        small: 64,
        small_slots: 1 << 12,
        overflow_slots: 1 << 15,
    };

    /// All rings, the overflow ring among them.
    pub fn rings(&self) -> u64 {
        self.large as u64 + self.small as u64 + 1
    }

    /// Words of a segment of this layout; an error if it cannot be laid out.
    pub fn words(&self) -> Result<u64, Bad> {
        let sizes = [self.large_slots, self.small_slots, self.overflow_slots];
        if self.rings() > MAX_RINGS || sizes.iter().any(|s| !s.is_power_of_two() || *s > 1 << 24) {
            return Err(Bad::Layout);
        }
        Ok(self.slots_at(self.rings()))
    }

    /// Bytes of a segment of this layout: what to make the memfd of.
    pub fn bytes(&self) -> Result<usize, Bad> {
        Ok(self.words()? as usize * 8)
    }

    /// How many [`Limit`](super::Limit)s a process needs in its wiped-on-fork memory.
    pub fn limits(&self) -> usize {
        self.rings() as usize
    }

    pub(super) fn capacity(&self, ring: u64) -> u64 {
        if ring < self.large as u64 {
            self.large_slots as u64
        } else if ring + 1 < self.rings() {
            self.small_slots as u64
        } else {
            self.overflow_slots as u64
        }
    }

    pub(super) fn control_at(&self, ring: u64) -> u64 {
        HEADER_WORDS + ring * CONTROL_WORDS
    }

    /// First word of a ring's slots; of the segment's end for the ring after the last.
    pub(super) fn slots_at(&self, ring: u64) -> u64 {
        let large = self.large as u64;
        let first = self.control_at(self.rings()).next_multiple_of(PAGE_WORDS);
        let before_large = ring.min(large) * self.large_slots as u64;
        let before_small =
            ring.saturating_sub(large).min(self.small as u64) * self.small_slots as u64;
        let before_overflow = (ring >= self.rings()) as u64 * self.overflow_slots as u64;
        first + (before_large + before_small + before_overflow) * SLOT_WORDS
    }
}
