//! thundering-herd: six threads wait on one epoll for the listening socket. A client connects; there is one connection to be
//! had. Level-triggered, the kernel wakes a thread, sees that the socket is still ready, and wakes the next, until
//! somebody has accepted: six wake up, one gets the client, five get EAGAIN and go back to sleep.
//!
//! Three repairs, one after the other: EPOLLET tells of a change once, to one thread; EPOLLONESHOT switches the registration
//! off until the thread that was told has re-armed it; EPOLLEXCLUSIVE is for threads that have an epoll each.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, mark};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::kit::{start, unless_eagain};
use super::{Claim, Knobs, Random, Seen};

/// Threads that wait.
const WORKERS: usize = 6;
/// What a woken thread does before it accepts: a line in its log. Without it the fastest has often accepted before the
/// slowest has looked; the slowest has been woken all the same, and then only the scheduler knows.
const LOG: Duration = Duration::from_millis(3);
/// A client comes this often, or a little later.
const PACE: Duration = Duration::from_millis(16);

/// The listening socket's data word, and that of the socket whose end says that the work is over.
const LISTENER: u64 = 0;
const OVER: u64 = 1;

/// What the threads wait on, and how they ask.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Way {
    name: &'static str,
    interest: Interest,
    /// An epoll each, instead of one for all.
    own: bool,
}

const HERD: [Way; 1] = [Way {
    name: "level",
    interest: Interest::NONE,
    own: false,
}];
const CURES: [Way; 3] = [
    Way {
        name: "edge",
        interest: Interest::EDGE,
        own: false,
    },
    Way {
        name: "one-shot",
        interest: Interest::ONESHOT,
        own: false,
    },
    Way {
        name: "exclusive",
        interest: Interest::EXCLUSIVE,
        own: true,
    },
];

/// Runs the workers each way, under the same clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let ways = if knobs.fixed { &CURES[..] } else { &HERD[..] };
    for way in ways {
        let clients = knobs.time.as_micros() / PACE.as_micros() / ways.len() as u128;
        one_way(*way, clients, Random::new(knobs.seed, 0))?;
    }
    Ok(())
}

fn one_way(way: Way, clients: u128, random: Random) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let listener = Traced::new(listener);
    loopscope::name_fd(&listener, "listen");
    let (over, end) = UnixStream::pair()?;
    loopscope::name_fd(&over, "over");
    let mut epolls: Vec<Epoll> = Vec::new();
    for _ in 0..WORKERS {
        epolls.push(match epolls.first() {
            Some(first) if !way.own => first.try_clone()?,
            _ => {
                let epoll = Epoll::new()?;
                loopscope::name_loop(&epoll, way.name);
                epoll.add(&listener, Interest::IN | way.interest, LISTENER)?;
                epoll.add(&over, Interest::IN, OVER)?;
                epoll
            }
        });
    }
    let [woken, accepted] = [AtomicU64::new(0), AtomicU64::new(0)];
    thread::scope(|scope| {
        for (number, epoll) in epolls.into_iter().enumerate() {
            let (listener, woken, accepted) = (&listener, &woken, &accepted);
            start(scope, &format!("worker {number}"), move || {
                work(&epoll, listener, way, woken, accepted)
            })?;
        }
        thread::sleep(PACE); // until all of them sleep
        mark!(way.name);
        let result = come(address, clients, random);
        drop(end); // wakes everybody, which is meant
        result
    })?;
    let (woken, accepted) = (woken.into_inner(), accepted.into_inner());
    println!(
        "{:9}: woken {woken} times for {accepted} connections",
        way.name
    );
    mark!("woken", times = woken, connections = accepted);
    Ok(())
}

/// One thread: waits, is told, accepts, until the work is over.
fn work(
    epoll: &Epoll,
    listener: &Traced<TcpListener>,
    way: Way,
    woken: &AtomicU64,
    accepted: &AtomicU64,
) -> io::Result<()> {
    let mut events = Events::with_capacity(8);
    loop {
        epoll.wait(&mut events, None)?;
        for event in &events {
            if event.data() == OVER {
                return Ok(());
            }
            woken.fetch_add(1, Ordering::Relaxed);
            loopscope::call("write to the log", || thread::sleep(LOG));
            // The trap: it was ready when the kernel looked. Five of six come too late, and must not sleep in accept.
            while let Some((client, _)) = unless_eagain(listener.accept())? {
                accepted.fetch_add(1, Ordering::Relaxed);
                drop(client); // and serves it
            }
            if way.interest == Interest::ONESHOT {
                epoll.modify(listener, Interest::IN | way.interest, LISTENER)?;
            }
        }
    }
}

/// Client after client.
fn come(address: SocketAddr, clients: u128, mut random: Random) -> io::Result<()> {
    for _ in 0..clients {
        drop(TcpStream::connect(address)?);
        thread::sleep(PACE + Duration::from_micros(random.below(2_000)));
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let counts = |seen: &Seen| -> Vec<(u64, u64)> {
        let told = seen.marks.iter().filter(|mark| mark.name == "woken");
        told.map(|m| (m.number("times"), m.number("connections")))
            .collect()
    };
    let figures = |(woken, accepted)| format!("woken {woken} times for {accepted}");
    let herd = counts(broken).first().copied().unwrap_or_default();
    let told = |name: &str| {
        let its = broken.waits.iter().filter(|w| w.thread == name && w.n > 0);
        its.count() as u64
    };
    let all = (0..WORKERS).map(|number| told(&format!("worker {number}")));
    let least = all.min().unwrap_or(0);
    let mut claims = vec![
        Claim::new(
            "three threads or more are woken for each connection",
            figures(herd),
            herd.1 > 0 && herd.0 >= 3 * herd.1,
        ),
        Claim::new(
            "it is not always the same: each is woken for every third connection or more",
            format!("at least {least} times"),
            herd.1 > 0 && 3 * least >= herd.1,
        ),
    ];
    let cured = counts(fixed);
    for (at, way) in CURES.iter().enumerate() {
        let one = cured.get(at).copied().unwrap_or_default();
        claims.push(Claim::new(
            format!("{}: hardly ever more than one", way.name),
            figures(one),
            one.1 > 0 && 2 * one.0 <= 3 * one.1,
        ));
    }
    claims
}
