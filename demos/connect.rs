//! connect: a client that fetches prices from three shops, all in one loop, so it must not sleep in connect(2). A non-blocking
//! connect returns at once, and epoll says OUT when it is *over*. Over, not successful: of the three shops one answers, one is shut
//! (nobody listens at its port), and one is overrun (its queue is full, so the kernel there says nothing at all). What
//! is over and failed is writable too. The client takes OUT for "connected", so for the shut shop it notes a success,
//! sets its pause between two tries back to the shortest, and tries again, ten milliseconds later, all day long. And for the overrun
//! one nothing ever comes: no OUT, no error, and the client has set no time for it.
//!
//! The repair: after OUT ask how it went (getsockopt SO_ERROR: `take_error`), wait twice as long after each failure, and give up
//! what takes too long.

use loopscope::mio::net::TcpStream;
use loopscope::mio::{Events, Interest, Poll, Token};
use loopscope::{Recorder, mark};
use std::io::{self, Read, Write};
use std::net::{self, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use super::kit::{full_house, start, unless_eagain};
use super::{Claim, Knobs, Random, Seen};

const NAMES: [&str; 3] = ["open", "shut", "overrun"];
/// The pause after a failure: the first, and the longest.
const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(320);
/// How long the repaired client waits for a connection.
const PATIENCE: Duration = Duration::from_millis(250);
/// Prices are asked for this often, or a little later.
const PERIOD: Duration = Duration::from_millis(40);

/// Runs client and shops.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let open = TcpListener::bind("127.0.0.1:0")?;
    let shut = TcpListener::bind("127.0.0.1:0")?.local_addr()?; // and closes it
    let (overrun, _in_line) = full_house()?;
    let addresses = [open.local_addr()?, shut, overrun.local_addr()?];
    println!("one client, three shops at {addresses:?}");
    std::thread::scope(|scope| {
        start(scope, "open", move || sell(&open))?;
        fetch(addresses, knobs)
    })
}

/// How far the client is with a shop.
#[derive(Clone, Copy, PartialEq)]
enum State {
    /// No connection; the next try is due.
    Away,
    /// The kernel is at it; giving up is due, if ever.
    Connecting,
    /// So it believes; the next question is due, or the answer on its way.
    Connected,
}

/// A shop, as the client sees it.
struct Shop {
    id: usize,
    address: SocketAddr,
    stream: Option<TcpStream>,
    state: State,
    due: Option<Instant>,
    pause: Duration,
}

/// The event loop.
fn fetch(addresses: [SocketAddr; 3], knobs: &Knobs) -> io::Result<()> {
    let mut poll = Poll::new()?;
    loopscope::name_loop(&poll, "client");
    let mut random = Random::new(knobs.seed, 0);
    let end = Instant::now() + knobs.time;
    let shop = |(id, address)| Shop {
        id,
        address,
        stream: None,
        state: State::Away,
        due: Some(Instant::now()),
        pause: FIRST,
    };
    let mut shops: Vec<Shop> = addresses.into_iter().enumerate().map(shop).collect();
    let mut events = Events::with_capacity(16);
    while Instant::now() < end {
        let next = shops.iter().filter_map(|shop| shop.due).fold(end, Instant::min);
        poll.poll(&mut events, Some(next.saturating_duration_since(Instant::now())))?;
        for event in &events {
            let shop = &mut shops[event.token().0];
            match (shop.state, &mut shop.stream) {
                (State::Connecting, Some(stream)) if event.is_writable() => {
                    // The trap: writable says that connecting is over. SO_ERROR says how it went.
                    let failed = knobs.fixed && stream.take_error()?.is_some();
                    match failed {
                        true => shop.failed("refused"),
                        false => shop.connected(),
                    }
                }
                (State::Connected, Some(stream)) => match unless_eagain(stream.read(&mut [0; 8])) {
                    Ok(None) => {}
                    Ok(Some(n)) if n > 0 => {
                        let later = Duration::from_micros(random.below(10_000));
                        shop.due = Some(Instant::now() + PERIOD + later);
                    }
                    _ => shop.failed("lost"),
                },
                _ => {}
            }
        }
        for shop in &mut shops {
            if shop.due.is_some_and(|due| due <= Instant::now()) {
                shop.act(&poll, knobs.fixed)?;
            }
        }
    }
    Ok(())
}

impl Shop {
    /// What was due.
    fn act(&mut self, poll: &Poll, fixed: bool) -> io::Result<()> {
        self.due = None;
        match (self.state, &mut self.stream) {
            (State::Away, _) => {
                let mut stream = TcpStream::connect(self.address)?; // EINPROGRESS, which mio takes for a yes
                loopscope::name_fd(&stream, NAMES[self.id]);
                let both = Interest::READABLE | Interest::WRITABLE;
                poll.registry().register(&mut stream, Token(self.id), both)?;
                self.stream = Some(stream);
                self.state = State::Connecting;
                // The other trap: a connection may never be over. The kernel gives up after two minutes.
                self.due = fixed.then(|| Instant::now() + PATIENCE);
            }
            (State::Connecting, _) => self.failed("took too long"),
            (State::Connected, Some(stream)) => {
                if stream.write_all(b"price?").is_err() {
                    self.failed("lost");
                }
            }
            (State::Connected, None) => {}
        }
        Ok(())
    }

    /// It is believed to stand: from now on a failure is the first one.
    fn connected(&mut self) {
        mark!("connected", to = NAMES[self.id]);
        (self.state, self.pause) = (State::Connected, FIRST);
        self.due = Some(Instant::now());
    }

    /// Closes it, and tries again after a pause; twice as long next time.
    fn failed(&mut self, why: &str) {
        mark!("failed", to = NAMES[self.id], why = why);
        (self.stream, self.state) = (None, State::Away);
        self.due = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LONGEST);
    }
}

/// The open shop: tells a price when asked.
fn sell(listener: &TcpListener) -> io::Result<()> {
    let (mut client, _): (net::TcpStream, _) = listener.accept()?;
    while client.read(&mut [0; 8])? > 0 {
        client.write_all(b"7.50")?;
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let count = |seen: &Seen, name: &str, what: &str| {
        let is = |m: &&super::claim::Mark| m.name == name && m.fields.contains(what);
        seen.marks.iter().filter(is).count()
    };
    let never = [count(broken, "connected", "to=shut"), count(fixed, "connected", "to=shut")];
    let tries = count(fixed, "failed", "why=refused");
    let late = [count(broken, "failed", "to=overrun"), count(fixed, "failed", "why=took too long")];
    let prices = [broken, fixed].map(|seen| seen.fd("open").bytes_in / 4);
    vec![
        Claim::new(
            "twenty times or more the client believes that it is connected to a shop that is shut",
            format!("{} times", never[0]),
            never[0] >= 20,
        ),
        Claim::new(
            "who asks for SO_ERROR never does, and its pauses grow: 12 tries at most",
            format!("{} times, {tries} tries", never[1]),
            never[1] == 0 && (1..=12).contains(&tries),
        ),
        Claim::new(
            "of the shop that is overrun nothing is ever heard; repaired, it is given up",
            format!("{} times against {}", late[0], late[1]),
            late[0] == 0 && late[1] >= 1,
        ),
        Claim::new(
            "prices of the open one come in either way",
            format!("{} and {}", prices[0], prices[1]),
            prices.iter().all(|&n| n > 0),
        ),
    ]
}
