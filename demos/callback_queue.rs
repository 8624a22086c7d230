//! callback-queue: a loop with a queue of callbacks beside it, as every JavaScript engine and asyncio have one. A handler puts off
//! what is left of its work as a callback; when the handlers of a turn are done, the loop runs the queue. cid asks for a
//! sum in forty parts: each part is a callback that puts the next one on the queue. None of them takes long. The
//! loop runs the queue until it is empty, and it is never empty before the sum is done: nobody is polled for meanwhile.
//!
//! The repair: run what was on the queue when its turn began. What is put there meanwhile has to wait for the next turn, and
//! between two turns the loop looks for news.

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
const NAMES: [&str; 3] = ["cid", "ann", "bob"];
/// A sum has so many parts.
const PARTS: u64 = 40;
/// What a part takes, and what a short answer takes.
const PART: Duration = Duration::from_micros(600);
const SHORT: Duration = Duration::from_micros(20);
/// cid asks for a sum this often.
const PERIOD: Duration = Duration::from_millis(90);

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("three clients, sums of {PARTS} parts, server on {address}");
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

/// A callback on the queue: a part of a sum, its number, and for whom.
struct Callback {
    part: u64,
    id: usize,
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
    let mut queue: VecDeque<Callback> = VecDeque::new();
    while clients.iter().any(Option::is_some) {
        // With callbacks to run it looks for news without waiting for it.
        let patience = (!queue.is_empty()).then_some(Duration::ZERO);
        epoll.wait(&mut events, patience)?;
        for event in &events {
            let id = event.data() as usize;
            let Some(client) = &mut clients[id] else {
                continue;
            };
            match unless_eagain(client.read(&mut [0; 1]))? {
                Some(0) => clients[id] = None, // closes it
                Some(_) if NAMES[id] == "cid" => put_off(&mut queue, Callback { part: 0, id }),
                Some(_) => {
                    burn(SHORT);
                    client.write_all(b".")?;
                }
                None => {}
            }
        }
        // The trap: "until it is empty" is for ever when a callback calls for the next one.
        let most = if fixed { queue.len() } else { usize::MAX };
        for _ in 0..most {
            let Some(callback) = queue.pop_front() else {
                break;
            };
            let _task = task::begin("part of a sum", callback.part);
            burn(PART);
            match (callback.part + 1 < PARTS, &mut clients[callback.id]) {
                (true, _) => {
                    let part = callback.part + 1;
                    put_off(&mut queue, Callback { part, ..callback });
                }
                (false, Some(client)) => client.write_all(b"=")?,
                (false, None) => {}
            }
        }
    }
    Ok(())
}

/// Puts a callback on the loop's queue.
fn put_off(queue: &mut VecDeque<Callback>, callback: Callback) {
    task::queued("part of a sum", callback.part);
    queue.push_back(callback);
}

/// A client: a question, its answer, a pause. cid's question is for a sum.
fn ask(id: usize, mut stream: TcpStream, end: Instant, mut random: Random) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    while Instant::now() < end {
        let next = Instant::now() + PERIOD;
        supplier.supplied(|| stream.write(b"?"))?;
        stream.read_exact(&mut [0])?;
        thread::sleep(match NAMES[id] {
            "cid" => next.saturating_duration_since(Instant::now()),
            _ => Duration::from_micros(4_000 + random.below(5_000)),
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
            format!("one in twenty of {name}'s questions waits 8 ms or more behind the queue"),
            ms(before),
            before >= 8_000_000,
        ));
        claims.push(Claim::new(
            format!("that is at least 4 times what half of them wait when repaired ({name})"),
            format!("{} against {}", ms(before), ms(after)),
            before / 4 >= after,
        ));
    }
    let sums = |seen: &Seen| seen.fd("cid").bytes_out;
    claims.push(Claim::new(
        "cid gets his sums all the same",
        format!("{} and {}", sums(broken), sums(fixed)),
        sums(broken) > 0 && 2 * sums(fixed) >= sums(broken),
    ));
    claims
}
