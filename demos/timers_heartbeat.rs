//! timers-heartbeat: a server sends a heartbeat to mon every 50 ms, so that mon knows it is alive, and talks with ann. The loop has
//! one place where it can wait for time: the time-out of its wait. It waits for an event or 50 ms, whichever is first, and
//! when the 50 ms have passed it sends the heartbeat. But ann says something every 20 ms, each word ends the wait, and the
//! next wait begins its 50 ms anew: they never pass. The busier the server, the more it looks dead. mon gives up, hangs up
//! and connects again.
//!
//! The repair: a deadline, not a duration. The heartbeat is due at an instant; the wait lasts until then, and after every wait the
//! loop looks at the clock. The next instant is the last one plus 50 ms, so that it does not drift either.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, mark, timer};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::kit::start;
use super::{Claim, Knobs, Random, Seen};

const LISTENER: u64 = 0;
const ANN: u64 = 1;
const MON: u64 = 2;

/// A heartbeat is due this often.
const BEAT: Duration = Duration::from_millis(50);
/// How long mon waits for one before it takes the server for dead.
const PATIENCE: Duration = Duration::from_millis(400);

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("ann talks, mon listens for heartbeats, server on {address}");
    let ann = TcpStream::connect(address)?;
    let random = Random::new(knobs.seed, 0);
    let end = Instant::now() + knobs.time;
    thread::scope(|scope| {
        start(scope, "ann", move || talk(ann, end, random))?;
        start(scope, "mon", move || listen(address))?;
        serve(Traced::new(listener), knobs.fixed)
    })
}

/// The event loop, until ann hangs up.
fn serve(listener: Traced<TcpListener>, fixed: bool) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    loopscope::name_fd(&listener, "listen");
    let (mut ann, _) = listener.accept()?;
    loopscope::name_fd(&ann, "ann");
    epoll.add(&listener, Interest::IN, LISTENER)?;
    epoll.add(&ann, Interest::IN, ANN)?;
    let mut mon: Option<Traced<TcpStream>> = None;
    let mut events = Events::with_capacity(16);
    let mut due = Instant::now() + BEAT;
    timer::armed("heartbeat", 1, due);
    loop {
        if !fixed {
            // The trap: "in 50 ms", said again before every wait.
            due = Instant::now() + BEAT;
            timer::armed("heartbeat", 1, due);
        }
        let left = due.saturating_duration_since(Instant::now());
        epoll.wait(&mut events, Some(left))?;
        for event in &events {
            match event.data() {
                LISTENER => {
                    let (client, _) = listener.accept()?;
                    loopscope::name_fd(&client, "mon");
                    epoll.add(&client, Interest::IN, MON)?;
                    mon = Some(client); // and closes the one before
                }
                ANN => match ann.read(&mut [0; 1])? {
                    0 => return Ok(()),
                    _ => ann.write_all(b".")?,
                },
                _ => mon = None, // has hung up
            }
        }
        // After every wait, whatever ended it.
        if Instant::now() >= due {
            let _fired = timer::fired("heartbeat", 1);
            due += BEAT;
            timer::armed("heartbeat", 1, due);
            if let Some(mon) = &mut mon {
                // Who has just hung up is no reason to stop.
                let _ = mon.write(b"*");
            }
        }
    }
}

/// ann: a word every 20 ms, about.
fn talk(mut stream: TcpStream, end: Instant, mut random: Random) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    while Instant::now() < end {
        supplier.supplied(|| stream.write(b"?"))?;
        stream.read_exact(&mut [0])?;
        thread::sleep(Duration::from_micros(15_000 + random.below(10_000)));
    }
    Ok(())
}

/// mon: connects, listens for heartbeats, and gives up when none comes; until there is no server any more.
fn listen(address: SocketAddr) -> io::Result<()> {
    loop {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        loop {
            match stream.read(&mut [0; 1]) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        mark!("mon gives up");
    }
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let beats = |seen: &Seen| {
        let begin = seen.waits.iter().map(|wait| wait.t).min().unwrap_or(0);
        let end = seen.waits.iter().map(|wait| wait.t + wait.ns).max();
        let due = end.unwrap_or(0).saturating_sub(begin) / BEAT.as_nanos() as u64;
        (seen.fd("mon").bytes_out, due)
    };
    let gave_up = |seen: &Seen| {
        seen.marks
            .iter()
            .filter(|m| m.name == "mon gives up")
            .count()
    };
    let ((sent, due), (sent_fixed, due_fixed)) = (beats(broken), beats(fixed));
    vec![
        Claim::new(
            "less than a third of the heartbeats are sent",
            format!("{sent} of {due}"),
            due > 0 && 3 * sent < due,
        ),
        Claim::new(
            "mon takes a busy server for dead, hangs up and comes back",
            format!("{} times", gave_up(broken)),
            gave_up(broken) >= 1,
        ),
        Claim::new(
            "repaired, two thirds of them or more are sent",
            format!("{sent_fixed} of {due_fixed}"),
            3 * sent_fixed >= 2 * due_fixed,
        ),
        Claim::new(
            "and mon never gives up",
            format!("{} times", gave_up(fixed)),
            gave_up(fixed) == 0,
        ),
    ]
}
