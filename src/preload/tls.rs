//! The calling thread's ring, and what all threads of the process share. Step: event → **ring**.
//!
//! Stable Rust has no thread-local without std, so the block is laid out by the assembler and found through the
//! initial-exec model: one load and the thread pointer, no call, no allocation, nothing that runs when a thread ends.
//!
//! A hook compares the thread's *generation* with a word that a fork wipes (`MADV_WIPEONFORK`). Where they differ the
//! thread takes a ring first: it has none, or it is a child's.

use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::identity;
use crate::memory::frame;
use crate::record::clock::{self, Clock};
use crate::record::handshake::Source;
use crate::record::ring::{Call, Producer};
use crate::record::segment::{Limit, Segment};
use crate::sys::sys_call;

/// Null: nothing is recorded. Else the generation word.
static SWITCH: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

/// What the threads share; written once, before the switch.
static SHARED: Shared = Shared(UnsafeCell::new(MaybeUninit::uninit()));

/// Numbers the processes that a fork makes of this one; never 0.
static GENERATIONS: AtomicU32 = AtomicU32::new(0);

struct Shared(UnsafeCell<MaybeUninit<Memory>>);

// SAFETY: written once by `switch_on` before anybody reads it; `Memory` itself is Sync.
unsafe impl Sync for Shared {}

/// The rings, and the memory that a fork wipes.
pub struct Memory {
    segment: Segment,
    limits: &'static [Limit],
}

/// Rings a thread remembers: a signal handler may take a new one while it interrupts a push into the old one.
const REMEMBERED: usize = 4;

/// A thread's own state. All zeroes is its beginning.
struct Thread {
    /// The generation in which the newest of `rings` was taken, 0: look closer.
    generation: Cell<u32>,
    /// The same, whoever else uses this memory; 0: none was taken.
    taken: Cell<u32>,
    newest: Cell<u32>,
    /// What the thread asks of its next look at the rings.
    wish: Cell<Wish>,
    /// Other code runs on this thread's memory, and must not be taken for it.
    guest: Cell<Guest>,
    /// Its id when it took its last ring.
    tid: Cell<u32>,
    /// vfork children that have not gone yet, and what `guest` and `generation` were before the first.
    vforks: Cell<u32>,
    before: Cell<(Guest, u32)>,
    /// The stack pointer of the call it is inside of; 0 none.
    inside: Cell<usize>,
    rings: [UnsafeCell<MaybeUninit<Producer>>; REMEMBERED],
}

/// What a thread's ring should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Wish {
    /// The one it has.
    None = 0,
    /// A large one, should one be free: the thread fills its ring.
    Larger = 1,
    /// The one it has, for ever: the library pushes into it too.
    Same = 2,
}

/// Who else uses the thread's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Guest {
    /// Nobody.
    None = 0,
    /// A vfork child; the thread itself stands still.
    Vfork = 1,
    /// A process or thread made without a thread-local area of its own: only this thread id is the thread.
    Clone(u32),
}

/// Bytes the assembler sets aside for [`Thread`].
const ROOM: usize = 320;
const _: () = assert!(size_of::<Thread>() <= ROOM && align_of::<Thread>() <= 16);

core::arch::global_asm!(
    ".pushsection .tbss.loopscope_thread, \"awT\", @nobits",
    ".p2align 6",
    ".local loopscope_thread",
    ".type loopscope_thread, @object",
    ".size loopscope_thread, {room}",
    "loopscope_thread:",
    ".zero {room}",
    ".popsection",
    room = const ROOM,
);

/// Whether a hook has anything to do.
#[inline(always)]
fn thread() -> &'static Thread {
    let block: *const Thread;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reads the offset that the loader put into our GOT and the thread pointer, which every thread has.
    unsafe {
        core::arch::asm!(
            "mov {block}, qword ptr [rip + loopscope_thread@GOTTPOFF]",
            "add {block}, qword ptr fs:[0]",
            block = out(reg) block,
            options(pure, readonly, nostack),
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!(
            "adrp {block}, :gottprel:loopscope_thread",
            "ldr {block}, [{block}, :gottprel_lo12:loopscope_thread]",
            "mrs {base}, tpidr_el0",
            "add {block}, {block}, {base}",
            block = out(reg) block,
            base = out(reg) _,
            options(pure, readonly, nostack),
        );
    }
    // SAFETY: the block holds `ROOM` zeroed bytes, aligned to 64, which is a `Thread` (its cells start at zero, its
    // rings are uninitialised memory); it is this thread's alone, and the reference does not leave the hook.
    unsafe { &*block }
}

/// The calling thread's way into the recording, for the length of one hook.
#[derive(Clone, Copy)]
pub struct Here {
    ring: *const Producer,
    clock: Clock,
    /// Which process this is, of those that forks made; names and sites are told once in each.
    pub generation: u32,
}

