//! The same script over recordings of each kind of loop: nested, shared by threads, one-shot, exclusive, with timers and
//! tasks, with descriptors that end in the middle of a batch, of an unmodified program, and cut.
#![cfg(feature = "cli")]

mod common;
mod recorded;

use common::{Place, loopscope, recompute, run};
use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io as traced;
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const SOON: Option<Duration> = Some(Duration::from_millis(1));
const EVER: Option<Duration> = None;

/// Records what `f` does; the script must find at least `runs` runs and no difference, in the whole and in a cut of its middle.
fn proven(runs: usize, f: impl FnOnce()) {
    proven_cut(runs, 0, f);
}

/// The same with so many cuts more.
fn proven_cut(runs: usize, cuts: usize, f: impl FnOnce()) {
    let place = Place::new();
    let events = {
        let _turn = recorded::turn();
        let recorder = loopscope::Recorder::to_file(place.path("whole.lscope")).unwrap();
        f();
        recorder.finish().unwrap().events
    };
    agrees(&place, "whole.lscope", runs);
    // Cuts that begin all through two turns.
    for first in (90..90 + 3 * cuts).step_by(3) {
        let from = format!("event:{first}");
        cut(&place, "whole.lscope", &from, &part(events, 90));
        agrees(&place, "cut.lscope", 1);
    }
    cut(&place, "whole.lscope", &part(events, 20), &part(events, 90));
    agrees(&place, "cut.lscope", 1);
    common::late::made_late(
        &place.path("whole.lscope"),
        &place.path("late.lscope"),
        0x9e37_79b9,
    );
    agrees(&place, "late.lscope", runs / 2);
}

/// Where so many per cent of the events have been: of the time, nothing may have happened in most of it on a busy machine.
fn part(events: u64, per_cent: u64) -> String {
    format!("event:{}", events * per_cent / 100)
}

fn agrees(place: &Place, name: &str, runs: usize) {
    let said = recompute(place, &place.arg(name));
    let found = said
        .split(", ")
        .nth(1)
        .and_then(|s| s.strip_suffix(" runs"));
    assert!(
        found.is_some_and(|n| n.parse::<usize>().unwrap() >= runs),
        "{said}"
    );
    assert!(said.contains(" 0 differences"), "{said}");
}

fn cut(place: &Place, whole: &str, from: &str, until: &str) {
    let (whole, to) = (place.arg(whole), place.arg("cut.lscope"));
    run(&[
        "export", &whole, "--to", "lscope", "--from", from, "--until", until, "--force", "-o", &to,
    ])
    .exits(0);
}

/// Non-blocking pairs: what the loop reads, what it is sent through.
fn pairs(n: usize) -> Vec<(UnixStream, UnixStream)> {
    let pair = || {
        let (a, b) = UnixStream::pair().unwrap();
        a.set_nonblocking(true).unwrap();
        traced::opened(&a);
        (a, b)
    };
    (0..n).map(|_| pair()).collect()
}

/// Reads what is there, or only some of it.
fn drain(socket: &UnixStream, whole: bool) -> usize {
    let (mut buffer, mut all) = ([0; 16], 0);
    while let Ok(n) = traced::read(socket, &mut buffer)
        && n > 0
    {
        all += n;
        if !whole {
            break;
        }
    }
    all
}

