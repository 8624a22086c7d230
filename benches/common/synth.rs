//! A made-up but realistic stream of events, for benches and for recordings too large to keep.
//!
//! One loop serves up to `fds` connections: batches of a few, handlers that read, write and sometimes meet EAGAIN, and
//! connections that come and go. Time steps have a long tail like a real server's. The stream depends on the seed alone.

use loopscope::record::event::{Ctl, Event, FdKind, Kind, Op, Space, Wait};

/// xorshift64*, so that the stream is the same on every machine and with every crate version.
pub struct Random(u64);

impl Random {
    /// A generator with this seed.
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }
    /// Nanoseconds around `typical`, now and then up to 20 times as long.
    pub fn span(&mut self, typical: u64) -> u64 {
        let base = typical / 2 + self.below(typical);
        if self.below(64) == 0 {
            base * (2 + self.below(20))
        } else {
            base
        }
    }
}

const EPFD: i32 = 4;
const LISTENER: i32 = 5;
const FIRST: i32 = 6;
const IN: i32 = 0x1;

/// The stream; [`Synth::turn`] emits one turn of the loop at a time.
pub struct Synth {
    random: Random,
    t: u64,
    open: Vec<bool>,
    emitted: u64,
}

impl Synth {
    /// A stream over at most `fds` connections.
    pub fn new(seed: u64, fds: usize) -> Self {
        Synth {
            random: Random::new(seed),
            t: 0,
            open: vec![false; fds.max(1)],
            emitted: 0,
        }
    }

    /// Events emitted so far.
    pub fn emitted(&self) -> u64 {
        self.emitted
    }

