//! Open file descriptions: the loop an epoll one is, the registrations on one, its end. Step: **model**.

use super::facts::{Fidelity, Id, Sink, Why};
use super::loops::{Loop, LoopKind};
use super::registration::Kernel;
use super::states::{At, MAX_CHAIN};
use super::{Model, NONE};
use crate::record::event::FdKind;

/// Loops at most.
const MAX_LOOPS: usize = 16_384;

impl Model {
    /// The loop an epoll descriptor stands for; one never seen created is a loop all the same.
    pub(super) fn loop_at(&mut self, process: Id, epfd: i32, t: u64) -> Option<Id> {
        let (epoll, _) = self.desc_at(process, epfd)?;
        let known = self.descs.get(epoll)?.loop_id;
        let id = match known {
            Some(id) => id,
            None => {
                let id = self.new_loop(process, LoopKind::Epoll, t)?;
                let desc = self.descs.get_mut(epoll)?;
                desc.loop_id = Some(id);
                desc.taken |= desc.kind != FdKind::Epoll;
                desc.kind = FdKind::Epoll;
                for slot in self.regs_of(epoll) {
                    self.name_from_desc(slot);
                }
                id
            }
        };
        self.join_loop(process, id, epfd);
        Some(id)
    }

    pub(super) fn new_loop(&mut self, process: Id, kind: LoopKind, t: u64) -> Option<Id> {
        if self.loops.len() >= MAX_LOOPS {
            self.ignored += 1;
            return None;
        }
        let id = self.loops.len() as Id;
        self.loops.push(Loop::new(id, process, kind, t));
        Some(id)
    }

    pub(super) fn join_loop(&mut self, process: Id, id: Id, epfd: i32) {
        let Some(l) = self.loops.get_mut(id as usize) else {
            return;
        };
        if epfd >= 0 && l.epfds.len() < MAX_CHAIN && !l.epfds.contains(&epfd) {
            l.epfds.push(epfd);
        }
        if l.procs.contains(&process) || l.procs.len() >= MAX_CHAIN {
            return;
        }
        l.procs.push(process);
        if let Some(p) = self.processes.get_mut(process as usize) {
            p.loops.push(id);
            if l.dirty {
                p.dirty.push(id);
            }
        }
    }

    /// Registrations on a description, at most [`MAX_CHAIN`].
    #[inline]
    pub(super) fn regs_of(&self, desc: u32) -> Chain {
        let first = self.descs.get(desc).map_or(NONE, |d| d.head);
        let mut more = Vec::new();
        let mut at = self.regs.get(first).map_or(NONE, |r| r.s.of_desc.next);
        while let Some(reg) = self.regs.get(at)
            && more.len() < MAX_CHAIN
        {
            more.push(at);
            at = reg.s.of_desc.next;
        }
        more.reverse();
        Chain { first, more }
    }

    /// Frees a description nobody refers to any more; ends its registrations for good.
    pub(super) fn settle_desc<S: Sink + ?Sized>(&mut self, id: u32, at: At, sink: &mut S) {
        let Some(desc) = self.descs.get(id) else {
            return;
        };
        if desc.refs > 0 || desc.held > 0 {
            return;
        }
        let silent = desc.silent > 0;
        let (mut reg, loop_id) = (desc.head, desc.loop_id);
        while let Some(r) = self.regs.get_mut(reg) {
            let (slot, next) = (reg, r.s.of_desc.next);
            r.s.before = None;
            if silent {
                r.s.lingering = true;
                r.closed_ns.get_or_insert(at.t);
            } else {
                self.finish(slot, at);
            }
            reg = next;
        }
        if silent {
            return;
        }
        if let Some(loop_id) = loop_id {
            self.clear_timers(loop_id);
        }
        if let Some(loop_id) = loop_id
            && let Some(l) = self.loops.get_mut(loop_id as usize)
        {
            l.ended = Some(at.t);
            // Every registration of a closed epoll description ends with it.
            let mut reg = l.head;
            while let Some(r) = self.regs.get(reg) {
                let (slot, next) = (reg, r.s.of_loop.next);
                self.mark_ended(slot, Kernel::Gone, at, Why::Close, Fidelity::Measured, sink);
                if let Some(r) = self.regs.get_mut(slot) {
                    r.s.before = None;
                }
                self.finish(slot, at);
                reg = next;
            }
            // What was told and is not served by now is stale.
            self.close_turns(loop_id, at, sink);
        }
        self.close_account(id);
        self.forget_inode(id);
        self.forget_timerfd(id);
        self.descs.remove(id);
    }
}

/// Slots copied out of a chain, so that the registrations can be changed while walking it. Nearly always one.
pub(super) struct Chain {
    first: u32,
    more: Vec<u32>,
}

impl Iterator for Chain {
    type Item = u32;
    #[inline]
    fn next(&mut self) -> Option<u32> {
        if self.first != NONE {
            return Some(std::mem::replace(&mut self.first, NONE));
        }
        self.more.pop()
    }
}
