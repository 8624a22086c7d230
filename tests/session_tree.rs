//! Who belongs to a recording: grandchildren that join through the environment, forked children that join by pushing,
//! threads that live for a moment, programs that become other programs; and who does not.
#![cfg(feature = "cli")]

mod common;
mod session_support;

use common::{Ended, loopscope};
use loopscope::record::event::Cause;
use loopscope::{Recorder, task};
use session_support::{Found, Page, program as as_program, read, wanted};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs that the tests record.
#[test]
#[ignore = "a program for the other tests"]
fn program() {
    match wanted().as_deref() {
        Some("forks") => forks(),
        Some("threads") => threads(),
        Some("execs") => execs(),
        Some("daemon") => daemon(),
        Some("silent") => drop(Recorder::from_env()),
        Some("blocked") => blocked(),
        Some("descriptors") => descriptors(),
        Some(other) => panic!("no program {other}"),
        None => {}
    }
}

struct Place {
    _dir: tempfile::TempDir,
    file: PathBuf,
    page: PathBuf,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let (file, page) = (dir.path().join("x.lscope"), dir.path().join("page"));
        Place {
            _dir: dir,
            file,
            page,
        }
    }

    fn record(&self, name: &str) -> (Ended, Found) {
        Page::create(&self.page);
        let mut record = loopscope();
        record.args(["record", "-o"]).arg(&self.file);
        as_program(&mut record, name, &self.page);
        let ended = Ended::of(record.output().unwrap());
        let found = read(&self.file);
        (ended, found)
    }
}

fn push(numbers: std::ops::RangeInclusive<u64>) {
    for n in numbers {
        task::queued("number", n);
    }
}

/// Forks without exec; the child's thread goes on with rings of its own.
fn forks() {
    let _recorder = Recorder::from_env();
    push(1..=100);
    for child in 1..=3u64 {
        // SAFETY: the child only pushes, which allocates and locks nothing, and leaves by _exit.
        unsafe {
            match libc::fork() {
                0 => {
                    push(child * 1000 + 1..=child * 1000 + 50);
                    libc::_exit(0);
                }
                pid => {
                    assert!(pid > 0);
                    assert_eq!(libc::waitpid(pid, std::ptr::null_mut(), 0), pid);
                }
            }
        }
    }
    push(101..=200);
}

#[test]
fn forked_children_join_with_what_they_push() {
    let (ended, found) = Place::new().record("forks");
    ended.exits(0);
    assert_eq!(found.processes.len(), 4, "{:?}", found.processes);
    assert_eq!(found.process_ends.len(), 4);
    let of = |process: u32| -> Vec<u64> {
        let its = |((of, _), _): &(&(u64, u32), &Vec<u64>)| *of == u64::from(process);
        found
            .pushed
            .iter()
            .filter(its)
            .flat_map(|(_, numbers)| numbers.clone())
            .collect()
    };
    assert_eq!(of(0), (1..=200).collect::<Vec<_>>());
    for child in 1..=3u64 {
        assert_eq!(
            of(child as u32),
            (child * 1000 + 1..=child * 1000 + 50).collect::<Vec<_>>()
        );
    }
    assert!(found.lost.is_empty(), "{:?}", found.lost);
}

const SHORT_LIVED: u64 = 2000;
const EACH: u64 = 5;

