//! scan-cost: one descriptor is busy, the others have nothing to say, and there are more and more of them: 10, 100, 1,000,
//! 2,000. select and poll get the whole list on every call and look at each of its entries, whoever is ready. Each
//! wakeup tells of one; what it costs grows with the number of those that have nothing to tell.
//!
//! The repair: epoll. The kernel keeps the list and is told of changes only; a descriptor that becomes ready puts itself on
//! the ready list, and the wait takes it from there. A knob makes a share of the crowd active: what epoll gains is the idle ones.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::{self as traced, Traced};
use loopscope::poll::{FdSet, PollFd, poll, select};
use loopscope::{Recorder, mark};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::claim::{Mark, median};
use super::crowd::{Crowd, Load};
use super::{Claim, Dials, Knobs, Random, Seen};

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
        pace: PACE,
        times: knobs.time.as_micros() / PACE.as_micros() / (calls * IDLE.len() as u128),
        random: Random::new(knobs.seed, 0),
    };
    let mut crowd = Crowd::new()?;
    // One list for the whole time: who comes is added, and nothing is said again of those who are on it.
    let epoll = if knobs.fixed { Some(Epoll::new()?) } else { None };
    if let Some(epoll) = &epoll {
        loopscope::name_loop(epoll, "server");
        epoll.add(&busy, Interest::IN, 1)?;
    }
    for size in IDLE {
        let known = crowd.all().len();
        crowd.grow(size);
        if crowd.all().len() < size {
            println!("{} descriptors, and ulimit -n allows no more", crowd.all().len());
        }
        match &epoll {
            Some(epoll) => {
                for fd in &crowd.all()[known..] {
                    epoll.add(fd, Interest::IN, 0)?;
                }
                with_epoll(epoll, &busy, &mut crowd, &mut load, &knobs.dials)?;
            }
            None => {
                with_select(&busy, &mut crowd, &mut load, &knobs.dials)?;
                with_poll(&busy, &mut crowd, &mut load, &knobs.dials)?;
            }
        }
    }
    Ok(())
}

/// The busy one, beside the crowd.
type Busy = Traced<UnixStream>;

fn with_select(busy: &Busy, crowd: &mut Crowd, load: &mut Load, knobs: &Dials) -> io::Result<()> {
    let mut all = FdSet::new();
    all.insert(busy)?;
    let idle = crowd.all().len();
    if !crowd.all().iter().all(|fd| all.insert(fd).is_ok()) {
        // A set is 1,024 bits. In C the program would now write past its end, and nobody would say so.
        mark!("select is refused", idle = idle as u64);
        return Ok(());
    }
    load.phase(["select", "select took"], idle, |took| {
        // Who becomes active keeps its number, and the set has numbers.
        crowd.share(knobs.number("active"), |_| Ok(()), |_| Ok(()))?;
        // The call replaces the set by its answer, so the program copies it anew each time.
        let mut set = all.clone();
        took.by(|| select(&mut set, None))?;
        let active = crowd.all().iter().filter(|fd| set.contains(*fd));
        active.for_each(leave);
        if set.contains(busy) {
            serve(busy)?;
        }
        Ok(crowd.active())
    })
}

fn with_poll(busy: &Busy, crowd: &mut Crowd, load: &mut Load, knobs: &Dials) -> io::Result<()> {
    // The busy one last: a program that stops at the first one ready has looked at everybody all the same.
    let mut list: Vec<PollFd> = (crowd.all().iter().map(|fd| PollFd::new(fd, Interest::IN)))
        .chain([PollFd::new(busy, Interest::IN)])
        .collect();
    load.phase(["poll", "poll took"], crowd.all().len(), |took| {
        crowd.share(knobs.number("active"), |_| Ok(()), |_| Ok(()))?;
        took.by(|| poll(&mut list, None))?;
        // And after the kernel has looked at everybody, the program does.
        let ready = |one: &PollFd| one.revents().intersects(Interest::IN);
        let active = crowd.all().iter().zip(&list).filter(|(_, one)| ready(one));
        active.for_each(|(fd, _)| leave(fd));
        if list.last().is_some_and(ready) {
            serve(busy)?;
        }
        Ok(crowd.active())
    })
}

fn with_epoll(
    epoll: &Epoll,
    busy: &Busy,
    crowd: &mut Crowd,
    load: &mut Load,
    knobs: &Dials,
) -> io::Result<()> {
    let idle = crowd.all().len();
    let mut events = Events::with_capacity(idle + 1);
    load.phase(["epoll", "epoll took"], idle, |took| {
        let comes = |fd: &OwnedFd| epoll.add(fd, Interest::IN, 0);
        crowd.share(knobs.number("active"), |fd| epoll.delete(fd), comes)?;
        took.by(|| epoll.wait(&mut events, None))?;
        for event in &events {
            // The active ones leave their byte where it is: they are active in each turn.
            if event.data() == 1 {
                traced::read(busy, &mut [0; 16])?;
            }
        }
        Ok(crowd.active())
    })
}

/// The handler of an active one: its byte stays where it is, and it is active in the next turn as well.
fn leave(fd: &OwnedFd) {
    let _run = loopscope::dispatch_fd(fd);
}

/// The handler, after a wait that tells by descriptor.
fn serve(busy: &Busy) -> io::Result<()> {
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
