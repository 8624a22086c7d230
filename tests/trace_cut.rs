//! A cut tells what its events rely on; appended pages never endanger what was there. Step: **trace**.

mod trace_support;

use loopscope::record::event::{Ctl, Event, Kind, flags};
use loopscope::trace::{self, Appender, Error, Meta, Options, Progress, Reader, Writer};
use std::collections::BTreeSet;
use trace_support::{Stream, bare, read_all, read_numbered, stream, write};

/// The descriptors open, the registrations made and the texts said.
#[derive(Debug, Default, PartialEq)]
struct World {
    fds: BTreeSet<i32>,
    registered: BTreeSet<(u64, i32, u64)>,
    names: BTreeSet<Vec<u8>>,
}

/// The world after these events, by a model as plain as can be.
fn world(events: &[(Event, Vec<u8>)]) -> World {
    let mut world = World::default();
    let mut begun = Event::default();
    for (e, text) in events {
        let key = |&(epfd, fd, _): &(u64, i32, u64)| (epfd, fd) != (e.y, e.fd);
        match e.kind {
            Kind::FdOpen => {
                world.fds.insert(e.fd);
            }
            Kind::FdCloseBegin => {
                world.fds.remove(&e.fd);
                world.registered.retain(|(_, fd, _)| *fd != e.fd);
            }
            Kind::CtlBegin => begun = *e,
            Kind::CtlEnd if e.x < 0 => {}
            Kind::CtlEnd if e.aux == Ctl::Del.code() => world.registered.retain(key),
            Kind::CtlEnd => {
                world.registered.insert((e.y, e.fd, begun.arg));
            }
            Kind::Name | Kind::FdAddr | Kind::ProcessStart | Kind::ThreadStart => {
                world.names.insert(text.clone());
            }
            _ => {}
        }
    }
    world
}

/// The loops that were waited on: name, how many descriptors lead there, and the threads.
#[cfg(feature = "cli")]
fn loops(path: &std::path::Path) -> Vec<(String, usize, BTreeSet<i32>)> {
    use loopscope::model::Model;
    use loopscope::trace::Events;
    let mut model = Model::default();
    let mut reader = Reader::open(path).unwrap();
    let mut events = Events::default();
    for page in 0..reader.pages().len() {
        reader.read_page(page, &mut events).unwrap();
        for (number, e, text) in events.iter() {
            model.apply(number, e, text, &mut ());
        }
    }
    let tid = |thread: u32| model.threads()[thread as usize].tid;
    let used = model.loops().iter().filter(|l| l.waits > 0);
    used.map(|l| {
        let threads = l.threads.iter().map(|t| tid(t.thread)).collect();
        (l.name.to_string(), l.epfds.len(), threads)
    })
    .collect()
}

/// Loops with names, several threads, several descriptors for one epoll, one in another: what is on screen of a part is what
/// the whole showed.
#[cfg(feature = "cli")]
#[test]
fn a_cut_has_the_loops_of_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let part = dir.path().join("part.lscope");
    let recordings = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings");
    for name in [
        "greedy-fd",
        "thundering-herd",
        "oneshot-threads",
        "nested-epoll",
        "loop-per-core",
        "ghost-events",
    ] {
        let whole = recordings.join(format!("{name}.lscope"));
        let mut source = Reader::open(&whole).unwrap();
        let last = source.duration_ns();
        let options = Options {
            force: true,
            ..Options::default()
        };
        trace::cut(&mut source, &part, options, last / 4, last * 3 / 4).unwrap();
        let (all, here) = (loops(&whole), loops(&part));
        assert!(!here.is_empty(), "{name}");
        for (called, epfds, threads) in &here {
            let same = all.iter().find(|(name, ..)| name == called);
            let (_, before, those) = same.unwrap_or_else(|| panic!("{name}: {here:?}"));
            assert!(
                epfds <= before && threads.is_subset(those),
                "{name}: {here:?} of {all:?}"
            );
        }
        assert!(here.len() <= all.len(), "{name}: {here:?} of {all:?}");
    }
}

#[test]
fn a_cut_ends_in_the_same_world() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, part) = (
        dir.path().join("whole.lscope"),
        dir.path().join("part.lscope"),
    );
    let written = stream(6_000);
    write(&whole, &written, 2_000, Options::default()).unwrap();
    let mut source = Reader::open(&whole).unwrap();
    let last = source.duration_ns();
    for (from, until) in [
        (last / 3, last / 2),
        (0, last / 7),
        (last / 2, u64::MAX),
        (last + 1, u64::MAX),
        (last / 2, last / 3),
    ] {
        let force = Options {
            force: true,
            ..Options::default()
        };
        trace::cut(&mut source, &part, force, from, until).unwrap();
        let mut reader = Reader::open(&part).unwrap();
        assert!(reader.complete());
        let cut = reader.meta().cut.unwrap();
        assert!(
            cut.from <= from.min(last.max(from)) && reader.meta().command == source.meta().command
        );
        let got = read_all(&mut reader);
        let (again, kept): (Stream, Stream) = got
            .iter()
            .cloned()
            .partition(|(e, _)| e.flags & flags::AGAIN != 0);
        assert_eq!(again.len() as u64, cut.restated);
        assert!(again.iter().all(|(e, _)| e.t == 0));
        // What is kept is the original, moved in time, from the start of a turn on.
        let start = cut.first_event as usize;
        let original = written[start..].iter().map(|(e, text)| {
            (
                Event {
                    t: e.t - cut.from,
                    ..*e
                },
                text.clone(),
            )
        });
        assert!(original.zip(&kept).all(|(a, b)| a == *b));
        let end = written.partition_point(|(e, _)| e.t < until).max(start);
        let expected = if until < from {
            0..=50
        } else {
            end - start..=end - start
        };
        assert!(
            expected.contains(&kept.len()),
            "{} events for {from}..{until}",
            kept.len()
        );
        if let Some((first, _)) = kept.first().filter(|_| start > 0) {
            assert!(
                first.kind == Kind::WaitExit
                    || written[start - 1].0.kind == Kind::WaitEnter
                    || first.t == 0,
                "{first:?}"
            );
        }
        // And leads to the same descriptors, registrations and names.
        let (part, whole) = (world(&got), world(&written[..start + kept.len()]));
        assert_eq!(
            (&part.fds, &part.registered),
            (&whole.fds, &whole.registered)
        );
        assert!(part.names.is_subset(&whole.names));
        assert!(start == 0 || part.names.contains(&b"accept"[..]));
    }
}

