//! The replay as an asciicast, played back by a terminal that has nothing to do with ours: at each step the screen is the one
//! the UI draws there, character by character and colour by colour.
#![cfg(feature = "cli")]

mod common;

use common::{Place, recorded, run};
use loopscope::demos;
use loopscope::lesson::Lesson;
use loopscope::tui::{self, App, Look, Message, Options, Source};
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use serde_json::Value;
use std::num::NonZero;
use std::path::PathBuf;

/// A cast as its players see it: the header, and each event with its instant in milliseconds.
fn parsed(text: &str) -> (Value, Vec<(u64, String, String)>) {
    let mut lines = text.lines().map(|l| serde_json::from_str(l).unwrap());
    let header: Value = lines.next().unwrap();
    let mut now = 0.0;
    let events = lines.map(|event: Value| {
        let event = event.as_array().unwrap().clone();
        assert_eq!(event.len(), 3);
        let passed = event[0].as_f64().unwrap();
        assert!(passed >= 0.0);
        now += passed;
        let of = |at: usize| event[at].as_str().unwrap().to_owned();
        ((now * 1000.0_f64).round() as u64, of(1), of(2))
    });
    let events = events.collect();
    (header, events)
}

/// The demo's shipped recording, for a person to step through.
fn app(demo: &'static demos::Demo) -> App {
    let path = format!(
        "{}/recordings/{}.lscope",
        env!("CARGO_MANIFEST_DIR"),
        demo.name
    );
    let source = Source::Replay {
        path: PathBuf::from(path),
        follow: false,
    };
    let options = Options {
        lesson: Some(demo.lesson),
        ..Options::default()
    };
    App::open(&source, options, Look::default())
        .unwrap()
        .unwrap()
}

fn cells(n: u16) -> NonZero<u16> {
    NonZero::new(n).unwrap()
}

fn colour(color: Color) -> vt100::Color {
    match color {
        Color::Reset => vt100::Color::Default,
        Color::Black => vt100::Color::Idx(0),
        Color::Red => vt100::Color::Idx(1),
        Color::Green => vt100::Color::Idx(2),
        Color::Yellow => vt100::Color::Idx(3),
        Color::Blue => vt100::Color::Idx(4),
        Color::Magenta => vt100::Color::Idx(5),
        Color::Cyan => vt100::Color::Idx(6),
        Color::Gray => vt100::Color::Idx(7),
        Color::DarkGray => vt100::Color::Idx(8),
        Color::Indexed(n) => vt100::Color::Idx(n),
        other => panic!("a screen with {other:?}"),
    }
}

/// The terminal shows this screen, below the header, which tells how fast it plays.
#[track_caller]
fn shows(terminal: &vt100::Screen, screen: &Buffer) {
    for y in 1..screen.area.height {
        for x in 0..screen.area.width {
            let (cell, ours) = (terminal.cell(y, x).unwrap(), &screen[(x, y)]);
            let text = match cell.contents() {
                "" => " ",
                text => text,
            };
            assert_eq!(text, ours.symbol(), "{x},{y}:\n{}", terminal.contents());
            assert_eq!(cell.fgcolor(), colour(ours.fg), "{x},{y}");
            assert_eq!(cell.bgcolor(), colour(ours.bg), "{x},{y}");
            assert_eq!(
                cell.bold(),
                ours.modifier.contains(Modifier::BOLD),
                "{x},{y} {text}"
            );
            let reversed = ours.modifier.contains(Modifier::REVERSED);
            assert_eq!(cell.inverse(), reversed, "{x},{y} {text}");
        }
    }
}

