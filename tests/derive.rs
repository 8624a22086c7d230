//! Checkpoints and pyramid stored in a recording: they say what a fold from the beginning says.

#[path = "../benches/common/synth.rs"]
#[allow(dead_code)] // each user has its own part
mod synth;

use std::path::Path;

use loopscope::derive::{self, Outcome, Store};
use loopscope::model::{Config, Model};
use loopscope::trace::{Meta, Options, Reader, Writer};

const EVENTS: u64 = 1_300_000;

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
    assert!(stored * 10 <= plain, "{stored} bytes beside {plain}");
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
