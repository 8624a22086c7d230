//! What a fuzzer drives: ring memory full of anything, drained and merged. Step: **ring → trace**.
//!
//! The recorded program owns the ring's memory; whatever it writes there, the collector must not panic, must stop,
//! and must write no more than the rings can hold.
#![allow(clippy::missing_panics_doc)] // a panic is what the fuzzer looks for

use crate::record::clock::{Anchor, Clock, Converter};
use crate::record::event::Cause;
use crate::record::ring::{CONTROL_WORDS, Consumer, Memory, Stop};
use crate::record::wire::SLOT_WORDS;
use crate::trace::merge::Merge;
use std::sync::atomic::{AtomicU64, Ordering};

const SLOTS: u64 = 32;
const RING: usize = (CONTROL_WORDS + SLOTS * SLOT_WORDS) as usize;

/// Two rings, the second an overflow ring. The bytes are words to write and where (nine bytes: place, value);
/// between every few of them the collector makes a pass.
pub fn fuzz_ring(data: &[u8]) {
    let words: Vec<AtomicU64> = (0..2 * RING).map(|_| AtomicU64::new(0)).collect();
    let mut consumers: Vec<Consumer> = words
        .chunks(RING)
        .enumerate()
        .map(|(at, ring)| {
            let slots = &raw const ring[CONTROL_WORDS as usize];
            // SAFETY: each chunk holds a control block and that many slots, and outlives the consumers.
            let memory = unsafe { Memory::new(ring.as_ptr().cast(), slots.cast(), SLOTS) };
            Consumer::new(memory, at == 1)
        })
        .collect();
    let start = Anchor {
        ticks: 1000,
        ..Anchor::default()
    };
    let mut merge = Merge::new(2, Converter::new(Clock::Monotonic, start, start));
    let mut now = start.ticks;
    let mut t = 0;
    let mut sink = |e: &crate::record::Event, text: &[u8]| {
        assert!(e.t >= t && text.len() <= crate::record::event::MAX_TEXT);
        t = e.t;
    };
    for step in data.chunks(9 * 4) {
        for write in step.chunks(9) {
            let mut value = [0; 8];
            value[..write.len() - 1].copy_from_slice(&write[1..]);
            // The place counts in quarters of a ring's words, so that one byte reaches all of them.
            let place = write[0] as usize * words.len() / 256 + value[7] as usize % 2;
            words[place % words.len()].store(u64::from_le_bytes(value), Ordering::Relaxed);
        }
        let before = now;
        now += 100;
        for (at, consumer) in consumers.iter_mut().enumerate() {
            let owner = consumer.owner();
            let mut handed_out = 0;
            let dead = consumer.retired() && at == 0;
            let each = |r: &crate::record::ring::Record<'_>| {
                handed_out += 1;
                merge.collect(at, owner | r.who, &r.rec, r.text, now, &mut ());
            };
            let done = if dead {
                consumer.drain_dead(each)
            } else {
                consumer.drain(each)
            };
            assert!(
                done.slots <= SLOTS && handed_out == done.records && done.records <= done.slots
            );
            merge.settle_lost(
                at,
                Some(owner),
                Cause::RingFull,
                consumer.lost(),
                now,
                &mut (),
            );
            merge.in_call(owner, consumer.call(), now, &mut ());
            if matches!(done.stop, Stop::Claimed { .. }) {
                consumer.skip_claim();
            }
            if dead {
                merge.thread_ended(owner, now);
                consumer.free();
            }
        }
        merge.release(before, &mut sink);
    }
    merge.release(u64::MAX, &mut sink);
    assert!(!merge.holds_any());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::event::Kind;
    use crate::record::wire::{self, Rec};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn any_memory_is_survived(data in prop::collection::vec(any::<u8>(), 0..4000)) {
            fuzz_ring(&data);
        }

        /// Words that look like committed records: the laps are right, the rest is anything.
        #[test]
        fn almost_right_memory_is_survived(
            slots in prop::collection::vec((0u8..128, 0u64..4, any::<u64>(), any::<[u64; 3]>()), 0..200)
        ) {
            let mut data = Vec::new();
            for (place, lap, word, rest) in slots {
                let mut put = |place: u8, value: u64| {
                    data.push(place);
                    data.extend(value.to_le_bytes());
                };
                put(place, word & !0xffff | lap);
                rest.iter().for_each(|value| put(place.wrapping_add(1), *value));
            }
            fuzz_ring(&data);
        }

        #[test]
        fn every_record_comes_back(
            kind in 0..Kind::ALL.len(), ticks: u64, arg: u64, y: Option<u64>, fd: i32, x: i32, aux: u16, site: u16
        ) {
            let kind = Kind::ALL[kind];
            // An `Io` always has its duration, both clipped to what one slot holds.
            let io = kind == Kind::Io;
            let rec = Rec {
                kind, ticks, fd, x, aux, site, flags: 0,
                arg: if io { arg & 0xffff_ffff } else { arg },
                y: if io { Some(y.unwrap_or(0) & 0xffff_ffff) } else { None },
            };
            prop_assert_eq!(wire::unfront(wire::front(&rec).words), Ok(rec));
        }

        #[test]
        fn every_payload_comes_back(who: Option<u64>, y: Option<u64>, text in prop::collection::vec(any::<u8>(), 0..400)) {
            let (payload, was_cut) = wire::Payload::new(who, y, &text);
            let mut back = wire::Payload::empty();
            for i in 0..payload.parts() {
                back.push_part(payload.part(i));
            }
            let (got_who, got_y, got) = back.read(who.is_some(), y.is_some()).expect("what was written");
            prop_assert_eq!((got_who, got_y), (who.unwrap_or(0), y));
            prop_assert!(text.starts_with(got) && (got.len() >= 253 || got.len() == text.len()));
            prop_assert_eq!(was_cut, got.len() < text.len());
        }

        /// The fields of a mark, from any bytes: no panic, and what is read can be written again.
        #[test]
        fn any_fields_are_read(text in prop::collection::vec(any::<u8>(), 0..256)) {
            let mut again = crate::record::fields::Fields::new();
            for (key, value) in crate::record::fields::decode(&text) {
                again.add(key, value);
            }
            prop_assert!(!again.is_cut() || text.len() > 200);
        }
    }
}
