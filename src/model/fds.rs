//! Fd tables and open file descriptions: numbers, generations, copies by fork, aliases by dup. Step: **model**.

use std::sync::Arc;

use super::codec::{Codec, Cursor, codec};
use super::facts::Id;
use super::{Map, NONE, names};
use crate::record::event::FdKind;

/// Numbers below this are looked up in a vector.
const DENSE: i32 = 1024;

/// One number of an fd table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FdSlot {
    /// The description it refers to, `NONE` when closed.
    pub desc: u32,
    /// How many times the number has been opened.
    pub generation: u32,
    /// Closed by execve: `None` when not known.
    pub cloexec: Option<bool>,
    /// When it last came to mean something else: what was seen before says nothing.
    pub since: u64,
}

impl Default for FdSlot {
    fn default() -> Self {
        Self {
            desc: NONE,
            generation: 0,
            cloexec: None,
            since: 0,
        }
    }
}

codec!(FdSlot {
    desc,
    generation,
    cloexec,
    since
});

/// The numbers of one process.
#[derive(Clone, Debug, Default)]
pub(super) struct FdTable {
    dense: Vec<FdSlot>,
    sparse: Map<i32, FdSlot>,
}

codec!(FdTable { dense, sparse });

impl FdTable {
    #[inline]
    pub fn get(&self, fd: i32) -> FdSlot {
        match usize::try_from(fd) {
            Ok(at) if fd < DENSE => self.dense.get(at).copied().unwrap_or_default(),
            Ok(_) => self.sparse.get(&fd).copied().unwrap_or_default(),
            Err(_) => FdSlot::default(),
        }
    }

    /// Negative numbers are ignored.
    pub fn set(&mut self, fd: i32, slot: FdSlot) {
        let Ok(at) = usize::try_from(fd) else { return };
        if fd < DENSE {
            if at >= self.dense.len() {
                self.dense.resize(at + 1, FdSlot::default());
            }
            self.dense[at] = slot;
        } else {
            self.sparse.insert(fd, slot);
        }
    }

    /// How many numbers it holds, open or once open.
    pub fn len(&self) -> usize {
        self.dense.len() + self.sparse.len()
    }

    /// What referred to one description refers to another: the number means what it has meant all the time.
    pub fn rename(&mut self, from: u32, to: u32) {
        let all = self.dense.iter_mut().chain(self.sparse.values_mut());
        all.filter(|slot| slot.desc == from)
            .for_each(|slot| slot.desc = to);
    }

    /// The open numbers, smallest first.
    pub fn open(&self) -> Vec<(i32, FdSlot)> {
        let dense = self.dense.iter().enumerate();
        let mut all: Vec<(i32, FdSlot)> = dense.map(|(fd, slot)| (fd as i32, *slot)).collect();
        all.extend(self.sparse.iter().map(|(fd, slot)| (*fd, *slot)));
        all.retain(|(_, slot)| slot.desc != NONE);
        all.sort_unstable_by_key(|(fd, _)| *fd);
        all
    }
}

/// An open file description.
#[derive(Clone, Debug)]
pub(super) struct Desc {
    /// Its own for ever, as its place among the others is not.
    pub number: u32,
    pub kind: FdKind,
    /// Numbers that refer to it in processes that tell of their closes.
    pub refs: u32,
    /// Numbers that refer to it in processes that only their parent's fork has shown.
    pub silent: u32,
    /// Its loop, for an epoll description.
    pub loop_id: Option<Id>,
    pub name: Arc<str>,
    pub addr: Arc<str>,
    /// The name of the listener it was accepted from.
    pub listener: Arc<str>,
    /// Its account with a load generator.
    pub account: u32,
    /// First of the chain of registrations on it (slot).
    pub head: u32,
    /// It was accepted from a listener; an epoll: nobody was seen to make it, so it may have come through a socket.
    pub taken: bool,
    /// It made the connection that it is.
    pub called: bool,
    /// The last read met the end of what the other side sends.
    pub eof: bool,
    /// Some I/O on it was recorded, so silence means something.
    pub io_seen: bool,
    /// Bytes read since it came into being.
    pub read: u64,
    /// Bytes waiting when last sampled, and `read` at that instant.
    pub sampled: Option<(u64, u64)>,
    /// When it was last read from.
    pub read_at: u64,
    /// A socket's or pipe's inode, 0 not known.
    pub inode: u64,
    /// A close or dup2 that has begun on its last number still holds it.
    pub held: u32,
}

impl Desc {
    /// Its addresses, as far as they are known now; they are its name unless it was given one.
    pub fn address(&mut self, addr: Arc<str>) {
        if self.is_unnamed() {
            self.name = names::of_address(&addr, self.called).into();
        }
        self.addr = addr;
    }

    /// It made the connection; true when that was not known.
    pub fn calls(&mut self) -> bool {
        if self.called || self.taken || self.kind != FdKind::Tcp {
            return false;
        }
        let unnamed = self.is_unnamed();
        self.called = true;
        if unnamed {
            self.name = names::of_address(&self.addr, true).into();
        }
        true
    }

    /// Nobody gave it a name: it has that of its addresses, or none.
    fn is_unnamed(&self) -> bool {
        self.name.is_empty() || *self.name == *names::of_address(&self.addr, self.called)
    }
}

impl Codec for FdKind {
    fn put(&self, out: &mut Vec<u8>) {
        self.code().put(out);
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        FdKind::from_code(u16::get(c)?)
    }
}

/// A number that was closed by a call which has not returned: what to put back if it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Undo {
    pub process: Id,
    pub fd: i32,
    pub slot: FdSlot,
}

codec!(Undo { process, fd, slot });

/// A dup that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PendingDup {
    /// The description that gets another number.
    pub desc: u32,
    /// What the target number referred to.
    pub over: Option<Undo>,
}

codec!(PendingDup { desc, over });
