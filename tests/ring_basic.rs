//! A ring on the heap: what is pushed comes out, in order, and what does not fit is counted where it happened.

mod ring_common;

use loopscope::record::event::{Cause, Kind, Op, flags};
use loopscope::record::ring::{Call, Stop};
use loopscope::record::segment::Layout;
use loopscope::record::wire::Rec;
use ring_common::{Heap, tiny};

fn mark(x: i32) -> Rec {
    Rec {
        kind: Kind::Mark,
        x,
        ticks: x as u64,
        ..Rec::default()
    }
}

#[test]
fn records_come_out_as_pushed() {
    let heap = Heap::new(Layout {
        large_slots: 64,
        ..tiny()
    });
    let producer = heap.claim(1).expect("a free ring");
    let long = "x".repeat(300);
    let with_y = Rec {
        y: Some(5),
        ..mark(2)
    };
    let io = Rec {
        kind: Kind::Io,
        y: Some(77),
        arg: 4096,
        ..mark(3)
    };
    assert!(producer.push(&mark(1)));
    assert!(producer.push(&with_y));
    assert!(producer.push(&io));
    assert!(producer.push_text(&mark(4), b"hello"));
    assert!(producer.push_text(&with_y, long.as_bytes()));
    assert!(producer.push_batch(&mark(6), 3, |i| mark(7 + i as i32)));

    let mut got = Vec::new();
    let mut consumer = heap.consumers().remove(0);
    let done = consumer.drain(|r| got.push((r.rec, r.text.to_vec())));
    assert_eq!(done.stop, Stop::Uncommitted);
    assert_eq!((done.rejected, done.newer, done.torn), (0, 0, 0));
    let cut = Rec {
        flags: flags::CUT,
        ..with_y
    };
    let expected = [
        (mark(1), vec![]),
        (with_y, vec![]),
        (io, vec![]),
        (mark(4), b"hello".to_vec()),
        (cut, long.as_bytes()[..256].to_vec()),
        (mark(6), vec![]),
        (mark(7), vec![]),
        (mark(8), vec![]),
        (mark(9), vec![]),
    ];
    assert_eq!(got, expected);
}

#[test]
fn a_full_ring_tells_its_loss_in_place() {
    let heap = Heap::new(tiny());
    let producer = heap.claim(1).expect("a free ring");
    let mut consumer = heap.consumers().remove(0);
    let room = consumer.capacity() as i32;
    for x in 0..room + 5 {
        assert_eq!(producer.push(&mark(x)), x < room);
    }
    assert!(
        !producer.push_batch(&mark(0), 2, mark_at),
        "a batch counts each of its records"
    );
    assert_eq!(consumer.lost(), 8);
    let mut got = Vec::new();
    consumer.drain(|r| got.push(r.rec));
    assert_eq!(got.len() as i32, room);
    got.clear();
    assert!(producer.push(&mark(1000)));
    assert!(producer.push(&mark(1001)));
    consumer.drain(|r| got.push(r.rec));
    assert_eq!(got.len(), 3);
    assert_eq!(
        (got[0].kind, got[0].aux, got[0].arg),
        (Kind::Lost, Cause::RingFull.code(), 8)
    );
    assert_eq!((got[1], got[2]), (mark(1000), mark(1001)));
}

fn mark_at(i: usize) -> Rec {
    mark(i as i32)
}

#[test]
fn laps_go_round() {
    let heap = Heap::new(tiny());
    let producer = heap.claim(1).expect("a free ring");
    let mut consumer = heap.consumers().remove(0);
    let mut next = 0;
    // 65,536 laps of 16 slots and some: the lap's 16 bits wrap.
    for x in 0..1_100_000 {
        assert!(producer.push(&mark(x)));
        if x % 7 == 0 {
            consumer.drain(|r| {
                assert_eq!(r.rec.x, next);
                next += 1;
            });
        }
    }
    consumer.drain(|_| next += 1);
    assert_eq!(next, 1_100_000);
}

#[test]
fn threads_without_a_ring_share_the_overflow_ring() {
    let heap = Heap::new(tiny());
    let _all: Vec<_> = (1..=3)
        .map(|tid| heap.claim(tid).expect("a free ring"))
        .collect();
    assert!(heap.claim(4).is_none());
    let pid = heap.pid as u64;
    let a = heap.segment.overflow(4, heap.pid);
    let b = heap.segment.overflow(5, heap.pid);
    assert!(a.push(&mark(1)));
    assert!(b.push_text(
        &Rec {
            y: Some(3),
            ..mark(2)
        },
        b"hi"
    ));
    assert!(a.push_batch(&mark(3), 1, |_| mark(4)));
    let mut got = Vec::new();
    let mut overflow = heap
        .consumers()
        .pop()
        .expect("the overflow ring is the last");
    overflow.drain(|r| got.push((r.who as u32, r.who >> 32, r.rec.x, r.rec.y, r.text.to_vec())));
    assert_eq!(
        got,
        [
            (4, pid, 1, None, vec![]),
            (5, pid, 2, Some(3), b"hi".to_vec()),
            (4, pid, 3, None, vec![]),
            (4, pid, 4, None, vec![])
        ]
    );
    let room = overflow.capacity() / 2;
    let pushed = (0..room + 3).filter(|_| b.push(&mark(9))).count() as u64;
    assert_eq!((pushed, overflow.lost()), (room, 3));
    overflow.drain(|_| ());
    assert!(a.push(&mark(5)));
    let mut got = Vec::new();
    overflow.drain(|r| got.push((r.rec.kind, r.rec.aux, r.rec.arg)));
    assert_eq!(
        got,
        [(Kind::Lost, Cause::NoSlot.code(), 3), (Kind::Mark, 0, 0)]
    );
}

