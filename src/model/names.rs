//! Name tables: bounded, per process and space. Step: **model**.

use std::sync::Arc;

use super::Map;
use super::codec::codec;
use super::facts::Id;
use crate::record::address;

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
