//! blocking-handler: a mio server whose clients ask for different things. ann, bob and cid ask for the time of day.
//! sleepy asks for something whose handler sleeps for 50 ms, disk for something that is read from a slow disk: a pipe
//! that another thread fills after 50 ms. The loop has one thread, so while it sleeps or waits, everybody does.
//!
//! The repair: a worker thread does the slow work, and wakes the loop when the answer is there. Both are knobs: who, and how slow.

use loopscope::mio::net::{TcpListener, TcpStream};
use loopscope::mio::{Events, Interest, Poll, Registry, Token, Waker};
use loopscope::{Recorder, Supplier};
use std::io::{self, Read, Write};
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::claim::{ms, waits};
use super::kit::{SlowDisk, connect, start, unless_eagain};
use super::{Claim, Dials, Knobs, Random, Seen};

/// The clients, in the order in which they connect.
const NAMES: [&str; 5] = ["sleepy", "disk", "ann", "bob", "cid"];
const LISTENER: Token = Token(100);
/// A worker has an answer.
const ANSWERS: Token = Token(101);

/// How often each slow client asks; they take turns.
const PERIOD: Duration = Duration::from_millis(200);

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = listener.local_addr()?;
    println!("five clients, server on {address}");
    let streams = connect(address, NAMES.len())?;
    let end = Instant::now() + knobs.time;
    thread::scope(|scope| {
        for (id, (name, stream)) in NAMES.into_iter().zip(streams).enumerate() {
            let random = Random::new(knobs.seed, id as u64);
            start(scope, name, move || ask(name, stream, end, random))?;
        }
        serve(listener, &knobs.dials)
    })
}

/// The server: what its handlers need.
struct Server<'k> {
    knobs: &'k Dials,
    clients: Vec<Option<TcpStream>>,
    disk: SlowDisk,
    /// Where the slow work goes in the repaired server: whose it is, and how long it takes.
    worker: Sender<(usize, Duration)>,
}

/// The event loop.
fn serve(mut listener: TcpListener, knobs: &Dials) -> io::Result<()> {
    let mut poll = Poll::new()?;
    loopscope::name_loop(&poll, "server");
    loopscope::name_fd(&listener, "listen");
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let waker = Arc::new(Waker::new(poll.registry(), ANSWERS)?);
    let (answers, answered) = channel();
    let mut server = Server {
        knobs,
        clients: Vec::new(),
        disk: SlowDisk::new()?,
        worker: start_worker(waker, answers)?,
    };
    let mut events = Events::with_capacity(64);
    let mut gone = 0;
    while gone < NAMES.len() {
        poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                LISTENER => server.accept_all(&listener, poll.registry())?,
                ANSWERS => answered.try_iter().try_for_each(|id| server.answer(id))?,
                Token(id) => gone += usize::from(!server.handle(id)?),
            }
        }
    }
    Ok(())
}

impl Server<'_> {
    /// mio is edge-triggered: accept until there is nobody left.
    fn accept_all(&mut self, listener: &TcpListener, registry: &Registry) -> io::Result<()> {
        while let Some((mut client, _)) = unless_eagain(listener.accept())? {
            let id = self.clients.len();
            loopscope::name_fd(&client, NAMES[id]);
            loopscope::name_handler(registry, id, NAMES[id]);
            registry.register(&mut client, Token(id), Interest::READABLE)?;
            self.clients.push(Some(client));
        }
        Ok(())
    }

    /// The handler: a request is one byte. `false`: the client has hung up.
    fn handle(&mut self, id: usize) -> io::Result<bool> {
        let Some(client) = &mut self.clients[id] else {
            return Ok(true);
        };
        let mut request = [0; 16];
        let Some(n) = unless_eagain(client.read(&mut request))? else {
            return Ok(true);
        };
        if n == 0 {
            self.clients[id] = None; // closes it
            return Ok(false);
        }
        // The client sends nothing more before it has its answer: one read has drained the socket.
        let slow = Duration::from_millis(self.knobs.number("slow") as u64);
        match request[0] {
            b's' | b'd' if self.knobs.word("work") == "in a worker" => {
                // The worker lives as long as this sender.
                self.worker.send((id, slow)).map_err(io::Error::other)?;
                return Ok(true); // the answer comes later; the loop goes on
            }
            b's' => loopscope::call("sleep", || thread::sleep(slow)),
            b'd' => read_from(&mut self.disk, slow)?,
            _ => {}
        }
        self.answer(id).map(|()| true)
    }

    fn answer(&mut self, id: usize) -> io::Result<()> {
        match &mut self.clients[id] {
            Some(client) => client.write_all(b"now"),
            None => Ok(()),
        }
    }
}

/// Blocks until a block is there.
fn read_from(disk: &mut SlowDisk, slow: Duration) -> io::Result<()> {
    let answer = disk.ask(slow)?;
    loopscope::call("read from disk", || answer.read_exact(&mut [0; 5]))
}

/// The repaired server's helper: does the slow work where it holds nobody up, then wakes the loop.
fn start_worker(
    waker: Arc<Waker>,
    answers: Sender<usize>,
) -> io::Result<Sender<(usize, Duration)>> {
    let (jobs, todo) = channel::<(usize, Duration)>();
    let mut disk = SlowDisk::new()?;
    thread::Builder::new()
        .name("worker".to_owned())
        .spawn(move || -> io::Result<()> {
            for (id, slow) in todo {
                match NAMES[id] {
                    "sleepy" => loopscope::call("sleep", || thread::sleep(slow)),
                    _ => read_from(&mut disk, slow)?,
                }
                // A loop that has ended needs no answer.
                let _ = answers.send(id);
                waker.wake()?;
            }
            Ok(())
        })?;
    Ok(jobs)
}

/// A client: asks, waits for the answer, pauses.
fn ask(name: &str, mut stream: net::TcpStream, end: Instant, mut random: Random) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    let request = &name.as_bytes()[..1]; // s, d, or anything else
    let turn = if name == "disk" { 1 } else { 0 };
    let mut next = Instant::now() + PERIOD / 2 * turn;
    while next < end {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        supplier.supplied(|| stream.write(request))?;
        stream.read_exact(&mut [0; 3])?;
        next = match request {
            b"s" | b"d" => next + PERIOD,
            _ => Instant::now() + Duration::from_micros(6_000 + random.below(6_000)),
        };
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let mut claims = Vec::new();
    for name in &NAMES[2..] {
        let (before, after) = waits(broken, fixed, name, 0.95);
        claims.push(Claim::new(
            format!("one in twenty of {name}'s requests waits 20 ms or more"),
            ms(before),
            before >= 20_000_000,
        ));
        claims.push(Claim::new(
            format!("that is at least 4 times what half of them wait when repaired ({name})"),
            format!("{} against {}", ms(before), ms(after)),
            before / 4 >= after,
        ));
    }
    claims
}
