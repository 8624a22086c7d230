//! `loopscope quiz`: sheets, answers, grading, and what can be wrong with a sheet; at a terminal, question by question.
#![cfg(feature = "cli")]

mod common;

use common::screen::Screen;
use common::{Place, loopscope, run};
use loopscope::teach::quiz::{Sheet, Topic};
use std::io::Write;
use std::process::Stdio;

/// A sheet with each problem's answer as a function of what is right gives it.
fn filled(args: &[&str], answer: impl Fn(usize, usize) -> usize) -> String {
    let mut text = run(args).exits(0).stdout;
    let sheet = Sheet::of(&text).unwrap();
    for (at, problem) in sheet.problems().iter().enumerate().rev() {
        let letter = char::from(b'a' + answer(at, problem.right) as u8);
        let blank = format!("Answer {}:\n", problem.number);
        assert!(text.contains(&blank));
        text = text.replace(&blank, &format!("Answer {}: {letter}\n", problem.number));
    }
    text
}

const SHEET: [&str; 6] = ["quiz", "edge", "--seed", "7", "-n", "10"];

#[test]
fn a_seed_makes_the_same_sheet_and_another_seed_another() {
    let first = run(&SHEET).exits(0).stdout;
    assert_eq!(first, run(&SHEET).exits(0).stdout);
    assert!(
        first.starts_with("loopscope quiz edge --seed 7 -n 10\n"),
        "{first}"
    );
    assert_ne!(
        first,
        run(&["quiz", "edge", "--seed", "8", "-n", "10"])
            .exits(0)
            .stdout
    );
    assert!(first.contains("epoll_ctl(") && first.contains("Answer 10:\n"));
    assert!(first.lines().all(|l| l.chars().count() <= 80));
    // Without a seed the sheet says which one it took.
    let any = run(&["quiz"]).exits(0).stdout;
    let command = any.lines().next().unwrap();
    let again: Vec<&str> = command.split(' ').skip(1).collect();
    assert_eq!(any, run(&again).exits(0).stdout);
}

#[test]
fn the_answers_come_with_their_rules() {
    let mut args = SHEET.to_vec();
    args.push("-c");
    let answers = run(&args).exits(0).stdout;
    assert!(
        answers.contains("Answer 1: ") && answers.contains("(fs/eventpoll.c)"),
        "{answers}"
    );
    assert!(answers.contains("is what comes out if ") && answers.contains("ready list"));
}

#[test]
fn a_sheet_is_graded() {
    let place = Place::new();
    let right = place.file("right", filled(&SHEET, |_, right| right));
    let graded = run(&["quiz", "--check", &right]).exits(0);
    assert!(
        graded.stdout.ends_with("10 of 10 right\n"),
        "{}",
        graded.stdout
    );

    let wrong = filled(
        &SHEET,
        |at, right| if at == 3 { (right + 1) % 4 } else { right },
    );
    let graded = run(&["quiz", "--check", &place.file("wrong", wrong)]).exits(1);
    assert!(graded.stdout.contains("   4  wrong  ") && graded.stdout.contains("9 of 10 right"));
    assert!(graded.stderr.is_empty(), "{}", graded.stderr);

    let blank = place.file("blank", run(&SHEET).exits(0).stdout);
    let graded = run(&["quiz", "--check", &blank]).exits(1);
    assert_eq!(graded.stdout.matches("no answer").count(), 10);
}

