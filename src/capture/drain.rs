//! One step of the collector: drain every ring, put the records in order, give dead threads' rings back.
//! Step: **ring → trace**.
//!
//! The same step serves the collector of `loopscope record`, which maps another process tree's segment, and the
//! thread behind `Recorder::to_file`, whose rings are its own process's. The caller decides when; [`Pass::pause`] says
//! when the next pass is worth making.
//!
//! | a thread …                | is noticed by            | then                                                      |
//! |---------------------------|--------------------------|-----------------------------------------------------------|
//! | retires its ring          | the ring's flag          | ring drained and free in the same pass                    |
//! | is gone, its process not  | tgkill(pid, tid, 0)      | what it had committed is written, the rest counted torn   |
//! | dies with its process     | [`Drain::process_ended`] | the same, then `ProcessEnd`                               |
//! | leaves a ring for another | the claims' numbers      | the ring left is free, the thread goes on                 |
//! | without a ring is gone    | the same two             | slots it claimed and did not write are passed over        |

use super::foreign::Foreign;
use super::liveness;
use super::modules::{self, Modules};
pub use super::pass::Pass;
use super::pass::{HOLDING, SHORTEST};
use super::procfs::Proc;
use super::ring::{Ring, tell_damage};
use crate::record::clock::{Anchor, Clock, Converter};
use crate::record::event::{Cause, Event, Kind};
use crate::record::handshake::Source;
use crate::record::ring::Stop;
use crate::record::segment::Segment;
use crate::record::wire::Rec;
use crate::trace::merge::{Counts, Merge};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// The collector's state.
pub struct Drain {
    segment: Segment,
    rings: Vec<Ring>,
    merge: Merge,
    clock: Clock,
    start: Anchor,
    /// The clock when the pass before began.
    reading: Option<u64>,
    /// Nanoseconds since the start when clocks are to be read side by side again.
    next_anchor: u64,
    next_check: u64,
    /// The overflow ring is held up by a claim of this thread, since this reading.
    held_up: Option<(u32, u64)>,
    ended: Vec<(u32, i32)>,
    /// Threads one of whose rings was found dead in this pass.
    dead: Vec<u64>,
    /// Processes whose end the caller will tell.
    awaited: HashSet<u32>,
    pub(super) foreign: Foreign,
    pub(super) modules: Modules,
    /// What the kernel tells of the threads.
    #[cfg(feature = "cli")] // only what a session launches is told of
    pub(super) kernel: Option<super::perf::Kernel>,
    pause: Duration,
}

/// The wait status of a process of which nobody has said how it ended.
pub const UNKNOWN_STATUS: i32 = -1;

const SECOND: u64 = 1_000_000_000;
/// How often threads are asked whether they are there.
const CHECK: u64 = SECOND / 4;
/// The same when no ring is free.
const CHECK_CROWDED: u64 = SECOND / 200;
/// After so long without a commit, a claim's writer is asked for.
const HELD_UP: u64 = SECOND / 10;

impl Drain {
    /// A collector of a fresh segment. The recording starts now.
    pub fn new(segment: Segment) -> Self {
        let clock = segment.clock();
        let start = Anchor::take(clock);
        let converter = Converter::new(clock, start, later(clock, start));
        let rings: Vec<Ring> = segment.consumers().map(Ring::new).collect();
        let mut merge = Merge::new(rings.len(), converter);
        merge.anchor(start);
        Drain {
            segment,
            rings,
            merge,
            clock,
            start,
            reading: None,
            next_anchor: SECOND / 100,
            next_check: CHECK,
            held_up: None,
            ended: Vec::new(),
            dead: Vec::new(),
            awaited: HashSet::new(),
            foreign: Foreign::default(),
            modules: Modules::default(),
            #[cfg(feature = "cli")]
            kernel: None,
            pause: SHORTEST,
        }
    }

    /// The clocks at the recording's start.
    pub fn start(&self) -> Anchor {
        self.start
    }

