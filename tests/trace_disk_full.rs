//! A full disk costs events, by count, never the recording. Step: **trace**.
//!
//! The file size limit (RLIMIT_FSIZE) stands in for the disk here; a real small file system is mounted by root.

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
    assert!(lost > 0);
    assert_eq!(
        counted(&mut reader),
        written.len() as u64,
        "every event is in the file or counted as lost"
    );
}

/// Events in the file, and those it says are lost because they could not be written.
fn counted(reader: &mut Reader) -> u64 {
    let mut all = 0;
    let mut events = Events::default();
    for page in 0..reader.pages().len() {
        reader.read_page(page, &mut events).unwrap();
        all += (events.events.iter())
            .map(|e| match (e.kind, e.aux == Cause::Write.code()) {
                (Kind::Lost, true) => e.arg,
                _ => 1,
            })
            .sum::<u64>();
    }
    all
}

/// The limit holds for a whole process, so the test runs itself again in one of its own.
#[test]
fn a_file_size_limit_costs_events_only() {
    if std::env::var_os("LOOPSCOPE_LIMITED").is_none() {
        let exe = std::env::current_exe().unwrap();
        let status = Command::new(exe)
            .args([
                "--exact",
                "a_file_size_limit_costs_events_only",
                "--nocapture",
            ])
            .env("LOOPSCOPE_LIMITED", "1")
            .status();
        assert!(status.unwrap().success());
        return;
    }
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

/// A file system of 1 MiB that this thread alone sees, and that goes away with it.
fn small(dir: &Path) {
    let at = std::ffi::CString::new(dir.to_str().unwrap()).unwrap();
    let none = std::ptr::null();
    // SAFETY: plain calls with strings of our own that outlive them.
    let done = unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(
                none,
                c"/".as_ptr(),
                none,
                libc::MS_REC | libc::MS_PRIVATE,
                none.cast(),
            ) == 0
            && libc::mount(
                c"tmpfs".as_ptr(),
                at.as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                c"size=1m".as_ptr().cast(),
            ) == 0
    };
    assert!(done, "{}", std::io::Error::last_os_error());
}

#[test]
#[ignore = "root"]
fn a_small_file_system_that_fills_up_costs_events_only() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    small(dir);
    // Others take some of the room, too, and give it back.
    let ballast = dir.join("ballast");
    std::fs::write(&ballast, vec![1; 500 << 10]).unwrap();
    fill(&dir.join("a.lscope"), || {
        std::fs::remove_file(ballast).unwrap()
    });
    // And without room coming back: the footer still fits.
    let full = dir.join("b.lscope");
    std::fs::remove_file(dir.join("a.lscope")).unwrap();
    let written = stream(30_000);
    let mut writer = Writer::create(&full, &Meta::default(), Options::default()).unwrap();
    for (event, text) in &written {
        writer.write(event, text);
        writer.tick(event.t);
    }
    assert!(writer.lost() > 0);
    assert!(writer.finish().is_err());
    let mut reader = Reader::open(&full).unwrap();
    assert!(reader.verify().unwrap().is_empty());
    assert!(reader.complete() && !reader.is_empty());
    assert_eq!(counted(&mut reader), written.len() as u64);
    // It lasts until the last event that has no room.
    let last = written.iter().map(|(event, _)| event.t).max().unwrap();
    assert_eq!(reader.duration_ns(), last);
}
