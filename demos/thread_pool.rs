//! thread-pool: a thread for each client is too many threads, so this server has four, for ever. Each accepts a client, serves it
//! until it hangs up, and accepts the next one. Four is plenty: an answer takes microseconds. Then four clients come who type
//! slowly, a letter now and then. Each holds a worker, asleep in a read between two letters. ann connects, asks and waits:
//! all four threads are taken, the machine is idle, and her question is answered when one of the slow ones has gone.
//!
//! The repair: one thread and an epoll. A slow client holds what has come of its line, some bytes, and no thread.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, blocking, mark};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::claim::ms;
use super::kit::{connect, start, unless_eagain};
use super::{Claim, Knobs, Random, Seen};

/// Threads in the pool.
const WORKERS: usize = 4;
/// A round's clients, in the order in which they connect.
const NAMES: [&str; 5] = ["slow 1", "slow 2", "slow 3", "slow 4", "ann"];
/// The slow ones type a letter this often, and so many before the first of them has done; after that, one at every letter.
const LETTER: Duration = Duration::from_millis(14);
const LETTERS: usize = 9;
/// What a round takes, about.
const ROUND: Duration = Duration::from_millis(220);
/// The data word of the listening socket; clients have those below.
const DOOR: u64 = u64::MAX;

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    // Shut down, it wakes everybody who sleeps in an accept of it: that is how this server is told to end.
    let door = TcpStream::from(OwnedFd::from(listener.try_clone()?));
    let rounds = (knobs.time.as_micros() / ROUND.as_micros()) as usize;
    println!("four slow clients and ann, {rounds} times, server on {address}");
    let random = Random::new(knobs.seed, 0);
    let listener = Traced::new(listener);
    loopscope::name_fd(&listener, "listen");
    let accepted = AtomicUsize::new(0);
    thread::scope(|scope| {
        start(scope, "clients", move || {
            let visited = visit(address, rounds, random);
            door.shutdown(Shutdown::Both).and(visited)
        })?;
        if knobs.fixed {
            return serve_all(&listener, &accepted);
        }
        for number in 1..=WORKERS {
            let (listener, accepted) = (&listener, &accepted);
            start(scope, &format!("worker {number}"), move || {
                work(listener, accepted)
            })?;
        }
        Ok(())
    })
}

/// A worker: one client after the other, each until it hangs up.
fn work(listener: &Traced<TcpListener>, accepted: &AtomicUsize) -> io::Result<()> {
    loop {
        let mut client = match blocking::accept(listener) {
            Ok((client, _)) => client,
            Err(e) if e.kind() == ErrorKind::InvalidInput => return Ok(()), // the door is shut
            Err(e) => return Err(e),
        };
        let number = accepted.fetch_add(1, Ordering::Relaxed);
        loopscope::name_fd(&client, NAMES[number % NAMES.len()]);
        let mut letters = [0; 64];
        loop {
            // The trap: a worker that sleeps here is idle, and taken. Four of these and the server is full.
            let n = blocking::read(&client, &mut letters)?;
            if n == 0 {
                break;
            }
            if letters[..n].ends_with(b"\n") {
                client.write_all(b"ok\n")?;
            }
        }
    }
}

/// The repaired server: one thread asks about everybody, and who is slow is simply not among the ready ones.
fn serve_all(listener: &Traced<TcpListener>, accepted: &AtomicUsize) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    epoll.add(listener, Interest::IN, DOOR)?;
    let mut clients: HashMap<u64, Traced<TcpStream>> = HashMap::new();
    let mut events = Events::with_capacity(16);
    loop {
        epoll.wait(&mut events, None)?;
        for event in &events {
            if event.data() == DOOR {
                let client = match unless_eagain(listener.accept()) {
                    Ok(Some((client, _))) => client,
                    Ok(None) => continue,
                    Err(e) if e.kind() == ErrorKind::InvalidInput => return Ok(()), // shut
                    Err(e) => return Err(e),
                };
                let number = accepted.fetch_add(1, Ordering::Relaxed);
                loopscope::name_fd(&client, NAMES[number % NAMES.len()]);
                epoll.add(&client, Interest::IN, number as u64)?;
                clients.insert(number as u64, client);
            } else if let Some(client) = clients.get_mut(&event.data()) {
                let mut letters = [0; 64];
                // It was reported ready: this read does not sleep.
                match client.read(&mut letters)? {
                    0 => drop(clients.remove(&event.data())),
                    n if letters[..n].ends_with(b"\n") => client.write_all(b"ok\n")?,
                    _ => {} // half a line: the thread goes on with somebody else
                }
            }
        }
    }
}

/// The clients, driven by one thread: four who type slowly, and ann, who comes when they are all there.
fn visit(address: SocketAddr, rounds: usize, mut random: Random) -> io::Result<()> {
    for _ in 0..rounds {
        let mut slow = connect(address, WORKERS)?;
        type_letter(&mut slow)?;
        thread::sleep(LETTER);
        let mut ann = TcpStream::connect(address)?;
        ann.set_read_timeout(Some(LETTER))?;
        Supplier::new(&ann)?.supplied(|| ann.write(b"?\n"))?;
        let asked = Instant::now();
        let last = LETTERS + random.below(3) as usize;
        let (mut letters, mut gone, mut answered) = (1, 0_u64, false);
        while !slow.is_empty() || !answered {
            if answered {
                thread::sleep(LETTER);
            } else if unless_eagain(ann.read_exact(&mut [0; 3]))?.is_some() {
                answered = true;
                let us = asked.elapsed().as_micros() as u64;
                mark!("answered", gone = gone, us = us);
            }
            type_letter(&mut slow)?;
            letters += 1;
            if letters >= last && !slow.is_empty() {
                let mut done = slow.remove(0);
                Supplier::new(&done)?.supplied(|| done.write(b"\n"))?;
                done.read_exact(&mut [0; 3])?;
                gone += 1;
            }
        }
    }
    Ok(())
}

/// A letter of everybody's line.
fn type_letter(slow: &mut [TcpStream]) -> io::Result<()> {
    for stream in slow {
        Supplier::new(stream)?.supplied(|| stream.write(b"x"))?;
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let answers = |seen: &Seen| {
        let told: Vec<_> = (seen.marks.iter())
            .filter(|mark| mark.name == "answered")
            .collect();
        let first = told.iter().filter(|mark| mark.number("gone") == 0).count();
        let us = told.iter().map(|mark| 1_000 * mark.number("us"));
        (told.len(), first, super::claim::median(us.collect()))
    };
    let ((rounds, early, slow), (again, at_once, quick)) = (answers(broken), answers(fixed));
    vec![
        Claim::new(
            "ann's answer never comes before a slow client has gone",
            format!("{} of {rounds} after one", rounds - early),
            rounds > 0 && early == 0,
        ),
        Claim::new(
            "with an epoll, it nearly always comes while all four are there",
            format!("{at_once} of {again}"),
            again > 0 && 4 * at_once >= 3 * again,
        ),
        Claim::new(
            "half of her answers take at least 4 times as long with the pool",
            format!("{} against {}", ms(slow), ms(quick)),
            quick > 0 && slow >= 4 * quick,
        ),
        Claim::new(
            "four threads serve, or one",
            format!("{} and {}", broken.threads, fixed.threads),
            broken.threads == WORKERS && fixed.threads == 1,
        ),
    ]
}
