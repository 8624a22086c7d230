//! creeping-block: a server answers ann, bob, cid and dee, and each of their handlers calls note(), which writes down who has asked. People
//! read names, so note() asks a resolver whose number this is; that takes 2 ms. In version 1 note() sends the question and returns:
//! the answer is an event like any other, and the line is written then. Version 2 has been tidied up: note() sends the question,
//! reads the answer and writes the line, and the list of lines that wait for a name is gone. Its name, what it takes and
//! what it returns are the same, the handlers have not been touched, all tests pass. But note() blocks now, and whoever calls it.
//!
//! --fixed is version 1. Nothing alarms: 2 ms are less than any limit. What tells is a comparison: `loopscope diff` of the two.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, mark};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use super::claim::{Change, ms};
use super::kit::{connect, start};
use super::{Claim, Dials, Knobs, Random, Seen};

/// The clients, in the order in which they connect; their data words are 0, 1, 2, 3.
const NAMES: [&str; 4] = ["ann", "bob", "cid", "dee"];
const RESOLVER: u64 = 100;
/// After an answer a client thinks for so long.
const THINK: Duration = Duration::from_millis(11);

/// Runs server, resolver and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let version = if knobs.fixed { 1 } else { 2 };
    println!("four clients, server version {version} on {address}");
    let (questions, asked) = UnixStream::pair()?;
    loopscope::name_fd(&questions, "resolver");
    let end = Instant::now() + knobs.time;
    let mut clients = Vec::new();
    thread::scope(|scope| {
        for (id, stream) in connect(address, NAMES.len())?.into_iter().enumerate() {
            let client = Traced::new(listener.accept()?.0);
            loopscope::name_fd(&client, NAMES[id]);
            clients.push(Some(client));
            let random = Random::new(knobs.seed, id as u64);
            start(scope, NAMES[id], move || ask(stream, end, random))?;
        }
        start(scope, "resolver", move || resolve(asked, &knobs.dials))?;
        let resolver = Traced::new(questions);
        let log = Log {
            resolver,
            waiting: knobs.fixed.then(VecDeque::new),
            lines: 0,
        };
        serve(clients, log)
    })
}

/// The event loop, until all have hung up.
fn serve(mut clients: Vec<Option<Traced<TcpStream>>>, mut log: Log) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    for (id, client) in clients.iter().flatten().enumerate() {
        epoll.add(client, Interest::IN, id as u64)?;
    }
    if log.waiting.is_some() {
        epoll.add(&log.resolver, Interest::IN, RESOLVER)?;
    }
    let mut events = Events::with_capacity(16);
    let mut questions = 0_u64;
    while clients.iter().any(Option::is_some) {
        epoll.wait(&mut events, None)?;
        for event in &events {
            if event.data() == RESOLVER {
                log.named()?;
                continue;
            }
            // What follows is the same in both versions, letter by letter.
            let id = event.data() as usize;
            let Some(client) = &mut clients[id] else {
                continue;
            };
            if client.read(&mut [0; 1])? == 0 {
                clients[id] = None; // closes it
                continue;
            }
            questions += 1;
            log.note(id as u8)?;
            client.write_all(b".")?;
        }
    }
    mark!("the end", questions = questions, lines = log.lines);
    Ok(())
}

/// The log of who has asked.
struct Log {
    resolver: Traced<UnixStream>,
    /// Version 1: what is to be written when the name is there. Version 2 has done away with it.
    waiting: Option<VecDeque<u8>>,
    lines: u64,
}

impl Log {
    /// Writes down who has asked.
    fn note(&mut self, client: u8) -> io::Result<()> {
        self.resolver.write_all(&[client])?;
        if let Some(waiting) = &mut self.waiting {
            waiting.push_back(client);
            return Ok(());
        }
        // The trap: so much simpler, and nothing at the place where it is called says that it waits now.
        let mut name = [0; 3];
        self.resolver.read_exact(&mut name)?;
        self.write_line(client, name)
    }

    /// Version 1: the resolver has answered the first that waits.
    fn named(&mut self) -> io::Result<()> {
        let mut name = [0; 3];
        self.resolver.read_exact(&mut name)?;
        match self.waiting.as_mut().and_then(VecDeque::pop_front) {
            Some(client) => self.write_line(client, name),
            None => Ok(()),
        }
    }

    /// A line of the log; here it is only counted, if it is right.
    fn write_line(&mut self, client: u8, name: [u8; 3]) -> io::Result<()> {
        self.lines += u64::from(NAMES[client as usize].as_bytes() == name);
        Ok(())
    }
}

/// The resolver: names for numbers, one after the other, until nobody can ask any more.
fn resolve(mut asked: UnixStream, knobs: &Dials) -> io::Result<()> {
    let mut number = [0];
    while asked.read(&mut number)? > 0 {
        thread::sleep(Duration::from_millis(knobs.number("resolver") as u64));
        // A server that has ended while this one looked wants no answer.
        let _ = asked.write_all(NAMES[number[0] as usize].as_bytes());
    }
    Ok(())
}

/// A client: asks, waits for the answer, thinks.
fn ask(mut stream: TcpStream, end: Instant, mut random: Random) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    while Instant::now() < end {
        thread::sleep(THINK + Duration::from_micros(random.below(4_000)));
        supplier.supplied(|| stream.write(b"?"))?;
        stream.read_exact(&mut [0])?;
    }
    Ok(())
}

/// What a recording must show: what `loopscope diff` finds, and that nothing else has changed.
pub fn claims(version_2: &Seen, version_1: &Seen) -> Vec<Claim> {
    let mut claims = Vec::new();
    for name in NAMES {
        let of = |c: &&Change| c.role == name && c.figure == "run" && c.of_100 == 50;
        let found = version_2.changes.iter().find(of);
        claims.push(Claim::new(
            format!("diff says of {name}'s median run: worse"),
            found.map_or("nothing".to_owned(), |c| {
                format!("{}, from {} to {}", c.verdict, ms(c.before), ms(c.after))
            }),
            found.is_some_and(|c| c.verdict == "worse"),
        ));
    }
    let [told, never] = [version_1, version_2].map(|seen| seen.fd("resolver").ready);
    claims.push(Claim::new(
        "only in version 1 the loop is told of the resolver's answers",
        format!("{told} times, {never} times"),
        told > 0 && never == 0,
    ));
    let logged = |seen: &Seen| {
        let mark = seen.marks.iter().find(|m| m.name == "the end");
        mark.map_or((0, 0), |m| (m.number("lines"), m.number("questions")))
    };
    let ((lines, of), (again, asked)) = (logged(version_1), logged(version_2));
    claims.push(Claim::new(
        "both write the log; at the end of version 1 some lines wait for their names, one in ten at most",
        format!("{lines} of {of}, {again} of {asked}"),
        again > 0 && again == asked && lines > 0 && 10 * lines >= 9 * of,
    ));
    claims
}
