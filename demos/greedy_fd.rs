//! greedy-fd: a server collects log lines from five clients on one thread. Four of them send a short line now and
//! then. The fifth, flood, sends 200 KiB in one go, every 25 ms, and the server reads it to the end before it looks at
//! anybody else. Nothing here blocks and nothing is slow by itself; the others wait all the same.
//!
//! The repair: a budget of one chunk a turn. Because the clients are registered edge-triggered, epoll will not tell
//! again of what is left, so the loop remembers it itself: a list of unfinished clients, of which each turn serves one
//! more chunk, after those who have news. Knobs: the budget, maxevents, the order within a batch, and flood's greed.

use loopscope::epoll::{Epoll, Event, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, task};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::claim::{ms, waits};
use super::kit::{burn, connect, start};
use super::{Claim, Dials, Knobs, Random, Seen, order};

/// The clients, in the order in which they connect.
const NAMES: [&str; 5] = ["flood", "ann", "bob", "cid", "dee"];
/// The data word of the listening socket; the clients' words are 0, 1, 2, …
const LISTENER: u64 = u64::MAX;

/// What the server reads at a time.
const CHUNK: usize = 4096;
/// What a full chunk costs: one step of work.
const STEP: Duration = Duration::from_micros(110);
/// What a line costs, and anything else that is less than a chunk.
const LINE: Duration = Duration::from_micros(30);
/// flood begins a burst this often.
const PERIOD: Duration = Duration::from_millis(25);

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("five clients, server on {address}");

    thread::scope(|scope| {
        let mut clients = NAMES.into_iter().zip(connect(address, NAMES.len())?);
        let flooding = clients.next();
        let mut others = Vec::new();
        for (id, (name, stream)) in clients.enumerate() {
            let (begun, begins) = channel();
            let random = Random::new(knobs.seed, id as u64);
            start(scope, name, move || log_lines(stream, begins, random))?;
            others.push(begun);
        }
        if let Some((name, stream)) = flooding {
            start(scope, name, move || flood(stream, knobs, others))?;
        }
        serve(listener, &knobs.dials)
    })
}

/// The event loop.
fn serve(listener: TcpListener, knobs: &Dials) -> io::Result<()> {
    let listener = Traced::new(listener);
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "log server");
    loopscope::name_fd(&listener, "listen");
    epoll.add(&listener, Interest::IN, LISTENER)?;

    let mut clients: Vec<Option<Traced<TcpStream>>> = Vec::new();
    // Clients of whom there is more to be read: the repaired server's own ready list.
    let mut unfinished: VecDeque<usize> = VecDeque::new();
    let (mut gone, mut turn) = (0, 0);
    while gone < NAMES.len() {
        let mut events = Events::with_capacity(knobs.number("maxevents"));
        let budget = knobs.number("budget");
        // With work left it looks for news without waiting for it.
        let patience = (!unfinished.is_empty()).then_some(Duration::ZERO);
        epoll.wait(&mut events, patience)?;
        let mut batch: Vec<Event> = events.unmarked().copied().collect();
        turn = (turn + 1) % NAMES.len() as u64;
        order::arrange(&mut batch, knobs.word("order"), turn, &clients);
        for event in batch {
            let _run = loopscope::dispatch(event.data());
            if event.data() == LISTENER {
                let (client, _) = listener.accept()?;
                client.set_nonblocking(true)?;
                let id = clients.len();
                loopscope::name_fd(&client, NAMES[id]);
                loopscope::name_handler(&epoll, id, NAMES[id]);
                epoll.add(&client, Interest::IN | Interest::EDGE, id as u64)?;
                clients.push(Some(client));
                continue;
            }
            let id = event.data() as usize;
            match collect(&mut clients[id], budget)? {
                Then::Drained => {}
                Then::Gone => gone += 1,
                Then::Unfinished if unfinished.contains(&id) => {}
                Then::Unfinished => {
                    task::queued("next chunk", id as u64);
                    unfinished.push_back(id);
                }
            }
        }
        // After those who had news, one more chunk for the first who is not finished.
        if let Some(id) = unfinished.pop_front() {
            let _task = task::begin("next chunk", id as u64);
            match collect(&mut clients[id], budget)? {
                Then::Drained => {}
                Then::Gone => gone += 1,
                Then::Unfinished => unfinished.push_back(id),
            }
        }
    }
    Ok(())
}

/// How a handler leaves its client.
enum Then {
    /// Nothing left to read.
    Drained,
    /// There may be more.
    Unfinished,
    /// It has hung up.
    Gone,
}

/// The handler: takes what a client has sent, so many chunks at most.
fn collect(slot: &mut Option<Traced<TcpStream>>, budget: usize) -> io::Result<Then> {
    let Some(client) = slot else {
        return Ok(Then::Drained);
    };
    let mut chunk = [0; CHUNK];
    for _ in 0..budget {
        let n = match client.read(&mut chunk) {
            Ok(0) => {
                *slot = None; // closes it
                return Ok(Then::Gone);
            }
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Then::Drained),
            Err(e) => return Err(e),
        };
        burn(if n == CHUNK { STEP } else { LINE });
        if chunk[..n].ends_with(b"?") {
            client.write_all(b"!")?; // "has everything arrived?"
        }
    }
    Ok(Then::Unfinished) // enough for this turn; now the others
}

/// 200 KiB in one go, the others told as soon as it has begun; then it waits until the server has seen the end of it.
fn flood(mut stream: TcpStream, knobs: &Knobs, others: Vec<Sender<()>>) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    let rounds = (knobs.time.as_micros() / PERIOD.as_micros()) as u32;
    let start = Instant::now();
    for round in 0..rounds {
        let mut burst = vec![b'x'; knobs.dials.number("greed") * 1024 - 1];
        burst.push(b'?');
        let (first, rest) = burst.split_at(CHUNK);
        thread::sleep((start + PERIOD * round).saturating_duration_since(Instant::now()));
        supplier.supplied(|| stream.write_all(first).map(|()| first.len()))?;
        for other in &others {
            other.send(()).map_err(io::Error::other)?;
        }
        supplier.supplied(|| stream.write_all(rest).map(|()| rest.len()))?;
        stream.read_exact(&mut [0])?;
    }
    Ok(())
}

/// A line of 16 bytes shortly after flood has begun.
fn log_lines(mut stream: TcpStream, begins: Receiver<()>, mut random: Random) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    for () in begins {
        thread::sleep(Duration::from_micros(100 + random.below(1400)));
        supplier.supplied(|| stream.write(b"one line of log\n"))?;
    }
    Ok(())
}

/// What a recording must show. The worst wait is no part of it: on a busy machine that is the scheduler's.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let share = broken.share("flood");
    let mut claims = vec![Claim::new(
        "flood's handler has at least 90% of all run time",
        format!("{:.1}%", 100.0 * share),
        share >= 0.9,
    )];
    for name in &NAMES[1..] {
        let (before, after) = waits(broken, fixed, name, 0.5);
        claims.push(Claim::new(
            format!("{name}'s median wait is at least 10 times the repaired server's"),
            format!("{} against {}", ms(before), ms(after)),
            before / 10 >= after,
        ));
    }
    claims
}
