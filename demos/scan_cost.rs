//! scan-cost: one descriptor is busy, the others have nothing to say, and there are more and more of them: 10, 100, 1,000,
//! 2,000. select and poll get the whole list on every call and look at each of its entries, whoever is ready. Each
//! wakeup tells of one; what it costs grows with the number of those that have nothing to tell.
//!
//! The repair: epoll. The kernel keeps the list and is told of changes only; a descriptor that becomes ready puts itself on
//! the ready list, and the wait takes it from there.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::{self as traced, Traced};
use loopscope::poll::{FdSet, PollFd, poll, select};
use loopscope::{Recorder, mark};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use super::claim::{Mark, median};
use super::{Claim, Knobs, Random, Seen};

/// How many idle descriptors stand beside the busy one.
const IDLE: [usize; 4] = [10, 100, 1_000, 2_000];
/// A message comes this often.
const PACE: Duration = Duration::from_millis(5);

/// Runs the loops, one after the other.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let busy = Traced::new(ours);
    loopscope::name_fd(&busy, "busy");
    let calls = if knobs.fixed { 1 } else { 2 };
    let mut load = Load {
        sender: theirs,
        times: knobs.time.as_micros() / PACE.as_micros() / (calls * IDLE.len() as u128),
        random: Random::new(knobs.seed, 0),
    };
    let (quiet, _open) = UnixStream::pair()?;
    let mut idle: Vec<OwnedFd> = Vec::new();
    for size in IDLE {
        // Copies of one socket nobody writes to: each is a descriptor of its own for the kernel's lists.
        let missing = idle.len()..size;
        idle.extend(missing.map_while(|_| quiet.as_fd().try_clone_to_owned().ok()));
        if idle.len() < size {
            println!("{} descriptors, and ulimit -n allows no more", idle.len());
        }
        match knobs.fixed {
            true => with_epoll(&busy, &idle, &mut load)?,
            false => {
                with_select(&busy, &idle, &mut load)?;
                with_poll(&busy, &idle, &mut load)?;
            }
        }
    }
    Ok(())
}

fn with_select(busy: &Traced<UnixStream>, idle: &[OwnedFd], load: &mut Load) -> io::Result<()> {
    let mut all = FdSet::new();
    all.insert(busy)?;
    if !idle.iter().all(|fd| all.insert(fd).is_ok()) {
        // A set is 1,024 bits. In C the program would now write past its end, and nobody would say so.
        mark!("select is refused", idle = idle.len() as u64);
        return Ok(());
    }
    load.phase(["select", "select took"], idle.len(), |took| {
        // The call replaces the set by its answer, so the program copies it anew each time.
        let mut set = all.clone();
        took.by(|| select(&mut set, None))?;
        match set.contains(busy) {
            true => serve(busy),
            false => Ok(()),
        }
    })
}

fn with_poll(busy: &Traced<UnixStream>, idle: &[OwnedFd], load: &mut Load) -> io::Result<()> {
    // The busy one last: a program that stops at the first one ready has looked at everybody all the same.
    let mut list: Vec<PollFd> = (idle.iter().map(|fd| PollFd::new(fd, Interest::IN)))
        .chain([PollFd::new(busy, Interest::IN)])
        .collect();
    load.phase(["poll", "poll took"], idle.len(), |took| {
        took.by(|| poll(&mut list, None))?;
        // And after the kernel has looked at everybody, the program does.
        let mut answers = list.iter().map(PollFd::revents);
        match answers.any(|answer| answer.intersects(Interest::IN)) {
            true => serve(busy),
            false => Ok(()),
        }
    })
}

fn with_epoll(busy: &Traced<UnixStream>, idle: &[OwnedFd], load: &mut Load) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, &format!("among {}", idle.len()));
    // Said once, not on every call.
    for fd in idle {
        epoll.add(fd, Interest::IN, 0)?;
    }
    epoll.add(busy, Interest::IN, 1)?;
    let mut events = Events::with_capacity(64);
    load.phase(["epoll", "epoll took"], idle.len(), |took| {
        took.by(|| epoll.wait(&mut events, None))?;
        for _event in &events {
            traced::read(busy, &mut [0; 16])?;
        }
        Ok(())
    })
}

/// The messages.
struct Load {
    sender: UnixStream,
    times: u128,
    random: Random,
}

impl Load {
    /// Sends the messages of a phase, has each served by a turn of the loop, and tells what the call in it took.
    fn phase(
        &mut self,
        [call, told]: [&'static str; 2],
        idle: usize,
        mut turn: impl FnMut(&mut Took) -> io::Result<()>,
    ) -> io::Result<()> {
        mark!(call, idle = idle as u64);
        let mut took = Took(Vec::new());
        for _ in 0..self.times {
            // It is there before the wait begins: what the wait takes is the search.
            self.sender.write_all(b"x")?;
            turn(&mut took)?;
            let pause = PACE / 2 + Duration::from_micros(self.random.below(2_500));
            loopscope::call("pause", || thread::sleep(pause));
        }
        let us = (median(took.0) / 100) as f64 / 10.0;
        println!("{call:6} among {idle:5} idle: {us:7.1} us");
        mark!(told, idle = idle as u64, us = us);
        Ok(())
    }
}

/// What the calls of a phase took.
struct Took(Vec<u64>);

impl Took {
    fn by<T>(&mut self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let start = Instant::now();
        let result = call();
        self.0.push(start.elapsed().as_nanos() as u64);
        result
    }
}

/// The handler, after a wait that tells by descriptor.
fn serve(busy: &Traced<UnixStream>) -> io::Result<()> {
    let _run = loopscope::dispatch_fd(busy);
    traced::read(busy, &mut [0; 16]).map(|_| ())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    // The median of a phase: one wait that was interrupted by another program does not change it.
    let cost = |seen: &Seen, call: &str, idle: u64| {
        let here = |m: &Mark| m.name == call && m.number("idle") == idle;
        let told = seen.waits.iter().filter(|wait| wait.n > 0);
        let phase = told.filter(|wait| seen.mark_before(wait.t).is_some_and(here));
        median(phase.map(|wait| wait.ns).collect())
    };
    let us = |ns: u64| format!("{:.1} us", ns as f64 / 1e3);
    let mut claims = Vec::new();
    for (call, times) in [("select", 2), ("poll", 4)] {
        let (few, many) = (cost(broken, call, 10), cost(broken, call, 1_000));
        claims.push(Claim::new(
            format!("{call} among 1,000 idle descriptors costs at least {times} times what it costs among 10"),
            format!("{} against {}", us(many), us(few)),
            few > 0 && many >= times * few,
        ));
    }
    let (few, many) = (cost(fixed, "epoll", 10), cost(fixed, "epoll", 1_000));
    let polled = cost(broken, "poll", 1_000);
    claims.push(Claim::new(
        "epoll among 1,000 costs less than 3 times what it costs among 10",
        format!("{} against {}", us(many), us(few)),
        few > 0 && many < 3 * few,
    ));
    claims.push(Claim::new(
        "and less than a third of poll's",
        format!("{} against {}", us(many), us(polled)),
        many > 0 && 3 * many < polled,
    ));
    let refused = |mark: &&Mark| mark.name == "select is refused";
    let refused = broken.marks.iter().filter(refused).count();
    claims.push(Claim::new(
        "a select among 2,000 is refused: its set ends at 1,024",
        format!("{refused} times"),
        refused == 1,
    ));
    claims
}
