//! What /proc and fdinfo showed of a process: descriptors and registrations that its own events did not tell of, closes
//! inside libc, descriptors passed on or inherited, registrations made through io_uring. Step: **model**.
//!
//! What was seen is older than the event that tells it; what the program said meanwhile is newer and stands. Everything
//! that only an observation shows is inferred.

use std::sync::Arc;

use super::facts::{Fidelity, Id, Sink, Why};
use super::registration::{ERR, HUP, Kernel, MODES, ONESHOT};
use super::states::{At, Birth};
use super::{Model, NONE, names};
use crate::record::event::{Event, FdKind};

/// What the capture could not do: told that often at most.
const MOST_SETUP: usize = 64;
/// Threads asked whether an epoll_ctl of theirs is under way.
const MOST_ASKED: usize = 4_096;

/// What a descriptor can be told apart by, coarsely: one number never is two of these at once.
fn class(kind: FdKind) -> u16 {
    match kind {
        _ if is_socket(kind) => FdKind::Tcp.code(),
        // A device or a FIFO by path.
        FdKind::Tty | FdKind::File | FdKind::Pipe => FdKind::File.code(),
        kind => kind.code(),
    }
}

fn is_socket(kind: FdKind) -> bool {
    use FdKind::*;
    matches!(
        kind,
        TcpListener | Tcp | Udp | UnixListener | Unix | UnixDatagram
    )
}

impl Model {
    /// /proc shows a descriptor open.
    pub(super) fn fd_seen<S: Sink + ?Sized>(
        &mut self,
        process: Id,
        e: &Event,
        text: &[u8],
        at: At,
        sink: &mut S,
    ) {
        let slot = self.slot(process, e.fd);
        if e.fd < 0 || slot.since > at.t.saturating_sub(e.y) {
            return;
        }
        let kind = FdKind::from_code(e.aux).unwrap_or(FdKind::Unknown);
        let known = self.descs.get(slot.desc).map(|d| (d.kind, d.inode));
        if let Some((was, inode)) = known {
            let both = was != FdKind::Unknown && kind != FdKind::Unknown;
            let another =
                (inode != 0 && e.arg != 0 && inode != e.arg) || (both && class(was) != class(kind));
            if another {
                // Closed and opened again behind our back.
                self.end_number(process, e.fd, false, at, Why::Observed, sink);
            }
        }
        let mut desc = self.slot(process, e.fd).desc;
        match self.elsewhere(kind, e.arg) {
            Some(known) if desc == NONE => {
                self.alias(process, e.fd, known, at, sink);
                desc = known;
            }
            // Told of as something new by who got it through a socket, and it is not.
            Some(known) if known != desc => {
                self.unite(desc, known, at, sink);
                self.within_reach(process, e.fd, known, at, sink);
                desc = known;
            }
            None if desc == NONE => {
                let Some((new, _)) = self.new_desc(process, e.fd, kind, None) else {
                    return;
                };
                desc = new;
            }
            _ => {}
        }
        self.describe(desc, kind, e.arg, text);
    }

    /// The description that a socket of this inode is known as. Of what has an inode only pipes are no sockets.
    fn elsewhere(&self, kind: FdKind, inode: u64) -> Option<u32> {
        let may_be = |kind| is_socket(kind) || kind == FdKind::Unknown;
        let known = self.inodes.get(&inode).copied()?;
        (inode != 0 && may_be(kind) && may_be(self.descs.get(known)?.kind)).then_some(known)
    }

    /// Completes what is known of a description.
    fn describe(&mut self, id: u32, kind: FdKind, inode: u64, text: &[u8]) {
        let Some(desc) = self.descs.get_mut(id) else {
            return;
        };
        let said = names::text(text);
        desc.taken |= desc.kind == FdKind::Unknown && kind == FdKind::Epoll;
        if desc.kind == FdKind::Unknown || (desc.addr.is_empty() && kind != FdKind::Unknown) {
            desc.kind = kind;
        }
        if inode != 0 && desc.inode == 0 {
            desc.inode = inode;
            // Of what has an inode only pipes are no sockets; not every socket's kind is known.
            if kind != FdKind::Pipe {
                self.inodes.entry(inode).or_insert(id);
            }
        }
        if is_socket(kind) {
            // The program's own word stands, unless it was asked before the socket was connected.
            if names::sides_known(&said) > names::sides_known(&desc.addr)
                || desc.addr.is_empty() && !said.is_empty()
            {
                desc.address(said);
                self.match_address(id);
            }
        } else if desc.name.is_empty() {
            desc.name = said;
        }
        for slot in self.regs_of(id) {
            self.name_from_desc(slot);
        }
    }

