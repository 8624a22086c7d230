//! Checkpoints and pyramid stored in a recording: they say what a fold from the beginning says.
#![cfg(feature = "cli")]

#[path = "../benches/common/synth.rs"]
#[allow(dead_code)] // each user has its own part
mod synth;

use std::path::Path;

use loopscope::derive::{self, Outcome, Store};
use loopscope::findings::{Code, Findings, Thresholds};
use loopscope::model::{Config, Model};
use loopscope::record::event::{Event, Kind, Wait};
use loopscope::report;
use loopscope::trace::{Appender, Meta, Options, Reader, Writer};
use loopscope::tui::filter::Filter;
use loopscope::tui::player::{Cells, Key, Player};
use loopscope::tui::{self, App, Look, Source, View};

const EVENTS: u64 = 700_000;

fn recording(path: &Path, events: u64) {
    let mut writer = Writer::create(path, &Meta::default(), Options::default()).unwrap();
    let mut synth = synth::Synth::new(3, 50);
    let mut emit = |event: &_, text: &[u8]| writer.write(event, text);
    synth.start(&mut emit);
    while synth.emitted() < events {
        synth.turn(&mut emit);
    }
    writer.finish().unwrap();
}

fn folded(reader: &mut Reader, number: u64) -> Model {
    let mut model = Model::new(Config::default());
    let mut cursor = reader.events_from(0);
    while let Some((n, event, text)) = cursor.next().unwrap() {
        if n == number {
            break;
        }
        model.apply(n, event, text, &mut ());
    }
    model
}

fn bytes(model: &Model) -> Vec<u8> {
    let mut out = Vec::new();
    model.save(&mut out);
    out
}

#[test]
fn what_is_stored_is_what_a_fold_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.lscope");
    recording(&path, EVENTS);
    let plain = std::fs::metadata(&path).unwrap().len();

    // Stopped half-way: the recording is whole, and the next attempt does it all.
    let stopped = derive::ensure(&path, &mut |done, all| done < all / 2).unwrap();
    assert_eq!(stopped, Outcome::Stopped);
    let reader = Reader::open(&path).unwrap();
    assert!(reader.complete() && !derive::present(&reader));
    drop(reader);

    let mut last = 0;
    let told = derive::ensure(&path, &mut |done, all| {
        assert!(done > last && done <= all);
        last = done;
        true
    });
    assert_eq!(told.unwrap(), Outcome::Stored);
    assert_eq!(
        derive::ensure(&path, &mut |_, _| true).unwrap(),
        Outcome::Present
    );

    let mut reader = Reader::open(&path).unwrap();
    assert!(reader.complete() && reader.problems().is_empty());
    assert_eq!(last, reader.end());
    let number = reader.end() - 1;
    let mut store = Store::of(&reader);
    let (model, next) = store.load(&mut reader, number).unwrap();
    assert_eq!(store.at(number), Some(next));
    assert!(next > 400_000 && next <= number);
    assert_eq!(bytes(&model), bytes(&folded(&mut reader, next)));
    // Nothing is stored before the first checkpoint.
    assert!(store.load(&mut reader, 100).is_none());

    let mut pyramid = derive::pyramid(&mut reader).unwrap();
    let whole = folded(&mut reader, u64::MAX);
    let run: u64 = whole.loops().iter().map(|l| l.run.sum()).sum();
    let drawn: u64 = pyramid
        .buckets(0, 0, u64::MAX)
        .flat_map(|(_, bucket)| &bucket.loops)
        .map(|(_, cell)| cell.run_ns)
        .sum();
    assert_eq!(drawn, run);

    let stored = std::fs::metadata(&path).unwrap().len() - plain;
    assert!(stored * 9 <= plain, "{stored} bytes beside {plain}");
}

/// A window's columns, and whether they are summaries.
fn columns(path: &Path, key: Key) -> (Cells, bool) {
    let mut player = Player::new(Reader::open(path).unwrap(), false);
    while player.want(key).unwrap() {}
    let window = player.window().unwrap();
    (window.painted(), window.is_summary())
}

