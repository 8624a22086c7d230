//! What was emitted is what was received plus what was lost, exactly, of a program that a session records: while the
//! collector keeps up as it can, and while it is stopped (SIGSTOP) for as long as the program pushes.
#![cfg(feature = "cli")]

mod common;
mod session_support;

use common::Ended;
use loopscope::capture::launch::Streams;
use loopscope::capture::live::Live;
use loopscope::capture::perf::Sampling;
use loopscope::capture::session::{Plan, Target};
use loopscope::record::event::Cause;
use loopscope::{Recorder, task};
use session_support::{COUNTERS, Found, Page, READY, given as as_given, read, wanted};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The words of the page that the test and its program wait for each other by.
const GO: usize = 2;
const DONE: usize = 3;
const LEAVE: usize = 4;

/// The file to record into.
const FILE: &str = "LOOPSCOPE_TEST_FILE";

/// Who pushed stands in a number's upper half, so that order can be checked by origin.
const ORIGIN: u32 = 40;
/// The origin of the push before the storm, which tells the call site and the name, once.
const FIRST: u64 = 1 << 20;

fn push(origin: u64, n: u64) {
    task::queued("storm", origin << ORIGIN | n);
}

/// The programs that the tests record.
#[test]
#[ignore = "a program for the other tests"]
fn program() {
    let Some(name) = wanted() else { return };
    let recorder = Recorder::from_env();
    assert!(recorder.is_on(), "{:?}", recorder.problem());
    let page = Page::given();
    push(FIRST, 0);
    page.set(READY, 1);
    page.wait_for(GO, 1);
    match name.as_str() {
        "threads" => four_threads(&page),
        "short" => short_lived_threads(&page),
        "signals" => under_signals(&page),
        other => panic!("no program {other}"),
    }
    page.set(DONE, 1);
    page.wait_for(LEAVE, 1);
}

/// Records the command that follows `--` into the file that [`FILE`] names, without the shim: a push lost is then one of
/// the storm's, and not what the shim saw beside it.
#[test]
#[ignore = "a program for the other tests"]
fn recorder() {
    let Some(path) = std::env::var_os(FILE) else {
        return;
    };
    let program = [
        "--exact",
        "program",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ];
    let mut argv = vec![std::env::current_exe().unwrap().into_os_string()];
    argv.extend(program.map(Into::into));
    let plan = Plan {
        target: Target::File {
            path: path.into(),
            options: loopscope::trace::Options::default(),
        },
        command: vec!["storm".to_owned()],
        title: String::new(),
        stamped: false,
        preload: false,
        drives: false,
        stacks: Sampling::Off,
        blind: false,
        warn: None,
        attachments: Vec::new(),
    };
    let live = Live::start(plan, &argv, Streams::Inherit, false).unwrap();
    let ended = live.join().unwrap();
    assert!(ended.outcome.failure.is_none() && ended.status.unwrap().success());
}

fn four_threads(page: &Page) {
    const EACH: u64 = 1_000_000;
    std::thread::scope(|threads| {
        for thread in 0..4 {
            threads.spawn(move || (0..EACH).for_each(|n| push(thread, n)));
        }
    });
    page.set(COUNTERS, 4 * EACH);
}

fn short_lived_threads(page: &Page) {
    const THREADS: u64 = 10_000;
    const EACH: u64 = 4;
    for block in 0..THREADS / 50 {
        std::thread::scope(|threads| {
            for i in 0..50 {
                threads.spawn(move || (0..EACH).for_each(|n| push(block * 50 + i, n)));
            }
        });
    }
    page.set(COUNTERS, THREADS * EACH);
}

/// Pushes of the handler so far.
static HANDLED: AtomicU64 = AtomicU64::new(0);

extern "C" fn on_alarm(_: i32) {
    push(1, HANDLED.fetch_add(1, Ordering::Relaxed));
}

fn under_signals(page: &Page) {
    /// Runs of the handler to wait for: half a second of them.
    const SIGNALS: u64 = 10_000;
    let timer = start_alarm(50_000);
    let mut own = 0;
    while HANDLED.load(Ordering::Relaxed) < SIGNALS {
        push(0, own);
        own += 1;
    }
    // SAFETY: the timer that start_alarm made; a signal already on its way is taken before the call returns.
    unsafe { libc::timer_delete(timer) };
    page.set(COUNTERS, own + HANDLED.load(Ordering::Relaxed));
}

