//! thread-per-conn: the repair of blocking-echo, looked at again. A thread for every connection is right, and easy to read: each sleeps
//! in the read of its own client and holds up nobody. What does it cost? A crowd of clients asks at the same moment: two
//! dozen threads are woken, each for one line, and each goes back to sleep. A stack each, and a switch for every line.
//!
//! `--fixed` serves the same crowd with one thread and an epoll. It is woken once and finds most of them in its batch. It is no
//! quicker for any single client, and nothing here is a bug: the one grows with the clients, the other with the work.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, blocking, mark};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::claim::Mark;
use super::kit::{burn, connect, start, switches};
use super::{Claim, Knobs, Random, Seen};

/// Clients in the crowd.
const CROWD: usize = 24;
/// They ask this often, all at once.
const TICK: Duration = Duration::from_millis(60);
/// What an answer takes.
const WORK: Duration = Duration::from_micros(150);
/// How the serving threads' names begin.
const SERVES: &str = "serves";

/// Runs server and crowd.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("a crowd of {CROWD}, server on {address}");
    let crowd = connect(address, CROWD)?;
    let mut clients = Vec::new();
    for number in 0..CROWD {
        let client = Traced::new(listener.accept()?.0);
        loopscope::name_fd(&client, &format!("c{number}"));
        clients.push(client);
    }
    let (time, random) = (knobs.time, Random::new(knobs.seed, 0));
    thread::scope(|scope| {
        if knobs.fixed {
            start(scope, &format!("{SERVES} all"), move || serve_all(clients))?;
        } else {
            for (number, client) in clients.into_iter().enumerate() {
                start(scope, &format!("{SERVES} c{number}"), move || serve(client))?;
            }
        }
        start(scope, "crowd", move || ask(crowd, time, random))
    })
}

/// A thread of one client: asleep in its read, or at work for it.
fn serve(mut client: Traced<TcpStream>) -> io::Result<()> {
    let mut line = [0; 1];
    while blocking::read(&client, &mut line)? > 0 {
        burn(WORK);
        client.write_all(&line)?;
    }
    Ok(())
}

/// One thread for all of them, until they have hung up.
fn serve_all(mut clients: Vec<Traced<TcpStream>>) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    for (id, client) in clients.iter().enumerate() {
        epoll.add(client, Interest::IN, id as u64)?;
    }
    let mut events = Events::with_capacity(CROWD);
    let mut gone = 0;
    while gone < CROWD {
        epoll.wait(&mut events, None)?;
        for event in &events {
            let client = &mut clients[event.data() as usize];
            let mut line = [0; 1];
            // What was reported ready is read, and once: this does not sleep.
            if client.read(&mut line)? == 0 {
                epoll.delete(&*client)?;
                gone += 1;
                continue;
            }
            burn(WORK);
            client.write_all(&line)?;
        }
    }
    Ok(())
}

/// The crowd, driven by one thread: a line of everybody's, everybody's answer, a pause; at last, what it has cost.
fn ask(mut crowd: Vec<TcpStream>, time: Duration, mut random: Random) -> io::Result<()> {
    let suppliers: Vec<Supplier> = crowd.iter().map(Supplier::new).collect::<Result<_, _>>()?;
    let end = Instant::now() + time;
    let (_, before) = switches(SERVES)?;
    let mut lines = 0;
    while Instant::now() < end {
        for (stream, supplier) in crowd.iter_mut().zip(&suppliers) {
            supplier.supplied(|| stream.write(b"l"))?;
        }
        for stream in &mut crowd {
            stream.read_exact(&mut [0])?;
            lines += 1;
        }
        thread::sleep(TICK + Duration::from_micros(random.below(5_000)));
    }
    let (threads, after) = switches(SERVES)?;
    let switches = after.saturating_sub(before);
    println!("{threads} threads, {lines} lines, asleep {switches} times");
    mark!(
        "cost",
        threads = threads,
        lines = lines as u64,
        switches = switches
    );
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let cost = |seen: &Seen| seen.marks.iter().find(|mark| mark.name == "cost").cloned();
    let (each, one) = (
        cost(broken).unwrap_or_default(),
        cost(fixed).unwrap_or_default(),
    );
    let figures = |mark: &Mark| {
        format!(
            "{} for {} lines",
            mark.number("switches"),
            mark.number("lines")
        )
    };
    vec![
        Claim::new(
            "a thread for each client, or one for all",
            format!("{} and {}", each.number("threads"), one.number("threads")),
            each.number("threads") == CROWD as u64 && one.number("threads") == 1,
        ),
        Claim::new(
            "a thread for each: for every line, somebody goes to sleep and is woken again",
            figures(&each),
            each.number("lines") > 0 && 10 * each.number("switches") >= 9 * each.number("lines"),
        ),
        Claim::new(
            "one for all: less than half as often",
            figures(&one),
            one.number("lines") > 0 && 2 * one.number("switches") < one.number("lines"),
        ),
    ]
}