#[test]
fn a_window_of_summaries_says_what_a_fold_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.lscope");
    recording(&path, EVENTS);
    let end = Reader::open(&path).unwrap().duration_ns();
    let width = loopscope::model::pyramid::BASE_NS;
    let key = Key {
        loop_id: 0,
        width,
        first: 0,
        cols: (end / width + 1) as usize,
        follow: false,
    };
    let (whole, summed) = columns(&path, key);
    assert!(!summed, "nothing is stored yet");
    derive::ensure(&path, &mut |_, _| true).unwrap();
    let (summary, summed) = columns(&path, key);
    assert!(summed);

    // A run that only touches a column counts a nanosecond there when folded.
    let close = |a: u64, b: u64| a.abs_diff(b) <= a / 1_000;
    let total = whole.total_run_ns();
    assert!(total > 0 && close(total, summary.total_run_ns()));
    let mut reader = Reader::open(&path).unwrap();
    let model = folded(&mut reader, u64::MAX);
    let mut told = 0;
    for reg in model.regs().map(|r| r.id) {
        let (share, about) = (whole.share(reg).unwrap(), summary.share(reg).unwrap());
        assert!((share - about).abs() < 0.01, "{reg}: {share} {about}");
        for col in 0..key.cols {
            let (cell, sum) = (whole.cell(reg, col), summary.cell(reg, col));
            // What is told apart may have begun to be after a part of it: never more than there was.
            assert!(sum.run_ns <= cell.run_ns && sum.runs <= cell.runs + 1);
            told += sum.run_ns;
        }
    }
    assert!(told * 10 > total, "{told} of {total} told apart");
    for col in 0..key.cols {
        assert_eq!(
            whole.fairness(col).is_some(),
            summary.fairness(col).is_some()
        );
    }
}

#[test]
fn shares_of_summaries_are_marked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.lscope");
    recording(&path, EVENTS);
    derive::ensure(&path, &mut |_, _| true).unwrap();
    let shown = |span: u64| {
        let source = Source::Replay {
            path: path.clone(),
            follow: false,
        };
        let options = tui::Options {
            view: View::Timeline,
            ..tui::Options::default()
        };
        let mut app = App::open(&source, options, Look::default())
            .unwrap()
            .unwrap();
        let end = app.player.duration();
        app.player.seek(end / 2).unwrap();
        app.span = Some(span.min(end));
        let buffer = tui::frame(&mut app, 120, 40).unwrap();
        let cells = buffer.content.iter().map(|c| c.symbol().to_owned());
        let cells: Vec<String> = cells.collect();
        cells.chunks(120).map(|row| row.concat() + "\n").collect()
    };
    let about = |screen: &str| {
        let row = screen
            .lines()
            .find(|l| l.contains(" % ") || l.ends_with(" %│"));
        screen
            .contains("summary:")
            .then(|| screen.matches('~').count() > 3 && row.is_some())
    };
    let wide: String = shown(u64::MAX);
    assert_eq!(about(&wide), Some(true), "{wide}");
    let near: String = shown(1_000_000);
    assert_eq!(about(&near), None, "{near}");
}

#[test]
fn an_iteration_is_found_from_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.lscope");
    recording(&path, EVENTS);
    let reader = |path: &Path| Reader::open(path).unwrap();
    let mut plain = Player::new(reader(&path), false);
    let last = folded(&mut reader(&path), u64::MAX).loops()[0].turns;
    let numbers = [1, 2, last / 3, last / 2, last - 1, last, last + 5];
    let starts = numbers.map(|n| plain.turn_start(0, n).unwrap());
    derive::ensure(&path, &mut |_, _| true).unwrap();
    let mut player = Player::new(reader(&path), false);
    assert_eq!(numbers.map(|n| player.turn_start(0, n).unwrap()), starts);
    assert!(starts[..6].iter().all(Option::is_some) && starts[6].is_none());
    assert!(starts[..6].is_sorted());
}

