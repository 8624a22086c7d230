//! What would have to be said again of one process: its names, descriptors, registrations, spans and timers.
//! Step: **trace**.

use std::collections::{BTreeMap, BTreeSet};

use super::MOST;
use crate::record::address;
use crate::record::event::{Arming, Ctl, Event, Kind, MAX_TEXT, flags};

/// An event with its text.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) event: Event,
    pub(super) text: Box<[u8]>,
}

impl Said {
    pub(super) fn new(event: &Event, text: &[u8]) -> Said {
        Said {
            event: *event,
            text: text.into(),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Descriptor {
    open: Option<Event>,
    /// Which description it is: when and under which number that was opened. Copies have that of the first.
    file: (u64, i32),
    name: Option<Said>,
    address: Option<Said>,
    /// As /proc showed it.
    seen: Option<Said>,
    /// What it was armed for last, if it is a timer.
    timer: Option<Event>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    pub(super) start: Option<Said>,
    pub(super) exec: Option<Said>,
    pub(super) ended: bool,
    /// A thread of the process, to say its facts through.
    pub(super) voice: Option<u32>,
    pub(super) names: BTreeMap<(u16, i32), Said>,
    pub(super) fds: BTreeMap<i32, Descriptor>,
    /// How many times each number has been opened.
    pub(super) generations: BTreeMap<i32, u64>,
    /// When each number last came to mean something else: what /proc showed before says nothing.
    pub(super) since: BTreeMap<i32, u64>,
    /// (epfd, fd) → the begin and end of the call that made it what it is.
    pub(super) registrations: BTreeMap<(i32, i32), (Event, Event)>,
    pub(super) handlers: BTreeMap<(i32, u64), Event>,
    /// Open spans and armed timers by id.
    pub(super) open: BTreeMap<(u8, u64), Said>,
}

impl Process {
    pub(super) fn fact(&mut self, e: &Event, text: &[u8], begun: Option<Event>) {
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
                        file: (e.t, e.fd),
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
                    descriptor.file = (e.t, e.fd);
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

    pub(super) fn say(&self, t: u64, say: &mut impl FnMut(&Event, &[u8])) {
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
        let mut first = BTreeMap::new();
        for (fd, descriptor) in &self.fds {
            if let Some(open) = &descriptor.open {
                let y = self.generations.get(fd).copied().unwrap_or(1);
                let of = *first.entry(descriptor.file).or_insert(*fd);
                let event = match of == *fd {
                    true => Event { y, ..*open },
                    // One more number for what has been told of.
                    false => Event {
                        kind: Kind::DupEnd,
                        fd: of,
                        x: *fd,
                        y,
                        aux: 0,
                        arg: 0,
                        ..*open
                    },
                };
                ours(&event, b"");
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
        // A loop is named by its descriptor, which is open by now.
        self.names.values().for_each(|s| ours(&s.event, &s.text));
        // One epoll under several numbers has what is registered once.
        let mut told = BTreeSet::new();
        for ((epfd, fd), (begin, end)) in &self.registrations {
            let file = self.fds.get(epfd).map_or((0, *epfd), |d| d.file);
            if told.insert((file, *fd)) {
                ours(begin, b"");
                ours(end, b"");
            }
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
