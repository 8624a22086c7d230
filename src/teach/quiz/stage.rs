//! A problem as events, so that its calls can be stepped through on the screens of a recording: one call a millisecond on a
//! virtual clock, each followed by marks that name the rules behind it. Step: **event** → … → view.

use super::problem::Problem;
use super::show;
use crate::record::event::{self, Event, FdKind, Kind, Op, Space};
use crate::record::fields::Fields;
use crate::teach::epoll::{Answer, Call, Ctl, Fd, Rule, Sizes, World, data_name};
use std::collections::BTreeMap;

/// Nanoseconds from call to call, and how long a call takes.
const STEP: u64 = 1_000_000;
const CALL: u64 = 100_000;

/// The process and thread that make the calls.
const PID: i32 = 1000;

/// Collects the events.
struct Stage {
    now: u64,
    events: Vec<(Event, Vec<u8>)>,
    rules: BTreeMap<Rule, i32>,
    /// What each open number is.
    kinds: BTreeMap<Fd, FdKind>,
}

impl Problem {
    /// The events of its calls, in order, the question and its answer last.
    pub fn events(&self) -> Vec<(Event, Vec<u8>)> {
        let mut stage = Stage {
            now: 0,
            events: Vec::new(),
            rules: BTreeMap::new(),
            kinds: BTreeMap::new(),
        };
        let process = Event {
            x: PID,
            arg: 1,
            ..event(Kind::ProcessStart, -1)
        };
        let name = format!("quiz {}", self.topic.name());
        stage.push(
            Event {
                thread: 0,
                ..process
            },
            name.as_bytes(),
        );
        let thread = Event {
            x: PID,
            arg: 1,
            ..event(Kind::ThreadStart, -1)
        };
        stage.push(thread, b"quiz");
        let mut world = World::new(Sizes::default());
        let lines = show::calls(&self.calls, &self.answers);
        for (at, (call, line)) in self.calls.iter().zip(&lines).enumerate() {
            stage.now = (at as u64 + 1) * STEP;
            let answer = world.apply(call);
            stage.call(call, &answer);
            let ready = stage.ready(&world);
            stage.marks(&world, line, &ready);
            stage.unread(&world);
        }
        // Nothing ends: the last moment shows the answer.
        stage.events
    }
}

fn event(kind: Kind, fd: Fd) -> Event {
    Event {
        kind,
        fd,
        thread: 1,
        ..Event::default()
    }
}

/// 0 or −errno, or what was counted.
fn result(answer: &Answer) -> i32 {
    match answer {
        Answer::Done => 0,
        Answer::Count(count) => i32::try_from(*count).unwrap_or(i32::MAX),
        Answer::Batch(events) => events.len() as i32,
        Answer::Failed(errno) => -errno.0,
    }
}

impl Stage {
    fn push(&mut self, event: Event, text: &[u8]) {
        self.events.push((
            Event {
                t: self.now,
                ..event
            },
            text.to_vec(),
        ));
    }

    fn open(&mut self, fd: Fd, kind: FdKind) {
        self.kinds.insert(fd, kind);
        let opened = Event {
            x: -1,
            // Non-blocking, and that is known.
            arg: 5,
            aux: kind.code(),
            ..event(Kind::FdOpen, fd)
        };
        self.push(opened, b"");
    }

    /// A call: what begins before it and what ends after it.
    fn call(&mut self, call: &Call, answer: &Answer) {
        let result = result(answer);
        match *call {
            Call::Epoll { fd } => self.open(fd, FdKind::Epoll),
            Call::Eventfd { fd, .. } => self.open(fd, FdKind::Eventfd),
            Call::Regular { fd } => self.open(fd, FdKind::File),
            Call::Pipe { read, write } => {
                self.open(read, FdKind::Pipe);
                self.open(write, FdKind::Pipe);
            }
            Call::Pair { a, b } => {
                self.open(a, FdKind::Unix);
                self.open(b, FdKind::Unix);
            }
            Call::Ctl {
                epfd,
                ctl,
                fd,
                mask,
                data,
            } => self.ctl(epfd, ctl, fd, mask, data, result),
            Call::Wait { epfd, max } => self.wait(epfd, max, answer),
            Call::Write { fd, count } => self.io(Op::Write, fd, count, result),
            Call::Read { fd, count } => self.io(Op::Read, fd, count, result),
            Call::Shutdown { fd, .. } => self.io(Op::Shutdown, fd, 0, result),
            Call::Dup { from, to } => {
                let begin = Event {
                    x: -1,
                    ..event(Kind::DupBegin, from)
                };
                self.push(begin, b"");
                self.now += CALL;
                let end = Event {
                    x: to,
                    ..event(Kind::DupEnd, from)
                };
                self.push(end, b"");
                if let Some(kind) = self.kinds.get(&from).copied() {
                    self.kinds.insert(to, kind);
                }
            }
            Call::Close { fd } => {
                self.push(event(Kind::FdCloseBegin, fd), b"");
                self.now += CALL;
                let end = Event {
                    x: result,
                    ..event(Kind::FdCloseEnd, fd)
                };
                self.push(end, b"");
                self.kinds.remove(&fd);
            }
        }
    }

