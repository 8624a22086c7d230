//! busy-poll: "receive from two". A thread has two connections, ann's and bob's, and does not know who will speak next. A
//! blocking read of ann's would miss bob; so it makes both non-blocking and asks each of them again and again. Between
//! two questions there is nothing to do, and it does that as fast as it can: nearly every read says EAGAIN.
//!
//! The repair: ask the kernel once about both, and sleep until it knows something: poll(2).

use loopscope::epoll::Interest;
use loopscope::io::Traced;
use loopscope::poll::{PollFd, poll};
use loopscope::{Recorder, Supplier, blocking};
use std::io::{self, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::kit::burn;
use super::{Claim, Knobs, Random, Seen};

/// Who sends, and how long they pause between two messages.
const CLIENTS: [(&str, Duration); 2] = [
    ("ann", Duration::from_millis(90)),
    ("bob", Duration::from_millis(130)),
];
/// What the thread does between two looks: nothing, for so long. A real busy loop leaves that out, and looks a million
/// times a second; here it keeps the recording small.
const NOTHING: Duration = Duration::from_micros(500);

/// Runs the receiver and both senders.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("two senders, one receiver on {address}");
    let mut receivers = Vec::new();
    let end = Instant::now() + knobs.time;
    thread::scope(|scope| {
        for (id, (name, pause)) in CLIENTS.into_iter().enumerate() {
            let stream = TcpStream::connect(address)?;
            let (receiver, _) = listener.accept()?;
            receiver.set_nonblocking(true)?;
            let receiver = Traced::new(receiver);
            loopscope::name_fd(&receiver, name);
            receivers.push(receiver);
            let random = Random::new(knobs.seed, id as u64);
            let client = thread::Builder::new().name(name.to_owned());
            client.spawn_scoped(scope, move || send(stream, pause, end, random))?;
        }
        match knobs.fixed {
            false => receive_busily(receivers),
            true => receive_asleep(receivers),
        }
    })
}

/// Asks each in turn until both have hung up.
fn receive_busily(mut receivers: Vec<Traced<TcpStream>>) -> io::Result<()> {
    let mut message = [0; 64];
    while !receivers.is_empty() {
        let mut gone = None;
        for (at, receiver) in receivers.iter().enumerate() {
            match blocking::look(receiver, &mut message) {
                Ok(0) => gone = Some(at),
                Ok(_) => {}
                // The trap: this is not an error and not an answer. It is the same question, a moment later.
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        if let Some(at) = gone {
            receivers.remove(at); // closes it
        }
        burn(NOTHING);
    }
    Ok(())
}

/// Sleeps until somebody has something.
fn receive_asleep(mut receivers: Vec<Traced<TcpStream>>) -> io::Result<()> {
    let mut message = [0; 64];
    while !receivers.is_empty() {
        // The list goes to the kernel on every call; what that costs with many is what scan-cost is about.
        let mut list: Vec<PollFd> = receivers
            .iter()
            .map(|receiver| PollFd::new(receiver, Interest::IN))
            .collect();
        poll(&mut list, None)?;
        let mut gone = None;
        for (at, asked) in list.iter().enumerate() {
            if !asked.revents().intersects(Interest::IN) {
                continue;
            }
            let _run = loopscope::dispatch_fd(asked);
            match loopscope::io::read(&receivers[at], &mut message) {
                Ok(0) => gone = Some(at),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        if let Some(at) = gone {
            receivers.remove(at);
        }
    }
    Ok(())
}

/// A sender: a message, a pause.
fn send(
    mut stream: TcpStream,
    pause: Duration,
    end: Instant,
    mut random: Random,
) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    while Instant::now() < end {
        supplier.supplied(|| stream.write(b"message"))?;
        thread::sleep(pause + Duration::from_micros(random.below(20_000)));
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let looks = |seen: &Seen| seen.waits.iter().filter(|wait| wait.call == "read").count();
    let vain = |seen: &Seen| seen.waits.iter().filter(|wait| wait.n == 0).count();
    let (all, nothing) = (looks(broken), vain(broken));
    let messages = fixed.fd("ann").supplied / 7 + fixed.fd("bob").supplied / 7;
    let (before, after) = (broken.busy(), fixed.busy());
    vec![
        Claim::new(
            "of the busy receiver's reads, three in four or more find nothing",
            format!("{nothing} of {all}"),
            all > 20 && nothing * 4 >= all * 3,
        ),
        Claim::new(
            "and it is never asleep: less than a tenth of its time is spent waiting",
            format!("busy {:.1}%", 100.0 * before),
            before >= 0.9,
        ),
        Claim::new(
            "the one that sleeps is not woken for nothing",
            format!("{} waits for {messages} messages", fixed.waits.len()),
            messages > 0 && vain(fixed) == 0 && fixed.waits.len() as u64 <= messages + 2,
        ),
        Claim::new(
            "and it sleeps more than half of the time",
            format!("busy {:.1}%", 100.0 * after),
            after < 0.5,
        ),
    ]
}