/// Waits until as much has been read as was sent: however busy the machine, what is sent later makes runs of its own.
fn until_read(read: &AtomicUsize, sent: usize) {
    let patience = Instant::now() + Duration::from_secs(60);
    while read.load(Ordering::Relaxed) < sent {
        assert!(Instant::now() < patience, "what was sent is not read");
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// A handler's work, long enough to be seen.
fn work(steps: u64) -> u64 {
    (0..steps * 1_000).fold(1, |x: u64, i| std::hint::black_box(x.wrapping_mul(31) ^ i))
}

#[test]
fn a_nested_epoll() {
    proven_cut(60, 20, || {
        let (inner, outer) = (Epoll::new().unwrap(), Epoll::new().unwrap());
        let pairs = pairs(4);
        for (data, (a, _)) in (0..).zip(&pairs[..2]) {
            inner.add(a, Interest::IN, data).unwrap();
        }
        outer.add(&inner, Interest::IN, 10).unwrap();
        for (data, (a, _)) in (2..).zip(&pairs[2..]) {
            outer.add(a, Interest::IN, data).unwrap();
        }
        let (mut events, mut nested) = (Events::with_capacity(2), Events::with_capacity(8));
        for turn in 0..20 {
            for (_, b) in pairs.iter().skip(turn % 3) {
                (&*b).write_all(b"words").unwrap();
            }
            for _ in 0..2 {
                outer.wait(&mut events, SOON).unwrap();
                for event in &events {
                    work(event.data());
                    if event.data() == 10 {
                        inner.wait(&mut nested, SOON).unwrap();
                        for event in &nested {
                            drain(&pairs[event.data() as usize].0, true);
                        }
                        work(3);
                    } else {
                        drain(&pairs[event.data() as usize].0, turn % 2 == 0);
                    }
                }
            }
        }
    });
}

/// Four threads on one epoll, each serving what it is told until all that was sent has been read.
fn threads_on_one_epoll(interest: Interest) {
    proven(50, || {
        let epoll = Epoll::new().unwrap();
        let (pairs, stop) = (pairs(6), UnixStream::pair().unwrap());
        for (data, (a, _)) in (0..).zip(&pairs) {
            epoll.add(a, Interest::IN | interest, data).unwrap();
        }
        epoll.add(&stop.0, Interest::IN, 99).unwrap();
        let (together, read) = (Barrier::new(5), AtomicUsize::new(0));
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    let mut events = Events::with_capacity(3);
                    together.wait();
                    loop {
                        epoll.wait(&mut events, EVER).unwrap();
                        for event in &events {
                            let Some((a, _)) = pairs.get(event.data() as usize) else {
                                return;
                            };
                            read.fetch_add(drain(a, true), Ordering::Relaxed);
                            work(20);
                            if interest == Interest::ONESHOT {
                                epoll
                                    .modify(a, Interest::IN | interest, event.data())
                                    .unwrap();
                            }
                        }
                    }
                });
            }
            together.wait();
            for turn in 0..200 {
                (&pairs[turn * 7 % 6].1).write_all(b"to whom").unwrap();
                work(10);
                if turn % 3 == 2 {
                    until_read(&read, (turn + 1) * 7);
                }
            }
            until_read(&read, 200 * 7);
            (&stop.1).write_all(b"end").unwrap();
        });
    });
}

#[test]
fn threads_that_share_a_level_epoll() {
    threads_on_one_epoll(Interest::IN);
}

#[test]
fn threads_that_share_an_edge_epoll() {
    threads_on_one_epoll(Interest::EDGE);
}

#[test]
fn threads_that_share_a_one_shot_epoll() {
    threads_on_one_epoll(Interest::ONESHOT);
}

#[test]
fn epolls_that_share_an_exclusive_descriptor() {
    proven(50, || {
        let (shared, read) = (pairs(2), AtomicUsize::new(0));
        let stops = [UnixStream::pair().unwrap(), UnixStream::pair().unwrap()];
        std::thread::scope(|threads| {
            for (stop, _) in &stops {
                let (shared, read) = (&shared, &read);
                threads.spawn(move || {
                    let (epoll, mut events) = (Epoll::new().unwrap(), Events::with_capacity(4));
                    for (data, (a, _)) in (0..).zip(shared) {
                        epoll
                            .add(a, Interest::IN | Interest::EXCLUSIVE, data)
                            .unwrap();
                    }
                    epoll.add(stop, Interest::IN, 9).unwrap();
                    loop {
                        epoll.wait(&mut events, EVER).unwrap();
                        for event in &events {
                            let Some((a, _)) = shared.get(event.data() as usize) else {
                                return;
                            };
                            read.fetch_add(drain(a, event.data() == 0), Ordering::Relaxed);
                            work(10);
                        }
                    }
                });
            }
            for turn in 0..200 {
                (&shared[turn % 2].1).write_all(b"to whom").unwrap();
                work(10);
                if turn % 3 == 2 {
                    until_read(&read, (turn + 1) * 7);
                }
            }
            until_read(&read, 200 * 7);
            for (_, stop) in &stops {
                (&*stop).write_all(b"end").unwrap();
            }
        });
    });
}

