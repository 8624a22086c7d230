//! Descriptors come, are copied and go: open, close, dup, fork, exec and the end of a process. A beginning takes
//! effect at its end, an ending at its begin (undone if it failed). Step: **model**.

use super::facts::{Fidelity, Id, Sink, Why};
use super::fds::{Desc, FdSlot, PendingDup, Undo};
use super::loops::{Loop, LoopKind};
use super::registration::Kernel;
use super::states::{At, MAX_CHAIN};
use super::{Model, NONE};
use crate::record::event::{Event, FdKind};

/// Numbers in all fd tables together; descriptors beyond are not followed.
const MAX_NUMBERS: u64 = 4 << 20;
/// Loops at most.
const MAX_LOOPS: usize = 16_384;
/// Errors after which close(2) has closed the number all the same (EINTR, EIO, ENOSPC, EDQUOT), or the number was
/// not open in the first place (EBADF).
const CLOSED_ANYWAY: [i32; 5] = [-4, -5, -28, -122, -9];

impl Model {
    fn set_slot(&mut self, process: Id, fd: i32, slot: FdSlot) -> bool {
        let Some(p) = self.processes.get_mut(process as usize) else {
            return false;
        };
        let before = p.fds.len();
        if before as u64 + self.slots_used > MAX_NUMBERS && p.fds.get(fd) == FdSlot::default() {
            self.ignored += 1;
            return false;
        }
        p.fds.set(fd, slot);
        self.slots_used += (p.fds.len() - before) as u64;
        true
    }

    fn slot(&self, process: Id, fd: i32) -> FdSlot {
        self.processes
            .get(process as usize)
            .map_or(FdSlot::default(), |p| p.fds.get(fd))
    }

    /// The description a number refers to, and the number's generation; one never seen opened is made.
    pub(super) fn desc_at(&mut self, process: Id, fd: i32) -> Option<(u32, u32)> {
        let slot = self.slot(process, fd);
        if slot.desc != NONE {
            return Some((slot.desc, slot.generation));
        }
        if fd < 0 {
            return None;
        }
        self.new_desc(process, fd, FdKind::Unknown, None)
    }

    /// The same without making one.
    #[inline]
    pub(super) fn desc_seen(&self, process: Id, fd: i32) -> Option<u32> {
        let desc = self.slot(process, fd).desc;
        (desc != NONE).then_some(desc)
    }

    fn new_desc(
        &mut self,
        process: Id,
        fd: i32,
        kind: FdKind,
        cloexec: Option<bool>,
    ) -> Option<(u32, u32)> {
        if fd < 0 {
            return None;
        }
        let generation = self.slot(process, fd).generation.saturating_add(1);
        let silent = self.processes.get(process as usize)?.is_silent();
        let desc = self.descs.insert(Desc {
            kind,
            refs: u32::from(!silent),
            silent: u32::from(silent),
            loop_id: None,
            name: "".into(),
            addr: "".into(),
            listener: "".into(),
            account: NONE,
            head: NONE,
            io_seen: false,
            read: 0,
            sampled: None,
            held: 0,
        });
        let slot = FdSlot {
            desc,
            generation,
            cloexec,
        };
        if !self.set_slot(process, fd, slot) {
            self.descs.remove(desc);
            return None;
        }
        Some((desc, generation))
    }

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

    /// A number stops referring to its description. `held`: a call has begun and may still fail.
    fn end_number<S: Sink + ?Sized>(
        &mut self,
        process: Id,
        fd: i32,
        held: bool,
        at: At,
        why: Why,
        sink: &mut S,
    ) -> Option<Undo> {
        let slot = self.slot(process, fd);
        if slot.desc == NONE {
            return None;
        }
        let closed = FdSlot {
            desc: NONE,
            cloexec: None,
            ..slot
        };
        self.set_slot(process, fd, closed);
        let silent = self
            .processes
            .get(process as usize)
            .is_some_and(|p| p.is_silent());
        let desc = self.descs.get_mut(slot.desc)?;
        if silent {
            desc.silent = desc.silent.saturating_sub(1);
        } else {
            desc.refs = desc.refs.saturating_sub(1);
        }
        desc.held += u32::from(held);
        let (refs, loop_id, mut reg) = (desc.refs, desc.loop_id, desc.head);
        if loop_id.is_some() {
            self.epoch += 1;
        }
        let fidelity = if why == Why::Reuse {
            Fidelity::Inferred
        } else {
            Fidelity::Measured
        };
        let sure = desc.silent == 0;
        let mut walked = 0usize;
        // Aliases are looked for among the newest only; a last close ends every one.
        while let Some(r) = self.regs.get(reg)
            && (refs == 0 || walked < MAX_CHAIN)
        {
            let (slot, next) = (reg, r.s.of_desc.next);
            let own = r.fd == fd && r.process == process;
            walked += 1;
            if refs == 0 {
                let fidelity = if sure { fidelity } else { Fidelity::Inferred };
                self.mark_ended(slot, Kernel::Gone, at, why, fidelity, sink);
            } else if own {
                self.mark_ended(
                    slot,
                    Kernel::Ghost,
                    at,
                    Why::CloseWithAlias,
                    Fidelity::Inferred,
                    sink,
                );
            }
            reg = next;
        }
        let undo = Undo { process, fd, slot };
        if !held {
            self.settle_desc(slot.desc, at, sink);
        }
        Some(undo)
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
        if let Some(l) = loop_id.and_then(|id| self.loops.get_mut(id as usize)) {
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
        }
        self.close_account(id);
        self.descs.remove(id);
    }

