//! The recorder and the life of a process: off, joined, forked, killed.

use loopscope::record::event::Kind;
#[cfg(feature = "cli")]
use loopscope::record::event::Op;
use loopscope::{Error, Recorder};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

mod recorded;
use recorded::{Recorded, record, turn};

/// Set in a process that is this test's program once more, doing what it says.
const ROLE: &str = "INSTRUMENT_TEST_ROLE";

/// This program, running only the test `name`, which then plays `role`.
fn again(name: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture"])
        .env(ROLE, role)
        .stdout(Stdio::piped());
    command
}

fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// What the process has: its threads and descriptors.
fn belongings() -> (usize, Vec<String>) {
    let fds = fs::read_dir("/proc/self/fd").unwrap();
    let mut fds: Vec<String> = fds
        .filter_map(|fd| {
            Some(
                fs::read_link(fd.ok()?.path())
                    .ok()?
                    .to_string_lossy()
                    .into_owned(),
            )
        })
        // The listing's own.
        .filter(|link| !link.starts_with("/proc/"))
        .collect();
    fds.sort();
    (fs::read_dir("/proc/self/task").unwrap().count(), fds)
}

/// Every hook once.
fn hooks() {
    let epoll = loopscope::epoll::Epoll::new().unwrap();
    let mut events = loopscope::epoll::Events::with_capacity(4);
    let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
    epoll.add(&a, loopscope::epoll::Interest::IN, 1).unwrap();
    loopscope::io::write(&b, b"x").unwrap();
    epoll.wait(&mut events, None).unwrap();
    for _ in &events {
        loopscope::io::read(&a, &mut [0; 8]).unwrap();
        loopscope::mark!("hook", n = 1_u8);
    }
    loopscope::call("call", || ());
    loopscope::task::queued("task", 1);
    drop(loopscope::span!("span"));
    drop(loopscope::timer::fired("timer", 1));
    loopscope::name_fd(&a, "a");
}

#[test]
fn off_there_is_no_thread_no_descriptor_and_no_record() {
    if role().is_none() {
        // A process of its own: other tests open and close descriptors beside this one, and none of them is ours.
        let name = "off_there_is_no_thread_no_descriptor_and_no_record";
        let out = again(name, "off").stderr(Stdio::piped()).output().unwrap();
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (printed, errors) = (said(&out.stdout), said(&out.stderr));
        assert!(out.status.success(), "{printed}{errors}");
        assert!(printed.contains("1 passed"), "{printed}");
        return;
    }
    hooks();
    let before = belongings();
    let recorder = Recorder::from_env();
    assert!(!recorder.is_on() && recorder.problem().is_none());
    assert!(!loopscope::is_on());
    hooks();
    assert_eq!(belongings().1, before.1);
    // The harness has threads of its own, which come and go; ours would have this name.
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let name = fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default();
        assert_ne!(name.trim(), "loopscope");
    }
    assert_eq!(recorder.finish().unwrap().events, 0);
}

#[test]
fn a_process_has_one_recorder_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let ((), first) = record(|| {
        let second = Recorder::to_file(dir.path().join("second.lscope"));
        assert!(matches!(second, Err(Error::AlreadyOn)));
        assert!(!dir.path().join("second.lscope").exists());
        hooks();
    });
    // Afterwards there is room for another, with names and sites of its own.
    let ((), second) = record(hooks);
    for kind in [
        Kind::Io,
        Kind::RunBegin,
        Kind::Mark,
        Kind::CallBegin,
        Kind::SpanEnd,
    ] {
        assert_eq!(first.count(kind), second.count(kind), "{kind:?}");
        assert!(first.count(kind) > 0, "{kind:?}");
    }
    use loopscope::record::event::Space;
    for space in [
        Space::Mark,
        Space::Call,
        Space::Task,
        Space::Timer,
        Space::Site,
    ] {
        assert_eq!(
            first.names(space).len(),
            second.names(space).len(),
            "{space:?}"
        );
    }
}

