//! nested-epoll: an epoll descriptor can be watched by another epoll, and is readable while something in it is ready. So a program that
//! wants to serve the boss before everybody else puts the boss into an epoll of its own and watches that one, among the six guests,
//! in the big one. Does that put the boss in front? No. The kernel keeps one line of what is ready, in the order in which it
//! became ready. What was told and is still ready goes to the end of the line. The inner epoll stands in that line
//! like any descriptor: when the boss says a word it comes behind all the guests who have more to say.
//!
//! The repair: look there first. Between any two guests the program asks the inner epoll, with a time-out of zero. The place in the
//! big one stays, to wake the loop up when nobody else has anything to say.
//!
//! Nobody here runs at the same time: the boss speaks out of the loop's own thread, so the order is the kernel's alone.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, mark};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::kit::burn;
use super::{Claim, Knobs, Random, Seen};

const GUESTS: [&str; 6] = ["ann", "bob", "cid", "dee", "eve", "fay"];
/// The data word of the inner epoll in the big one.
const INNER: u64 = 100;
/// Events a wait of the big one returns at most. Six are ready: it cuts the line, and what is behind the cut comes next time.
const BATCH: usize = 3;
/// What a guest's message takes; every so many of them, or one more or less, the boss says a word.
const MESSAGE: Duration = Duration::from_millis(2);
const PAUSE: u64 = 17;
/// Bytes of a message.
const BYTES: usize = 16;

/// Runs all of it, in one thread.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let total = (knobs.time.as_micros() / MESSAGE.as_micros()) as usize;
    println!("six guests, {total} messages, and one boss");
    // Every guest has said all it has to say before the loop begins: always ready, each of them.
    let mut guests = Vec::new();
    let mut speakers = Vec::new();
    for name in GUESTS {
        let (here, mut there) = UnixStream::pair()?;
        loopscope::name_fd(&here, name);
        there.set_nonblocking(true)?;
        there.write_all(&vec![b'.'; BYTES * (total / GUESTS.len() + 1)])?;
        guests.push(Traced::new(here));
        speakers.push(there);
    }
    let (boss, speaks) = UnixStream::pair()?;
    loopscope::name_fd(&boss, "boss");
    let mut server = Server {
        guests,
        inner: Epoll::new()?,
        boss: Traced::new(boss),
        speaks,
        served: 0,
        spoke: None,
        next_word: PAUSE,
        random: Random::new(knobs.seed, 0),
    };
    serve(&mut server, total as u64, knobs.fixed)
}

/// What the handlers need, and the boss's own side.
struct Server {
    guests: Vec<Traced<UnixStream>>,
    /// The epoll that watches the boss.
    inner: Epoll,
    boss: Traced<UnixStream>,
    speaks: UnixStream,
    /// Messages of guests served so far, and how many it were when the boss spoke.
    served: u64,
    spoke: Option<u64>,
    next_word: u64,
    random: Random,
}

/// The event loop.
fn serve(server: &mut Server, total: u64, fixed: bool) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "everybody");
    loopscope::name_loop(&server.inner, "the boss");
    loopscope::name_fd(&server.inner, "inner");
    server.inner.add(&server.boss, Interest::IN, 0)?;
    epoll.add(&server.inner, Interest::IN, INNER)?;
    for (id, guest) in server.guests.iter().enumerate() {
        epoll.add(guest, Interest::IN, id as u64)?;
    }
    let mut events = Events::with_capacity(BATCH);
    while server.served < total {
        epoll.wait(&mut events, None)?;
        for event in &events {
            if event.data() == INNER {
                server.look_inside()?;
                continue;
            }
            server.guest(event.data() as usize)?;
            if fixed {
                // One system call for each guest: this is what gives the boss the first place.
                server.look_inside()?;
            }
        }
        // The trap is what is missing here: being in an epoll of its own gives nobody a place in front.
    }
    Ok(())
}

impl Server {
    /// A guest's message.
    fn guest(&mut self, id: usize) -> io::Result<()> {
        self.guests[id].read_exact(&mut [0; BYTES])?;
        burn(MESSAGE);
        self.served += 1;
        if self.spoke.is_none() && self.served >= self.next_word {
            self.spoke = Some(self.served);
            self.speaks.write_all(b"!")?;
            mark!("the boss speaks");
        }
        Ok(())
    }

    /// What is ready in the inner epoll? Without waiting.
    fn look_inside(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1);
        self.inner.wait(&mut events, Some(Duration::ZERO))?;
        for _ in &events {
            self.boss.read_exact(&mut [0])?;
            if let Some(spoke) = self.spoke.take() {
                mark!("the boss is heard", after = self.served - spoke);
            }
            self.next_word = self.served + PAUSE - 1 + self.random.below(3);
        }
        Ok(())
    }
}

/// What a recording must show. Counts and orders only: they are the kernel's, whatever else the machine does.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let between = |seen: &Seen| -> Vec<u64> {
        let heard = seen.marks.iter().filter(|m| m.name == "the boss is heard");
        heard.map(|mark| mark.number("after")).collect()
    };
    let (before, after) = (between(broken), between(fixed));
    let figures = |counts: &[u64]| match (counts.iter().min(), counts.iter().max()) {
        (Some(least), Some(most)) if least < most => format!("{least} to {most}"),
        (Some(n), _) => format!("{n} each time"),
        _ => "never heard".to_owned(),
    };
    // Each guest comes again when each of the others has come: the line is a queue.
    let line: Vec<&str> = (broken.told.iter().map(String::as_str))
        .filter(|name| GUESTS.contains(name))
        .collect();
    let rounds = line.chunks_exact(GUESTS.len());
    let in_order = rounds.clone().filter(|round| *round == GUESTS).count();
    let six = GUESTS.len() as u64;
    vec![
        Claim::new(
            format!(
                "six are ready and a wait returns {BATCH}; each comes again after all the others"
            ),
            format!("{in_order} of {} rounds in the same order", rounds.len()),
            rounds.len() > 0 && in_order == rounds.len(),
        ),
        Claim::new(
            "an epoll of its own is no place in front: all six or more are served before the boss is heard",
            figures(&before),
            !before.is_empty() && before.iter().all(|&n| n >= six),
        ),
        Claim::new(
            "with a look into the inner epoll after each guest, nobody is",
            figures(&after),
            !after.is_empty() && after.iter().all(|&n| n == 0),
        ),
    ]
}
