//! Many CPUs' records in one order, on the recording's clock. Step: event → **ring → trace**.
//!
//! Each ring is in order by itself; a pass tells what is stamped before its own reading of the clock, so that nothing that
//! comes later belongs before it. Page faults are many and short: those of a thread that follow one another closely, with
//! nothing between them, are told together. The first after a sleep is told alone, because it may say what the sleep was.
#![forbid(unsafe_code)]

use super::asleep::{Sleepers, Thread};
use super::copied::unwound;
use super::open::PERIOD;
use super::record::{REGISTERS, Record, Said};
use super::ring::Ring;
use super::stacks::{Stacks, World};
use super::stall::{Awake, Sampling};
use crate::record::clock::Converter;
use crate::record::event::{Cause, Kind, Mode, Off, Space};
use crate::record::wire::Rec;
use crate::trace::merge::Merge;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Page faults of one thread within so many nanoseconds are told as one event.
const TOGETHER: u64 = 100_000;

/// The longest pause between two passes: what sleeps for as long again is looked at.
const SELDOM: Duration = Duration::from_millis(32);
/// The same after somebody has slept.
const SOON: Duration = Duration::from_millis(8);

/// The rings of all CPUs.
#[derive(Debug)]
pub struct Kernel {
    rings: Vec<Ring>,
    held: Held,
    stacks: Stacks,
    sampling: Sampling,
    awake: Awake,
    sleepers: Sleepers,
    /// The clocks go.
    samples: bool,
}

impl Kernel {
    pub(super) fn new(rings: Vec<Ring>, sampling: Sampling) -> Kernel {
        let held = Held {
            last: vec![0; rings.len()],
            clocks: rings.iter().map(Ring::is_clock).collect(),
            records: Vec::new(),
            stacks: Vec::new(),
        };
        Kernel {
            rings,
            held,
            stacks: Stacks::default(),
            sampling,
            awake: Awake::default(),
            sleepers: Sleepers::default(),
            samples: false,
        }
    }

    /// Stacks were asked for and are refused.
    pub fn lacks_stacks(&self) -> bool {
        self.sampling != Sampling::Off && !self.held.clocks.contains(&true)
    }

    /// The copies that tell who called what computes are refused.
    pub fn lacks_copies(&self) -> bool {
        self.sampling != Sampling::Off && !self.copies() && !REGISTERS.is_empty()
    }

    /// Takes samples where they are worth it, and looks at who sleeps: `now` is CLOCK_MONOTONIC, `threads` those that push.
    pub fn watch(&mut self, now: u64, threads: &[Thread], world: &mut dyn World) {
        let stacks = self.sampling != Sampling::Off;
        self.sleepers
            .look(now, threads.iter().copied(), stacks, world);
        if self.sampling != Sampling::Stalls {
            return;
        }
        let threads = threads.iter().map(|thread| (thread.who, thread.silent));
        let computes = self.awake.computes(now, threads);
        if computes != self.samples {
            self.samples = computes;
            let clocks = self.rings.iter().filter(|ring| ring.is_clock());
            clocks.for_each(|ring| ring.enable(computes));
        }
    }

    /// The longest pause until the next pass that lets few sleeps go unseen.
    pub fn pause(&self, now: u64) -> Duration {
        match self.sampling {
            Sampling::Off => Duration::MAX,
            _ if self.sleepers.is_awaited(now) => SOON,
            // Their rings hold few of them.
            Sampling::Always if self.copies() => SOON,
            Sampling::Stalls if self.samples && self.copies() => SOON,
            _ => SELDOM,
        }
    }

    /// Another program runs in this process: its addresses mean something else.
    pub fn changed(&mut self, pid: u32) {
        self.sleepers.changed(pid);
        self.stacks.changed(pid);
    }

    /// Samples bring copies of stacks.
    fn copies(&self) -> bool {
        self.rings.iter().any(Ring::copies)
    }

    /// Bytes of a CPU's ring.
    pub fn ring_bytes(&self) -> usize {
        self.rings.first().map_or(0, Ring::size)
    }

