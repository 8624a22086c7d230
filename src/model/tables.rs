//! Fd tables: numbers come with open, are copied by fork, go with exec and the end of a process. Step: **model**.

use super::facts::{Id, Sink, Why};
use super::fds::{Desc, FdSlot};
use super::states::At;
use super::{Model, NONE, names};
use crate::record::event::{Event, FdKind, flags};

/// Numbers in all fd tables together; descriptors beyond are not followed.
const MAX_NUMBERS: u64 = 4 << 20;

impl Model {
    pub(super) fn set_slot(&mut self, process: Id, fd: i32, slot: FdSlot) -> bool {
        let Some(p) = self.processes.get_mut(process as usize) else {
            return false;
        };
        let slot = FdSlot {
            since: self.now,
            ..slot
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

    #[inline]
    pub(super) fn slot(&self, process: Id, fd: i32) -> FdSlot {
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

    pub(super) fn new_desc(
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
        let number = self.next_file;
        self.next_file = number.wrapping_add(1);
        let desc = self.descs.insert(Desc {
            number,
            kind,
            refs: u32::from(!silent),
            silent: u32::from(silent),
            loop_id: None,
            name: "".into(),
            addr: "".into(),
            listener: "".into(),
            account: NONE,
            head: NONE,
            taken: false,
            called: false,
            eof: false,
            io_seen: false,
            read: 0,
            read_at: 0,
            inode: 0,
            sampled: None,
            held: 0,
        });
        let slot = FdSlot {
            desc,
            generation,
            cloexec,
            since: self.now,
        };
        if !self.set_slot(process, fd, slot) {
            self.descs.remove(desc);
            return None;
        }
        Some((desc, generation))
    }

    pub(super) fn fd_open<S: Sink + ?Sized>(
        &mut self,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        self.end_number(process, e.fd, false, at, Why::Reuse, sink);
        self.opened_before(process, e.fd, e);
        let kind = FdKind::from_code(e.aux).unwrap_or(FdKind::Unknown);
        let cloexec = (e.arg & 4 != 0).then_some(e.arg & 2 != 0);
        let Some((desc, _)) = self.new_desc(process, e.fd, kind, cloexec) else {
            return;
        };
        if kind == FdKind::Timerfd && e.flags & flags::AGAIN == 0 {
            self.timerfd_made(desc, at.t);
        }
        if let Some(from) = self
            .desc_seen(process, e.x)
            .and_then(|from| self.descs.get(from))
        {
            let listener = from.name.clone();
            let listens = matches!(from.kind, FdKind::TcpListener | FdKind::UnixListener);
            let local =
                names::taken_from(&from.addr).filter(|_| listens && e.flags & flags::AGAIN == 0);
            if let Some(p) = self.processes.get_mut(process as usize) {
                p.visited |= listens;
            }
            if let Some(desc) = self.descs.get_mut(desc) {
                desc.listener = listener;
                desc.taken = listens;
                // A name it gets with its other side.
                desc.addr = local.unwrap_or_default();
            }
        }
    }

    /// Said again at the start of a cut: this number has been opened that often before.
    pub(super) fn opened_before(&mut self, process: Id, fd: i32, e: &Event) {
        if e.flags & flags::AGAIN != 0 {
            let before = u32::try_from(e.y).unwrap_or(u32::MAX).saturating_sub(1);
            let slot = self.slot(process, fd);
            let generation = slot.generation.max(before);
            self.set_slot(process, fd, FdSlot { generation, ..slot });
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
