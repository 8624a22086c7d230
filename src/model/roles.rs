//! Roles: what closed registrations are folded into, and how views group many fds. Step: **model**.

use std::sync::Arc;

use super::facts::Id;
use super::{Histogram, Model};
use crate::record::event::{FdKind, Space};

/// Roles at most; what comes after is "other".
const MAX_ROLES: usize = 4_096;

/// What makes a role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RoleKind {
    /// Everything without a better role, or beyond the limit of 4,096 roles.
    #[default]
    Other,
    /// A listening socket; the text is its address.
    Listener,
    /// The text is the name of the handler that serves it.
    Handler,
    /// The text is the peer's host.
    Peer,
    /// The text is the descriptor's kind.
    Kind,
}

/// A role: registrations of one listener, handler or peer host.
#[derive(Clone, Debug, Default)]
pub struct Role {
    /// What makes it.
    pub kind: RoleKind,
    /// Which one.
    pub text: Arc<str>,
    /// Closed registrations folded into the sums below (kept ones are not).
    pub folded: u64,
    /// Their reported events.
    pub ready: u64,
    /// Their handler runs.
    pub dispatched: u64,
    /// Their events the program did not reach.
    pub skipped: u64,
    /// Bytes they read.
    pub bytes_in: u64,
    /// Bytes they wrote.
    pub bytes_out: u64,
    /// Time in their handlers.
    pub run_ns: u64,
    /// Their notice time, lower bounds.
    pub notice_lo: Histogram,
    /// Their notice time, upper bounds.
    pub notice_hi: Histogram,
    /// Their queue time.
    pub queue: Histogram,
    /// Their run time.
    pub run: Histogram,
    /// What they made others wait, at least.
    pub caused_lo: u64,
    /// What they made others wait, at most.
    pub caused_hi: u64,
}

impl Model {
    pub(super) fn find_role(&mut self, slot: u32) {
        let Some(reg) = self.regs.get(slot) else {
            return;
        };
        let desc = self.descs.get(reg.s.desc);
        let handler =
            self.names
                .get_shared(reg.handler_process, Space::Handler.code(), reg.handler);
        let peer = reg.addr.split_once('>').map_or("", |(_, peer)| host(peer));
        let (kind, text) = if matches!(reg.kind, FdKind::TcpListener | FdKind::UnixListener) {
            (RoleKind::Listener, reg.name.clone())
        } else if let Some(handler) = handler.filter(|name| !name.is_empty()) {
            (RoleKind::Handler, handler)
        } else if let Some(listener) = desc.map(|d| d.listener.clone()).filter(|l| !l.is_empty()) {
            (RoleKind::Listener, listener)
        } else if !peer.is_empty() {
            (RoleKind::Peer, peer.into())
        } else {
            (RoleKind::Kind, reg.kind.name().into())
        };
        let key = (kind as u8, text);
        let role = match self.role_of.get(&key) {
            Some(role) => *role,
            None if self.roles.len() >= MAX_ROLES => 0,
            None => {
                let id = self.roles.len() as Id;
                self.roles.push(Role {
                    kind,
                    text: key.1.clone(),
                    ..Role::default()
                });
                self.role_of.insert(key, id);
                id
            }
        };
        if let Some(reg) = self.regs.get_mut(slot) {
            reg.role = role;
        }
    }
}

/// The host of `host:port`, `[v6]:port`, or a path.
fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}