    /// Gives the merge, in order, what is stamped before `reading` (ticks), of the threads that have pushed something by now;
    /// `world` says what lies at an address. Answers how full the fullest ring was, in 1/256.
    pub fn drain(&mut self, reading: u64, merge: &mut Merge, world: &mut dyn World) -> u64 {
        let mut fullest = 0;
        for (at, ring) in self.rings.iter_mut().enumerate() {
            let found = ring.read(|mut record| {
                self.awake.take(&record);
                if let Some(why) = self.sleepers.take(&record) {
                    self.held.later(&record);
                    record.said = Said::Back(why);
                }
                // Now, before the process becomes something else; nobody is told of others.
                let record = match merge.knows(record.who) {
                    true => unwound(record, world),
                    false => record,
                };
                self.held.take(at, record);
            });
            if found.damaged {
                self.held.damaged(at);
            }
            // Those with copies fill up at a rate that is known: it has set the pause.
            if !ring.copies() {
                fullest = fullest.max(found.bytes * 256 / ring.size() as u64);
            }
        }
        self.sleepers
            .told(world, |record| self.held.take(0, record));
        // Copied, a few numbers: the merge is told meanwhile.
        let clock = merge.converter().clone();
        for (who, mut rec) in self.held.tell(reading, &clock) {
            if let (Kind::Sample, Some(who)) = (rec.kind, who) {
                let stack = usize::try_from(rec.x).ok();
                let stack = stack.and_then(|at| self.held.stacks.get(at));
                let Some(stack) = stack.filter(|_| merge.knows(who)) else {
                    continue;
                };
                let pid = (who >> 32) as u32;
                rec.x = self
                    .stacks
                    .id(pid, stack, world, &mut |space: Space, id, text| {
                        let name = Rec {
                            kind: Kind::Name,
                            aux: space.code(),
                            ticks: rec.ticks,
                            fd: -1,
                            x: id,
                            ..Rec::default()
                        };
                        merge.kernel(Some(who), &name, text);
                    });
            }
            merge.kernel(who, &rec, &[]);
        }
        self.held.stacks.clear();
        fullest
    }
}

/// A record that has not been told.
#[derive(Debug)]
struct One {
    record: Record,
    /// Which ring it comes from; the first ones are the CPUs'.
    ring: usize,
    /// When that told something before.
    before: u64,
}

/// What has been read and not told.
#[derive(Debug)]
struct Held {
    records: Vec<One>,
    /// When each ring told something last: what is lost was lost after it.
    last: Vec<u64>,
    /// Which rings are those of clocks.
    clocks: Vec<bool>,
    /// What clocks found in this pass: a sample's `x` says which is its own.
    stacks: Vec<Box<[u64]>>,
}

/// Faults of one thread that are told together.
#[derive(Clone, Copy, Debug)]
struct Faults {
    first: u64,
    last: u64,
    count: i32,
    address: u64,
}

impl Held {
    fn take(&mut self, ring: usize, record: Record) {
        let Some(last) = self.last.get_mut(ring) else {
            return;
        };
        let before = *last;
        *last = before.max(record.time);
        self.records.push(One {
            record,
            ring,
            before,
        });
    }

    /// A thread came back from a sleep that was looked at: what another CPU told of a later return was not about that.
    fn later(&mut self, back: &Record) {
        let unsent = self.records.iter_mut().map(|one| &mut one.record);
        for record in unsent.filter(|r| r.who == back.who && r.time > back.time) {
            if let Said::Back(_) = record.said {
                record.said = Said::In;
            }
        }
    }

    /// The ring held what is no record: nobody knows how many there were, but that one is lost is certain.
    fn damaged(&mut self, ring: usize) {
        let time = self.last.get(ring).copied().unwrap_or(0);
        let said = Said::Lost(1);
        let who = 0;
        self.take(ring, Record { time, who, said });
    }

