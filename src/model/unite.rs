//! Two open file descriptions that turn out to be one: a descriptor passed through a socket is told of by the process that
//! gets it as something new, and /proc shows by its inode whose it is. Step: **model**.

use super::facts::{Fidelity, Sink, Why};
use super::registration::Kernel;
use super::states::At;
use super::{Model, NONE};
use crate::record::event::FdKind;

impl Model {
    /// What is known of `from` is known of `to` from now on: its numbers, its registrations, its account.
    pub(super) fn unite<S: Sink + ?Sized>(&mut self, from: u32, to: u32, at: At, sink: &mut S) {
        let one = from == to || self.descs.get(from).is_none() || self.descs.get(to).is_none();
        // One that is a loop, or a timer, has no inode to be known by.
        let own = |id: u32| self.descs.get(id).is_some_and(|d| d.loop_id.is_some());
        if one || own(from) || own(to) {
            return;
        }
        for process in &mut self.processes {
            process.fds.rename(from, to);
        }
        for thread in &mut self.threads {
            let (close, dup) = (&mut thread.work.close, &mut thread.work.dup);
            let over = dup.iter_mut().filter_map(|dup| dup.over.as_mut());
            let undos = close.iter_mut().chain(over);
            let pending = undos.map(|undo| &mut undo.slot.desc);
            pending.filter(|d| **d == from).for_each(|d| *d = to);
            if let Some(dup) = dup.as_mut().filter(|dup| dup.desc == from) {
                dup.desc = to;
            }
        }
        self.move_registrations(from, to, at, sink);
        let Some(old) = self.descs.remove(from) else {
            return;
        };
        let inode = old.inode;
        if inode != 0 && self.inodes.get(&inode) == Some(&from) {
            self.inodes.insert(inode, to);
        }
        let Some(new) = self.descs.get_mut(to) else {
            return;
        };
        new.refs += old.refs;
        new.silent += old.silent;
        new.held += old.held;
        new.read = new.read.saturating_add(old.read);
        new.read_at = new.read_at.max(old.read_at);
        new.io_seen |= old.io_seen;
        new.taken |= old.taken;
        new.eof |= old.eof;
        // Counted by one of the two only.
        new.sampled = None;
        if new.kind == FdKind::Unknown {
            new.kind = old.kind;
        }
        if new.addr.is_empty() {
            new.addr = old.addr;
        }
        if new.name.is_empty() {
            new.name = old.name;
        }
        if new.listener.is_empty() {
            new.listener = old.listener;
        }
        let (account, known) = (old.account, new.account != NONE);
        if !known {
            new.account = account;
        }
        if account != NONE {
            match known {
                true => self.drop_account(account),
                false => self.move_account(account, to),
            }
        }
        self.refresh_unread(to);
        for slot in self.regs_of(to) {
            self.name_from_desc(slot);
        }
    }

    fn move_registrations<S: Sink + ?Sized>(&mut self, from: u32, to: u32, at: At, sink: &mut S) {
        loop {
            let slot = self.descs.get(from).map_or(NONE, |d| d.head);
            let Some(reg) = self.regs.get(slot) else {
                return;
            };
            let (loop_id, fd) = (reg.loop_id, reg.fd);
            if self.keys.contains_key(&(loop_id, to, fd)) {
                // The kernel would have said EEXIST: one of them has ended.
                self.mark_ended(slot, Kernel::Gone, at, Why::Reuse, Fidelity::Inferred, sink);
                self.finish(slot, at);
                continue;
            }
            if self.keys.get(&(loop_id, from, fd)) == Some(&slot) {
                self.keys.remove(&(loop_id, from, fd));
                self.keys.insert((loop_id, to, fd), slot);
            }
            let rest = self.unlink(slot, |s| &mut s.of_desc);
            if let (Some(rest), Some(d)) = (rest, self.descs.get_mut(from)) {
                d.head = rest;
            }
            if let Some(reg) = self.regs.get_mut(slot) {
                reg.s.desc = to;
            }
            if let Some(d) = self.descs.get_mut(to) {
                let head = std::mem::replace(&mut d.head, slot);
                self.link(slot, head, |s| &mut s.of_desc);
            }
        }
    }
}
