//! Whatever a recorded program calls its fds, handlers and marks, and whatever it writes: no control, bidi or other
//! hidden character reaches a cell of the screen. Step: recording → **view**.
#![cfg(feature = "cli")]

use loopscope::record::event::{Ctl, Event, FdKind, Kind, Space, Wait};
use loopscope::text::is_hidden;
use loopscope::trace::{Meta, Options as Write, Writer};
use loopscope::tui::{self, App, Look, Message, Options, Source, View};

const FDS: i32 = 50;
const NAMES: usize = 10_000;

/// xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }

    /// Bytes that a terminal or a reader could be misled by, between harmless ones.
    fn name(&mut self) -> Vec<u8> {
        const PIECES: [&[u8]; 16] = [
            b"\x1b[2J",
            b"\x1b]52;c;aGk=\x07",
            b"\x07",
            b"\r\n",
            b"\t",
            b"\0",
            b"\x7f",
            b"\xc2\x9b31m",
            "\u{202e}".as_bytes(),
            "\u{200d}".as_bytes(),
            "\u{feff}".as_bytes(),
            "\u{2028}".as_bytes(),
            "漢字".as_bytes(),
            "e\u{301}\u{301}".as_bytes(),
            b"\xff\xfe",
            b"name",
        ];
        let mut out = Vec::new();
        for _ in 0..1 + self.below(6) {
            match self.below(3) {
                0 => out.extend((0..self.below(8)).map(|_| self.0 as u8)),
                _ => out.extend(PIECES[self.below(PIECES.len())]),
            }
        }
        out.truncate(200);
        out
    }
}

fn put(writer: &mut Writer, t: u64, event: Event, text: &[u8]) {
    writer.write(&Event { t, ..event }, text);
}

/// A loop that runs one handler an event, everything renamed before each turn.
fn record(path: &std::path::Path, random: &mut Random) {
    let meta = Meta {
        command: vec!["\x1b[31mevil\u{202e}".into()],
        ..Meta::default()
    };
    let mut w = Writer::create(path, &meta, Write::default()).unwrap();
    let base = Event {
        fd: -1,
        ..Event::default()
    };
    put(
        &mut w,
        0,
        Event {
            kind: Kind::ProcessStart,
            x: 1,
            arg: 1,
            ..base
        },
        &random.name(),
    );
    put(
        &mut w,
        0,
        Event {
            kind: Kind::ThreadStart,
            x: 1,
            arg: 1,
            ..base
        },
        &random.name(),
    );
    for fd in 1..=FDS {
        put(
            &mut w,
            1,
            Event {
                kind: Kind::FdOpen,
                fd,
                x: -1,
                aux: FdKind::Tcp.code(),
                ..base
            },
            b"",
        );
        let ctl = Event {
            fd,
            aux: Ctl::Add.code(),
            y: 100,
            ..base
        };
        put(
            &mut w,
            2,
            Event {
                kind: Kind::CtlBegin,
                x: 1,
                arg: fd as u64,
                ..ctl
            },
            b"",
        );
        put(
            &mut w,
            3,
            Event {
                kind: Kind::CtlEnd,
                ..ctl
            },
            b"",
        );
    }
    let mut t = 1_000;
    let mut names = 0;
    while names < NAMES {
        for fd in 1..=FDS {
            let kind = if random.below(2) == 0 {
                Kind::FdName
            } else {
                Kind::FdAddr
            };
            put(&mut w, t, Event { kind, fd, ..base }, &random.name());
            names += 1;
        }
        for space in [
            Space::Handler,
            Space::Call,
            Space::Timer,
            Space::Task,
            Space::Mark,
            Space::Loop,
        ] {
            put(
                &mut w,
                t,
                Event {
                    kind: Kind::Name,
                    x: 1,
                    aux: space.code(),
                    ..base
                },
                &random.name(),
            );
        }
        put(
            &mut w,
            t,
            Event {
                kind: Kind::Output,
                x: 5 << 16 | 30,
                ..base
            },
            &random.name(),
        );
        let wait = Event {
            aux: Wait::Epoll.code(),
            fd: 100,
            ..base
        };
        put(
            &mut w,
            t,
            Event {
                kind: Kind::WaitEnter,
                x: 64,
                arg: u64::MAX,
                ..wait
            },
            b"",
        );
        put(
            &mut w,
            t + 10,
            Event {
                kind: Kind::WaitExit,
                x: FDS,
                ..wait
            },
            b"",
        );
        for i in 0..FDS {
            let e = Event {
                kind: Kind::Ready,
                aux: i as u16,
                x: 1,
                arg: i as u64 + 1,
                ..wait
            };
            put(&mut w, t + 10, e, b"");
        }
        let run = Event {
            kind: Kind::RunBegin,
            aux: 0,
            x: 1,
            arg: 1,
            ..wait
        };
        put(&mut w, t + 20, run, b"");
        put(
            &mut w,
            t + 30,
            Event {
                kind: Kind::CallBegin,
                fd: 1,
                x: 1,
                ..base
            },
            b"",
        );
        t += 1_000;
        put(
            &mut w,
            t,
            Event {
                kind: Kind::CallEnd,
                fd: 1,
                x: 1,
                ..base
            },
            b"",
        );
        put(
            &mut w,
            t,
            Event {
                kind: Kind::RunEnd,
                fd: 100,
                ..base
            },
            b"",
        );
    }
    w.attach("evil\x1b[2J.rs", b"fn main() {\x1b[31m\r}\n\xe2\x80\xae")
        .unwrap();
    w.finish().unwrap();
}

#[test]
fn ten_thousand_hostile_names_leave_every_cell_harmless() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.lscope");
    record(&path, &mut Random(0x1234_5678_9abc_def1));
    let source = Source::Replay {
        path,
        follow: false,
    };
    let options = Options {
        name: "\x1b[2Jevil\u{202e}".into(),
        ..Options::default()
    };
    let mut app = App::open(&source, options, Look::default())
        .unwrap()
        .unwrap();
    app.update(Message::Row(1)).unwrap();
    let mut drawn = 0;
    loop {
        // In the middle of the run, with everybody queued behind it.
        app.update(Message::Turn(1)).unwrap();
        if app.note.is_some() {
            break;
        }
        app.update(Message::Step(2)).unwrap();
        let view = View::ALL[drawn % View::ALL.len()].0;
        app.update(Message::Show(view)).unwrap();
        if drawn % 7 == 0 {
            app.update(Message::Explain).unwrap();
        } else if drawn % 7 == 1 {
            app.update(Message::Blame).unwrap();
        }
        let frame = tui::frame(&mut app, 120, 66).unwrap();
        for cell in &frame.content {
            let symbol = cell.symbol();
            assert!(!symbol.chars().any(is_hidden), "{view:?} holds {symbol:?}");
        }
        drawn += 1;
    }
    assert!(
        drawn * FDS as usize >= NAMES - FDS as usize,
        "only {drawn} frames"
    );
}
