//! A crowd of descriptors, of which a share has something to say, and messages for one beside it whose wakeups are timed.
//! Step: **event** → ring.

use super::Random;
use super::claim::median;
use loopscope::mark;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

/// Copies of two sockets, each a descriptor of its own for the kernel's lists: to one nobody ever writes, in the other a byte lies that nobody
/// reads.
#[derive(Debug)]
pub struct Crowd {
    quiet: [UnixStream; 2],
    active: [UnixStream; 2],
    fds: Vec<OwnedFd>,
    /// So many of them, the first ones, are active.
    count: usize,
}

impl Crowd {
    /// Nobody yet.
    pub fn new() -> io::Result<Crowd> {
        let mut active: [UnixStream; 2] = UnixStream::pair()?.into();
        active[1].write_all(b"!")?;
        Ok(Crowd {
            quiet: UnixStream::pair()?.into(),
            active,
            fds: Vec::new(),
            count: 0,
        })
    }

    /// So many, or as many as may be; those who come are quiet.
    pub fn grow(&mut self, size: usize) {
        let missing = self.fds.len()..size;
        let one = |_| self.quiet[0].as_fd().try_clone_to_owned().ok();
        self.fds.extend(missing.map_while(one));
    }

    /// All of them.
    pub fn all(&self) -> &[OwnedFd] {
        &self.fds
    }

    /// How many are active.
    pub fn active(&self) -> usize {
        self.count
    }

    /// Makes so many of a hundred active, and says whether that changes anything. `leaves` and `comes` hear of each that is closed and opened.
    pub fn share(
        &mut self,
        of_100: usize,
        mut leaves: impl FnMut(&OwnedFd) -> io::Result<()>,
        mut comes: impl FnMut(&OwnedFd) -> io::Result<()>,
    ) -> io::Result<bool> {
        let wanted = self.fds.len() * of_100.min(100) / 100;
        let (from, to) = (self.count.min(wanted), self.count.max(wanted));
        let source = match wanted > self.count {
            true => &self.active[0],
            false => &self.quiet[0],
        };
        for place in from..to {
            leaves(&self.fds[place])?;
            // Closed first: the new one gets its number.
            drop(self.fds.remove(place));
            let new = source.as_fd().try_clone_to_owned()?;
            comes(&new)?;
            self.fds.insert(place, new);
        }
        self.count = wanted;
        Ok(from < to)
    }
}

/// The messages.
#[derive(Debug)]
pub struct Load {
    /// Where they are sent.
    pub sender: UnixStream,
    /// How many in a phase.
    pub times: u128,
    /// How often, at least.
    pub pace: Duration,
    /// When exactly.
    pub random: Random,
}

impl Load {
    /// Sends the messages of a phase, has each served by a turn of the loop, and tells what the call in it took. A turn says how many of the
    /// crowd are active; when that changes, what was measured so far is told, and it is measured anew.
    pub fn phase(
        &mut self,
        [call, told]: [&'static str; 2],
        idle: usize,
        mut turn: impl FnMut(&mut Took) -> io::Result<usize>,
    ) -> io::Result<()> {
        mark!(call, idle = idle as u64);
        let (mut took, mut active) = (Took(Vec::new()), 0);
        for _ in 0..self.times {
            // It is there before the wait begins: what the wait takes is the search.
            self.sender.write_all(b"x")?;
            let mut one = Took(Vec::new());
            let now = turn(&mut one)?;
            if now != active {
                took.tell(call, told, idle, active);
                active = now;
            }
            took.0.append(&mut one.0);
            let pause = self.pace / 2 + Duration::from_micros(self.random.below(2_500));
            loopscope::call("pause", || thread::sleep(pause));
        }
        took.tell(call, told, idle, active);
        Ok(())
    }
}

/// What the calls of a phase took.
#[derive(Debug)]
pub struct Took(Vec<u64>);

impl Took {
    /// Makes a call, and looks at the watch.
    pub fn by<T>(&mut self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let start = Instant::now();
        let result = call();
        self.0.push(start.elapsed().as_nanos() as u64);
        result
    }

    /// Tells the half of it, and forgets it.
    fn tell(&mut self, call: &str, told: &'static str, idle: usize, active: usize) {
        let all = std::mem::take(&mut self.0);
        if all.is_empty() {
            return;
        }
        let us = (median(all) / 100) as f64 / 10.0;
        let (quiet, active) = (idle - active, active as u64);
        println!("{call:6} among {quiet:5} idle and {active:5} active: {us:7.1} us");
        mark!(told, idle = idle as u64, active = active, us = us);
    }
}
