//! Every demo's lesson: it can be read, its moments are in the recordings that ship, and its captions are whole on the
//! smallest screen.
#![cfg(feature = "cli")]

use loopscope::demos::{self, Demo};
use loopscope::lesson::Lesson;
use loopscope::tui::{self, Among, App, Leave, LessonAt, Look, Message, Options, Source, View};
use ratatui::buffer::Buffer;
use ratatui::style::Color;
use std::path::PathBuf;

/// A demo's shipped recording of the broken program, as the UI shows it.
fn app(demo: &'static Demo, lecture: bool) -> App {
    let among = Among {
        before: true,
        after: true,
    };
    side(demo, false, lecture.then_some(among), None)
}

/// One of its sides, where its lesson was left.
fn side(
    demo: &'static Demo,
    fixed: bool,
    lecture: Option<Among>,
    lesson_at: Option<LessonAt>,
) -> App {
    let end = if fixed { "-fixed" } else { "" };
    let path = format!(
        "{}/recordings/{}{end}.lscope",
        env!("CARGO_MANIFEST_DIR"),
        demo.name
    );
    let source = Source::Replay {
        path: PathBuf::from(path),
        follow: false,
    };
    let options = Options {
        demo: true,
        lesson: Some(demo.lesson),
        fixed,
        lecture,
        lesson_at,
        ..Options::default()
    };
    let look = Look::detect(false, |_| None);
    App::open(&source, options, look).unwrap().unwrap()
}

fn rows(buffer: &Buffer) -> Vec<String> {
    let area = buffer.area;
    let row = |y| (0..area.width).map(|x| buffer[(x, y)].symbol()).collect();
    (0..area.height).map(row).collect()
}

/// The screen's words in their order, whatever the lines.
fn words(rows: &[String]) -> String {
    let all: Vec<&str> = rows.iter().flat_map(|row| row.split_whitespace()).collect();
    all.join(" ")
}

#[test]
fn every_lesson_can_be_read() {
    for demo in demos::ALL {
        let lesson =
            Lesson::parse(demo.lesson).unwrap_or_else(|why| panic!("{}: {why}", demo.name));
        assert!(lesson.steps.len() >= 3, "{}", demo.name);
        let asks = lesson.steps.iter().filter(|s| s.question.is_some()).count();
        assert!(asks >= 1, "{} asks nothing", demo.name);
        for step in &lesson.steps {
            let screen = step.screen.as_deref().map(View::from_name);
            assert!(screen != Some(None), "{}: {:?}", demo.name, step.screen);
        }
    }
}

/// A knob that nothing asks for, or that is asked for and cannot be turned, is none.
#[test]
fn knobs_are_those_that_the_program_asks_for() {
    let mut some = 0;
    for demo in demos::ALL {
        let knobs = Lesson::parse(demo.lesson).unwrap().knobs;
        // `knobs` is what the demos call them, `knobs.dials` where they have the rest as well.
        let asked = |call: &str| -> Vec<&str> {
            let source = ["knobs", "dials"].map(|name| format!("{name}.{call}(\""));
            let parts = source
                .iter()
                .flat_map(|start| demo.source.split(start).skip(1));
            parts.filter_map(|part| part.split('"').next()).collect()
        };
        let (words, numbers) = (asked("word"), asked("number"));
        for name in words.iter().chain(&numbers) {
            assert!(
                knobs.iter().any(|k| k.name == **name),
                "{}: {name}",
                demo.name
            );
        }
        for knob in &knobs {
            let (name, place) = (knob.name.as_str(), format!("{}: {}", demo.name, knob.name));
            let is_number = numbers.contains(&name);
            assert!(is_number || words.contains(&name), "{place}");
            for value in &knob.values {
                let digit = value.starts_with(|c: char| c.is_ascii_digit());
                assert!(!is_number || digit || value == "all", "{place} {value}");
            }
            some += 1;
        }
    }
    assert!(some > 0);
}

