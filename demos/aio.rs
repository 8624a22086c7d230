//! aio: bob wants pieces of a file on a disk, ann has small questions. A file is always ready, so no epoll tells when a read of it would
//! not wait; but the kernel can read while the loop does something else (asynchronous I/O: io_submit now, io_getevents later). The loop is
//! free. How does it hear that the read is done? Here nobody tells it, so it asks: as long as a read is under way it sleeps
//! 20 ms at most, and looks. The disk takes a millisecond, bob's answer twenty, and the machine is idle.
//!
//! The repair: the kernel adds one to an eventfd when the read is done (IOCB_FLAG_RESFD), and that is readable then: the loop
//! asks for it like for any other. A knob has a signal as well, whose handler rings the same bell, and io_uring, which rings it too.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, mark, task};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::aio_file::{AioFile, PIECES, RING_REFUSED, Told};
use super::claim::{median, ms};
use super::kit::start;
use super::{Claim, Dials, Knobs, Random, Seen};

/// The data words.
const BOB: u64 = 0;
const ANN: u64 = 1;
const BELL: u64 = 2;
/// bob asks so long after an answer, ann more seldom.
const PAUSE: Duration = Duration::from_millis(10);
const SELDOM: Duration = Duration::from_millis(90);
/// How long the loop sleeps at most in the broken program, as its lesson says; what a claim needs of it.
const EVERY: Duration = Duration::from_millis(20);
const REFUSED: &str = "asynchronous reads are refused";

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let file = match AioFile::new() {
        Ok(file) => file,
        Err(why) => {
            println!("nothing to see here: {REFUSED} ({why}); --recorded shows it");
            mark!(REFUSED);
            return Ok(());
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("bob wants what is on a disk, ann has questions, server on {address}");
    let clients = [TcpStream::connect(address)?, TcpStream::connect(address)?];
    let bob = Traced::new(listener.accept()?.0);
    let ann = Traced::new(listener.accept()?.0);
    loopscope::name_fd(&bob, "bob");
    loopscope::name_fd(&ann, "ann");
    loopscope::name_fd(&file, "bell");
    let end = Instant::now() + knobs.time;
    thread::scope(|scope| {
        let [to_bob, to_ann] = clients;
        let random = |stream| Random::new(knobs.seed, stream);
        let (bobs, anns) = (random(0), random(1));
        start(scope, "bob", move || ask("bob", to_bob, PAUSE, end, bobs))?;
        start(scope, "ann", move || ask("ann", to_ann, SELDOM, end, anns))?;
        serve(bob, ann, file, &knobs.dials)
    })
}

/// The event loop, until both have gone.
fn serve(
    mut bob: Traced<TcpStream>,
    mut ann: Traced<TcpStream>,
    mut file: AioFile,
    knobs: &Dials,
) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    epoll.add(&bob, Interest::IN, BOB)?;
    epoll.add(&ann, Interest::IN, ANN)?;
    epoll.add(&file, Interest::IN, BELL)?;
    let mut events = Events::with_capacity(16);
    let (mut here, mut piece) = (2, 0);
    while here > 0 {
        let every = Duration::from_millis(knobs.number("every") as u64);
        // The trap: nobody will say that it is done. A long sleep is a late answer, a short one wakes up for nothing.
        let patience = (file.under_way() == Some(Told::Nobody)).then_some(every);
        match epoll.wait(&mut events, patience) {
            Err(e) if e.kind() == ErrorKind::Interrupted => continue, // the signal; its bell rings
            waited => waited?,
        }
        if patience.is_some() {
            let _look = task::begin("look", 0);
            answer(&mut bob, &mut file)?;
        }
        for event in &events {
            match event.data() {
                BELL => {
                    let _ = loopscope::io::read(&file, &mut [0; 8])?;
                    answer(&mut bob, &mut file)?;
                }
                BOB if bob.read(&mut [0; 1])? > 0 => {
                    let told = match knobs.word("told") {
                        "signal" => Told::Signal,
                        "eventfd" => Told::Bell,
                        "io_uring" => Told::Ring,
                        _ => Told::Nobody,
                    };
                    loopscope::call("begin to read", || file.read(piece, told))?;
                    piece += 1;
                }
                ANN if ann.read(&mut [0; 1])? > 0 => ann.write_all(b".")?,
                gone => {
                    epoll.delete(if gone == BOB { &bob } else { &ann })?;
                    here -= 1;
                }
            }
        }
    }
    Ok(())
}

/// bob's answer, if the read is done.
fn answer(bob: &mut Traced<TcpStream>, file: &mut AioFile) -> io::Result<()> {
    match loopscope::call("is it done?", || file.finished())? {
        Some(byte) => bob.write_all(&[byte]),
        None => Ok(()),
    }
}

/// A client: asks, waits for the answer, pauses. bob's answers are the pieces of the file, one after the other.
fn ask(
    name: &'static str,
    mut stream: TcpStream,
    pause: Duration,
    end: Instant,
    mut random: Random,
) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    for number in 0.. {
        thread::sleep(pause + Duration::from_micros(random.below(5_000)));
        if Instant::now() >= end {
            break;
        }
        let (asked, mut byte) = (Instant::now(), [0]);
        supplier.supplied(|| stream.write(b"?"))?;
        stream.read_exact(&mut byte)?;
        if name == "bob" {
            let us = asked.elapsed().as_micros() as u64;
            let right = u64::from(byte[0]) == number % PIECES;
            mark!("bob", us = us, right = u64::from(right));
        }
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let refused = |seen: &Seen| seen.marks.iter().any(|m| m.name == REFUSED);
    if refused(broken) || refused(fixed) {
        return vec![Claim::new("nothing is claimed here", REFUSED, true)];
    }
    let answers = |seen: &Seen| -> (u64, u64, u64) {
        let all: Vec<_> = seen.marks.iter().filter(|m| m.name == "bob").collect();
        let right = all.iter().map(|m| m.number("right")).sum();
        let us = all.iter().map(|m| 1_000 * m.number("us"));
        (all.len() as u64, right, median(us.collect()))
    };
    let empty = |seen: &Seen| seen.waits.iter().filter(|wait| wait.n == 0).count();
    let ((polled, right, slow), (told, all_right, quick)) = (answers(broken), answers(fixed));
    let every = EVERY.as_nanos() as u64;
    let tried = fixed.marks.iter().find(|m| m.name.starts_with("io_uring"));
    let ring = tried.cloned().unwrap_or_default();
    vec![
        Claim::new(
            "io_uring reads a piece before anybody is served, or is refused",
            format!("{} {}", ring.name, ring.fields),
            ring.name == RING_REFUSED || ring.number("right") == 1,
        ),
        Claim::new(
            "nobody tells: half of bob's answers take three quarters of the time-out or more",
            format!("{} of {}", ms(slow), ms(every)),
            4 * slow >= 3 * every,
        ),
        Claim::new(
            "with an eventfd they take half as long, at most",
            format!("{} against {}", ms(quick), ms(slow)),
            told > 0 && 2 * quick <= slow,
        ),
        Claim::new(
            "nobody tells: many answers are found when a time-out has passed; with an eventfd none passes",
            format!(
                "{} for {polled} answers, {} for {told}",
                empty(broken),
                empty(fixed)
            ),
            4 * empty(broken) as u64 >= polled && empty(fixed) == 0,
        ),
        Claim::new(
            "bob has the right pieces either way",
            format!("{right} of {polled}, {all_right} of {told}"),
            right > 0 && right == polled && all_right > 0 && all_right == told,
        ),
    ]
}