    /// What is stamped before this reading, in order.
    fn tell(&mut self, reading: u64, clock: &Converter) -> Vec<(Option<u64>, Rec)> {
        // Stable: what one CPU stamps alike stays as it told it.
        self.records.sort_by_key(|one| one.record.time);
        let ready =
            (self.records).partition_point(|one| clock.ticks_at(one.record.time) <= reading);
        let later = self.records.split_off(ready);
        let mut out = Vec::with_capacity(ready);
        let mut open: HashMap<u64, Faults> = HashMap::new();
        let mut slept: HashSet<u64> = HashSet::new();
        for one in std::mem::replace(&mut self.records, later) {
            let Record {
                time,
                who,
                ref said,
            } = one.record;
            let found = match said {
                Said::Stack(true, stack) => Some((Mode::Kernel, PERIOD, stack)),
                Said::Stack(false, stack) => Some((Mode::User, PERIOD, stack)),
                // Of one that was not known then.
                Said::Copied(true, stack, _) => Some((Mode::Kernel, PERIOD, stack)),
                Said::Copied(false, stack, _) => Some((Mode::User, PERIOD, stack)),
                Said::Slept(ns, stack) => Some((Mode::Asleep, *ns, stack)),
                _ => None,
            };
            if let Some((mode, ns, stack)) = found {
                let rec = Rec {
                    kind: Kind::Sample,
                    aux: mode.code(),
                    ticks: clock.ticks_at(time),
                    fd: -1,
                    x: self.stacks.len() as i32,
                    arg: ns,
                    ..Rec::default()
                };
                self.stacks.push(stack.clone());
                out.push((Some(who), rec));
                continue;
            }
            if let Said::Fault(address) = *said {
                let faults = open.get(&who).copied();
                let joined = faults.filter(|f| time - f.first < TOGETHER && f.count < i32::MAX);
                if let (Some(full), None) = (faults, joined) {
                    out.push((Some(who), full.told(clock)));
                }
                let faults = Faults {
                    first: joined.map_or(time, |f| f.first),
                    last: time,
                    count: joined.map_or(1, |f| f.count + 1),
                    address,
                };
                match slept.remove(&who) {
                    true => out.push((Some(who), faults.told(clock))),
                    false => _ = open.insert(who, faults),
                }
                continue;
            }
            match *said {
                Said::Out { preempted: false } => _ = slept.insert(who),
                Said::Out { preempted: true } => _ = slept.remove(&who),
                _ => {}
            }
            if let Some(faults) = open.remove(&who) {
                out.push((Some(who), faults.told(clock)));
            }
            let known = !matches!(said, Said::Lost(_));
            let clocks = self.clocks.get(one.ring) == Some(&true);
            out.push((known.then_some(who), one.told(clock, clocks)));
        }
        out.extend(open.into_iter().map(|(who, f)| (Some(who), f.told(clock))));
        out.sort_by_key(|(_, rec)| rec.ticks);
        out
    }
}

impl Faults {
    fn told(&self, clock: &Converter) -> Rec {
        Rec {
            kind: Kind::Fault,
            ticks: clock.ticks_at(self.last),
            fd: -1,
            x: self.count,
            arg: self.address,
            y: Some(self.last - self.first),
            ..Rec::default()
        }
    }
}

