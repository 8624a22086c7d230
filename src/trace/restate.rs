//! What a reader must have been told to understand the events from some point on, and saying it again. Step: **trace**.
//!
//! A segment of a recording, and a cut, start with events that restate what came before: processes, threads, names,
//! open descriptors with their names, registrations, handlers, waits under way, open spans and armed timers. They
//! are built from the events themselves, bear flag [`flags::AGAIN`] and the instant at which they are said again, and
//! are facts to know, not things that happened: nobody counts them.
//!
//! A [`Kind::Lost`] with cause [`Cause::Dropped`] comes first and says how many events are not there. Left out, because
//! they cannot be told from events alone or end within a turn: the ready batch and the handler run that were under way,
//! registrations that outlive the close of their descriptor (ghosts), tasks in the loop's own queue.

use std::collections::{BTreeMap, HashMap};

use crate::record::address;
use crate::record::event::{Arming, Cause, Ctl, Event, Kind, MAX_TEXT, Text, flags};

/// The most entries kept of anything a program can make without end, per process.
const MOST: usize = 1 << 17;
/// The most said about what the capture could not do.
const MOST_SETUP: usize = 64;

/// Stands for the process of a thread that was never introduced.
const NOBODY: u64 = u64::MAX;

/// An event with its text.
#[derive(Clone, Debug)]
struct Said {
    event: Event,
    text: Box<[u8]>,
}

