//! A recording is read as it was written: whole, by page, from any number, from any instant. Step: **trace**.

mod trace_support;

use loopscope::record::event::{Event, Kind};
use loopscope::trace::{Events, Meta, Options, Progress, Reader, Writer};
use trace_support::{bare, read_all, stream};

#[test]
fn what_was_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lscope");
    let written = stream(9_000);
    let meta = Meta {
        tool: "test".into(),
        command: vec!["server".into()],
        ..Meta::default()
    };
    let mut writer = Writer::create(&path, &meta, Options::default()).unwrap();
    for (i, (event, text)) in written.iter().enumerate() {
        assert_eq!(writer.events(), i as u64);
        writer.write(event, text);
        writer.tick(event.t);
    }
    writer.attach("lesson.md", b"# A lesson").unwrap();
    writer
        .derived(3, 1, 0..writer.events(), b"derived")
        .unwrap();
    let summary = writer.finish().unwrap();
    assert_eq!(summary.events, written.len() as u64);
    assert_eq!(summary.bytes, std::fs::metadata(&path).unwrap().len());

    let mut reader = Reader::open(&path).unwrap();
    assert!(reader.complete(), "{:?}", reader.problems());
    assert_eq!(reader.meta(), &meta);
    assert_eq!(
        (reader.first(), reader.end(), reader.len()),
        (0, summary.events, summary.events)
    );
    assert_eq!(reader.duration_ns(), written.last().unwrap().0.t);
    assert!(read_all(&mut reader) == written, "events differ");
    assert_eq!(
        reader.attachment("lesson.md").unwrap().unwrap(),
        b"# A lesson"
    );
    assert_eq!(reader.attachment("other").unwrap(), None);
    let derived = reader.derived(3, 1);
    assert_eq!(derived.len(), 1);
    assert_eq!(derived[0].events, 0..summary.events);
    assert_eq!(reader.read_derived(&derived[0]).unwrap(), b"derived");
    assert_eq!(reader.derived(3, 2), vec![]);

    for number in [0, 1, 4_095, 70_000, summary.events - 1] {
        let mut cursor = reader.events_from(number);
        let (n, event, text) = cursor.next().unwrap().unwrap();
        assert_eq!(
            (n, bare(event), text),
            (
                number,
                written[number as usize].0,
                &written[number as usize].1[..]
            )
        );
        let t = written[number as usize].0.t;
        let first = written.iter().position(|(e, _)| e.t >= t).unwrap() as u64;
        assert_eq!(reader.event_at_time(t).unwrap(), first);
    }
    assert_eq!(reader.events_from(summary.events).next().unwrap(), None);
    assert_eq!(reader.event_at_time(u64::MAX).unwrap(), summary.events);
}

#[test]
fn a_reader_follows_a_writer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lscope");
    let written = stream(1_000);
    let mut writer = Writer::create(&path, &Meta::default(), Options::default()).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(reader.refresh().unwrap(), Progress::Same);
    let mut seen = Vec::new();
    for part in written.chunks(700) {
        part.iter().for_each(|(e, text)| writer.write(e, text));
        writer.seal();
        let from = reader.pages().len();
        assert_eq!(reader.refresh().unwrap(), Progress::Grown);
        assert_eq!(reader.refresh().unwrap(), Progress::Same);
        let mut events = Events::default();
        for page in from..reader.pages().len() {
            reader.read_page(page, &mut events).unwrap();
            seen.extend(events.iter().map(|(_, e, text)| (bare(e), text.to_vec())));
        }
    }
    assert!(seen == written);
    assert!(!reader.complete());
    writer.finish().unwrap();
    assert_eq!(reader.refresh().unwrap(), Progress::Ended);
    assert!(reader.complete());
}

#[test]
fn a_writer_that_dies_leaves_its_pages() {
    let mut writer =
        Writer::unnamed(std::env::temp_dir(), &Meta::default(), Options::default()).unwrap();
    writer.write(
        &Event {
            t: 5,
            kind: Kind::Mark,
            ..Event::default()
        },
        b"text",
    );
    let file = writer.reopen().unwrap();
    let mut reader = Reader::from_file(file, "unnamed").unwrap();
    drop(writer);
    assert_eq!(reader.refresh().unwrap(), Progress::Grown);
    assert_eq!(reader.refresh().unwrap(), Progress::Ended);
    assert!(!reader.complete());
    assert_eq!(reader.len(), 1);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kept.lscope");
    reader.save_as(&path, false).unwrap();
    assert_eq!(Reader::open(&path).unwrap().len(), 1);
    assert!(reader.save_as(&path, false).is_err());
}
