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

mod process;

use std::collections::{BTreeMap, HashMap};

use self::process::{Process, Said};

use crate::record::event::{Cause, Event, Kind, Text, flags};

/// The most entries kept of anything a program can make without end, per process.
const MOST: usize = 1 << 17;
/// The most said about what the capture could not do.
const MOST_SETUP: usize = 64;

/// Stands for the process of a thread that was never introduced.
const NOBODY: u64 = u64::MAX;

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
    /// What the hypervisor takes is counted.
    steal: Option<Said>,
}

impl Restater {
    /// Whether events of this kind have to be taken in. By far the most frequent kinds have not.
    #[inline]
    pub fn heeds(kind: Kind) -> bool {
        use Kind::*;
        !matches!(
            kind,
            Ready | RunBegin | RunEnd | Io | CallBegin | CallEnd | Mark | Sample | Sched
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
            Steal if e.x < 0 => self.steal = Some(Said::new(e, text)),
            Steal => {}
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
            .chain(&self.steal)
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
