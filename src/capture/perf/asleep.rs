//! Threads that sleep for long outside of their wait: looked at once while they do, told when they are back.
//! Step: **event** → ring.
//!
//! The kernel shows an ordinary user no stack at a switch. But while a thread sleeps its stack stands still: we read it then,
//! and the program pays nothing. Where a function keeps its frame in a register we cannot read, a breakpoint of the processor's
//! is set at the instruction the thread goes on with: it fires once, and tells the registers as they are there.

use super::look::{self, Found};
use super::open;
use super::record::{Record, Said};
use super::ring::Ring;
use super::stacks::World;
use super::walk::walk;
use crate::record::event::Off;
use crate::symbols::unwind::{Registers, Step};
use foldhash::fast::RandomState;
use std::collections::HashMap;

/// Who has slept for so many nanoseconds is looked at.
const LONG: u64 = 4_000_000;
/// Looks in a pass, and in a second.
const MOST_AT_ONCE: usize = 8;
const MOST_A_SECOND: u64 = 100;
/// Breakpoints at a time.
const MOST_TRAPS: usize = 4;
/// Threads remembered.
const MOST: usize = 65_536;
/// Passes come in quick succession for so long after somebody slept.
const HOLD: u64 = 10_000_000_000;
const SECOND: u64 = 1_000_000_000;
/// Who went to sleep longer ago is forgotten where many are to be remembered.
const LATELY: u64 = 10 * SECOND;

/// A thread whose stack is worth a look if it sleeps.
#[derive(Clone, Copy, Debug)]
pub struct Thread {
    /// `tid | pid << 32`.
    pub who: u64,
    /// It has said nothing since the last pass.
    pub silent: bool,
    /// It serves a loop.
    pub serves: bool,
    /// It is inside of a call that is recorded, and of a wait.
    pub calls: bool,
    /// See `calls`.
    pub waits: bool,
}

/// A look at one sleep.
#[derive(Debug)]
struct Look {
    since: u64,
    /// What it sleeps for, as far as it was seen.
    why: Option<Off>,
    /// What was found; nothing where it was not worth telling.
    found: Option<Found>,
    frames: Vec<u64>,
    trap: Option<Ring>,
    /// When it was over, and whether a pass has gone by since.
    back: Option<u64>,
    waited: bool,
}

/// See the [module](self). Instants are CLOCK_MONOTONIC.
#[derive(Debug, Default)]
pub struct Sleepers {
    /// Asleep since then; 0 awake.
    since: HashMap<u64, u64, RandomState>,
    looks: HashMap<u64, Look, RandomState>,
    /// Looks in the second that began then.
    second: (u64, u64),
    until: u64,
}

impl Sleepers {
    /// Takes in what the kernel tells of a thread. Answers what it was seen to be off its CPU for, if it is back.
    pub fn take(&mut self, record: &Record) -> Option<Off> {
        let asleep = match record.said {
            Said::Out { preempted: false } => record.time,
            Said::In => 0,
            _ => return None,
        };
        if self.since.len() >= MOST {
            // A thread that ends is taken off its CPU, too, and never comes back.
            (self.since).retain(|_, since| record.time.saturating_sub(*since) < LATELY);
        }
        let room = self.since.len() < MOST;
        match self.since.get_mut(&record.who) {
            Some(since) => *since = asleep,
            None if room => _ = self.since.insert(record.who, asleep),
            None => {}
        }
        if asleep == 0
            && !self.looks.is_empty()
            && let Some(look) = self.looks.get_mut(&record.who)
        {
            // The CPUs' rings come one after the other: of several returns the earliest is the one from this sleep.
            let is_earlier = look.back.is_none_or(|back| record.time < back);
            if is_earlier && record.time > look.since {
                look.back = Some(record.time);
                return look.why;
            }
        }
        None
    }

