//! A made-up program as a recording: a server with timers, tasks, spans and marks, two threads on one loop, and a third
//! thread that polls. Deterministic to the nanosecond.

use loopscope::record::event::{Ctl, Event, FdKind, Kind, Op, Space, Wait};
use loopscope::record::fields::{Fields, Value};
use loopscope::trace::{Meta, Options, Writer};
use std::path::Path;

const EPFD: i32 = 4;
const IN: i32 = 1;
const MS: u64 = 1_000_000;
/// The shim pushes for it, its handlers are inferred.
const SHIM: u16 = 2;

/// Name ids.
const REQUEST: i32 = 1;
const PARSED: i32 = 2;
const HEARTBEAT: i32 = 1;
const FLUSH: i32 = 1;
const FSYNC: i32 = 1;

struct Out {
    writer: Writer,
    t: u64,
    thread: u32,
}

impl Out {
    fn put(&mut self, event: Event, text: &[u8]) {
        let (t, thread) = (self.t, self.thread);
        self.writer.write(&Event { t, thread, ..event }, text);
    }
    fn just(&mut self, kind: Kind, x: i32, arg: u64, y: u64) {
        let e = Event {
            kind,
            fd: if (22..=28).contains(&kind.code()) {
                EPFD
            } else {
                -1
            },
            x,
            arg,
            y,
            ..Event::default()
        };
        self.put(e, b"");
    }
    fn name(&mut self, space: Space, id: i32, name: &str) {
        let e = Event {
            kind: Kind::Name,
            aux: space.code(),
            x: id,
            fd: -1,
            ..Event::default()
        };
        self.put(e, name.as_bytes());
    }
    fn open(&mut self, fd: i32, kind: FdKind) {
        let e = Event {
            kind: Kind::FdOpen,
            fd,
            aux: kind.code(),
            x: -1,
            ..Event::default()
        };
        self.put(e, b"");
    }
    /// Its data word is its number.
    fn add(&mut self, fd: i32, mask: i32) {
        let add = Event {
            fd,
            aux: Ctl::Add.code(),
            arg: fd as u64,
            y: EPFD as u64,
            ..Event::default()
        };
        for (kind, x) in [(Kind::CtlBegin, mask), (Kind::CtlEnd, 0)] {
            self.put(Event { kind, x, ..add }, b"");
        }
    }
    fn on_behalf_of(&mut self, fd: i32) {
        let e = Event {
            kind: Kind::OnBehalf,
            fd,
            ..Event::default()
        };
        self.put(e, b"");
    }
    fn enter(&mut self, call: Wait, fd: i32, timeout: i64) {
        let e = Event {
            kind: Kind::WaitEnter,
            aux: call.code(),
            fd,
            x: 64,
            arg: timeout as u64,
            ..Event::default()
        };
        self.put(e, b"");
    }
    /// The wait returns these data words.
    fn exit(&mut self, call: Wait, fd: i32, batch: &[u64]) {
        let e = Event {
            kind: Kind::WaitExit,
            aux: call.code(),
            fd,
            x: batch.len() as i32,
            ..Event::default()
        };
        self.put(e, b"");
        for (i, data) in batch.iter().enumerate() {
            let e = Event {
                kind: Kind::Ready,
                aux: i as u16,
                fd,
                x: IN,
                arg: *data,
                ..Event::default()
            };
            self.put(e, b"");
        }
    }
    fn run(&mut self, index: u16, data: u64) {
        let e = Event {
            kind: Kind::RunBegin,
            aux: index,
            fd: EPFD,
            arg: data,
            ..Event::default()
        };
        self.put(e, b"");
    }
    fn end(&mut self) {
        let e = Event {
            kind: Kind::RunEnd,
            fd: EPFD,
            ..Event::default()
        };
        self.put(e, b"");
    }
    fn read(&mut self, fd: i32, n: i32) {
        let e = Event {
            kind: Kind::Io,
            aux: Op::Read.code(),
            fd,
            x: n,
            arg: 4096,
            y: 2_000,
            ..Event::default()
        };
        self.put(e, b"");
    }
    fn said(&mut self, kind: Kind, name: i32, id: u64, fields: &[(&str, Value<'_>)]) {
        let e = Event {
            kind,
            fd: -1,
            x: name,
            arg: id,
            ..Event::default()
        };
        self.put(e, Fields::of(fields).bytes());
    }
}

/// Half a second of it.
pub fn write(path: &Path) {
    let meta = Meta {
        title: "worker".into(),
        source: "library".into(),
        handlers: "measured".into(),
        ..Meta::default()
    };
    let mut o = Out {
        writer: Writer::create(path, &meta, Options::default()).unwrap(),
        t: 0,
        thread: 0,
    };
    let start = Event {
        kind: Kind::ProcessStart,
        x: 4200,
        ..Event::default()
    };
    o.put(start, b"worker");
    for (thread, tid) in [(1, 4200), (2, 4201), (3, 4202)] {
        o.thread = thread;
        let e = Event {
            kind: Kind::ThreadStart,
            x: tid,
            ..Event::default()
        };
        o.put(e, b"");
    }
    o.thread = 1;
    for (space, id, name) in [
        (Space::Mark, REQUEST, "request"),
        (Space::Mark, PARSED, "parsed"),
        (Space::Timer, HEARTBEAT, "heartbeat"),
        (Space::Task, FLUSH, "flush"),
        (Space::Call, FSYNC, "fsync"),
    ] {
        o.name(space, id, name);
    }
    for (fd, name) in [(7, "web"), (8, "admin")] {
        let e = Event {
            kind: Kind::FdOpen,
            fd,
            aux: FdKind::Unix.code(),
            x: -1,
            ..Event::default()
        };
        o.put(e, b"");
        let e = Event {
            kind: Kind::FdName,
            fd,
            ..Event::default()
        };
        o.put(e, name.as_bytes());
        let e = Event {
            fd,
            aux: Ctl::Add.code(),
            x: IN,
            arg: fd as u64,
            y: EPFD as u64,
            ..Event::default()
        };
        o.put(
            Event {
                kind: Kind::CtlBegin,
                ..e
            },
            b"",
        );
        o.put(
            Event {
                kind: Kind::CtlEnd,
                x: 0,
                ..e
            },
            b"",
        );
    }
    o.just(Kind::TimerArm, HEARTBEAT, 1, 100 * MS);
    o.enter(Wait::Epoll, EPFD, 100 * MS as i64);
    // The second thread sleeps on the same loop; the third polls on its own.
    o.thread = 2;
    o.t = MS / 10;
    o.enter(Wait::Epoll, EPFD, -1);
    o.thread = 3;
    o.enter(Wait::Poll, -1, 50 * MS as i64);
    for request in 0..4_u64 {
        o.t = (10 + request * 100) * MS;
        o.thread = 1;
        o.exit(Wait::Epoll, EPFD, &[7, 8]);
        o.t += 50_000;
        o.run(0, 7);
        o.t += 10_000;
        o.read(7, 120);
        let fields = [
            ("id", Value::U64(12 + request)),
            ("path", Value::Str("/index.html")),
        ];
        o.said(Kind::SpanBegin, REQUEST, 12 + request, &fields);
        o.t += 4 * MS;
        o.said(
            Kind::Mark,
            PARSED,
            0,
            &[("bytes", Value::U64(120)), ("ok", Value::Bool(true))],
        );
        o.just(Kind::TaskQueued, FLUSH, 1, 0);
        o.t += MS;
        o.just(Kind::CallBegin, FSYNC, 0, 0);
        o.t += 20 * MS;
        o.just(Kind::CallEnd, FSYNC, 0, 0);
        // Meanwhile the second thread is woken for nothing, and the third finds its poll timed out.
        o.thread = 2;
        o.exit(Wait::Epoll, EPFD, &[]);
        o.enter(Wait::Epoll, EPFD, -1);
        o.thread = 3;
        o.exit(Wait::Poll, -1, &[]);
        o.enter(Wait::Poll, -1, 50 * MS as i64);
        o.thread = 1;
        o.t += MS;
        o.said(Kind::SpanEnd, REQUEST, 12 + request, &[]);
        o.run(1, 8);
        o.read(8, 16);
        o.t += 2 * MS;
        o.end();
        o.t += MS / 10;
        o.just(Kind::TaskBegin, FLUSH, 1, 0);
        o.t += 5 * MS;
        o.just(Kind::TaskEnd, FLUSH, 1, 0);
        o.t += MS / 10;
        let left = ((1 + request) * 100 * MS).saturating_sub(o.t);
        o.enter(Wait::Epoll, EPFD, left as i64);
        // The time-out ends late, so the timer fires late.
        o.t = (103 + request * 100) * MS;
        o.exit(Wait::Epoll, EPFD, &[]);
        o.t += MS / 100;
        o.just(Kind::TimerBegin, HEARTBEAT, 1, 0);
        o.t += 2 * MS;
        o.just(Kind::TimerEnd, 0, 1, 0);
        o.just(Kind::TimerArm, HEARTBEAT, 1, (2 + request) * 100 * MS - o.t);
        o.enter(Wait::Epoll, EPFD, 95 * MS as i64);
    }
    o.writer.finish().unwrap();
}

/// A proxy: what its upstream says is for a client, and a bell rings for whoever's work has come back from another thread,
/// sometimes for two of them at once.
pub fn proxy(path: &Path) {
    let mut o = single(path, IN, ("proxy", 0));
    for (fd, name) in [
        (5, "bell"),
        (7, "ann"),
        (8, "bob"),
        (9, "cid"),
        (10, "upstream"),
    ] {
        let e = Event {
            fd,
            ..Event::default()
        };
        if fd != 7 {
            o.open(
                fd,
                if fd == 5 {
                    FdKind::Eventfd
                } else {
                    FdKind::Unix
                },
            );
            o.add(fd, IN);
        }
        o.put(
            Event {
                kind: Kind::FdName,
                ..e
            },
            name.as_bytes(),
        );
    }
    o.enter(Wait::Epoll, EPFD, -1);
    for turn in 0..6_u64 {
        o.t = (5 + turn * 20) * MS;
        let client = 7 + turn % 3;
        o.exit(Wait::Epoll, EPFD, &[client]);
        o.t += MS / 10;
        o.run(0, client);
        o.read(client as i32, 40);
        o.t += MS;
        o.end();
        o.enter(Wait::Epoll, EPFD, -1);
        o.t += 6 * MS;
        o.exit(Wait::Epoll, EPFD, &[10, 5]);
        o.t += MS / 10;
        o.run(0, 10);
        o.on_behalf_of(client as i32);
        o.read(10, 900);
        o.t += 3 * MS;
        o.run(1, 5);
        o.read(5, 8);
        o.on_behalf_of(client as i32);
        o.t += 2 * MS;
        if turn % 2 == 1 {
            o.on_behalf_of(9);
            o.t += MS;
        }
        o.end();
        o.enter(Wait::Epoll, EPFD, -1);
    }
    o.writer.finish().unwrap();
}

/// A program that polls its epoll fd and then takes the events without waiting, as EventMachine does.
pub fn nested(path: &Path) {
    let meta = Meta {
        title: "nested".into(),
        source: "preload".into(),
        ..Meta::default()
    };
    let mut o = Out {
        writer: Writer::create(path, &meta, Options::default()).unwrap(),
        t: 0,
        thread: 1,
    };
    let start = Event {
        kind: Kind::ProcessStart,
        x: 4200,
        ..Event::default()
    };
    o.put(start, b"worker");
    let start = Event {
        kind: Kind::ThreadStart,
        x: 4200,
        ..Event::default()
    };
    o.put(start, b"");
    for (fd, kind) in [(EPFD, FdKind::Epoll), (7, FdKind::Unix)] {
        let e = Event {
            kind: Kind::FdOpen,
            fd,
            aux: kind.code(),
            x: -1,
            ..Event::default()
        };
        o.put(e, b"");
    }
    let add = Event {
        fd: 7,
        aux: Ctl::Add.code(),
        x: IN,
        arg: 7,
        y: EPFD as u64,
        ..Event::default()
    };
    for (kind, x) in [(Kind::CtlBegin, IN), (Kind::CtlEnd, 0)] {
        o.put(Event { kind, x, ..add }, b"");
    }
    // More turns of the outer loop than of the one that matters.
    for turn in 0..8_u64 {
        o.t += MS;
        o.enter(Wait::Poll, -1, -1);
        o.t += 5 * MS;
        o.exit(Wait::Poll, -1, &[EPFD as u64]);
        if turn % 2 == 1 {
            o.enter(Wait::Epoll, EPFD, 0);
            o.exit(Wait::Epoll, EPFD, &[7]);
            o.t += MS / 10;
            o.run(0, 7);
            o.read(7, 16);
            o.end();
        }
    }
    o.writer.finish().unwrap();
}

/// A server with one edge- or level-triggered connection, of this name and pushed for by this source, up to its first wait.
fn single(path: &Path, mask: i32, (name, source): (&str, u16)) -> Out {
    let meta = Meta {
        title: name.into(),
        source: if source == SHIM { "preload" } else { "library" }.into(),
        ..Meta::default()
    };
    let mut o = Out {
        writer: Writer::create(path, &meta, Options::default()).unwrap(),
        t: 0,
        thread: 1,
    };
    for (kind, text) in [
        (Kind::ProcessStart, name.as_bytes()),
        (Kind::ThreadStart, b""),
    ] {
        let start = Event {
            kind,
            aux: if kind == Kind::ProcessStart {
                source
            } else {
                0
            },
            x: 4200,
            ..Event::default()
        };
        o.put(start, text);
    }
    o.open(EPFD, FdKind::Epoll);
    o.open(7, FdKind::Unix);
    o.add(7, mask);
    o
}

/// Level-triggered, told at every wait, never touched.
pub fn spins(path: &Path) {
    let mut o = single(path, IN, ("single", SHIM));
    for _ in 0..400 {
        o.enter(Wait::Epoll, EPFD, -1);
        o.t += 60_000;
        o.exit(Wait::Epoll, EPFD, &[7]);
        o.t += 40_000;
    }
    o.writer.finish().unwrap();
}

/// Edge-triggered, read once, bytes left; killed in the sleep that follows.
pub fn dies_asleep(path: &Path) {
    const ET: u32 = 1 << 31;
    let mut o = single(path, (IN as u32 | ET) as i32, ("single", SHIM));
    o.t += MS;
    o.enter(Wait::Epoll, EPFD, -1);
    o.t += 3 * MS;
    o.exit(Wait::Epoll, EPFD, &[7]);
    o.t += MS / 10;
    // As many as there was room for: more may lie there.
    o.read(7, 4096);
    o.t += MS / 10;
    o.enter(Wait::Epoll, EPFD, -1);
    o.t += 2_000 * MS;
    for kind in [Kind::ThreadEnd, Kind::ProcessEnd] {
        let e = Event {
            kind,
            ..Event::default()
        };
        o.put(e, b"");
    }
    o.writer.finish().unwrap();
}
