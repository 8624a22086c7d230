//! stale-in-batch: a server has one seat for guests. A host says "next", and the server closes the guest that has the seat and
//! accepts the next one who waits at the door. Now both speak at once: the host says "next" and the guest asks something. One
//! wait returns both events. The host's handler frees the seat and gives it away; then comes the guest's event, and its
//! data word says "the guest on the seat". That is somebody else now, who has said nothing. The server reads from them,
//! and since it trusts that a ready socket has something, the read sleeps: until the newcomer speaks, nobody is served.
//!
//! The repair: the data word says which guest, not which seat; an event for one who is gone is skipped.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, mark};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::claim::{ms, waits};
use super::kit::{burn, start};
use super::{Claim, Knobs, Random, Seen};

/// The data words of those who stay.
const HOST: u64 = 0;
const ANN: u64 = 1;
const WORK: u64 = 2;
/// Those of the guests: the broken server has one for the seat, the repaired one counts on from here.
const SEAT: u64 = 3;

/// A new guest has the seat this often.
const ROUND: Duration = Duration::from_millis(90);
/// How long a newcomer thinks before the first word.
const THINKS: Duration = Duration::from_millis(40);
/// What keeps the loop busy while host and guest speak, so that one wait tells of both.
const BUSY: Duration = Duration::from_millis(8);

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let rounds = (knobs.time.as_micros() / ROUND.as_micros()) as usize;
    println!("{rounds} guests, one seat, server on {address}");
    let host = TcpStream::connect(address)?;
    let ann = TcpStream::connect(address)?;
    let work = TcpStream::connect(address)?;
    let (random, fixed) = (Random::new(knobs.seed, 0), knobs.fixed);
    thread::scope(|scope| {
        start(scope, "ann", move || ask(ann, random))?;
        start(scope, "host", move || party(address, host, work, rounds))?;
        serve(Traced::new(listener), fixed)
    })
}

/// The event loop, until the host hangs up.
fn serve(listener: Traced<TcpListener>, fixed: bool) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    let mut stay = Vec::new();
    for (data, name) in [(HOST, "host"), (ANN, "ann"), (WORK, "work")] {
        let (client, _) = listener.accept()?;
        loopscope::name_fd(&client, name);
        epoll.add(&client, Interest::IN, data)?;
        stay.push(client);
    }
    // Who has the seat, and under which data word the kernel reports them.
    let mut seat: Option<(Traced<TcpStream>, u64)> = None;
    let mut next = SEAT;
    let mut events = Events::with_capacity(16);
    loop {
        epoll.wait(&mut events, None)?;
        for event in &events {
            let mut word = [0; 1];
            match event.data() {
                HOST => {
                    if stay[0].read(&mut word)? == 0 {
                        return Ok(());
                    }
                    // Closes whoever has the seat. Their event may be further down in this batch, on its way to us.
                    drop(seat.take());
                    let (guest, _) = listener.accept()?;
                    loopscope::name_fd(&guest, "guest");
                    epoll.add(&guest, Interest::IN, next)?;
                    seat = Some((guest, next));
                    next += u64::from(fixed);
                }
                ANN => answer(&mut stay[1])?,
                WORK => {
                    let _ = stay[2].read(&mut word)?;
                    burn(BUSY);
                }
                who => match &mut seat {
                    // The repair: this event is about somebody who has gone.
                    Some((_, word)) if *word != who => mark!("skipped"),
                    // The trap: the broken server has one word for all guests, and every one of them fits.
                    Some((guest, _)) => answer(guest)?,
                    None => {}
                },
            }
        }
    }
}

/// Reads a question, one byte, and answers it. The socket is ready: why should the read sleep?
fn answer(client: &mut Traced<TcpStream>) -> io::Result<()> {
    match client.read(&mut [0; 1])? {
        0 => Ok(()),
        _ => client.write_all(b"."),
    }
}

/// The host and the guests, in one thread, so that they speak in this order.
fn party(
    address: SocketAddr,
    mut host: TcpStream,
    mut work: TcpStream,
    rounds: usize,
) -> io::Result<()> {
    let (to_host, to_work) = (Supplier::new(&host)?, Supplier::new(&work)?);
    let mut seated: Option<TcpStream> = None;
    for _ in 0..rounds {
        let begin = Instant::now();
        let mut guest = TcpStream::connect(address)?;
        // The loop is busy for a while; the host speaks, then the guest who has the seat.
        to_work.supplied(|| work.write(b"w"))?;
        thread::sleep(BUSY / 4);
        to_host.supplied(|| host.write(b"n"))?;
        if let Some(old) = &mut seated {
            Supplier::new(old)?.supplied(|| old.write(b"?"))?;
        }
        thread::sleep(THINKS);
        Supplier::new(&guest)?.supplied(|| guest.write(b"?"))?;
        guest.read_exact(&mut [0])?;
        seated = Some(guest);
        thread::sleep(ROUND.saturating_sub(begin.elapsed()));
    }
    drop(host); // the party is over
    Ok(())
}

/// ann: a short question now and then, as long as there is a server.
fn ask(mut stream: TcpStream, mut random: Random) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    loop {
        supplier.supplied(|| stream.write(b"?"))?;
        stream.read_exact(&mut [0])?;
        thread::sleep(Duration::from_micros(4_000 + random.below(4_000)));
    }
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let stale = broken.fd("guest").stale;
    let (before, after) = waits(broken, fixed, "ann", 0.95);
    let skipped = fixed.marks.iter().filter(|m| m.name == "skipped").count();
    vec![
        Claim::new(
            "five events or more come up for a guest who has gone in the same batch",
            format!("{stale} events"),
            stale >= 5,
        ),
        Claim::new(
            "one in twenty of ann's questions waits 15 ms or more, until a newcomer speaks",
            ms(before),
            before >= 15_000_000,
        ),
        Claim::new(
            "that is at least 4 times what half of them wait when repaired",
            format!("{} against {}", ms(before), ms(after)),
            before / 4 >= after,
        ),
        Claim::new(
            "such events come there as well, and are skipped",
            format!("{skipped} times"),
            skipped >= 5,
        ),
    ]
}