#[test]
fn a_cut_of_a_cut_and_of_a_limited_recording() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let written = stream(12_000);
    write(
        &path("limited"),
        &written,
        400,
        Options {
            max_size: Some(300 << 10),
            ..Options::default()
        },
    )
    .unwrap();
    let mut source = Reader::open(path("limited")).unwrap();
    let (first, last) = (source.pages()[0].t_first, source.duration_ns());
    trace::cut(&mut source, path("one"), Options::default(), first, last).unwrap();
    let mut one = Reader::open(path("one")).unwrap();
    let length = one.duration_ns();
    trace::cut(
        &mut one,
        path("two"),
        Options::default(),
        length / 2,
        u64::MAX,
    )
    .unwrap();
    let mut two = Reader::open(path("two")).unwrap();
    let cut = two.meta().cut.unwrap();
    let one_from = one.meta().cut.unwrap().from;
    let got = read_all(&mut two);
    let start = written.partition_point(|(e, _)| e.t < cut.from);
    assert!(cut.from > one_from && start > 0);
    let n = written.len() - 1;
    let (part, whole) = (world(&got), world(&written[..n]));
    assert_eq!((part.fds, part.registered), (whole.fds, whole.registered));
}

#[test]
fn derived_pages_are_appended_safely() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lscope");
    let written = stream(500);
    write(&path, &written, 700, Options::default()).unwrap();
    let before = std::fs::read(&path).unwrap();
    for round in 1..=3u8 {
        let mut appender = Appender::open(&path).unwrap();
        appender.derived(7, 1, 0..100, &[round; 5_000]).unwrap();
        appender.derived(7, 2, 0..100, &[round; 50]).unwrap();
        appender.finish().unwrap();
        let mut reader = Reader::open(&path).unwrap();
        assert!(reader.complete(), "{:?}", reader.problems());
        assert!(reader.verify().unwrap().is_empty());
        let derived = reader.derived(7, 1);
        assert_eq!(derived.len(), usize::from(round));
        assert_eq!(
            reader
                .read_derived(&derived[usize::from(round) - 1])
                .unwrap(),
            [round; 5_000]
        );
        assert_eq!(read_all(&mut reader), written);
    }
    let after = std::fs::read(&path).unwrap();
    assert_eq!(after[..before.len()], before);
    // A crash at any byte of an append leaves every event and a footer.
    for len in before.len()..after.len() {
        std::fs::write(&path, &after[..len]).unwrap();
        let reader = Reader::open(&path).unwrap();
        assert_eq!(reader.end(), written.len() as u64, "{len}");
        assert!(
            !reader
                .problems()
                .iter()
                .any(|p| matches!(p, trace::Problem::Unfinished { .. })),
            "{len}: {:?}",
            reader.problems()
        );
        if len % 97 == 0 {
            // And the next append puts it right.
            drop(reader);
            Appender::open(&path).unwrap().finish().unwrap();
            let reader = Reader::open(&path).unwrap();
            assert!(reader.complete(), "{len}: {:?}", reader.problems());
        }
    }
}

#[test]
fn appending_to_a_limited_or_unfinished_or_live_recording() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lscope");
    let written = stream(12_000);
    for max in [300 << 10, 64 << 20] {
        write(
            &path,
            &written,
            400,
            Options {
                force: true,
                max_size: Some(max),
            },
        )
        .unwrap();
        let kept = Reader::open(&path).unwrap().len();
        let mut appender = Appender::open(&path).unwrap();
        appender.derived(7, 1, 0..100, &[1; 5_000]).unwrap();
        appender.finish().unwrap();
        let mut reader = Reader::open(&path).unwrap();
        assert!(reader.verify().unwrap().is_empty() && reader.complete());
        assert_eq!((reader.len(), reader.derived(7, 1).len()), (kept, 1));
        let got = read_numbered(&mut reader);
        assert!(got.iter().all(|(n, e, _)| *e == written[*n as usize].0));
    }
    let mut writer = Writer::create(
        &path,
        &Meta::default(),
        Options {
            force: true,
            ..Options::default()
        },
    )
    .unwrap();
    written[..1_000]
        .iter()
        .for_each(|(e, text)| writer.write(e, text));
    writer.seal();
    assert!(matches!(Appender::open(&path), Err(Error::Busy(_))));
    drop(writer);
    let mut appender = Appender::open(&path).unwrap();
    appender.derived(7, 1, 0..100, b"x").unwrap();
    appender.finish().unwrap();
    let mut reader = Reader::open(&path).unwrap();
    assert!(!reader.complete());
    assert_eq!((reader.len(), reader.derived(7, 1).len()), (1_000, 1));
    assert_eq!(reader.refresh().unwrap(), Progress::Ended);
    assert_eq!(bare(&written[0].0), read_all(&mut reader)[0].0);
}
