//! The registrations of one socket: what is learned of it while one of them lasts names the others too. A client is
//! registered once to connect and again to talk, and only then its own port is known. Step: **model**.

use super::Map;
use super::facts::Id;
use super::registration::Registration;
use crate::record::event::FdKind;
use std::sync::Arc;

impl Registration {
    /// It is called by the addresses of a connection of which one end is not known.
    pub fn is_half_named(&self) -> bool {
        let made = self.kind == FdKind::Tcp && self.name.starts_with("tcp ");
        made && self.addr.split_once('>').is_none_or(|(near, far)| {
            let near = near.strip_prefix("tcp").unwrap_or(near).trim();
            near.is_empty() || far.is_empty()
        })
    }
}

/// The names of sockets that other registrations of theirs know better.
#[derive(Clone, Debug, Default)]
pub struct SameSocket(Map<(Id, i32, u32), Arc<str>>);

impl SameSocket {
    /// What these registrations know, if one of them needs it.
    pub fn of(regs: &[&Registration]) -> Self {
        let mut known = Map::default();
        if regs.iter().any(|r| r.is_half_named()) {
            for reg in regs.iter().filter(|r| r.kind == FdKind::Tcp) {
                if !reg.name.is_empty() && !reg.is_half_named() {
                    known.insert((reg.process, reg.fd, reg.generation), reg.name.clone());
                }
            }
        }
        SameSocket(known)
    }

    /// The best name of a registration's socket.
    pub fn name<'a>(&'a self, reg: &'a Registration) -> &'a str {
        if !reg.is_half_named() {
            return &reg.name;
        }
        let known = self.0.get(&(reg.process, reg.fd, reg.generation));
        known.unwrap_or(&reg.name)
    }
}
