//! The collector drains while the program scribbles over the whole segment: it neither panics, nor spins, nor writes
//! more than rings can hold.

mod ring_common;

use loopscope::record::segment::Layout;
use ring_common::{Heap, length, tid, tiny};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// xorshift64*: Marsaglia, "Xorshift RNGs", 2003.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// A word that tempts: a lap that fits, a kind that exists, a count that does not.
fn tempting(random: &mut Random, around: u64) -> u64 {
    let r = random.next();
    match r % 8 {
        0 => r,
        1 => u64::MAX,
        2 => around,
        3 => around.wrapping_add(1 << 16),
        _ => {
            (r & !0xffff_ffff)
                | ((r >> 8 & 0xf0) | (random.next() % 16)) << 24
                | (r % 48) << 16
                | (around & 0xffff)
        }
    }
}

#[test]
fn scribbling_on_the_rings_harms_nobody_else() {
    let layout = Layout {
        small: 4,
        small_slots: 64,
        ..tiny()
    };
    let capacity = 16 + 4 * 64 + 32;
    let (heap, mut drain) = Heap::drained(layout);
    let done = AtomicBool::new(false);
    let written = AtomicU64::new(0);
    let passes = length(20_000);
    let mut events = 0u64;
    let mut t = 0;
    let before = resident_bytes();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let producer = heap.claim(tid()).expect("a free ring");
            let mut random = Random(0x9e37_79b9_7f4a_7c15);
            while !done.load(Ordering::Relaxed) {
                let at = random.next() as usize % heap.words.len();
                let around = heap.words[at].load(Ordering::Relaxed);
                let mut value = tempting(&mut random, around);
                // An owner's word may be anything, but every name in it is looked up in /proc: keep to a few.
                if value >> 32 != 0 && at < 512 + 32 * 8 && at.is_multiple_of(32) {
                    value &= 0x3f_0000_003f;
                }
                heap.words[at].store(value, Ordering::Relaxed);
                producer.push_text(&Default::default(), b"an honest record among them");
                written.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut seen = 0;
        for _ in 0..passes {
            // Each pass finds some scribbles more.
            while written.load(Ordering::Relaxed) < seen + 20 {
                std::thread::yield_now();
            }
            seen = written.load(Ordering::Relaxed);
            let pass = drain.pass(|e, text| {
                assert!(e.t >= t && text.len() <= 256);
                t = e.t;
                events += 1;
            });
            assert!(pass.records <= capacity, "more records than slots");
        }
        done.store(true, Ordering::Relaxed);
    });
    drain.finish(|_, _| events += 1);
    // A record, its thread's and process's start and end, and what was damaged: a handful of events a slot.
    assert!(events <= passes * capacity * 8, "{events} events");
    assert!(events > 0);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "grew by {grown} bytes");
}

/// Memory of this process that is in use.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("a mounted /proc");
    let pages = statm.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok());
    pages.expect("the second field is a number") * 4096
}
