//! Who waits for whom in vain: a server nobody has talked to, a client no loop was told of. Step: **model** (questions
//! views ask it).

use super::facts::Id;
use super::{Model, NONE};
use crate::record::address;
use crate::record::event::FdKind;

impl Model {
    /// Where somebody listens (`127.0.0.1:7001`, a path), if no process has accepted a connection so far.
    pub fn lonely(&self) -> Option<String> {
        if self.processes.iter().any(|p| p.visited) {
            return None;
        }
        let open = self.processes.iter().flat_map(|p| p.fds.open());
        let mut listeners = open
            .filter_map(|(_, slot)| self.descs.get(slot.desc))
            .filter(|d| matches!(d.kind, FdKind::TcpListener | FdKind::UnixListener));
        listeners.find_map(|d| {
            let [_, local, _] = address::sides(d.addr.as_bytes())?;
            let local = std::str::from_utf8(local).ok()?;
            (!local.is_empty()).then(|| local.to_owned())
        })
    }

    /// A connection of this process that was accepted at least `ns` ago, on which nothing was read or written since, and
    /// that stands in no interest list: its number and its name. No loop will ever hear of it.
    pub fn forgotten(&self, process: Id, ns: u64) -> Option<(i32, &str)> {
        let process = self.processes.get(process as usize)?;
        let open = process.fds.open().into_iter();
        let mut accepted = open.filter_map(|(fd, slot)| {
            let old = self.now.saturating_sub(slot.since) >= ns;
            let desc = self.descs.get(slot.desc).filter(|_| old)?;
            let stream = matches!(desc.kind, FdKind::Tcp | FdKind::Unix);
            let silent = stream && desc.taken && !desc.io_seen && desc.head == NONE;
            silent.then_some((fd, &*desc.name))
        });
        accepted.next()
    }

    /// The last read on this registration's descriptor met the end of what the other side sends.
    pub fn at_end(&self, reg: Id) -> bool {
        let reg = self.reg(reg);
        let desc = reg.and_then(|reg| self.descs.get(reg.s.desc));
        desc.is_some_and(|desc| desc.eof)
    }
}
