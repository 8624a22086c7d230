//! What a descriptor's number stands for, as outside sees it. Step: **model**.

use super::facts::Id;
use super::{Model, Registration};
use crate::record::event::FdKind;

/// An open file description, by one of its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// Its own: copies made by dup and fork, and what was passed on, have it too; nothing else ever has.
    pub number: u32,
    /// How many times the descriptor's number has been opened.
    pub generation: u32,
    /// What it is.
    pub kind: FdKind,
    /// The loop, of an epoll instance.
    pub loop_id: Option<Id>,
    desc: u32,
}

impl Model {
    /// What is open there now, as far as it has been heard of.
    pub fn file(&self, process: Id, fd: i32) -> Option<File> {
        let slot = self.slot(process, fd);
        self.described(slot.desc, slot.generation)
    }

    /// What a registration is on, until it ends.
    pub fn file_of(&self, reg: &Registration) -> Option<File> {
        self.described(reg.s.desc, reg.generation)
    }

    fn described(&self, id: u32, generation: u32) -> Option<File> {
        let desc = self.descs.get(id)?;
        Some(File {
            number: desc.number,
            generation,
            kind: desc.kind,
            loop_id: desc.loop_id,
            desc: id,
        })
    }

    /// The open numbers of a process.
    pub fn files(&self, process: Id) -> Vec<(i32, File)> {
        let fds = self.processes.get(process as usize).map(|p| p.fds.open());
        let all = fds.into_iter().flatten();
        all.filter_map(|(fd, slot)| Some((fd, self.described(slot.desc, slot.generation)?)))
            .collect()
    }

    /// Some number of a process that tells of its closes still stands for it.
    pub fn is_open(&self, file: &File) -> bool {
        let desc = self.descs.get(file.desc);
        desc.is_some_and(|d| d.number == file.number && d.refs > 0)
    }

    /// The process of this number in the events.
    pub fn process_numbered(&self, number: u64) -> Option<Id> {
        self.process_of.get(&number).copied()
    }

    /// Where the thread with this number marks a run now, the innermost: a loop, and the thread's place there.
    pub fn marking(&self, thread: u32) -> Option<(usize, usize)> {
        let work = &self.threads.get(self.thread_seen(thread)? as usize)?.work;
        let seat = work.open.iter().rev().find(|seat| {
            let l = self.loops.get(seat.loop_id as usize);
            let ts = l.and_then(|l| l.threads.get(seat.at as usize));
            ts.is_some_and(|ts| ts.run.is_some() && !ts.inferred_run())
        })?;
        Some((seat.loop_id as usize, seat.at as usize))
    }

    /// The loop that an epoll descriptor stands for.
    pub fn loop_of(&self, process: Id, epfd: i32) -> Option<Id> {
        let slot = self.slot(process, epfd);
        self.descs.get(slot.desc)?.loop_id
    }
}
