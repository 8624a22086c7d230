//! blocking-echo: the first server of every textbook. It accepts a client, reads a line, writes it back, and goes on with
//! this client until it hangs up. Each of its calls sleeps until there is something. ann thinks for a while before each
//! line; bob and cid have connected meanwhile and sent theirs, and nobody looks at them.
//!
//! The repair of the textbook: a thread for every connection, which sleeps in the calls of its own client only.

use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, blocking};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use super::claim::{ms, waits};
use super::{Claim, Knobs, Random, Seen};

/// The clients, in the order in which they connect.
const NAMES: [&str; 3] = ["ann", "bob", "cid"];
/// Lines each client sends before it hangs up.
const LINES: usize = 4;
/// How long ann thinks before each line.
const THINKS: Duration = Duration::from_millis(80);
/// How long a round takes, about: ann's thinking, then the others.
const ROUND: Duration = Duration::from_millis(450);

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let rounds = (knobs.time.as_micros() / ROUND.as_micros()) as usize;
    println!("three clients, {rounds} times, server on {address}");

    // The clients take turns to connect, so that the n-th connection accepted is the n-th name.
    let turns: [Barrier; 3] = std::array::from_fn(|_| Barrier::new(NAMES.len()));
    thread::scope(|scope| {
        for (id, name) in NAMES.into_iter().enumerate() {
            let random = Random::new(knobs.seed, id as u64);
            let (turns, client) = (&turns, thread::Builder::new().name(name.to_owned()));
            client.spawn_scoped(scope, move || talk(id, address, rounds, turns, random))?;
        }
        serve(listener, NAMES.len() * rounds, knobs.fixed)
    })
}

/// The server.
fn serve(listener: TcpListener, connections: usize, fixed: bool) -> io::Result<()> {
    let listener = Traced::new(listener);
    loopscope::name_fd(&listener, "listen");
    thread::scope(move |scope| {
        for n in 0..connections {
            let (client, _) = blocking::accept(&listener)?;
            let name = NAMES[n % NAMES.len()];
            loopscope::name_fd(&client, name);
            if fixed {
                // A thread of its own. It costs a stack, and a switch for every line; thread-per-conn is about that.
                let server = thread::Builder::new().name(format!("serves {name}"));
                server.spawn_scoped(scope, move || echo(client))?;
            } else {
                // Comes back when this client has hung up. Until then nobody accepts, nobody reads.
                echo(client)?;
            }
        }
        drop(listener); // nobody else comes
        Ok(())
    })
}

/// Serves one client until it hangs up.
fn echo(mut client: Traced<TcpStream>) -> io::Result<()> {
    let mut line = [0; 64];
    loop {
        // The trap: this sleeps until *this* client says something, and the thread can do nothing else meanwhile.
        let n = blocking::read(&client, &mut line)?;
        if n == 0 {
            return Ok(());
        }
        client.write_all(&line[..n])?;
    }
}

/// A client: connects when it is its turn, sends its lines, each after the echo of the one before, and hangs up.
fn talk(
    id: usize,
    address: SocketAddr,
    rounds: usize,
    turns: &[Barrier; 3],
    mut random: Random,
) -> io::Result<()> {
    for _ in 0..rounds {
        let mut stream = None;
        for (turn, barrier) in turns.iter().enumerate() {
            if turn == id {
                stream = Some(TcpStream::connect(address)?);
            }
            barrier.wait();
        }
        let Some(mut stream) = stream else { continue };
        let supplier = Supplier::new(&stream)?;
        for _ in 0..LINES {
            thread::sleep(match id {
                0 => THINKS,
                _ => Duration::from_micros(2_000 + random.below(4_000)),
            });
            supplier.supplied(|| stream.write(b"hello\n"))?;
            stream.read_exact(&mut [0; 6])?;
        }
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let mut claims = Vec::new();
    for name in &NAMES[1..] {
        // One line in four is the first of its connection: the one that finds ann there.
        let (before, after) = waits(broken, fixed, name, 0.9);
        claims.push(Claim::new(
            format!("{name}'s first line waits for 100 ms or more, until ann has gone"),
            ms(before),
            before >= 100_000_000,
        ));
        claims.push(Claim::new(
            format!("that is at least 4 times what half of his lines wait with a thread for each ({name})"),
            format!("{} against {}", ms(before), ms(after)),
            before / 4 >= after,
        ));
    }
    let (before, after) = (broken.threads, fixed.threads);
    claims.push(Claim::new(
        "one thread serves everybody, or one each and one that accepts",
        format!("{before} and {after}"),
        before == 1 && after > NAMES.len(),
    ));
    claims
}
