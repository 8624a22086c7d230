//! A ring: slots one thread writes and the collector reads. Step: event → **ring** → trace.
//!
//! A ring is a control block of four cache lines and a power of two of slots, all 64-bit words in shared memory.
//! Positions count slots from the ring's creation and never wrap; a position's slot is `position & mask`.
//!
//! - [`Producer`]: one thread and its signal handlers. Reserve with one unlocked compare-and-swap of the head, write,
//!   commit by storing the front slot's word 0 with the position's lap. Several records under one reservation are
//!   committed back to front, so that the consumer sees all or none.
//! - The overflow ring has many writers: [`overflow`](mod@overflow) claims slots by name first, so that the collector
//!   can tell a writer that was killed from one that is slow.
//! - [`Consumer`]: the collector. Reads word 0 (Acquire) and takes the record if its lap is the position's; stops at
//!   the first that is not. Trusts nothing else it reads.
//!
//! Full: the producer counts the record as lost and forces its next push through the slow path, which puts a `Lost`
//! record with the running count in front of it: loss stands where it happened.

mod consumer;
pub mod overflow;
mod producer;

pub use consumer::{Consumer, Drained, Record, Stop};
pub use producer::{Call, Producer};

use super::sync::{AtomicU64, Ordering};
use super::wire::SLOT_WORDS;

/// Most records to push under one reservation: a longer ready batch is pushed in parts of this many. A reservation larger
/// than its ring could never succeed; this one takes at most an eighth of the smallest ring, so that it fails only where
/// the collector is behind, and then the parts before it are kept.
pub const MAX_BATCH: usize = 512;

/// Words of a ring's control block: four cache lines, one a writer.
pub const CONTROL_WORDS: u64 = 32;

/// The control block's words.
pub mod control {
    /// Owner's line. `tid | pid << 32`; 0 = free. Claimed by compare-and-swap, freed by the collector.
    pub const OWNER: u64 = 0;
    /// Owner's line. Set by a thread that ends and will not push again.
    pub const RETIRED: u64 = 1;
    /// Owner's line. How often the ring was freed.
    pub const GENERATION: u64 = 2;
    /// Owner's line. The claim's number in the segment: of two rings of one thread, the higher is the one it uses.
    pub const SERIAL: u64 = 3;
    /// Owner's line. The owner's parent when it claimed the ring; 0 unknown. The process may be gone before anybody
    /// looks at it.
    pub const PARENT: u64 = 4;
    /// Owner's line. Who pushes: [`super::super::handshake::Source`]. The shim and the library in one program each have
    /// a ring of the same thread.
    pub const SOURCE: u64 = 5;
    /// Producer's line. Next position to reserve.
    pub const HEAD: u64 = 8;
    /// Producer's line. Records dropped since the ring's creation because it was full.
    pub const LOST: u64 = 9;
    /// Producer's line. As far as [`LOST`] has been told by `Lost` records.
    pub const TOLD: u64 = 10;
    /// Producer's line. The call the thread is inside of: `op: u8 | name id: 24 bits | fd << 32`; 0 = none.
    pub const CALL: u64 = 11;
    /// Producer's line. When it entered that call, in ticks.
    pub const ENTERED: u64 = 12;
    /// Consumer's line. Next position to read.
    pub const TAIL: u64 = 16;
}

/// A ring's memory as seen by one process: where its control block and its slots begin.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    control: *const AtomicU64,
    slots: *const AtomicU64,
    mask: u64,
    shift: u32,
}

impl Memory {
    /// The ring whose control block and slots start at these words.
    ///
    /// # Safety
    ///
    /// [`CONTROL_WORDS`] words at `control` and `capacity` × 4 at `slots` stay mapped, readable and writable as long
    /// as a copy of the result lives; `capacity` is a power of two.
    pub unsafe fn new(control: *const AtomicU64, slots: *const AtomicU64, capacity: u64) -> Self {
        debug_assert!(capacity.is_power_of_two());
        Memory {
            control,
            slots,
            mask: capacity - 1,
            shift: capacity.trailing_zeros(),
        }
    }

    /// Slots of the ring.
    #[inline(always)]
    pub fn capacity(&self) -> u64 {
        self.mask + 1
    }

    /// Takes the ring for the thread `who` (`tid | pid << 32`), if it is free.
    pub fn claim(&self, who: u64) -> bool {
        let owner = self.control(control::OWNER);
        // Acquire: pairs with the Release in `Consumer::free`: the last owner's traces are gone. Release: pairs with
        // the Acquire in `Consumer::owner`.
        owner.load(Ordering::Relaxed) == 0
            && owner
                .compare_exchange(0, who, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    }

    /// A control word.
    #[inline(always)]
    pub fn control(&self, word: u64) -> &AtomicU64 {
        debug_assert!(word < CONTROL_WORDS);
        // SAFETY: callers pass constants below CONTROL_WORDS, which `new`'s caller keeps mapped.
        unsafe { &*self.control.add(word as usize) }
    }

    /// A word of the slot at `position`, whatever the position: it is masked.
    #[inline(always)]
    pub fn slot(&self, position: u64, word: u64) -> &AtomicU64 {
        debug_assert!(word < SLOT_WORDS);
        // SAFETY: the masked position is below the capacity and callers pass word 0 to 3, so this lies among the
        // slots that `new`'s caller keeps mapped.
        unsafe {
            &*self
                .slots
                .add(((position & self.mask) * SLOT_WORDS + word) as usize)
        }
    }

    /// What word 0 of a committed slot at `position` has in its low 16 bits.
    #[inline(always)]
    pub fn lap(&self, position: u64) -> u16 {
        (position >> self.shift) as u16
    }
}

/// A ring starts at position `capacity`, lap 1: fresh memory is lap 0, and no position is ever 0.
pub fn first_position(capacity: u64) -> u64 {
    capacity
}