    fn ctl(&mut self, epfd: Fd, ctl: Ctl, fd: Fd, mask: u32, data: u64, result: i32) {
        let op = match ctl {
            Ctl::Add => event::Ctl::Add.code(),
            Ctl::Mod => event::Ctl::Mod.code(),
            Ctl::Del => event::Ctl::Del.code(),
            Ctl::Other(number) => number as u16,
        };
        let begin = Event {
            aux: op,
            x: mask as i32,
            arg: data,
            y: epfd as u64,
            ..event(Kind::CtlBegin, fd)
        };
        self.push(begin, b"");
        self.now += CALL;
        let end = Event {
            x: result,
            arg: 0,
            kind: Kind::CtlEnd,
            ..begin
        };
        self.push(end, b"");
        // A sheet calls an item by its data.
        if result == 0 && matches!(ctl, Ctl::Add | Ctl::Mod) {
            self.push(event(Kind::FdName, fd), data_name(data).as_bytes());
        }
    }

    fn wait(&mut self, epfd: Fd, max: i32, answer: &Answer) {
        let enter = Event {
            aux: event::Wait::Epoll.code(),
            x: max,
            ..event(Kind::WaitEnter, epfd)
        };
        self.push(enter, b"");
        self.now += CALL;
        let exit = Event {
            x: result(answer),
            kind: Kind::WaitExit,
            ..enter
        };
        self.push(exit, b"");
        if let Answer::Batch(batch) = answer {
            for (at, ready) in batch.iter().enumerate() {
                let ready = Event {
                    aux: at as u16,
                    x: ready.mask as i32,
                    arg: ready.data,
                    ..event(Kind::Ready, epfd)
                };
                self.push(ready, b"");
            }
        }
    }

    fn io(&mut self, op: Op, fd: Fd, asked: u64, result: i32) {
        self.now += CALL;
        let io = Event {
            aux: op.code(),
            x: result,
            arg: asked,
            y: CALL,
            ..event(Kind::Io, fd)
        };
        self.push(io, b"");
    }

    /// The call as a sheet has it, and each rule that was at work.
    fn marks(&mut self, world: &World, line: &str, ready: &str) {
        self.now += CALL;
        let told = Fields::of(&[("call", line.into()), ("ready_list", ready.into())]);
        self.mark(1, "call", &told);
        let mut seen = Vec::new();
        for note in world.notes() {
            if seen.contains(note) {
                continue;
            }
            seen.push(*note);
            let mut fields = Fields::new();
            if let Some(data) = note.data {
                fields.add("item", data_name(data).as_str().into());
            }
            fields.add("rule", note.rule.sentence().into());
            let next = self.rules.len() as i32 + 2;
            let id = *self.rules.entry(note.rule).or_insert(next);
            self.mark(id, note.rule.code(), &fields);
        }
    }

    /// The ready list of the first epoll descriptor, by data words.
    fn ready(&self, world: &World) -> String {
        let epoll = self.kinds.iter().find(|(_, kind)| **kind == FdKind::Epoll);
        let list = epoll
            .map(|(fd, _)| world.ready_list(*fd))
            .unwrap_or_default();
        let names: Vec<String> = list.iter().map(|data| data_name(*data)).collect();
        names.join(" ")
    }

    /// A mark, its name before it where it is new. Name 1 is that of the calls.
    fn mark(&mut self, id: i32, name: &str, fields: &Fields) {
        let named = (self.events.iter()).any(|(e, _)| e.kind == Kind::Name && e.x == id);
        if !named {
            let word = Event {
                x: id,
                aux: Space::Mark.code(),
                ..event(Kind::Name, -1)
            };
            self.push(word, name.as_bytes());
        }
        let mark = Event {
            x: id,
            flags: if fields.is_cut() {
                event::flags::CUT
            } else {
                0
            },
            ..event(Kind::Mark, -1)
        };
        self.push(mark, fields.bytes());
    }

    /// How much waits to be read on each number.
    fn unread(&mut self, world: &World) {
        for fd in self.kinds.keys().copied().collect::<Vec<Fd>>() {
            if let Some(bytes) = world.unread(fd) {
                let unread = Event {
                    arg: bytes,
                    ..event(Kind::Unread, fd)
                };
                self.push(unread, b"");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Sheet, Topic};
    use super::*;

    #[test]
    fn the_events_say_what_the_sheet_says() {
        for topic in Topic::ALL {
            for problem in Sheet::new(Some(topic), 1, None, 10).problems() {
                let events = problem.events();
                assert!(events.is_sorted_by_key(|(e, _)| e.t));
                let count = |kind| events.iter().filter(|(e, _)| e.kind == kind).count();
                let waits = (problem.calls.iter())
                    .filter(|c| matches!(c, Call::Wait { .. }))
                    .count();
                assert_eq!(
                    (count(Kind::WaitEnter), count(Kind::WaitExit)),
                    (waits, waits)
                );
                let told: usize = (problem.answers.iter())
                    .map(|a| {
                        if let Answer::Batch(batch) = a {
                            batch.len()
                        } else {
                            0
                        }
                    })
                    .sum();
                assert_eq!(count(Kind::Ready), told);
                assert!(count(Kind::Mark) > problem.calls.len());
                assert!(events.iter().all(|(_, text)| text.len() <= event::MAX_TEXT));
            }
        }
    }
}
