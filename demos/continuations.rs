//! continuations: one job, written twice. An order comes in; the shop asks its stock whether there is one left, then its price list, and
//! answers. Meanwhile the thread has others to serve. What is to be done afterwards has to be kept: that is a continuation.
//!
//! As callbacks: with each question goes a closure that says what to do with its answer. They are the stack of the job, kept by hand, and
//! such a stack can be left lying about: where there is none in stock the callback returns, to the loop. Nobody returns to the customer.
//!
//! The repair: the same job as an async function. The compiler makes the continuations, and a function that returns gives its
//! result to whoever called it, on every path. The trace is the same: the same calls, in the same order.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, mark};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::kit::start;
use super::{Claim, Knobs, Seen};

/// Who is on the loop: customers first, then those whom the shop asks.
const NAMES: [&str; 4] = ["ann", "bob", "stock", "prices"];
const STOCK: usize = 2;
const PRICES: usize = 3;
/// What a question to them takes.
const THINK: Duration = Duration::from_millis(3);
/// The answer when there is none left: of the articles 0 to 3 that is the last.
const NONE: u8 = b'-';

/// Runs shop, customers, stock and price list.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    println!("two customers, a shop, its stock and its price list");
    let (end, mut shop) = (Instant::now() + knobs.time, Shop::default());
    thread::scope(|scope| {
        for (id, name) in NAMES.into_iter().enumerate() {
            let (here, there) = UnixStream::pair()?;
            loopscope::name_fd(&here, name);
            shop.streams.push(Traced::new(here));
            match id {
                STOCK.. => start(scope, name, move || know(there))?,
                _ => start(scope, name, move || order(there, end))?,
            }
        }
        serve(&Rc::new(shop), knobs.fixed)
    })
}

/// What is to be done with an answer; a job that is under way, as a future.
type Then = Box<dyn FnOnce(&Rc<Shop>, u8) -> io::Result<()>>;
type Job = Pin<Box<dyn Future<Output = io::Result<u8>>>>;

/// The shop. Stock and price list answer in the order of the questions, so the continuations wait in queues.
#[derive(Default)]
struct Shop {
    streams: Vec<Traced<UnixStream>>,
    waiting: [RefCell<VecDeque<Then>>; NAMES.len()],
    jobs: [RefCell<Option<Job>>; STOCK],
}

/// The job as callbacks.
fn sell(shop: &Rc<Shop>, id: usize, article: u8) -> io::Result<()> {
    let with_stock: Then = Box::new(move |shop, left| {
        if left == NONE {
            return Ok(()); // The trap: to the loop. The customer is not told.
        }
        let with_price = move |shop: &Rc<Shop>, price| (&shop.streams[id]).write_all(&[price]);
        shop.ask(PRICES, article, Box::new(with_price))
    });
    shop.ask(STOCK, article, with_stock)
}

/// The same as an async function: what it returns is the answer, on every path.
async fn sell_async(shop: Rc<Shop>, id: usize, article: u8) -> io::Result<u8> {
    match shop.told(id, STOCK, article).await? {
        NONE => Ok(NONE),
        _ => shop.told(id, PRICES, article).await,
    }
}

impl Shop {
    /// Asks, and keeps what is to be done with the answer.
    fn ask(&self, whom: usize, article: u8, then: Then) -> io::Result<()> {
        self.waiting[whom].borrow_mut().push_back(then);
        (&self.streams[whom]).write_all(&[article])
    }

    /// For an async job: asks, and is ready when the answer is there. Its continuation is always the same: go on with the job.
    async fn told(self: &Rc<Shop>, id: usize, whom: usize, article: u8) -> io::Result<u8> {
        let answer = Rc::new(Cell::new(None));
        let place = Rc::clone(&answer);
        let fill = move |shop: &Rc<Shop>, answer| {
            place.set(Some(answer));
            shop.go_on(id)
        };
        self.ask(whom, article, Box::new(fill))?;
        Ok(poll_fn(|_| answer.take().map_or(Poll::Pending, Poll::Ready)).await)
    }

    /// Runs an async job to its next await, or to its end.
    fn go_on(&self, id: usize) -> io::Result<()> {
        let context = &mut Context::from_waker(Waker::noop());
        let job = self.jobs[id].take();
        match job.map(|mut job| (job.as_mut().poll(context), job)) {
            Some((Poll::Ready(answer), _)) => (&self.streams[id]).write_all(&[answer?])?,
            Some((Poll::Pending, job)) => *self.jobs[id].borrow_mut() = Some(job),
            None => {}
        }
        Ok(())
    }
}

/// The event loop, until both customers have hung up.
fn serve(shop: &Rc<Shop>, fixed: bool) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "shop");
    for (id, stream) in shop.streams.iter().enumerate() {
        epoll.add(stream, Interest::IN, id as u64)?;
    }
    let (mut events, mut gone) = (Events::with_capacity(16), 0);
    while gone < STOCK {
        epoll.wait(&mut events, None)?;
        for event in &events {
            let id = event.data() as usize;
            let (mut byte, mut stream) = ([0], &shop.streams[id]);
            let n = stream.read(&mut byte)?;
            let next = shop.waiting[id].borrow_mut().pop_front();
            match next {
                Some(then) => then(shop, byte[0])?, // the answer to a question
                None if n == 0 => {
                    gone += 1;
                    epoll.delete(stream)?;
                }
                None if fixed => {
                    let job = sell_async(Rc::clone(shop), id, byte[0]);
                    shop.jobs[id].replace(Some(Box::pin(job)));
                    shop.go_on(id)?;
                }
                None => sell(shop, id, byte[0])?,
            }
        }
    }
    shop.jobs.iter().for_each(|job| drop(job.take())); // a job holds the shop
    Ok(())
}

/// A customer: one article after the other; an answer, or none.
fn order(mut stream: UnixStream, end: Instant) -> io::Result<()> {
    stream.set_read_timeout(Some(60 * THINK))?; // patience
    for article in (0..4).cycle().take_while(|_| Instant::now() < end) {
        thread::sleep(2 * THINK);
        stream.write_all(&[article])?;
        let mut answer = [0];
        match stream.read_exact(&mut answer) {
            Ok(()) if answer == [NONE] => mark!("sold out"),
            Ok(()) => {}
            Err(_) => mark!("no answer"),
        }
    }
    Ok(())
}

/// Stock and price list: an answer to each question, after a while.
fn know(mut stream: UnixStream) -> io::Result<()> {
    let mut article = [0];
    loop {
        stream.read_exact(&mut article)?;
        thread::sleep(THINK);
        stream.write_all(&[if article == [3] { NONE } else { b'7' }])?;
    }
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let figures = |seen: &Seen| {
        let count = |name| seen.marks.iter().filter(|m| m.name == name).count() as u64;
        let asked = [seen.fd("stock").bytes_in, seen.fd("prices").bytes_in];
        (count("no answer"), count("sold out"), asked)
    };
    let (lost, told, asked) = figures(broken);
    let (lost_2, told_2, asked_2) = figures(fixed);
    vec![
        Claim::new(
            "who orders what is sold out never hears of it; of an async function everybody does",
            format!("{told} told and {lost} not; {told_2} told and {lost_2} not"),
            lost >= 3 && told == 0 && lost_2 == 0 && told_2 >= 3,
        ),
        Claim::new(
            "the trace is the same: the stock is asked, then the price of what is there",
            format!("{asked:?} questions, and {asked_2:?}"),
            asked[0] == asked[1] + lost && asked_2[0] == asked_2[1] + told_2,
        ),
    ]
}