    /// The instant of the last event, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.t
    }

    fn put(&mut self, emit: &mut impl FnMut(&Event, &[u8]), event: Event, text: &[u8]) {
        self.emitted += 1;
        emit(&Event { t: self.t, ..event }, text);
    }

    /// The events that come before the first turn: process, thread, names, listener.
    pub fn start(&mut self, emit: &mut impl FnMut(&Event, &[u8])) {
        let event = |kind| Event {
            kind,
            fd: -1,
            ..Event::default()
        };
        self.put(
            emit,
            Event {
                x: 4242,
                y: 1,
                ..event(Kind::ProcessStart)
            },
            b"synthetic-server",
        );
        self.put(
            emit,
            Event {
                x: 4242,
                ..event(Kind::ThreadStart)
            },
            b"loop",
        );
        for (id, name) in [(1, "accept"), (2, "serve")] {
            let name_event = Event {
                x: id,
                aux: Space::Handler.code(),
                ..event(Kind::Name)
            };
            self.put(emit, name_event, name.as_bytes());
        }
        self.put(
            emit,
            Event {
                fd: EPFD,
                x: -1,
                aux: FdKind::Epoll.code(),
                arg: 6,
                ..event(Kind::FdOpen)
            },
            b"",
        );
        let listener = Event {
            fd: LISTENER,
            x: -1,
            aux: FdKind::TcpListener.code(),
            arg: 7,
            ..event(Kind::FdOpen)
        };
        self.put(emit, listener, b"");
        self.ctl(emit, Ctl::Add, LISTENER);
    }

    fn ctl(&mut self, emit: &mut impl FnMut(&Event, &[u8]), op: Ctl, fd: i32) {
        let data = if op == Ctl::Del { 0 } else { fd as u64 };
        let event = Event {
            fd,
            aux: op.code(),
            y: EPFD as u64,
            ..Event::default()
        };
        self.t += self.random.span(120);
        self.put(
            emit,
            Event {
                kind: Kind::CtlBegin,
                x: IN,
                arg: data,
                site: 1,
                ..event
            },
            b"",
        );
        self.t += self.random.span(400);
        self.put(
            emit,
            Event {
                kind: Kind::CtlEnd,
                ..event
            },
            b"",
        );
    }

    fn io(
        &mut self,
        emit: &mut impl FnMut(&Event, &[u8]),
        op: Op,
        fd: i32,
        asked: u64,
        result: i32,
    ) {
        let y = self.random.span(if result < 0 { 250 } else { 900 });
        self.t += y + self.random.span(60);
        let site = 2 + op.code();
        let event = Event {
            kind: Kind::Io,
            aux: op.code(),
            fd,
            x: result,
            arg: asked,
            y,
            site,
            ..Event::default()
        };
        self.put(emit, event, b"");
    }

    fn accept(&mut self, emit: &mut impl FnMut(&Event, &[u8]), slot: usize) {
        let fd = FIRST + slot as i32;
        self.io(emit, Op::Accept, LISTENER, 0, fd);
        let opened = Event {
            kind: Kind::FdOpen,
            fd,
            x: LISTENER,
            aux: FdKind::Tcp.code(),
            arg: 7,
            ..Event::default()
        };
        self.put(emit, opened, b"");
        let peer = format!(
            "tcp 127.0.0.1:7001>127.0.0.1:{}",
            20_000 + self.random.below(40_000)
        );
        let address = Event {
            kind: Kind::FdAddr,
            fd,
            aux: FdKind::Tcp.code(),
            ..Event::default()
        };
        self.put(emit, address, peer.as_bytes());
        self.ctl(emit, Ctl::Add, fd);
        self.open[slot] = true;
    }

    fn serve(&mut self, emit: &mut impl FnMut(&Event, &[u8]), fd: i32) {
        let bytes = [16, 16, 16, 64, 512, 4096][self.random.below(6) as usize];
        self.io(emit, Op::Read, fd, 4096, bytes);
        self.t += self.random.span(700);
        self.io(emit, Op::Write, fd, bytes as u64, bytes);
        if self.random.below(3) == 0 {
            self.io(emit, Op::Read, fd, 4096, -11);
        }
        if self.random.below(2_000) == 0 {
            self.ctl(emit, Ctl::Del, fd);
            let event = Event {
                fd,
                ..Event::default()
            };
            self.put(
                emit,
                Event {
                    kind: Kind::FdCloseBegin,
                    ..event
                },
                b"",
            );
            self.t += self.random.span(1_500);
            self.put(
                emit,
                Event {
                    kind: Kind::FdCloseEnd,
                    ..event
                },
                b"",
            );
            self.open[(fd - FIRST) as usize] = false;
        }
    }

    /// One turn: wait, ready batch, its handler runs.
    pub fn turn(&mut self, emit: &mut impl FnMut(&Event, &[u8])) {
        let wait = Event {
            aux: Wait::Epoll.code(),
            fd: EPFD,
            ..Event::default()
        };
        self.t += self.random.span(300);
        self.put(
            emit,
            Event {
                kind: Kind::WaitEnter,
                x: 256,
                arg: u64::MAX,
                site: 1,
                ..wait
            },
            b"",
        );
        let busy = self.random.below(3) > 0;
        self.t += self.random.span(if busy { 700 } else { 40_000 });
        let slots = self.open.len() as u64;
        // A draw that hits a free place is a client that connects.
        let slot = self.random.below(slots) as usize;
        let free = (!self.open[slot]).then_some(slot);
        let mut ready: Vec<i32> = free.map(|_| LISTENER).into_iter().collect();
        for _ in 0..1 + self.random.below(16) {
            // Two draws, the smaller: low numbers are busier than high ones, as in life.
            let slot = self.random.below(slots).min(self.random.below(slots)) as usize;
            let fd = FIRST + slot as i32;
            if self.open[slot] && !ready.contains(&fd) {
                ready.push(fd);
            }
        }
        self.put(
            emit,
            Event {
                kind: Kind::WaitExit,
                x: ready.len() as i32,
                ..wait
            },
            b"",
        );
        for (index, &fd) in ready.iter().enumerate() {
            let event = Event {
                aux: index as u16,
                fd: EPFD,
                x: IN,
                arg: fd as u64,
                ..Event::default()
            };
            self.put(
                emit,
                Event {
                    kind: Kind::Ready,
                    ..event
                },
                b"",
            );
        }
        for (index, &fd) in ready.iter().enumerate() {
            let handler = if fd == LISTENER { 1 } else { 2 };
            let event = Event {
                aux: index as u16,
                fd: EPFD,
                x: handler,
                arg: fd as u64,
                site: 2,
                ..Event::default()
            };
            self.t += self.random.span(80);
            self.put(
                emit,
                Event {
                    kind: Kind::RunBegin,
                    ..event
                },
                b"",
            );
            match (fd == LISTENER, free) {
                (true, Some(slot)) => self.accept(emit, slot),
                _ => self.serve(emit, fd),
            }
        }
        if !ready.is_empty() {
            self.t += self.random.span(60);
            self.put(
                emit,
                Event {
                    kind: Kind::RunEnd,
                    fd: EPFD,
                    ..Event::default()
                },
                b"",
            );
        }
    }
}