    /// A description is no more.
    pub(super) fn forget_inode(&mut self, id: u32) {
        let inode = self.descs.get(id).map_or(0, |d| d.inode);
        if inode != 0 && self.inodes.get(&inode) == Some(&id) {
            self.inodes.remove(&inode);
        }
    }

    /// /proc shows a descriptor closed.
    pub(super) fn fd_gone<S: Sink + ?Sized>(
        &mut self,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let slot = self.slot(process, e.fd);
        if slot.desc != NONE && slot.since < at.t.saturating_sub(e.y) {
            self.end_number(process, e.fd, false, at, Why::Observed, sink);
        }
    }

    /// fdinfo shows a registration.
    pub(super) fn reg_seen<S: Sink + ?Sized>(
        &mut self,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let seen = at.t.saturating_sub(u64::from(e.aux) * 1_000_000);
        let Some(loop_id) = self.loop_at(process, e.y as i32, e.t) else {
            return;
        };
        // The kernel adds these two to every mask.
        let mask = e.x as u32 & !(ERR | HUP);
        // A one-shot that was reported keeps its modes only.
        let disarmed = mask & ONESHOT != 0 && mask & !MODES == 0;
        let slot = self.keyed(loop_id, process, e.fd);
        if let Some(reg) = self.regs.get_mut(slot) {
            if reg.s.proven.is_some_and(|t| t > seen) {
                return;
            }
            let told = reg.s.interest_known && reg.s.data_known;
            if told && reg.data == e.arg && (disarmed || reg.interest & !(ERR | HUP) == mask) {
                self.known_again(slot);
                return;
            }
            if !disarmed {
                reg.interest = mask;
                reg.s.interest_known = true;
            }
            self.unlink_data(slot);
            if let Some(reg) = self.regs.get_mut(slot) {
                reg.data = e.arg;
            }
            self.link_data(slot);
        } else if self.slot(process, e.fd).since > seen
            || self.ctl_under_way(process, e.fd)
            || self.told_by_another(loop_id, e)
        {
            return;
        } else if self.is_foreign(process, e) {
            return self.foreign_seen(loop_id, process, e, mask, at, sink);
        } else if self.slot(process, e.fd).desc == NONE {
            return self.ghost_seen(loop_id, process, e, mask, at, sink);
        } else {
            self.adopt(loop_id, process, e, mask, at, sink);
        }
        let slot = self.keyed(loop_id, process, e.fd);
        self.known_again(slot);
        if disarmed {
            self.set_kernel(slot, Kernel::Disarmed);
        } else if mask & !MODES == 0 {
            self.set_kernel(slot, Kernel::Muted);
        }
        self.show(slot, at, Why::Observed, Fidelity::Inferred, sink);
    }

    /// An ADD nobody told of: a new registration, or the number for one that was only known by its data word.
    fn adopt<S: Sink + ?Sized>(
        &mut self,
        loop_id: Id,
        process: Id,
        e: &Event,
        mask: u32,
        at: At,
        sink: &mut S,
    ) {
        let Some((desc, generation)) = self.desc_at(process, e.fd) else {
            return;
        };
        let nameless = (self.loops.get(loop_id as usize)).map_or(NONE, |l| l.data.get(e.arg));
        if let Some(reg) = self.regs.get_mut(nameless)
            && reg.fd < 0
            && reg.s.desc == NONE
        {
            (reg.fd, reg.generation, reg.process) = (e.fd, generation, process);
            (reg.interest, reg.s.interest_known) = (mask, true);
            reg.s.desc = desc;
            self.keys.insert((loop_id, desc, e.fd), nameless);
            if let Some(desc) = self.descs.get_mut(desc) {
                let head = std::mem::replace(&mut desc.head, nameless);
                self.link(nameless, head, |s| &mut s.of_desc);
            }
            self.name_from_desc(nameless);
            return;
        }
        self.birth(
            &Birth {
                loop_id,
                process,
                fd: e.fd,
                generation,
                desc,
                interest: Some(mask),
                data: Some(e.arg),
                fidelity: Fidelity::Inferred,
            },
            at,
            Why::Observed,
            sink,
        );
    }

    /// A process that shares the epoll instance registered this number of its own table, with this data word: what the number
    /// means here is another matter.
    fn told_by_another(&self, loop_id: Id, e: &Event) -> bool {
        let known = (self.loops.get(loop_id as usize)).map_or(NONE, |l| l.data.get(e.arg));
        self.regs.get(known).is_some_and(|r| r.fd == e.fd)
    }

