//! Many rings become one sequence of events. Step: ring → **trace**.
//!
//! Order: the merge key is the push stamp, made non-decreasing per ring (a signal handler that interrupts a push
//! stands before it with the later stamp; the interrupted record takes that stamp). Ties go by ring, so that a wakeup
//! and its ready batch, which share a ring and a stamp, stay together.
//!
//! Release: pass k of the collector reads the clock, drains every ring into [`Merge::collect`], and
//! [releases](Merge::release) what is stamped before the reading of pass k − 1. A record pushed before that reading
//! has been drained by then, unless its thread was held up between stamp and commit for longer than a pass; such a
//! record is late. It is written where the order stands, at that instant, with the flag `LATE`, and counted. So time
//! never runs backwards in a recording.
//!
//! Kinds that only the collector may write are refused from rings.
#![forbid(unsafe_code)]

pub use super::counts::Counts;
pub use super::roster::Names;
use super::roster::{Place, Roster, tells};
use crate::record::clock::{Anchor, Converter};
use crate::record::event::{Cause, Event, Kind, MAX_TEXT, Space, Text, flags};
use crate::record::handshake::Source;
use crate::record::wire::{self, Rec};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// The thread of events that are no thread's: the collector's own.
const NOBODY: Place = Place::MAX;

/// A record on its way from a ring into the file.
struct Item {
    /// Where it stands in the order, in ticks.
    key: u64,
    rec: Rec,
    who: Place,
    text: u16,
    late: bool,
}

/// One ring's records that have not been released, oldest first.
#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    /// Their texts, in the same order.
    text: VecDeque<u8>,
    last_key: u64,
    /// The thread that pushed last, to save looking it up.
    writer: Option<(u64, Place)>,
    /// As much of the ring's count of lost records as stands in the order already.
    lost: u64,
}

/// Puts the records of many rings in order.
pub struct Merge {
    /// One a ring, then the collector's own, then that of arrivals, which are stamped before they are told, then the kernel's.
    queues: Vec<Queue>,
    pub(super) rings: usize,
    pub(super) roster: Roster,
    pub(super) converter: Converter,
    /// Everything with a smaller key has been released.
    released_to: u64,
    heap: BinaryHeap<Reverse<(u64, usize)>>,
    scratch: Vec<u8>,
    counts: Counts,
}