    /// The segment drained.
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// What has been written so far.
    pub fn counts(&self) -> Counts {
        self.merge.counts()
    }

    /// The clock, and what it means in nanoseconds since the start.
    #[cfg(feature = "cli")] // only a session looks at processes
    pub(super) fn reading(&mut self) -> (u64, u64) {
        let ticks = self.clock.now();
        (ticks, self.merge.converter().ns(ticks))
    }

    /// Nanoseconds since the start.
    pub fn now(&mut self) -> u64 {
        let now = self.clock.now();
        self.merge.converter().ns(now)
    }

    /// A process has joined: its start is written now rather than at its first event. `awaited`: its end will be told
    /// by [`Drain::process_ended`]; otherwise it is noticed, without a status.
    pub fn process_joined(&mut self, pid: u32, awaited: bool) {
        self.process_arrived(pid, awaited, self.clock.now(), &modules::maps(pid));
    }

    /// A process that showed itself by what it pushes: its end will be told by [`Drain::process_ended`].
    #[cfg(feature = "cli")] // only a session looks at processes
    pub(super) fn awaits(&mut self, pid: u32) {
        self.awaited.insert(pid);
    }

    /// [`Drain::process_joined`] for one that came at this reading of the clock and has pushed nothing before.
    pub(super) fn process_arrived(&mut self, pid: u32, awaited: bool, at: u64, maps: &[u8]) {
        if awaited {
            self.awaited.insert(pid);
        }
        self.modules.joined(pid, maps);
        #[cfg(feature = "cli")]
        self.kernel.iter_mut().for_each(|k| k.changed(pid));
        self.merge.process_seen(pid, at, &mut Proc::default());
    }

    /// Who pushes for a process: said when it joined.
    pub fn process_from(&mut self, pid: u32, source: Source) {
        self.merge.process_from(pid, source, &mut Proc::default());
    }

    /// The processes that have been seen and have not ended.
    pub fn processes(&self) -> Vec<u32> {
        self.merge.processes()
    }

    /// A process is gone (waited for, or its pidfd says so). The next pass writes the rest of what it pushed, the
    /// ends of its threads, then its own with this wait status.
    pub fn process_ended(&mut self, pid: u32, status: i32) {
        self.ended.push((pid, status));
    }

    /// Writes an event of the collector's own, about nobody or about a process, stamped now.
    pub fn note(&mut self, pid: Option<u32>, rec: Rec, text: &[u8]) {
        let ticks = self.clock.now();
        self.note_at(pid, rec, text, ticks);
    }

    /// The same, stamped with a reading of the clock since the last pass.
    pub(super) fn note_at(&mut self, pid: Option<u32>, rec: Rec, text: &[u8], ticks: u64) {
        let rec = Rec { ticks, ..rec };
        self.merge.note(pid, &rec, text, &mut Proc::default());
    }

    /// Writes an event of the collector's own about a process that came at this reading of the clock: it stands before
    /// what the process pushes from then on.
    #[cfg(feature = "cli")] // only a session has others join
    pub(super) fn note_arrival(&mut self, pid: u32, rec: Rec, text: &[u8], at: u64) {
        let rec = Rec { ticks: at, ..rec };
        self.merge.arrival(pid, &rec, text, &mut Proc::default());
    }

