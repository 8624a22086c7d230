//! The ring under every interleaving and every weak-memory outcome that loom knows, with small bounds.
//!
//!     RUSTFLAGS="--cfg loom" cargo test --release --no-default-features --test loom_ring
//!
//! Under loom the unlocked instructions are compare-and-swaps, so a second thread on one ring stands for a signal
//! handler: it does everything a handler can do to the push it interrupts, and more.
#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::AtomicU64;
use loom::thread;
use loopscope::record::event::Kind;
use loopscope::record::ring::{CONTROL_WORDS, Consumer, Memory, Producer, control, first_position};
use loopscope::record::wire::Rec;

/// A ring of `CAPACITY` slots on loom's atomics.
struct Heap {
    words: Vec<AtomicU64>,
    capacity: u64,
}

impl Heap {
    fn new(capacity: u64) -> Arc<Heap> {
        let words: Vec<_> = (0..CONTROL_WORDS + 4 * capacity)
            .map(|_| AtomicU64::new(0))
            .collect();
        let start = first_position(capacity);
        for word in [control::HEAD, control::TAIL] {
            words[word as usize].store(start, loom::sync::atomic::Ordering::Relaxed);
        }
        Arc::new(Heap { words, capacity })
    }
    fn memory(&self) -> Memory {
        let slots = &self.words[CONTROL_WORDS as usize];
        // SAFETY: the vector holds as many words as the capacity needs and is never resized; every thread that uses
        // the result keeps the `Arc`.
        unsafe { Memory::new(self.words.as_ptr(), slots, self.capacity) }
    }
    fn own(&self) -> Producer {
        Producer::own(self.memory(), Box::leak(Box::default()), 1)
    }
}

fn mark(n: u64) -> Rec {
    Rec {
        kind: Kind::Mark,
        arg: n,
        ticks: n,
        ..Rec::default()
    }
}

/// Drains, keeping the numbers; loss markers apart.
fn drain(consumer: &mut Consumer, got: &mut Vec<u64>, told: &mut u64) {
    let done = consumer.drain(|r| {
        if r.rec.kind == Kind::Lost {
            *told = r.rec.arg;
        } else {
            assert_eq!(r.rec.ticks, r.rec.arg, "a torn record");
            got.push(r.rec.arg);
        }
    });
    assert_eq!((done.rejected, done.newer, done.torn), (0, 0, 0));
}

#[test]
fn a_small_ring_loses_and_counts_and_keeps_order() {
    loom::model(|| {
        let heap = Heap::new(2);
        let theirs = heap.clone();
        let pushing = thread::spawn(move || {
            let producer = theirs.own();
            (1..=4).filter(|n| producer.push(&mark(*n))).count()
        });
        let mut consumer = Consumer::new(heap.memory(), false);
        let (mut got, mut told) = (Vec::new(), 0);
        drain(&mut consumer, &mut got, &mut told);
        let accepted = pushing.join().expect("the producer");
        drain(&mut consumer, &mut got, &mut told);
        assert_eq!(got.len(), accepted);
        assert!(got.is_sorted());
        assert_eq!(got.len() as u64 + consumer.lost(), 4);
        assert!(told <= consumer.lost());
    });
}

#[test]
fn a_batch_is_seen_whole_or_not_at_all() {
    loom::model(|| {
        let heap = Heap::new(4);
        let theirs = heap.clone();
        let pushing = thread::spawn(move || {
            let producer = theirs.own();
            assert!(producer.push_batch(&mark(1), 2, |i| mark(2 + i as u64)));
        });
        let mut consumer = Consumer::new(heap.memory(), false);
        let (mut got, mut told) = (Vec::new(), 0);
        drain(&mut consumer, &mut got, &mut told);
        assert!(got.is_empty() || got == [1, 2, 3], "{got:?}");
        pushing.join().expect("the producer");
        drain(&mut consumer, &mut got, &mut told);
        assert_eq!(got, [1, 2, 3]);
    });
}

#[test]
fn a_text_comes_with_its_record() {
    loom::model(|| {
        let heap = Heap::new(4);
        let theirs = heap.clone();
        let pushing = thread::spawn(move || {
            let producer = theirs.own();
            assert!(producer.push_text(&mark(1), b"one"));
            assert!(producer.push(&Rec {
                y: Some(7),
                ..mark(2)
            }));
        });
        let mut consumer = Consumer::new(heap.memory(), false);
        let mut got = Vec::new();
        for _ in 0..2 {
            let done = consumer.drain(|r| got.push((r.rec.arg, r.rec.y, r.text.to_vec())));
            assert_eq!(done.rejected, 0);
        }
        pushing.join().expect("the producer");
        consumer.drain(|r| got.push((r.rec.arg, r.rec.y, r.text.to_vec())));
        assert_eq!(got, [(1, None, b"one".to_vec()), (2, Some(7), vec![])]);
    });
}

