//! Sudden death of an unmodified program, or of its recorder: what the program has done is all recorded, to the last call,
//! and what happens to the recorder does not touch it.
//!
//! The program counts outside of itself, before each call and after it, so nobody's word is taken for what it did.
#![cfg(feature = "cli")]

mod common;
#[path = "common/preload.rs"]
mod preload;
mod session_support;

use common::{Ended, loopscope};
use loopscope::record::event::{Cause, Kind, Op};
use loopscope::trace::{Events, Reader};
use preload::compiled;
use session_support::{COUNTERS, Page, READY, rounds};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

const THREADS: usize = 3;
/// Where it stands how many calls each thread may make …
const MOST: usize = 2;
/// … so that none is lost, however late the collector comes: a large ring holds twice as many, in two slots each. In the time
/// that is waited for here they make some thousands.
const HELD: u64 = 16_000;
/// Where the counts of calls begun stand.
const BEGUN: usize = COUNTERS + THREADS;

/// Somewhere in the first milliseconds after the first call; the same every time the tests run.
fn moment(round: u32) -> Duration {
    Duration::from_micros(u64::from(round.wrapping_mul(2_654_435_761) >> 8) % 40_000)
}

fn start(program: &Path, file: &Path, page: &Path) -> Child {
    loopscope()
        .args(["record", "-o"])
        .arg(file)
        .arg("--")
        .args([program, page])
        // What a killed recorder leaves behind goes with the test.
        .env("XDG_RUNTIME_DIR", file.parent().unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a recording has of the program.
#[derive(Default)]
struct Found {
    /// The sizes of its writes, by thread, each list in the order of the file.
    writes: BTreeMap<u32, Vec<u64>>,
    lost: BTreeMap<u16, u64>,
    ends: Vec<i32>,
    complete: bool,
}

fn read(file: &Path) -> Found {
    let mut reader = Reader::open(file).unwrap();
    let mut found = Found {
        complete: reader.complete(),
        ..Found::default()
    };
    let mut events = Events::default();
    for page in 0..reader.pages().len() {
        reader.read_page(page, &mut events).unwrap();
        for (_, e, _) in events.iter() {
            match e.kind {
                Kind::Io if e.aux == Op::Write.code() => {
                    assert_eq!(e.x as u64, e.arg, "all of it");
                    found.writes.entry(e.thread).or_default().push(e.arg);
                }
                Kind::Lost if Cause::from_code(e.aux).is_some_and(Cause::is_the_kernels) => {}
                Kind::Lost => *found.lost.entry(e.aux).or_default() += e.arg,
                Kind::ProcessEnd => found.ends.push(e.x),
                _ => {}
            }
        }
    }
    for numbers in found.writes.values() {
        let in_order = numbers.iter().zip(1..).all(|(got, want)| *got == want);
        assert!(in_order, "torn, or lost in between");
    }
    found
}

/// The counts in the page, smallest first: the recording does not say which thread is which.
fn sorted(page: &Page, from: usize) -> Vec<u64> {
    let mut all: Vec<u64> = (0..THREADS).map(|t| page.get(from + t)).collect();
    all.sort_unstable();
    all
}

#[test]
fn a_killed_program_loses_no_call_it_has_made() {
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "counts", &[]);
    for round in 0..rounds(20, 1000) {
        let file = dir.path().join(format!("{round}.lscope"));
        let counters = dir.path().join(format!("{round}.page"));
        let page = Page::create(&counters);
        page.set(MOST, HELD);
        let record = start(&program, &file, &counters);
        page.wait_for(READY, 1);
        std::thread::sleep(moment(round));
        page.kill(libc::SIGKILL);
        Ended::of(record.wait_with_output().unwrap()).exits(128 + libc::SIGKILL);

        let found = read(&file);
        assert!(found.complete);
        assert_eq!(found.ends, [libc::SIGKILL]);
        let mut recorded: Vec<u64> = found.writes.values().map(|w| w.len() as u64).collect();
        recorded.resize(THREADS, 0);
        recorded.sort_unstable();
        let (done, begun) = (sorted(&page, COUNTERS), sorted(&page, BEGUN));
        // Whether the call it was killed in had been made nobody can know; all others are there.
        let between = (0..THREADS).all(|t| (done[t]..=begun[t]).contains(&recorded[t]));
        assert!(
            between,
            "round {round}: {done:?} done, {begun:?} begun, {recorded:?} recorded"
        );
        let torn = found.lost.get(&Cause::Torn.code()).copied().unwrap_or(0);
        assert!(torn <= THREADS as u64);
        assert_eq!(found.lost.values().sum::<u64>(), torn, "{:?}", found.lost);
        let _ = (std::fs::remove_file(&file), std::fs::remove_file(&counters));
    }
}

#[test]
fn a_killed_recorder_harms_no_program() {
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "counts", &[]);
    for round in 0..rounds(20, 200) {
        let file = dir.path().join(format!("{round}.lscope"));
        let counters = dir.path().join(format!("{round}.page"));
        let page = Page::create(&counters);
        page.set(MOST, HELD);
        let mut record = start(&program, &file, &counters);
        page.wait_for(READY, 1);
        std::thread::sleep(moment(round) + Duration::from_millis(60));
        record.kill().unwrap();
        record.wait().unwrap();
        page.set(MOST, u64::MAX);

        // It goes on as if nothing had happened, also when its rings are full: every call does all it was asked for, or the
        // program ends.
        for thread in 0..THREADS {
            page.wait_for(COUNTERS + thread, page.get(COUNTERS + thread) + 2000);
        }
        page.kill(libc::SIGKILL);

        let found = read(&file);
        assert!(!found.complete);
        let begun = sorted(&page, BEGUN);
        let mut recorded: Vec<u64> = found.writes.values().map(|w| w.len() as u64).collect();
        recorded.resize(THREADS, 0);
        recorded.sort_unstable();
        assert!((0..THREADS).all(|t| recorded[t] <= begun[t]), "{round}");
        let _ = (std::fs::remove_file(&file), std::fs::remove_file(&counters));
    }
}
