//! wakeups: a loop hands ann's questions to a worker thread, so that nobody waits behind them. The worker puts each answer on a
//! queue, and the loop looks at the queue after every wait. But the loop is asleep in its wait, and a queue in memory is
//! no descriptor: nothing wakes it. The answer lies there, finished, until somebody else says something or the wait's
//! time-out passes, which is 100 ms here, for that very reason.
//!
//! The repair: a byte. The loop watches one end of a socket pair; whoever puts something on the queue writes a byte to the other.
//! Queue first, byte second: the other way round the loop may look too soon, and go back to sleep.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, mark, task};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::claim::{median, ms};
use super::kit::{start, unless_eagain};
use super::{Claim, Knobs, Random, Seen};

const ANN: u64 = 0;
const BELL: u64 = 1;
/// How long the worker thinks about a question.
const THINKS: Duration = Duration::from_millis(3);
/// How long a wait takes at most: "so that the queue is looked at now and then".
const NOW_AND_THEN: Duration = Duration::from_millis(100);

/// Runs server, worker and client.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("ann asks, a worker thinks, server on {address}");
    let ann = TcpStream::connect(address)?;
    let (client, _) = listener.accept()?;
    client.set_nonblocking(true)?;
    let (bell, rings) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    let (questions, todo) = channel();
    let (answers, answered) = channel();
    let (end, random) = (Instant::now() + knobs.time, Random::new(knobs.seed, 0));
    let fixed = knobs.fixed;
    thread::scope(|scope| {
        start(scope, "ann", move || ask(ann, end, random))?;
        start(scope, "worker", move || think(todo, answers, rings, fixed))?;
        serve(Traced::new(client), Traced::new(bell), questions, answered)
    })
}

/// The event loop, until ann hangs up.
fn serve(
    mut ann: Traced<TcpStream>,
    mut bell: Traced<UnixStream>,
    questions: Sender<()>,
    answered: Receiver<()>,
) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    loopscope::name_fd(&ann, "ann");
    loopscope::name_fd(&bell, "bell");
    epoll.add(&ann, Interest::IN, ANN)?;
    epoll.add(&bell, Interest::IN, BELL)?;
    let mut events = Events::with_capacity(16);
    loop {
        // The trap: this sleeps, whatever is put on the queue meanwhile.
        epoll.wait(&mut events, Some(NOW_AND_THEN))?;
        for event in &events {
            match event.data() {
                ANN => match unless_eagain(ann.read(&mut [0; 1]))? {
                    Some(0) => return Ok(()),
                    Some(_) => questions.send(()).map_err(io::Error::other)?,
                    None => {}
                },
                // All rings so far: one look at the queue is enough for them.
                _ => drop(unless_eagain(bell.read(&mut [0; 64]))?),
            }
        }
        for () in answered.try_iter() {
            let _task = task::begin("answer", 0);
            ann.write_all(b"42")?;
        }
    }
}

/// The worker: thinks, puts the answer on the queue, and in the repaired server rings.
fn think(
    todo: Receiver<()>,
    answers: Sender<()>,
    mut bell: UnixStream,
    rings: bool,
) -> io::Result<()> {
    for () in todo {
        thread::sleep(THINKS);
        task::queued("answer", 0);
        answers.send(()).map_err(io::Error::other)?;
        if rings {
            bell.write_all(b"!")?;
        }
    }
    Ok(())
}

/// ann: a question, the answer, a pause.
fn ask(mut stream: TcpStream, end: Instant, mut random: Random) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    while Instant::now() < end {
        let asked = Instant::now();
        supplier.supplied(|| stream.write(b"?"))?;
        stream.read_exact(&mut [0; 2])?;
        mark!("answered", us = asked.elapsed().as_micros() as u64);
        thread::sleep(Duration::from_micros(15_000 + random.below(15_000)));
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let answers = |seen: &Seen| -> Vec<u64> {
        let told = seen.marks.iter().filter(|mark| mark.name == "answered");
        told.map(|mark| 1_000 * mark.number("us")).collect()
    };
    let (before, after) = (answers(broken), answers(fixed));
    let (asked, bells) = (after.len() as u64, fixed.fd("bell").ready);
    let (slow, quick) = (median(before), median(after));
    vec![
        Claim::new(
            "half of ann's answers take 80 ms or more, for 3 ms of thinking",
            ms(slow),
            slow >= 80_000_000,
        ),
        Claim::new(
            "with a bell, less than a quarter of that",
            ms(quick),
            quick > 0 && quick < slow / 4,
        ),
        Claim::new(
            "the bell has rung for each of them",
            format!("{bells} wakeups for {asked} answers"),
            asked > 0 && bells >= asked,
        ),
    ]
}
