//! The writing end: one thread and its signal handlers. Step: event → **ring**.
//!
//! A push never blocks, allocates or calls the kernel (a callback may wake the collector, once in a long sleep). What the fast path tests is one comparison: `limit`, the
//! first position this thread may not reserve, lives in memory that a fork wipes (MADV_WIPEONFORK), so that "the
//! ring has room as far as I know" and "I am still the process that claimed it" are the same question.

use super::super::event::{Cause, Kind, Op};
use super::super::sync::{self, Ordering};
use super::super::wire::{self, Payload, Rec};
use super::{Memory, control, overflow};
use core::sync::atomic::AtomicU64 as Local;

/// One thread's handle on its ring, or on the overflow ring. Neither `Send` nor `Clone`: the reservation is
/// unlocked, which only signal handlers of the same thread may interrupt.
#[derive(Debug)]
pub struct Producer {
    ring: Memory,
    /// First position not to be reserved without a look at the consumer's tail; 0 in a forked child and for the
    /// overflow ring.
    limit: &'static Local,
    /// `tid | pid << 32`.
    who: u64,
    shared: bool,
    /// Told whenever a quarter of the ring has been filled: how full it is, in 1/256.
    on_quarter: Option<fn(u64)>,
}

/// Always 0: the overflow ring has no fast path.
static NO_LIMIT: Local = Local::new(0);

/// The call a thread is inside of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    word: u64,
    ticks: u64,
}

impl Call {
    /// Packs the operation, its name id (0 unless [`Op::Named`]), descriptor and entry.
    #[inline(always)]
    pub fn new(op: Op, name: u32, fd: i32, ticks: u64) -> Self {
        Call {
            word: (op.code() as u64 & 0xff)
                | (name as u64 & 0xff_ffff) << 8
                | (fd as u32 as u64) << 32,
            ticks,
        }
    }

    /// From the words of a control block.
    pub fn from_words(word: u64, ticks: u64) -> Self {
        Call { word, ticks }
    }

    /// Operation, name id, descriptor and entry; nothing if it is no call this version knows.
    pub fn parts(self) -> Option<(Op, u32, i32, u64)> {
        let op = Op::from_code(self.word as u16 & 0xff)?;
        Some((
            op,
            (self.word >> 8) as u32 & 0xff_ffff,
            (self.word >> 32) as i32,
            self.ticks,
        ))
    }
}

impl Producer {
    /// The writing end of a ring this thread has just [claimed](Memory::claim); `limit` is this thread's alone and 0
    /// in any other process.
    pub fn own(ring: Memory, limit: &'static Local, who: u64) -> Self {
        // Acquire: pairs with the Release by which the collector's last drain gave the slots back.
        let tail = ring.control(control::TAIL).load(Ordering::Acquire);
        // As far as there is certainly room; a quarter of the ring on it is time to look again.
        let head = ring.control(control::HEAD).load(Ordering::Relaxed);
        let end = tail.wrapping_add(ring.capacity());
        let quarter = head.wrapping_add(ring.capacity() / 4);
        let first = match (end.wrapping_sub(quarter) as i64) < 0 {
            true => end,
            false => quarter,
        };
        limit.store(first, Ordering::Relaxed);
        Producer {
            ring,
            limit,
            who,
            shared: false,
            on_quarter: None,
        }
    }

    /// The same, which tells `on_quarter` how full the ring is, in 1/256, whenever a quarter of it has been filled since.
    /// It runs inside a push, and must not push.
    pub fn with_quarter(self, on_quarter: fn(u64)) -> Self {
        Producer {
            on_quarter: Some(on_quarter),
            ..self
        }
    }

    /// Slots of the ring.
    pub fn capacity(&self) -> u64 {
        self.ring.capacity()
    }

    /// The writing end of the overflow ring.
    pub fn shared(ring: Memory, who: u64) -> Self {
        Producer {
            ring,
            limit: &NO_LIMIT,
            who,
            shared: true,
            on_quarter: None,
        }
    }

    /// Pushes a record; `false` if it was dropped, which the ring has counted, or if this process is a
    /// [fork](Producer::is_foreign) of the one that claimed the ring.
    #[inline(always)]
    pub fn push(&self, r: &Rec) -> bool {
        let front = wire::front(r);
        if let Some(y) = front.y {
            return self.push_with_y(r, front.words, y);
        }
        let position = match self.reserve(1) {
            Some(position) => position,
            None => match self.make_room(1, 1, r.ticks) {
                Some(position) => position,
                None => return self.push_shared(r),
            },
        };
        self.write(position, front.words);
        true
    }