/// All values of all knobs, and what each knob is, on the smallest screen, also for a projector.
#[test]
fn knobs_are_whole_on_the_screen() {
    for demo in demos::ALL {
        let knobs = Lesson::parse(demo.lesson).unwrap().knobs;
        for stage in [false, true] {
            let mut app = app(demo, stage);
            if stage {
                app.update(Message::Stage).unwrap();
            }
            app.update(Message::Knobs).unwrap();
            for knob in &knobs {
                let shown = rows(&tui::frame(&mut app, 60, 16).unwrap());
                let screen = shown.join("\n");
                let place = format!("{} {}:\n{screen}", demo.name, knob.name);
                assert!(
                    shown[14].trim() == format!("{}: {}", knob.name, knob.about),
                    "{place}"
                );
                let row = shown
                    .iter()
                    .find(|row| row.contains(&format!("> {}", knob.name)));
                let row = row.unwrap_or_else(|| panic!("{place}"));
                assert!(
                    knob.values.iter().all(|value| row.contains(value)),
                    "{place}"
                );
                let stands = format!("[{}]", knob.values[knob.start[0]]);
                assert!(row.contains(&stands), "{stands}: {place}");
                app.update(Message::ChooseKnob(1)).unwrap();
            }
        }
    }
}

#[test]
fn every_caption_is_whole_and_every_moment_is_there() {
    for demo in demos::ALL {
        let lesson = Lesson::parse(demo.lesson).unwrap();
        for (width, height) in [(60, 16), (80, 24)] {
            let mut app = app(demo, false);
            let mut before = 0;
            for (at, step) in lesson.steps.iter().enumerate() {
                app.update(Message::Lesson(1)).unwrap();
                let shown = rows(&tui::frame(&mut app, width, height).unwrap());
                let screen = shown.join("\n");
                let place = format!("{} {width}x{height}, step {}:\n{screen}", demo.name, at + 1);
                assert!(words(&shown).contains(&step.caption), "no caption: {place}");
                assert!(
                    screen.contains(&format!("{} of {}: ", at + 1, lesson.steps.len())),
                    "{place}"
                );
                // A moment that is not found shows the end.
                let is_end = step.until == loopscope::lesson::Until::End;
                assert!(is_end == app.player.at_end(), "no such moment: {place}");
                assert!(app.player.next() >= before, "back in time: {place}");
                before = app.player.next();
                let Some(question) = &step.question else {
                    continue;
                };
                for said in question.choices.iter().chain([&question.text]) {
                    assert!(words(&shown).contains(said), "not asked: {said}: {place}");
                }
                assert!(
                    !words(&shown).contains(&question.why),
                    "told too soon: {place}"
                );
                app.update(Message::Choose(question.right)).unwrap();
                let shown = rows(&tui::frame(&mut app, width, height).unwrap());
                let told = words(&shown);
                assert!(
                    told.contains("Right: ") && told.contains(&question.why),
                    "no answer: {place}"
                );
            }
        }
    }
}

/// Painted, nothing dim, few regions, at most six lanes; and the captions are whole.
#[test]
fn lecture_mode_is_for_a_projector() {
    for demo in demos::ALL {
        let lesson = Lesson::parse(demo.lesson).unwrap();
        for (width, height) in [(60, 16), (80, 24), (120, 40)] {
            let mut app = app(demo, true);
            app.update(Message::Stage).unwrap();
            for step in &lesson.steps {
                app.update(Message::Lesson(1)).unwrap();
                let buffer = tui::frame(&mut app, width, height).unwrap();
                let shown = rows(&buffer);
                let screen = shown.join("\n");
                let place = format!("{} {width}x{height}, {}:\n{screen}", demo.name, step.title);
                assert!(words(&shown).contains(&step.caption), "no caption: {place}");
                assert!(shown[1].contains(&lesson.title), "{place}");
                for dropped in ["three questions", "what you see", "the last ", "this turn"] {
                    let title = |row: &String| row.contains(&format!("+ {dropped}"));
                    assert!(!shown.iter().any(title), "{dropped}: {place}");
                }
                let painted = |c: Color| matches!(c, Color::Indexed(_));
                let cells = buffer.content.iter();
                assert!(cells.clone().all(|c| painted(c.fg) && painted(c.bg)));
                assert!(tui::view::timeline::rows(&app, height.into()) <= 6);
                if let Some(question) = &step.question {
                    app.update(Message::Choose(question.right)).unwrap();
                }
            }
            // And back to how it was.
            app.update(Message::Stage).unwrap();
            let buffer = tui::frame(&mut app, width, height).unwrap();
            assert!(buffer.content.iter().any(|c| c.bg == Color::Reset));
        }
    }
}

