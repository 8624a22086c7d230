//! Following a program that does more than this machine can fold: what is left out is said, and nothing is made up.
#![cfg(feature = "cli")]

#[path = "../benches/common/synth.rs"]
#[allow(dead_code)] // each user has its own part
mod synth;

use loopscope::model::{Model, Phase, Word};
use loopscope::record::event::{Event, Kind};
use loopscope::trace::{Meta, Options, Reader, Writer};
use loopscope::tui::player::{Folder, Until};
use std::path::Path;

/// Its own epoll of a thread that goes to sleep in the middle, for good.
const EPFD: i32 = 99;

fn recording(path: &Path) {
    let mut writer = Writer::create(path, &Meta::default(), Options::default()).unwrap();
    let mut synth = synth::Synth::new(3, 50);
    let mut last = 0;
    let mut emit = |event: &Event, text: &[u8]| {
        last = event.t;
        writer.write(event, text);
    };
    synth.start(&mut emit);
    while synth.emitted() < 30_000 {
        synth.turn(&mut emit);
    }
    let thread = Event {
        t: last,
        kind: Kind::ThreadStart,
        thread: 7,
        x: 4243,
        fd: -1,
        ..Event::default()
    };
    let wait = Event {
        t: last,
        kind: Kind::WaitEnter,
        thread: 7,
        fd: EPFD,
        x: 8,
        arg: u64::MAX,
        ..Event::default()
    };
    writer.write(&thread, b"sleeper");
    writer.write(&wait, b"");
    let mut emit = |event: &Event, text: &[u8]| writer.write(event, text);
    while synth.emitted() < 60_000 {
        synth.turn(&mut emit);
    }
    writer.finish().unwrap();
}

fn all(reader: &mut Reader, folder: &mut Folder) {
    let most = Until::event(u64::MAX);
    while !folder.run(reader, most, 10_000, &mut ()).unwrap() {}
}

fn sleeps(model: &Model) -> bool {
    let its = model.loops().iter().find(|l| l.epfds.contains(&EPFD));
    let mut threads = its.into_iter().flat_map(|l| &l.threads);
    threads.any(|t| matches!(t.phase, Phase::Waiting { .. }))
}

#[test]
fn what_is_left_out_is_not_known_and_not_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fast.lscope");
    recording(&path);
    let mut reader = Reader::open(&path).unwrap();
    let mut whole = Folder::start();
    all(&mut reader, &mut whole);
    assert!(sleeps(&whole.model));

    let mut short = Folder::start();
    short
        .run(&mut reader, Until::event(10_000), u64::MAX, &mut ())
        .unwrap();
    let mut pieces = 0;
    while !short.leave_out(&mut reader, 55_000, 7_000).unwrap() {
        pieces += 1;
    }
    assert!(pieces >= 6);
    assert_eq!(short.next, 55_000);
    assert!(short.left_out > 30_000 && short.left_out < 45_000);
    let behind = short.model.regs().filter(|r| r.is_live());
    let known = behind.filter(|r| r.ready > 0 && r.word != Word::Unknown);
    assert_eq!(
        known.count(),
        0,
        "what was touched may have become anything"
    );
    assert!(sleeps(&short.model), "a wait under way is said again");

    all(&mut reader, &mut short);
    let (a, b) = (&whole.model, &short.model);
    assert_eq!((a.lost(), b.lost()), (0, 0), "no event was lost");
    let live = |m: &Model| -> Vec<(i32, u32, String)> {
        let live = m.regs().filter(|r| r.is_live());
        let mut live: Vec<_> = live
            .map(|r| (r.fd, r.generation, r.name.to_string()))
            .collect();
        live.sort();
        live
    };
    assert_eq!(
        live(a),
        live(b),
        "who is there is rare to change and never left out"
    );
    for reg in b.regs().filter(|r| r.is_live()) {
        let same = |r: &&loopscope::model::Registration| {
            r.is_live() && (r.fd, r.generation) == (reg.fd, reg.generation)
        };
        let full = a.regs().find(same).unwrap();
        assert!(reg.ready <= full.ready && reg.bytes_in <= full.bytes_in);
        let known = reg.word == full.word || reg.word == Word::Unknown;
        assert!(known, "fd {}: {:?}, not {:?}", reg.fd, reg.word, full.word);
    }
    let (a, b) = (a.loops()[0].wakeups, b.loops()[0].wakeups);
    assert!(b < a / 2, "{b} of {a} are counted");
}

#[test]
fn what_is_jumped_over_may_have_become_anything() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fast.lscope");
    recording(&path);
    let mut reader = Reader::open(&path).unwrap();
    let mut folder = Folder::start();
    let until = Until::event(10_000);
    folder.run(&mut reader, until, u64::MAX, &mut ()).unwrap();
    let (here, now) = (folder.next, folder.model.now());
    folder.jump(&reader, 50_000, now);
    assert_eq!((folder.next, folder.left_out), (50_000, 50_000 - here));
    let live = folder.model.regs().filter(|r| r.is_live());
    let known = live.filter(|r| r.ready > 0 && r.word != Word::Unknown);
    assert_eq!(known.count(), 0);
    let until = Until::event(u64::MAX);
    folder.run(&mut reader, until, u64::MAX, &mut ()).unwrap();
    assert_eq!(folder.next, reader.end());
    assert_eq!(folder.model.lost(), 0);
    // What is served after it is known again.
    let served = folder
        .model
        .regs()
        .filter(|r| r.is_live() && r.word == Word::Armed);
    assert!(served.count() > 0);
}
