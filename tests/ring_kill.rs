//! SIGKILL: what a program had pushed is there, whole and in order, whenever it dies.

mod ring_common;

use loopscope::capture::drain::Drain;
use loopscope::record::clock::Clock;
use loopscope::record::event::{Cause, Event, Kind, Op};
use loopscope::record::ring::{Call, Producer};
use loopscope::record::segment::{Layout, Limit, Segment};
use loopscope::record::wire::Rec;
use ring_common::shared;
use std::sync::atomic::{AtomicU64, Ordering};

/// Kills; at full length five times as many.
fn kills() -> u64 {
    if std::env::var_os("LOOPSCOPE_FULL").is_some() {
        1000
    } else {
        200
    }
}

fn mark(n: u64, ticks: u64) -> Rec {
    Rec {
        kind: Kind::Mark,
        arg: n,
        x: !n as i32,
        ticks,
        ..Rec::default()
    }
}

/// The child: pushes numbered records until it is killed; tells how many it has tried and how many it was told of.
fn push_for_ever(producer: &Producer, tried: &AtomicU64, accepted: &AtomicU64) -> ! {
    let clock = Clock::Monotonic;
    producer.set_call(Call::new(Op::Named, 5, 7, clock.now()));
    let mut n = 0;
    loop {
        let ticks = clock.now();
        let (records, taken) = match n % 3 {
            0 => (1, producer.push(&mark(n, ticks))),
            1 => (1, producer.push_text(&mark(n, ticks), &n.to_le_bytes())),
            _ => (
                4,
                producer.push_batch(&mark(n, ticks), 3, |i| mark(n + 1 + i as u64, ticks)),
            ),
        };
        n += records;
        tried.store(n, Ordering::Release);
        if taken {
            accepted.fetch_add(records, Ordering::Release);
        }
    }
}

#[test]
fn a_killed_program_loses_nothing_it_had_pushed() {
    let layout = Layout {
        large: 1,
        large_slots: 1 << 14,
        small: 1,
        small_slots: 64,
        overflow_slots: 64,
    };
    let words = layout.words().expect("a layout that can be laid out");
    let memory = shared(words as usize);
    let told = shared(512);
    let limits: &'static [Limit] = (0..layout.limits())
        .map(|_| Limit::default())
        .collect::<Vec<_>>()
        .leak();
    // SAFETY: the mapping is never unmapped.
    let segment = unsafe { Segment::create(memory.as_ptr(), words, layout, Clock::Monotonic, 0) }
        .expect("room");
    // SAFETY: as above.
    let theirs = unsafe { Segment::attach(memory.as_ptr(), words) }.expect("the segment just made");
    let mut drain = Drain::new(segment);
    let (mut seen_before, mut lost_before) = (0, 0);
    let kills = kills();
    for round in 0..kills {
        for word in &told[..2] {
            word.store(0, Ordering::Relaxed);
        }
        // SAFETY: the child only pushes, which is async-signal-safe, and is killed.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            // SAFETY: takes nothing and cannot fail.
            let me = unsafe { libc::getpid() as u32 };
            match theirs.claim(me, me, limits) {
                Some(producer) => push_for_ever(&producer, &told[0], &told[1]),
                // SAFETY: ends the child at once.
                None => unsafe { libc::_exit(1) },
            }
        }
        drain.process_joined(pid as u32, true);
        let mut seen = Seen::default();
        let mut passes = 0;
        // At least one record, then some more, and no two rounds the same.
        while told[0].load(Ordering::Acquire) == 0 || passes < round % 7 {
            drain.pass(|e, text| seen.see(e, text));
            passes += 1;
        }
        for _ in 0..(round * 7919) % 5000 {
            std::hint::spin_loop();
        }
        let mut status = 0;
        // SAFETY: our own child, once.
        unsafe {
            assert_eq!(libc::kill(pid, libc::SIGKILL), 0);
            assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
        }
        drain.process_ended(pid as u32, status);
        for _ in 0..3 {
            drain.pass(|e, text| seen.see(e, text));
        }
        let counts = drain.counts();
        let lost = counts.lost[Cause::RingFull.code() as usize];
        let (tried, accepted) = (
            told[0].load(Ordering::Acquire),
            told[1].load(Ordering::Acquire),
        );
        // The last push may have been complete before its count was: at most one batch more.
        let (got, missing) = (counts.records - seen_before, lost - lost_before);
        assert!(
            (accepted..=accepted + 4).contains(&got),
            "round {round}: {got} of {accepted}"
        );
        assert!(
            (tried..=tried + 4).contains(&(got + missing)),
            "round {round}: {got} + {missing} of {tried}"
        );
        assert_eq!(seen.marks, got);
        assert_eq!(
            seen.exit,
            Some(libc::SIGKILL),
            "the wait status says what ended it"
        );
        assert_eq!(
            seen.inside,
            Some((Op::Named.code(), 5, 7)),
            "the call it was inside of is known"
        );
        (seen_before, lost_before) = (counts.records, lost);
    }
    let counts = drain.finish(|_, _| ());
    assert_eq!(counts.lost[Cause::Rejected.code() as usize], 0);
    assert!(
        counts.lost[Cause::Torn.code() as usize] <= kills,
        "at most one push is torn a kill"
    );
}

/// What a round's events show.
#[derive(Default)]
struct Seen {
    marks: u64,
    last: Option<u64>,
    batch_left: u64,
    exit: Option<i32>,
    inside: Option<(u16, i32, i32)>,
}

impl Seen {
    fn see(&mut self, e: &Event, text: &[u8]) {
        match e.kind {
            Kind::Mark => {
                assert_eq!(e.x, !e.arg as i32, "a torn record");
                assert!(self.last.is_none_or(|last| last < e.arg), "out of order");
                if self.batch_left > 0 {
                    assert_eq!(self.last.map(|l| l + 1), Some(e.arg), "a batch with a hole");
                    self.batch_left -= 1;
                } else if e.arg % 3 == 2 {
                    self.batch_left = 3;
                } else if e.arg % 3 == 1 {
                    assert_eq!(text, e.arg.to_le_bytes(), "a torn text");
                }
                self.last = Some(e.arg);
                self.marks += 1;
            }
            Kind::ProcessEnd => {
                assert_eq!(self.batch_left, 0, "a batch without its end");
                self.exit = Some(e.x);
            }
            Kind::InCall => self.inside = Some((e.aux, e.x, e.fd)),
            _ => {}
        }
    }
}