/// SIGALRM to the calling thread every `nanoseconds`.
fn start_alarm(nanoseconds: i64) -> libc::timer_t {
    // SAFETY: plain structures for which zero is a value, filled in and passed to the calls that take them; the handler
    // pushes and counts, nothing else.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_alarm as extern "C" fn(i32) as usize;
        action.sa_flags = libc::SA_RESTART;
        let null = std::ptr::null_mut();
        assert_eq!(libc::sigaction(libc::SIGALRM, &action, null), 0);
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGALRM;
        event.sigev_notify_thread_id = libc::gettid();
        let mut timer: libc::timer_t = std::mem::zeroed();
        let made = libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer);
        assert_eq!(made, 0);
        let every = libc::timespec {
            tv_sec: 0,
            tv_nsec: nanoseconds,
        };
        let spec = libc::itimerspec {
            it_interval: every,
            it_value: every,
        };
        assert_eq!(
            libc::timer_settime(timer, 0, &spec, std::ptr::null_mut()),
            0
        );
        timer
    }
}

/// Stops the collector, and returns when it stands.
fn stop(collector: &Child) {
    let pid = collector.id() as i32;
    // SAFETY: our own child, not waited for yet.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGSTOP) }, 0);
    let patience = Instant::now() + Duration::from_secs(120);
    let stands = || {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        tasks.flatten().all(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit(')')
                .next()
                .is_some_and(|s| s.trim_start().starts_with('T'))
        })
    };
    while !stands() {
        assert!(Instant::now() < patience, "the collector does not stop");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Records the program; with a collector that is `stopped` all the while it pushes. Everything must add up.
fn storm(name: &str, stopped: bool) -> Found {
    let dir = tempfile::tempdir().unwrap();
    let (file, counters) = (dir.path().join("storm.lscope"), dir.path().join("page"));
    let page = Page::create(&counters);
    let mut record = Command::new(std::env::current_exe().unwrap());
    as_given(&mut record, name, &counters);
    let record = record
        .args(["--exact", "recorder", "--ignored", "--nocapture"])
        .env(FILE, &file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    page.wait_for(READY, 1);
    if stopped {
        stop(&record);
    }
    page.set(GO, 1);
    page.wait_for(DONE, 1);
    if stopped {
        // SAFETY: our own child, not waited for yet.
        unsafe { libc::kill(record.id() as i32, libc::SIGCONT) };
    }
    page.set(LEAVE, 1);
    Ended::of(record.wait_with_output().unwrap()).exits(0);

    let found = read(&file);
    assert!(found.complete && found.problems == 0);
    let numbers = || found.pushed.values().flatten();
    let received = numbers().filter(|n| **n >> ORIGIN != FIRST).count() as u64;
    let lost: u64 = found.lost.values().sum();
    let emitted = page.get(COUNTERS);
    assert_eq!(
        received + lost,
        emitted,
        "{received} received, lost: {:?}",
        found.lost
    );
    let causes = [Cause::RingFull, Cause::NoSlot].map(|cause| found.lost(cause));
    assert_eq!(causes.iter().sum::<u64>(), lost, "{:?}", found.lost);
    println!("{name}: {emitted} emitted = {received} received + {lost} lost");
    in_order(&found);
    found
}

/// Numbers of one origin come in the order they were pushed.
fn in_order(found: &Found) {
    for numbers in found.pushed.values() {
        let mut last = std::collections::HashMap::new();
        for n in numbers {
            let before = last.insert(n >> ORIGIN, *n);
            assert!(before.is_none_or(|b| b < *n), "{n:#x} after {before:x?}");
        }
    }
}

#[test]
fn four_threads_and_a_stopped_collector() {
    let found = storm("threads", true);
    assert!(found.lost(Cause::RingFull) > 0);
}

#[test]
fn four_threads_and_a_busy_collector() {
    storm("threads", false);
}

#[test]
fn ten_thousand_short_lived_threads_and_a_stopped_collector() {
    // 67 threads have rings of their own, the rest share one that nobody empties.
    let found = storm("short", true);
    assert!(found.lost(Cause::NoSlot) > 0);
}

#[test]
fn ten_thousand_short_lived_threads_and_a_busy_collector() {
    storm("short", false);
}

#[test]
fn a_signal_handler_and_a_stopped_collector() {
    let found = storm("signals", true);
    assert!(found.lost(Cause::RingFull) > 0);
}

#[test]
fn a_signal_handler_and_a_busy_collector() {
    storm("signals", false);
}
