//! A server nobody has talked to: what it waits for is a client. Step: **model** (a question views ask it).

use super::Model;
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
}