    /// The epoll came from another process, and the number never was one of this process's: it is of the table of whoever
    /// registered it.
    fn is_foreign(&self, process: Id, e: &Event) -> bool {
        let epoll = self.slot(process, e.y as i32).desc;
        let slot = self.slot(process, e.fd);
        self.descs.get(epoll).is_some_and(|d| d.taken) && (slot.desc, slot.generation) == (NONE, 0)
    }

    /// A registration of another process's number: known by its data word.
    fn foreign_seen<S: Sink + ?Sized>(
        &mut self,
        loop_id: Id,
        process: Id,
        e: &Event,
        mask: u32,
        at: At,
        sink: &mut S,
    ) {
        let mut slot = (self.loops.get(loop_id as usize)).map_or(NONE, |l| l.data.get(e.arg));
        match self.regs.get_mut(slot) {
            Some(reg) if reg.fd < 0 => (reg.interest, reg.s.interest_known) = (mask, true),
            _ => {
                let birth = Birth {
                    loop_id,
                    process,
                    fd: -1,
                    generation: 0,
                    desc: NONE,
                    interest: Some(mask),
                    data: Some(e.arg),
                    fidelity: Fidelity::Inferred,
                };
                slot = self.birth(&birth, at, Why::Observed, sink);
                if let Some(reg) = self.regs.get_mut(slot) {
                    reg.name = format!("data {:#x}", e.arg).into();
                }
            }
        }
        self.known_again(slot);
        self.show(slot, at, Why::Observed, Fidelity::Inferred, sink);
    }

    /// A registration whose number is closed: a copy of the description elsewhere keeps it.
    fn ghost_seen<S: Sink + ?Sized>(
        &mut self,
        loop_id: Id,
        process: Id,
        e: &Event,
        mask: u32,
        at: At,
        sink: &mut S,
    ) {
        let slot = self.birth(
            &Birth {
                loop_id,
                process,
                fd: e.fd,
                generation: self.slot(process, e.fd).generation,
                desc: NONE,
                interest: Some(mask),
                data: Some(e.arg),
                fidelity: Fidelity::Inferred,
            },
            at,
            Why::Observed,
            sink,
        );
        self.set_kernel(slot, Kernel::Ghost);
        self.show(slot, at, Why::Observed, Fidelity::Inferred, sink);
    }

    /// fdinfo no longer shows a registration.
    pub(super) fn reg_gone<S: Sink + ?Sized>(
        &mut self,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let seen = at.t.saturating_sub(u64::from(e.aux) * 1_000_000);
        let Some(loop_id) = self.loop_at(process, e.y as i32, e.t) else {
            return;
        };
        let mut slot = self.keyed(loop_id, process, e.fd);
        if slot == NONE {
            // A number that is closed leads nowhere: of a ghost the data word is left.
            let l = self.loops.get(loop_id as usize);
            slot = l.map_or(NONE, |l| l.data.get(e.arg));
            let foreign = self.is_foreign(process, e);
            let ghost = |r: &super::Registration| {
                (r.fd, r.process) == (e.fd, process) && r.s.kernel == Kernel::Ghost
            };
            let known = |r: &super::Registration| ghost(r) || foreign && r.fd < 0;
            if !self.regs.get(slot).is_some_and(known) {
                return;
            }
        }
        let newer = |r: &super::Registration| r.s.proven.is_some_and(|t| t > seen);
        if self.regs.get(slot).is_some_and(newer)
            || self.slot(process, e.fd).since > seen
            || self.ctl_under_way(process, e.fd)
        {
            return;
        }
        self.mark_ended(
            slot,
            Kernel::Gone,
            at,
            Why::Observed,
            Fidelity::Inferred,
            sink,
        );
        self.finish(slot, at);
    }

    /// Some thread of the process is inside an epoll_ctl for this descriptor.
    fn ctl_under_way(&self, process: Id, fd: i32) -> bool {
        let mine = |t: &&super::Thread| t.process == process && t.ended.is_none();
        (self.threads.iter().rev().take(MOST_ASKED))
            .filter(mine)
            .any(|t| t.work.ctl.as_ref().is_some_and(|ctl| ctl.fd == fd))
    }

    /// Something the capture could not do.
    pub(super) fn setup_told(&mut self, text: &[u8]) {
        let said: Arc<str> = names::text(text);
        if self.setup.len() < MOST_SETUP && !self.setup.contains(&said) {
            self.setup.push(said);
        }
    }
}
