//! Servers as students write them, one of them right and seven with one mistake each, live under `run`: the Loop screen says
//! what could wake the loop, what never will, or which call it is inside of.
#![cfg(feature = "cli")]

mod common;
#[path = "common/preload.rs"]
mod preload;

use common::screen::Screen;
use preload::compiled;

/// The screen once it says all of this; lines are joined, since a sentence may go on in the next.
fn says(program: &str, mistake: &str, all: &[&str]) {
    let mut screen = Screen::launch(&["run", "--", program, mistake], 200, 60);
    for words in all {
        screen.wait_for(words);
    }
    // The program has ended with the screen, not before.
    screen.send("q");
    screen.wait_for("end it");
    screen.send("e");
    screen.wait_for("keep the recording?");
    screen.send("\r");
    assert_eq!(screen.exit_code(), 0, "{mistake}");
    screen.assert_intact();
}

#[test]
fn each_mistake_is_on_the_screen() {
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "homework", &["-g"]);
    let program = program.to_str().unwrap();
    let source = include_str!("programs/homework.c");
    let line = source.lines().position(|l| l.contains("THE READ")).unwrap() + 1;
    let place = format!("homework.c:{line}");
    for (mistake, all) in [
        ("right", &["2 fds could wake it"][..]),
        (
            "not-drained",
            &[
                "has 90 bytes left over: it is edge-triggered",
                "1 fd could wake it",
            ],
        ),
        (
            "eof-ignored",
            &["met the end of file, and it is still registered"],
        ),
        (
            "short-write",
            &["found no room for all of it", "does not ask for OUT"],
        ),
        (
            "not-registered",
            &[
                "was accepted and stands in no interest list",
                "1 fd could wake it",
            ],
        ),
        (
            "no-in",
            &["has 100 bytes unread, and its registration does not ask for IN"],
        ),
        ("wrong-data", &["in call read on fd 0", &place]),
        ("blocking", &["in call read on fd 5", &place]),
    ] {
        says(program, mistake, all);
    }
}
