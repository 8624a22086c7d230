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
use loopscope::trace::{Meta, Options, Writer};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
    if std::env::args().any(|a| a == "written") {
        println!("{:.2}", written());
        return;
    }
    let mut rig = Rig::new();
    let (clock, nobody) = (rig.clock, std::io::stderr());
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
        "an empty loop",
        "a hook that is off: mark!",
        "a hook that is off: call()",
        "a hook that is off: on_behalf_of()",
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
            time(|i| {
                black_box(i);
            }),
            time(|i| {
                loopscope::mark!("off", number = i);
                black_box(i);
            }),
            time(|i| {
                black_box(loopscope::call("off", || black_box(i)));
            }),
            time(|i| {
                loopscope::on_behalf_of(&nobody);
                black_box(i);
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
    println!(
        "{:44} {:8.2}",
        "collector: and encode, pack and write, a record",
        written()
    );
    sustained();
}

/// Nanoseconds of CPU a record from ring to file, with pages as full as they get, while nobody else runs in this process.
fn written() -> f64 {
    let (segment, producer) = segment();
    let clock = segment.clock();
    let file =
        std::env::temp_dir().join(format!("loopscope-written-{}.lscope", std::process::id()));
    let mut drain = Drain::new(segment);
    let Ok(mut writer) = Writer::create(&file, &Meta::default(), Options::default()) else {
        return f64::NAN;
    };
    let (mut spent, mut records) = (0, 0);
    for _ in 0..ROUNDS / 4 {
        // A turn: a wakeup with three ready descriptors, each read and served.
        for i in 0..ROUND / 16 {
            producer.push(&rec(Kind::WaitExit, 3, clock.now()));
            for fd in [i % 61, i % 67, i % 71] {
                producer.push(&rec(Kind::Ready, fd, clock.now()));
            }
            for fd in [i % 61, i % 67, i % 71] {
                producer.push(&rec(Kind::RunBegin, fd, clock.now()));
                let y = Some(900 + i % 300);
                producer.push(&Rec {
                    y,
                    ..rec(Kind::Io, 4096, clock.now())
                });
                producer.push(&rec(Kind::RunEnd, fd, clock.now()));
            }
            producer.push(&rec(Kind::WaitEnter, 0, clock.now()));
        }
        let before = cpu_ns();
        records += drain.pass(|e, text| writer.write(e, text)).records;
        spent += cpu_ns() - before;
    }
    let _ = std::fs::remove_file(file);
    spent as f64 / records as f64
}

/// One thread pushes two records a call, three million calls a second for two seconds, while another drains, merges,
/// encodes, compresses and writes them. Says what was lost, and the writing thread's CPU an event.
fn sustained() {
    let (segment, producer) = segment();
    let clock = segment.clock();
    let file = std::env::temp_dir().join(format!("loopscope-bench-{}.lscope", std::process::id()));
    let mut drain = Drain::new(segment);
    let mut writer = match Writer::create(&file, &Meta::default(), Options::default()) {
        Ok(writer) => writer,
        Err(error) => return println!("sustained: {error}"),
    };
    let second = drain.segment().clock().now();
    std::thread::sleep(Duration::from_millis(100));
    let second = (clock.now() - second) * 10;
    let done = AtomicU64::new(0);
    let done = &done;
    let calls = 6_000_000u64;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let (began, mut passes) = (Instant::now(), 0u64);
            while done.load(Ordering::Acquire) == 0 {
                let pass = drain.pass(|e, text| writer.write(e, text));
                writer.tick(pass.now);
                passes += 1;
                std::thread::sleep(pass.pause);
            }
            let counts = drain.finish(|e, text| writer.write(e, text));
            let bytes = writer.finish().map_or(0, |summary| summary.bytes);
            println!(
                "sustained: {} events, {} lost, {} late, {passes} passes; collector had {:.0}% of a core, took {:.1} ns CPU and {:.2} bytes an event",
                counts.events,
                counts.lost(),
                counts.late,
                cpu_ns() as f64 / began.elapsed().as_nanos() as f64 * 100.0,
                cpu_ns() as f64 / counts.events as f64,
                bytes as f64 / counts.events as f64,
            );
        });
        let start = clock.now();
        for call in 0..calls {
            let due = start + (u128::from(call) * u128::from(second) / 3_000_000) as u64;
            while clock.now() < due {
                std::hint::spin_loop();
            }
            producer.push(&rec(Kind::CallBegin, 0, clock.now()));
            producer.push(&rec(Kind::CallEnd, 0, clock.now()));
        }
        done.store(1, Ordering::Release);
    });
    let _ = std::fs::remove_file(file);
}

/// The calling thread's CPU time.
fn cpu_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a live timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
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