/// Of several programs a step shows the one whose run it waits for.
#[test]
fn a_step_brings_its_loop() {
    let mut app = app(demos::find("foreign").unwrap(), false);
    for program in ["redis-server", "nginx", "redis-server"] {
        app.update(Message::Lesson(1)).unwrap();
        let screen = rows(&tui::frame(&mut app, 80, 24).unwrap()).join("\n");
        assert!(screen.contains(&format!(" {program}: turn ")), "{screen}");
    }
}

#[test]
fn steps_go_on_and_back_and_to_the_next_demo() {
    let demo = demos::find("blocking-echo").unwrap();
    let mut app = app(demo, true);
    let lesson = Lesson::parse(demo.lesson).unwrap();
    let at = |app: &App| app.lecture.as_ref().unwrap().at;
    app.update(Message::Lesson(1)).unwrap();
    let first = app.player.next();
    app.update(Message::Lesson(1)).unwrap();
    assert_eq!(at(&app), Some(1));
    // A question is open: the first press shows its answer, a wrong one is told.
    app.update(Message::Lesson(1)).unwrap();
    assert_eq!(
        (at(&app), app.lecture.as_ref().unwrap().revealed),
        (Some(1), true)
    );
    app.update(Message::Lesson(-1)).unwrap();
    assert_eq!((at(&app), app.player.next()), (Some(0), first));
    app.update(Message::Lesson(-1)).unwrap();
    assert_eq!(at(&app), None);
    for _ in 0..2 * lesson.steps.len() {
        if app.left_with.is_none() {
            app.update(Message::Lesson(1)).unwrap();
        }
    }
    assert!(matches!(app.left_with, Some(Leave::Next(_))));
    // Before its first step, to the demo before.
    let mut app = self::app(demo, true);
    app.update(Message::Lesson(-1)).unwrap();
    assert!(matches!(app.left_with, Some(Leave::Previous(_))));
}

/// The broken program's captions are not told of the repaired one: what was changed is, whole on the smallest screen.
#[test]
fn the_repaired_side_has_a_step_of_its_own() {
    let mut carried = 0;
    for demo in demos::ALL {
        let lesson = Lesson::repaired(demo.lesson).unwrap_or_else(|e| panic!("{}: {e}", demo.name));
        let [step] = &lesson.steps[..] else {
            panic!("{}: {:?}", demo.name, lesson.steps)
        };
        for (width, height) in [(60, 16), (80, 24)] {
            let mut app = side(demo, true, None, None);
            app.update(Message::Lesson(1)).unwrap();
            let shown = rows(&tui::frame(&mut app, width, height).unwrap());
            let place = format!("{} {width}x{height}:\n{}", demo.name, shown.join("\n"));
            assert!(words(&shown).contains(&step.caption), "{place}");
            assert!(words(&shown).contains("1 of 1: Repaired"), "{place}");
            assert!(app.player.at_end(), "{place}");
        }
        // A file that is replayed says itself which side it is.
        let path = format!(
            "{}/recordings/{}-fixed.lscope",
            env!("CARGO_MANIFEST_DIR"),
            demo.name
        );
        let source = Source::Replay {
            path: PathBuf::from(path),
            follow: false,
        };
        let look = Look::detect(false, |_| None);
        let app = App::open(&source, Options::default(), look)
            .unwrap()
            .unwrap();
        // The oldest ones carry a lesson that has no steps yet.
        if let Some(lecture) = app.lecture {
            assert_eq!(lecture.lesson.steps.len(), 1, "{}", demo.name);
            carried += 1;
        }
    }
    assert!(carried > 0);
}

/// `r` and `r` again: the same step, screen and moment as before.
#[test]
fn the_broken_side_is_come_back_to() {
    let demo = demos::find("greedy-fd").unwrap();
    let mut app = app(demo, true);
    for _ in 0..2 {
        app.update(Message::Lesson(1)).unwrap();
    }
    app.update(Message::Choose(0)).unwrap();
    app.update(Message::Show(View::Timeline)).unwrap();
    let before = rows(&tui::frame(&mut app, 80, 24).unwrap());
    app.update(Message::Other).unwrap();
    let Some(Leave::Other(shown)) = app.left_with else {
        panic!("{:?}", app.left_with)
    };
    let left = shown.lesson.unwrap();
    assert_eq!((left.step, left.is_last), (1, false));
    let mut again = side(demo, false, app.options.lecture, Some(left));
    assert_eq!(again.player.next(), app.player.next());
    assert_eq!(rows(&tui::frame(&mut again, 80, 24).unwrap()), before);
    // Past the other side's one step the lecture does not go on: steps are left here.
    let one = LessonAt { step: 0, ..left };
    let mut fixed = side(demo, true, app.options.lecture, Some(one));
    assert_eq!(fixed.lecture.as_ref().unwrap().at, Some(0));
    fixed.update(Message::Lesson(1)).unwrap();
    assert_eq!(fixed.left_with, None);
    assert!(fixed.note.unwrap().contains("broken program"));
}

