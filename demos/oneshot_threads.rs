//! oneshot-threads: two threads wait on one epoll and serve whoever is ready. ann places orders, two at a time on one
//! connection: a large one, and right after it a small one. A thread is told, reads the large order and works on it. Then
//! the small one arrives; that is a change, so epoll tells again, and since this thread is busy it tells the other. Now two
//! threads serve one connection. The small order is done first, and its answer overtakes the other's.
//!
//! The repair: EPOLLONESHOT. The registration is switched off when it is reported; the thread that was told switches it on again
//! when it is done. What came meanwhile is told of then.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, mark};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use super::kit::{start, unless_eagain};
use super::{Claim, Knobs, Random, Seen};

/// The data words of ann's connection, and of the socket whose end says that the work is over.
const ANN: u64 = 0;
const OVER: u64 = 1;
/// What a large order takes, and how long after it the small one comes.
const LARGE: Duration = Duration::from_millis(16);
const LATER: Duration = Duration::from_millis(3);
/// Between two pairs of orders.
const PAUSE: Duration = Duration::from_millis(25);

/// Runs the server's threads and ann.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let ann = TcpStream::connect(listener.local_addr()?)?;
    ann.set_nodelay(true)?; // or the small order would wait until the large one is acknowledged
    let (client, _) = listener.accept()?;
    client.set_nonblocking(true)?;
    let client = Traced::new(client);
    loopscope::name_fd(&client, "ann");
    let once = if knobs.fixed {
        Interest::ONESHOT
    } else {
        Interest::NONE
    };
    let interest = Interest::IN | Interest::EDGE | once;
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    let (over, end) = UnixStream::pair()?;
    loopscope::name_fd(&over, "over");
    epoll.add(&client, interest, ANN)?;
    epoll.add(&over, Interest::IN, OVER)?;
    thread::scope(|scope| {
        for name in ["thread A", "thread B"] {
            let (epoll, client) = (epoll.try_clone()?, &client);
            start(scope, name, move || serve(&epoll, client, interest))?;
        }
        let (time, random) = (knobs.time, Random::new(knobs.seed, 0));
        let ann = thread::Builder::new()
            .name("ann".to_owned())
            .spawn_scoped(scope, move || order(ann, time, random))?;
        let overtaken = ann.join().map_err(|_| io::ErrorKind::Other)??;
        println!("{overtaken} answers have overtaken another");
        drop(end); // wakes both threads, which is meant
        Ok(())
    })
}

/// One of the threads: waits, is told, serves, until the work is over.
fn serve(epoll: &Epoll, client: &Traced<TcpStream>, interest: Interest) -> io::Result<()> {
    let mut events = Events::with_capacity(8);
    loop {
        epoll.wait(&mut events, None)?;
        for event in &events {
            if event.data() == OVER {
                return Ok(());
            }
            let (mut client, mut order) = (client, [0; 1]);
            // The trap: edge-triggered says "once a change", not "to one thread at a time".
            let gone = loop {
                match unless_eagain(client.read(&mut order))? {
                    Some(0) => break true,
                    Some(_) if order == *b"L" => {
                        loopscope::call("a large order", || thread::sleep(LARGE));
                    }
                    Some(_) => {}
                    None => break false,
                }
                client.write_all(&order)?;
            };
            if !gone && interest.intersects(Interest::ONESHOT) {
                // Done: tell me of what has come meanwhile, and of what comes. Only now.
                epoll.modify(client, interest, ANN)?;
            }
        }
    }
}

/// ann: a large order, shortly after it a small one, and both answers. Returns how often the small one's came first.
fn order(mut stream: TcpStream, time: Duration, mut random: Random) -> io::Result<u64> {
    let supplier = Supplier::new(&stream)?;
    let end = Instant::now() + time;
    let mut overtaken = 0;
    while Instant::now() < end {
        supplier.supplied(|| stream.write(b"L"))?;
        thread::sleep(LATER);
        supplier.supplied(|| stream.write(b"s"))?;
        let mut answers = [0; 2];
        stream.read_exact(&mut answers)?;
        match &answers {
            b"Ls" => mark!("in order"),
            _ => {
                overtaken += 1;
                mark!("overtaken");
            }
        }
        thread::sleep(PAUSE + Duration::from_micros(random.below(5_000)));
    }
    Ok(overtaken)
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let times = |seen: &Seen, name: &str| seen.marks.iter().filter(|m| m.name == name).count();
    let pairs = |seen: &Seen| (times(seen, "overtaken"), times(seen, "in order"));
    let ((over, right), (over_fixed, right_fixed)) = (pairs(broken), pairs(fixed));
    let both = |seen: &Seen| {
        ["thread A", "thread B"].map(|name| {
            let waits = seen.waits.iter().filter(|w| w.thread == name && w.n > 0);
            waits.count()
        })
    };
    let [a, b] = both(broken);
    vec![
        Claim::new(
            "the small order's answer overtakes the large one's in half of the pairs or more",
            format!("{over} of {}", over + right),
            over > 0 && over >= right,
        ),
        Claim::new(
            "both threads are told of the one connection",
            format!("{a} and {b} times"),
            a >= 5 && b >= 5,
        ),
        Claim::new(
            "with one-shot, never, whoever is told",
            format!("{over_fixed} of {}", over_fixed + right_fixed),
            over_fixed == 0 && right_fixed > 0,
        ),
    ]
}
