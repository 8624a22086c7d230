//! What is inferred is drawn as inferred and what is marked is not: the same program with its handlers marked by itself,
//! and as the preload shim sees it.

use crate::greedy::Script;
use crate::session::Session;
use loopscope::model::{Fidelity, Phase, Word};

fn seen(unmarked: bool, width: u16, height: u16) -> Session {
    let script = Script {
        unmarked,
        stamps: false,
        ..Script::default()
    };
    let mut s = Session::new(script, width, height);
    s.go("94ms");
    s
}

/// Every screen at one size, an fd chosen on those that need one.
fn screens(unmarked: bool, width: u16, height: u16) -> Vec<(&'static str, String)> {
    let mut s = seen(unmarked, width, height);
    let the_loop = s.app.the_loop().unwrap();
    let want = match unmarked {
        true => Fidelity::Inferred,
        false => Fidelity::Measured,
    };
    assert_eq!(the_loop.handlers(), want);
    let mut all = vec![("loop", s.text())];
    s.keys("2");
    all.push(("timeline", s.text()));
    s.keys("x");
    all.push(("one event", s.text()));
    s.keys("b");
    all.push(("blame", s.text()));
    s.keys("\x1b3");
    all.push(("fairness", s.text()));
    s.keys("5");
    all.push(("fd", s.text()));
    all
}

#[test]
fn inferred_handlers_carry_their_mark_on_every_screen() {
    for (width, height) in [(60, 16), (80, 24), (200, 60)] {
        for (name, text) in screens(true, width, height) {
            assert!(text.contains('~'), "{name} at {width}x{height}:\n{text}");
            // No figure that rests on a run stands there without it.
            let lines = text.lines().filter(|l| l.contains("of run time"));
            for line in lines {
                assert!(line.contains("had ~"), "{line}");
            }
            let facts = [" RUNS ", "  done "];
            assert!(!facts.iter().any(|f| text.contains(f)), "{name}:\n{text}");
        }
    }
    let told = |name: &str| {
        let mut all = screens(true, 80, 24).into_iter();
        all.find(|s| s.0 == name).unwrap().1
    };
    for (name, words) in [
        ("loop", "~RUNS"),
        ("loop", "(inferred from its calls)"),
        ("loop", "handlers ~inferred"),
        ("timeline", "~running"),
        ("timeline", "█ ~runs"),
        ("one event", "─queue ~"),
        ("one event", "─run ~"),
        ("blame", "inferred"),
        ("fairness", "handlers ~inferred"),
        ("fairness", "so far ~"),
        ("fd", "queue  p50 ~"),
        ("fd", "run    p50 ~"),
    ] {
        let text = told(name);
        assert!(text.contains(words), "{words} on {name}:\n{text}");
    }
}

#[test]
fn handlers_that_the_program_marks_carry_none() {
    for (width, height) in [(60, 16), (80, 24), (200, 60)] {
        for (name, text) in screens(false, width, height) {
            let guesses = [
                "~RUNS", "~done", "~run", "~queue", "inferred", "had ~", " ~0", "busy~",
            ];
            for guess in guesses {
                assert!(
                    !text.contains(guess),
                    "{guess} on {name} at {width}x{height}:\n{text}"
                );
            }
        }
    }
}

/// At the end of a recording that was cut at this instant, on the timeline.
fn cut(at: u64) -> Session {
    let script = Script {
        cut_at: at,
        ..Script::default()
    };
    let mut s = Session::new(script, 120, 40);
    s.keys("G2");
    s
}

fn ms(ns: u64) -> String {
    format!("{:.2}", ns as f64 / 1e6)
}

#[test]
fn an_event_that_is_still_open_is_told_as_far_as_it_has_come() {
    let mut s = cut(94_000_000);
    let now = s.app.t();
    let thread = &s.app.the_loop().unwrap().threads[0];
    let Phase::Running {
        reg: Some(running),
        since,
    } = thread.phase
    else {
        panic!("{:?}", thread.phase);
    };
    let wakeup = thread.wakeup;
    // The one that runs: told and started at known instants, its end open.
    s.app.chosen = Some(running);
    let text = s.text();
    assert!(text.contains("its handler still runs, in full"), "{text}");
    let chain = format!(
        "told {} ─queue {}─► runs {}, {} so far",
        ms(wakeup),
        ms(since - wakeup),
        ms(since),
        ms(now - since)
    );
    assert!(text.contains(&chain), "{chain}\n{text}");
    assert!(!text.contains("─► done"), "{text}");
    // One that the kernel knows of and the program does not.
    let ready = s.app.regs().into_iter().find(|r| r.word == Word::Ready);
    let (id, since) = ready.map(|r| (r.id, r.ready_since.unwrap())).unwrap();
    s.app.chosen = Some(id);
    let text = s.text();
    let chain = format!(
        "ready {} ─notice {} so far─► the program is not told yet",
        ms(since.lo),
        ms(now - since.lo)
    );
    assert!(
        text.contains("its event still waits") && text.contains(&chain),
        "{chain}\n{text}"
    );
    assert!(text.contains("so far; right now flood runs"), "{text}");
}

#[test]
fn an_event_that_is_queued_says_that_its_handler_has_not_started() {
    let queues = |s: &Session| {
        let thread = &s.app.the_loop().unwrap().threads[0];
        let regs = s.app.regs();
        let waits = regs.into_iter().find(|r| r.word == Word::Fetched)?;
        matches!(thread.phase, Phase::Running { .. }).then_some(waits.id)
    };
    // A moment when somebody queues behind another's handler, then a recording that ends there.
    let mut whole = Session::new(Script::default(), 120, 40);
    whole.go("90ms");
    for _ in 0..10_000 {
        if queues(&whole).is_some() {
            break;
        }
        whole.keys("→");
    }
    let mut s = cut(whole.app.t());
    let id = queues(&s).expect("somebody queues");
    s.app.chosen = Some(id);
    let (now, wakeup) = (s.app.t(), s.app.the_loop().unwrap().threads[0].wakeup);
    let text = s.text();
    let chain = format!(
        "told {} ─queue {} so far─► not started",
        ms(wakeup),
        ms(now - wakeup)
    );
    assert!(text.contains(&chain), "{chain}\n{text}");
}
