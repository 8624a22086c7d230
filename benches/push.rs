//! What a push costs over the bare clock read, in nanoseconds, its checks for a full ring and for a fork included:
//! medians over many short rounds, in which the variants take turns so that they share the machine's moods. Then what
//! the collector spends on a record.
//!
//!     cargo bench --bench push

use loopscope::capture::drain::Drain;
use loopscope::record::clock::{Clock, tsc};
use loopscope::record::event::Kind;
use loopscope::record::ring::{Consumer, Producer};
use loopscope::record::segment::{Layout, Limit, Segment};
use loopscope::record::wire::Rec;
use std::hint::black_box;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

/// Pushes a round: fewer slots than the ring has, so that none is full.
const ROUND: u64 = 4096;
const ROUNDS: usize = 4000;

struct Rig {
    producer: Producer,
    overflow: Producer,
    consumers: Vec<Consumer>,
    clock: Clock,
}

/// A segment on the heap, and a ring of it for the thread that runs.
fn segment() -> (Segment, Producer) {
    let layout = Layout::default();
    let words = layout.words().expect("the default layout");
    let memory: &'static [AtomicU64] = (0..words)
        .map(|_| AtomicU64::new(0))
        .collect::<Vec<_>>()
        .leak();
    let limits: &'static [Limit] = (0..layout.limits())
        .map(|_| Limit::default())
        .collect::<Vec<_>>()
        .leak();
    let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let clock = Clock::best(&std::fs::read_to_string(source).unwrap_or_default());
    // SAFETY: leaked memory stays.
    let segment = unsafe { Segment::create(memory.as_ptr(), words, layout, clock, 0) }
        .expect("enough memory");
    let pid = std::process::id();
    let producer = segment.claim(pid, pid, limits).expect("a free ring");
    (segment, producer)
}

impl Rig {
    fn new() -> Rig {
        let (segment, producer) = segment();
        let pid = std::process::id();
        Rig {
            producer,
            overflow: segment.overflow(pid, pid),
            consumers: segment.consumers().collect(),
            clock: segment.clock(),
        }
    }
    /// Empties both rings; nanoseconds a record of the first.
    fn drain(&mut self) -> f64 {
        let last = self.consumers.len() - 1;
        let mut spent = f64::NAN;
        for at in [last, 0] {
            if let Some(consumer) = self.consumers.get_mut(at) {
                let start = Instant::now();
                let done = consumer.drain(|r| {
                    black_box(r.rec.arg);
                });
                spent = start.elapsed().as_nanos() as f64 / done.records.max(1) as f64;
            }
        }
        spent
    }
}

/// Nanoseconds a go of `body`, over one round.
fn time(mut body: impl FnMut(u64)) -> f64 {
    let start = Instant::now();
    for i in 0..ROUND {
        body(i);
    }
    start.elapsed().as_nanos() as f64 / ROUND as f64
}

fn rec(kind: Kind, i: u64, ticks: u64) -> Rec {
    Rec {
        kind,
        ticks,
        arg: i,
        fd: i as i32,
        x: 1,
        ..Rec::default()
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() {
    let mut rig = Rig::new();
    let clock = rig.clock;
    let names = [
        "bare clock read",
        "clock + push",
        "clock + push, kind unknown to the compiler",
        "clock + io push (duration in the slot)",
        "clock + push with y (two slots)",
        "clock + text of 20 bytes (two slots)",
        "batch of 16, a record",
        "clock + call word set and cleared",
        "clock + push into the overflow ring",
        "push without clock",
    ];
    let mut times: Vec<Vec<f64>> = names.iter().map(|_| Vec::new()).collect();
    let mut drained = Vec::new();
    let kinds = black_box([Kind::WaitEnter, Kind::Io, Kind::RunBegin, Kind::CallBegin]);
    for _ in 0..ROUNDS {
        let producer = &rig.producer;
        let round = [
            time(|_| {
                black_box(now(clock));
            }),
            time(|i| {
                black_box(producer.push(&rec(Kind::RunBegin, i, now(clock))));
            }),
            time(|i| {
                black_box(producer.push(&rec(kinds[i as usize % 4], i, now(clock))));
            }),
            time(|i| {
                let ticks = now(clock);
                black_box(producer.push(&Rec {
                    y: Some(i),
                    ..rec(Kind::Io, i, ticks)
                }));
            }),
            time(|i| {
                let ticks = now(clock);
                black_box(producer.push(&Rec {
                    y: Some(i),
                    ..rec(Kind::TimerArm, i, ticks)
                }));
            }),
            time(|i| {
                black_box(
                    producer.push_text(&rec(Kind::Mark, i, now(clock)), b"twenty bytes of text"),
                );
            }),
            time(|i| {
                if i % 17 == 0 {
                    let ticks = now(clock);
                    black_box(
                        producer.push_batch(&rec(Kind::WaitExit, 16, ticks), 16, |n| {
                            rec(Kind::Ready, n as u64, ticks)
                        }),
                    );
                }
            }),
            time(|i| {
                producer.set_call(loopscope::record::ring::Call::new(
                    loopscope::record::event::Op::Read,
                    0,
                    i as i32,
                    now(clock),
                ));
                producer.clear_call();
            }),
            time(|i| {
                black_box(rig.overflow.push(&rec(Kind::RunBegin, i, now(clock))));
            }),
            time(|i| {
                black_box(producer.push(&rec(Kind::RunBegin, i, i)));
            }),
        ];
        for (all, one) in times.iter_mut().zip(round) {
            all.push(one);
        }
        drained.push(rig.drain());
    }
    let lost: u64 = rig.consumers.iter().map(Consumer::lost).sum();
    println!(
        "clock {}, {ROUNDS} rounds of {ROUND}, {lost} lost",
        clock.name()
    );
    let bare = times.first().cloned().unwrap_or_default();
    println!("{:44} {:>8} {:>14}", "", "ns", "over the clock");
    for (name, all) in names.iter().zip(&mut times) {
        let mut over: Vec<f64> = all.iter().zip(&bare).map(|(a, b)| a - b).collect();
        println!("{name:44} {:8.2} {:14.2}", median(all), median(&mut over));
    }
    println!(
        "{:44} {:8.2}",
        "collector: drain, a record",
        median(&mut drained)
    );
    println!(
        "{:44} {:8.2}",
        "collector: drain and merge, a record",
        merge()
    );
}

/// Nanoseconds a record for drain, order, numbering and conversion, from one ring.
fn merge() -> f64 {
    let (segment, producer) = segment();
    let mut drain = Drain::new(segment);
    let mut spent = Vec::new();
    for _ in 0..ROUNDS / 4 {
        for i in 0..ROUND {
            producer.push(&rec(Kind::RunBegin, i, drain.segment().clock().now()));
        }
        let start = Instant::now();
        let pass = drain.pass(|e, _| {
            black_box(e.t);
        });
        if pass.records == ROUND {
            spent.push(start.elapsed().as_nanos() as f64 / ROUND as f64);
        }
    }
    median(&mut spent)
}

#[inline(always)]
fn now(clock: Clock) -> u64 {
    match clock {
        Clock::Tsc => tsc(),
        other => other.now(),
    }
}