#[test]
fn a_sheet_may_come_from_a_pipe() {
    let mut child = loopscope()
        .args(["quiz", "--check", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let sheet = filled(&["quiz", "--seed", "1"], |_, right| right);
    child
        .stdin
        .take()
        .unwrap()
        .write_all(sheet.as_bytes())
        .unwrap();
    let graded = common::Ended::of(child.wait_with_output().unwrap()).exits(0);
    assert!(graded.stdout.contains("5 of 5 right"));
}

#[test]
fn what_cannot_be_graded_is_refused() {
    let place = Place::new();
    let sheet = run(&SHEET).exits(0).stdout;
    let cases = [
        (place.arg("missing"), "No such file"),
        (place.arg(""), "cannot read"),
        (place.file("empty", ""), "not a quiz sheet"),
        (
            place.file("binary", [0xff, 0xfe, 0, 1, 10, 13]),
            "not a quiz sheet",
        ),
        (
            place.file("changed", sheet.replace("--seed 7", "--seed 8")),
            "its head was changed",
        ),
        (place.file("huge", "x".repeat(9 << 20)), "too large"),
    ];
    for (file, piece) in &cases {
        run(&["quiz", "--check", file]).fails(125, piece);
    }
    let hostile = format!("{sheet}Answer 1: \x1b]0;evil\x07\nAnswer 2: \u{202e}\n");
    let graded = run(&["quiz", "--check", &place.file("hostile", hostile)]).exits(1);
    assert!(!graded.stdout.contains('\x1b') && !graded.stdout.contains('\u{202e}'));
    assert!(graded.stdout.contains("not understood"));
}

#[test]
fn a_problem_can_be_stepped_through_as_a_recording() {
    let place = Place::new();
    let file = place.arg("p.lscope");
    let args = [
        "quiz",
        "maxevents",
        "--seed",
        "7",
        "--replay",
        "4",
        "-o",
        &file,
    ];
    let made = run(&args).exits(0);
    assert!(
        made.stderr.contains("next: loopscope replay "),
        "{}",
        made.stderr
    );
    // What is there is not written over by accident.
    run(&args).fails(125, "p.lscope");
    let sheet = Sheet::new(Some(Topic::Maxevents), 7, None, 4);
    let problem = &sheet.problems()[3];
    let report = run(&["report", &file, "--json"]).exits(0).stdout;
    let waits = problem.question().matches("epoll_wait(").count();
    assert!(report.contains(&format!("\"waits\":{waits},")), "{report}");
    assert!(report.contains("\"complete\":true"));
    let events = run(&["export", &file, "--to", "ndjson"]).exits(0).stdout;
    assert!(events.contains("maxevents-rest"), "{events}");
    let picture = place.arg("p.txt");
    run(&[
        "snapshot", &file, "--at", "100%", "--view", "loop", "--size", "80x24", "-o", &picture,
    ])
    .exits(0);
    let picture = std::fs::read_to_string(picture).unwrap();
    assert!(
        picture.contains("quiz maxevents, problem 4") && picture.contains("interest list"),
        "{picture}"
    );
}

#[test]
fn wrong_usage_exits_2() {
    for args in [
        &["quiz", "poetry"][..],
        &["quiz", "-n", "0"],
        &["quiz", "-n", "1001"],
        &["quiz", "-n", "many"],
        &["quiz", "--seed", "-1"],
        &["quiz", "--level", "6"],
        &["quiz", "--check"],
        &["quiz", "edge", "--check", "sheet"],
        &["quiz", "edge", "--replay", "3"],
        &["quiz", "--seed", "1", "--replay", "0", "-o", "x"],
        &["quiz", "--seed", "1", "-o", "x"],
    ] {
        let ended = run(args).exits(2);
        assert!(
            ended.stderr.starts_with("error: ") && ended.stdout.is_empty(),
            "{args:?}"
        );
    }
    let topics = run(&["quiz", "poetry"]).exits(2).stderr;
    assert!(
        Topic::ALL.iter().all(|t| topics.contains(t.name())),
        "{topics}"
    );
}

#[test]
fn at_a_terminal_problems_are_asked_one_by_one() {
    let mut screen = Screen::launch(&["quiz", "level", "--seed", "3"], 80, 40);
    let sheet = Sheet::new(Some(Topic::Level), 3, None, 2);
    let right = |at: usize| char::from(b'a' + sheet.problems()[at].right as u8);
    screen.wait_for("Answer 1:");
    screen.send(format!("{}\r", right(0)).as_bytes());
    screen.wait_for("Right.");
    screen.wait_for("Answer 2:");
    screen.send(b"zzz\r");
    screen.wait_for("Not so.");
    screen.wait_for("Answer 3:");
    screen.send(b"q\r");
    screen.wait_for("1 of 2 right.");
    assert_eq!(screen.exit_code(), 0);
    screen.assert_intact();
}