/// The calling thread's ring, taken if need be; nothing when this process is not recorded.
#[inline(always)]
pub fn here() -> Option<Here> {
    let word = SWITCH.load(Ordering::Relaxed);
    if word.is_null() {
        return None;
    }
    // SAFETY: the switch is null or points to a word that `switch_on` was given for ever.
    let generation = unsafe { &*word }.load(Ordering::Relaxed);
    let thread = thread();
    if thread.generation.get() != generation || generation == 0 {
        return claim(thread);
    }
    Some(thread.newest(generation))
}

impl Thread {
    /// The thread is done with looking closer, unless somebody else uses its memory.
    fn looked(&self, generation: u32) {
        if self.guest.get() == Guest::None {
            self.generation.set(generation);
        }
    }

    /// Its ring is not one of the large ones. It has one.
    fn is_small(&self) -> bool {
        let at = self.newest.get() as usize % REMEMBERED;
        // SAFETY: the caller has found a ring taken; see `here`.
        let ring = unsafe { (*self.rings[at].get()).assume_init_ref() };
        // SAFETY: as above, so the switch has been on.
        ring.capacity() < unsafe { memory() }.segment.layout().large_slots.into()
    }

    #[inline(always)]
    fn newest(&self, generation: u32) -> Here {
        let at = self.newest.get() as usize % REMEMBERED;
        Here {
            ring: self.rings[at].get().cast_const().cast(),
            // SAFETY: a generation was given to this thread, so there was a switch, and the memory before it.
            clock: unsafe { memory() }.segment.clock(),
            generation,
        }
    }
}

/// # Safety
///
/// The switch has been on.
#[inline(always)]
unsafe fn memory() -> &'static Memory {
    // SAFETY: written before the switch, never after.
    unsafe { (*SHARED.0.get()).assume_init_ref() }
}

#[cold]
#[inline(never)]
fn claim(thread: &'static Thread) -> Option<Here> {
    // Acquire: pairs with the Release in `switch_on`.
    let word = SWITCH.load(Ordering::Acquire);
    if word.is_null() {
        return None;
    }
    // SAFETY: the switch is on; the word lives for ever.
    let (memory, word) = unsafe { (memory(), &*word) };
    let forked = word.load(Ordering::Relaxed) == 0;
    if forked {
        // A forked child: what the parent's thread lent its memory to is not here.
        thread.guest.set(Guest::None);
        thread.vforks.set(0);
    }
    match thread.guest.get() {
        Guest::None => {}
        Guest::Vfork => return None,
        Guest::Clone(own) if identity::tid() != own => return None,
        Guest::Clone(_) => {}
    }
    if memory.segment.ended() {
        switch_off();
        return None;
    }
    let generation = adopt(word);
    let taken = thread.taken.get() == generation;
    if !taken {
        thread.wish.set(Wish::None);
    }
    let producer = match thread.wish.get() {
        Wish::Larger => {
            thread.wish.set(Wish::None);
            thread.take(memory, true, false)
        }
        _ if taken => None,
        _ => {
            let taken = thread.take(memory, false, forked);
            if taken.is_none() && forked {
                // Nor can its children be told apart from others; what is exec'd joins by itself.
                switch_off();
            }
            Some(taken?)
        }
    };
    let Some(producer) = producer else {
        thread.looked(generation);
        return Some(thread.newest(generation));
    };
    let next = (thread.newest.get() + 1) % REMEMBERED as u32;
    // SAFETY: only this function writes rings, to the one after the newest, on this thread; a signal handler would
    // have to come here `REMEMBERED` times inside one hook to get round to one in use.
    unsafe { (*thread.rings[next as usize].get()).write(producer) };
    thread.newest.set(next);
    thread.taken.set(generation);
    thread.looked(generation);
    Some(thread.newest(generation))
}

/// A quarter of the ring is full since the last time. A collector that sleeps is woken: in a burst after a silence its
/// next look may come too late. That is the one system call of a hook, at most once for each time it lies down. And a
/// thread that is ahead of it gets a large ring, as long as there are any: at its next hook.
fn quarter(full: u64) {
    if full < 64 {
        return;
    }
    // SAFETY: a ring was pushed to, so the switch has been on.
    let segment = &unsafe { memory() }.segment;
    if !identity::is_filtered()
        && let Some(bell) = segment.bell().must_wake()
    {
        // SAFETY: a word of the mapped segment; waking touches no memory.
        unsafe { sys_call!(FUTEX, bell, FUTEX_WAKE, 1) };
    }
    let thread = thread();
    if full >= 128 && thread.wish.get() == Wish::None && thread.is_small() {
        thread.wish.set(Wish::Larger);
        thread.generation.set(0);
    }
}

/// Across processes, so not the private kind.
const FUTEX_WAKE: u32 = 1;

/// The library is about to join the calling thread's ring; whether it has one. The ring stays the thread's from here on.
pub fn pin() -> bool {
    let thread = thread();
    if here().is_none() {
        return false;
    }
    if thread.wish.get() != Wish::Same {
        if thread.is_small() {
            thread.wish.set(Wish::Larger);
            thread.generation.set(0);
            here();
        }
        thread.wish.set(Wish::Same);
    }
    true
}