#[test]
fn a_file_that_exists_is_left_alone() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine");
    fs::write(&path, "precious").unwrap();
    let error = Recorder::to_file(&path).unwrap_err();
    assert!(matches!(error, Error::Trace(_)), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    assert!(!loopscope::is_on());
    let nowhere = Recorder::to_file(dir.path().join("no/such/dir"));
    assert!(matches!(nowhere, Err(Error::Trace(_))));
}

#[test]
fn a_session_that_is_not_there_does_not_stop_the_program() {
    if role().is_some() {
        let recorder = Recorder::from_env();
        assert!(!recorder.is_on());
        assert!(matches!(recorder.problem(), Some(Error::Session { .. })));
        hooks();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = again(
        "a_session_that_is_not_there_does_not_stop_the_program",
        "orphan",
    )
    .env(loopscope::record::handshake::ENV, dir.path().join("gone"))
    .stderr(Stdio::piped())
    .output()
    .unwrap();
    assert!(out.status.success());
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(
        said.contains("loopscope: not recorded: cannot join the recording at"),
        "{said}"
    );
}

#[cfg(feature = "cli")]
#[test]
fn under_record_the_program_joins_and_holds_nothing_of_ours() {
    if role().is_some() {
        let before = belongings();
        let recorder = Recorder::from_env();
        assert!(recorder.is_on(), "{:?}", recorder.problem());
        // Dropping the value does not end the recording.
        drop(recorder);
        assert_eq!(belongings(), before);
        hooks();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("joined.lscope");
    let program = again(
        "under_record_the_program_joins_and_holds_nothing_of_ours",
        "joiner",
    );
    let out = Command::new(env!("CARGO_BIN_EXE_loopscope"))
        .args(["record", "-o"])
        .arg(&path)
        .arg("--")
        .arg(program.get_program())
        .args(program.get_args())
        .env(ROLE, "joiner")
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let r = Recorded::open(&path);
    assert!(r.complete && r.in_order());
    assert_eq!((r.count(Kind::RunBegin), r.lost()), (1, 0));
    // What the shim sees, the library leaves to it: each call stands there once.
    let run = r.all(Kind::RunBegin).next().unwrap();
    let named = r.all(Kind::CallEnd).filter(|e| e.thread == run.thread);
    assert_eq!(named.count(), 1);
    let (mut waits, mut calls) = (0, Vec::new());
    for e in r.all(Kind::Io).filter(|e| e.thread == run.thread) {
        if e.arg == 8 && e.x == 1 || e.arg == 1 && e.x == 1 && e.t < run.t {
            calls.push(e.aux);
        }
    }
    waits += r.all(Kind::WaitExit).filter(|e| e.fd == run.fd).count();
    assert_eq!((waits, r.count(Kind::CtlEnd)), (1, 1));
    assert_eq!(calls, [Op::Write.code(), Op::Read.code()]);
}

#[cfg(feature = "cli")]
#[test]
fn a_program_that_only_polls_is_joined_by_its_first_poll() {
    if role().is_some() {
        hooks();
        // Asked afterwards, it is the same recording.
        assert!(Recorder::from_env().is_on());
        hooks();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("joined.lscope");
    let name = "a_program_that_only_polls_is_joined_by_its_first_poll";
    let program = again(name, "poller");
    let out = Command::new(env!("CARGO_BIN_EXE_loopscope"))
        .args(["record", "-o"])
        .arg(&path)
        .arg("--")
        .arg(program.get_program())
        .args(program.get_args())
        .env(ROLE, "poller")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(
        out.status.success() && !said.contains("not recorded"),
        "{said}"
    );
    let r = Recorded::open(&path);
    assert!(r.complete && r.in_order());
    assert_eq!(
        (r.count(Kind::RunBegin), r.count(Kind::CtlEnd), r.lost()),
        (2, 2, 0)
    );
}

/// Forks by libc's function or by the bare system call, which runs no handler of any library.
fn fork(bare: bool) -> i32 {
    if bare {
        // SAFETY: no flag but the signal, no stack: a fork. The child makes a few calls that take no lock, then exits.
        (unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) }) as i32
    } else {
        // SAFETY: as above.
        unsafe { libc::fork() }
    }
}

#[test]
fn a_forked_child_is_a_process_of_its_own() {
    let (children, r) = record(|| {
        loopscope::task::queued("parent", 0);
        let mut children = Vec::new();
        for n in 1..=8 {
            match fork(n % 2 == 0) {
                0 => {
                    for i in 0..100 {
                        loopscope::task::queued("child", n * 1000 + i);
                    }
                    // SAFETY: ends the child at once.
                    unsafe { libc::_exit(0) };
                }
                child => {
                    assert!(child > 0);
                    loopscope::task::queued("parent", n);
                    children.push((child, n));
                }
            }
        }
        for (child, _) in &children {
            // SAFETY: no status is asked for.
            let done = unsafe { libc::waitpid(*child, std::ptr::null_mut(), 0) };
            assert_eq!(done, *child);
        }
        children
    });
    let threads = r.threads();
    let pids: std::collections::HashMap<u64, i32> =
        r.all(Kind::ProcessStart).map(|e| (e.arg, e.x)).collect();
    for (child, n) in children {
        let pushed: Vec<_> = r
            .all(Kind::TaskQueued)
            .filter(|e| (n * 1000..n * 1000 + 100).contains(&e.arg))
            .map(|e| (e.arg, threads[&e.thread]))
            .collect();
        assert_eq!(pushed.len(), 100);
        assert!(
            pushed
                .iter()
                .map(|(arg, _)| *arg)
                .eq(n * 1000..n * 1000 + 100),
            "in order"
        );
        let process = pushed[0].1.1;
        assert_eq!(pids[&process], child);
        assert!(pushed.iter().all(|(_, thread)| *thread == (child, process)));
    }
    let parent: Vec<_> = r.all(Kind::TaskQueued).filter(|e| e.arg <= 8).collect();
    assert_eq!(parent.len(), 9);
    assert!(
        parent
            .iter()
            .all(|e| pids[&threads[&e.thread].1] == std::process::id() as i32)
    );
    // The child told its own names.
    let told = r
        .all(Kind::Name)
        .filter(|e| e.aux == loopscope::record::event::Space::Task.code());
    assert_eq!(told.count(), 1 + 8);
}

#[test]
fn a_child_does_not_end_its_parents_recording() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("parent.lscope");
    let recorder = Recorder::to_file(&path).unwrap();
    match fork(false) {
        0 => {
            drop(recorder);
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(0) };
        }
        child => {
            // SAFETY: no status is asked for.
            let done = unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            assert_eq!(done, child);
        }
    }
    assert!(loopscope::is_on());
    hooks();
    recorder.finish().unwrap();
    let r = Recorded::open(&path);
    assert!(r.complete);
    assert_eq!(r.count(Kind::CallEnd), 1);
}

