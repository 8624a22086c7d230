//! fork-around-epoll: a server forks a child now and then, which writes a report and has no business with the clients. A fork copies
//! the table of descriptors, so the child tidies up: it takes every client off the epoll and closes it. The close is its own
//! affair, its table is a copy. The DEL is not: both tables point to one epoll, and one interest list is all there is. ann
//! is off the parent's list too, and the parent is not told. She asks, and nobody hears her.
//!
//! The repair: the child does not touch what it has inherited but to close it, and makes an epoll of its own.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, mark};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::kit::start;
use super::{Claim, Knobs, Random, Seen};

/// The data words.
const DOOR: u64 = 0;
const ANN: u64 = 1;
/// A report is due this often, for the first time after half of it, and takes so long to write.
const ROUND: Duration = Duration::from_millis(500);
const WRITES: Duration = Duration::from_millis(40);
/// ann asks this often, and gives a server up that has not answered for so long.
const PAUSE: Duration = Duration::from_millis(15);
const PATIENCE: Duration = Duration::from_millis(300);

/// Runs server and client.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("ann asks, a child writes reports, server on {address}");
    let (random, fixed) = (Random::new(knobs.seed, 0), knobs.fixed);
    let rounds = (knobs.time.as_micros() / ROUND.as_micros()).max(1) as u32;
    thread::scope(|scope| {
        start(scope, "ann", move || ask(address, random))?;
        serve(Traced::new(listener), rounds, fixed)
    })
}

/// The event loop, with a report in every round.
fn serve(listener: Traced<TcpListener>, rounds: u32, fixed: bool) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    loopscope::name_fd(&listener, "listen");
    epoll.add(&listener, Interest::IN, DOOR)?;
    let mut ann: Option<Traced<TcpStream>> = None;
    let mut child = None;
    let begin = Instant::now();
    let (mut reports, mut due) = (0, begin + ROUND / 2);
    let mut events = Events::with_capacity(16);
    loop {
        let left = due.saturating_duration_since(Instant::now());
        epoll.wait(&mut events, Some(left))?;
        for event in &events {
            if event.data() == DOOR {
                let (client, _) = listener.accept()?;
                loopscope::name_fd(&client, "ann");
                epoll.add(&client, Interest::IN, ANN)?;
                // A connection before this one is closed now: until then the server has held it, and not known that she has gone.
                ann = Some(client);
            } else if let Some(client) = &mut ann
                && client.read(&mut [0; 1])? > 0
            {
                client.write_all(b".")?;
            }
        }
        if Instant::now() < due {
            continue;
        }
        if let Some(pid) = child.take() {
            // It has ended long ago; nobody else waits for it.
            // SAFETY: the child is ours, and no status is asked for.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        }
        if reports == rounds {
            return Ok(());
        }
        reports += 1;
        due += ROUND;
        mark!("forks", report = reports);
        // SAFETY: the child does what is allowed in a copy of one thread of several: system calls, and then it ends.
        match unsafe { libc::fork() } {
            -1 => return Err(io::Error::last_os_error()),
            0 if fixed => own_epoll(epoll, ann),
            0 => tidy_up(&epoll, ann),
            pid => child = Some(pid),
        }
    }
}

/// The child of the broken server.
fn tidy_up(epoll: &Epoll, ann: Option<Traced<TcpStream>>) -> ! {
    if let Some(client) = ann {
        // The trap: this is the parent's interest list. The number is a copy, what it stands for is not.
        let _gone = epoll.delete(&client);
        // Closing it, on the other hand, is the child's own affair: the parent's descriptor stays open.
        drop(client);
    }
    thread::sleep(WRITES);
    // SAFETY: ends the child at once.
    unsafe { libc::_exit(0) }
}

/// The child of the repaired server.
fn own_epoll(inherited: Epoll, ann: Option<Traced<TcpStream>>) -> ! {
    // First the epoll, without a DEL: that closes the child's number for it and changes no list. Then it may close the rest.
    drop(inherited);
    drop(ann);
    let status = match Epoll::new() {
        Ok(own) => {
            // Whatever it puts on this list is between the child and its own epoll.
            let _timed_out = own.wait(&mut Events::with_capacity(1), Some(WRITES));
            0
        }
        Err(_) => 1,
    };
    // SAFETY: ends the child at once.
    unsafe { libc::_exit(status) }
}

/// ann: asks again and again; a server that does not answer is given up, and connected to again.
fn ask(address: SocketAddr, mut random: Random) -> io::Result<()> {
    // Until the server has gone.
    while let Ok(mut stream) = TcpStream::connect(address) {
        stream.set_read_timeout(Some(PATIENCE))?;
        let supplier = Supplier::new(&stream)?;
        loop {
            if supplier.supplied(|| stream.write(b"?")).is_err() {
                return Ok(());
            }
            match stream.read(&mut [0; 1]) {
                Ok(1) => thread::sleep(PAUSE + Duration::from_micros(random.below(5_000))),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break mark!("gave up"),
                _ => return Ok(()),
            }
        }
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let times = |seen: &Seen, name: &str| seen.marks.iter().filter(|m| m.name == name).count();
    let both = |seen: &Seen| (times(seen, "forks"), times(seen, "gave up"));
    let ((forks, deaf), (again, fine)) = (both(broken), both(fixed));
    let (asked, told) = (broken.fd("ann").supplied, fixed.fd("ann"));
    let heard = broken.fd("ann").bytes_in;
    vec![
        Claim::new(
            "after every fork ann is not heard any more, and gives up",
            format!("{deaf} of {forks}"),
            // The last one may be cut short by the end.
            forks > 0 && deaf > 0 && deaf + 1 >= forks,
        ),
        Claim::new(
            "what she asked then lies in her socket, unread",
            format!("{asked} questions, {heard} read"),
            heard < asked,
        ),
        Claim::new(
            "with an epoll of its own the child does no harm, and every question is read",
            format!("{again} forks, {} of {} read", told.bytes_in, told.supplied),
            again > 0 && fine == 0 && told.bytes_in + 1 >= told.supplied,
        ),
    ]
}
