//! What filters mean, and how they fail.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::model::{Fidelity, Range, Sink, Word};
use crate::record::event::{Ctl, Event, Kind};
use proptest::prelude::*;

/// Keeps every run.
#[derive(Default)]
struct Runs(Vec<Run>);

impl Sink for Runs {
    fn run(&mut self, run: &Run) {
        self.0.push(*run);
    }
}

/// A loop that served fd 7 "tcp ann" (edge, handler "echo") once: queue 5 us, run 3 us, 10 bytes.
fn served() -> (Model, Run) {
    let mut model = Model::default();
    let mut runs = Runs::default();
    let us = |t: u64| t * 1_000;
    let base = Event {
        y: 3,
        fd: 7,
        ..Event::default()
    };
    let interest = (crate::model::registration::IN | crate::model::registration::ET) as i32;
    let events: Vec<(Event, &[u8])> = vec![
        (
            Event {
                kind: Kind::ProcessStart,
                x: 100,
                ..Event::default()
            },
            b"server",
        ),
        (
            Event {
                kind: Kind::ThreadStart,
                x: 101,
                ..Event::default()
            },
            b"main",
        ),
        (
            Event {
                kind: Kind::Name,
                aux: Space::Handler.code(),
                x: 1,
                ..Event::default()
            },
            b"echo",
        ),
        (
            Event {
                kind: Kind::FdName,
                ..base
            },
            b"tcp ann",
        ),
        (
            Event {
                t: us(1),
                kind: Kind::CtlBegin,
                aux: Ctl::Add.code(),
                x: interest,
                arg: 7,
                ..base
            },
            b"",
        ),
        (
            Event {
                t: us(1),
                kind: Kind::CtlEnd,
                aux: Ctl::Add.code(),
                ..base
            },
            b"",
        ),
        (
            Event {
                t: us(10),
                kind: Kind::WaitEnter,
                aux: 1,
                fd: 3,
                x: 8,
                ..Event::default()
            },
            b"",
        ),
        (
            Event {
                t: us(21),
                kind: Kind::WaitExit,
                aux: 1,
                fd: 3,
                x: 1,
                ..Event::default()
            },
            b"",
        ),
        (
            Event {
                t: us(21),
                kind: Kind::Ready,
                fd: 3,
                x: 0x11,
                arg: 7,
                ..Event::default()
            },
            b"",
        ),
        (
            Event {
                t: us(26),
                kind: Kind::RunBegin,
                fd: 3,
                x: 1,
                arg: 7,
                ..Event::default()
            },
            b"",
        ),
        (
            Event {
                t: us(28),
                kind: Kind::Io,
                aux: 1,
                fd: 7,
                x: 10,
                arg: 100,
                ..Event::default()
            },
            b"",
        ),
        (
            Event {
                t: us(29),
                kind: Kind::RunEnd,
                fd: 3,
                ..Event::default()
            },
            b"",
        ),
    ];
    for (number, (e, text)) in events.iter().enumerate() {
        model.apply(number as u64, e, text, &mut runs);
    }
    let run = runs.0[0];
    assert_eq!(run.notice, Some(Range { lo: 0, hi: us(20) }));
    assert_eq!(run.notice_fidelity, Fidelity::Bounded);
    assert_eq!(model.reg(run.reg).unwrap().word, Word::Armed);
    (model, run)
}

fn matches(filter: &str) -> bool {
    let (model, run) = served();
    let row = Row {
        run: &run,
        model: &model,
        findings: &["greedy-handler"],
    };
    Query::parse(filter)
        .unwrap_or_else(|e| panic!("{filter}: {e}"))
        .matches(&row)
}

#[test]
fn every_field_is_compared() {
    for (filter, expected) in [
        ("fd == 7", true),
        ("fd != 7", false),
        ("fd < 7", false),
        ("name == \"tcp ann\"", true),
        ("name ~ ANN", true),
        ("name ~ bob", false),
        ("loop == 0", true),
        ("loop == main", false),
        ("process == 100", true),
        ("process ~ serv", true),
        ("thread == 101", true),
        ("thread == main", true),
        ("iteration == 1", true),
        ("handler == echo", true),
        ("state == armed", true),
        ("state != armed", false),
        ("interest == ET", true),
        ("interest == IN|EDGE", true),
        ("interest == OUT", false),
        ("ready == hup", true),
        ("ready == ET", false),
        ("queue == 5us", true),
        ("queue > 4.9us", true),
        ("queue > 5ms", false),
        ("run >= 3us", true),
        ("bytes == 10", true),
        ("bytes < 4KiB", true),
        ("finding == greedy-handler", true),
        ("finding ~ greedy", true),
        ("finding == starvation", false),
        ("finding != starvation", true),
    ] {
        assert_eq!(matches(filter), expected, "{filter}");
    }
    for field in Field::ALL {
        assert!(
            Query::parse(field.example()).is_ok_and(|q| q.uses(field)),
            "{}",
            field.example()
        );
    }
}

