//! The order of the merge: sorted by push stamp, whole batches, late records flagged and counted, names in place.

use loopscope::record::clock::{Anchor, Clock, Converter};
use loopscope::record::event::{Cause, Event, Kind, Op, flags};
use loopscope::record::handshake::Source;
use loopscope::record::ring::Call;
use loopscope::record::wire::Rec;
use loopscope::trace::merge::{Merge, Names};
use proptest::prelude::*;

const RINGS: usize = 3;

/// Rings whose ticks are nanoseconds and start at 0.
fn merge() -> Merge {
    let start = Anchor::default();
    Merge::new(RINGS, Converter::new(Clock::Monotonic, start, start))
}

fn who(tid: u64, pid: u64) -> u64 {
    tid | pid << 32
}

fn rec(kind: Kind, ticks: u64, arg: u64) -> Rec {
    Rec {
        kind,
        ticks,
        arg,
        ..Rec::default()
    }
}

/// What came out, without the starts that the merge adds.
fn released(merge: &mut Merge, limit: u64) -> Vec<Event> {
    let mut out = Vec::new();
    merge.release(limit, |e, _| {
        if !matches!(e.kind, Kind::ThreadStart | Kind::ProcessStart) {
            out.push(*e);
        }
    });
    out
}

proptest! {
    /// Threads push with their own stamps; a push may take so long that passes go by between stamp and commit.
    #[test]
    fn everything_comes_out_once_and_in_order(
        passes in prop::collection::vec(prop::collection::vec((0..RINGS, 0u64..50, 0u64..120), 0..20), 1..30)
    ) {
        let mut merge = merge();
        let (mut now, mut previous, mut released_to) = (0u64, None, 0);
        let mut pushed = Vec::new();
        let mut expected_late = 0;
        let mut newest = [0; RINGS];
        let mut out = Vec::new();
        for pushes in &passes {
            let reading = now;
            for (ring, step, held) in pushes {
                now += step;
                let stamp = now.saturating_sub(if *held > 100 { *held } else { 0 });
                let late = stamp < released_to;
                expected_late += late as u64;
                newest[*ring] = stamp.max(newest[*ring]).max(released_to);
                let number = pushed.len() as u64;
                merge.collect(*ring, who(*ring as u64 + 1, 7), &rec(Kind::Mark, stamp, number), &[], now, &mut ());
                pushed.push((newest[*ring], *ring, number, late));
            }
            if let Some(limit) = previous {
                let now_out = released(&mut merge, limit);
                prop_assert!(now_out.iter().all(|e| e.t < limit || limit == 0));
                out.extend(now_out);
                released_to = released_to.max(limit);
            }
            previous = Some(reading);
        }
        out.extend(released(&mut merge, u64::MAX));
        prop_assert!(out.is_sorted_by_key(|e| e.t));
        // Stable by number within a ring, by key and ring between them: exactly the order promised.
        pushed.sort_by_key(|(key, ring, number, _)| (*key, *ring, *number));
        let got: Vec<_> = out.iter().map(|e| (e.t, e.arg, e.flags & flags::LATE != 0)).collect();
        let mut want: Vec<_> = pushed.iter().map(|(key, _, number, late)| (*key, *number, *late)).collect();
        // A late record stands where the order had got to, behind what is already there at that instant.
        prop_assert_eq!(merge.counts().late, expected_late);
        prop_assert_eq!(merge.counts().records, pushed.len() as u64);
        let mut sorted = got.clone();
        sorted.sort_unstable();
        want.sort_unstable();
        prop_assert_eq!(sorted, want);
        if expected_late == 0 {
            let order: Vec<_> = got.iter().map(|g| g.1).collect();
            let promised: Vec<_> = pushed.iter().map(|p| p.2).collect();
            prop_assert_eq!(order, promised);
        }
    }
}