#[test]
fn a_killed_program_leaves_a_file_that_ends_without_gaps() {
    if let Some(path) = role() {
        let _recorder = Recorder::to_file(path).unwrap();
        let mut out = std::io::stdout();
        for n in 0_u64.. {
            loopscope::task::queued("tick", n);
            if n % 64 == 0 {
                out.write_all(b".").unwrap();
            }
        }
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for kill in 0..10 {
        let path = dir.path().join(format!("killed{kill}.lscope"));
        let name = "a_killed_program_leaves_a_file_that_ends_without_gaps";
        let mut program = again(name, path.to_str().unwrap());
        program.process_group(0);
        let mut child = program.spawn().unwrap();
        // The pipe paces it: it is killed in the middle of whatever it does then.
        let mut out = child.stdout.take().unwrap();
        let mut read = [0; 97];
        let ticks = |path| -> Vec<u64> {
            Recorded::open_growing(path)
                .all(Kind::TaskQueued)
                .map(|e| e.arg)
                .collect()
        };
        loop {
            out.read_exact(&mut read).unwrap();
            if path.exists()
                && fs::metadata(&path).unwrap().len() > 0
                && ticks(&path).len() > 1000 * kill
            {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let r = Recorded::open_growing(&path);
        assert!(!r.complete);
        if r.lost() == 0 {
            let n = r.count(Kind::TaskQueued);
            assert!(r.all(Kind::TaskQueued).map(|e| e.arg).eq(0..n));
        }
        assert!(r.count(Kind::TaskQueued) > 1000 * kill as u64);
    }
}