impl One {
    /// `clocks`: it comes from the ring of a clock.
    fn told(&self, clock: &Converter, clocks: bool) -> Rec {
        let rec = Rec {
            ticks: clock.ticks_at(self.record.time),
            fd: -1,
            x: self.ring as i32,
            ..Rec::default()
        };
        match self.record.said {
            Said::Out { preempted } => Rec {
                kind: Kind::SwitchOut,
                aux: if preempted {
                    Off::Preempted
                } else {
                    Off::Blocked
                }
                .code(),
                ..rec
            },
            Said::Back(why) => Rec {
                kind: Kind::SwitchIn,
                aux: why.code(),
                ..rec
            },
            Said::In
            | Said::Fault(_)
            | Said::Stack(..)
            | Said::Copied(..)
            | Said::Slept(..)
            | Said::Stopped(..) => Rec {
                kind: Kind::SwitchIn,
                ..rec
            },
            Said::Lost(n) => Rec {
                kind: Kind::Lost,
                aux: if clocks {
                    Cause::Samples
                } else {
                    Cause::Switches
                }
                .code(),
                x: 0,
                arg: n,
                y: Some(clock.ticks_at(self.before)),
                ..rec
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::clock::{Anchor, Clock};

    /// The records of two CPUs (the second's after those of the first), told up to this instant.
    fn told(
        held: &mut Held,
        records: &[(usize, u64, u64, Said)],
        until: u64,
    ) -> Vec<(Option<u64>, Rec)> {
        for (cpu, time, who, said) in records {
            let (time, who, said) = (*time, *who, said.clone());
            held.take(*cpu, Record { time, who, said });
        }
        let clock = Converter::new(Clock::Monotonic, Anchor::default(), Anchor::default());
        held.tell(until, &clock)
    }

    fn empty() -> Held {
        Held {
            records: Vec::new(),
            last: vec![0; 3],
            clocks: vec![false, false, true],
            stacks: Vec::new(),
        }
    }

    const OUT: Said = Said::Out { preempted: false };

    #[test]
    fn of_several_returns_the_earliest_is_from_the_sleep_that_was_looked_at() {
        let mut held = empty();
        let record = |time, said| Record { time, who: 7, said };
        held.take(0, record(300, Said::Back(Off::Stopped)));
        held.take(
            0,
            Record {
                who: 8,
                ..record(310, Said::Back(Off::InCall))
            },
        );
        held.later(&record(200, Said::In));
        held.take(1, record(200, Said::Back(Off::Stopped)));
        let said: Vec<&Said> = held.records.iter().map(|one| &one.record.said).collect();
        let (stopped, call) = (Said::Back(Off::Stopped), Said::Back(Off::InCall));
        assert_eq!(said, [&Said::In, &call, &stopped]);
    }

    #[test]
    fn cpus_are_told_in_one_order_and_what_comes_later_is_kept() {
        let mut held = empty();
        let first = [
            (0, 10, 1, OUT),
            (0, 40, 2, Said::In),
            (1, 20, 1, Said::In),
            (1, 30, 3, OUT),
        ];
        let out = told(&mut held, &first, 30);
        let who: Vec<_> = out
            .iter()
            .map(|(who, rec)| (who.unwrap(), rec.ticks, rec.x))
            .collect();
        assert_eq!(who, [(1, 10, 0), (1, 20, 1), (3, 30, 1)]);
        // Told a pass later, the other CPU's stands before it.
        let out = told(&mut held, &[(1, 35, 1, Said::Out { preempted: true })], 100);
        let kinds: Vec<_> = out
            .iter()
            .map(|(_, rec)| (rec.kind, rec.aux, rec.ticks))
            .collect();
        let preempted = Off::Preempted.code();
        assert_eq!(
            kinds,
            [(Kind::SwitchOut, preempted, 35), (Kind::SwitchIn, 0, 40)]
        );
        assert!(told(&mut held, &[], u64::MAX).is_empty());
    }

    #[test]
    fn faults_close_together_are_one_event_and_a_switch_parts_them() {
        let fault = |t: u64| (0, t, 1, Said::Fault(t * 0x1000));
        let records = [
            fault(10),
            fault(20),
            (0, 25, 2, Said::Fault(7)),
            (0, 30, 1, OUT),
            (0, 40, 1, Said::In),
            fault(41),
            fault(42),
            fault(42 + TOGETHER),
        ];
        let out = told(&mut empty(), &records, u64::MAX);
        let faults: Vec<_> = (out.iter())
            .filter(|(_, rec)| rec.kind == Kind::Fault)
            .map(|(who, rec)| (who.unwrap(), rec.ticks, rec.x, rec.arg, rec.y.unwrap()))
            .collect();
        let late = 42 + TOGETHER;
        assert_eq!(
            faults,
            [
                (1, 20, 2, 20 * 0x1000, 10),
                (2, 25, 1, 7, 0),
                (1, 41, 1, 41 * 0x1000, 0),
                (1, 42, 1, 42 * 0x1000, 0),
                (1, late, 1, late * 0x1000, 0)
            ]
        );
        assert!(out.is_sorted_by_key(|(_, rec)| rec.ticks));
    }

    #[test]
    fn a_loss_reaches_back_to_what_its_cpu_told_before() {
        let mut held = empty();
        let records = [(0, 10, 1, OUT), (1, 20, 2, OUT), (0, 50, 1, Said::Lost(3))];
        let out = told(&mut held, &records, u64::MAX);
        let (who, lost) = out.last().unwrap();
        assert_eq!(
            (*who, lost.kind, lost.arg, lost.y),
            (None, Kind::Lost, 3, Some(10))
        );
        assert_eq!(lost.aux, Cause::Switches.code());
        held.damaged(1);
        let out = told(&mut held, &[], u64::MAX);
        assert_eq!(out.len(), 1);
        assert_eq!((out[0].1.arg, out[0].1.ticks), (1, 20));
    }

    #[test]
    fn samples_keep_their_stacks_and_lose_no_switches() {
        let mut held = empty();
        let stack = |frames: &[u64]| Said::Stack(frames[0] == 9, frames.into());
        let records = [
            (2, 30, 1, stack(&[9, 8])),
            (0, 20, 1, Said::In),
            (2, 10, 2, stack(&[7])),
            (2, 40, 1, Said::Lost(5)),
        ];
        let out = told(&mut held, &records, u64::MAX);
        let of: Vec<_> = (out.iter())
            .filter(|(_, rec)| rec.kind == Kind::Sample)
            .map(|(who, rec)| (who.unwrap(), rec.aux, &*held.stacks[rec.x as usize]))
            .collect();
        let (user, kernel) = (Mode::User.code(), Mode::Kernel.code());
        assert_eq!(of, [(2, user, &[7][..]), (1, kernel, &[9, 8])]);
        let (_, lost) = out.last().unwrap();
        assert_eq!((lost.arg, lost.aux), (5, Cause::Samples.code()));
    }
}