    /// One pass: what was pushed before the last one goes to `sink`, in order.
    pub fn pass(&mut self, mut sink: impl FnMut(&Event, &[u8])) -> Pass {
        let before = self.reading;
        let reading = self.clock.now();
        self.reading = Some(reading);
        if before.is_some_and(|before| reading < before) {
            // The counter was reset under us (a suspend may): what is held stands before all that comes.
            self.merge.release(u64::MAX, &mut sink);
            self.merge.restart();
            self.next_anchor = 0;
        }
        self.take_anchor(reading);
        let now = self.merge.converter().ns(reading);
        let crowded = self.rings.iter().rev().skip(1).all(|r| r.owner != 0);
        let check =
            now >= self.next_check || crowded && now >= self.next_check - CHECK + CHECK_CROWDED;
        if check {
            self.next_check = now + CHECK;
            self.find_stale();
        }
        let ended = std::mem::take(&mut self.ended);
        let mut pass = Pass {
            now,
            pause: Duration::MAX,
            ..Pass::default()
        };
        for at in 0..self.rings.len() - 1 {
            self.drain_own(at, reading, check, &ended, &mut pass);
        }
        self.drain_overflow(reading, &mut pass);
        #[cfg(feature = "cli")]
        if let Some(kernel) = &mut self.kernel {
            let full = kernel.drain(reading, &mut self.merge, &mut self.modules);
            pass.fullest = pass.fullest.max(full);
            let mono = self.start.mono.saturating_add(now);
            kernel.watch(mono, &Ring::threads(&self.rings), &mut self.modules);
            pass.pause = kernel.pause(mono);
        }
        self.end_threads(&mut pass);
        if check {
            self.check_ringless(&mut pass);
        }
        for (pid, status) in ended {
            self.awaited.remove(&pid);
            self.merge.process_ended(pid, status, self.clock.now());
            // Not before: until now whoever asks finds it among the processes, and is to know what it is.
            self.foreign.ended(pid);
        }
        if let Some(limit) = before {
            self.merge.release(limit, &mut sink);
        }
        self.pause = pass.next_pause(self.pause);
        let holds = pass.records > 0 && self.merge.holds_any();
        let pause = if holds { HOLDING } else { self.pause };
        pass.pause = self.pause.min(pause).min(pass.pause);
        pass
    }

    /// The last passes: whatever is committed now is written, then the calls that threads are inside of.
    pub fn finish(mut self, mut sink: impl FnMut(&Event, &[u8])) -> Counts {
        self.segment.end();
        self.pass(&mut sink);
        // Again: a ring that was full at the first go had writers waiting to tell what was lost. And once more: a ring
        // that was quiet for a pass tells whether its thread has ended.
        for _ in 0..2 {
            self.next_check = 0;
            self.pass(&mut sink);
        }
        // Nobody will be told of their ends any more.
        let alive: HashSet<u32> = (self.merge.threads().iter())
            .map(|who| (who >> 32) as u32)
            .collect();
        for pid in self.merge.processes() {
            if !alive.contains(&pid) && liveness::process_is_over(pid) {
                self.merge
                    .process_ended(pid, UNKNOWN_STATUS, self.clock.now());
            }
        }
        let now = self.clock.now();
        let overflow = self.rings.len() - 1;
        for (at, ring) in self.rings.iter().enumerate() {
            let who = (ring.owner != 0).then_some(ring.who);
            let cause = if at == overflow {
                Cause::NoSlot
            } else {
                Cause::RingFull
            };
            self.merge.settle_lost(
                at,
                who,
                cause,
                ring.consumer.lost(),
                now,
                &mut Proc::default(),
            );
            let names = &mut Proc::default();
            self.merge
                .in_call(ring.who, ring.consumer.call(), now, names);
        }
        self.merge.release(u64::MAX, &mut sink);
        self.merge.counts()
    }

    /// Reads the clocks side by side: after 10, 20, 40 … ms, then every second, so that the rate is soon known well.
    fn take_anchor(&mut self, reading: u64) {
        if self.merge.converter().ns(reading) < self.next_anchor {
            return;
        }
        let anchor = Anchor::take(self.clock);
        self.merge.converter().learn(anchor);
        self.merge.anchor(anchor);
        let now = anchor.mono.saturating_sub(self.start.mono);
        self.next_anchor = now + now.min(SECOND);
    }

    /// A thread pushes into the ring it claimed last. Older ones it has left, at the latest when the signal handler
    /// that claimed the new one returned into a push.
    fn find_stale(&mut self) {
        let mut newest: HashMap<(u64, u64), u64> = HashMap::new();
        for ring in self.rings.iter().filter(|r| r.owner != 0) {
            let found = ring.consumer.serial();
            let serial = (newest.entry((ring.owner, ring.consumer.source()))).or_default();
            *serial = found.max(*serial);
        }
        for ring in &mut self.rings {
            let serial = ring.consumer.serial();
            let by = (ring.owner, ring.consumer.source());
            ring.stale = serial != 0 && newest.get(&by).is_some_and(|n| *n > serial);
        }
    }