#[test]
fn a_window_is_exported_from_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.lscope");
    recording(&path, EVENTS);
    let last = folded(&mut Reader::open(&path).unwrap(), u64::MAX).loops()[0].turns;
    let lines = |from: &str, until: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_loopscope"));
        command.arg("export").arg(&path).args(["--to", "ndjson"]);
        let made = command.args(["--from", from, "--until", until]).output();
        let made = made.unwrap();
        assert!(made.status.success(), "{made:?}");
        String::from_utf8(made.stdout).unwrap()
    };
    let windows = || {
        let turn = |n: u64| format!("iteration:0:{n}");
        [last / 40, last * 3 / 4, last - 9].map(|n| lines(&turn(n), &turn(n + 7)))
    };
    let plain = windows();
    derive::ensure(&path, &mut |_, _| true).unwrap();
    assert_eq!(windows(), plain);
    assert!(
        plain
            .iter()
            .all(|lines| lines.matches("\"turn\"").count() > 50)
    );
}

/// A long recording that ends with a handler that sleeps in a call.
fn blocking(path: &Path) {
    let mut writer = Writer::create(path, &Meta::default(), Options::default()).unwrap();
    let mut synth = synth::Synth::new(3, 50);
    let mut emit = |event: &_, text: &[u8]| writer.write(event, text);
    synth.start(&mut emit);
    while synth.emitted() < EVENTS {
        synth.turn(&mut emit);
    }
    let (epoll, listener, mut t) = (4, 5, synth.now());
    let wait = Event {
        kind: Kind::WaitEnter,
        fd: epoll,
        aux: Wait::Epoll.code(),
        x: 64,
        arg: u64::MAX,
        ..Event::default()
    };
    let of = |kind, x| Event { kind, x, ..wait };
    for step in [
        wait,
        of(Kind::WaitExit, 1),
        Event {
            aux: 0,
            arg: listener,
            ..of(Kind::Ready, 1)
        },
        Event {
            aux: 0,
            arg: listener,
            ..of(Kind::RunBegin, 1)
        },
        Event {
            fd: -1,
            ..of(Kind::CallBegin, 9)
        },
        Event {
            fd: -1,
            ..of(Kind::CallEnd, 9)
        },
        of(Kind::RunEnd, 0),
        wait,
    ] {
        t += match step.kind {
            Kind::CallEnd => 80_000_000,
            _ => 1_000,
        };
        emit(&Event { t, ..step }, b"");
    }
    writer.finish().unwrap();
}

/// The report.
fn told(path: &Path) -> String {
    let mut reader = Reader::open(path).unwrap();
    let summary = report::fold(&mut reader, &Thresholds::default(), &mut |_| ());
    report::to_json(&summary.unwrap())
}

fn stored(path: &Path, limits: &Thresholds) -> Option<loopscope::findings::Outcome> {
    derive::findings(&mut Reader::open(path).unwrap(), limits)
}

#[test]
fn what_was_found_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.lscope");
    blocking(&path);
    let usual = Thresholds::default();
    let other = Thresholds::default()
        .overridden("blocking_warning = \"90ms\"")
        .unwrap();
    assert_eq!(stored(&path, &usual), None);
    let searched = told(&path);
    assert!(
        searched.contains("\"code\":\"blocking-handler\""),
        "{searched}"
    );
    let mut player = Player::new(Reader::open(&path).unwrap(), false);
    assert!(player.found().is_none());
    while player.search_on().unwrap() {}
    let found = player.found().unwrap().clone();

    derive::ensure(&path, &mut |_, _| true).unwrap();
    assert_eq!(stored(&path, &usual).as_ref(), Some(&found));
    assert!(!found.named.is_empty());
    assert_eq!(stored(&path, &other), None);
    assert_eq!(told(&path), searched);

    // Screens know it at once, and so does a filter.
    let mut player = Player::new(Reader::open(&path).unwrap(), false);
    assert_eq!(player.found(), Some(&found));
    assert!(!player.search_on().unwrap() && player.searched() == 1.0);
    player.seek_event(EVENTS - 5_000).unwrap();
    player.finish().unwrap();
    let filter = Filter::parse("finding == blocking-handler").unwrap();
    let (event, reg) = filter.find(&mut player, 1).unwrap().unwrap();
    let blocking = found.found.iter().find(|f| f.code == Code::BlockingHandler);
    assert_eq!(blocking.unwrap().reg, Some(reg));
    assert!(event >= EVENTS - 5_000, "{event}");
}

