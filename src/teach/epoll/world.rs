//! The whole of the epoll model: descriptor numbers, open file descriptions, and one call at a time.

use super::belief::Belief;
use super::call::{Answer, Call, Errno, Fd};
use super::file::{File, Socket};
use super::instance::Instance;
use super::pipe::Pipe;
use super::rule::Rule;
use super::sizes::Sizes;
use super::wake::{Entry, Queue};
use std::collections::BTreeMap;

/// An open file description.
pub(super) type Id = usize;

/// A step of a call and the rule behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// The rule.
    pub rule: Rule,
    /// The item's data word, where it is about one.
    pub data: Option<u64>,
}

/// One process with its files; one thread that never sleeps.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub(super) sizes: Sizes,
    pub(super) belief: Option<Belief>,
    pub(super) numbers: BTreeMap<Fd, Id>,
    pub(super) files: Vec<File>,
    pub(super) pipes: Vec<Pipe>,
    pub(super) queues: BTreeMap<Queue, Vec<Entry>>,
    pub(super) next_item: u32,
    notes: Vec<Note>,
}

impl World {
    /// Nothing is open. `sizes` are those of the machine.
    pub fn new(sizes: Sizes) -> World {
        World {
            sizes,
            ..World::default()
        }
    }

    /// The same for somebody who believes this.
    pub fn believing(sizes: Sizes, belief: Belief) -> World {
        World {
            sizes,
            belief: Some(belief),
            ..World::default()
        }
    }

    /// Does a call and tells what it returns. [`World::notes`] then tells by which rules.
    pub fn apply(&mut self, call: &Call) -> Answer {
        self.notes.clear();
        match *call {
            Call::Epoll { fd } => self.make(&[(fd, File::Epoll(Instance::default()))]),
            Call::Pipe { read, write } => {
                let pipe = self.pipes.len();
                self.pipes.push(Pipe::new(self.sizes.pipe_pages));
                self.make(&[(read, File::PipeRead(pipe)), (write, File::PipeWrite(pipe))])
            }
            Call::Eventfd {
                fd,
                count,
                semaphore,
            } => self.make(&[(fd, File::Eventfd { count, semaphore })]),
            Call::Pair { a, b } => {
                let first = self.files.len();
                self.make(&[
                    (a, File::Socket(Socket::new(first + 1))),
                    (b, File::Socket(Socket::new(first))),
                ])
            }
            Call::Regular { fd } => self.make(&[(fd, File::Regular { size: 0, at: 0 })]),
            Call::Ctl {
                epfd,
                ctl,
                fd,
                mask,
                data,
            } => self.ctl(epfd, ctl, fd, mask, data),
            Call::Wait { epfd, max } => self.wait(epfd, max),
            Call::Write { fd, count } => self.on(fd, |world, id| world.write(id, count)),
            Call::Read { fd, count } => self.on(fd, |world, id| {
                let answer = world.read(id, count);
                world.was_read(id);
                answer
            }),
            Call::Shutdown { fd, how } => self.on(fd, |world, id| world.shutdown(id, how)),
            Call::Dup { from, to } => self.on(from, |world, id| {
                if from != to {
                    world.install(to, id);
                }
                Answer::Count(to.unsigned_abs().into())
            }),
            Call::Close { fd } => match self.numbers.remove(&fd) {
                Some(id) => {
                    self.closed(fd, id);
                    Answer::Done
                }
                None => Answer::Failed(Errno(libc::EBADF)),
            },
        }
    }

    /// The rules behind the last call, in the order in which they worked.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The open numbers.
    pub fn open(&self) -> impl Iterator<Item = Fd> + '_ {
        self.numbers.keys().copied()
    }

    pub(super) fn note(&mut self, rule: Rule, data: Option<u64>) {
        let note = Note { rule, data };
        if self.notes.last() != Some(&note) {
            self.notes.push(note);
        }
    }

    pub(super) fn believes(&self, belief: Belief) -> bool {
        self.belief == Some(belief)
    }

    fn on(&mut self, fd: Fd, call: impl FnOnce(&mut World, Id) -> Answer) -> Answer {
        match self.numbers.get(&fd) {
            Some(&id) => call(self, id),
            None => Answer::Failed(Errno(libc::EBADF)),
        }
    }

    fn make(&mut self, files: &[(Fd, File)]) -> Answer {
        let first = self.files.len();
        self.files
            .extend(files.iter().map(|(_, file)| file.clone()));
        for (at, (fd, _)) in files.iter().enumerate() {
            self.install(*fd, first + at);
        }
        Answer::Done
    }

    /// Gives a description a number; what had the number is closed.
    fn install(&mut self, fd: Fd, id: Id) {
        if let Some(old) = self.numbers.insert(fd, id) {
            self.closed(fd, old);
        }
    }

    /// A number was taken from a description.
    fn closed(&mut self, fd: Fd, id: Id) {
        if self.numbers.values().any(|other| *other == id) {
            if self.is_watched(id, fd) {
                self.note(Rule::Ghost, None);
            }
            if self.believes(Belief::CloseRemoves) {
                self.forget_number(id, fd);
            }
            return;
        }
        self.forget(id);
        self.release(id);
    }
}