    /// A thread has ended once none of its rings is left: the shim and the library have one each.
    fn end_threads(&mut self, pass: &mut Pass) {
        for who in std::mem::take(&mut self.dead) {
            if self.rings.iter().all(|ring| ring.who != who) {
                self.merge.thread_ended(who, self.clock.now());
                pass.ended += 1;
            }
        }
    }

    fn drain_own(
        &mut self,
        at: usize,
        reading: u64,
        check: bool,
        ended: &[(u32, i32)],
        pass: &mut Pass,
    ) {
        let Some(ring) = self.rings.get_mut(at) else {
            return;
        };
        let owner = ring.consumer.owner();
        if owner == 0 && ring.owner == 0 {
            return;
        }
        if ring.owner != owner {
            // Scribbled over, or a child process freed it for us: whoever was there is gone.
            if ring.owner != 0 {
                self.merge.thread_ended(ring.who, reading);
            }
            (ring.owner, ring.who) = (owner, self.foreign.who(owner));
            ring.quiet = false;
            ring.serves = false;
        }
        let who = ring.who;
        // Dead or retired before the drain: then the drain sees all there ever will be.
        let retired = ring.consumer.retired();
        let stale = check && ring.quiet && ring.stale;
        let dead = retired
            || stale
            || ended.iter().any(|(pid, _)| *pid == (who >> 32) as u32)
            || check && ring.quiet && !liveness::thread_lives(who);
        let lost = ring.consumer.lost();
        let merge = &mut self.merge;
        let clock = self.clock;
        let serves = &mut ring.serves;
        let mut names = Proc {
            parent: ring.consumer.parent(),
            modules: Some(&mut self.modules),
        };
        let each = |r: &crate::record::ring::Record<'_>| {
            *serves |= r.rec.kind == Kind::WaitExit;
            let later = r.rec.ticks > reading;
            let latest = if later { clock.now() } else { reading };
            merge.collect(at, who, &r.rec, r.text, latest, &mut names);
        };
        let done = if dead {
            ring.consumer.drain_dead(each)
        } else {
            ring.consumer.drain(each)
        };
        pass.add(&done, ring.consumer.capacity());
        if done.records > 0 {
            merge.pushes(who, ring.consumer.source());
        }
        ring.quiet = done.slots == 0;
        if !dead {
            ring.inside = match ring.quiet {
                true => merge.lasts(who, ring.consumer.call(), ring.inside, reading, &mut names),
                false => 0,
            };
        }
        tell_damage(&mut self.merge, at, Some(who), &done, self.clock.now());
        // Loss that no marker has told: in place once the ring is drained and the thread has not pushed for a pass.
        let untold = self.merge.untold(at, lost);
        let settled = done.records == 0 && ring.untold == Some(lost);
        ring.untold = (untold > 0).then_some(lost);
        if dead || settled {
            let total = if dead { ring.consumer.lost() } else { lost };
            self.merge.settle_lost(
                at,
                Some(who),
                Cause::RingFull,
                total,
                reading,
                &mut Proc::default(),
            );
        }
        if dead {
            if !stale {
                if !retired {
                    let (call, now) = (ring.consumer.call(), self.clock.now());
                    self.merge.in_call(who, call, now, &mut names);
                }
                self.dead.push(who);
            }
            ring.consumer.free();
            (ring.owner, ring.who) = (0, 0);
            ring.stale = false;
        }
    }

    fn drain_overflow(&mut self, reading: u64, pass: &mut Pass) {
        let at = self.rings.len() - 1;
        let Some(ring) = self.rings.get_mut(at) else {
            return;
        };
        let lost = ring.consumer.lost();
        let foreign = &mut self.foreign;
        let merge = &mut self.merge;
        let clock = self.clock;
        let done = ring.consumer.drain(|r| {
            let later = r.rec.ticks > reading;
            let latest = if later { clock.now() } else { reading };
            let who = foreign.who(r.who);
            merge.collect(at, who, &r.rec, r.text, latest, &mut Proc::default());
        });
        pass.add(&done, ring.consumer.capacity());
        tell_damage(&mut self.merge, at, None, &done, self.clock.now());
        let untold = self.merge.untold(at, lost);
        if done.records == 0 && ring.untold == Some(lost) {
            self.merge
                .settle_lost(at, None, Cause::NoSlot, lost, reading, &mut Proc::default());
        }
        ring.untold = (untold > 0).then_some(lost);
        self.held_up = match (done.stop, self.held_up) {
            (Stop::Claimed { tid }, Some((same, since))) if tid == same && done.slots == 0 => {
                let held_up = self
                    .merge
                    .converter()
                    .duration(reading.saturating_sub(since))
                    > HELD_UP;
                // A claim has no process, so one from another namespace may be anybody's.
                if held_up && self.foreign.is_empty() && !liveness::tid_lives(tid) {
                    if ring.consumer.skip_claim() {
                        self.merge
                            .lose(at, None, Cause::Torn, 1, reading, &mut Proc::default());
                    }
                    None
                } else {
                    Some((same, since))
                }
            }
            (Stop::Claimed { tid }, _) => Some((tid, reading)),
            _ => None,
        };
    }

    /// Threads that only the overflow ring knows, and processes that nobody waits for.
    fn check_ringless(&mut self, pass: &mut Pass) {
        let owners: HashSet<u64> = self.rings.iter().map(|r| r.who).collect();
        let threads = self.merge.threads();
        for who in &threads {
            if !owners.contains(who) && !liveness::thread_lives(*who) {
                self.merge.thread_ended(*who, self.clock.now());
                pass.ended += 1;
            }
        }
        let with_threads: HashSet<u32> = threads.iter().map(|who| (who >> 32) as u32).collect();
        for pid in self.merge.processes() {
            if !with_threads.contains(&pid)
                && !self.awaited.contains(&pid)
                && liveness::process_is_over(pid)
            {
                self.merge
                    .process_ended(pid, UNKNOWN_STATUS, self.clock.now());
            }
        }
    }
}