    /// Looks at those that sleep; at their `stacks` if somebody wants them.
    pub fn look(
        &mut self,
        now: u64,
        threads: impl Iterator<Item = Thread>,
        stacks: bool,
        world: &mut dyn World,
    ) {
        if now.saturating_sub(self.second.0) >= SECOND {
            self.second = (now, 0);
        }
        let mut left = MOST_AT_ONCE;
        for thread in threads.filter(|t| t.serves && !t.waits) {
            let since = self.since.get(&thread.who).copied().unwrap_or(0);
            if since == 0 || now.saturating_sub(since) < LONG || left == 0 {
                continue;
            }
            // Of one that has not been told, or of this very sleep; otherwise that it was back is lost.
            let known = |look: &Look| look.back.is_some() || look.since == since;
            if self.looks.get(&thread.who).is_some_and(known) || self.second.1 >= MOST_A_SECOND {
                continue;
            }
            (left, self.second.1) = (left - 1, self.second.1 + 1);
            let stopped = look::is_stopped(thread.who);
            let found = match stacks && !stopped {
                true => look::at(thread.who),
                false => None,
            };
            let why = match &found {
                _ if stopped => Some(Off::Stopped),
                Some(Found { call: Some(_), .. }) => Some(Off::InCall),
                _ => None,
            };
            // A wait that is made without us is one all the same; what getaddrinfo waits for in it is none.
            let found = found.filter(|f| thread.calls || !f.call.is_some_and(is_wait));
            self.keep((thread.who, since, why), now, found, world);
        }
    }

    fn keep(
        &mut self,
        (who, since, why): (u64, u64, Option<Off>),
        now: u64,
        found: Option<Found>,
        world: &mut dyn World,
    ) {
        let mut look = Look {
            since,
            why,
            found,
            frames: Vec::new(),
            trap: None,
            back: None,
            waited: false,
        };
        if let Some(found) = &look.found {
            self.until = now.saturating_add(HOLD);
            let pid = (who >> 32) as u32;
            let registers = Registers::at(found.sp);
            let (frames, last) = walk(pid, found.pc, registers, &found.stack, world);
            look.frames = frames;
            let traps = self.looks.values().filter(|l| l.trap.is_some()).count();
            if last == Step::Missing && traps < MOST_TRAPS {
                look.trap = open::trap(who as u32, found.pc);
            }
        }
        self.looks.insert(who, look);
    }

    /// What those that are back were asleep in: `each` is told.
    pub fn told(&mut self, world: &mut dyn World, mut each: impl FnMut(Record)) {
        self.looks.retain(|who, look| {
            let Some(back) = look.back else {
                return true;
            };
            if let Some(trap) = &mut look.trap {
                let mut hit = None;
                trap.read(|record| {
                    if let Said::Stopped(pc, registers) = record.said {
                        hit.get_or_insert((pc, registers));
                    }
                });
                match (hit, &look.found) {
                    (Some((pc, registers)), Some(found))
                        if pc == found.pc && registers.sp() == Some(found.sp) =>
                    {
                        let pid = (*who >> 32) as u32;
                        (look.frames, _) = walk(pid, pc, *registers, &found.stack, world);
                    }
                    // It is on its CPU, and perhaps not quite there.
                    (None, _) if !look.waited => {
                        look.waited = true;
                        return true;
                    }
                    _ => {}
                }
            }
            if look.found.is_some() {
                let ns = back.saturating_sub(look.since);
                let frames = std::mem::take(&mut look.frames).into();
                each(Record {
                    time: back,
                    who: *who,
                    said: Said::Slept(ns, frames),
                });
            }
            false
        });
    }

    /// Somebody slept lately.
    pub fn is_awaited(&self, now: u64) -> bool {
        now < self.until
    }

    /// Another program runs in this process: nothing that was seen of it counts.
    pub fn changed(&mut self, pid: u32) {
        self.looks.retain(|who, _| (*who >> 32) as u32 != pid);
    }
}

