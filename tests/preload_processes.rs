//! Unmodified programs whose processes and threads come and go in every way: what they do is recorded under who did it,
//! and they do the same with the shim as without it.
#![cfg(feature = "cli")]

mod common;
#[path = "common/preload.rs"]
mod preload;

use common::run;
use loopscope::record::event::{Cause, FdKind, Kind, Op};
use preload::{Seen, compiled, events, record};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

/// The program's recording, when it printed the same as without us.
fn same(name: &str) -> Vec<Seen> {
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), name, &[]);
    let alone = Command::new(&program).output().unwrap();
    let file = dir.path().join("x.lscope");
    let recorded = record(&file, &program, &[]);
    let said = |o: &std::process::Output| {
        (
            String::from_utf8_lossy(&o.stdout).into_owned(),
            o.status.code(),
        )
    };
    assert_eq!(
        said(&alone),
        said(&recorded),
        "{}",
        String::from_utf8_lossy(&recorded.stderr)
    );
    assert_eq!(said(&alone).1, Some(0));
    events(&file)
}

#[test]
fn each_process_tells_its_own_story() {
    let all = same("family");
    let mut process_of = BTreeMap::new();
    let (mut opened, mut closed, mut parents) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for Seen { event: e, .. } in &all {
        let process = process_of.get(&e.thread).copied().unwrap_or(u64::MAX);
        match e.kind {
            Kind::ProcessStart => parents.push(e.y),
            Kind::ThreadStart => _ = process_of.insert(e.thread, e.arg),
            Kind::FdOpen if e.aux == FdKind::Eventfd.code() => {
                *opened.entry(process).or_insert(0) += 1;
            }
            Kind::FdCloseEnd if e.x == 0 => *closed.entry(process).or_insert(0) += 1,
            Kind::Lost if Cause::from_code(e.aux).is_some_and(Cause::is_the_kernels) => {}
            Kind::Lost => panic!("lost {}", e.arg),
            _ => {}
        }
    }
    // The first process: the one it keeps, and nine at the end.
    assert_eq!(opened.remove(&0), Some(10));
    // What its vfork children closed is not its close.
    assert_eq!(closed[&0], 10);
    let mut numbers: Vec<i32> = opened.values().copied().collect();
    numbers.sort_unstable();
    let want: Vec<i32> = [1, 2, 4].into_iter().chain([5; 20]).chain([6, 7]).collect();
    assert_eq!(numbers, want);
    // Everyone has a parent in the recording but the first, whose parent is the recorder.
    assert_eq!(parents.len(), 1 + want.len() + 1, "system(3) too");
}

/// A program's recording, when it printed the same and ended with the same code as without us; and how many of its
/// processes ended in which way.
fn ends(name: &str, code: i32) -> (Vec<Seen>, BTreeMap<String, u32>) {
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), name, &[]);
    let alone = Command::new(&program).output().unwrap();
    let file = dir.path().join("x.lscope");
    let recorded = record(&file, &program, &[]);
    assert_eq!(
        (alone.status.code(), recorded.status.code()),
        (Some(code), Some(code))
    );
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(
        text(&alone.stdout),
        text(&recorded.stdout),
        "{}",
        text(&recorded.stderr)
    );
    let mut reader = loopscope::trace::Reader::open(&file).unwrap();
    let summary = loopscope::report::fold(&mut reader, &Default::default(), &mut |_| ()).unwrap();
    let mut ends = BTreeMap::new();
    for process in &summary.processes {
        let (_, end) = process.ended.unwrap();
        *ends.entry(end.to_string()).or_insert(0) += 1;
    }
    (events(&file), ends)
}

#[test]
fn how_children_end_is_known_from_who_waits_for_them() {
    let (all, ends) = ends("endings", 3);
    // Each wait told of its child, and of one that is asked after twice two did.
    let reaped = all.iter().filter(|s| s.event.kind == Kind::Reaped).count();
    assert_eq!(reaped, 3 * 13);
    let want = [
        ("exited 0", 12),
        ("exited 3", 1),
        ("exited 7", 12),
        ("killed by SIGSEGV", 12),
    ];
    let same = ends.iter().map(|(end, n)| (end.as_str(), *n)).eq(want);
    assert!(same, "{ends:?}");
}

#[test]
fn children_that_outlive_their_parents_are_waited_for_and_tell_how_they_ended() {
    let (_, mut ends) = ends("orphans", 6);
    // The last one's end is told to nobody who is recorded: the kernel may say it.
    let last = ["exited 33", "ended, nobody told how"].map(|end| ends.remove(end).unwrap_or(0));
    assert_eq!(last.iter().sum::<u32>(), 1, "{ends:?}");
    let want = [
        ("exited 10", 5),
        ("exited 20", 1),
        ("exited 21", 1),
        ("exited 22", 1),
        ("exited 23", 1),
        ("exited 6", 1),
        ("killed by SIGKILL", 1),
    ];
    let same = ends.iter().map(|(end, n)| (end.as_str(), *n)).eq(want);
    assert!(same, "{ends:?}");
}

