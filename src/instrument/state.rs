//! The switch, the thread's ring and the push: where an instrumented call becomes a record. Step: **event** → ring.
//!
//! A process has one recorder at a time, so all of this is static. Off, a hook is a load, a test and a branch. On, it
//! reads the *generation*, a word in a page that the kernel wipes in a forked child (`MADV_WIPEONFORK`), and compares
//! it with the calling thread's: where they differ the thread claims a ring first, because it has none yet, because it
//! is a child of the process that claimed it, or because this is another recording. The thread-local state has no
//! destructor, so hooks work in the destructors of other thread-locals; the collector frees a ring when it finds its
//! thread gone.

use std::cell::{Cell, UnsafeCell};
use std::os::fd::RawFd;
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

use super::shared::Shared;
use super::{name, site};
use crate::record::clock::Clock;
use crate::record::event::{Op, Space};
use crate::record::ring::{Call, Producer};
use crate::record::wire::Rec;

/// Null: off. Else the generation word of the recorder, which lives as long as the process.
static SWITCH: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

/// What `SWITCH`'s recorder writes to; set before the switch, never freed.
static SHARED: AtomicPtr<Shared> = AtomicPtr::new(ptr::null_mut());

/// Whether a recorder is on in this process.
///
/// Everything in this crate checks it by itself. It is for work that would only prepare a record.
///
/// ```
/// if loopscope::is_on() {
///     loopscope::mark!("queue", len = 12);
/// }
/// ```
#[inline(always)]
pub fn is_on() -> bool {
    !SWITCH.load(Ordering::Relaxed).is_null()
}

/// The wrappers record the calls they make; off while the preload shim in this process does it.
static CALLS: AtomicBool = AtomicBool::new(false);

/// Whether a wrapper records the call it makes. Off whenever the recorder is.
#[inline(always)]
pub(super) fn records_calls() -> bool {
    CALLS.load(Ordering::Relaxed)
}

/// Turns the hooks on; `calls`: those too that record system calls. `shared` lives for ever.
pub(super) fn switch_on(shared: &'static Shared, calls: bool) {
    SHARED.store(ptr::from_ref(shared).cast_mut(), Ordering::Relaxed);
    // Release: pairs with the Acquire in `claim`, which then sees SHARED and what it points to.
    SWITCH.store(
        ptr::from_ref(shared.generation()).cast_mut(),
        Ordering::Release,
    );
    CALLS.store(calls, Ordering::Relaxed);
}

/// Turns the hooks off; a push that has begun in another thread may still end.
pub(super) fn switch_off() {
    CALLS.store(false, Ordering::Relaxed);
    SWITCH.store(ptr::null_mut(), Ordering::Relaxed);
}

/// Rings a thread remembers: a signal handler may claim a new one while it interrupts a push into the old one.
const REMEMBERED: usize = 4;

struct Thread {
    /// The generation in which the newest of `rings` was claimed; 0: none.
    generation: Cell<u32>,
    clock: Cell<Clock>,
    newest: Cell<usize>,
    rings: [UnsafeCell<Option<Producer>>; REMEMBERED],
    /// The epoll descriptor this thread waited on or ran a handler of last, −1: none.
    epfd: Cell<RawFd>,
    /// The descriptor whose blocking call returned last, and whose run is open; −1: none.
    single: Cell<RawFd>,
    /// The innermost open span, 0: none.
    span: Cell<u64>,
}

thread_local! {
    static THREAD: Thread = const {
        Thread {
            generation: Cell::new(0),
            clock: Cell::new(Clock::Monotonic),
            newest: Cell::new(0),
            rings: [const { UnsafeCell::new(None) }; REMEMBERED],
            epfd: Cell::new(-1),
            single: Cell::new(-1),
            span: Cell::new(0),
        }
    };
}

const _: () = assert!(
    !std::mem::needs_drop::<Thread>(),
    "the state must work in TLS destructors"
);

/// The calling thread's way into the recording, for the length of one hook.
pub(super) struct Here {
    ring: *const Producer,
    clock: Clock,
    /// Which recording of this process this is; names and sites are told once in each.
    pub(super) generation: u32,
}

/// The calling thread's ring, claimed if need be; nothing when the recorder is off.
#[inline(always)]
pub(super) fn here() -> Option<Here> {
    let word = SWITCH.load(Ordering::Relaxed);
    if word.is_null() {
        return None;
    }
    // SAFETY: the switch is null or points to a word that `switch_on` was given for ever.
    let generation = unsafe { &*word }.load(Ordering::Relaxed);
    THREAD.with(|thread| {
        if thread.generation.get() != generation || generation == 0 {
            return claim(thread);
        }
        // SAFETY: only `claim` writes a ring, to the one after the newest, on this thread; a signal handler would
        // have to claim `REMEMBERED` times inside one hook to get round to this one.
        let ring = unsafe { &*thread.rings[thread.newest.get() % REMEMBERED].get() };
        Some(Here {
            ring: ptr::from_ref(ring.as_ref()?),
            clock: thread.clock.get(),
            generation,
        })
    })
}