    /// Puts back a number whose closing call failed.
    fn undo<S: Sink + ?Sized>(&mut self, undo: &Undo, at: At, why: Why, sink: &mut S) {
        let Some(desc) = self.descs.get_mut(undo.slot.desc) else {
            return;
        };
        desc.held = desc.held.saturating_sub(1);
        if self.slot(undo.process, undo.fd).desc != NONE {
            // Somebody else has the number now, so it was closed after all.
            self.settle_desc(undo.slot.desc, at, sink);
            return;
        }
        let silent = self
            .processes
            .get(undo.process as usize)
            .is_none_or(|p| p.is_silent());
        if silent || !self.set_slot(undo.process, undo.fd, undo.slot) {
            self.settle_desc(undo.slot.desc, at, sink);
            return;
        }
        if let Some(desc) = self.descs.get_mut(undo.slot.desc) {
            desc.refs += 1;
            self.epoch += u64::from(desc.loop_id.is_some());
        }
        for slot in self.regs_of(undo.slot.desc) {
            self.restore(slot, at, why, sink);
        }
    }

    /// A closing call has returned and the number is closed for good.
    fn settle_undo<S: Sink + ?Sized>(&mut self, undo: &Undo, at: At, sink: &mut S) {
        if let Some(desc) = self.descs.get_mut(undo.slot.desc) {
            desc.held = desc.held.saturating_sub(1);
        }
        for slot in self.regs_of(undo.slot.desc) {
            if let Some(reg) = self.regs.get_mut(slot) {
                reg.s.before = None;
            }
        }
        self.settle_desc(undo.slot.desc, at, sink);
    }

    pub(super) fn fd_open<S: Sink + ?Sized>(
        &mut self,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        self.end_number(process, e.fd, false, at, Why::Reuse, sink);
        let kind = FdKind::from_code(e.aux).unwrap_or(FdKind::Unknown);
        let cloexec = (e.arg & 4 != 0).then_some(e.arg & 2 != 0);
        let Some((desc, _)) = self.new_desc(process, e.fd, kind, cloexec) else {
            return;
        };
        if let Some(from) = self
            .desc_seen(process, e.x)
            .and_then(|from| self.descs.get(from))
        {
            let listener = from.name.clone();
            if let Some(desc) = self.descs.get_mut(desc) {
                desc.listener = listener;
            }
        }
    }