/// A call that waits for a loop's events.
fn is_wait(call: i64) -> bool {
    #[cfg(target_arch = "x86_64")]
    if matches!(
        call,
        libc::SYS_epoll_wait | libc::SYS_poll | libc::SYS_select
    ) {
        return true;
    }
    matches!(
        call,
        libc::SYS_epoll_pwait
            | libc::SYS_epoll_pwait2
            | libc::SYS_ppoll
            | libc::SYS_pselect6
            | libc::SYS_io_uring_enter
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    const MS: u64 = 1_000_000;

    /// Nobody is called by anybody.
    struct Alone;

    impl World for Alone {
        fn place(&mut self, _: u32, _: u64) -> Option<Vec<u8>> {
            None
        }
        fn module(&mut self) -> Option<(i32, Vec<u8>)> {
            None
        }
        fn caller(
            &mut self,
            _: u32,
            _: u64,
            _: &mut Registers,
            _: &dyn Fn(u64) -> Option<u64>,
        ) -> Step {
            Step::End
        }
        fn ran(&mut self, _: u32, _: u64) {}
        fn is_ours(&mut self, _: u32, _: u64) -> bool {
            false
        }
    }

    fn of(who: u64) -> Thread {
        Thread {
            who,
            silent: true,
            serves: true,
            calls: true,
            waits: false,
        }
    }

    fn take(sleepers: &mut Sleepers, who: u64, time: u64, said: Said) {
        sleepers.take(&Record { time, who, said });
    }

    fn told(sleepers: &mut Sleepers) -> Vec<Record> {
        let mut all = Vec::new();
        sleepers.told(&mut Alone, |record| all.push(record));
        all
    }

    const OUT: Said = Said::Out { preempted: false };

    #[test]
    fn the_earliest_return_after_a_look_is_told_whichever_ring_comes_first() {
        let mut sleepers = Sleepers::default();
        let back = |time| Record {
            time,
            who: 7,
            said: Said::In,
        };
        sleepers.keep((7, 100, Some(Off::Stopped)), 150, None, &mut Alone);
        assert_eq!(sleepers.take(&back(90)), None);
        assert_eq!(sleepers.take(&back(300)), Some(Off::Stopped));
        assert_eq!(sleepers.take(&back(200)), Some(Off::Stopped));
        assert_eq!(sleepers.take(&back(250)), None);
    }

    #[test]
    fn who_waits_serves_nobody_or_sleeps_for_a_moment_is_not_looked_at() {
        let mut sleepers = Sleepers::default();
        // A thread that nobody has.
        let who = u64::from(u32::MAX);
        take(&mut sleepers, who, MS, OUT);
        let mut looks = |now, thread| {
            sleepers.look(now, std::iter::once(thread), true, &mut Alone);
            std::mem::take(&mut sleepers.looks).len()
        };
        assert_eq!(looks(4 * MS, of(who)), 0);
        let (waits, serves) = (true, false);
        assert_eq!(looks(5 * MS, Thread { waits, ..of(who) }), 0);
        assert_eq!(looks(5 * MS, Thread { serves, ..of(who) }), 0);
        assert_eq!(looks(5 * MS, of(who)), 1);
        assert_eq!(looks(5 * MS, of(who + 1)), 0);
        // A second has its measure.
        let most = (0..2 * MOST_A_SECOND).map(|_| looks(6 * MS, of(who)));
        assert_eq!(most.sum::<usize>() as u64, MOST_A_SECOND - 1);
        assert_eq!(looks(6 * MS + SECOND, of(who)), 1);
        // Nothing was found: nothing is told, and nobody hurries.
        assert!(told(&mut sleepers).is_empty() && !sleepers.is_awaited(0));
    }

    #[test]
    fn who_is_back_is_told_once_with_all_of_its_sleep() {
        let (mut end, other) = UnixStream::pair().unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            // SAFETY: takes nothing, cannot fail.
            send.send(unsafe { libc::gettid() } as u64).unwrap();
            (&other).read_exact(&mut [0]).unwrap();
        });
        let who = receive.recv().unwrap() | u64::from(std::process::id()) << 32;
        let mut sleepers = Sleepers::default();
        // Where the kernel does not say, nobody is told anything.
        let permitted = std::fs::read_to_string("/proc/thread-self/syscall").is_ok();
        let mut now = 0;
        while permitted && !sleepers.looks.values().any(|look| look.found.is_some()) {
            std::thread::sleep(Duration::from_millis(1));
            now += 20 * MS;
            take(&mut sleepers, who, now, OUT);
            sleepers.look(now + 10 * MS, std::iter::once(of(who)), true, &mut Alone);
        }
        assert!(told(&mut sleepers).is_empty());
        assert_eq!(sleepers.is_awaited(now + 11 * MS), permitted);
        take(&mut sleepers, who, now + 50 * MS, Said::In);
        take(&mut sleepers, who, now + 51 * MS, OUT);
        take(&mut sleepers, who, now + 52 * MS, Said::In);
        let all = told(&mut sleepers);
        assert_eq!(all.len(), usize::from(permitted));
        for record in all {
            let Said::Slept(ns, frames) = record.said else {
                panic!("{record:?}");
            };
            let expected = (now + 50 * MS, who, 50 * MS, 1);
            assert_eq!((record.time, record.who, ns, frames.len()), expected);
        }
        assert!(told(&mut sleepers).is_empty());
        end.write_all(b"x").unwrap();
        thread.join().unwrap();
    }
}