#[test]
fn a_bounded_value_compares_by_its_upper_end() {
    assert!(matches("notice > 19us") && !matches("notice > 20us"));
    assert!(matches("wait == 25us"));
}

#[test]
fn an_absent_value_makes_every_comparison_false() {
    let (model, mut run) = served();
    run.notice = None;
    run.reg = 99;
    run.handler = 0;
    let row = Row {
        run: &run,
        model: &model,
        findings: &[],
    };
    for filter in [
        "notice > 0",
        "notice <= 1s",
        "wait != 5ms",
        "fd == 7",
        "fd != 7",
        "name != x",
        "name ~ \"\"",
        "state != armed",
        "interest != ET",
        "handler != echo",
        "finding != starvation",
    ] {
        assert!(!Query::parse(filter).unwrap().matches(&row), "{filter}");
    }
    assert!(Query::parse("!(notice > 0)").unwrap().matches(&row));
}

#[test]
fn not_binds_before_and_and_before_or() {
    // true || (false && false)
    assert!(matches("fd == 7 || fd == 8 && fd == 9"));
    assert!(!matches("(fd == 7 || fd == 8) && fd == 9"));
    // (!false) && true
    assert!(matches("!fd == 8 && fd == 7"));
    assert!(!matches("!(fd == 8 || fd == 7)"));
    assert!(matches("fd==7&&queue>1us||fd==1"));
}

#[test]
fn errors_have_a_column_and_a_way_out() {
    let fails = |text: &str| {
        let e = Query::parse(text).unwrap_err();
        (e.column, e.incomplete, e.message)
    };
    let (column, incomplete, message) = fails("fd == 7 && qeue > 5ms");
    assert_eq!((column, incomplete), (12, false));
    assert!(message.contains("did you mean `queue`?"), "{message}");
    assert!(fails("colour == 7").2.contains("there are fd, name"));
    assert_eq!(fails("queue > 5").0, 9);
    assert!(fails("queue > 5").2.contains("5ms"));
    assert_eq!(fails("queue = 5ms").0, 7);
    assert_eq!(fails("state == armd").0, 10);
    assert!(fails("state == armd").2.contains("`armed`"));
    assert!(fails("state > armed").2.contains("no order"));
    assert!(fails("fd ~ 7").2.contains("looks into text"));
    assert_eq!(fails("fd == 7)").0, 8);
    assert_eq!(fails("fd == 7 fd == 8").0, 9);
    assert_eq!(fails("fd == x").0, 7);
    // Columns count characters, not bytes.
    assert_eq!(fails("name == \"é\" && ö == 1").0, 16);
    // What more typing may mend says so.
    for text in [
        "",
        "fd",
        "fd ==",
        "fd == 7 &&",
        "fd == 7 &",
        "(fd == 7",
        "name == \"a",
        "!",
        "que",
        "queue >",
    ] {
        assert!(fails(text).1, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,80}") {
        if let Err(e) = Query::parse(&text) {
            prop_assert!(e.column >= 1 && e.column <= text.chars().count() + 2);
            prop_assert!(!e.message.is_empty());
        }
    }

    #[test]
    fn filters_made_of_their_parts_never_panic(parts in proptest::collection::vec(0usize..22, 0..40)) {
        const PARTS: [&str; 22] = [
            "fd", "queue", "name", "state", "interest", "==", "!=", "<", "~", "&&", "||", "!", "(", ")", "7", "5ms", "4KiB",
            "\"x\"", "armed", "ET", "99999999999999999999s", "0.0000000001s",
        ];
        let text: Vec<&str> = parts.iter().map(|p| PARTS[*p]).collect();
        if let Ok(query) = Query::parse(&text.join(" ")) {
            let (model, run) = served();
            let row = Row { run: &run, model: &model, findings: &[] };
            // De Morgan, for whatever it is.
            let negated = Query { root: Node::Not(Box::new(query.root.clone())) };
            prop_assert_eq!(query.matches(&row), !negated.matches(&row));
        }
    }

    #[test]
    fn nesting_is_bounded(depth in 0usize..200) {
        let text = format!("{}fd == 7{}", "(".repeat(depth), ")".repeat(depth));
        prop_assert_eq!(Query::parse(&text).is_ok(), depth <= MAX_DEPTH);
    }
}