impl Merge {
    /// A merge of `rings` rings whose ticks `converter` knows.
    pub fn new(rings: usize, converter: Converter) -> Self {
        Merge {
            queues: (0..rings + 3).map(|_| Queue::default()).collect(),
            rings,
            roster: Roster::default(),
            converter,
            released_to: 0,
            heap: BinaryHeap::new(),
            scratch: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// From ticks to nanoseconds.
    pub fn converter(&mut self) -> &mut Converter {
        &mut self.converter
    }

    /// What it has done so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether records wait for their release.
    pub fn holds_any(&self) -> bool {
        self.queues.iter().any(|q| !q.items.is_empty())
    }

    /// The threads known, as `tid | pid << 32`.
    pub fn threads(&self) -> Vec<u64> {
        self.roster.all().collect()
    }

    /// The processes known, by pid.
    pub fn processes(&self) -> Vec<u32> {
        self.roster.pids()
    }

    /// Takes a record of `ring` in, pushed by the thread `who` (`tid | pid << 32`). `latest` is an instant after its
    /// push: no stamp is believed to be later.
    pub fn collect(
        &mut self,
        ring: usize,
        who: u64,
        rec: &Rec,
        text: &[u8],
        latest: u64,
        names: &mut dyn Names,
    ) {
        let place = self.writer(ring, who, names);
        let mut rec = *rec;
        match rec.kind {
            Kind::Lost => {
                // The producer's marker: how many were lost up to here, since the ring's creation.
                let Some(queue) = self.queues.get_mut(ring) else {
                    return;
                };
                let total = rec.arg;
                rec.arg = total.saturating_sub(queue.lost);
                if rec.arg == 0 {
                    return;
                }
                queue.lost = total;
                rec.y = Some(queue.last_key);
                let cause = Cause::from_code(rec.aux).unwrap_or(Cause::RingFull);
                rec.aux = cause.code();
                let who = if cause == Cause::NoSlot {
                    NOBODY
                } else {
                    place
                };
                self.put(ring, who, rec, &[], latest);
            }
            Kind::ThreadStart
            | Kind::ThreadEnd
            | Kind::ProcessStart
            | Kind::ProcessEnd
            | Kind::InCall
            | Kind::Anchor
            | Kind::SwitchOut
            | Kind::SwitchIn
            | Kind::Fault
            | Kind::Sample
            | Kind::Steal
            | Kind::Signals
            | Kind::Sched
            | Kind::Output => self.lose(ring, Some(who), Cause::Rejected, 1, latest, names),
            _ => {
                self.counts.records += 1;
                self.counts.told += u64::from(tells(&rec));
                let code = rec.kind == Kind::Name && rec.arg != 0 && text.is_empty();
                if code && rec.aux == Space::Site.code() {
                    // The shim tells of an address; only from outside can one see what lies there.
                    let mut name = names.code((who >> 32) as u32, rec.arg);
                    name.truncate(wire::cut(&name, MAX_TEXT));
                    if let Some((id, module)) = names.module() {
                        let told = Rec {
                            aux: Space::Module.code(),
                            x: id,
                            arg: 0,
                            ..rec
                        };
                        self.put(ring, place, told, &module, latest);
                    }
                    return self.put(ring, place, rec, &name, latest);
                }
                self.put(ring, place, rec, text, latest);
            }
        }
    }

    /// Says that `n` records of `ring` are lost, here in its order.
    pub fn lose(
        &mut self,
        ring: usize,
        who: Option<u64>,
        cause: Cause,
        n: u64,
        now: u64,
        names: &mut dyn Names,
    ) {
        let place = who.map_or(NOBODY, |who| self.roster.thread(who, names));
        let since = self.queues.get(ring).map_or(0, |q| q.last_key);
        let rec = Rec {
            kind: Kind::Lost,
            aux: cause.code(),
            arg: n,
            y: Some(since),
            ticks: now,
            ..Rec::default()
        };
        self.put(ring, place, rec, &[], now);
    }

    /// Brings the order up to `total`, the ring's own count of records lost, for the part that no marker told.
    pub fn settle_lost(
        &mut self,
        ring: usize,
        who: Option<u64>,
        cause: Cause,
        total: u64,
        now: u64,
        names: &mut dyn Names,
    ) {
        let untold = self.untold(ring, total);
        if untold > 0 {
            self.lose(ring, who, cause, untold, now, names);
            if let Some(queue) = self.queues.get_mut(ring) {
                queue.lost = total;
            }
        }
    }

    /// How much of the ring's count of lost records does not stand in the order yet.
    pub fn untold(&self, ring: usize, total: u64) -> u64 {
        self.queues
            .get(ring)
            .map_or(0, |q| total.saturating_sub(q.lost))
    }

    /// The collector's own record: an event of nobody's, or of the main thread of `pid`.
    pub fn note(&mut self, pid: Option<u32>, rec: &Rec, text: &[u8], names: &mut dyn Names) {
        let place = match pid {
            Some(pid) => self.roster.thread(pid as u64 | (pid as u64) << 32, names),
            None => NOBODY,
        };
        self.put(self.rings, place, *rec, text, rec.ticks);
    }

    /// Writes an event about a process that came at `rec.ticks`, before it pushed anything more.
    pub fn arrival(&mut self, pid: u32, rec: &Rec, text: &[u8], names: &mut dyn Names) {
        let place = self.roster.thread(pid as u64 | (pid as u64) << 32, names);
        self.put(self.rings + 1, place, *rec, text, rec.ticks);
    }

    /// Ticks have gone back (the counter was reset): what is held has been released, and order starts afresh.
    pub fn restart(&mut self) {
        self.released_to = 0;
        for queue in &mut self.queues {
            queue.last_key = 0;
        }
    }

    /// What the kernel tells of the thread `who`, if that has pushed anything; what nobody pushed for is not recorded. Comes
    /// in the order of its stamps. A loss is nobody's; its `y` are the ticks it reaches back to.
    pub fn kernel(&mut self, who: Option<u64>, rec: &Rec, text: &[u8]) {
        let place = match who {
            Some(who) => match self.roster.known(who) {
                Some(place) => place,
                None => return,
            },
            None => NOBODY,
        };
        self.put(self.rings + 2, place, *rec, text, rec.ticks);
    }

    /// The thread `who` has pushed something.
    pub fn knows(&self, who: u64) -> bool {
        self.roster.known(who).is_some()
    }

    /// Writes the clocks side by side.
    pub fn anchor(&mut self, anchor: Anchor) {
        let rec = Rec {
            kind: Kind::Anchor,
            ticks: anchor.ticks,
            arg: anchor.mono,
            y: Some(anchor.boot),
            ..Rec::default()
        };
        let mut text = [0; 16];
        text[..8].copy_from_slice(&anchor.ticks.to_le_bytes());
        text[8..].copy_from_slice(&anchor.real.to_le_bytes());
        self.put(self.rings, NOBODY, rec, &text, anchor.ticks);
    }

    /// Who pushes for a process.
    pub fn process_from(&mut self, pid: u32, source: Source, names: &mut dyn Names) {
        let place = self.roster.process(pid, names);
        self.roster.pushed_by(place, source);
    }

    /// Who pushes for a thread's process, as the claim of its ring tells, where nothing else has told.
    pub fn pushes(&mut self, who: u64, source: u64) {
        if let Some(source) = u16::try_from(source).ok().and_then(Source::from_code) {
            self.roster.pushes((who >> 32) as u32, source);
        }
    }

    /// A process joined, or is about to.
    pub fn process_seen(&mut self, pid: u32, at: u64, names: &mut dyn Names) {
        let place = self.roster.process(pid, names);
        self.own(self.rings + 1, Kind::ProcessStart, place, 0, at);
    }

    /// A thread has ended, and everything it pushed has been collected.
    pub fn thread_ended(&mut self, who: u64, now: u64) {
        if let Some(place) = self.roster.forget_thread(who) {
            self.queues.iter_mut().for_each(|q| q.writer = None);
            let rec = Rec {
                kind: Kind::ThreadEnd,
                ticks: now,
                ..Rec::default()
            };
            // Among the collector's own: ties go to the rings, so every record of the thread stands before.
            self.put(self.rings, place, rec, &[], now);
        }
    }

    /// A process has ended, with a wait status if it is known, after all its threads. Those that only the overflow
    /// ring knows end with it.
    pub fn process_ended(&mut self, pid: u32, status: i32, now: u64) {
        for who in self.roster.threads_of(pid) {
            self.thread_ended(who, now);
        }
        if let Some(place) = self.roster.forget_process(pid) {
            self.own(self.rings, Kind::ProcessEnd, place, status, now);
        }
    }

    /// Writes everything stamped before `limit`, in order.
    pub fn release(&mut self, limit: u64, mut sink: impl FnMut(&Event, &[u8])) {
        let Merge {
            queues,
            roster,
            converter,
            heap,
            scratch,
            counts,
            ..
        } = self;
        let mut sink = |e: &Event, text: &[u8]| {
            counts.events += 1;
            if e.kind == Kind::Lost {
                counts.lose(e.aux, e.arg);
            }
            counts.late += (e.flags & flags::LATE != 0) as u64;
            sink(e, text);
        };
        heap.clear();
        for (ring, queue) in queues.iter().enumerate() {
            if let Some(first) = queue.items.front().filter(|i| i.key < limit) {
                heap.push(Reverse((first.key, ring)));
            }
        }
        while let Some(Reverse((_, ring))) = heap.pop() {
            let next = heap.peek().map_or((limit, 0), |next| next.0);
            let Some(queue) = queues.get_mut(ring) else {
                continue;
            };
            while let Some(item) = queue.items.front() {
                if (item.key, ring) >= next {
                    if item.key < limit {
                        heap.push(Reverse((item.key, ring)));
                    }
                    break;
                }
                let Some(item) = queue.items.pop_front() else {
                    break;
                };
                scratch.clear();
                if item.text > 0 {
                    let len = (item.text as usize).min(queue.text.len());
                    scratch.extend(queue.text.drain(..len));
                }
                write(&item, scratch, roster, converter, &mut sink);
            }
        }
        self.released_to = self.released_to.max(limit);
    }

    #[inline]
    fn writer(&mut self, ring: usize, who: u64, names: &mut dyn Names) -> Place {
        if let Some(Some((last, place))) = self.queues.get(ring).map(|q| q.writer)
            && last == who
        {
            return place;
        }
        let place = self.roster.thread(who, names);
        if let Some(queue) = self.queues.get_mut(ring) {
            queue.writer = Some((who, place));
        }
        place
    }

    /// The collector's record about a process, whose place travels in `arg` until it is written.
    fn own(&mut self, queue: usize, kind: Kind, place: Place, x: i32, now: u64) {
        let rec = Rec {
            kind,
            x,
            arg: place as u64,
            ticks: now,
            ..Rec::default()
        };
        self.put(queue, NOBODY, rec, &[], now);
    }

    pub(super) fn put(&mut self, ring: usize, who: Place, rec: Rec, text: &[u8], latest: u64) {
        let Some(queue) = self.queues.get_mut(ring) else {
            return;
        };
        let stamp = rec.ticks.min(latest);
        let late = stamp < self.released_to;
        let key = stamp.max(queue.last_key).max(self.released_to);
        queue.last_key = key;
        // Hardly any has a text, and a deque looks at its ends before it finds that out.
        if !text.is_empty() {
            queue.text.extend(text);
        }
        queue.items.push_back(Item {
            key,
            rec,
            who,
            text: text.len() as u16,
            late,
        });
    }
}

/// Turns a released item into its event.
#[inline]
fn write(
    item: &Item,
    text: &[u8],
    roster: &mut Roster,
    converter: &Converter,
    sink: &mut impl FnMut(&Event, &[u8]),
) {
    let rec = &item.rec;
    let t = converter.ns(item.key);
    let mut event = Event {
        t,
        arg: rec.arg,
        y: rec.y.unwrap_or(0),
        thread: 0,
        fd: rec.fd,
        x: rec.x,
        site: rec.site,
        aux: rec.aux,
        kind: rec.kind,
        flags: rec.flags | if item.late { flags::LATE } else { 0 },
        text: Text {
            at: 0,
            len: text.len() as u16,
        },
    };
    match rec.kind {
        Kind::Io | Kind::Supplied | Kind::InCall => event.y = converter.duration(event.y),
        Kind::Lost => event.y = t.saturating_sub(converter.ns(event.y)),
        Kind::ProcessStart => {
            roster.process_number(rec.arg as Place, t, sink);
            return;
        }
        Kind::ProcessEnd => {
            let place = rec.arg as Place;
            event.arg = roster.process_number(place, t, sink) as u64;
            sink(&event, text);
            roster.remove_process(place);
            return;
        }
        Kind::ThreadEnd => {
            // A thread that claimed a ring and never pushed is not worth an event.
            if roster.is_numbered(item.who) {
                event.x = roster.tid(item.who) as i32;
                event.thread = roster.number(item.who, t, sink);
                sink(&event, text);
            }
            roster.remove_thread(item.who);
            return;
        }
        _ => {}
    }
    if item.who != NOBODY {
        event.thread = roster.number(item.who, t, sink);
    }
    sink(&event, text);
}
