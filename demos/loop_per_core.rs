//! loop-per-core: two threads, a loop each, a shop's clients on both. Each order sells one piece: the handler looks at the
//! number sold so far, asks for the price, and writes down one more. Each loop by itself does one thing after the other,
//! so nobody thought of a lock. But there are two of them and one number: while a loop asks for the price, the other has
//! counted, and is written over. Pieces are sold and not counted.
//!
//! The repair is not a lock but nothing shared: each loop counts its own, and whoever wants the sum adds them up.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, mark};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::kit::{connect, start};
use super::{Claim, Knobs, Random, Seen};

/// Loops, and the clients of each.
const LOOPS: usize = 2;
const CLIENTS: usize = 3;
const NAMES: [&str; LOOPS * CLIENTS] = ["ann", "bob", "cid", "dee", "eve", "fay"];
/// What it takes to ask for the price.
const PRICE: Duration = Duration::from_micros(700);

/// How often the shopkeeper looks.
const LOOKS: Duration = Duration::from_millis(300);

/// Runs loops and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("{LOOPS} loops with {CLIENTS} clients each, shop on {address}");
    // How much has been sold: one number for all, or one for each loop.
    let sold: [AtomicU64; LOOPS] = Default::default();
    let orders = AtomicU64::new(0);
    let counted = || -> u64 { sold.iter().map(|own| own.load(Ordering::Relaxed)).sum() };
    let end = Instant::now() + knobs.time;
    thread::scope(|scope| {
        let mut clients = connect(address, NAMES.len())?.into_iter().enumerate();
        for number in 0..LOOPS {
            let mut own = Vec::new();
            for (id, stream) in clients.by_ref().take(CLIENTS) {
                own.push((NAMES[id], Traced::new(listener.accept()?.0)));
                let (orders, random) = (&orders, Random::new(knobs.seed, id as u64));
                start(scope, NAMES[id], move || order(stream, end, random, orders))?;
            }
            let counter = &sold[if knobs.fixed { number } else { 0 }];
            start(scope, &format!("loop {number}"), move || {
                sell(number, own, counter)
            })?;
        }
        // The shopkeeper looks at both numbers now and then.
        while Instant::now() < end {
            thread::sleep(LOOKS);
            let sold = orders.load(Ordering::Relaxed);
            mark!("so far", sold = sold, counted = counted());
        }
        io::Result::Ok(())
    })?;
    let (sold, counted) = (orders.load(Ordering::Relaxed), counted());
    println!("{sold} pieces sold, {counted} counted");
    mark!("counted", sold = sold, counted = counted);
    Ok(())
}

/// One of the loops, until its clients have hung up.
fn sell(
    number: usize,
    mut clients: Vec<(&'static str, Traced<TcpStream>)>,
    sold: &AtomicU64,
) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, &format!("loop {number}"));
    for (id, (name, client)) in clients.iter().enumerate() {
        loopscope::name_fd(client, name);
        epoll.add(client, Interest::IN, id as u64)?;
    }
    let mut events = Events::with_capacity(16);
    let mut gone = 0;
    while gone < clients.len() {
        epoll.wait(&mut events, None)?;
        for event in &events {
            let (_, client) = &mut clients[event.data() as usize];
            if client.read(&mut [0; 1])? == 0 {
                epoll.delete(&*client)?;
                gone += 1;
                continue;
            }
            // The trap: one thing after the other in each loop, and two loops. Between these two lines the other one counts.
            let before = sold.load(Ordering::Relaxed);
            loopscope::call("ask for the price", || thread::sleep(PRICE));
            sold.store(before + 1, Ordering::Relaxed);
            client.write_all(b".")?;
        }
    }
    Ok(())
}

/// A client: an order, its answer, a pause.
fn order(
    mut stream: TcpStream,
    end: Instant,
    mut random: Random,
    orders: &AtomicU64,
) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    while Instant::now() < end {
        supplier.supplied(|| stream.write(b"1"))?;
        stream.read_exact(&mut [0])?;
        orders.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_micros(4_000 + random.below(12_000)));
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let counts = |seen: &Seen| {
        let told = seen.marks.iter().find(|mark| mark.name == "counted");
        told.map_or((0, 0), |mark| (mark.number("sold"), mark.number("counted")))
    };
    let ((sold, counted), (sold_fixed, counted_fixed)) = (counts(broken), counts(fixed));
    vec![
        Claim::new(
            "of twenty pieces sold by two loops, one or more is not counted",
            format!("{counted} counted of {sold}"),
            sold > 0 && 20 * counted <= 19 * sold,
        ),
        Claim::new(
            "with a counter for each loop all of them are",
            format!("{counted_fixed} counted of {sold_fixed}"),
            sold_fixed > 0 && counted_fixed == sold_fixed,
        ),
        Claim::new(
            "two threads serve, either way",
            format!("{} and {}", broken.threads, fixed.threads),
            broken.threads == LOOPS && fixed.threads == LOOPS,
        ),
    ]
}