#[cold]
fn claim(thread: &Thread) -> Option<Here> {
    // Acquire: pairs with the Release in `switch_on`.
    if SWITCH.load(Ordering::Acquire).is_null() {
        return None;
    }
    // SAFETY: set before the switch to a reference that lives for ever.
    let shared = unsafe { SHARED.load(Ordering::Relaxed).as_ref() }?;
    if shared.segment().ended() {
        switch_off();
        return None;
    }
    let generation = shared.adopt();
    let producer = shared.claim();
    let next = (thread.newest.get() + 1) % REMEMBERED;
    // SAFETY: see `here`; nobody on this thread holds the ring after the newest.
    let slot = unsafe { &mut *thread.rings[next].get() };
    let ring = ptr::from_ref(slot.insert(producer));
    let clock = shared.segment().clock();
    thread.clock.set(clock);
    thread.newest.set(next);
    thread.generation.set(generation);
    Some(Here {
        ring,
        clock,
        generation,
    })
}

/// A quarter of a ring is full since the last time: a collector that sleeps is woken, since in a burst after a silence
/// its next look may come too late. That is the one system call of a push, at most once for each time it lies down.
pub(super) fn quarter(full: u64) {
    // SAFETY: null or a reference that lives for ever.
    let Some(shared) = (unsafe { SHARED.load(Ordering::Relaxed).as_ref() }) else {
        return;
    };
    if full >= 64
        && let Some(bell) = shared.segment().bell().must_wake()
    {
        super::address::keeping_errno(|| {
            // SAFETY: a word of the mapped segment; waking touches no memory.
            unsafe { libc::syscall(libc::SYS_futex, bell, libc::FUTEX_WAKE, 1) }
        });
    }
}

impl Here {
    #[inline(always)]
    fn ring(&self) -> &Producer {
        // SAFETY: points into the calling thread's own state (see `here`); `Here` cannot leave the thread because a
        // raw pointer is not Send, and no hook keeps it longer than its own call.
        unsafe { &*self.ring }
    }

    /// Now, in the ring's ticks.
    #[inline(always)]
    pub(super) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Pushes one record; `false` if it was dropped, which the ring counts.
    #[inline(always)]
    pub(super) fn push(&self, record: &Rec) -> bool {
        self.ring().push(record)
    }

    /// Pushes one record with a text.
    #[inline]
    pub(super) fn push_text(&self, record: &Rec, text: &[u8]) -> bool {
        self.ring().push_text(record, text)
    }

    /// Pushes `first` and `n` more under one reservation: all or none.
    #[inline]
    pub(super) fn push_batch(
        &self,
        first: &Rec,
        n: usize,
        member: impl FnMut(usize) -> Rec,
    ) -> bool {
        self.ring().push_batch(first, n, member)
    }

    /// Says that this thread enters a call that may never return; gives the call it was inside of.
    #[inline(always)]
    pub(super) fn enter(&self, op: Op, fd: RawFd, ticks: u64) -> Call {
        self.ring().set_call(Call::new(op, 0, fd, ticks))
    }

    /// Says that it is back in the call around it, usually none.
    #[inline(always)]
    pub(super) fn leave(&self, around: Call) {
        self.ring().restore_call(around);
    }

    /// The id of a call site.
    #[inline(always)]
    pub(super) fn site(&self, at: &'static Location<'static>) -> u16 {
        site::id(self, at)
    }

    /// The id of a name.
    #[inline]
    pub(super) fn name(&self, space: Space, name: &'static str) -> i32 {
        name::id(self, space, name)
    }

    /// The epoll descriptor whose handlers this thread runs, −1 if it runs none.
    pub(super) fn epfd(&self) -> RawFd {
        THREAD.with(|thread| thread.epfd.get())
    }

    /// This thread now runs handlers of `epfd`.
    #[inline(always)]
    pub(super) fn set_epfd(&self, epfd: RawFd) {
        THREAD.with(|thread| thread.epfd.set(epfd));
    }

    /// This thread now serves the one descriptor its blocking call was on, −1: none. Gives the one before.
    #[inline(always)]
    pub(super) fn serve(&self, fd: RawFd) -> RawFd {
        THREAD.with(|thread| thread.single.replace(fd))
    }

    /// The descriptor it serves like that.
    #[inline(always)]
    pub(super) fn serves(&self) -> RawFd {
        THREAD.with(|thread| thread.single.get())
    }

    /// Opens a span and returns the one around it.
    pub(super) fn replace_span(&self, span: u64) -> u64 {
        THREAD.with(|thread| thread.span.replace(span))
    }
}

/// Makes `span` the innermost open one again; needs no ring.
pub(super) fn restore_span(span: u64) {
    THREAD.with(|thread| thread.span.set(span));
}