#[test]
fn a_batch_stays_together_though_another_ring_has_the_same_stamp() {
    let mut merge = merge();
    for i in 0..3 {
        for ring in 0..RINGS {
            let kind = if i == 0 { Kind::WaitExit } else { Kind::Ready };
            merge.collect(
                ring,
                who(ring as u64 + 1, 7),
                &rec(kind, 100, i),
                &[],
                100,
                &mut (),
            );
        }
    }
    let threads: Vec<_> = released(&mut merge, 101)
        .iter()
        .map(|e| (e.thread, e.arg))
        .collect();
    let together: Vec<_> = (1..=3)
        .flat_map(|thread| (0..3).map(move |i| (thread, i)))
        .collect();
    assert_eq!(threads, together);
}

#[test]
fn a_handler_that_interrupts_a_push_does_not_turn_time_back() {
    let mut merge = merge();
    // The interrupted push read its clock first and was written last.
    merge.collect(0, who(1, 7), &rec(Kind::Mark, 150, 1), &[], 200, &mut ());
    merge.collect(0, who(1, 7), &rec(Kind::Mark, 100, 2), &[], 200, &mut ());
    let out: Vec<_> = released(&mut merge, 200)
        .iter()
        .map(|e| (e.t, e.arg))
        .collect();
    assert_eq!(out, [(150, 1), (150, 2)]);
}

#[test]
fn a_stamp_from_the_future_does_not_hold_a_ring_back() {
    let mut merge = merge();
    merge.collect(
        0,
        who(1, 7),
        &rec(Kind::Mark, u64::MAX, 1),
        &[],
        200,
        &mut (),
    );
    merge.collect(0, who(1, 7), &rec(Kind::Mark, 250, 2), &[], 300, &mut ());
    assert_eq!(released(&mut merge, 300).len(), 2);
}

#[test]
fn a_late_record_is_written_where_the_order_stands() {
    let mut merge = merge();
    merge.collect(0, who(1, 7), &rec(Kind::Mark, 100, 1), &[], 100, &mut ());
    assert_eq!(released(&mut merge, 150).len(), 1);
    merge.collect(1, who(2, 7), &rec(Kind::Mark, 120, 2), &[], 160, &mut ());
    merge.collect(1, who(2, 7), &rec(Kind::Mark, 130, 3), &[], 160, &mut ());
    merge.collect(1, who(2, 7), &rec(Kind::Mark, 155, 4), &[], 160, &mut ());
    let got: Vec<_> = released(&mut merge, 200)
        .iter()
        .map(|e| (e.t, e.arg, e.flags))
        .collect();
    assert_eq!(
        got,
        [(150, 2, flags::LATE), (150, 3, flags::LATE), (155, 4, 0)]
    );
    assert_eq!(merge.counts().late, 2);
}

#[test]
fn loss_stands_between_the_records_around_it() {
    let mut merge = merge();
    let me = who(1, 7);
    let marker = |ticks, total| Rec {
        aux: Cause::RingFull.code(),
        ..rec(Kind::Lost, ticks, total)
    };
    merge.collect(0, me, &rec(Kind::Mark, 100, 0), &[], 900, &mut ());
    merge.collect(0, me, &marker(300, 5), &[], 900, &mut ());
    merge.collect(0, me, &rec(Kind::Mark, 300, 0), &[], 900, &mut ());
    merge.collect(0, me, &marker(400, 5), &[], 900, &mut ());
    merge.settle_lost(0, Some(me), Cause::RingFull, 5, 500, &mut ());
    merge.settle_lost(0, Some(me), Cause::RingFull, 12, 700, &mut ());
    merge.settle_lost(0, Some(me), Cause::RingFull, 12, 800, &mut ());
    let lost: Vec<_> = released(&mut merge, 1000)
        .iter()
        .filter(|e| e.kind == Kind::Lost)
        .map(|e| (e.t, e.arg, e.y, e.thread))
        .collect();
    // A count told twice counts once; `y` reaches back to the last intact record.
    assert_eq!(lost, [(300, 5, 200, 1), (700, 7, 400, 1)]);
    assert_eq!(merge.counts().lost(), 12);
}

