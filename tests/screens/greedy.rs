//! A made-up program as a recording: one client sends bursts and its handler reads them to the end, four others send
//! 16 bytes now and then. Deterministic to the nanosecond, so that frames can be compared.

use loopscope::record::event::{Ctl, Event, FdKind, Kind, Op, Space, Wait};
use loopscope::record::handshake::Source;
use loopscope::symbols::ATTACHMENT;
use loopscope::trace::{Meta, Options, Writer};
use std::path::Path;

const EPFD: i32 = 4;
const LISTENER: i32 = 3;
const ANN: i32 = 5;
const FLOOD: i32 = 6;
const DEE: i32 = 9;
const IN: i32 = 1;
/// Bytes one read of the flood handler takes.
const CHUNK: u64 = 64;

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// Virtual length.
    pub duration: u64,
    /// Clients stamp their sends.
    pub stamps: bool,
    /// `bob` is edge-triggered and its handler leaves bytes behind at this instant.
    pub leaves_bytes_at: Option<u64>,
    /// The program marks no handlers: the preload shim saw its calls.
    pub unmarked: bool,
    /// A clock found the flood's handler in its functions.
    pub sampled: bool,
    /// Nothing after this instant was recorded.
    pub cut_at: u64,
    /// Names of the fds 3, 5, 6, 7, 8, 9.
    pub names: [&'static str; 6],
}

impl Default for Script {
    fn default() -> Self {
        Script {
            duration: 100_000_000,
            stamps: true,
            leaves_bytes_at: None,
            unmarked: false,
            sampled: false,
            cut_at: u64::MAX,
            names: ["listen", "ann", "flood", "bob", "cid", "dee"],
        }
    }
}

struct Out {
    writer: Writer,
    t: u64,
    clients: Vec<Client>,
    stamps: bool,
    unmarked: bool,
    sampled: bool,
    cut_at: u64,
    random: u64,
}

impl Out {
    fn put(&mut self, mut event: Event, text: &[u8]) {
        match event.kind {
            _ if self.t > self.cut_at => return,
            Kind::RunBegin | Kind::RunEnd if self.unmarked => return,
            Kind::ProcessStart if self.unmarked => event.aux = Source::Preload as u16,
            _ => {}
        }
        self.writer.write(&Event { t: self.t, ..event }, text);
    }
    fn below(&mut self, n: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % n
    }
    /// Time passes; clients send meanwhile.
    fn pass(&mut self, ns: u64) {
        let to = self.t + ns;
        loop {
            let next = self.clients.iter().enumerate().min_by_key(|(_, c)| c.next);
            let Some((at, t)) = next.map(|(i, c)| (i, c.next)).filter(|n| n.1 <= to) else {
                break;
            };
            let pause = self.below(self.clients[at].every);
            let c = &mut self.clients[at];
            c.unread += c.bytes;
            c.since.get_or_insert(t);
            c.next = t + c.every / 2 + pause;
            let (fd, bytes, unread) = (c.fd, c.bytes, c.unread);
            self.t = self.t.max(t);
            if self.stamps {
                let e = Event {
                    thread: 1,
                    fd: -1,
                    ..Event::default()
                };
                self.put(
                    Event {
                        kind: Kind::Supplied,
                        x: fd,
                        arg: bytes,
                        ..e
                    },
                    b"",
                );
                self.put(
                    Event {
                        kind: Kind::Unread,
                        fd,
                        arg: unread,
                        ..e
                    },
                    b"",
                );
            }
        }
        self.t = to;
    }
    fn io(&mut self, fd: i32, asked: u64, result: i32, took: u64) {
        self.pass(took);
        if self.sampled && fd == FLOOD && self.below(32) == 0 {
            let sample = Event {
                kind: Kind::Sample,
                fd: -1,
                x: 3,
                arg: 1_000_000,
                ..Event::default()
            };
            self.put(sample, b"");
        }
        let e = Event {
            kind: Kind::Io,
            aux: Op::Read.code(),
            fd,
            x: result,
            arg: asked,
            y: took,
            site: 2,
            ..Event::default()
        };
        self.put(e, b"");
    }
    fn ctl(&mut self, op: Ctl, fd: i32, interest: i32) {
        let e = Event {
            fd,
            aux: op.code(),
            y: EPFD as u64,
            ..Event::default()
        };
        self.put(
            Event {
                kind: Kind::CtlBegin,
                x: interest,
                arg: fd as u64,
                site: 1,
                ..e
            },
            b"",
        );
        self.t += 1_000;
        self.put(
            Event {
                kind: Kind::CtlEnd,
                ..e
            },
            b"",
        );
    }
}

