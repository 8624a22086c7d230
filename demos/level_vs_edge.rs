//! level-vs-edge: ann sends messages of 1,024 bytes, and the server reads 256 bytes at a time. Registered level-triggered
//! (the default) it reads once per event: epoll tells it of a *state*, so it is told again as long as something is
//! left, four times a message.
//!
//! `--fixed` registers the same client edge-triggered: epoll tells of a *change*, once a message, and the handler has to read
//! until EAGAIN. Neither is a bug. One asks the kernel more often, the other must not forget. Knobs: how it is registered, and
//! how much the server reads at a time.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{Claim, Dials, Knobs, Random, Seen};

/// A message.
const MESSAGE: usize = 1024;

/// Runs server and client.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("ann sends to {address}");
    let stream = TcpStream::connect(address)?;
    let (client, _) = listener.accept()?;
    let end = Instant::now() + knobs.time;
    let random = Random::new(knobs.seed, 0);
    thread::scope(|scope| {
        let ann = thread::Builder::new().name("ann".to_owned());
        ann.spawn_scoped(scope, move || send(stream, end, random))?;
        serve(client, &knobs.dials)
    })
}

/// The event loop, until ann hangs up.
fn serve(client: TcpStream, knobs: &Dials) -> io::Result<()> {
    client.set_nonblocking(true)?;
    let mut client = Traced::new(client);
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    loopscope::name_fd(&client, "ann");
    loopscope::name_handler(&epoll, 0, "ann");
    let interest = |edge| Interest::IN | if edge { Interest::EDGE } else { Interest::NONE };
    let mut edge = knobs.word("trigger") == "edge";
    epoll.add(&client, interest(edge), 0)?;

    let mut events = Events::with_capacity(64);
    let mut unanswered = 0;
    loop {
        epoll.wait(&mut events, None)?;
        if edge != (knobs.word("trigger") == "edge") {
            edge = !edge;
            epoll.modify(&client, interest(edge), 0)?;
        }
        for _event in &events {
            let mut buffer = vec![0; knobs.number("buffer")];
            loop {
                match client.read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(n) => unanswered += n,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) => return Err(e),
                }
                if !edge {
                    break; // the rest will be told of again
                }
                // Edge-triggered, a break here would leave the rest where it is: see et-not-drained.
            }
            if unanswered >= MESSAGE {
                unanswered -= MESSAGE;
                client.write_all(b"!")?;
            }
        }
    }
}

/// ann: a message, its answer, a pause.
fn send(mut stream: TcpStream, end: Instant, mut random: Random) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    while Instant::now() < end {
        supplier.supplied(|| stream.write_all(&[b'x'; MESSAGE]).map(|()| MESSAGE))?;
        stream.read_exact(&mut [0])?;
        thread::sleep(Duration::from_micros(15_000 + random.below(10_000)));
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let figures = |seen: &Seen| {
        let ann = seen.fd("ann");
        (ann.ready, ann.supplied / MESSAGE as u64)
    };
    let ((level, sent), (edge, sent_edge)) = (figures(broken), figures(fixed));
    vec![
        // The hang-up is told of as well.
        Claim::new(
            "level-triggered: four wakeups a message",
            format!("{level} for {sent}"),
            sent > 0 && (4 * sent..=4 * sent + 1).contains(&level),
        ),
        Claim::new(
            "edge-triggered: one wakeup a message",
            format!("{edge} for {sent_edge}"),
            sent_edge > 0 && (sent_edge..=sent_edge + 1).contains(&edge),
        ),
        Claim::new(
            "all bytes arrive either way",
            format!(
                "{} and {}",
                broken.fd("ann").bytes_in,
                fixed.fd("ann").bytes_in
            ),
            broken.fd("ann").bytes_in == broken.fd("ann").supplied
                && fixed.fd("ann").bytes_in == fixed.fd("ann").supplied,
        ),
    ]
}