    fn push_with_y(&self, r: &Rec, words: [u64; 4], y: u64) -> bool {
        let Some(position) = self.reserve(2).or_else(|| self.make_room(2, 1, r.ticks)) else {
            return self.push_shared(r);
        };
        write_part(&self.ring, position.wrapping_add(1), 0, wire::only_y(y));
        self.write(position, wire::with_parts(words, 1, false));
        true
    }

    /// Pushes a record with a text, cut to 256 bytes.
    #[inline(never)]
    pub fn push_text(&self, r: &Rec, text: &[u8]) -> bool {
        let front = wire::front(r);
        if text.is_empty() && front.y.is_none() {
            return self.push(r);
        }
        if self.shared {
            return overflow::push(&self.ring, self.who, r, text);
        }
        let (payload, was_cut) = Payload::new(None, front.y, text);
        let parts = payload.parts();
        let slots = 1 + parts as u64;
        let Some(position) = self
            .reserve(slots)
            .or_else(|| self.make_room(slots, 1, r.ticks))
        else {
            return false;
        };
        for i in (0..parts).rev() {
            write_part(
                &self.ring,
                position.wrapping_add(1 + i as u64),
                i,
                payload.part(i),
            );
        }
        self.write(position, wire::with_parts(front.words, parts, was_cut));
        true
    }

    /// Pushes `first` and `n` records that belong to it, all or none. Each is one slot: a `y` that needs a second
    /// slot is left out.
    #[inline]
    pub fn push_batch(&self, first: &Rec, n: usize, mut member: impl FnMut(usize) -> Rec) -> bool {
        if self.shared {
            return overflow::push_batch(&self.ring, self.who, first, n, &mut member);
        }
        let slots = 1 + n as u64;
        let Some(position) = self
            .reserve(slots)
            .or_else(|| self.make_room(slots, slots, first.ticks))
        else {
            return false;
        };
        for i in (0..n).rev() {
            self.write(
                position.wrapping_add(1 + i as u64),
                wire::member(&member(i)),
            );
        }
        self.write(position, wire::alone(first));
        true
    }

    /// This process is a forked child of the one that claimed the ring: nothing can be pushed, claim another.
    /// Never true of the overflow ring.
    pub fn is_foreign(&self) -> bool {
        !self.shared && self.limit.load(Ordering::Relaxed) == 0
    }

    /// The handle is the overflow ring's: no ring was free when it was made.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Notes the call the thread enters, so that it is known should the thread never return. Gives the call it was
    /// inside of, for [`Producer::restore_call`].
    #[inline(always)]
    pub fn set_call(&self, call: Call) -> Call {
        // In a forked child too the block is its parent's.
        if self.limit.load(Ordering::Relaxed) == 0 {
            return Call::default();
        }
        let (word, entered) = (
            self.ring.control(control::CALL),
            self.ring.control(control::ENTERED),
        );
        let before = Call {
            word: word.load(Ordering::Relaxed),
            ticks: entered.load(Ordering::Relaxed),
        };
        // Relaxed: the collector reads the pair when the thread is gone.
        entered.store(call.ticks, Ordering::Relaxed);
        word.store(call.word, Ordering::Relaxed);
        before
    }

    /// The thread has returned from its call.
    #[inline(always)]
    pub fn clear_call(&self) {
        if self.limit.load(Ordering::Relaxed) != 0 {
            self.ring.control(control::CALL).store(0, Ordering::Relaxed);
        }
    }

    /// The thread has returned from a nested call into `call`.
    #[inline(always)]
    pub fn restore_call(&self, call: Call) {
        self.set_call(call);
    }

    /// Says who the parent of this process is. Does nothing where no ring was free.
    pub fn tell_parent(&self, pid: u32) {
        if !self.shared && !self.is_foreign() {
            // Relaxed: the commit of the first record publishes it.
            self.ring
                .control(control::PARENT)
                .store(pid as u64, Ordering::Relaxed);
        }
    }

    /// The thread ends: once drained, the ring is free for another. Does nothing in a forked child.
    pub fn retire(self) {
        if !self.shared && !self.is_foreign() {
            // Release: pairs with the Acquire of `Consumer::retired`, after which a drain sees every record.
            self.ring
                .control(control::RETIRED)
                .store(1, Ordering::Release);
        }
    }