#[test]
fn findings_alone_are_searched_for_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.lscope");
    blocking(&path);
    let plain = dir.path().join("plain.lscope");
    std::fs::copy(&path, &plain).unwrap();
    derive::ensure(&path, &mut |_, _| true).unwrap();
    let usual = Thresholds::default();
    let found = stored(&path, &usual);
    assert!(found.is_some());
    let checkpoints = |path: &Path| {
        let reader = Reader::open(path).unwrap();
        reader.derived(derive::CHECKPOINT, Model::VERSION).len()
    };
    // One of a part of the recording, or of other rules, is none.
    let mut appender = Appender::open(&path).unwrap();
    let version = Model::VERSION << 16 | u32::from(Findings::VERSION);
    let end = Reader::open(&path).unwrap().end();
    let mut add = |version, events, bytes: &[u8]| {
        let added = appender.derived(derive::FINDINGS, version, events, bytes);
        added.unwrap();
    };
    add(version, 0..end - 1, b"");
    add(version + 1, 0..end, b"");
    appender.finish().unwrap();
    assert_eq!(stored(&path, &usual), found);
    // The latest counts; one that makes no sense is as if there were none, and a search is made by who asks.
    let mut appender = Appender::open(&path).unwrap();
    let added = appender.derived(derive::FINDINGS, version, 0..end, b"\x01\x02\x03");
    added.unwrap();
    appender.finish().unwrap();
    assert_eq!(stored(&path, &usual), None);
    assert!(derive::present(&Reader::open(&path).unwrap()));

    // A recording that has all but the findings is not indexed again.
    index_without_findings(&plain, &path);
    assert!(!derive::present(&Reader::open(&plain).unwrap()));
    let before = checkpoints(&plain);
    let made = derive::ensure(&plain, &mut |_, _| true).unwrap();
    assert_eq!(made, Outcome::Stored);
    assert_eq!(stored(&plain, &usual), found);
    assert_eq!(checkpoints(&plain), before);
}

/// Gives a recording the derived pages of another, equal one that an earlier version has indexed.
fn index_without_findings(path: &Path, from: &Path) {
    let mut reader = Reader::open(from).unwrap();
    let mut appender = Appender::open(path).unwrap();
    for kind in [
        derive::ENDED,
        derive::CHECKPOINT,
        derive::MARKS,
        derive::PYRAMID,
    ] {
        for page in reader.derived(kind, Model::VERSION) {
            let bytes = reader.read_derived(&page).unwrap();
            appender
                .derived(kind, Model::VERSION, page.events, &bytes)
                .unwrap();
        }
    }
    appender.finish().unwrap();
}

#[test]
fn a_short_recording_needs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("short.lscope");
    recording(&path, 1_000);
    let before = std::fs::read(&path).unwrap();
    assert_eq!(
        derive::ensure(&path, &mut |_, _| true).unwrap(),
        Outcome::Present
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_recording_that_is_written_to_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("live.lscope");
    let mut writer = Writer::create(&path, &Meta::default(), Options::default()).unwrap();
    let mut synth = synth::Synth::new(3, 50);
    while synth.emitted() < 900_000 {
        synth.turn(&mut |event, text| writer.write(event, text));
    }
    writer.seal();
    assert!(derive::ensure(&path, &mut |_, _| true).is_err());
    writer.finish().unwrap();
    assert!(Reader::open(&path).unwrap().complete());
}
