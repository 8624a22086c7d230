//! cpu-handler: the twin of blocking-handler. ann and bob ask for the time of day; sum asks for something that has to be computed, 40 ms
//! long. From outside the two are hard to tell apart: one long run, and everybody waits. What tells them apart is what the thread
//! did meanwhile. There it slept, and a profiler saw nothing; here it is on its CPU all the time (or *pre-empted*: it
//! could run, and another thread had the CPU), it sleeps never, and a profiler would show this handler and nothing else.
//!
//! The repair: in pieces. A handler computes for a millisecond, keeps what is left, and gives the loop a chance to look for news.
//! A worker thread would do as well, as long as there is a CPU for it; sleeping needs a thread, computing needs a CPU.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, task};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::claim::{ms, waits};
use super::kit::{burn, connect, start, unless_eagain};
use super::{Claim, Knobs, Random, Seen};

/// The clients, in the order in which they connect.
const NAMES: [&str; 3] = ["sum", "ann", "bob"];
/// A sum is made of so many pieces of this length.
const PIECES: u32 = 40;
const PIECE: Duration = Duration::from_millis(1);
/// sum asks this often.
const PERIOD: Duration = Duration::from_millis(100);

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("three clients, one of them asks for sums, server on {address}");
    let end = Instant::now() + knobs.time;
    let mut clients = Vec::new();
    thread::scope(|scope| {
        for (id, stream) in connect(address, NAMES.len())?.into_iter().enumerate() {
            let (client, _) = listener.accept()?;
            client.set_nonblocking(true)?;
            clients.push(Some(Traced::new(client)));
            let random = Random::new(knobs.seed, id as u64);
            start(scope, NAMES[id], move || ask(id, stream, end, random))?;
        }
        serve(clients, knobs.fixed)
    })
}

/// A sum that is not finished: for whom, and how many pieces are left.
struct Sum {
    id: usize,
    left: u32,
}

/// The event loop, until all have hung up.
fn serve(mut clients: Vec<Option<Traced<TcpStream>>>, fixed: bool) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    for (id, client) in clients.iter().flatten().enumerate() {
        loopscope::name_fd(client, NAMES[id]);
        loopscope::name_handler(&epoll, id, NAMES[id]);
        epoll.add(client, Interest::IN, id as u64)?;
    }
    let mut events = Events::with_capacity(16);
    let mut sums: VecDeque<Sum> = VecDeque::new();
    while clients.iter().any(Option::is_some) {
        // With a sum to go on with it looks for news without waiting for it.
        let patience = (!sums.is_empty()).then_some(Duration::ZERO);
        epoll.wait(&mut events, patience)?;
        for event in &events {
            let id = event.data() as usize;
            let Some(client) = &mut clients[id] else {
                continue;
            };
            match unless_eagain(client.read(&mut [0; 1]))? {
                Some(0) => clients[id] = None, // closes it
                Some(_) if NAMES[id] == "sum" && fixed => {
                    task::queued("piece of a sum", id as u64);
                    sums.push_back(Sum { id, left: PIECES });
                }
                Some(_) => {
                    if NAMES[id] == "sum" {
                        // The trap: no call in here, nothing that could block, and still nobody else is served.
                        (0..PIECES).for_each(|_| burn(PIECE));
                    }
                    client.write_all(b"=")?;
                }
                None => {}
            }
        }
        // After those who had news, one piece of the first sum.
        let Some(mut sum) = sums.pop_front() else {
            continue;
        };
        let _task = task::begin("piece of a sum", sum.id as u64);
        burn(PIECE);
        sum.left -= 1;
        if sum.left > 0 {
            task::queued("piece of a sum", sum.id as u64);
            sums.push_back(sum);
        } else if let Some(client) = &mut clients[sum.id] {
            client.write_all(b"=")?;
        }
    }
    Ok(())
}

/// A client: a question, its answer, a pause.
fn ask(id: usize, mut stream: TcpStream, end: Instant, mut random: Random) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    while Instant::now() < end {
        let next = Instant::now() + PERIOD;
        supplier.supplied(|| stream.write(b"?"))?;
        stream.read_exact(&mut [0])?;
        thread::sleep(match NAMES[id] {
            "sum" => next.saturating_duration_since(Instant::now()),
            _ => Duration::from_micros(5_000 + random.below(6_000)),
        });
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let mut claims = Vec::new();
    for name in &NAMES[1..] {
        let (before, after) = waits(broken, fixed, name, 0.95);
        claims.push(Claim::new(
            format!("one in twenty of {name}'s questions waits 15 ms or more"),
            ms(before),
            before >= 15_000_000,
        ));
        claims.push(Claim::new(
            format!("that is at least 4 times what half of them wait when repaired ({name})"),
            format!("{} against {}", ms(before), ms(after)),
            before / 4 >= after,
        ));
    }
    let sum = broken.fd("sum");
    let part = |ns: u64| format!("{:.0}%", 100.0 * ns as f64 / sum.run_ns.max(1) as f64);
    claims.push(Claim::new(
        "while sum's handler runs its thread has a CPU or waits for one; it does not sleep",
        match sum.on_cpu_ns + sum.preempted_ns + sum.asleep_ns {
            0 => "no switch records here".to_owned(),
            _ => format!(
                "on its CPU {}, pre-empted {}, asleep {}",
                part(sum.on_cpu_ns),
                part(sum.preempted_ns),
                part(sum.asleep_ns)
            ),
        },
        sum.run_ns > 0 && sum.asleep_ns < sum.run_ns / 10,
    ));
    let sums = |seen: &Seen| seen.fd("sum").bytes_out;
    claims.push(Claim::new(
        "sum gets what it asks for all the same",
        format!("{} and {}", sums(broken), sums(fixed)),
        sums(broken) > 0 && 2 * sums(fixed) >= sums(broken),
    ));
    claims
}