    pub(super) fn close_begin<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let undo = self.end_number(process, e.fd, true, at, Why::Close, sink);
        let Some(thread) = self.threads.get_mut(thread as usize) else {
            return;
        };
        let old = std::mem::replace(&mut thread.work.close, undo);
        if let Some(old) = old {
            self.settle_undo(&old, at, sink);
        }
    }

    pub(super) fn close_end<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let pending = self
            .threads
            .get_mut(thread as usize)
            .and_then(|t| t.work.close.take());
        match pending {
            Some(undo) if undo.fd == e.fd && e.x < 0 && !CLOSED_ANYWAY.contains(&e.x) => {
                self.undo(&undo, at, Why::Close, sink);
            }
            Some(undo) => self.settle_undo(&undo, at, sink),
            // Its begin was lost, or closed a number nobody knew: it is closed now.
            None if e.x >= 0 => {
                self.end_number(process, e.fd, false, at, Why::Close, sink);
            }
            None => {}
        }
    }

    pub(super) fn dup_begin<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let Some((desc, _)) = self.desc_at(process, e.fd) else {
            return;
        };
        if let Some(d) = self.descs.get_mut(desc) {
            d.held += 1;
        }
        let over = (e.x >= 0 && e.x != e.fd)
            .then(|| self.end_number(process, e.x, true, at, Why::Close, sink))
            .flatten();
        let Some(thread) = self.threads.get_mut(thread as usize) else {
            return;
        };
        let old = thread.work.dup.replace(PendingDup { desc, over });
        if let Some(old) = old {
            self.settle_dup(&old, at, sink);
        }
    }

    fn settle_dup<S: Sink + ?Sized>(&mut self, dup: &PendingDup, at: At, sink: &mut S) {
        if let Some(over) = &dup.over {
            self.settle_undo(over, at, sink);
        }
        if let Some(desc) = self.descs.get_mut(dup.desc) {
            desc.held = desc.held.saturating_sub(1);
        }
        self.settle_desc(dup.desc, at, sink);
    }

    pub(super) fn dup_end<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let pending = self
            .threads
            .get_mut(thread as usize)
            .and_then(|t| t.work.dup.take());
        if e.x < 0 {
            if let Some(mut dup) = pending {
                if let Some(over) = dup.over.take() {
                    self.undo(&over, at, Why::Close, sink);
                }
                self.settle_dup(&dup, at, sink);
            }
            return;
        }
        let desc = match &pending {
            Some(dup) => Some(dup.desc),
            None => self.desc_at(process, e.fd).map(|(desc, _)| desc),
        };
        if e.x != e.fd
            && let Some(desc) = desc
        {
            self.end_number(process, e.x, false, at, Why::Reuse, sink);
            self.alias(process, e.x, desc, at, sink);
        }
        if let Some(dup) = pending {
            self.settle_dup(&dup, at, sink);
        }
    }

    /// One more number for a description.
    fn alias<S: Sink + ?Sized>(&mut self, process: Id, fd: i32, desc: u32, at: At, sink: &mut S) {
        if fd < 0 || self.descs.get(desc).is_none() {
            return;
        }
        let generation = self.slot(process, fd).generation.saturating_add(1);
        let slot = FdSlot {
            desc,
            generation,
            cloexec: None,
        };
        if !self.set_slot(process, fd, slot) {
            return;
        }
        let silent = self
            .processes
            .get(process as usize)
            .is_some_and(|p| p.is_silent());
        if let Some(d) = self.descs.get_mut(desc) {
            if silent {
                d.silent += 1;
            } else {
                d.refs += 1;
            }
            self.epoch += u64::from(d.loop_id.is_some());
        }
        // A ghost of this very number is within reach again: the kernel's key is (description, number).
        for slot in self.regs_of(desc) {
            if let Some(reg) = self.regs.get_mut(slot)
                && reg.fd == fd
                && reg.process == process
                && reg.s.kernel == Kernel::Ghost
            {
                reg.s.before = None;
                self.set_kernel(slot, Kernel::Armed);
                self.show(slot, at, Why::Reuse, Fidelity::Inferred, sink);
            }
        }
    }

    /// The child's table is a copy of the parent's, generations and all.
    pub(super) fn copy_table(&mut self, parent: Id, child: Id) {
        let Some(p) = self.processes.get(parent as usize) else {
            return;
        };
        let (table, loops) = (p.fds.clone(), p.loops.clone());
        if self.slots_used + table.len() as u64 > MAX_NUMBERS {
            self.ignored += 1;
            return;
        }
        self.slots_used += table.len() as u64;
        let Some(c) = self.processes.get_mut(child as usize) else {
            return;
        };
        let silent = c.is_silent();
        for (_, slot) in table.open() {
            if let Some(desc) = self.descs.get_mut(slot.desc) {
                if silent {
                    desc.silent += 1;
                } else {
                    desc.refs += 1;
                }
            }
        }
        c.fds = table;
        for id in loops {
            self.join_loop(child, id, -1);
        }
    }

    /// A silent process has said hello: its numbers count like anybody's.
    pub(super) fn unsilence(&mut self, process: Id) {
        let Some(p) = self.processes.get(process as usize) else {
            return;
        };
        for (_, slot) in p.fds.open() {
            if let Some(desc) = self.descs.get_mut(slot.desc) {
                desc.silent = desc.silent.saturating_sub(1);
                desc.refs += 1;
            }
        }
    }

    pub(super) fn exec<S: Sink + ?Sized>(&mut self, process: Id, at: At, sink: &mut S) {
        let Some(p) = self.processes.get_mut(process as usize) else {
            return;
        };
        p.execs += 1;
        for (fd, slot) in p.fds.open() {
            if slot.cloexec == Some(true) {
                self.end_number(process, fd, false, at, Why::Close, sink);
            }
        }
    }

    /// Every number of an ended process is closed.
    pub(super) fn drop_table<S: Sink + ?Sized>(&mut self, process: Id, at: At, sink: &mut S) {
        let Some(p) = self.processes.get(process as usize) else {
            return;
        };
        for (fd, _) in p.fds.open() {
            self.end_number(process, fd, false, at, Why::Close, sink);
        }
        if let Some(p) = self.processes.get_mut(process as usize) {
            self.slots_used -= p.fds.len() as u64;
            p.fds = super::fds::FdTable::default();
        }
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