fn threads() {
    let _recorder = Recorder::from_env();
    for at in 0..SHORT_LIVED / 4 {
        let four: Vec<_> = (0..4)
            .map(|i| {
                let first = (at * 4 + i) * EACH;
                std::thread::spawn(move || push(first + 1..=first + EACH))
            })
            .collect();
        four.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

#[test]
fn short_lived_threads_are_all_accounted_for() {
    let (ended, found) = Place::new().record("threads");
    ended.exits(0);
    let mut numbers: Vec<u64> = found.pushed.values().flatten().copied().collect();
    let received = numbers.len() as u64;
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len() as u64, received, "recorded twice");
    let lost: u64 = found.lost.values().sum();
    // Each thread's first push also tells the site, the name stands once: only what the tests number is compared.
    assert!(
        received <= SHORT_LIVED * EACH && received + lost >= SHORT_LIVED * EACH,
        "{received} + {lost}"
    );
    assert_eq!(found.lost(Cause::Torn) + found.lost(Cause::Rejected), 0);
    assert_eq!(found.thread_starts, found.thread_ends);
}

fn execs() {
    let _recorder = Recorder::from_env();
    push(1..=10);
    let left: u64 = std::env::var("LOOPSCOPE_TEST_EXECS").map_or(4, |n| n.parse().unwrap());
    if left > 0 {
        let error = Command::new(std::env::current_exe().unwrap())
            .args(std::env::args().skip(1))
            .env("LOOPSCOPE_TEST_EXECS", (left - 1).to_string())
            .exec();
        panic!("{error}");
    }
}

#[test]
fn a_chain_of_five_programs_in_one_process_is_one_process() {
    let (ended, found) = Place::new().record("execs");
    ended.exits(0);
    assert_eq!(found.processes.len(), 1, "{:?}", found.processes);
    let numbers: u64 = found.pushed.values().map(|n| n.len() as u64).sum();
    assert_eq!(numbers, 50);
}

/// The launched process ends at once; the one that pushes has been left behind.
fn daemon() {
    // SAFETY: the test harness runs this on one of its threads; the parent leaves at once by _exit, and the child
    // goes on with this thread alone, which holds no lock.
    unsafe {
        if libc::fork() != 0 {
            libc::_exit(0);
        }
        libc::setsid();
    }
    let recorder = Recorder::from_env();
    std::thread::sleep(std::time::Duration::from_millis(150));
    push(1..=100);
    drop(recorder);
    // SAFETY: ends the child without the harness's clean-up.
    unsafe { libc::_exit(0) };
}

#[test]
fn the_recording_goes_on_while_somebody_who_joined_lives() {
    let (ended, found) = Place::new().record("daemon");
    // Launched by a process that was gone before it joined: it may join only while the recording lasts.
    match found.processes.len() {
        0 => {
            ended.exits(125);
        }
        _ => {
            ended.exits(0);
            assert_eq!(found.pushed.values().map(Vec::len).sum::<usize>(), 100);
        }
    }
}

#[test]
fn a_program_that_joins_and_says_nothing_is_told_so() {
    let (ended, _) = Place::new().record("silent");
    assert_eq!(ended.code, 125);
    assert!(
        ended
            .stderr
            .contains("waited in no epoll, poll or select call"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("hint: "), "{}", ended.stderr);
}

/// Ends inside a wait.
fn blocked() {
    let _recorder = Recorder::from_env();
    let page = Page::given();
    let epoll = loopscope::epoll::Epoll::new().unwrap();
    let mut events = loopscope::epoll::Events::with_capacity(4);
    page.set(session_support::READY, 1);
    epoll.wait(&mut events, None).unwrap();
}

#[test]
fn a_wait_that_never_returned_is_unfinished() {
    let place = Place::new();
    let page = Page::create(&place.page);
    let mut record = loopscope();
    record.args(["record", "-o"]).arg(&place.file);
    as_program(&mut record, "blocked", &place.page);
    let record = record.spawn().unwrap();
    page.wait_for(session_support::READY, 1);
    // The wait itself is a moment later; there is no event to wait for, but the kernel knows.
    let pid = page.get(session_support::PID);
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while !waits(pid) {
        assert!(std::time::Instant::now() < patience, "it never waits");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    page.kill(libc::SIGKILL);
    Ended::of(record.wait_with_output().unwrap()).exits(128 + libc::SIGKILL);
    assert_eq!(unfinished(&place.file), 1);
}

/// A thread of this process is asleep in an epoll_wait (proc(5), /proc/PID/task/TID/syscall).
fn waits(pid: u64) -> bool {
    let calls = [
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait,
        libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2,
    ];
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks.flatten().any(|task| {
        let told = std::fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
        let call = told.split(' ').next().and_then(|call| call.parse().ok());
        call.is_some_and(|call: i64| calls.contains(&call))
    })
}

fn unfinished(file: &Path) -> u64 {
    let mut reader = loopscope::trace::Reader::open(file).unwrap();
    let summary = loopscope::report::fold(&mut reader, &Default::default(), &mut |_| ()).unwrap();
    summary.loops.iter().map(|l| l.unfinished).sum()
}

/// Lists its descriptors, then closes everything, then pushes.
fn descriptors() {
    let before = open_descriptors();
    let _recorder = Recorder::from_env();
    assert_eq!(
        open_descriptors(),
        before,
        "the recorder holds a descriptor"
    );
    push(1..=10);
    // SAFETY: nothing of ours is used after it but memory.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
    push(11..=20);
}

fn open_descriptors() -> Vec<String> {
    let mut all: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .map(|target| target.display().to_string())
        .filter(|target| !target.contains("/proc/"))
        .collect();
    all.sort();
    all
}

#[test]
fn a_recorded_program_holds_no_descriptor_of_ours() {
    let (ended, found) = Place::new().record("descriptors");
    ended.exits(0);
    assert_eq!(found.pushed.values().map(Vec::len).sum::<usize>(), 20);
}

#[test]
fn without_a_session_a_program_runs_as_always() {
    let place = Place::new();
    Page::create(&place.page);
    let mut command = Command::new("env");
    as_program(&mut command, "forks", &place.page);
    // `env -- PROGRAM`: the same program, nobody recording; then with a session that is not there.
    assert!(
        command
            .env_remove("LOOPSCOPE_SESSION")
            .output()
            .unwrap()
            .status
            .success()
    );
    let output = command
        .env("LOOPSCOPE_SESSION", "/nowhere/s")
        .output()
        .unwrap();
    std::io::stderr().write_all(&output.stderr).unwrap();
    assert!(output.status.success());
}