#[test]
fn a_batch_larger_than_its_ring_is_lost_by_cause_and_the_ring_goes_on() {
    let heap = Heap::new(tiny());
    let own = heap.claim(1).expect("a free ring");
    let shared = heap.segment.overflow(9, heap.pid);
    let mut consumers = heap.consumers();
    let mut overflow = consumers.pop().expect("the overflow ring is the last");
    let first = &mut consumers[0];
    for (producer, consumer, cause, slots) in [
        (own, first, Cause::RingFull, 1),
        (shared, &mut overflow, Cause::NoSlot, 2),
    ] {
        // The ring is empty, and still too small: as many records as it has room for, and the wait they belong to.
        let members = consumer.capacity() as usize / slots;
        assert!(!producer.push_batch(&mark(0), members, mark_at));
        assert_eq!(consumer.lost(), 1 + members as u64);
        assert_eq!(consumer.drain(|_| ()).records, 0);
        // One record less fits, behind the news of the loss.
        assert!(producer.push(&mark(1)));
        let mut got = Vec::new();
        consumer.drain(|r| got.push((r.rec.kind, r.rec.aux, r.rec.arg)));
        let told = (Kind::Lost, cause.code(), 1 + members as u64);
        assert_eq!(got, [told, (Kind::Mark, 0, 0)]);
        assert!(producer.push_batch(&mark(0), members - 1, mark_at));
        assert_eq!(consumer.drain(|_| ()).records, members as u64);
    }
}

#[test]
fn a_freed_ring_is_claimed_again_and_a_call_is_remembered() {
    let heap = Heap::new(tiny());
    let mut consumer = heap.consumers().remove(0);
    let producer = heap.claim(1).expect("a free ring");
    producer.push(&mark(1));
    let outer = Call::new(Op::Named, 3, -1, 50);
    assert_eq!(producer.set_call(outer).parts(), None);
    let before = producer.set_call(Call::new(Op::Read, 0, 7, 60));
    assert_eq!(before, outer);
    assert_eq!(consumer.call().parts(), Some((Op::Read, 0, 7, 60)));
    producer.restore_call(before);
    assert_eq!(consumer.call().parts(), Some((Op::Named, 3, -1, 50)));
    producer.retire();
    assert!(consumer.retired());
    assert_eq!(consumer.drain(|_| ()).records, 1);
    consumer.free();
    assert_eq!((consumer.owner(), consumer.retired()), (0, false));
    let next = heap.claim(2).expect("the freed ring");
    assert_eq!(consumer.owner() as u32, 2);
    assert!(next.push(&mark(2)));
    assert_eq!(consumer.drain(|r| assert_eq!(r.rec, mark(2))).records, 1);
}

#[test]
fn a_fork_of_the_owner_pushes_nothing() {
    let heap = Heap::new(tiny());
    let producer = heap.claim(1).expect("a free ring");
    heap.wipe();
    assert!(producer.is_foreign());
    assert!(!producer.push(&mark(1)));
    assert!(!producer.push_text(&mark(1), b"text"));
    assert!(!producer.push_batch(&mark(1), 1, mark_at));
    let mut consumer = heap.consumers().remove(0);
    assert_eq!((consumer.drain(|_| ()).slots, consumer.lost()), (0, 0));
}

#[test]
fn a_record_that_straddles_the_end_of_a_drain_is_kept() {
    let heap = Heap::new(Layout {
        large_slots: 1024,
        ..tiny()
    });
    let producer = heap.claim(1).expect("a free ring");
    let mut consumer = heap.consumers().remove(0);
    let mut pushed = (0..1023).filter(|x| producer.push(&mark(*x))).count() as u64;
    let (mut got, mut handed_out, mut left) = (0, 0, 100);
    // Half-way through the drain a quarter of the slots is free again: the next record begins in the last slot of the
    // drain's one lap and ends beyond it.
    loop {
        let done = consumer.drain(|_| {
            handed_out += 1;
            if handed_out > 512 && left > 0 {
                left -= 1;
                pushed += producer.push_text(&mark(2000), b"two slots") as u64;
            }
        });
        got += done.records;
        assert_eq!((done.rejected, done.torn), (0, 0));
        if done.slots == 0 {
            break;
        }
    }
    assert_eq!((got, pushed), (1123, 1123));
}
