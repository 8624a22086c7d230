//! Names: tables of them, bounded, per process and space, and what a name that is told belongs to. Step: **model**.

use std::sync::Arc;

use super::codec::codec;
use super::facts::Id;
use super::{Map, Model, NONE};
use crate::record::address;
use crate::record::event::{Event, FdKind, Space};

/// Names kept, and bytes of text in all; what comes after keeps no name.
const MAX_NAMES: usize = 262_144;
const MAX_BYTES: u64 = 16 << 20;

/// (process, space code, name id) → text.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    table: Map<(Id, u16, u32), Arc<str>>,
    bytes: u64,
}

codec!(Names { table, bytes });

impl Names {
    pub fn get(&self, process: Id, space: u16, id: u32) -> &str {
        self.table
            .get(&(process, space, id))
            .map_or("", |name| name)
    }

    pub fn get_shared(&self, process: Id, space: u16, id: u32) -> Option<Arc<str>> {
        self.table.get(&(process, space, id)).cloned()
    }

    pub fn set(&mut self, process: Id, space: u16, id: u32, name: Arc<str>) {
        let key = (process, space, id);
        let old = self.table.get(&key).map(|old| old.len() as u64);
        let bytes = self.bytes - old.unwrap_or(0) + name.len() as u64;
        if old.is_none() && self.table.len() >= MAX_NAMES || bytes > MAX_BYTES {
            return;
        }
        self.bytes = bytes;
        self.table.insert(key, name);
    }
}

impl Model {
    pub(super) fn named(&mut self, process: Id, e: &Event, bytes: &[u8]) {
        if Space::from_code(e.aux) == Some(Space::Loop) {
            let name = text(bytes);
            if let Some(id) = self.loop_at(process, e.x, e.t)
                && let Some(l) = self.loops.get_mut(id as usize)
            {
                l.name = name;
            }
            return;
        }
        let id = e.x as u32;
        if Space::from_code(e.aux) == Some(Space::Pair) {
            self.pair_named(process, id, &String::from_utf8_lossy(bytes));
            return;
        }
        self.names.set(process, e.aux, id, text(bytes));
    }

    pub(super) fn handler_named(&mut self, process: Id, e: &Event) {
        // Whoever says it need not be one that waits there.
        let known = self.loop_at(process, e.fd, e.t);
        let l = known.and_then(|id| self.loops.get(id as usize));
        let slot = l.map_or(NONE, |l| l.data.get(e.arg));
        if let Some(reg) = self.regs.get_mut(slot) {
            reg.handler = e.x as u32;
            reg.handler_process = process;
            self.find_role(slot);
        }
    }

    pub(super) fn fd_named(&mut self, process: Id, e: &Event, bytes: &[u8]) {
        let Some((id, _)) = self.desc_at(process, e.fd) else {
            return;
        };
        if let Some(desc) = self.descs.get_mut(id) {
            desc.name = text(bytes);
        }
        for slot in self.regs_of(id) {
            self.name_from_desc(slot);
        }
    }

    pub(super) fn fd_addressed(&mut self, process: Id, e: &Event, bytes: &[u8]) {
        let Some((id, _)) = self.desc_at(process, e.fd) else {
            return;
        };
        let addr = text(bytes);
        if let Some(desc) = self.descs.get_mut(id) {
            if let Some(kind) = FdKind::from_code(e.aux).filter(|kind| *kind != FdKind::Unknown) {
                desc.kind = kind;
            }
            if e.x == 1 {
                desc.calls();
            }
            desc.address(joined(&desc.addr, &addr));
        }
        self.match_address(id);
        for slot in self.regs_of(id) {
            self.name_from_desc(slot);
        }
    }
}

/// Untrusted bytes as text; what is no UTF-8 shows as replacement characters.
pub(super) fn text(bytes: &[u8]) -> Arc<str> {
    String::from_utf8_lossy(bytes).into()
}

/// The name of a descriptor that has none of its own; the arrow goes from the side that called.
pub(super) fn of_address(addr: &str, called: bool) -> String {
    let arrow = if called { '→' } else { '←' };
    match addr.split_once('>') {
        Some((local, "")) => local.trim_end().to_owned(),
        Some((local, peer)) => format!("{} {arrow} {peer}", local.trim_end()),
        None => addr.to_owned(),
    }
}

/// How many sides of an address pair are known: 0, 1 or 2.
pub(super) fn sides_known(addr: &str) -> usize {
    let [_, local, peer] = address::sides(addr.as_bytes()).unwrap_or_default();
    usize::from(!local.is_empty()) + usize::from(!peer.is_empty())
}

/// An address pair of which more has been said.
pub(super) fn joined(old: &str, new: &str) -> Arc<str> {
    text(&address::joined(old.as_bytes(), new.as_bytes()).concat())
}

/// What a listener's address says of a connection it takes: the local side, unless it listens on all addresses.
pub(super) fn taken_from(listener: &str) -> Option<Arc<str>> {
    let bytes = listener.as_bytes();
    let [family, local, _] = address::sides(bytes)?;
    (!local.is_empty() && !address::is_any(local)).then(|| text(&[family, local, b">"].concat()))
}