#[test]
fn what_only_the_collector_may_write_is_refused_from_a_ring() {
    let mut merge = merge();
    for kind in [
        Kind::ThreadEnd,
        Kind::ProcessStart,
        Kind::Anchor,
        Kind::InCall,
    ] {
        merge.collect(0, who(1, 7), &rec(kind, 100, 9), &[], 100, &mut ());
    }
    let out = released(&mut merge, 200);
    assert!(
        out.iter()
            .all(|e| e.kind == Kind::Lost && e.aux == Cause::Rejected.code())
    );
    assert_eq!((out.len(), merge.counts().records), (4, 0));
}

struct Two;

impl Names for Two {
    fn process(&mut self, pid: u32) -> (u32, Vec<u8>) {
        (pid - 1, format!("program {pid}").into_bytes())
    }
    fn thread(&mut self, pid: u32, tid: u32) -> Vec<u8> {
        format!("{pid}/{tid}").into_bytes()
    }
}

#[test]
fn who_pushes_is_told_by_the_ring_where_nobody_else_has_said() {
    let mut merge = merge();
    let mark = rec(Kind::Mark, 100, 0);
    merge.process_from(7, Source::Library, &mut Two);
    // The parent of 5 was never seen, or its end was before its child's first record.
    for pid in [7, 5, 3] {
        merge.collect(0, who(10, pid), &mark, &[], 100, &mut Two);
    }
    merge.pushes(who(10, 7), Source::Preload as u64);
    merge.pushes(who(10, 5), Source::Beside as u64);
    merge.pushes(who(10, 3), u64::MAX);
    let mut sources = Vec::new();
    merge.release(u64::MAX, |e, _| {
        if e.kind == Kind::ProcessStart {
            sources.push((e.x, e.aux));
        }
    });
    let (library, preload) = (Source::Library as u16, Source::Preload as u16);
    assert_eq!(sources, [(7, library), (5, preload), (3, 0)]);
}

#[test]
fn threads_and_processes_are_numbered_in_the_order_of_the_file() {
    let mut merge = merge();
    // Ring 0 is drained first, but ring 1 pushed first.
    merge.collect(0, who(20, 8), &rec(Kind::Mark, 200, 0), &[], 300, &mut Two);
    merge.collect(1, who(10, 7), &rec(Kind::Mark, 100, 0), &[], 300, &mut Two);
    merge.in_call(who(10, 7), Call::new(Op::Read, 0, 5, 250), 400, &mut Two);
    merge.thread_ended(who(10, 7), 400);
    merge.process_ended(7, 9, 400);
    // The same ids again are another thread of another process.
    merge.collect(1, who(10, 7), &rec(Kind::Mark, 500, 0), &[], 500, &mut Two);
    let mut out = Vec::new();
    merge.release(u64::MAX, |e, text| {
        out.push(format!(
            "{} {} {} {} {} {} {}",
            e.t,
            e.kind.name(),
            e.thread,
            e.x,
            e.arg,
            e.y,
            String::from_utf8_lossy(text)
        ));
    });
    assert_eq!(
        out,
        [
            "100 process-start 0 7 0 6 program 7",
            "100 thread-start 1 10 0 0 7/10",
            "100 mark 1 0 0 0 ",
            "200 process-start 0 8 1 7 program 8",
            "200 thread-start 2 20 1 0 8/20",
            "200 mark 2 0 0 0 ",
            "400 in-call 1 0 0 150 ",
            "400 thread-end 1 10 0 0 ",
            "400 process-end 0 9 0 0 ",
            "500 process-start 0 7 2 6 program 7",
            "500 thread-start 3 10 2 0 7/10",
            "500 mark 3 0 0 0 ",
        ]
    );
}

#[test]
fn durations_are_converted_like_instants() {
    let start = Anchor {
        ticks: 1_000,
        mono: 500,
        ..Anchor::default()
    };
    // Four ticks a nanosecond.
    let second = Anchor {
        ticks: 5_000,
        mono: 1_500,
        ..Anchor::default()
    };
    let mut merge = Merge::new(RINGS, Converter::new(Clock::Tsc, start, second));
    let io = Rec {
        y: Some(400),
        ..rec(Kind::Io, 1_800, 0)
    };
    merge.collect(0, who(1, 7), &io, &[], 9_000, &mut ());
    let out = released(&mut merge, 9_000);
    assert_eq!((out[0].t, out[0].y), (200, 100));
}