#[test]
fn a_handler_pushes_in_the_middle_of_a_push() {
    loom::model(|| {
        let heap = Heap::new(2);
        let limit = Box::leak(Box::default());
        let outer = Producer::own(heap.memory(), limit, 1);
        let theirs = heap.clone();
        let limit = &*limit;
        let handler = thread::spawn(move || {
            let inner = Producer::own(theirs.memory(), limit, 1);
            inner.push(&mark(10)) as usize + inner.push(&mark(11)) as usize
        });
        let mine = outer.push(&mark(1)) as usize + outer.push(&mark(2)) as usize;
        let accepted = mine + handler.join().expect("the handler");
        let mut consumer = Consumer::new(heap.memory(), false);
        let (mut got, mut told) = (Vec::new(), 0);
        drain(&mut consumer, &mut got, &mut told);
        assert_eq!(got.len(), accepted);
        assert_eq!(got.len() as u64 + consumer.lost(), 4);
    });
}

#[test]
fn two_writers_share_the_overflow_ring() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let heap = Heap::new(4);
        let writers: Vec<_> = [1, 2]
            .map(|who| {
                let theirs = heap.clone();
                thread::spawn(move || Producer::shared(theirs.memory(), who).push(&mark(who)))
            })
            .into();
        let mut consumer = Consumer::new(heap.memory(), true);
        let mut got = Vec::new();
        let done = consumer.drain(|r| got.push((r.who, r.rec.arg)));
        assert_eq!((done.rejected, done.torn), (0, 0));
        let accepted = writers
            .into_iter()
            .filter(|_| true)
            .map(|w| w.join().expect("a writer"))
            .filter(|a| *a)
            .count();
        consumer.drain(|r| got.push((r.who, r.rec.arg)));
        assert!(got.iter().all(|(who, n)| who == n));
        assert_eq!(got.len(), accepted);
        assert_eq!(got.len() as u64 + consumer.lost(), 2);
    });
}

#[test]
fn overflow_laps_do_not_mix() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        // One record at a time fits: the second writer is refused, or takes the next lap of the same slots.
        let heap = Heap::new(2);
        let theirs = heap.clone();
        let other = thread::spawn(move || Producer::shared(theirs.memory(), 2).push(&mark(2)));
        let accepted = Producer::shared(heap.memory(), 1).push(&mark(1)) as usize;
        let mut consumer = Consumer::new(heap.memory(), true);
        let mut got = Vec::new();
        let mut each = |r: &loopscope::record::ring::Record<'_>| {
            if r.rec.kind == Kind::Mark {
                got.push((r.who, r.rec.arg));
            }
        };
        consumer.drain(&mut each);
        let accepted = accepted + other.join().expect("a writer") as usize;
        consumer.drain(&mut each);
        assert!(got.iter().all(|(who, n)| who == n));
        assert_eq!(got.len(), accepted);
        assert_eq!(got.len() as u64 + consumer.lost(), 2);
    });
}

#[test]
fn a_writer_that_slept_for_a_lap_overwrites_nothing() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        // The other may have read the head before the first record, and the slot's word after the second.
        let heap = Heap::new(2);
        let theirs = heap.clone();
        let other = thread::spawn(move || Producer::shared(theirs.memory(), 2).push(&mark(2)));
        let mine = Producer::shared(heap.memory(), 1);
        let mut consumer = Consumer::new(heap.memory(), true);
        let mut got = Vec::new();
        let mut each = |r: &loopscope::record::ring::Record<'_>| {
            if r.rec.kind == Kind::Mark {
                got.push(r.rec.arg);
            }
        };
        let mut accepted = mine.push(&mark(1)) as usize;
        consumer.drain(&mut each);
        accepted += mine.push(&mark(3)) as usize;
        accepted += other.join().expect("a writer") as usize;
        consumer.drain(&mut each);
        assert_eq!(got.len(), accepted);
        assert_eq!(got.len() as u64 + consumer.lost(), 3);
    });
}

#[test]
fn a_retired_ring_goes_to_the_next_thread() {
    loom::model(|| {
        let heap = Heap::new(2);
        assert!(heap.memory().claim(1));
        let first = heap.own();
        let theirs = heap.clone();
        let second = thread::spawn(move || {
            let mut tries = 0;
            while !theirs.memory().claim(2) {
                tries += 1;
                if tries == 3 {
                    return false;
                }
                thread::yield_now();
            }
            assert!(theirs.own().push(&mark(2)), "a fresh ring has room");
            true
        });
        first.push(&mark(1));
        first.push(&mark(1));
        first.retire();
        let mut consumer = Consumer::new(heap.memory(), false);
        let (mut got, mut told) = (Vec::new(), 0);
        assert!(consumer.retired());
        drain(&mut consumer, &mut got, &mut told);
        consumer.free();
        let claimed = second.join().expect("the second thread");
        drain(&mut consumer, &mut got, &mut told);
        assert_eq!(got, if claimed { vec![1, 1, 2] } else { vec![1, 1] });
    });
}