/// A client's next send.
struct Client {
    fd: i32,
    next: u64,
    every: u64,
    bytes: u64,
    /// Bytes in the socket, and when the first of them came.
    unread: u64,
    since: Option<u64>,
}

/// Writes the recording; it can still grow.
pub fn grow(path: &Path, script: Script) -> Writer {
    let meta = Meta {
        tool: "0.1.0".into(),
        source: "library".into(),
        command: vec!["greedy-fd".into()],
        pid: 4242,
        kernel_ready: "measured".into(),
        handlers: "measured".into(),
        title: "greedy-fd broken".into(),
        ..Meta::default()
    };
    let writer = Writer::create(path, &meta, Options::default()).unwrap();
    let mut out = Out {
        writer,
        t: 0,
        clients: Vec::new(),
        stamps: script.stamps,
        unmarked: script.unmarked,
        sampled: script.sampled,
        cut_at: script.cut_at,
        random: 0x9e37_79b9_7f4a_7c15,
    };
    let base = Event {
        fd: -1,
        ..Event::default()
    };
    out.put(
        Event {
            kind: Kind::ProcessStart,
            x: 4242,
            arg: 1,
            ..base
        },
        b"greedy-fd",
    );
    out.put(
        Event {
            kind: Kind::ThreadStart,
            x: 4242,
            arg: 1,
            ..base
        },
        b"loop",
    );
    out.put(
        Event {
            kind: Kind::ThreadStart,
            x: 4243,
            arg: 1,
            thread: 1,
            ..base
        },
        b"clients",
    );
    for (id, name) in [(1, "accept"), (2, "echo"), (3, "drain")] {
        out.put(
            Event {
                kind: Kind::Name,
                x: id,
                aux: Space::Handler.code(),
                ..base
            },
            name.as_bytes(),
        );
    }
    for (id, site) in [(1, "greedy.rs:4:9"), (2, "greedy.rs:8:21")] {
        out.put(
            Event {
                kind: Kind::Name,
                x: id,
                aux: Space::Site.code(),
                ..base
            },
            site.as_bytes(),
        );
    }
    if script.sampled {
        // Each place under its caller; what they are called is attached.
        let names = [
            (Space::Module, 1, "- /nowhere/server"),
            (Space::Stack, 1, "0 server+0x10"),
            (Space::Stack, 2, "1 server+0x20"),
            (Space::Stack, 3, "2 server+0x30"),
        ];
        for (space, x, text) in names {
            let name = Event {
                kind: Kind::Name,
                x,
                aux: space.code(),
                ..base
            };
            out.put(name, text.as_bytes());
        }
        let symbols = "loopscope symbols 1\n\
            0x10\t- /nowhere/server\tmain\tserver.c\t30\n\
            0x20\t- /nowhere/server\tserve\tserver.c\t20\n\
            0x30\t- /nowhere/server\tparse_rows\tserver.c\t10\n";
        out.writer.attach(ATTACHMENT, symbols.as_bytes()).unwrap();
    }
    let opened = Event {
        kind: Kind::FdOpen,
        fd: EPFD,
        x: -1,
        aux: FdKind::Epoll.code(),
        ..base
    };
    out.put(opened, b"");
    for (i, fd) in [LISTENER, ANN, FLOOD, 7, 8, DEE].into_iter().enumerate() {
        let kind = if fd == LISTENER {
            FdKind::TcpListener
        } else {
            FdKind::Tcp
        };
        out.put(
            Event {
                kind: Kind::FdOpen,
                fd,
                x: -1,
                aux: kind.code(),
                ..base
            },
            b"",
        );
        if fd != LISTENER {
            let pair = format!("tcp 127.0.0.1:7001>127.0.0.1:{}", 50_000 + fd);
            out.put(
                Event {
                    kind: Kind::FdAddr,
                    fd,
                    aux: kind.code(),
                    ..base
                },
                pair.as_bytes(),
            );
            let pair = format!("tcp 127.0.0.1:{}>127.0.0.1:7001", 50_000 + fd);
            let name = Event {
                kind: Kind::Name,
                x: fd,
                aux: Space::Pair.code(),
                thread: 1,
                ..base
            };
            out.put(name, pair.as_bytes());
        }
        out.put(
            Event {
                kind: Kind::FdName,
                fd,
                ..base
            },
            script.names[i].as_bytes(),
        );
        let edge = script.leaves_bytes_at.is_some() && fd == 7;
        let mode = if edge { i32::MIN } else { 0 };
        out.ctl(Ctl::Add, fd, IN | mode);
    }
    let client = |fd, next, every, bytes| Client {
        fd,
        next,
        every,
        bytes,
        unread: 0,
        since: None,
    };
    out.clients = vec![
        client(ANN, 700_000, 3_100_000, 16),
        client(FLOOD, 100_000, 7_000_000, 180_000),
        client(7, 1_900_000, 2_300_000, 16),
        client(8, 1_200_000, 4_700_000, 16),
        client(DEE, 2_300_000, 5_300_000, 16),
    ];
    let wait = Event {
        aux: Wait::Epoll.code(),
        fd: EPFD,
        ..Event::default()
    };
    let mut left_behind = false;
    while out.t < script.duration {
        out.pass(1_500);
        out.put(
            Event {
                kind: Kind::WaitEnter,
                x: 64,
                arg: u64::MAX,
                site: 1,
                ..wait
            },
            b"",
        );
        // Asleep until somebody has sent.
        let awake = |c: &Client| c.since.is_some() && !(left_behind && c.fd == 7);
        if !out.clients.iter().any(awake) {
            let first = out.clients.iter().map(|c| c.next).min().unwrap();
            if first > script.duration {
                break;
            }
            out.pass(first.saturating_sub(out.t));
        }
        out.pass(900);
        let mut ready: Vec<(u64, i32)> = out
            .clients
            .iter()
            .filter(|c| awake(c))
            .map(|c| (c.since.unwrap(), c.fd))
            .collect();
        ready.sort_unstable();
        out.put(
            Event {
                kind: Kind::WaitExit,
                x: ready.len() as i32,
                ..wait
            },
            b"",
        );
        for (i, (_, fd)) in ready.iter().enumerate() {
            let e = Event {
                kind: Kind::Ready,
                aux: i as u16,
                fd: EPFD,
                x: IN,
                arg: *fd as u64,
                ..Event::default()
            };
            out.put(e, b"");
        }
        for (i, (_, fd)) in ready.iter().enumerate() {
            out.pass(400);
            let handler = if *fd == FLOOD { 3 } else { 2 };
            let e = Event {
                kind: Kind::RunBegin,
                aux: i as u16,
                fd: EPFD,
                x: handler,
                arg: *fd as u64,
                site: 2,
                ..Event::default()
            };
            out.put(e, b"");
            let at = out.clients.iter().position(|c| c.fd == *fd).unwrap();
            if script.leaves_bytes_at.is_some_and(|t| out.t > t) && *fd == 7 && !left_behind {
                left_behind = true;
                out.io(7, 16, 16, 2_000);
                out.clients[at].unread = 4_000;
                out.clients[at].next = u64::MAX;
                out.put(
                    Event {
                        kind: Kind::Unread,
                        fd: 7,
                        arg: 4_000,
                        ..Event::default()
                    },
                    b"",
                );
                continue;
            }
            // Reads until EAGAIN, while the others keep sending.
            while out.clients[at].unread > 0 {
                let n = out.clients[at].unread.min(CHUNK);
                out.clients[at].unread -= n;
                out.io(
                    *fd,
                    CHUNK,
                    n as i32,
                    if *fd == FLOOD { 1_600 } else { 4_000 },
                );
            }
            out.clients[at].since = None;
            out.io(*fd, CHUNK, -11, 500);
        }
        if !ready.is_empty() {
            out.t += 300;
            out.put(
                Event {
                    kind: Kind::RunEnd,
                    fd: EPFD,
                    ..Event::default()
                },
                b"",
            );
        }
    }
    out.writer.attach("greedy.rs", SOURCE.as_bytes()).unwrap();
    out.writer.seal();
    out.writer
}

const SOURCE: &str = "// The loop of greedy-fd, as a demo would carry it.
loop {
    // Sleeps until the kernel has something.
    poll.poll(&mut events, None)?;
    for event in &events {
        let client = &mut clients[event.token().0];
        // Reads until EAGAIN: whoever keeps sending keeps the loop.
        while let Ok(n) = client.read(&mut buffer) {
            work(n);
        }
    }
}
";
