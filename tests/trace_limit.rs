//! A recording with a size limit drops its oldest segments and says again what the rest relies on. Step: **trace**.

mod trace_support;

use loopscope::record::event::{Cause, Kind, flags};
use loopscope::trace::{Error, Events, Meta, Options, PageKind, Problem, Progress, Reader, Writer};
use trace_support::{bare, read_numbered, stream};

const LIMIT: u64 = 300 << 10;

fn limited() -> Options {
    Options {
        max_size: Some(LIMIT),
        ..Options::default()
    }
}

fn meta() -> Meta {
    Meta {
        tool: "test".into(),
        ..Meta::default()
    }
}

#[test]
fn the_oldest_go_and_names_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lscope");
    let written = stream(12_000);
    let mut writer = Writer::create(&path, &meta(), limited()).unwrap();
    writer.attach("lesson.md", b"# A lesson").unwrap();
    for (event, text) in &written {
        writer.write(event, text);
        writer.tick(event.t);
    }
    let summary = writer.finish().unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    assert!(size <= LIMIT, "{size}");
    assert_eq!(summary.events, written.len() as u64);
    assert!(summary.dropped > 0);

    let mut reader = Reader::open(&path).unwrap();
    assert!(reader.complete(), "{:?}", reader.problems());
    assert_eq!(
        (reader.first(), reader.end()),
        (summary.dropped, summary.events)
    );
    reader.verify().unwrap();
    assert!(reader.complete(), "{:?}", reader.problems());
    assert_eq!(
        reader.attachment("lesson.md").unwrap().unwrap(),
        b"# A lesson"
    );
    for (number, event, text) in read_numbered(&mut reader) {
        let (e, t) = &written[number as usize];
        assert_eq!((&event, &text), (e, t), "event {number}");
    }

    // What was dropped is said again: the process, its thread, the names, the listener and its registration.
    assert_eq!(reader.pages()[0].kind, PageKind::Restated);
    let mut said = Events::default();
    reader.read_page(0, &mut said).unwrap();
    assert!(!said.numbered);
    let first = &said.events[0];
    assert_eq!(
        (first.kind, first.aux, first.arg),
        (Kind::Lost, Cause::Dropped.code(), reader.first())
    );
    assert!(
        said.events
            .iter()
            .all(|e| e.flags & flags::AGAIN != 0 && e.t == first.t)
    );
    assert!(said.iter().all(|(n, ..)| n == reader.first()));
    let has = |kind: Kind, text: &[u8]| said.iter().any(|(_, e, t)| e.kind == kind && t == text);
    assert!(has(Kind::ProcessStart, b"synthetic-server") && has(Kind::ThreadStart, b"loop"));
    assert!(has(Kind::Name, b"accept") && has(Kind::Name, b"serve"));
    let open = |fd| {
        said.events
            .iter()
            .filter(|e| e.kind == Kind::FdOpen && e.fd == fd)
            .count()
    };
    assert_eq!((open(4), open(5)), (1, 1));
    let registered = |e: &&loopscope::record::event::Event| {
        e.kind == Kind::CtlBegin && e.fd == 5 && e.y == 4 && e.arg == 5
    };
    assert_eq!(said.events.iter().filter(registered).count(), 1);

    // Whoever reads from the start meets it first; whoever reads from later does not.
    let (n, event, _) = reader
        .events_from(0)
        .next()
        .unwrap()
        .map(|(n, e, t)| (n, bare(e), t.to_vec()))
        .unwrap();
    assert_eq!((n, event.kind), (summary.dropped, Kind::Lost));
    let later = summary.dropped + 1;
    let (n, event, _) = reader
        .events_from(later)
        .next()
        .unwrap()
        .map(|(n, e, t)| (n, bare(e), t.to_vec()))
        .unwrap();
    assert_eq!((n, event), (later, written[later as usize].0));
}

#[test]
fn without_its_footer_it_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lscope");
    let written = stream(12_000);
    for turns in [10, 3_000, 9_000, 40_000, written.len()] {
        let options = Options {
            force: true,
            ..limited()
        };
        let mut writer = Writer::create(&path, &meta(), options).unwrap();
        for (event, text) in &written[..turns] {
            writer.write(event, text);
            writer.tick(event.t);
        }
        drop(writer);
        let mut reader = Reader::open(&path).unwrap();
        assert!(!reader.complete());
        assert!(
            matches!(reader.problems(), [Problem::Unfinished { .. }]),
            "{:?}",
            reader.problems()
        );
        assert_eq!(reader.end(), turns as u64);
        let got = read_numbered(&mut reader);
        assert_eq!(got.first().unwrap().0, reader.first());
        assert_eq!(got.len() as u64, reader.len());
        assert!(got.iter().all(|(n, e, text)| (e, text) == (&written[*n as usize].0, &written[*n as usize].1)));
    }
}

#[test]
fn a_follower_goes_round_with_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lscope");
    let written = stream(12_000);
    // One looks after every page, one only now and then: it is lapped and has to start afresh.
    for every in [1, 9, 100] {
        let options = Options {
            force: true,
            ..limited()
        };
        let mut writer = Writer::create(&path, &meta(), options).unwrap();
        let mut reader = Reader::open(&path).unwrap();
        let mut next = 0;
        for (i, part) in written.chunks(600).enumerate() {
            part.iter().for_each(|(e, text)| writer.write(e, text));
            writer.seal();
            if i % every > 0 {
                continue;
            }
            assert_eq!(reader.refresh().unwrap(), Progress::Grown);
            assert_eq!(reader.end(), writer.events());
            let from = reader.page_of(next.max(reader.first()));
            let mut events = Events::default();
            for page in from..reader.pages().len() {
                reader.read_page(page, &mut events).unwrap();
                if events.numbered {
                    for (n, e, text) in events.iter() {
                        assert_eq!(
                            (bare(e), text),
                            (written[n as usize].0, &written[n as usize].1[..]),
                            "event {n}"
                        );
                    }
                }
            }
            next = reader.end();
        }
        writer.finish().unwrap();
        reader.refresh().unwrap();
        assert_eq!(reader.refresh().unwrap(), Progress::Ended);
        assert_eq!(reader.end(), written.len() as u64);
        assert!(reader.complete(), "{:?}", reader.problems());
    }
}

#[test]
fn a_page_overwritten_while_it_is_wanted_is_dropped_not_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lscope");
    let written = stream(12_000);
    let mut writer = Writer::create(&path, &meta(), limited()).unwrap();
    let (head, rest) = written.split_at(2_000);
    head.iter().for_each(|(e, text)| writer.write(e, text));
    writer.seal();
    let mut reader = Reader::open(&path).unwrap();
    rest.iter().for_each(|(e, text)| writer.write(e, text));
    writer.seal();
    let mut events = Events::default();
    reader.read_page(0, &mut events).unwrap();
    let lost = &events.events[0];
    assert_eq!(
        (lost.kind, lost.aux, lost.arg),
        (Kind::Lost, Cause::Dropped.code(), reader.pages()[0].count)
    );
    assert!(
        matches!(reader.problems(), [Problem::Dropped { .. }]),
        "{:?}",
        reader.problems()
    );
}

#[test]
fn a_limit_too_small_is_refused() {
    let options = Options {
        max_size: Some(1000),
        ..Options::default()
    };
    let refused = Writer::unnamed(std::env::temp_dir(), &meta(), options);
    assert!(matches!(refused, Err(Error::LimitTooSmall { .. })));
}
