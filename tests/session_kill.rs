//! Sudden death on either side: a killed program loses nothing it has pushed, a killed recorder harms no program and
//! leaves a file that opens.
#![cfg(feature = "cli")]

mod common;
mod session_support;

use common::{Ended, loopscope};
use loopscope::record::event::Cause;
use loopscope::{Recorder, task};
use session_support::{COUNTERS, Found, Page, READY, program as as_program, read, rounds, wanted};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

/// The programs that the tests record.
#[test]
#[ignore = "a program for the other tests"]
fn program() {
    match wanted().as_deref() {
        Some("pusher") => push_for_ever(),
        Some(other) => panic!("no program {other}"),
        None => {}
    }
}

const THREADS: usize = 2;

/// Each thread pushes numbered records and counts them outside itself, the count after the push: at any moment it has
/// pushed what the counter says, or one more.
fn push_for_ever() {
    let recorder = Recorder::from_env();
    assert!(recorder.is_on(), "{:?}", recorder.problem());
    let page = Page::given();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let page = &page;
            let pusher = std::thread::Builder::new().name(format!("pusher {thread}"));
            let push = move || {
                for n in 1.. {
                    task::queued("number", n | (thread as u64) << 48);
                    page.set(COUNTERS + thread, n);
                    page.set(READY, 1);
                    // Slower than the collector, faster than its passes.
                    if n % 100 == 0 {
                        std::thread::sleep(Duration::from_micros(500));
                    }
                }
            };
            pusher.spawn_scoped(scope, push).unwrap();
        }
    });
}

/// Somewhere in the first milliseconds after the first push; the same every time the tests run.
fn moment(round: u32) -> Duration {
    Duration::from_micros(u64::from(round.wrapping_mul(2_654_435_761) >> 8) % 40_000)
}

fn start(file: &Path, page: &Path) -> Child {
    let mut record = loopscope();
    record.args(["record", "-o"]).arg(file);
    // What a killed recorder leaves behind goes with the test.
    record.env("XDG_RUNTIME_DIR", file.parent().unwrap());
    as_program(&mut record, "pusher", page);
    record
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn numbers(found: &Found, thread: usize) -> Vec<u64> {
    let all = found.pushed.values().flatten();
    all.filter(|n| (*n >> 48) == thread as u64)
        .map(|n| n & 0xffff_ffff_ffff)
        .collect()
}

#[test]
fn a_killed_program_loses_nothing_it_has_pushed() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..rounds(20, 200) {
        let file = dir.path().join(format!("{round}.lscope"));
        let counters = dir.path().join(format!("{round}.page"));
        let page = Page::create(&counters);
        let record = start(&file, &counters);
        page.wait_for(READY, 1);
        std::thread::sleep(moment(round));
        page.kill(libc::SIGKILL);
        Ended::of(record.wait_with_output().unwrap()).exits(128 + libc::SIGKILL);

        let found = read(&file);
        assert!(found.complete);
        assert_eq!(found.process_ends, [libc::SIGKILL]);
        for thread in 0..THREADS {
            let counted = page.get(COUNTERS + thread);
            let numbers = numbers(&found, thread);
            let in_order = numbers.iter().zip(1..).all(|(got, want)| *got == want);
            assert!(in_order, "round {round}: torn or lost in thread {thread}");
            let pushed = numbers.len() as u64;
            assert!(
                pushed == counted || pushed == counted + 1,
                "round {round}, thread {thread}: {counted} pushed, {pushed} recorded"
            );
        }
        // A record reserved and never committed was not pushed yet; nothing else may be missing.
        let torn = found.lost(Cause::Torn);
        assert!(torn <= THREADS as u64);
        assert_eq!(found.lost.values().sum::<u64>(), torn, "{:?}", found.lost);
    }
}

#[test]
fn a_killed_recorder_harms_no_program_and_its_file_opens() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..rounds(20, 200) {
        let file = dir.path().join(format!("{round}.lscope"));
        let counters = dir.path().join(format!("{round}.page"));
        let page = Page::create(&counters);
        let mut record = start(&file, &counters);
        page.wait_for(READY, 1);
        std::thread::sleep(moment(round) + Duration::from_millis(60));
        record.kill().unwrap();
        record.wait().unwrap();

        // It goes on as if nothing had happened, long after its rings are full.
        for thread in 0..THREADS {
            page.wait_for(COUNTERS + thread, page.get(COUNTERS + thread) + 1000);
        }
        page.kill(libc::SIGKILL);

        let found = read(&file);
        assert!(!found.complete);
        for thread in 0..THREADS {
            let numbers = numbers(&found, thread);
            assert!(
                numbers.iter().zip(1..).all(|(got, want)| *got == want),
                "round {round}"
            );
            assert!(numbers.len() as u64 <= page.get(COUNTERS + thread));
        }
    }
}