/// The generation, a new one in a forked child that has not pushed yet.
fn adopt(word: &AtomicU32) -> u32 {
    match word.load(Ordering::Relaxed) {
        0 => {
            let fresh = GENERATIONS
                .fetch_add(1, Ordering::Relaxed)
                .wrapping_add(1)
                .max(1);
            // Another thread of the child, or a signal handler, may have been first; then its number counts.
            word.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed)
                .map_or_else(|first| first, |_| fresh)
        }
        generation => generation,
    }
}

impl Thread {
    /// A ring: a large one or none, or the next best, or else the overflow ring. None where nobody can say who we are.
    fn take(&self, memory: &'static Memory, large: bool, forked: bool) -> Option<Producer> {
        let me = identity::me(self.tid.get(), forked)?;
        let segment = &memory.segment;
        let own = match large {
            true => segment.claim_large(Source::Preload, me.tid, me.pid, memory.limits),
            false => segment.claim_small(Source::Preload, me.tid, me.pid, memory.limits),
        };
        self.tid.set(me.tid);
        match own {
            Some(own) => {
                own.tell_parent(me.parent);
                Some(own.with_quarter(quarter))
            }
            None if large => None,
            None => Some(segment.overflow(me.tid, me.pid)),
        }
    }
}

impl Memory {
    /// Rings in a mapped segment, and the lines after the generation word in a page that a fork wipes.
    pub fn new(segment: Segment, limits: &'static [Limit]) -> Memory {
        Memory { segment, limits }
    }
}

/// Turns the hooks on, once. `generation` is a word, now 0, in memory that a fork wipes.
pub fn switch_on(memory: Memory, generation: &'static AtomicU32) {
    // SAFETY: the constructor calls this once, before the switch is on, so that nobody reads.
    unsafe { (*SHARED.0.get()).write(memory) };
    adopt(generation);
    // Release: pairs with the Acquire in `claim`, which then sees SHARED.
    SWITCH.store(ptr::from_ref(generation).cast_mut(), Ordering::Release);
}

/// Turns the hooks off: the recording has ended, or reading the clock would kill the program.
pub fn switch_off() {
    SWITCH.store(ptr::null_mut(), Ordering::Relaxed);
}

/// A child is about to run on the calling thread's memory while the thread itself stands still: what hooks see there is
/// the child's. Such a child may make another.
pub fn vfork_enters() {
    let thread = thread();
    if thread.vforks.get() == 0 {
        thread
            .before
            .set((thread.guest.get(), thread.generation.get()));
    }
    thread.vforks.set(thread.vforks.get() + 1);
    thread.guest.set(Guest::Vfork);
    thread.generation.set(0);
}

/// The child has become another program, or ended.
pub fn vfork_left() {
    let thread = thread();
    thread.vforks.set(thread.vforks.get().saturating_sub(1));
    if thread.vforks.get() == 0 {
        let (guest, generation) = thread.before.get();
        thread.guest.set(guest);
        thread.generation.set(generation);
    }
}

/// The calling thread runs on memory that is its parent's, which stands still.
pub fn is_vfork_child() -> bool {
    thread().guest.get() == Guest::Vfork
}

/// From here on another process or thread may run with this thread's local memory: every hook asks who it is.
pub fn shares_memory() {
    let thread = thread();
    if thread.guest.get() == Guest::None {
        thread.guest.set(Guest::Clone(identity::tid()));
        thread.generation.set(0);
    }
}

/// Frames of hooks called from one place differ by less than this, and what the kernel puts on the stack for a handler is
/// more.
const NEAR: usize = 1024;

/// What a thread was inside of when it entered a call.
#[derive(Clone, Copy)]
pub struct Around {
    call: Call,
    frame: usize,
}

impl Here {
    /// The thread enters a call. It may do so in a signal handler, which has interrupted another call; or because a
    /// handler has jumped out of that one (siglongjmp), which then is over: its frame does not lie above ours. One that
    /// was jumped out of further up than we are is found out by a later call.
    #[inline(always)]
    pub fn enters(&self, call: Call) -> Around {
        let (inside, here) = (&thread().inside, frame());
        let around = self.ring().set_call(call);
        let outer = inside.replace(here);
        match outer > here + NEAR {
            true => Around {
                call: around,
                frame: outer,
            },
            false => Around {
                call: Call::default(),
                frame: 0,
            },
        }
    }

    /// It is back.
    #[inline(always)]
    pub fn leaves(&self, around: Around) {
        self.ring().restore_call(around.call);
        thread().inside.set(around.frame);
    }

    /// The thread's ring.
    #[inline(always)]
    pub fn ring(&self) -> &Producer {
        // SAFETY: points into the calling thread's own block (see `here`), to a ring that was written before the
        // generation; a raw pointer does not leave the thread, and no hook keeps it longer than its own call.
        unsafe { &*self.ring }
    }

    /// Now, in the ring's ticks.
    #[inline(always)]
    pub fn now(&self) -> u64 {
        match self.clock {
            Clock::Tsc => clock::tsc(),
            other => other.now(),
        }
    }
}
