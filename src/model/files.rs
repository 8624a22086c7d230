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
}

impl Model {
    /// What is open there now, as far as it has been heard of.
    pub fn file(&self, process: Id, fd: i32) -> Option<File> {
        let slot = self.slot(process, fd);
        let desc = self.descs.get(slot.desc)?;
        Some(File {
            number: desc.number,
            generation: slot.generation,
            kind: desc.kind,
        })
    }

    /// What a registration is on, until it ends.
    pub fn file_of(&self, reg: &Registration) -> Option<File> {
        let desc = self.descs.get(reg.s.desc)?;
        Some(File {
            number: desc.number,
            generation: reg.generation,
            kind: desc.kind,
        })
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