/// The last step of a lecture's last demo is not the end of the program: that is said, and a further key ends it.
#[test]
fn a_lecture_says_that_it_is_done() {
    let among = Among {
        before: true,
        after: false,
    };
    let demo = demos::find("greedy-fd").unwrap();
    let mut app = side(demo, false, Some(among), Some(LessonAt::END));
    app.update(Message::Lesson(1)).unwrap();
    assert!(app.note.as_ref().unwrap().contains("Done."));
    assert_eq!(app.left_with, None);
    app.update(Message::Lesson(-1)).unwrap();
    app.update(Message::Lesson(1)).unwrap();
    app.update(Message::Lesson(1)).unwrap();
    assert_eq!(app.left_with, None);
    app.update(Message::Lesson(1)).unwrap();
    assert!(matches!(app.left_with, Some(Leave::Next(_))));
}

/// A question behind the knobs is not answered, and the key that goes on shows it first.
#[test]
fn a_hidden_question_is_not_answered() {
    let demo = demos::find("level-vs-edge").unwrap();
    let mut app = app(demo, false);
    app.update(Message::Lesson(1)).unwrap();
    assert!(app.question_is_seen());
    app.update(Message::Knobs).unwrap();
    assert!(!app.question_is_seen());
    app.update(Message::Lesson(1)).unwrap();
    assert!(app.question_is_seen());
    assert!(!app.lecture.as_ref().unwrap().revealed);
}

/// What a question on the timeline asks for lies to the right of the cursor: it is shown with the answer.
#[test]
fn what_comes_next_is_not_shown_while_it_is_asked() {
    let mut asked = 0;
    for demo in demos::ALL {
        let mut app = app(demo, false);
        app.look.ascii = false;
        let steps = app.lecture.as_ref().unwrap().lesson.steps.len();
        for _ in 0..steps {
            app.update(Message::Lesson(1)).unwrap();
            let open = app.lecture.as_ref().is_some_and(|l| l.open() > 0);
            if !open || app.view != View::Timeline {
                if open {
                    app.update(Message::Lesson(1)).unwrap();
                }
                continue;
            }
            asked += 1;
            let frame = rows(&tui::frame(&mut app, 80, 24).unwrap());
            let cursor = frame.iter().find_map(|row| {
                let cells: Vec<char> = row.chars().collect();
                let framed = cells.contains(&'┌') && cells.contains(&'┐');
                framed.then(|| cells.iter().position(|c| *c == '▼'))?
            });
            let cursor = cursor.unwrap_or_else(|| panic!("{}\n{}", demo.name, frame.join("\n")));
            let lanes = frame.iter().skip_while(|row| !row.contains('▼')).skip(1);
            for row in lanes.take_while(|row| !row.contains('└')) {
                let cells: Vec<char> = row.chars().collect();
                let end = cells.iter().rposition(|c| *c == '│').unwrap();
                let ahead: String = cells[cursor + 1..end].iter().collect();
                assert_eq!(ahead.trim(), "", "{}\n{}", demo.name, frame.join("\n"));
            }
            let now = app.t();
            let moment = tui::view::moment::at(&app);
            assert!(
                moment.is_none_or(|(run, _)| run.end <= now),
                "{}",
                demo.name
            );
            app.update(Message::Lesson(1)).unwrap();
        }
    }
    assert!(asked > 5, "{asked}");
}

/// At this step (from 1), its question open if it has one.
fn at_step(name: &str, step: usize) -> App {
    let mut app = app(demos::find(name).unwrap(), false);
    while app.lecture.as_ref().unwrap().at != Some(step - 1) {
        app.update(Message::Lesson(1)).unwrap();
    }
    app
}