    /// Reserves `n` slots if the ring has room as far as this thread knows.
    #[inline(always)]
    fn reserve(&self, n: u64) -> Option<u64> {
        let head = self.ring.control(control::HEAD);
        // Relaxed: only this thread and its signal handlers write the two words.
        let position = head.load(Ordering::Relaxed);
        let room = self.limit.load(Ordering::Relaxed).wrapping_sub(position) as i64;
        if room < n as i64 || !sync::replace_local(head, position, position.wrapping_add(n)) {
            return None;
        }
        Some(position)
    }

    #[cold]
    fn push_shared(&self, r: &Rec) -> bool {
        self.shared && overflow::push(&self.ring, self.who, r, &[])
    }

    /// The slow path: looks at the consumer's tail, tells what was lost before, or counts `records` as lost.
    #[cold]
    #[inline(never)]
    fn make_room(&self, n: u64, records: u64, ticks: u64) -> Option<u64> {
        if self.shared || self.is_foreign() {
            return None;
        }
        let head = self.ring.control(control::HEAD);
        let lost = self.ring.control(control::LOST);
        let told = self.ring.control(control::TOLD);
        if let Some(on_quarter) = self.on_quarter {
            // Acquire: as below.
            let tail = self.ring.control(control::TAIL).load(Ordering::Acquire);
            let used = head.load(Ordering::Relaxed).wrapping_sub(tail);
            on_quarter(used.saturating_mul(256) / self.ring.capacity());
        }
        loop {
            // Acquire: pairs with the consumer's Release; its reads of the slots are over before they are reused.
            let tail = self.ring.control(control::TAIL).load(Ordering::Acquire);
            let position = head.load(Ordering::Relaxed);
            let count = lost.load(Ordering::Relaxed);
            let untold = (count != told.load(Ordering::Relaxed)) as u64;
            let limit = tail.wrapping_add(self.ring.capacity());
            if (limit.wrapping_sub(position) as i64) < (n + untold) as i64 {
                sync::add_local(lost, records);
                // "Full as far as I know" sends the next push here, where it tells of this loss. A handler that
                // pushes between the two lines is told of by the push after it, which is as true.
                self.limit.store(position, Ordering::Relaxed);
                return None;
            }
            // A quarter of the ring on it is time to look again, room or not.
            let quarter = position.wrapping_add(n + untold + self.ring.capacity() / 4);
            let next = match (limit.wrapping_sub(quarter) as i64) < 0 {
                true => limit,
                false => quarter,
            };
            self.limit.store(next, Ordering::Relaxed);
            if sync::replace_local(head, position, position.wrapping_add(n + untold)) {
                if untold == 1 {
                    self.write(
                        position,
                        wire::alone(&lost_marker(Cause::RingFull, count, ticks)),
                    );
                    told.store(count, Ordering::Relaxed);
                }
                return Some(position.wrapping_add(untold));
            }
            // A signal handler pushed in between: look again.
        }
    }

    /// Writes a front slot and commits it.
    #[inline(always)]
    fn write(&self, position: u64, words: [u64; 4]) {
        write_front(&self.ring, position, words);
    }
}

/// The record that tells how many were lost so far.
pub(super) fn lost_marker(cause: Cause, count: u64, ticks: u64) -> Rec {
    Rec {
        kind: Kind::Lost,
        aux: cause.code(),
        ticks,
        arg: count,
        ..Rec::default()
    }
}

/// Writes a front slot and commits it.
#[inline(always)]
pub(super) fn write_front(ring: &Memory, position: u64, words: [u64; 4]) {
    ring.slot(position, 1).store(words[1], Ordering::Relaxed);
    ring.slot(position, 2).store(words[2], Ordering::Relaxed);
    ring.slot(position, 3).store(words[3], Ordering::Relaxed);
    // Release: pairs with the Acquire in `Consumer::drain`, which then sees the words above and, for a record of
    // several slots or a batch, everything behind it.
    ring.slot(position, 0)
        .store(words[0] | ring.lap(position) as u64, Ordering::Release);
}

/// Writes continuation slot `i` (from 0). Relaxed: the front slot's Release publishes it.
pub(super) fn write_part(ring: &Memory, position: u64, i: usize, words: [u64; 3]) {
    for (word, value) in (1..).zip(words) {
        ring.slot(position, word).store(value, Ordering::Relaxed);
    }
    ring.slot(position, 0).store(
        wire::part_word(i) | ring.lap(position) as u64,
        Ordering::Relaxed,
    );
}
