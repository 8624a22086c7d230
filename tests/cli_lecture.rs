//! A lecture in a real terminal, from the first step of its first demo to the last of its last, by the keys of a presenter's
//! clicker; and its notes in another terminal.
#![cfg(feature = "cli")]

mod common;

use common::screen::Screen;
use common::{Ended, Place, loopscope, run};
use loopscope::demos;
use loopscope::lesson::Lesson;
use pty_process::blocking::Command;
use std::path::Path;

const PAGE_DOWN: &str = "\x1b[6~";

/// The demos of a list, by the plan that is printed without a terminal.
fn planned(list: &str) -> Vec<&'static demos::Demo> {
    let plan = run(&["lecture", list]).exits(0).stdout;
    let names = plan.lines().filter(|l| !l.starts_with(' '));
    names
        .filter_map(|l| demos::find(l.split(' ').next()?))
        .collect()
}

#[test]
fn a_lecture_goes_from_its_first_step_to_its_last() {
    let demos = planned("one");
    assert_eq!(demos.len(), 7);
    let mut screen = Screen::launch(&["lecture", "one", "--recorded"], 80, 24);
    for demo in demos {
        let lesson = Lesson::parse(demo.lesson).unwrap();
        // Lecture mode: its title stands where the screens' names are.
        screen.wait_for(&format!("{} broken", demo.name));
        screen.wait_for(&lesson.title);
        for (at, step) in lesson.steps.iter().enumerate() {
            let place = format!("{} of {}: ", at + 1, lesson.steps.len());
            screen.send(PAGE_DOWN).wait_for(&place);
            if step.question.is_some() {
                screen.send(PAGE_DOWN).wait_for("It is ");
            }
        }
        screen.send(PAGE_DOWN);
    }
    assert_eq!(screen.exit_code(), 0);
    screen.assert_intact();
}

#[test]
fn the_repaired_side_and_lecture_mode_are_a_key_away() {
    let mut screen = Screen::launch(&["demo", "half-close", "--recorded"], 80, 24);
    screen.wait_for("half-close broken");
    screen.wait_for("1 LOOP");
    screen.send("\x1b[15~").wait_for("(LOOP)");
    // It stays over to the other side.
    screen.send("r").wait_for("half-close fixed");
    screen.wait_for("(LOOP)");
    screen.send("\x1b[15~").wait_for("1 LOOP");
    screen.send("q");
    assert_eq!(screen.exit_code(), 0);
    screen.assert_intact();
}

/// The program with a runtime directory of its own.
fn command(dir: &Path, args: &[&str]) -> Command {
    let command = Command::new(env!("CARGO_BIN_EXE_loopscope"));
    command.args(args).env("XDG_RUNTIME_DIR", dir)
}

#[test]
fn the_notes_follow() {
    let place = Place::new();
    let dir = place.path("");
    let notes = || {
        let output = loopscope()
            .arg("notes")
            .env("XDG_RUNTIME_DIR", &dir)
            .output();
        Ended::of(output.unwrap())
    };
    notes().fails(125, "no lecture runs here");
    let lesson = Lesson::parse(demos::find("ghost-events").unwrap().lesson).unwrap();
    let args = ["demo", "ghost-events", "--recorded"];
    let mut screen = Screen::spawn(command(&dir, &args), 80, 24);
    screen.wait_for("ghost-events broken");
    assert!(notes().exits(0).stdout.contains("PgDn begins"));
    screen.send(PAGE_DOWN).wait_for("1 of 4: ");
    let said = notes().exits(0).stdout;
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(&lesson.steps[0].notes), "{said}");
    let mut other = Screen::spawn(command(&dir, &["notes"]), 80, 24);
    other.wait_for("step 1 of 4");
    screen.send(PAGE_DOWN).wait_for("2 of 4: ");
    other.wait_for("step 2 of 4");
    screen.send("q");
    assert_eq!(screen.exit_code(), 0);
    other.wait_for("The lecture has ended.");
    assert_eq!(other.exit_code(), 0);
    notes().fails(125, "no lecture runs here");
}

#[test]
fn the_notes_of_a_demo_are_printed() {
    for demo in demos::ALL {
        let said = run(&["notes", demo.name]).exits(0).stdout;
        let lesson = Lesson::parse(demo.lesson).unwrap();
        assert_eq!(said.matches("\nshown ").count(), lesson.steps.len());
        assert!(said.lines().all(|l| l.chars().count() <= 80), "{said}");
    }
    run(&["notes", "no-such-demo"]).fails(2, "greedy-fd");
}
