//! accept-cap: ann, bob and cid are connected and ask something now and then. Four times a second a storm comes: twenty
//! newcomers connect at once, and each says hello. The server accepts whoever is at the door until there is nobody left, and setting
//! up a connection is work: a session, its buffers, a line in the log. While it does that for twenty, in one run of
//! one handler, it answers nobody: not those who have been connected for hours, and not the first newcomer either.
//!
//! The repair, or half of one: at most four accepts a turn. Who is still at the door keeps the listening socket ready, and comes in the
//! next turn. No time is saved by that, it goes to others: ann, bob and cid hardly wait, the first newcomers are greeted sooner,
//! and the last of them wait longer, by as much as the others are served meanwhile.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, mark};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::claim::{median, ms, waits};
use super::kit::{burn, connect, start, unless_eagain};
use super::{Claim, Dials, Knobs, Random, Seen};

/// Who is connected before, and their data words: 1, 2, 3. Newcomers count on from there.
const NAMES: [&str; 3] = ["ann", "bob", "cid"];
const LISTENER: u64 = 0;
/// Newcomers of a storm, and the calm before the next.
const STORM: u64 = 20;
const CALM: Duration = Duration::from_millis(220);
/// What setting up a connection takes, and answering a question. Elsewhere it is less, and the storm is larger.
const SETUP: Duration = Duration::from_micros(500);
const ANSWER: Duration = Duration::from_micros(500);
/// After an answer ann, bob and cid think for so long.
const THINK: Duration = Duration::from_millis(3);

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("three clients, and storms of {STORM}, server on {address}");
    let raging = &AtomicBool::new(false);
    let end = Instant::now() + knobs.time;
    thread::scope(|scope| {
        for (id, stream) in connect(address, NAMES.len())?.into_iter().enumerate() {
            let random = Random::new(knobs.seed, id as u64);
            start(scope, NAMES[id], move || ask(stream, raging, end, random))?;
        }
        start(scope, "storm", move || storms(address, knobs, raging, end))?;
        serve(Traced::new(listener), &knobs.dials)
    })
}

/// The event loop, until the three have gone.
fn serve(listener: Traced<TcpListener>, knobs: &Dials) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    loopscope::name_fd(&listener, "listen");
    let mut clients: HashMap<u64, Traced<TcpStream>> = HashMap::new();
    let mut next = LISTENER + 1;
    for name in NAMES {
        let (client, _) = listener.accept()?;
        loopscope::name_fd(&client, name);
        epoll.add(&client, Interest::IN, next)?;
        clients.insert(next, client);
        next += 1;
    }
    listener.set_nonblocking(true)?;
    epoll.add(&listener, Interest::IN, LISTENER)?;
    let mut events = Events::with_capacity(64);
    // How many of the three are there, and answers they have had.
    let (mut here, mut answered) = (NAMES.len(), 0_u64);
    while here > 0 {
        epoll.wait(&mut events, None)?;
        for event in &events {
            if event.data() == LISTENER {
                let (cap, first) = (knobs.number("accepts"), next);
                // The trap: without a cap this goes on for as long as somebody is at the door.
                while next - first < cap as u64 {
                    let Some((client, _)) = unless_eagain(listener.accept())? else {
                        break;
                    };
                    burn(SETUP);
                    loopscope::name_fd(&client, "new");
                    epoll.add(&client, Interest::IN, next)?;
                    clients.insert(next, client);
                    next += 1;
                }
                mark!("accepted", n = next - first, answered = answered);
            } else if let Some(client) = clients.get_mut(&event.data()) {
                let known = event.data() <= NAMES.len() as u64;
                if client.read(&mut [0; 1])? == 0 {
                    clients.remove(&event.data()); // closes it
                    here -= usize::from(known);
                    continue;
                }
                if known {
                    burn(ANSWER);
                    answered += 1;
                }
                client.write_all(b".")?;
            }
        }
    }
    Ok(())
}

/// The storms: everybody connects and says hello, then everybody is greeted.
fn storms(to: SocketAddr, knobs: &Knobs, raging: &AtomicBool, end: Instant) -> io::Result<()> {
    while Instant::now() + CALM < end {
        thread::sleep(CALM);
        raging.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        let mut newcomers = Vec::new();
        for _ in 0..STORM {
            let mut stream = TcpStream::connect(to)?;
            Supplier::new(&stream)?.supplied(|| stream.write(b"h"))?;
            newcomers.push(stream);
            if knobs.dials.word("storm") == "spread" {
                thread::sleep(SETUP * 2);
            }
        }
        // They are accepted in the order in which they came, so the last is greeted last.
        for stream in &mut newcomers {
            stream.read_exact(&mut [0])?;
        }
        mark!("storm", last_us = begun.elapsed().as_micros() as u64);
        raging.store(false, Ordering::Relaxed);
    }
    Ok(())
}

/// ann, bob and cid: a question after the other while a storm lasts.
fn ask(mut to: TcpStream, raging: &AtomicBool, end: Instant, mut random: Random) -> io::Result<()> {
    let supplier = Supplier::new(&to)?;
    while Instant::now() < end {
        thread::sleep(THINK + Duration::from_micros(random.below(1_000)));
        if raging.load(Ordering::Relaxed) {
            supplier.supplied(|| to.write(b"?"))?;
            to.read_exact(&mut [0])?;
        }
    }
    Ok(())
}

/// What a recording must show: who gains by a cap, and who pays.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let accepts = |seen: &Seen| {
        let (mut most, mut total, mut begun, mut behind) = (0, 0, None, Vec::new());
        for mark in seen.marks.iter().filter(|m| m.name == "accepted") {
            let (n, answered) = (mark.number("n"), mark.number("answered"));
            let begun_with = *begun.get_or_insert(answered);
            (most, total) = (n.max(most), total + n);
            if total % STORM == 0 {
                behind.push(answered - begun_with); // the last of a storm is in
                begun = None;
            }
        }
        (most, median(behind))
    };
    let ((all, none), (four, some)) = (accepts(broken), accepts(fixed));
    let mut claims = vec![Claim::new(
        "without a cap one run accepts more than half of a storm, with it at most 4",
        format!("{all} and {four} of {STORM}"),
        all > STORM / 2 && (1..=4).contains(&four),
    )];
    for name in NAMES {
        let (slow, quick) = waits(broken, fixed, name, 0.5);
        claims.push(Claim::new(
            format!("gains: half of {name}'s waits are 1.5 times as long without a cap, or more"),
            format!("{} against {}", ms(slow), ms(quick)),
            2 * slow >= 3 * quick,
        ));
    }
    // When the last is greeted is told, not judged: on a busy machine that is the scheduler's.
    let last = |seen: &Seen| {
        let us = seen.marks.iter().filter(|m| m.name == "storm");
        ms(median(us.map(|m| 1_000 * m.number("last_us")).collect()))
    };
    claims.push(Claim::new(
        "pays: the last of a storm stands at the door while others are answered",
        format!(
            "{some} times, greeted after {}; without {none}, after {}",
            last(fixed),
            last(broken)
        ),
        some >= 2 && some > 2 * none,
    ));
    claims
}
