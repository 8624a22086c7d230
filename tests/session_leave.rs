//! Quitting while the program runs: left, it lives on with a terminal to write to; ended, it ends.
#![cfg(feature = "cli")]

mod common;

use common::screen::Screen;
use std::path::Path;
use std::time::{Duration, Instant};

/// A program that waits for a file, writes to its terminal, and says in another file that it came so far.
fn start(dir: &Path) -> Screen {
    let (go, done) = (dir.join("go"), dir.join("done"));
    let script = format!(
        "echo started; while ! test -e '{}'; do sleep 0.02; done; echo still here; echo yes > '{}'",
        go.display(),
        done.display()
    );
    Screen::launch(&["run", "--", "sh", "-c", &script], 80, 24)
}

#[test]
fn a_program_that_is_left_lives_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut screen = start(dir.path());
    screen.wait_for("keys");
    screen.send("q").wait_for("leave it running");
    screen.send("l").wait_for("save as");
    screen.send("\r");
    // Nothing joined, so nothing was recorded: our failure, told after the terminal is restored.
    assert_eq!(screen.exit_code(), 125);
    screen.assert_intact();
    std::fs::write(dir.path().join("go"), "").unwrap();
    let done = dir.path().join("done");
    let patience = Instant::now() + Duration::from_secs(120);
    while std::fs::read_to_string(&done).unwrap_or_default() != "yes\n" {
        assert!(Instant::now() < patience, "the program was ended or hangs");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_program_that_is_ended_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut screen = start(dir.path());
    screen.wait_for("keys");
    screen.send("8").wait_for("started");
    screen.send("q").wait_for("end it");
    screen.send("e").wait_for("save as");
    screen.send("\r");
    assert_eq!(screen.exit_code(), 125);
    screen.assert_intact();
    assert!(!dir.path().join("done").exists());
}
