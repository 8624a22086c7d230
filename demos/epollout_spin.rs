//! epollout-spin: a server wants to know when it can write, and registers every client for IN and OUT. A socket has room
//! nearly always, so nearly always there is something to report: each wait returns at once, says that there is room,
//! the handler has nothing to write, and the loop runs at 100 % of a CPU with idle clients.
//!
//! The repair: ask for OUT when a write has not taken everything, and no longer than until the rest is out.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::kit::burn;
use super::{Claim, Knobs, Random, Seen};

/// The clients, and the length of the answers they ask for: bob's is more than a socket takes at once.
const CLIENTS: [(&str, usize); 2] = [("ann", 16), ("bob", 6_000_000)];
/// What the loop does besides on every turn. A real one does less, and spins faster; this keeps the recording small.
const TURN: Duration = Duration::from_micros(600);

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("two clients, server on {address}");
    let end = Instant::now() + knobs.time;
    let mut accepted = Vec::new();
    thread::scope(|scope| {
        for (id, (name, length)) in CLIENTS.into_iter().enumerate() {
            let stream = TcpStream::connect(address)?;
            accepted.push(Traced::new(listener.accept()?.0));
            let random = Random::new(knobs.seed, id as u64);
            let client = thread::Builder::new().name(name.to_owned());
            client.spawn_scoped(scope, move || ask(stream, length, end, random))?;
        }
        serve(accepted, knobs.fixed)
    })
}

/// A connection, and how much of its answers is not out yet.
struct Client {
    stream: Traced<TcpStream>,
    answer: usize,
    bytes: Vec<u8>,
    unsent: usize,
    wants_out: bool,
}

/// The event loop, until both have hung up.
fn serve(accepted: Vec<Traced<TcpStream>>, fixed: bool) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    let mut clients = Vec::new();
    for (id, stream) in accepted.into_iter().enumerate() {
        stream.set_nonblocking(true)?;
        let (name, answer) = CLIENTS[id];
        loopscope::name_fd(&stream, name);
        loopscope::name_handler(&epoll, id, name);
        // The trap: OUT is a state like IN, and it is true nearly always.
        let interest = if fixed {
            Interest::IN
        } else {
            Interest::IN | Interest::OUT
        };
        epoll.add(&stream, interest, id as u64)?;
        clients.push(Some(Client {
            stream,
            answer,
            bytes: vec![b'.'; answer],
            unsent: 0,
            wants_out: !fixed,
        }));
    }
    let mut events = Events::with_capacity(64);
    while clients.iter().any(Option::is_some) {
        epoll.wait(&mut events, None)?;
        for event in &events {
            let id = event.data() as usize;
            let Some(client) = &mut clients[id] else {
                continue;
            };
            if event.mask().intersects(Interest::IN) && !client.read()? {
                clients[id] = None; // closes it
                continue;
            }
            client.write()?;
            // The repair: the interest follows the need.
            if fixed && client.wants_out != (client.unsent > 0) {
                client.wants_out = client.unsent > 0;
                let out = if client.wants_out {
                    Interest::OUT
                } else {
                    Interest::NONE
                };
                epoll.modify(&client.stream, Interest::IN | out, id as u64)?;
            }
        }
        burn(TURN);
    }
    Ok(())
}

impl Client {
    /// Takes a request, one byte. `false`: it has hung up.
    fn read(&mut self) -> io::Result<bool> {
        match self.stream.read(&mut [0; 16]) {
            Ok(0) => return Ok(false),
            Ok(n) => self.unsent += n * self.answer,
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
        Ok(true)
    }

    /// Sends as much of the answers as the socket takes; mostly there is nothing to send.
    fn write(&mut self) -> io::Result<()> {
        if self.unsent > 0 {
            let bytes = &self.bytes[..self.unsent.min(self.answer)];
            match self.stream.write(bytes) {
                Ok(n) => self.unsent -= n, // a short write: the socket is full
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// A client: asks, reads the answer to its end, not in a hurry, pauses.
fn ask(mut stream: TcpStream, length: usize, end: Instant, mut random: Random) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    let mut buffer = vec![0; 1_000_000];
    while Instant::now() < end {
        supplier.supplied(|| stream.write(b"?"))?;
        let mut left = length;
        while left > 0 {
            left -= stream.read(&mut buffer)?.min(left);
            if left > 0 {
                thread::sleep(Duration::from_millis(10));
            }
        }
        thread::sleep(Duration::from_micros(60_000 + random.below(40_000)));
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let [before, after] = [broken, fixed].map(|seen| seen.fd("ann"));
    let answers = before.bytes_out / CLIENTS[0].1 as u64;
    let bob = fixed.fd("bob");
    vec![
        Claim::new(
            "ann's socket is reported writable three times or more for every answer she gets",
            format!("{} times for {answers}", before.writable),
            answers > 0 && before.writable >= 3 * answers,
        ),
        Claim::new(
            "the loop is never asleep: less than a tenth of its time is spent waiting",
            format!("busy {:.1}%", 100.0 * broken.busy()),
            broken.busy() >= 0.9,
        ),
        Claim::new(
            "in the repaired server it is never reported writable: nobody asks",
            format!("{} times", after.writable),
            after.runs > 0 && after.writable == 0,
        ),
        Claim::new(
            "bob's answers do not fit at once; he is told of room, and gets every byte",
            format!(
                "writable {} times, {} bytes out",
                bob.writable, bob.bytes_out
            ),
            bob.writable > 0 && bob.bytes_out == bob.supplied * CLIENTS[1].1 as u64,
        ),
    ]
}
