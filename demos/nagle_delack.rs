//! nagle-delack: ann's requests take 40 ms, bob's next to nothing, at the same server, at the same time. The loop is suspected first, and is
//! innocent: it sleeps, and what comes is served at once. ann writes her request in two pieces, head and body. Her
//! kernel sends the first at once and keeps the second, small as it is, until the first has been acknowledged, to save a packet
//! (Nagle, 1984). The server's kernel does not acknowledge at once: an answer is likely to come soon, and could carry the
//! acknowledgement (delayed ack, 1982). But the server waits for the body. So both wait for each other, until the
//! server's kernel has waited 40 ms and gives up. Two good ideas, and nobody's bug.
//!
//! The repair: TCP_NODELAY: send what is written. Or one write instead of two, which is what bob does.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, mark};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::claim::{median, ms};
use super::kit::{connect, start, unless_eagain};
use super::{Claim, Knobs, Random, Seen};

const NAMES: [&str; 2] = ["ann", "bob"];
/// A request: its head, and its body.
const HEAD: &[u8] = b"how many letters has";
const BODY: &[u8] = b"epoll?";

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("ann asks in two pieces, bob in one, server on {address}");
    let end = Instant::now() + knobs.time;
    let mut clients = Vec::new();
    thread::scope(|scope| {
        for (id, stream) in connect(address, NAMES.len())?.into_iter().enumerate() {
            let (client, _) = listener.accept()?;
            client.set_nonblocking(true)?;
            clients.push(Some(Client {
                stream: Traced::new(client),
                got: 0,
                began: Instant::now(),
            }));
            // The trap is what nobody has said: the default is to wait for the acknowledgement.
            stream.set_nodelay(knobs.fixed)?;
            let random = Random::new(knobs.seed, id as u64);
            start(scope, NAMES[id], move || ask(id, stream, end, random))?;
        }
        serve(clients)
    })
}

/// A connection: how much of a request has come, and when it began.
struct Client {
    stream: Traced<TcpStream>,
    got: usize,
    began: Instant,
}

/// The event loop, until both have hung up. There is nothing to repair in it.
fn serve(mut clients: Vec<Option<Client>>) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    for (id, client) in clients.iter().flatten().enumerate() {
        loopscope::name_fd(&client.stream, NAMES[id]);
        epoll.add(&client.stream, Interest::IN, id as u64)?;
    }
    let mut events = Events::with_capacity(16);
    while clients.iter().any(Option::is_some) {
        epoll.wait(&mut events, None)?;
        for event in &events {
            let id = event.data() as usize;
            let Some(client) = &mut clients[id] else {
                continue;
            };
            if client.got == 0 {
                client.began = Instant::now();
            }
            match unless_eagain(client.stream.read(&mut [0; 64]))? {
                Some(0) => clients[id] = None, // closes it
                Some(n) => client.more(id, n)?,
                None => {}
            }
        }
    }
    Ok(())
}

impl Client {
    /// More of a request; the answer, when it is whole.
    fn more(&mut self, id: usize, n: usize) -> io::Result<()> {
        self.got += n;
        if self.got < HEAD.len() + BODY.len() {
            return Ok(()); // the rest comes when it comes; meanwhile the loop sleeps
        }
        let us = self.began.elapsed().as_micros() as u64;
        mark!("whole", of = NAMES[id], late = us > 20_000, us = us);
        self.got = 0;
        self.stream.write_all(b"5")
    }
}

/// A client: a question, its answer, a pause. ann writes it in two pieces, as buffered writers and templates do.
fn ask(id: usize, mut stream: TcpStream, end: Instant, mut random: Random) -> io::Result<()> {
    while Instant::now() < end {
        if NAMES[id] == "ann" {
            stream.write_all(HEAD)?; // goes out
            stream.write_all(BODY)?; // stays here until that is acknowledged
        } else {
            stream.write_all(&[HEAD, BODY].concat())?;
        }
        stream.read_exact(&mut [0])?;
        thread::sleep(Duration::from_micros(10_000 + random.below(10_000)));
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let takes = |seen: &Seen, name: &str| -> u64 {
        let whole = seen.marks.iter().filter(|m| m.name == "whole");
        let of = whole.filter(|m| m.fields.contains(name));
        median(of.map(|mark| 1_000 * mark.number("us")).collect())
    };
    let [before, after] = [broken, fixed].map(|seen| takes(seen, "of=ann"));
    let bob = takes(broken, "of=bob");
    vec![
        Claim::new(
            "half of ann's bodies come 30 ms or more after their heads",
            ms(before),
            before >= 30_000_000,
        ),
        Claim::new(
            "bob's requests are whole at once, at the same server, at the same time",
            ms(bob),
            bob < before / 10,
        ),
        Claim::new(
            "the loop sleeps meanwhile",
            format!("busy {:.0}%", 100.0 * broken.busy()),
            broken.busy() < 0.3,
        ),
        Claim::new(
            "with TCP_NODELAY ann's take less than a tenth of that",
            format!("{} against {}", ms(after), ms(before)),
            after < before / 10,
        ),
    ]
}