#[test]
fn a_cast_plays_back_to_the_screens_of_the_lesson() {
    for name in ["greedy-fd", "blocking-echo"] {
        let demo = demos::find(name).unwrap();
        let lesson = Lesson::parse(demo.lesson).unwrap();
        let text = run(&["export", name, "--to", "cast"]).exits(0).stdout;
        let (header, events) = parsed(&text);
        assert_eq!(header["version"], 3);
        assert_eq!(header["term"]["cols"], 80);
        assert_eq!(header["term"]["rows"], 24);
        assert_eq!(header["title"], lesson.title);
        let mut app = app(demo);
        let mut terminal = vt100::Parser::new(cells(24), cells(80), 0);
        let mut marks = Vec::new();
        let mut screens = 0;
        for (_, code, data) in &events {
            match code.as_str() {
                "o" => {
                    terminal.process(data.as_bytes());
                    screens += 1;
                }
                "m" => {
                    app.update(Message::Lesson(1)).unwrap();
                    shows(terminal.screen(), &tui::frame(&mut app, 80, 24).unwrap());
                    marks.push(data.clone());
                }
                "x" => assert_eq!(data, "0"),
                code => panic!("event {code}"),
            }
        }
        assert_eq!(events.last().unwrap().1, "x");
        // It plays between the steps.
        assert!(screens > 5 * marks.len(), "{screens}");
        let of = lesson.steps.len();
        let want = lesson.steps.iter().enumerate().flat_map(|(at, step)| {
            let asked = step.question.is_some();
            let answer = format!("{} of {of}: the answer", at + 1);
            let step = format!("{} of {of}: {}", at + 1, step.title);
            [step].into_iter().chain(asked.then_some(answer))
        });
        assert_eq!(marks, want.collect::<Vec<_>>());
        // There is time to read.
        assert!(events.last().unwrap().0 > 3_000 * marks.len() as u64);
    }
}

#[test]
fn a_recording_without_a_lesson_has_its_findings_as_steps() {
    let place = Place::new();
    let (file, cast) = (recorded(&place, "a.lscope"), place.arg("a.cast"));
    let export =
        |more: &[&str]| run(&[&["export", &file, "--to", "cast", "-o", &cast][..], more].concat());
    export(&["--size", "60x16"]).exits(0);
    let text = std::fs::read_to_string(&cast).unwrap();
    // Whatever the recording's names are: only JSON carries control characters.
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
    let (header, events) = parsed(&text);
    assert_eq!(header["term"]["cols"], 60);
    let marks = events.iter().filter(|(_, code, _)| code == "m");
    let marks: Vec<&str> = marks.map(|(.., data)| data.as_str()).collect();
    assert!(marks.len() >= 2, "{marks:?}");
    assert!(
        marks
            .iter()
            .any(|m| m.ends_with("Where the recording opens"))
    );
    assert!(marks.last().unwrap().ends_with("Who had the loop"));
    export(&[]).fails(125, "exists");
    export(&["--force"]).exits(0);
}

#[test]
fn what_cannot_be_drawn_is_wrong_usage() {
    let export = |more: &[&str]| run(&[&["export", "greedy-fd", "--to"][..], more].concat());
    export(&["cast", "--size", "20x5"]).fails(2, "from 60x16");
    export(&["slides", "--size", "900x900", "-o", "slides"]).fails(2, "to 300x100");
    export(&["cast", "--from", "1s"]).fails(2, "whole recording");
    export(&["ndjson", "--size", "80x24"]).fails(2, "--to cast");
    export(&["ndjson", "--theme", "light"]).fails(2, "--to cast");
    run(&["export", "no-such-demo", "--to", "cast"]).fails(125, "No such file");
}

#[test]
fn a_handout_is_printed() {
    let plain = run(&["demo", "greedy-fd", "--exercise"]).exits(0).stdout;
    let with = run(&["demo", "greedy-fd", "--exercise", "-c"]).exits(0);
    assert!(plain.contains("___") && !plain.contains("Answer"));
    assert!(with.stdout.contains("Answer: 2, "));
    run(&["demo", "timer-spin", "--exercise"]).fails(2, "no lesson");
    run(&["demo", "greedy-fd", "-c"]).fails(2, "--exercise");
}