#[test]
fn timers_tasks_marks_and_calls_in_the_loop() {
    proven(60, || {
        let (epoll, pairs) = (Epoll::new().unwrap(), pairs(3));
        let mut events = Events::with_capacity(3);
        for (data, (a, _)) in (0..).zip(&pairs) {
            epoll.add(a, Interest::IN | Interest::EDGE, data).unwrap();
        }
        for turn in 0..40_u64 {
            for (_, b) in &pairs {
                (&*b).write_all(b"a request").unwrap();
            }
            loopscope::timer::armed("tick", turn, Instant::now());
            epoll.wait(&mut events, SOON).unwrap();
            let _fired = loopscope::timer::fired("tick", turn);
            work(10);
            drop(_fired);
            for event in &events {
                loopscope::mark!("request", number = turn);
                drain(&pairs[event.data() as usize].0, true);
                loopscope::call("fsync", || work(5));
                // A timer that a handler fires is part of the handler.
                let _inner = loopscope::timer::fired("inner", 1_000 + turn);
                loopscope::task::queued("flush", turn * 3 + event.data());
                work(2);
                if turn % 5 == 4 && event.data() == 1 {
                    break;
                }
            }
            for task in 0..3 {
                let _task = loopscope::task::begin("flush", turn * 3 + task);
                work(4);
            }
            // A run that the program names, of an event it was not told of in this turn perhaps.
            let _run = loopscope::dispatch(turn % 3);
            work(3);
        }
    });
}

/// A bell's handler works for several clients one after the other, a client's for another, and some for nobody.
#[test]
fn handlers_on_behalf_of_others() {
    proven_cut(60, 20, || {
        let (epoll, pairs) = (Epoll::new().unwrap(), pairs(5));
        let other = Epoll::new().unwrap();
        let mut events = Events::with_capacity(4);
        for (data, (a, _)) in (0..).zip(&pairs[..3]) {
            epoll.add(a, Interest::IN, data).unwrap();
        }
        // It has a row on another loop; the last has none.
        other.add(&pairs[3].0, Interest::IN, 3).unwrap();
        for turn in 0..40 {
            for (_, b) in &pairs[..3] {
                (&*b).write_all(b"a request").unwrap();
            }
            epoll.wait(&mut events, SOON).unwrap();
            loopscope::on_behalf_of(&pairs[1].0);
            for event in &events {
                work(2);
                match event.data() {
                    0 => {
                        for (client, _) in &pairs[1..1 + turn % 5] {
                            loopscope::on_behalf_of(client);
                            loopscope::on_behalf_of(client);
                            work(3);
                        }
                        if turn % 3 == 0 {
                            loopscope::on_behalf_of(&pairs[0].0);
                        }
                    }
                    1 => {
                        loopscope::on_behalf_of(&pairs[1].0);
                        loopscope::on_behalf_of(&pairs[2].0);
                    }
                    _ => {}
                }
                drain(&pairs[event.data() as usize].0, true);
            }
            loopscope::on_behalf_of(&pairs[2].0);
        }
    });
}

#[test]
fn descriptors_that_end_and_are_duplicated_inside_a_batch() {
    proven(40, || {
        let epoll = Epoll::new().unwrap();
        let mut events = Events::with_capacity(8);
        for turn in 0..30 {
            let all = pairs(4);
            for (data, (a, _)) in (0..).zip(&all) {
                epoll.add(a, Interest::IN, data).unwrap();
            }
            let (mut mine, sent): (Vec<_>, Vec<_>) =
                all.into_iter().map(|(a, b)| (Some(a), b)).unzip();
            for b in &sent {
                (&*b).write_all(b"to be lost").unwrap();
            }
            epoll.wait(&mut events, SOON).unwrap();
            let mut copies = Vec::new();
            for event in &events {
                work(3);
                match (event.data(), turn % 3) {
                    // The next one's event is stale when its turn comes; its number may be another's by then.
                    (0, 0) => {
                        traced::close(mine[1].take().unwrap()).unwrap();
                        copies.push(traced::dup(mine[2].as_ref().unwrap()).unwrap());
                    }
                    // A copy keeps the closed one's registration alive: a ghost.
                    (0, 1) => {
                        copies.push(traced::dup(mine[1].as_ref().unwrap()).unwrap());
                        traced::close(mine[1].take().unwrap()).unwrap();
                    }
                    (0, _) => epoll.delete(mine[2].as_ref().unwrap()).unwrap(),
                    (data, _) => {
                        if let Some(a) = &mine[data as usize] {
                            drain(a, true);
                        }
                    }
                }
            }
            epoll.wait(&mut events, SOON).unwrap();
            for event in &events {
                work(event.data());
            }
            copies
                .into_iter()
                .for_each(|copy| traced::close(copy).unwrap());
            for a in mine.into_iter().flatten() {
                traced::close(a).unwrap();
            }
        }
    });
}

