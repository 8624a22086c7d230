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
use std::time::Duration;

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
    screen.wait_for("Done.");
    screen.send(PAGE_DOWN);
    assert_eq!(screen.exit_code(), 0);
    screen.assert_intact();
}

/// A row of the script in docs/LECTURES.md: at which second, which demo, which of its steps.
struct Line<'a> {
    at: u64,
    demo: &'a str,
    step: &'a str,
}

fn script() -> Vec<Line<'static>> {
    let text = include_str!("../docs/LECTURES.md");
    let part = text.split_once("### Its script").unwrap().1;
    let part = part.split("\n## ").next().unwrap();
    let rows = part.lines().filter(|l| l.starts_with("| ")).skip(1);
    let line = |row: &'static str| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (minutes, seconds) = cells[1].split_once(':').unwrap();
        Line {
            at: 60 * minutes.parse::<u64>().unwrap() + seconds.parse::<u64>().unwrap(),
            demo: cells[2],
            step: cells[3],
        }
    };
    rows.map(line).collect()
}

/// The first lecture by its script, a thousand times as fast: what each line says is on the screen when it comes.
#[test]
fn the_first_lecture_goes_by_its_script() {
    let script = script();
    let (end, lines) = script.split_last().unwrap();
    assert!(end.demo == "end" && end.at <= 40 * 60, "{} s", end.at);
    let mut due = lines.iter().zip(&script[1..]);
    let mut screen = Screen::launch(&["lecture", "one", "--recorded"], 80, 24);
    for demo in planned("one") {
        screen.wait_for(&format!("{} broken", demo.name));
        let lesson = Lesson::parse(demo.lesson).unwrap();
        // What each press of the key shows.
        let mut presses: Vec<(String, Vec<&str>)> = Vec::new();
        for (at, step) in lesson.steps.iter().enumerate() {
            let place = format!("{} {}", at + 1, step.title);
            let mut shown = vec![&*step.caption];
            if let Some(question) = &step.question {
                shown.push(&question.text);
                shown.extend(question.choices.iter().map(String::as_str));
                presses.push((place.clone(), shown));
                shown = vec![&question.why];
            }
            presses.push((place, shown));
        }
        for (place, shown) in presses {
            let (line, next) = due.next().unwrap();
            assert_eq!((line.demo, line.step), (demo.name, &*place));
            assert!(line.at < next.at, "{} s", line.at);
            screen.send(PAGE_DOWN).wait_until(&place, |s| {
                let text = s.contents();
                let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
                shown.iter().all(|said| words.contains(said))
            });
            std::thread::sleep(Duration::from_millis(next.at - line.at));
        }
        screen.send(PAGE_DOWN);
    }
    screen.wait_for("Done.");
    screen.send(PAGE_DOWN);
    assert!(due.next().is_none());
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

/// A knob turned on the screen changes the program that runs, on the same screen, and its recording says when.
#[test]
fn a_knob_is_turned_while_the_demo_runs() {
    let place = Place::new();
    let file = place.arg("turned.lscope");
    let args = ["demo", "level-vs-edge", "-o", &file];
    let mut screen = Screen::launch(&args, 80, 24);
    screen.wait_for("IN level");
    screen.send("c").wait_for("[level]");
    screen.send("\x1b[C").wait_for("[edge]");
    // The kernel is told; the list of what it watches says so.
    screen.wait_for("IN edge");
    screen.send("2").wait_for("turned trigger=\"edge\"");
    // And another one; the first is where it was left.
    screen.send("\x1b[B\x1b[C").wait_for("[512]");
    screen
        .send("c")
        .wait_until("no knobs", |s| !s.contents().contains("[512]"));
    screen.send("q").wait_for("the program still runs");
    screen.send("e");
    assert_eq!(screen.exit_code(), 0, "{}", screen.contents());
    screen.assert_intact();
    let marks = run(&["export", &file, "--to", "ndjson"]).exits(0).stdout;
    assert!(marks.contains("turned"), "{marks}");
    // What has been recorded cannot be turned.
    let mut screen = Screen::launch(&["demo", "level-vs-edge", "--recorded"], 80, 24);
    screen.wait_for("level-vs-edge broken");
    assert!(!screen.contents().contains("c knobs"));
    screen.send("q");
    assert_eq!(screen.exit_code(), 0);
}

/// A theme is asked for, or gone to by a key; it stays over to the other side.
#[test]
fn a_theme_stays() {
    let args = ["demo", "half-close", "--recorded", "--theme", "dark"];
    let mut screen = Screen::launch(&args, 80, 24);
    let paper = |n| {
        move |s: &vt100::Screen| s.cell(5, 5).map(|c| c.bgcolor()) == Some(vt100::Color::Idx(n))
    };
    screen.wait_until("dark", paper(234));
    screen.send("r").wait_for("half-close fixed");
    screen.wait_until("dark still", paper(234));
    screen.send("\x1b[17~").wait_for("theme: high-contrast");
    screen.wait_until("black", paper(16));
    screen.send("r").wait_for("half-close broken");
    screen.wait_until("black still", paper(16));
    screen.send("q");
    assert_eq!(screen.exit_code(), 0);
    screen.assert_intact();
    run(&["demo", "half-close", "--theme", "pink"]).fails(2, "colour-blind");
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

/// From a demo's beginning back to the last step of the demo before, and from the repaired program back to that step.
#[test]
fn the_demo_before_and_the_step_left_are_come_back_to() {
    let list = "half-close,busy-poll";
    let mut screen = Screen::launch(&["lecture", list, "--recorded"], 80, 24);
    screen.wait_for("half-close broken");
    let steps = Lesson::parse(demos::find("half-close").unwrap().lesson)
        .unwrap()
        .steps;
    for (at, step) in steps.iter().enumerate() {
        let place = format!("{} of {}: ", at + 1, steps.len());
        screen.send(PAGE_DOWN).wait_for(&place);
        if step.question.is_some() {
            screen.send(PAGE_DOWN).wait_for("It is ");
        }
    }
    let last = format!("{0} of {0}: ", steps.len());
    screen.send(PAGE_DOWN).wait_for("busy-poll broken");
    screen.send("\x1b[5~").wait_for("half-close broken");
    screen.wait_for(&last);
    screen.send("r").wait_for("1 of 1: Repaired");
    screen.send("r").wait_for(&last);
    screen.send(PAGE_DOWN).wait_for("busy-poll broken");
    screen.send("q");
    assert_eq!(screen.exit_code(), 0);
    screen.assert_intact();
    run(&["lecture", "no-such-course.toml"]).fails(2, "no file no-such-course.toml");
}