impl Said {
    fn new(event: &Event, text: &[u8]) -> Said {
        Said {
            event: *event,
            text: text.into(),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Descriptor {
    open: Option<Event>,
    name: Option<Said>,
    address: Option<Said>,
    /// As /proc showed it.
    seen: Option<Said>,
    /// What it was armed for last, if it is a timer.
    timer: Option<Event>,
}

#[derive(Clone, Debug, Default)]
struct Process {
    start: Option<Said>,
    exec: Option<Said>,
    ended: bool,
    /// A thread of the process, to say its facts through.
    voice: Option<u32>,
    names: BTreeMap<(u16, i32), Said>,
    fds: BTreeMap<i32, Descriptor>,
    /// How many times each number has been opened.
    generations: BTreeMap<i32, u64>,
    /// When each number last came to mean something else: what /proc showed before says nothing.
    since: BTreeMap<i32, u64>,
    /// (epfd, fd) → the begin and end of the call that made it what it is.
    registrations: BTreeMap<(i32, i32), (Event, Event)>,
    handlers: BTreeMap<(i32, u64), Event>,
    /// Open spans and armed timers by id.
    open: BTreeMap<(u8, u64), Said>,
}

#[derive(Clone, Debug)]
struct Thread {
    start: Said,
    process: u64,
    /// The wait it is in.
    waiting: Option<Event>,
    /// The epoll_ctl it is in: its end does not repeat the mask.
    ctl: Option<Event>,
}

/// Follows the events and keeps what would have to be said again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restater {
    processes: BTreeMap<u64, Process>,
    threads: BTreeMap<u32, Thread>,
    /// Process of each thread, also of those that ended.
    owner: HashMap<u32, u64>,
    anchor: Option<Said>,
    /// What the capture could not do.
    setup: Vec<Said>,
}

impl Restater {
    /// Whether events of this kind have to be taken in. By far the most frequent kinds have not.
    #[inline]
    pub fn heeds(kind: Kind) -> bool {
        use Kind::*;
        !matches!(
            kind,
            Ready | RunBegin | RunEnd | Io | CallBegin | CallEnd | Mark
        )
    }

    /// Takes in the next event.
    pub fn apply(&mut self, e: &Event, text: &[u8]) {
        use Kind::*;
        match e.kind {
            kind if !Self::heeds(kind) => {}
            WaitEnter | WaitExit => self.turn(e),
            Anchor => self.anchor = Some(Said::new(e, text)),
            Setup if self.setup.len() < MOST_SETUP => self.setup.push(Said::new(e, text)),
            Setup => {}
            ProcessStart | ProcessEnd | Exec | ThreadStart | ThreadEnd => self.lives(e, text),
            _ => self.facts(e, text),
        }
    }

    fn turn(&mut self, e: &Event) {
        if let Some(thread) = self.threads.get_mut(&e.thread) {
            let entering = e.kind == Kind::WaitEnter;
            thread.waiting = entering.then_some(*e);
        }
    }

    fn lives(&mut self, e: &Event, text: &[u8]) {
        match e.kind {
            Kind::ProcessStart => {
                let parent = self.processes.values().find(|p| {
                    !p.ended
                        && p.start
                            .as_ref()
                            .is_some_and(|s| e.y != 0 && s.event.x as u64 == e.y)
                });
                // A fork copies the table of descriptors, with their generations.
                let fds = parent.map(|p| p.fds.clone()).unwrap_or_default();
                let generations = parent.map(|p| p.generations.clone()).unwrap_or_default();
                let process = Process {
                    start: Some(Said::new(e, text)),
                    fds,
                    generations,
                    ..Process::default()
                };
                if self.processes.len() < MOST {
                    self.processes.insert(e.arg, process);
                }
            }
            Kind::ProcessEnd => {
                if let Some(process) = self.processes.get_mut(&e.arg) {
                    // Later events still speak of it; its tables are gone with it.
                    *process = Process {
                        start: process.start.take(),
                        ended: true,
                        ..Process::default()
                    };
                }
            }
            Kind::ThreadStart if self.threads.len() < MOST => {
                self.processes.entry(e.arg).or_default().voice = Some(e.thread);
                self.owner.insert(e.thread, e.arg);
                let start = Said::new(e, text);
                self.threads.insert(
                    e.thread,
                    Thread {
                        start,
                        process: e.arg,
                        waiting: None,
                        ctl: None,
                    },
                );
            }
            Kind::ThreadEnd => {
                self.threads.remove(&e.thread);
                if self.owner.len() > MOST {
                    self.owner
                        .retain(|thread, _| self.threads.contains_key(thread));
                }
                let process = self.owner.get(&e.thread).copied().unwrap_or(NOBODY);
                let heir = self
                    .threads
                    .iter()
                    .find(|(_, t)| t.process == process)
                    .map(|(&id, _)| id);
                if let Some(process) = self.processes.get_mut(&process) {
                    process.voice = heir.or(process.voice);
                }
            }
            Kind::Exec => {
                let process = self.process(e.thread);
                process.exec = Some(Said::new(e, text));
            }
            _ => {}
        }
    }

    fn process(&mut self, thread: u32) -> &mut Process {
        let id = self.owner.get(&thread).copied().unwrap_or(NOBODY);
        let process = self.processes.entry(id).or_default();
        process.voice.get_or_insert(thread);
        process
    }

    fn facts(&mut self, e: &Event, text: &[u8]) {
        if e.kind == Kind::CtlBegin {
            if let Some(thread) = self.threads.get_mut(&e.thread) {
                thread.ctl = Some(*e);
            }
            return;
        }
        let begun = match e.kind {
            Kind::CtlEnd => self.threads.get_mut(&e.thread).and_then(|t| t.ctl.take()),
            _ => None,
        };
        self.process(e.thread).fact(e, text, begun);
    }

    /// Says everything again at instant `t`; `dropped` events came before.
    pub fn say(&self, t: u64, dropped: u64, out: &mut Vec<Event>, text: &mut Vec<u8>) {
        let mut say = |e: &Event, said: &[u8]| {
            let place = Text {
                at: text.len() as u32,
                len: said.len() as u16,
            };
            text.extend_from_slice(said);
            out.push(Event {
                t,
                flags: e.flags | flags::AGAIN,
                text: place,
                ..*e
            });
        };
        let lost = Event {
            kind: Kind::Lost,
            aux: Cause::Dropped.code(),
            arg: dropped,
            y: t,
            thread: 0,
            fd: -1,
            ..Event::default()
        };
        say(&lost, b"");
        let starts = self
            .processes
            .values()
            .filter(|p| !p.ended)
            .filter_map(|p| p.start.as_ref());
        let execs = self.processes.values().filter_map(|p| p.exec.as_ref());
        let threads = self.threads.values().map(|t| &t.start);
        self.anchor
            .iter()
            .chain(starts)
            .chain(threads)
            .chain(execs)
            .chain(&self.setup)
            .for_each(|s| say(&s.event, &s.text));
        for process in self.processes.values().filter(|p| !p.ended) {
            process.say(t, &mut say);
        }
        self.threads
            .values()
            .filter_map(|t| t.waiting.as_ref())
            .for_each(|e| say(e, b""));
    }
}

impl Process {
    fn fact(&mut self, e: &Event, text: &[u8], begun: Option<Event>) {
        use Kind::*;
        match e.kind {
            Name if self.names.len() < MOST => {
                self.names.insert((e.aux, e.x), Said::new(e, text));
            }
            FdOpen => {
                self.close(e.fd);
                let generation = if e.flags & flags::AGAIN != 0 {
                    e.y
                } else {
                    self.generations.get(&e.fd).map_or(1, |g| g + 1)
                };
                self.generations.insert(e.fd, generation);
                self.since.insert(e.fd, e.t);
                self.fds.insert(
                    e.fd,
                    Descriptor {
                        open: Some(*e),
                        ..Descriptor::default()
                    },
                );
            }
            FdCloseBegin => {
                self.close(e.fd);
                self.since.insert(e.fd, e.t);
            }
            DupEnd if e.x >= 0 && e.x != e.fd => {
                let copy = self.fds.get(&e.fd).cloned().unwrap_or_default();
                self.close(e.x);
                *self.generations.entry(e.x).or_insert(0) += 1;
                self.since.insert(e.x, e.t);
                let open = copy.open.map(|o| Event {
                    fd: e.x,
                    x: e.fd,
                    ..o
                });
                self.fds.insert(e.x, Descriptor { open, ..copy });
            }
            FdSeen if self.changed(e.fd) <= e.t.saturating_sub(e.y) => {
                let descriptor = self.fds.entry(e.fd).or_default();
                if descriptor.open.is_none() {
                    // Nobody told of its open; from here on this does.
                    *self.generations.entry(e.fd).or_insert(0) += 1;
                    descriptor.open = Some(Event {
                        kind: FdOpen,
                        x: -1,
                        arg: 0,
                        y: 0,
                        ..*e
                    });
                }
                if !text.is_empty() && descriptor.seen.is_none() {
                    descriptor.seen = Some(Said::new(e, text));
                }
            }
            FdGone if self.changed(e.fd) < e.t.saturating_sub(e.y) => {
                self.close(e.fd);
                self.since.insert(e.fd, e.t);
            }
            RegSeen => {
                let begin = Event {
                    kind: CtlBegin,
                    aux: Ctl::Add.code(),
                    ..*e
                };
                let end = Event {
                    kind: CtlEnd,
                    aux: Ctl::Add.code(),
                    x: 0,
                    arg: 0,
                    ..*e
                };
                self.registrations.insert((e.y as i32, e.fd), (begin, end));
            }
            RegGone => self.forget((e.y as i32, e.fd)),
            FdName => self.fds.entry(e.fd).or_default().name = Some(Said::new(e, text)),
            FdAddr => {
                let said = &mut self.fds.entry(e.fd).or_default().address;
                let before = said.as_ref().map_or(&[][..], |s| &s.text);
                let text = address::joined(before, text).concat();
                // Whether it called was said once.
                let called = said.as_ref().is_some_and(|s| s.event.x == 1);
                let x = if called { 1 } else { e.x };
                *said = Some(Said::new(
                    &Event { x, ..*e },
                    text.get(..MAX_TEXT).unwrap_or(&text),
                ));
            }
            TimerfdSet if e.x >= 0 => self.fds.entry(e.fd).or_default().timer = Some(*e),
            CtlEnd if e.x >= 0 => self.registered(e, begun),
            Handler if self.handlers.len() < MOST => {
                self.handlers.insert((e.fd, e.arg), *e);
            }
            SpanBegin | TimerArm if self.open.len() < MOST => {
                self.open.insert((e.kind.code(), e.arg), Said::new(e, text));
            }
            SpanEnd => {
                self.open.remove(&(SpanBegin.code(), e.arg));
            }
            TimerCancel | TimerBegin => {
                self.open.remove(&(TimerArm.code(), e.arg));
            }
            _ => {}
        }
    }

    fn changed(&self, fd: i32) -> u64 {
        self.since.get(&fd).copied().unwrap_or(0)
    }

    fn registered(&mut self, end: &Event, begun: Option<Event>) {
        let key = (end.y as i32, end.fd);
        if end.aux == Ctl::Del.code() {
            self.forget(key);
        } else if let Some(begin) = begun.filter(|b| (b.y as i32, b.fd) == key) {
            // However it came to be: who reads on from here meets it for the first time.
            let add = |e: &Event| Event {
                aux: Ctl::Add.code(),
                ..*e
            };
            self.registrations.insert(key, (add(&begin), add(end)));
        }
    }

    fn forget(&mut self, key: (i32, i32)) {
        if let Some((begin, _)) = self.registrations.remove(&key) {
            self.handlers.remove(&(key.0, begin.arg));
        }
    }

    fn close(&mut self, fd: i32) {
        let Some(gone) = self.fds.remove(&fd) else {
            return;
        };
        let epoll = gone
            .open
            .is_some_and(|o| o.aux == crate::record::event::FdKind::Epoll.code());
        let keys: Vec<_> = if epoll {
            self.registrations
                .range((fd, i32::MIN)..=(fd, i32::MAX))
                .map(|(k, _)| *k)
                .collect()
        } else {
            let epfds: Vec<i32> = self.epfds();
            epfds.into_iter().map(|epfd| (epfd, fd)).collect()
        };
        keys.into_iter().for_each(|key| self.forget(key));
    }

    /// The loops that have registrations: a handful, found by hopping from one to the next.
    fn epfds(&self) -> Vec<i32> {
        let mut out = Vec::new();
        let mut from = i32::MIN;
        while let Some((&(epfd, _), _)) = self.registrations.range((from, i32::MIN)..).next() {
            out.push(epfd);
            match epfd.checked_add(1) {
                Some(next) => from = next,
                None => break,
            }
        }
        out
    }

    fn say(&self, t: u64, say: &mut impl FnMut(&Event, &[u8])) {
        let voice = self.voice.unwrap_or(0);
        let mut ours = |e: &Event, text: &[u8]| {
            say(
                &Event {
                    thread: voice,
                    ..*e
                },
                text,
            )
        };
        self.names.values().for_each(|s| ours(&s.event, &s.text));
        for (fd, descriptor) in &self.fds {
            if let Some(open) = &descriptor.open {
                let generation = self.generations.get(fd).copied().unwrap_or(1);
                ours(
                    &Event {
                        y: generation,
                        ..*open
                    },
                    b"",
                );
            }
            descriptor
                .address
                .iter()
                .chain(&descriptor.name)
                .for_each(|s| ours(&Event { fd: *fd, ..s.event }, &s.text));
            if let Some(seen) = &descriptor.seen {
                let now = Event {
                    fd: *fd,
                    y: 0,
                    ..seen.event
                };
                ours(&now, &seen.text);
            }
            if let Some(timer) = descriptor.timer.and_then(|timer| armed_still(&timer, t)) {
                ours(&Event { fd: *fd, ..timer }, b"");
            }
        }
        for (begin, end) in self.registrations.values() {
            ours(begin, b"");
            ours(end, b"");
        }
        self.handlers.values().for_each(|e| ours(e, b""));
        for s in self.open.values() {
            // A deadline stays where it is.
            let y = match s.event.kind {
                Kind::TimerArm => s.event.t.saturating_add(s.event.y).saturating_sub(t),
                _ => s.event.y,
            };
            say(&Event { y, ..s.event }, &s.text);
        }
    }
}

/// What a timer is armed for, as of `t`; nothing for one that has expired once and for all by then, if anybody knows.
fn armed_still(set: &Event, t: u64) -> Option<Event> {
    let (due, interval) = (set.t.saturating_add(set.y), set.arg);
    let y = match Arming::from_code(set.aux)? {
        Arming::In if due >= t => due - t,
        Arming::In if interval > 0 => interval - (t - due) % interval,
        Arming::In => return None,
        _ => 0,
    };
    Some(Event { y, ..*set })
}
