//! half-close: ann sends a request and says with shutdown(2) that she sends nothing more; she still listens for the answer. This is
//! how `nc -N`, rsync and many protocols say "that was all". The server reads the request, reads the end of file, and needs
//! 60 ms for the answer. It keeps the connection, which is right, and it goes on asking for IN, which is not: the end of
//! a stream is a state, it is readable for ever, and every wait returns at once to say so.
//!
//! The repair: the end of the stream is the last thing there is to read. Ask no more for IN, and close when the answer is out.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, timer};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::kit::{burn, start, unless_eagain};
use super::{Claim, Knobs, Random, Seen};

const LISTENER: u64 = u64::MAX;
/// How long it takes until an answer is there, from somewhere else.
const ANSWER: Duration = Duration::from_millis(60);
/// ann asks this often, or a little later.
const PERIOD: Duration = Duration::from_millis(110);
/// What the loop does besides on every turn. A real one does less, and spins faster; this keeps the recording small.
const TURN: Duration = Duration::from_micros(400);

/// Runs server and client.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let questions = (knobs.time.as_micros() / PERIOD.as_micros()) as usize;
    println!("{questions} questions, server on {address}");
    let random = Random::new(knobs.seed, 0);
    thread::scope(|scope| {
        start(scope, "ann", move || ask(address, questions, random))?;
        serve(Traced::new(listener), questions, knobs.fixed)
    })
}

/// A connection: its end has been read, and when its answer is due.
struct Client {
    stream: Traced<TcpStream>,
    due: Option<Instant>,
}

/// The event loop, until every question is answered.
fn serve(listener: Traced<TcpListener>, questions: usize, fixed: bool) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    loopscope::name_fd(&listener, "listen");
    epoll.add(&listener, Interest::IN, LISTENER)?;
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut events = Events::with_capacity(16);
    let mut answered = 0;
    while answered < questions {
        let waiting = clients.iter().flatten();
        let next = waiting.filter_map(|client| client.due).min();
        let left = next.map(|due| due.saturating_duration_since(Instant::now()));
        epoll.wait(&mut events, left)?;
        for event in &events {
            if event.data() == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                loopscope::name_fd(&stream, "ann");
                epoll.add(&stream, Interest::IN, clients.len() as u64)?;
                clients.push(Some(Client { stream, due: None }));
                continue;
            }
            let id = event.data() as usize;
            let Some(client) = &mut clients[id] else {
                continue;
            };
            match unless_eagain(client.stream.read(&mut [0; 64]))? {
                // The trap: nothing to do here, and nothing to wait for, but it stays readable.
                Some(0) if !fixed => {}
                // Only errors and a hang-up of both sides from now on: those are told unasked.
                Some(0) => epoll.modify(&client.stream, Interest::NONE, id as u64)?,
                Some(_) => {
                    let due = Instant::now() + ANSWER;
                    timer::armed("answer", id as u64, due);
                    client.due = Some(due);
                }
                None => {}
            }
        }
        for (id, slot) in clients.iter_mut().enumerate() {
            let due = slot.as_ref().and_then(|client| client.due);
            if due.is_some_and(|due| due <= Instant::now()) {
                let _fired = timer::fired("answer", id as u64);
                if let Some(mut client) = slot.take() {
                    client.stream.write_all(b"42")?;
                    answered += 1; // and closes it
                }
            }
        }
        burn(TURN);
    }
    Ok(())
}

/// ann: a question, "that was all", and the answer.
fn ask(address: SocketAddr, questions: usize, mut random: Random) -> io::Result<()> {
    for _ in 0..questions {
        let next = Instant::now() + PERIOD;
        let mut stream = TcpStream::connect(address)?;
        Supplier::new(&stream)?.supplied(|| stream.write(b"what is the answer?"))?;
        thread::sleep(Duration::from_micros(1_000 + random.below(4_000)));
        stream.shutdown(std::net::Shutdown::Write)?;
        stream.read_exact(&mut [0; 2])?;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let figures = |seen: &Seen| {
        let ann = seen.fd("ann");
        (ann.ready, ann.bytes_out / 2)
    };
    let ((told, answers), (told_fixed, answers_fixed)) = (figures(broken), figures(fixed));
    vec![
        Claim::new(
            "the server is told of ann five times or more for each answer, on a busy machine too",
            format!("{told} times for {answers}"),
            answers > 0 && told >= 5 * answers,
        ),
        Claim::new(
            "repaired, three times at most: her question, her end, and what is left of them",
            format!("{told_fixed} times for {answers_fixed}"),
            answers_fixed > 0 && told_fixed <= 3 * answers_fixed,
        ),
        Claim::new(
            "ann gets all of her answers, either way",
            format!("{answers} and {answers_fixed}"),
            answers > 0 && answers == answers_fixed,
        ),
        Claim::new(
            "and the repaired loop sleeps while there is nothing to do",
            format!(
                "busy {:.0}%, and {:.0}%",
                100.0 * broken.busy(),
                100.0 * fixed.busy()
            ),
            fixed.busy() < 0.2 && broken.busy() > 2.0 * fixed.busy(),
        ),
    ]
}
