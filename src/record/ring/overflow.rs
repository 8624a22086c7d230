//! Writing to the overflow ring, which all threads without a ring of their own share. Step: event → **ring**.
//!
//! Many writers make the plain reservation unsafe to give up on: a slot that stays uncommitted may belong to a
//! killed process or to a stopped one that will still write. So a writer first puts its tid and the number of slots
//! into word 0 of the front slot ([`wire::Head::claim`], by compare-and-swap), and only then is the head moved, by it
//! or by whoever comes next. Every reserved slot has a name on it; the collector skips those of the dead only.
//! Lock-free; a signal handler that interrupts a claim finishes it and makes its own.
//!
//! Each record carries `who` (`tid | pid << 32`) in its payload and so takes at least two slots.

use super::super::event::Cause;
use super::super::sync::Ordering;
use super::super::wire::{self, Head, Payload, Rec};
use super::producer::{lost_marker, write_front, write_part};
use super::{Memory, control};

/// Pushes a record with a text; `false` if it was dropped and counted.
#[cold]
pub(super) fn push(ring: &Memory, who: u64, r: &Rec, text: &[u8]) -> bool {
    let front = wire::front(r);
    let (payload, was_cut) = Payload::new(Some(who), front.y, text);
    let slots = 1 + payload.parts() as u64;
    let Some(position) = reserve(ring, who, slots, 1, r.ticks) else {
        return false;
    };
    write(ring, position, front.words, &payload, was_cut);
    true
}

/// Pushes `first` and `n` members, all or none.
#[cold]
pub(super) fn push_batch(
    ring: &Memory,
    who: u64,
    first: &Rec,
    n: usize,
    member: &mut dyn FnMut(usize) -> Rec,
) -> bool {
    let (payload, _) = Payload::new(Some(who), None, &[]);
    let each = 1 + payload.parts() as u64;
    let records = 1 + n as u64;
    let Some(position) = reserve(ring, who, records * each, records, first.ticks) else {
        return false;
    };
    for i in (0..n).rev() {
        let at = position.wrapping_add((1 + i as u64) * each);
        write(ring, at, wire::member(&member(i)), &payload, false);
    }
    write(ring, position, wire::alone(first), &payload, false);
    true
}

/// Claims `n` slots, with a `Lost` record before them if there is loss to tell; or counts `records` as lost.
fn reserve(ring: &Memory, who: u64, n: u64, records: u64, ticks: u64) -> Option<u64> {
    let lost = ring.control(control::LOST);
    let told = ring.control(control::TOLD);
    let count = lost.load(Ordering::Relaxed);
    if told.load(Ordering::Relaxed) != count {
        // If two writers tell the same count the second adds nothing: the count is a running one.
        let (payload, _) = Payload::new(Some(who), None, &[]);
        if let Some(position) = claim(ring, who, 1 + payload.parts() as u64) {
            let marker = lost_marker(Cause::NoSlot, count, ticks);
            write(ring, position, wire::alone(&marker), &payload, false);
            told.store(count, Ordering::Relaxed);
        }
    }
    let position = claim(ring, who, n);
    if position.is_none() {
        lost.fetch_add(records, Ordering::Relaxed);
    }
    position
}

/// Claims `n` slots in a row, if there is room.
fn claim(ring: &Memory, who: u64, n: u64) -> Option<u64> {
    let head = ring.control(control::HEAD);
    loop {
        // Acquire: pairs with the Release in `advance`, so that the slot's word below is at least as new as that
        // claim.
        let position = head.load(Ordering::Acquire);
        // Acquire: pairs with the consumer's Release, as in `Producer::make_room`.
        let tail = ring.control(control::TAIL).load(Ordering::Acquire);
        let lap = ring.lap(position);
        let word = ring.slot(position, 0);
        // Acquire: pairs with the Release of the claim or commit that stands there.
        let before = Head(word.load(Ordering::Acquire));
        if before.lap() == lap {
            if before.kind() == wire::CLAIMED {
                // Somebody has claimed the slot and not yet moved the head.
                advance(ring, position, before.claimer().1);
            } else if head.load(Ordering::Relaxed) == position {
                // A committed record that the head has not passed: the memory was scribbled on. Do not spin on it.
                return None;
            }
            continue;
        }
        // Since the head was read the ring may have gone round, and what stands here be of a lap to come. Where the head has
        // not moved nobody had claimed the slot when its word was read; should anybody since, the exchange below fails.
        if head.load(Ordering::Relaxed) != position {
            continue;
        }
        let limit = tail.wrapping_add(ring.capacity());
        if (limit.wrapping_sub(position) as i64) < n as i64 || n > wire::MAX_CLAIM {
            return None;
        }
        let mine = Head::claim(lap, who as u32, n);
        // Release: pairs with the Acquire of `before` in another writer and in the consumer.
        if word
            .compare_exchange(before.0, mine.0, Ordering::Release, Ordering::Relaxed)
            .is_ok()
        {
            advance(ring, position, n);
            return Some(position);
        }
    }
}

fn advance(ring: &Memory, position: u64, slots: u64) {
    // Release: pairs with the Acquire load of the head in `claim`. Failing means that another has moved it.
    let _ = ring.control(control::HEAD).compare_exchange(
        position,
        position.wrapping_add(slots),
        Ordering::Release,
        Ordering::Relaxed,
    );
}

fn write(ring: &Memory, position: u64, words: [u64; 4], payload: &Payload, was_cut: bool) {
    let parts = payload.parts();
    for i in (0..parts).rev() {
        write_part(
            ring,
            position.wrapping_add(1 + i as u64),
            i,
            payload.part(i),
        );
    }
    write_front(ring, position, wire::with_parts(words, parts, was_cut));
}
