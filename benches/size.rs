//! Bytes per event of a recording at rest, for several kinds of traffic and page sizes: `cargo bench --bench size`.
//!
//! The aim is at most 3.5 bytes per event with pages of 4 Ki events and more (docs/PERFORMANCE.md).

#[path = "common/synth.rs"]
#[allow(dead_code)]
mod synth;

use loopscope::record::event::{Event, FdKind, Kind, Op, Wait};
use loopscope::trace::{Meta, Options, Writer};
use synth::{Random, Synth};

type Stream = Vec<(Event, Vec<u8>)>;

/// The mixed stream of `common/synth.rs`.
fn mixed(events: usize) -> Stream {
    let mut synth = Synth::new(1, 1000);
    let mut out = Vec::new();
    let mut emit = |e: &Event, text: &[u8]| out.push((*e, text.to_vec()));
    synth.start(&mut emit);
    while synth.emitted() < events as u64 {
        synth.turn(&mut emit);
    }
    out
}

/// One loop a thread: what an echo server (through the mio mirror) or a redis-like server leaves behind.
struct Server {
    random: Random,
    threads: u32,
    connections: u64,
    batch: u64,
    /// A token for each connection; what the program put into the data word.
    tokens: Vec<u64>,
    drains: bool,
}

impl Server {
    fn run(mut self, events: usize) -> Stream {
        let mut now = vec![0u64; self.threads as usize];
        let mut out: Stream = Vec::new();
        for thread in 0..self.threads {
            let e = Event {
                thread,
                fd: 3 + thread as i32,
                x: -1,
                aux: FdKind::Epoll.code(),
                kind: Kind::FdOpen,
                ..Event::default()
            };
            out.push((e, Vec::new()));
        }
        while out.len() < events {
            let thread = self.random.below(u64::from(self.threads)) as usize;
            let t = now[thread];
            now[thread] = self.turn(thread as u32, t, &mut out);
        }
        // The merge orders what several threads pushed.
        out.sort_by_key(|(e, _)| e.t);
        out
    }

    fn turn(&mut self, thread: u32, mut t: u64, out: &mut Stream) -> u64 {
        let epfd = 3 + thread as i32;
        let mut put = |t: u64, e: Event| out.push((Event { t, thread, ..e }, Vec::new()));
        let wait = Event {
            fd: epfd,
            aux: Wait::Epoll.code(),
            ..Event::default()
        };
        t += self.random.span(90);
        put(
            t,
            Event {
                kind: Kind::WaitEnter,
                x: 1024,
                arg: u64::MAX,
                site: 1,
                ..wait
            },
        );
        let busy = self.random.below(4) > 0;
        t += self.random.span(if busy { 600 } else { 30_000 });
        let mut ready: Vec<u64> = Vec::new();
        for _ in 0..=self.random.below(self.batch) {
            let c = self.random.below(self.connections);
            if !ready.contains(&c) {
                ready.push(c);
            }
        }
        put(
            t,
            Event {
                kind: Kind::WaitExit,
                x: ready.len() as i32,
                ..wait
            },
        );
        for (i, &c) in ready.iter().enumerate() {
            let arg = self.tokens[c as usize];
            put(
                t,
                Event {
                    kind: Kind::Ready,
                    fd: epfd,
                    x: 1,
                    aux: i as u16,
                    arg,
                    ..Event::default()
                },
            );
        }
        for (i, &c) in ready.iter().enumerate() {
            let (fd, arg) = (10 + c as i32, self.tokens[c as usize]);
            t += self.random.span(60);
            put(
                t,
                Event {
                    kind: Kind::RunBegin,
                    fd: epfd,
                    x: 1,
                    aux: i as u16,
                    arg,
                    site: 2,
                    ..Event::default()
                },
            );
            let io = |op: Op, site, asked, x, y| Event {
                kind: Kind::Io,
                fd,
                aux: op.code(),
                site,
                arg: asked,
                x,
                y,
                ..Event::default()
            };
            let y = self.random.span(900);
            t += y + self.random.span(50);
            put(t, io(Op::Read, 3, 16_384, 64, y));
            let y = self.random.span(2_500);
            t += y + self.random.span(200);
            put(t, io(Op::Write, 4, 64, 64, y));
            if self.drains {
                let y = self.random.span(250);
                t += y + self.random.span(50);
                put(t, io(Op::Read, 3, 16_384, -11, y));
            }
        }
        t += self.random.span(50);
        put(
            t,
            Event {
                kind: Kind::RunEnd,
                fd: epfd,
                ..Event::default()
            },
        );
        t
    }
}

fn server(threads: u32, connections: u64, batch: u64, pointers: bool, drains: bool) -> Server {
    let mut random = Random::new(5);
    // Tokens in the order of arrival, or addresses of heap objects as C programs use them.
    let token = |c: u64| {
        if pointers {
            0x5555_5000_0000 + random.below(1 << 20) * 64
        } else {
            c + 1
        }
    };
    let tokens = (0..connections).map(token).collect();
    Server {
        random: Random::new(5),
        threads,
        connections,
        batch,
        tokens,
        drains,
    }
}

fn bytes(stream: &Stream, page: usize) -> f64 {
    let mut writer = Writer::unnamed(std::env::temp_dir(), &Meta::default(), Options::default())
        .expect("a temporary file");
    let before = writer.bytes();
    for (i, (event, text)) in stream.iter().enumerate() {
        writer.write(event, text);
        if (i + 1) % page == 0 {
            writer.seal();
        }
    }
    writer.seal();
    (writer.bytes() - before) as f64 / stream.len() as f64
}

fn main() {
    const EVENTS: usize = 600_000;
    println!(
        "{:44} {:>8} {:>8} {:>8} {:>8}",
        "bytes per event, by events per page", "256", "4 Ki", "16 Ki", "64 Ki"
    );
    for (name, stream) in [
        ("mixed: 1,000 connections that come and go", mixed(EVENTS)),
        (
            "echo, 50 connections, tokens",
            server(1, 50, 8, false, true).run(EVENTS),
        ),
        (
            "echo, 1 connection",
            server(1, 1, 1, false, true).run(EVENTS),
        ),
        (
            "redis-like, 50 connections, pointers",
            server(1, 50, 16, true, false).run(EVENTS),
        ),
        (
            "redis-like, 10,000 connections, pointers",
            server(1, 10_000, 64, true, false).run(EVENTS),
        ),
        (
            "4 threads, 50 connections each",
            server(4, 50, 8, false, true).run(EVENTS),
        ),
    ] {
        let [a, b, c, d] = [256, 4 << 10, 16 << 10, 64 << 10].map(|page| bytes(&stream, page));
        println!("{name:44} {a:8.2} {b:8.2} {c:8.2} {d:8.2}");
    }
}