#[test]
fn a_daemon_is_its_parents_child_whoever_has_it_now() {
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "orphan", &[]);
    let file = dir.path().join("x.lscope");
    assert!(record(&file, &program, &[]).status.success());
    let all = events(&file);
    let starts: Vec<_> = (all.iter().map(|seen| &seen.event))
        .filter(|e| e.kind == Kind::ProcessStart)
        .collect();
    assert_eq!(starts.len(), 2);
    assert_eq!(starts[1].y, starts[0].x as u64, "{starts:#?}");
    // A copy of what was recorded is recorded as that was: its handlers are known by their calls.
    let report = run(&["report", "--json", file.to_str().unwrap()]).exits(0);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    let its_loop = &report["loops"][0];
    assert_eq!(
        (&its_loop["ready"], &its_loop["run_ns"]["count"]),
        (&20.into(), &20.into()),
        "{its_loop:#}"
    );
}

#[test]
fn cancelled_threads_signal_handlers_and_destructors_do_as_they_did() {
    let all = same("cancel");
    let count = |kind: Kind| all.iter().filter(|s| s.event.kind == kind).count();
    // Of each cancelled wait the entry stands there, and of each call that the thread was in.
    assert_eq!(count(Kind::WaitEnter) - count(Kind::WaitExit), 4 * 5);
    // Told when it has lasted, and when its thread is gone.
    let told = |s: &&Seen| s.event.kind == Kind::InCall;
    let received = |s: &&Seen| s.event.aux == Op::Recv.code();
    // Others read something else, and on a busy machine one loses its CPU in it.
    let pair = (all.iter().filter(told)).find(received).map(|s| s.event.fd);
    let inside = |op: Op| {
        let here = |s: &&Seen| op == Op::Named || Some(s.event.fd) == pair;
        let is = |s: &&Seen| told(s) && s.event.aux == op.code() && here(s);
        let threads = all.iter().filter(is).map(|s| s.event.thread);
        threads.collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!((inside(Op::Read), inside(Op::Recv)), (5, 10));
    assert_eq!(inside(Op::Named), 10, "sleep and pause");
    let lost: u64 = (all.iter().filter(|s| {
        s.event.kind == Kind::Lost
            && !Cause::from_code(s.event.aux).is_some_and(Cause::is_the_kernels)
    }))
    .map(|s| s.event.arg)
    .sum();
    // Every read of one byte of a thread that ran to its end: 200 threads, four rounds of their destructor.
    let reads = all
        .iter()
        .filter(|s| s.event.kind == Kind::Io && s.event.aux == Op::Write.code() && s.event.x == 1);
    // What a full ring could not take is among what is lost, and nothing else is missing.
    let reads = reads.count() as u64;
    assert!(reads <= 50_000 && reads + lost >= 50_000, "{reads} {lost}");
}

#[test]
fn a_call_that_was_jumped_out_of_is_over() {
    let all = same("jumps");
    let inside = all.iter().filter(|s| s.event.kind == Kind::InCall);
    // While it lasted, perhaps; not at the end, long after. What was called since may last long on a busy machine.
    let jumped = all.iter().rposition(|s| s.event.kind == Kind::WaitExit);
    let jumped = all[jumped.unwrap()].event.t;
    let told = inside.map(|s| (s.event.t.saturating_sub(s.event.y), s.event.t));
    assert_eq!(
        told.filter(|(begun, t)| *begun < jumped && *t > jumped)
            .count(),
        0
    );
}

#[test]
fn a_program_that_filters_its_calls_is_asked_nothing() {
    let all = same("filtered");
    let waits = all.iter().filter(|s| s.event.kind == Kind::WaitExit);
    assert_eq!(waits.count(), 52);
}

#[test]
fn programs_exec_d_with_their_arguments_one_by_one_join_without_an_environment() {
    let all = same("execs");
    let opened = |s: &&Seen| s.event.kind == Kind::FdOpen && s.event.aux == FdKind::Eventfd.code();
    // Ten became the program again; one was not found.
    assert_eq!(all.iter().filter(opened).count(), 10);
}

#[test]
fn a_recording_ends_after_its_time_and_the_program_lives_on() {
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "stays", &[]);
    let [file, go, done] = ["x.lscope", "go", "done"].map(|name| dir.path().join(name));
    // Its output goes nowhere: a pipe of ours would stay open as long as it lives. The time is long enough for it to come to
    // its first wait, also where it is kept from the CPU for seconds.
    let status = common::loopscope()
        .args(["record", "--for", "10s", "-o"])
        .arg(&file)
        .arg("--")
        .args([&program, &go, &done])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    let all = events(&file);
    assert!(all.iter().any(|s| s.event.kind == Kind::WaitExit));
    assert!(!all.iter().any(|s| s.event.kind == Kind::ProcessEnd));
    // Only who has outlived the recorder can see this file, and answer.
    std::fs::write(&go, "").unwrap();
    wait_for("its answer", || done.exists());
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !there() {
        assert!(Instant::now() < patience, "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}
