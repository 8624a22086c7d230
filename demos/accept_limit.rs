//! accept-limit: a server may have so many descriptors and no more (ulimit -n). Guests come until they are used up. The next accept
//! fails with EMFILE, and what does the server do? It writes that to a log and waits again. But the guest is still at the
//! door: the listening socket stays ready, every wait returns at once, every accept fails again, and the loop goes round
//! and round until somebody leaves.
//!
//! The repair: a descriptor kept in reserve. When accept fails, the server closes it, accepts with its number, closes that guest, who
//! now knows, and opens the reserve again. Nobody waits at the door, and the socket is ready no more.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, mark};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::kit::{Descriptors, connect, start};
use super::{Claim, Knobs, Random, Seen};

/// The data words of the listening socket and of ann; the guests count on from there.
const LISTENER: u64 = 0;
const ANN: u64 = 1;
/// Guests who come, and those for whom there are descriptors.
const GUESTS: usize = 6;
const SEATS: usize = 3;
/// What a line in the log takes. A server that writes none goes round faster, and burns a CPU.
const LOG: Duration = Duration::from_micros(700);

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let ann = TcpStream::connect(address)?;
    // The kernel completes their connections by itself; they stand at the door until they are accepted.
    let guests = connect(address, GUESTS)?;
    let reserve = File::open("/dev/null")?;
    println!("ann and {GUESTS} guests, {SEATS} descriptors for them, server on {address}");
    let (time, random) = (knobs.time, Random::new(knobs.seed, 0));
    thread::scope(|scope| {
        start(scope, "ann", move || ask(ann, time, random))?;
        start(scope, "guests", move || stay(guests, time))?;
        serve(Traced::new(listener), reserve, knobs.fixed)
    })
}

/// The event loop, until ann hangs up.
fn serve(listener: Traced<TcpListener>, reserve: File, fixed: bool) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    loopscope::name_fd(&listener, "listen");
    let (mut ann, _) = listener.accept()?;
    loopscope::name_fd(&ann, "ann");
    epoll.add(&listener, Interest::IN, LISTENER)?;
    epoll.add(&ann, Interest::IN, ANN)?;
    // From here on, as with `ulimit -n`: so many more, and no more.
    let _limit = Descriptors::at_most(SEATS)?;
    let mut reserve = Some(reserve);
    let mut seats: Vec<Option<Traced<TcpStream>>> = Vec::new();
    let mut events = Events::with_capacity(16);
    loop {
        epoll.wait(&mut events, None)?;
        for event in &events {
            match event.data() {
                LISTENER => match listener.accept() {
                    Ok((guest, _)) => {
                        loopscope::name_fd(&guest, "guest");
                        epoll.add(&guest, Interest::IN, ANN + 1 + seats.len() as u64)?;
                        seats.push(Some(guest));
                    }
                    Err(_) if fixed => {
                        drop(reserve.take());
                        // In, and out again: the guest is told, and nobody stands at the door.
                        drop(listener.accept()?);
                        reserve = Some(File::open("/dev/null")?);
                        mark!("turned away");
                    }
                    // The trap: an error is no answer. Whoever is at the door is still there.
                    Err(_) => loopscope::call("write to the log", || thread::sleep(LOG)),
                },
                ANN => match ann.read(&mut [0; 1])? {
                    0 => return Ok(()),
                    _ => ann.write_all(b".")?,
                },
                guest => {
                    // Guests say nothing; this one has gone.
                    seats[(guest - ANN - 1) as usize] = None;
                }
            }
        }
    }
}

/// ann: a question now and then.
fn ask(mut stream: TcpStream, time: Duration, mut random: Random) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    let end = Instant::now() + time;
    while Instant::now() < end {
        supplier.supplied(|| stream.write(b"?"))?;
        stream.read_exact(&mut [0])?;
        thread::sleep(Duration::from_micros(12_000 + random.below(12_000)));
    }
    Ok(())
}

/// The guests: stay for a while, then leave one after the other.
fn stay(guests: Vec<TcpStream>, time: Duration) -> io::Result<()> {
    thread::sleep(time / 2);
    for guest in guests {
        drop(guest);
        thread::sleep(time / 20);
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let told = |seen: &Seen| seen.fd("listen").ready;
    let turned_away = fixed.marks.iter().filter(|m| m.name == "turned away");
    let turned_away = turned_away.count();
    let answers = |seen: &Seen| (seen.fd("ann").bytes_out, seen.fd("ann").supplied);
    let (before, after) = (answers(broken), answers(fixed));
    vec![
        Claim::new(
            format!("the listening socket is reported a hundred times or more for {GUESTS} guests"),
            format!("{} times", told(broken)),
            told(broken) >= 100,
        ),
        Claim::new(
            "repaired, once for each",
            format!("{} times", told(fixed)),
            told(fixed) == GUESTS as u64,
        ),
        Claim::new(
            "those for whom there is no descriptor are told so at once",
            format!("{turned_away} of {GUESTS}"),
            turned_away == GUESTS - SEATS,
        ),
        Claim::new(
            "ann is answered either way: nothing looks wrong but the log",
            format!("{} of {}, {} of {}", before.0, before.1, after.0, after.1),
            before.0 > 0 && before.0 == before.1 && after.0 > 0 && after.0 == after.1,
        ),
    ]
}
