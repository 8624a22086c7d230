//! http-fsm: a server that reads requests as HTTP has them: lines, and an empty line at the end. ann sends hers in one piece. dot sits
//! behind a slow line: her request comes byte by byte, 4 ms from one to the next. And loris never means to finish: he sends a byte
//! now and then and keeps the connection. The server's handler calls a function that reads until the empty line, as
//! such functions do, and it returns when it has it. A readable socket promises one byte, not a request: while the
//! function waits for dot's next byte nobody else is served, and for loris it waits until he goes.
//!
//! The repair: the handler takes what is there and returns. How far a request has come is a state, one for each connection: what
//! would be a place in that function is a value in a table. And a deadline for the whole of it, since loris costs nothing but a
//! connection, for ever.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, mark};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::claim::{ms, waits};
use super::kit::{accept_named, connect_as, start, unless_eagain};
use super::{Claim, Knobs, Random, Seen};

const LISTENER: u64 = u64::MAX;
const REQUEST: &[u8] = b"GET /time HTTP/1.1\r\n\r\n";
/// ann's pause; from one of dot's bytes to the next, and of loris's.
const PAUSE: Duration = Duration::from_millis(10);
const SLOW: Duration = Duration::from_millis(4);
const SLOWER: Duration = Duration::from_millis(100);
/// A request has to be there so long after its first byte.
const PATIENCE: Duration = Duration::from_millis(300);

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("ann, dot and later loris, server on {address}");
    let (begin, random) = (Instant::now(), Random::new(knobs.seed, 0));
    let (end, later) = (begin + knobs.time, begin + knobs.time * 3 / 5);
    let (ann, dot) = (connect_as("ann", address)?, connect_as("dot", address)?);
    let again = random.clone();
    thread::scope(|scope| {
        start(scope, "ann", move || ask(ann, Duration::ZERO, end, random))?;
        start(scope, "dot", move || ask(dot, SLOW, end, again))?;
        start(scope, "loris", move || hold(address, later, end))?;
        serve(Traced::new(listener), end, knobs.fixed)
    })
}

/// How far a request has come: what was seen last.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Text,        // something inside a line
    Return,      // \r, the first half of a line's end
    Line,        // a line's end; also the beginning
    EmptyReturn, // \r where no line has begun
    Whole,       // an empty line: the request is there
}

impl State {
    /// One byte on: the function that waited, cut where it did.
    fn after(self, byte: u8) -> State {
        match (self, byte) {
            (State::Line, b'\r') => State::EmptyReturn,
            (State::EmptyReturn, b'\n') => State::Whole,
            (State::Return, b'\n') => State::Line,
            (_, b'\r') => State::Return,
            _ => State::Text,
        }
    }
}

/// A connection.
struct Client {
    stream: Traced<TcpStream>,
    state: State,
    /// When its request has to be there, once it has begun; else the end of it all.
    due: Instant,
}

/// The event loop. Whoever is connected in the end is left.
fn serve(listener: Traced<TcpListener>, end: Instant, fixed: bool) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    loopscope::name_fd(&listener, "listen");
    epoll.add(&listener, Interest::IN, LISTENER)?;
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut events = Events::with_capacity(16);
    while Instant::now() < end {
        let next = clients.iter().flatten().map(|client| client.due);
        let left = next.fold(end, Instant::min) - Instant::now();
        epoll.wait(&mut events, Some(left))?;
        for event in &events {
            if event.data() == LISTENER {
                let stream = accept_named(&listener)?;
                stream.set_nonblocking(fixed)?;
                epoll.add(&stream, Interest::IN, clients.len() as u64)?;
                let (state, due) = (State::Line, end);
                clients.push(Some(Client { stream, state, due }));
                continue;
            }
            let slot = &mut clients[event.data() as usize];
            if let Some(client) = slot
                && !client.handle(end).unwrap_or(false)
            {
                *slot = None; // closes it
            }
        }
        for slot in &mut clients {
            // 408 Request Timeout, as HTTP calls it.
            if fixed && slot.as_ref().is_some_and(|c| c.due <= Instant::now()) {
                mark!("408");
                *slot = None;
            }
        }
    }
    Ok(())
}

impl Client {
    /// The handler. `false`: the client has gone.
    fn handle(&mut self, end: Instant) -> io::Result<bool> {
        loop {
            let mut byte = [0];
            match unless_eagain(self.stream.read(&mut byte))? {
                Some(0) => return Ok(false),
                Some(_) => self.state = self.state.after(byte[0]),
                // Only when repaired: nothing more now. The state says where to go on.
                None => break,
            }
            if self.state == State::Whole {
                (self.state, self.due) = (State::Line, end);
                self.stream.write_all(b"now")?;
                break;
            }
            // The trap: round again, and there the thread sleeps until the next byte comes.
        }
        if self.state != State::Line && self.due == end {
            self.due = Instant::now() + PATIENCE;
        }
        Ok(true)
    }
}

/// ann and dot: a request, at once or byte by byte, its answer, a pause.
fn ask(mut stream: TcpStream, gap: Duration, end: Instant, mut load: Random) -> io::Result<()> {
    let size = if gap.is_zero() { REQUEST.len() } else { 1 };
    let supplier = Supplier::new(&stream)?;
    while Instant::now() < end {
        thread::sleep(PAUSE + 20 * gap + Duration::from_micros(load.below(6_000)));
        for piece in REQUEST.chunks(size) {
            thread::sleep(gap);
            supplier.supplied(|| stream.write(piece))?;
        }
        if stream.read(&mut [0; 3])? == 0 {
            break; // the server has ended
        }
    }
    Ok(())
}

/// loris: comes later, never finishes, and comes again when he is thrown out.
fn hold(address: SocketAddr, later: Instant, end: Instant) -> io::Result<()> {
    thread::sleep(later.saturating_duration_since(Instant::now()));
    while Instant::now() < end {
        let mut stream = connect_as("loris", address)?;
        stream.write_all(b"x")?;
        mark!("loris comes");
        // A write to a connection that the server has closed fails, the second time at the latest.
        while Instant::now() < end && stream.write_all(b"x").is_ok() {
            thread::sleep(SLOWER);
        }
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let (before, after) = waits(broken, fixed, "ann", 0.95);
    // Waits that began after loris had come, and have returned; and how often he is thrown out.
    let figures = |seen: &Seen| {
        let marks = |name| seen.marks.iter().filter(move |m| m.name == name);
        let comes = marks("loris comes").next().map_or(u64::MAX, |m| m.t);
        let later = seen.waits.iter().filter(|w| w.t > comes).count();
        (later, marks("408").count())
    };
    let ((alone, stays), (together, thrown_out)) = (figures(broken), figures(fixed));
    vec![
        Claim::new(
            "one in twenty of ann's requests waits 30 ms or more, 4 times what half of them wait when repaired",
            format!("{} against {}", ms(before), ms(after)),
            before >= 30_000_000 && before / 4 >= after,
        ),
        Claim::new(
            "when loris has come the loop is in its wait twice more, then never again",
            format!("{alone} times, repaired {together}; he is thrown out {thrown_out} times"),
            alone <= 3 && together > 10 && stays == 0 && thrown_out >= 1,
        ),
    ]
}