/// Nobody marks its handlers, and its descriptors are opened again and again.
#[test]
fn a_server_that_knows_nothing_of_it() {
    let place = Place::new();
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/serve.py");
    let output = loopscope()
        .args(["record", "-o", &place.arg("whole.lscope"), "--", &python()])
        .arg(server)
        .arg("1500")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    agrees(&place, "whole.lscope", 500);
    // Cuts that begin and end anywhere, in the middle of a turn too. A number is not opened anew by being cut.
    let whole = opened(&place, "whole.lscope");
    let said = run(&[
        "report",
        "--json",
        "--top",
        "1000000",
        &place.arg("whole.lscope"),
    ])
    .exits(0)
    .stdout;
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let events = report["recording"]["events"].as_u64().unwrap();
    for (from, until) in [(10, 61), (37, 83), (70, 90)] {
        let [from, until] = [from, until].map(|per_cent| part(events, per_cent));
        cut(&place, "whole.lscope", &from, &until);
        agrees(&place, "cut.lscope", 1);
    }
    let last = opened(&place, "cut.lscope");
    assert!(whole.values().any(|generation| *generation > 1));
    assert!(
        last.iter().all(|(fd, n)| whole.get(fd) == Some(n)),
        "{whole:?}\n{last:?}"
    );
}

/// Nobody marks its handlers, and they say whom they work for.
#[test]
fn a_server_that_only_says_whom_it_works_for() {
    let place = Place::new();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/behalf.py");
    let output = loopscope()
        .args(["record", "-o", &place.arg("whole.lscope"), "--", &python()])
        .arg(program)
        .arg("60")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    agrees(&place, "whole.lscope", 90);
    let said = run(&["report", "--json", &place.arg("whole.lscope")]);
    let report: serde_json::Value = serde_json::from_str(&said.exits(0).stdout).unwrap();
    let fds = report["fds"].as_array().unwrap();
    let counts = |key: &str| -> Vec<u64> {
        let all = fds.iter().filter_map(|fd| fd[key]["count"].as_u64());
        all.collect()
    };
    // Every round the bell's handler works for none, one, two or all three.
    assert_eq!(counts("for_others"), [90], "{fds:#?}");
    assert_eq!(counts("on_its_behalf").iter().sum::<u64>(), 90);
    assert!(report["loops"][0]["handlers"] == "inferred");
    common::late::made_late(
        &place.path("whole.lscope"),
        &place.path("late.lscope"),
        0x9e37_79b9,
    );
    agrees(&place, "late.lscope", 40);
    let events = report["recording"]["events"].as_u64().unwrap();
    cut(&place, "whole.lscope", &part(events, 20), &part(events, 90));
    agrees(&place, "cut.lscope", 1);
}

/// A loop watched by another, and polls in the middle of handlers.
#[test]
fn loops_inside_the_handlers_of_loops() {
    let place = Place::new();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/inside.py");
    let output = loopscope()
        .args(["record", "-o", &place.arg("whole.lscope"), "--", &python()])
        .arg(program)
        .arg("100")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    agrees(&place, "whole.lscope", 300);
    let report = run(&[
        "report",
        "--json",
        "--top",
        "1000000",
        &place.arg("whole.lscope"),
    ])
    .exits(0)
    .stdout;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let loops = report["loops"].as_array().unwrap();
    assert_eq!(loops.len(), 2, "{loops:#?}");
    assert!(
        loops
            .iter()
            .all(|l| l["nested_polls"].as_u64() > Some(30) && l["handlers"] == "inferred")
    );
}

/// The interpreter itself: what is called python3 may be a script that looks for it.
fn python() -> String {
    let asked = ["-c", "import sys; print(sys.executable)"];
    let output = Command::new("python3").args(asked).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// By number, how many times a registered descriptor had been opened.
fn opened(place: &Place, name: &str) -> BTreeMap<u64, u64> {
    let said = run(&["report", "--json", "--top", "1000000", &place.arg(name)])
        .exits(0)
        .stdout;
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let row = |fd: &serde_json::Value| Some((fd["fd"].as_u64()?, fd["generation"].as_u64()?));
    report["fds"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(row)
        .collect()
}
