//! backpressure: a relay reads from a quick source and writes to a slow sink. What the sink does not take at once is kept in a
//! buffer until there is room. The source is four times as fast as the sink, and the relay always reads what there is: it
//! is an event, and events are served. Nothing is ever lost, nobody waits, and the buffer grows by megabytes a second until
//! the machine ends it. The sink's data is older and older when it arrives.
//!
//! The repair: no reading while there is enough to write. The relay takes IN off the source's registration when the buffer is
//! full, and asks for it again when it is nearly empty. Then the source's own writes block: it learns of the slow sink.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, mark};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use super::kit::{start, unless_eagain};
use super::{Claim, Knobs, Random, Seen};

const SOURCE: u64 = 0;
const SINK: u64 = 1;
/// What is written and read at a time.
const PIECE: usize = 8 * 1024;
/// The source writes a piece this often, the sink reads one this often.
const QUICK: Duration = Duration::from_millis(2);
const SLOW: Duration = Duration::from_millis(8);
/// The repaired relay stops reading at so many bytes, and goes on at so many.
const FULL: usize = 64 * 1024;
const LOW: usize = 16 * 1024;
const MEGABYTE: usize = 1024 * 1024;
/// It says how large its buffer is this often.
const SAYS: Duration = Duration::from_millis(100);

/// Runs source, relay and sink.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    println!("a source of 4 MB/s, a relay, a sink of 1 MB/s");
    let (source, from) = UnixStream::pair()?;
    let (to, sink) = UnixStream::pair()?;
    for end in [&from, &to] {
        end.set_nonblocking(true)?;
    }
    let end = Instant::now() + knobs.time;
    let (random, fixed) = (Random::new(knobs.seed, 0), knobs.fixed);
    thread::scope(|scope| {
        start(scope, "source", move || pour(source, end, random))?;
        start(scope, "sink", move || drink(sink))?;
        relay(Traced::new(from), Traced::new(to), fixed)
    })
}

/// The event loop, until the source has ended; what the sink has not taken by then is thrown away.
fn relay(mut from: Traced<UnixStream>, mut to: Traced<UnixStream>, fixed: bool) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "relay");
    loopscope::name_fd(&from, "source");
    loopscope::name_fd(&to, "sink");
    epoll.add(&from, Interest::IN, SOURCE)?;
    epoll.add(&to, Interest::NONE, SINK)?;
    let mut buffer: VecDeque<u8> = VecDeque::new();
    // What is asked for at the moment: reading, and room to write.
    let (mut reads, mut writes) = (true, false);
    let (mut says, mut behind) = (Instant::now(), false);
    let mut events = Events::with_capacity(16);
    loop {
        epoll.wait(&mut events, None)?;
        for event in &events {
            if event.data() == SOURCE {
                let mut piece = [0; PIECE];
                match unless_eagain(from.read(&mut piece))? {
                    Some(0) => return Ok(()),
                    Some(n) => buffer.extend(&piece[..n]),
                    None => {}
                }
            }
            // As much as the sink takes.
            if !buffer.is_empty()
                && let Some(n) = unless_eagain(to.write(buffer.as_slices().0))?
            {
                buffer.drain(..n);
            }
        }
        if writes == buffer.is_empty() {
            writes = !writes;
            let room = if writes {
                Interest::OUT
            } else {
                Interest::NONE
            };
            epoll.modify(&to, room, SINK)?;
        }
        // The trap: the broken relay asks for more whatever it has. The events are served, but by whom, and from what?
        let wants = if reads {
            buffer.len() < FULL
        } else {
            buffer.len() <= LOW
        };
        if fixed && reads != wants {
            reads = wants;
            let more = if reads { Interest::IN } else { Interest::NONE };
            epoll.modify(&from, more, SOURCE)?;
        }
        if says.elapsed() >= SAYS {
            says = Instant::now();
            mark!("buffer", kib = buffer.len() as u64 / 1024);
        }
        if !behind && buffer.len() > MEGABYTE {
            behind = true;
            mark!("a megabyte behind");
        }
    }
}

/// The source: a piece, a pause, as long as there is somebody to take it.
fn pour(mut stream: UnixStream, end: Instant, mut random: Random) -> io::Result<()> {
    let mut next = Instant::now();
    while next < end {
        stream.write_all(&[b'.'; PIECE])?; // sleeps while the relay does not read
        next = (next + QUICK).max(Instant::now() - 10 * QUICK);
        let early = Duration::from_micros(random.below(200));
        thread::sleep(next.saturating_duration_since(Instant::now() + early));
    }
    Ok(())
}

/// The sink: a piece, a pause, until the relay has gone.
fn drink(mut stream: UnixStream) -> io::Result<()> {
    let mut piece = [0; PIECE];
    while stream.read(&mut piece)? > 0 {
        thread::sleep(SLOW);
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let largest = |seen: &Seen| {
        let told = seen.marks.iter().filter(|mark| mark.name == "buffer");
        told.map(|mark| mark.number("kib")).max().unwrap_or(0)
    };
    let (before, after) = (largest(broken), largest(fixed));
    let [taken, taken_fixed] = [broken, fixed].map(|seen| seen.fd("source").bytes_in / 1024);
    let [given, given_fixed] = [broken, fixed].map(|seen| seen.fd("sink").bytes_out / 1024);
    vec![
        Claim::new(
            "the relay's buffer grows to a megabyte or more",
            format!("{before} KiB"),
            before >= 1024,
        ),
        Claim::new(
            "the repaired relay never keeps more than 100 KiB",
            format!("{after} KiB"),
            after <= 100,
        ),
        Claim::new(
            "it slows the source down: half as much is taken in, or less",
            format!("{taken_fixed} KiB against {taken} KiB"),
            taken_fixed > 0 && 2 * taken_fixed <= taken,
        ),
        Claim::new(
            "and the sink gets as much as before, by a third more or less",
            format!("{given_fixed} KiB and {given} KiB"),
            given > 0 && 3 * given_fixed >= 2 * given && 3 * given >= 2 * given_fixed,
        ),
    ]
}
