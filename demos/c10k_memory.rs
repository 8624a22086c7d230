//! c10k-memory: clients come, say a line, and stay. There are 16 of them, then 32, 64, 128, and hardly anybody speaks. A thread
//! for each is asleep, so it costs no time. It costs its stack: two megabytes of addresses, and of memory as much as it has
//! ever touched. This one has read a line into a buffer of 16 KB, once, and the pages stay. After each step the program
//! looks at its own memory and says what a client costs; 10,000 are so many times that.
//!
//! The repair: one thread and an epoll. It needs one buffer, because it reads for one client at a time; a client who is quiet is
//! a descriptor and what has come of its line.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, blocking, mark};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use super::claim::Mark;
use super::kit::{connect, start, unless_eagain};
use super::{Claim, Knobs, Random, Seen};

/// How many clients there are after each step.
const CLIENTS: [usize; 4] = [16, 32, 64, 128];
/// One of them says a line this often.
const PAUSE: Duration = Duration::from_millis(25);
/// What a line may be long.
const LINE: usize = 16 * 1024;
/// The data word of the listening socket; clients have those below.
const DOOR: u64 = u64::MAX;

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    // Shut down, it ends the accepts of it: that is how this server is told to end.
    let door = TcpStream::from(OwnedFd::from(listener.try_clone()?));
    println!("up to 128 quiet clients, server on {address}");
    let (time, random) = (knobs.time, Random::new(knobs.seed, 0));
    let listener = Traced::new(listener);
    loopscope::name_fd(&listener, "listen");
    thread::scope(|scope| {
        start(scope, "clients", move || {
            let came = come(address, time, random);
            door.shutdown(Shutdown::Both).and(came)
        })?;
        if knobs.fixed {
            return serve_all(&listener);
        }
        for number in 0.. {
            match blocking::accept(&listener) {
                Ok((client, _)) => {
                    loopscope::name_fd(&client, &format!("c{number}"));
                    start(scope, &format!("serves c{number}"), move || serve(client))?;
                }
                Err(e) if e.kind() == ErrorKind::InvalidInput => break, // the door is shut
                Err(e) => return Err(e),
            }
        }
        Ok(())
    })
}

/// A thread of one client.
fn serve(mut client: Traced<TcpStream>) -> io::Result<()> {
    // The trap: not a bug, a price. This array is on the thread's stack, and stays while the thread sleeps.
    let mut line = [0; LINE];
    loop {
        match blocking::read(&client, &mut line)? {
            0 => return Ok(()),
            n => client.write_all(&line[..n])?,
        }
    }
}

/// One thread for all of them. What it keeps of a client is the descriptor: the buffer is everybody's.
fn serve_all(listener: &Traced<TcpListener>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    epoll.add(listener, Interest::IN, DOOR)?;
    let mut clients: HashMap<u64, Traced<TcpStream>> = HashMap::new();
    let (mut line, mut number) = ([0; LINE], 0);
    let mut events = Events::with_capacity(64);
    loop {
        epoll.wait(&mut events, None)?;
        for event in &events {
            if event.data() == DOOR {
                let client = match unless_eagain(listener.accept()) {
                    Ok(Some((client, _))) => client,
                    Ok(None) => continue,
                    Err(e) if e.kind() == ErrorKind::InvalidInput => return Ok(()), // shut
                    Err(e) => return Err(e),
                };
                loopscope::name_fd(&client, &format!("c{number}"));
                epoll.add(&client, Interest::IN, number)?;
                clients.insert(number, client);
                number += 1;
            } else if let Some(client) = clients.get_mut(&event.data()) {
                match client.read(&mut line)? {
                    0 => drop(clients.remove(&event.data())),
                    n => client.write_all(&line[..n])?,
                }
            }
        }
    }
}

/// The clients, in steps; after each, what the server's memory has grown by.
fn come(address: SocketAddr, time: Duration, mut random: Random) -> io::Result<()> {
    let begin = Instant::now();
    let (memory, addresses) = (kilobytes("RssAnon:")?, kilobytes("VmSize:")?);
    let mut clients: Vec<(TcpStream, Supplier)> = Vec::with_capacity(CLIENTS[3]);
    for (count, step) in CLIENTS.into_iter().zip(1..) {
        for stream in connect(address, count - clients.len())? {
            let supplier = Supplier::new(&stream)?;
            clients.push((stream, supplier));
            // A line of each, so that it is there, and its thread has done what it will ever do.
            say(clients.last_mut())?;
        }
        let each = |now: u64, before: u64| now.saturating_sub(before) / count as u64;
        let kb = each(kilobytes("RssAnon:")?, memory);
        let address_kb = each(kilobytes("VmSize:")?, addresses);
        println!("{count} clients, {kb} KB each; 10,000: {} MB", kb * 10_000 / 1024);
        mark!(
            "KB",
            is = kb,
            clients = count as u64,
            addresses = address_kb
        );
        while begin.elapsed() < time * step / CLIENTS.len() as u32 {
            thread::sleep(PAUSE);
            say(clients.get_mut(random.below(count as u64) as usize))?;
        }
    }
    Ok(())
}

/// A line and its echo.
fn say(client: Option<&mut (TcpStream, Supplier)>) -> io::Result<()> {
    let Some((stream, supplier)) = client else {
        return Ok(());
    };
    supplier.supplied(|| stream.write(b"hello\n"))?;
    stream.read_exact(&mut [0; 6])
}

/// What the kernel says of this process: a line of /proc/self/status.
fn kilobytes(key: &str) -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::other(format!("/proc/self/status has no number for {key}")))
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let last = |seen: &Seen| -> Mark {
        let told = seen.marks.iter().rfind(|mark| mark.name == "KB");
        told.cloned().unwrap_or_default()
    };
    let (thread, one) = (last(broken), last(fixed));
    let kb = |mark: &Mark, key: &str| mark.number(key);
    vec![
        Claim::new(
            "with a thread, a quiet client costs its buffer at least",
            format!("{} KB each", kb(&thread, "is")),
            kb(&thread, "is") >= (LINE / 1024) as u64,
        ),
        Claim::new(
            "and two megabytes of addresses",
            format!("{} KB each", kb(&thread, "addresses")),
            kb(&thread, "addresses") >= 2_000,
        ),
        Claim::new(
            "with one thread and an epoll, a quarter of the memory at most",
            format!("{} KB each", kb(&one, "is")),
            one.number("clients") == CLIENTS[3] as u64 && 4 * kb(&one, "is") <= kb(&thread, "is"),
        ),
    ]
}
