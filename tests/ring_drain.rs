//! From rings to events through the collector's own step: every record that was pushed is received or counted as
//! lost, exactly, and comes out in order.

mod ring_common;

use loopscope::capture::drain::Drain;
use loopscope::record::event::{Cause, Event, Kind, flags};
use loopscope::record::ring::Producer;
use loopscope::record::segment::Layout;
use loopscope::record::wire::Rec;
use ring_common::{Heap, tid, tiny};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Checks what every recording promises, and counts.
#[derive(Default)]
struct Check {
    events: u64,
    /// Marks received, by thread.
    marks: HashMap<u32, u64>,
    lost: u64,
    lost_by: HashMap<u16, u64>,
    started: Vec<u32>,
    ended: Vec<u32>,
    late: u64,
    t: u64,
    /// The last number each thread pushed.
    last: HashMap<u32, u64>,
}

impl Check {
    fn see(&mut self, e: &Event, _text: &[u8]) {
        assert!(
            e.t >= self.t,
            "time runs backwards at event {}",
            self.events
        );
        self.t = e.t;
        self.events += 1;
        self.late += (e.flags & flags::LATE != 0) as u64;
        match e.kind {
            Kind::ThreadStart => {
                assert_eq!(e.thread as usize, self.started.len() + 1);
                self.started.push(e.thread);
            }
            Kind::ThreadEnd => self.ended.push(e.thread),
            Kind::Lost => {
                self.lost += e.arg;
                *self.lost_by.entry(e.aux).or_default() += e.arg;
            }
            Kind::Mark => {
                assert!(self.started.contains(&e.thread));
                *self.marks.entry(e.thread).or_default() += 1;
                // A thread's own numbers come in order, whatever was lost between them.
                let last = self.last.insert(e.thread, e.arg);
                assert!(
                    last.is_none_or(|last| last < e.arg),
                    "thread {} out of order",
                    e.thread
                );
            }
            _ => {}
        }
    }
    fn received(&self) -> u64 {
        self.marks.values().sum()
    }
}

fn mark(n: u64) -> Rec {
    Rec {
        kind: Kind::Mark,
        arg: n,
        ticks: loopscope::record::clock::Clock::Monotonic.now(),
        ..Rec::default()
    }
}

fn finish(drain: Drain, check: &mut Check) {
    let counts = drain.finish(|e, text| check.see(e, text));
    assert_eq!(counts.events, check.events);
    assert_eq!(counts.records, check.received());
    assert_eq!(counts.lost(), check.lost);
    assert_eq!(counts.late, check.late);
}

/// Pushes `n` marks and says how many the ring took.
fn push_all(producer: &Producer, n: u64) -> u64 {
    (0..n).filter(|i| producer.push(&mark(*i))).count() as u64
}

#[test]
fn four_threads_a_million_each_and_a_collector_that_stops() {
    let (heap, mut drain) = Heap::drained(Layout::default());
    let running = AtomicU64::new(4);
    let accepted = AtomicU64::new(0);
    let mut check = Check::default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let producer = heap.claim(tid()).expect("a free ring");
                accepted.fetch_add(push_all(&producer, 1_000_000), Ordering::Relaxed);
                running.fetch_sub(1, Ordering::Release);
                while running.load(Ordering::Acquire) != 0 {
                    std::thread::yield_now();
                }
            });
        }
        // A few passes, then none until everybody is through: the rings fill up and stay full.
        for _ in 0..20 {
            drain.pass(|e, text| check.see(e, text));
        }
        while running.load(Ordering::Acquire) != 0 {
            std::thread::yield_now();
        }
    });
    finish(drain, &mut check);
    assert_eq!(check.received(), accepted.load(Ordering::Relaxed));
    assert_eq!(check.received() + check.lost, 4_000_000);
    assert!(check.lost > 0, "a stopped collector loses something");
    assert_eq!(
        check.lost_by.get(&Cause::RingFull.code()),
        Some(&check.lost)
    );
}

#[test]
fn ten_thousand_short_lived_threads() {
    let layout = Layout {
        small: 4,
        small_slots: 64,
        ..tiny()
    };
    let (heap, mut drain) = Heap::drained(layout);
    let done = AtomicBool::new(false);
    let accepted = AtomicU64::new(0);
    let mut check = Check::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..1250 {
                std::thread::scope(|inner| {
                    for i in 0..8 {
                        let (heap, accepted) = (&heap, &accepted);
                        inner.spawn(move || {
                            let me = tid();
                            let producer = heap
                                .claim(me)
                                .unwrap_or_else(|| heap.segment.overflow(me, heap.pid));
                            accepted.fetch_add(push_all(&producer, 10), Ordering::Relaxed);
                            // Half of them end without a word.
                            if (round + i) % 2 == 0 {
                                producer.retire();
                            }
                        });
                    }
                });
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            drain.pass(|e, text| check.see_short_lived(e, text));
        }
    });
    // Every thread is gone; those that said nothing are noticed.
    while heap.owned() > 0 {
        drain.pass(|e, text| check.see_short_lived(e, text));
        std::thread::sleep(Duration::from_millis(1));
    }
    let counts = drain.finish(|e, text| check.see_short_lived(e, text));
    assert_eq!(counts.records, accepted.load(Ordering::Relaxed));
    assert_eq!(counts.records + counts.lost(), 100_000);
    assert_eq!(check.received(), counts.records);
    assert!(check.started.len() <= 10_000);
}

impl Check {
    /// The same, but a tid that is reused before its first thread's end was noticed pushes its numbers again.
    fn see_short_lived(&mut self, e: &Event, text: &[u8]) {
        self.last.clear();
        self.see(e, text);
    }
}

#[test]
fn records_of_many_rings_come_in_the_order_of_their_stamps() {
    let (heap, mut drain) = Heap::drained(tiny());
    let a = heap.claim(tid()).expect("a free ring");
    let b = heap.claim_as(heap.pid, heap.pid);
    let mut check = Check::default();
    let mut order = Vec::new();
    for i in 0..10 {
        let (one, other) = if i % 2 == 0 { (&a, &b) } else { (&b, &a) };
        assert!(one.push(&mark(2 * i)));
        assert!(other.push(&mark(2 * i + 1)));
        drain.pass(|e, text| {
            check.last.clear();
            check.see(e, text);
            if e.kind == Kind::Mark {
                order.push(e.arg);
            }
        });
    }
    drain.finish(|e, _| {
        if e.kind == Kind::Mark {
            order.push(e.arg);
        }
    });
    assert_eq!(order, (0..20).collect::<Vec<_>>());
    assert_eq!(check.late, 0);
}

#[test]
fn a_thread_that_claims_again_leaves_its_old_ring() {
    let (heap, mut drain) = Heap::drained(tiny());
    let mut check = Check::default();
    // As after an exec: the same thread id, a ring of the image before.
    for n in 0..20 {
        let producer = heap
            .claim(heap.pid)
            .expect("the ring it left is free again");
        assert!(producer.push(&mark(n)));
        while heap.owned() > 1 {
            drain.pass(|e, text| check.see(e, text));
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    finish(drain, &mut check);
    assert_eq!(check.received(), 20);
    assert_eq!((check.started.as_slice(), check.ended.len()), (&[1][..], 0));
}
