//! merged-events: a kitchen takes orders, one a line. Its author has watched it: an order comes, a wait returns, a read gives the
//! order. So each read is taken for one order. Then the kitchen is busy for a moment while ann sends three. There is one
//! event for them, since an event says "there is something", not "so many things", and one read gives all three. The kitchen
//! cooks one. bob's single order comes in two pieces, as it may: two events, two reads, and two dishes.
//!
//! The repair: what is read goes to the end of a buffer, and what is complete is cut off its front. A stream has bytes; where an
//! order ends, only its newline says.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, mark};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::kit::{burn, start, unless_eagain};
use super::{Claim, Knobs, Random, Seen};

/// Who is at the tables, in the order in which they connect; the data words are the places in this list.
const NAMES: [&str; 3] = ["oven", "ann", "bob"];
const OVEN: usize = 0;
/// How long the oven keeps the cook busy, and how long before the end of that ann orders.
const BUSY: Duration = Duration::from_millis(10);
/// Between the two pieces of bob's order.
const APART: Duration = Duration::from_millis(12);
/// How long a guest looks at what is brought.
const LOOKS: Duration = Duration::from_millis(25);

/// Runs kitchen and guests.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("ann sends three orders at once, bob one in two pieces");
    let (time, random, fixed) = (knobs.time, Random::new(knobs.seed, 0), knobs.fixed);
    thread::scope(|scope| {
        start(scope, "guests", move || visit(address, time, random))?;
        let mut guests = Vec::new();
        for name in NAMES {
            let (guest, _) = listener.accept()?;
            let guest = Traced::new(guest);
            loopscope::name_fd(&guest, name);
            guests.push(guest);
        }
        cook(guests, fixed)
    })
}

/// The event loop, until the guests have gone.
fn cook(mut guests: Vec<Traced<TcpStream>>, fixed: bool) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "kitchen");
    for (place, guest) in guests.iter().enumerate() {
        epoll.add(guest, Interest::IN, place as u64)?;
    }
    // Of each guest: what has come of an order that is not complete.
    let mut begun = [const { Vec::new() }; NAMES.len()];
    let mut events = Events::with_capacity(16);
    loop {
        epoll.wait(&mut events, None)?;
        for event in &events {
            let place = event.data() as usize;
            let mut piece = [0; 64];
            let n = guests[place].read(&mut piece)?;
            if n == 0 {
                return Ok(()); // they go together
            }
            if place == OVEN {
                burn(BUSY);
                continue;
            }
            let dishes = if fixed {
                complete(&mut begun[place], &piece[..n])
            } else {
                // The trap: this is what has come since the last read, be it three orders or half of one.
                1
            };
            for _ in 0..dishes {
                guests[place].write_all(b"d")?;
            }
        }
    }
}

/// Adds a piece to what has begun, takes off what is complete, and says how many orders that was.
fn complete(begun: &mut Vec<u8>, piece: &[u8]) -> usize {
    begun.extend_from_slice(piece);
    let mut orders = 0;
    while let Some(end) = begun.iter().position(|&byte| byte == b'\n') {
        begun.drain(..=end);
        orders += 1;
    }
    orders
}

/// The guests, driven by one thread, so that they speak in this order.
fn visit(address: SocketAddr, time: Duration, mut random: Random) -> io::Result<()> {
    let end = Instant::now() + time;
    let mut oven = TcpStream::connect(address)?;
    let mut ann = guest(address)?;
    let mut bob = guest(address)?;
    let (to_oven, to_ann, to_bob) = (
        Supplier::new(&oven)?,
        Supplier::new(&ann)?,
        Supplier::new(&bob)?,
    );
    let (mut rounds, mut anns, mut bobs) = (0, 0, 0);
    while Instant::now() < end {
        rounds += 1;
        to_oven.supplied(|| oven.write(b"!"))?;
        thread::sleep(BUSY / 4);
        for order in [b"egg\n", b"tea\n", b"bun\n"] {
            to_ann.supplied(|| ann.write(order))?;
        }
        let dishes = brought(&mut ann)?;
        mark!("ann", ordered = 3_u64, got = dishes);
        anns += dishes;
        thread::sleep(Duration::from_micros(random.below(5_000)));
        to_bob.supplied(|| bob.write(b"por"))?;
        thread::sleep(APART);
        to_bob.supplied(|| bob.write(b"ridge\n"))?;
        let dishes = brought(&mut bob)?;
        mark!("bob", ordered = 1_u64, got = dishes);
        bobs += dishes;
    }
    // What has come late, on a busy machine.
    thread::sleep(2 * LOOKS);
    anns += brought(&mut ann)?;
    bobs += brought(&mut bob)?;
    println!("{rounds} rounds: {anns} dishes for ann, {bobs} for bob");
    mark!("bill", rounds = rounds, ann = anns, bob = bobs);
    Ok(())
}

/// A connection whose writes go out at once, and whose reads wait for a moment.
fn guest(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LOOKS))?;
    Ok(stream)
}

/// How many dishes come, until none has come for a while.
fn brought(guest: &mut TcpStream) -> io::Result<u64> {
    let mut dishes = 0;
    while let Some(n) = unless_eagain(guest.read(&mut [0; 64]))?
        && n > 0
    {
        dishes += n as u64;
    }
    Ok(dishes)
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let bill = |seen: &Seen| {
        let mark = seen.marks.iter().rfind(|mark| mark.name == "bill");
        ["rounds", "ann", "bob"].map(|key| mark.map_or(0, |mark| mark.number(key)))
    };
    let ([rounds, ann, bob], [again, all, one]) = (bill(broken), bill(fixed));
    let events = broken.fd("ann").ready;
    vec![
        Claim::new(
            "three writes make one event, mostly: ann gets less than two dishes for three orders",
            format!("{ann} of {}", 3 * rounds),
            ann > 0 && ann < 2 * rounds,
        ),
        Claim::new(
            "she gets as many as there were events",
            format!("{ann} for {events} events"),
            // The last event may be her hanging up.
            ann == events || ann + 1 == events,
        ),
        Claim::new(
            "bob's order in two pieces makes two events, mostly",
            format!("{bob} dishes for {rounds} orders"),
            2 * bob > 3 * rounds,
        ),
        Claim::new(
            "cut at the newline, everybody gets what was ordered",
            format!("{all} of {} and {one} of {again}", 3 * again),
            again > 0 && all == 3 * again && one == again,
        ),
    ]
}
