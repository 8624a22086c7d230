//! A full disk costs events, by count, never the recording. Step: **trace**.
//!
//! The file size limit (RLIMIT_FSIZE) stands in for the disk here; a real small file system is mounted where that is allowed.

mod trace_support;

use std::path::Path;
use std::process::Command;

use loopscope::record::event::{Cause, Kind};
use loopscope::trace::{Error, Events, Meta, Options, Reader, Writer};
use trace_support::stream;

/// Records into `path` until well after the room is used up; then checks what is there. `free` makes room again.
fn fill(path: &Path, free: impl FnOnce()) {
    let written = stream(30_000);
    let mut writer = Writer::create(path, &Meta::default(), Options::default()).unwrap();
    let (most, rest) = written.split_at(written.len() - 5_000);
    // Not at the end: a last small page may fit again.
    let mut failed = false;
    for (event, text) in most {
        writer.write(event, text);
        writer.tick(event.t);
        failed |= writer.failing().is_some();
    }
    writer.seal();
    assert!(writer.lost() > 0 && failed, "the room was not used up");
    free();
    for (event, text) in rest {
        writer.write(event, text);
    }
    let lost = writer.lost();
    let Err(Error::Io { source, .. }) = writer.finish() else {
        panic!("finish did not report the full disk")
    };
    assert!(
        matches!(source.raw_os_error(), Some(libc::ENOSPC | libc::EFBIG)),
        "{source}"
    );

    let mut reader = Reader::open(path).unwrap();
    reader.verify().unwrap();
    assert!(reader.complete(), "{:?}", reader.problems());
    let (mut told, mut kept) = (0, 0);
    let mut events = Events::default();
    for page in 0..reader.pages().len() {
        reader.read_page(page, &mut events).unwrap();
        for e in &events.events {
            match (e.kind, e.aux == Cause::Write.code()) {
                (Kind::Lost, true) => told += e.arg,
                _ => kept += 1,
            }
        }
    }
    assert!(told >= lost, "{told} of {lost} lost events told");
    assert_eq!(
        told + kept,
        written.len() as u64,
        "every event is in the file or counted as lost"
    );
}

/// Runs one of the ignored tests below in a process of its own.
fn alone(name: &str, wrap: &[&str]) -> bool {
    let exe = std::env::current_exe().unwrap();
    let mut command = match wrap {
        [] => Command::new(exe),
        [program, args @ ..] => {
            let mut command = Command::new(program);
            command.args(args).arg(exe);
            command
        }
    };
    command
        .args(["--ignored", "--exact", name, "--nocapture"])
        .status()
        .unwrap()
        .success()
}

#[test]
fn a_file_size_limit_costs_events_only() {
    assert!(alone("limited_process", &[]));
}

#[test]
#[ignore = "run by a_file_size_limit_costs_events_only, in a process of its own"]
fn limited_process() {
    let dir = tempfile::tempdir().unwrap();
    let set = |soft: u64| {
        let limit = libc::rlimit {
            rlim_cur: soft,
            rlim_max: libc::RLIM_INFINITY,
        };
        // SAFETY: plain calls on values of our own; this process runs no other test.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
        }
    };
    set(1 << 20);
    fill(&dir.path().join("a.lscope"), || set(libc::RLIM_INFINITY));
}

#[test]
fn a_small_file_system_that_fills_up_costs_events_only() {
    let mount = "dir=$(mktemp -d) && mount -t tmpfs -o size=1m tmpfs $dir && LOOPSCOPE_SMALL=$dir exec \"$@\"";
    let unshare = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        mount,
        "sh",
    ];
    let allowed = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "true"])
        .status();
    if !allowed.is_ok_and(|s| s.success()) {
        assert!(std::env::var_os("CI").is_none(), "no user namespaces here");
        println!("skipped: no user namespaces here, so no file system of our own");
        return;
    }
    assert!(alone("small_file_system", &unshare));
}

#[test]
#[ignore = "run by a_small_file_system_that_fills_up_costs_events_only, with a file system of its own"]
fn small_file_system() {
    let dir = std::path::PathBuf::from(std::env::var_os("LOOPSCOPE_SMALL").unwrap());
    // Others take some of the room, too, and give it back.
    let ballast = dir.join("ballast");
    std::fs::write(&ballast, vec![1; 500 << 10]).unwrap();
    fill(&dir.join("a.lscope"), || {
        std::fs::remove_file(ballast).unwrap()
    });
    // And without room coming back: the footer still fits.
    let full = dir.join("b.lscope");
    std::fs::remove_file(dir.join("a.lscope")).unwrap();
    let mut writer = Writer::create(&full, &Meta::default(), Options::default()).unwrap();
    for (event, text) in &stream(30_000) {
        writer.write(event, text);
        writer.tick(event.t);
    }
    assert!(writer.lost() > 0);
    assert!(writer.finish().is_err());
    let mut reader = Reader::open(&full).unwrap();
    assert!(reader.verify().unwrap().is_empty());
    assert!(reader.complete() && !reader.is_empty());
}