/// A second reading of the clocks, a fifth of a millisecond on: good for a first rate within 0.02%.
fn later(clock: Clock, start: Anchor) -> Anchor {
    loop {
        let anchor = Anchor::take(clock);
        if anchor.mono.saturating_sub(start.mono) >= SECOND / 5000 {
            return anchor;
        }
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::clock::Clock;
    use crate::record::segment::Layout;
    use std::sync::atomic::AtomicU64;

    /// Whoever asks who is there between the end and the pass that writes it would wait for somebody else's end.
    #[test]
    fn a_stranger_is_one_until_its_end_is_written() {
        let layout = Layout {
            large: 1,
            large_slots: 1024,
            small: 1,
            small_slots: 1024,
            overflow_slots: 2048,
        };
        let count = layout.words().expect("a small layout");
        let words: Vec<AtomicU64> = (0..count).map(|_| AtomicU64::new(0)).collect();
        let words = words.leak().as_ptr().cast();
        // SAFETY: leaked words stay as long as the process.
        let segment = unsafe { Segment::create(words, count, layout, Clock::Monotonic, 1) };
        let mut drain = Drain::new(segment.expect("enough memory"));
        let me = std::process::id();
        drain.foreign.joined(me, me);
        // The first process of the machine has no rings of ours.
        assert_eq!(drain.foreign.who(1 | 1 << 32), 1 | 1 << 32);
        drain.process_ended(1, UNKNOWN_STATUS);
        assert!(drain.foreign.is_stranger(1));
        drain.pass(|_, _| ());
        assert!(!drain.foreign.is_stranger(1));
    }
}
