//! et-not-drained: an edge-triggered server reads once per event, into a buffer of 1,024 bytes. ann's and cid's requests
//! of 600 bytes fit. bob's have 4,000: the first 1,024 are read, 2,976 stay in the socket, and no event ever comes for
//! them, because nothing *changes*: edge-triggered epoll reports that more has arrived, not that there is something.
//! bob waits until he loses patience and asks again; that is a change, and 1,024 bytes of the old request come through.
//!
//! The repair: read until EAGAIN.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{Claim, Knobs, Random, Seen};

/// The clients, in the order in which they connect, and the length of their requests.
const CLIENTS: [(&str, usize); 3] = [("ann", 600), ("bob", 4000), ("cid", 600)];
const LISTENER: u64 = u64::MAX;
/// What the server reads at a time.
const BUFFER: usize = 1024;
/// An answer's length.
const ANSWER: usize = 16;
/// How long bob waits before he asks again.
const PATIENCE: Duration = Duration::from_millis(200);

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("three clients, server on {address}");

    // Connected one after the other, so that the n-th connection accepted is the n-th client.
    let mut streams = Vec::new();
    for _ in CLIENTS {
        streams.push(TcpStream::connect(address)?);
    }
    let end = Instant::now() + knobs.time;
    thread::scope(|scope| {
        for (id, ((name, length), stream)) in CLIENTS.into_iter().zip(streams).enumerate() {
            let random = Random::new(knobs.seed, id as u64);
            let client = thread::Builder::new().name(name.to_owned());
            client.spawn_scoped(scope, move || ask(stream, length, end, random))?;
        }
        serve(listener, knobs.fixed)
    })
}

/// A connection: how much of the current request has been read.
struct Client {
    stream: Traced<TcpStream>,
    request: usize,
    read: usize,
}

/// The event loop.
fn serve(listener: TcpListener, fixed: bool) -> io::Result<()> {
    let listener = Traced::new(listener);
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    loopscope::name_fd(&listener, "listen");
    epoll.add(&listener, Interest::IN, LISTENER)?;

    let mut events = Events::with_capacity(64);
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut gone = 0;
    while gone < CLIENTS.len() {
        epoll.wait(&mut events, None)?;
        for event in &events {
            if event.data() == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                let id = clients.len();
                let (name, request) = CLIENTS[id];
                loopscope::name_fd(&stream, name);
                loopscope::name_handler(&epoll, id, name);
                let edge = Interest::IN | Interest::RDHUP | Interest::EDGE;
                epoll.add(&stream, edge, id as u64)?;
                clients.push(Some(Client {
                    stream,
                    request,
                    read: 0,
                }));
            } else if let Some(slot) = clients.get_mut(event.data() as usize) {
                let there = match slot {
                    Some(client) => {
                        handle(client, fixed)? && !event.mask().intersects(Interest::RDHUP)
                    }
                    None => continue,
                };
                if !there {
                    *slot = None; // closes it
                    gone += 1;
                }
            }
        }
    }
    Ok(())
}

/// The handler. `false`: the client has hung up.
fn handle(client: &mut Client, fixed: bool) -> io::Result<bool> {
    let mut buffer = [0; BUFFER];
    loop {
        let n = match client.stream.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(e) => return Err(e),
        };
        client.read += n;
        while client.read >= client.request {
            client.read -= client.request;
            client.stream.write_all(&[b'.'; ANSWER])?;
        }
        if !fixed {
            return Ok(true); // one event, one read: what is left stays where it is
        }
    }
}

/// A client: asks, waits for the answer, pauses. Without an answer it asks again.
fn ask(mut stream: TcpStream, length: usize, end: Instant, mut random: Random) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = vec![b'x'; length];
    while Instant::now() < end {
        supplier.supplied(|| stream.write_all(&request).map(|()| length))?;
        match stream.read_exact(&mut [0; ANSWER]) {
            Ok(()) => thread::sleep(Duration::from_micros(8_000 + random.below(8_000))),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let (before, after) = (broken.fd("bob"), fixed.fd("bob"));
    let request = CLIENTS[1].1 as u64;
    let asked = before.supplied / request;
    let answered = before.bytes_out / ANSWER as u64;
    let waited = before.left_over_ns as f64 / broken.duration_ns.max(1) as f64;
    vec![
        Claim::new(
            "bob's bytes lie in the socket, and no event will come for them, most of the time",
            format!("{:.0}% of the recording", 100.0 * waited),
            waited >= 0.5,
        ),
        Claim::new(
            "less than half of bob's requests are answered",
            format!("{answered} of {asked}"),
            asked > 0 && answered * 2 < asked,
        ),
        Claim::new(
            "in the repaired server nothing is ever left over",
            format!("{} ns", after.left_over_ns),
            after.left_over_ns == 0 && after.bytes_in > 0,
        ),
        Claim::new(
            "and all of bob's requests are answered",
            format!(
                "{} of {}",
                after.bytes_out / ANSWER as u64,
                after.supplied / request
            ),
            after.supplied > 0 && after.bytes_out / ANSWER as u64 == after.supplied / request,
        ),
    ]
}
