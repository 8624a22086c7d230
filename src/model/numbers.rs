//! What a number of a process stands for, and what a thread is busy with: for those who judge single events.
//! Step: **model** → view.

use super::facts::Id;
use super::loops::{Item, Phase, ThreadState};
use super::process::Seat;
use super::registration::Registration;
use super::spent::Spent;
use super::{Model, NONE};
use crate::record::event::FdKind;

/// An open number of a process's fd table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// The open file description; numbers with the same one are copies of each other. May be used again once all are closed.
    pub desc: u32,
    /// How many times the number has been opened.
    pub generation: u32,
    /// What it is.
    pub kind: FdKind,
    /// It was accepted from a listener.
    pub taken: bool,
    /// The last read met the end of what the other side sends.
    pub eof: bool,
    /// Whether execve closes it; `None` when that is not known.
    pub cloexec: Option<bool>,
    /// When it last came to mean something else.
    pub since: u64,
}

/// Where a thread is in the turn of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The loop.
    pub loop_id: Id,
    /// The turn's wakeup.
    pub wakeup: u64,
    /// The turn's number.
    pub turn: u64,
    /// The registration whose handler runs; `None` between handlers.
    pub reg: Option<Id>,
    /// The handlers of this turn are inferred.
    pub inferred: bool,
}

impl Model {
    /// The thread with this number in the events, if it has been heard of.
    pub fn thread_numbered(&self, number: u32) -> Option<Id> {
        self.thread_seen(number)
    }

    /// What a number of a process stands for; nothing while it is closed, or was never heard of.
    pub fn number(&self, process: Id, fd: i32) -> Option<Number> {
        let slot = self.slot(process, fd);
        let desc = self.descs.get(slot.desc)?;
        Some(Number {
            desc: slot.desc,
            generation: slot.generation,
            kind: desc.kind,
            taken: desc.taken && desc.kind != FdKind::Epoll,
            eof: desc.eof,
            cloexec: slot.cloexec,
            since: slot.since,
        })
    }

    /// The open numbers of a process, smallest first.
    pub fn numbers(&self, process: Id) -> Vec<(i32, Number)> {
        let Some(p) = self.processes.get(process as usize) else {
            return Vec::new();
        };
        let all = p.fds.open().into_iter();
        all.filter_map(|(fd, _)| Some((fd, self.number(process, fd)?)))
            .collect()
    }

    /// The first registration on a description: of most there is one.
    pub fn registered(&self, desc: u32) -> Option<&Registration> {
        let head = self.descs.get(desc)?.head;
        self.regs.get(head)
    }

    /// The live registrations on a description.
    pub fn registrations(&self, desc: u32) -> impl Iterator<Item = &Registration> {
        let all = self.regs_of(desc);
        all.filter_map(|slot| self.regs.get(slot))
            .filter(|r| r.is_live())
    }

    /// The live registration that an epoll_ctl on this number of this loop is about.
    pub fn registration(&self, loop_id: Id, process: Id, fd: i32) -> Option<&Registration> {
        let slot = self.keyed(loop_id, process, fd);
        self.regs.get(slot).filter(|r| r.is_live())
    }

    /// The live registration of this loop that was last set for a data word.
    pub fn with_data(&self, loop_id: Id, data: u64) -> Option<&Registration> {
        let slot = self.loops.get(loop_id as usize)?.data.get(data);
        self.regs.get(slot)
    }

    /// The loop that a descriptor of a process leads to.
    pub fn loop_through(&self, process: Id, epfd: i32) -> Option<Id> {
        let desc = self.desc_seen(process, epfd)?;
        self.descs.get(desc)?.loop_id
    }

    fn place(&self, seat: Seat) -> Option<&ThreadState> {
        let l = self.loops.get(seat.loop_id as usize)?;
        l.threads.get(seat.at as usize)
    }

    /// The loop this thread waited on last, and its place there.
    pub fn waited_on(&self, thread: Id) -> Option<(Id, &ThreadState)> {
        let seat = self.threads.get(thread as usize)?.work.last?;
        Some((seat.loop_id, self.place(seat)?))
    }

    /// The event of the ready batch that was told of last.
    pub fn told_last(&self, thread: Id) -> Option<(Id, &Item)> {
        let (loop_id, place) = self.waited_on(thread)?;
        Some((loop_id, place.batch.last()?))
    }

    /// The registration that an event of a batch is about; `None` once it was folded into its role.
    pub fn reg_told(&self, item: &Item) -> Option<&Registration> {
        self.regs.get(item.slot).filter(|r| r.id == item.reg)
    }

    /// The turn that this thread is in; nothing while it waits, or before its first wait.
    pub fn busy(&self, thread: Id) -> Option<Busy> {
        let seat = self.busy_seat(thread)?;
        let place = self.place(seat)?;
        if !place.in_turn {
            return None;
        }
        let reg = match place.phase {
            Phase::Running { reg, .. } => reg,
            _ => None,
        };
        Some(Busy {
            loop_id: seat.loop_id,
            wakeup: place.wakeup,
            turn: place.turn,
            reg,
            inferred: place.inferred && !place.marks,
        })
    }

    /// How a thread has spent a stretch of the turn it is in, or has just ended.
    pub fn spent_in_turn(&self, thread: Id, from: u64, to: u64) -> Spent {
        self.spent(thread, from, to).0
    }

    /// Losses of events so far.
    pub fn losses(&self) -> u64 {
        self.losses
    }

    /// Registrations of a loop that are live, by their descriptor: whether there is one with this number.
    pub fn is_registered(&self, loop_id: Id, process: Id, fd: i32) -> bool {
        let slot = self.keyed(loop_id, process, fd);
        slot != NONE && self.regs.get(slot).is_some_and(Registration::is_live)
    }
}

impl ThreadState {
    /// The time-out of its last wait in nanoseconds; negative for none.
    pub fn timeout(&self) -> i64 {
        self.timeout
    }

    /// It is in a turn: between a wakeup and the next wait.
    pub fn in_turn(&self) -> bool {
        self.in_turn
    }
}
