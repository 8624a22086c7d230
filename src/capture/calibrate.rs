//! What a push costs here: measured once a process on a ring of our own, with the clock a recorded program stamps with.
//! Views multiply it with the pushes they see. Step: event → **ring**.

use super::machine;
use crate::record::event::Kind;
use crate::record::segment::{Layout, Limit, Segment};
use crate::record::wire::Rec;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

/// Pushes a round, fewer than the ring has slots; the first rounds also warm the caches.
const ROUND: u64 = 512;
const ROUNDS: usize = 33;

const LAYOUT: Layout = Layout {
    large: 1,
    large_slots: 1024,
    small: 0,
    small_slots: 1,
    overflow_slots: 1,
};

/// Nanoseconds of a push, its clock read included: the median of many short rounds, taken when first asked for in less
/// than a millisecond. Nothing if no ring could be made.
pub fn push_ns() -> Option<f64> {
    static MEASURED: OnceLock<Option<f64>> = OnceLock::new();
    *MEASURED.get_or_init(measure)
}

fn measure() -> Option<f64> {
    let words = LAYOUT.words().ok()?;
    // Once a process and 36 KiB: a producer wants memory that stays.
    let page = 4096 / size_of::<AtomicU64>();
    let memory: &'static [AtomicU64] = (0..words as usize + page)
        .map(|_| AtomicU64::new(0))
        .collect::<Vec<_>>()
        .leak();
    let limits: &'static [Limit] = (0..LAYOUT.limits())
        .map(|_| Limit::default())
        .collect::<Vec<_>>()
        .leak();
    let aligned = memory.get(memory.as_ptr().align_offset(4096)..)?;
    let clock = machine::clock();
    // SAFETY: `aligned` is leaked memory of at least `words` words, and nobody else knows of it.
    let segment = unsafe { Segment::create(aligned.as_ptr(), words, LAYOUT, clock, 0) }.ok()?;
    let pid = std::process::id();
    let producer = segment.claim(pid, pid, limits)?;
    let mut consumers: Vec<_> = segment.consumers().collect();
    let mut rounds = [0.0; ROUNDS];
    for round in &mut rounds {
        let start = Instant::now();
        for i in 0..ROUND {
            let rec = Rec {
                kind: Kind::RunBegin,
                ticks: clock.now(),
                arg: i,
                ..Rec::default()
            };
            std::hint::black_box(producer.push(std::hint::black_box(&rec)));
        }
        *round = start.elapsed().as_nanos() as f64 / ROUND as f64;
        for consumer in &mut consumers {
            consumer.drain(|_| {});
        }
    }
    rounds.sort_by(f64::total_cmp);
    rounds.get(ROUNDS / 2).copied()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_push_costs_something_and_no_millisecond() {
        let ns = super::push_ns().unwrap();
        assert!(ns > 0.1 && ns < 1e6, "{ns}");
        assert_eq!(super::push_ns(), Some(ns));
    }
}