/// Nor does the log tell it, wherever it was scrolled to; with the answer it does.
#[test]
fn the_log_ends_at_the_cursor_while_a_question_is_open() {
    let mut asked = 0;
    for demo in demos::ALL {
        let steps = Lesson::parse(demo.lesson).unwrap().steps;
        for (at, step) in steps.iter().enumerate() {
            if step.question.is_none() || step.screen.as_deref() != Some("events") {
                continue;
            }
            asked += 1;
            let mut app = at_step(demo.name, at + 1);
            let place = format!("{} {}", demo.name, at + 1);
            let next = app.player.next();
            let below = |app: &mut App, size: (u16, u16)| {
                let shown = rows(&tui::frame(app, size.0, size.1).unwrap());
                let numbers = shown.iter().filter_map(|row| {
                    let row = row.trim_start_matches(|c: char| !c.is_ascii_digit());
                    let (number, rest) = row.split_once(' ')?;
                    let time = rest.trim_start().split(' ').next()?;
                    let is_row = time.len() == 8 && time.as_bytes().get(1) == Some(&b'.');
                    number
                        .replace(',', "")
                        .parse::<u64>()
                        .ok()
                        .filter(|_| is_row)
                });
                let numbers: Vec<u64> = numbers.collect();
                assert!(numbers.iter().any(|n| *n < next), "{place}: {shown:?}");
                numbers.iter().filter(|n| **n >= next).count()
            };
            for size in [(80, 24), (120, 40)] {
                assert_eq!(below(&mut app, size), 0, "{place}");
            }
            app.update(Message::Row(2)).unwrap();
            assert_eq!(below(&mut app, (120, 40)), 0, "{place}");
            app.update(Message::Row(-2)).unwrap();
            app.update(Message::Lesson(1)).unwrap();
            assert!(below(&mut app, (120, 40)) > 0, "{place}");
        }
    }
    assert!(asked >= 4, "{asked}");
}

/// What a caption says has happened stands on its screen, also where the rest is held back; and no screen says the contrary.
#[test]
fn captions_and_screens_agree() {
    let shown = |name: &str, step: usize, (width, height): (u16, u16)| {
        rows(&tui::frame(&mut at_step(name, step), width, height).unwrap())
    };
    let has = |name: &str, step: usize, size: (u16, u16), said: &[&str]| {
        let rows = shown(name, step, size);
        let all = words(&rows);
        for one in said {
            let screen = rows.join("\n");
            assert!(all.contains(one), "{name} {step}: no \"{one}\":\n{screen}");
        }
    };
    for size in [(80, 24), (120, 40)] {
        has("half-close", 2, size, &["read fd 6 ann = 0 of 64"]);
        has(
            "connect",
            2,
            size,
            &["shut (data 0x1): IN|OUT|ERR|HUP|RDHUP"],
        );
        has(
            "accept-limit",
            2,
            size,
            &["accept fd 3 listen = EMFILE", "call-begin write to the log"],
        );
        has("scan-cost", 2, size, &["poll idle=1000"]);
        let greedy = words(&shown("greedy-fd", 2, size));
        assert!(!greedy.contains("has run for 0 ns"), "{greedy}");
        // While it is asked when ann is told, it is not said that she is too late for this batch.
        assert!(!greedy.contains("too late"), "{greedy}");
        has(
            "busy-poll",
            1,
            size,
            &["No loop has waited yet", "nothing is registered"],
        );
    }
    // A lane of so few runs, each below a cell.
    has(
        "level-vs-edge",
        3,
        (80, 24),
        &["+ more: zoom in", "w zooms in"],
    );
    // What has no room is told in short, not cut.
    has("thread-pool", 1, (80, 24), &["2 more threads sleep"]);
    has("thread-pool", 1, (60, 16), &["3 other threads sleep"]);
    let order = shown("oneshot-threads", 1, (80, 24));
    let at = order
        .iter()
        .position(|row| row.contains("in call a large order for"));
    assert!(order[at.unwrap() + 1].contains(" us "), "{order:?}");
    // The ready list has no column here, so the caption does not point at it.
    let small = words(&shown("level-vs-edge", 2, (60, 16)));
    assert!(
        small.contains("768 B") && small.contains("768 of them"),
        "{small}"
    );
    assert!(!small.contains("~stays"), "{small}");
    // What is only known to the kernel is not told of the loop.
    has(
        "nested-epoll",
        3,
        (80, 24),
        &["nothing has happened to it yet", "has not been told yet"],
    );
}

/// A demo is announced before its questions are asked.
#[test]
fn what_announces_a_demo_does_not_answer_it() {
    let title = demos::find("et-not-drained").unwrap().title;
    assert!(
        !title.contains("no event") && !title.contains("stay"),
        "{title}"
    );
}
