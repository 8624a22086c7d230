//! A registration's life: born, changed, marked as ended, ended, kept or folded. Every change of its word passes
//! [`Model::show`], which tells the sink. Step: **model**.

use super::facts::{Fidelity, Id, Sink, Transition, Why, Word};
use super::registration::{ET, Kernel, Link, MODES, ONESHOT, Registration, State};
use super::roles::{Role, RoleKind};
use super::{Drain, Histogram, ItemState, Model, NONE};
use crate::record::event::{FdKind, Space};

/// Live registrations at most; an ADD beyond it is counted as ignored.
const MAX_LIVE: usize = 131_072;
/// Roles at most; what comes after is "other".
const MAX_ROLES: usize = 4_096;
/// Registrations looked at when one description has very many.
pub(super) const MAX_CHAIN: usize = 64;

/// When, and by which event.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub t: u64,
    pub number: u64,
}

/// What a new registration is made from.
pub(super) struct Birth {
    pub loop_id: Id,
    pub process: Id,
    pub fd: i32,
    pub generation: u32,
    pub desc: u32,
    pub interest: Option<u32>,
    pub data: Option<u64>,
    pub fidelity: Fidelity,
}

impl Model {
    /// Tells the sink if the registration's word is not what it was.
    pub(super) fn show<S: Sink + ?Sized>(
        &mut self,
        slot: u32,
        at: At,
        why: Why,
        fidelity: Fidelity,
        sink: &mut S,
    ) {
        let Some(reg) = self.regs.get_mut(slot) else {
            return;
        };
        let to = reg.word_now();
        if to == reg.word {
            reg.fidelity = reg.fidelity.min(fidelity);
            return;
        }
        let from = std::mem::replace(&mut reg.word, to);
        reg.fidelity = if to == Word::Unknown {
            Fidelity::Absent
        } else {
            fidelity
        };
        reg.since = at.t;
        let transition = Transition {
            t: at.t,
            event: at.number,
            reg: reg.id,
            from,
            to,
            why,
            fidelity: reg.fidelity,
        };
        sink.transition(&transition);
    }

    /// A new registration; `NONE` beyond the limit.
    pub(super) fn birth<S: Sink + ?Sized>(
        &mut self,
        birth: &Birth,
        at: At,
        why: Why,
        sink: &mut S,
    ) -> u32 {
        if self.regs.len() - self.kept.len() >= MAX_LIVE || self.next_reg == Id::MAX {
            self.ignored += 1;
            return NONE;
        }
        let id = self.next_reg;
        self.next_reg += 1;
        let interest = birth.interest.unwrap_or(0);
        let muted = birth.interest.is_some_and(|mask| mask & !MODES == 0);
        let reg = Registration {
            id,
            loop_id: birth.loop_id,
            process: birth.process,
            fd: birth.fd,
            generation: birth.generation,
            name: "".into(),
            addr: "".into(),
            kind: FdKind::Unknown,
            role: 0,
            interest,
            data: birth.data.unwrap_or(0),
            word: Word::Unknown,
            fidelity: Fidelity::Absent,
            since: at.t,
            registered_ns: at.t,
            closed_ns: None,
            ready: 0,
            dispatched: 0,
            skipped: 0,
            stale: 0,
            bytes_in: 0,
            bytes_out: 0,
            run_ns: 0,
            notice_lo: Histogram::default(),
            notice_hi: Histogram::default(),
            queue: Histogram::default(),
            run: Histogram::default(),
            tail: Histogram::default(),
            bypassed_max: 0,
            caused_lo: 0,
            caused_hi: 0,
            unread: None,
            unread_fidelity: Fidelity::Absent,
            ready_since: None,
            handler: 0,
            handler_process: birth.process,
            wait_max: 0,
            s: State {
                desc: birth.desc,
                kernel: if muted { Kernel::Muted } else { Kernel::Armed },
                unknown: birth.fidelity == Fidelity::Absent,
                data_known: birth.data.is_some(),
                interest_known: birth.interest.is_some(),
                ..State::default()
            },
        };
        let slot = self.regs.insert(reg);
        self.by_id.insert(id, slot);
        if let Some(reg) = self.regs.get_mut(slot) {
            reg.s.slot = slot;
        }
        if let Some(l) = self.loops.get_mut(birth.loop_id as usize) {
            let head = std::mem::replace(&mut l.head, slot);
            self.link(slot, head, |s| &mut s.of_loop);
        }
        if birth.desc != NONE {
            self.keys
                .insert((birth.loop_id, birth.desc, birth.fd), slot);
            if let Some(desc) = self.descs.get_mut(birth.desc) {
                let head = std::mem::replace(&mut desc.head, slot);
                self.link(slot, head, |s| &mut s.of_desc);
            }
        }
        if birth.data.is_some() {
            self.link_data(slot);
        }
        self.name_from_desc(slot);
        self.believe_known(slot);
        self.show(slot, at, why, birth.fidelity, sink);
        slot
    }

    /// Puts `slot` before the old head of a chain.
    fn link(&mut self, slot: u32, head: u32, chain: fn(&mut State) -> &mut Link) {
        if let Some(reg) = self.regs.get_mut(slot) {
            *chain(&mut reg.s) = Link {
                prev: NONE,
                next: head,
            };
        }
        if let Some(reg) = self.regs.get_mut(head) {
            chain(&mut reg.s).prev = slot;
        }
    }

    /// Takes `slot` out of a chain; gives the new head if it was the head.
    fn unlink(&mut self, slot: u32, chain: fn(&mut State) -> &mut Link) -> Option<u32> {
        let link = std::mem::take(chain(&mut self.regs.get_mut(slot)?.s));
        if let Some(next) = self.regs.get_mut(link.next) {
            chain(&mut next.s).prev = link.prev;
        }
        match self.regs.get_mut(link.prev) {
            Some(prev) => {
                chain(&mut prev.s).next = link.next;
                None
            }
            None => Some(link.next),
        }
    }

    /// Makes the registration the last one set for its data word.
    pub(super) fn link_data(&mut self, slot: u32) {
        let Some(reg) = self.regs.get(slot) else {
            return;
        };
        let (loop_id, data) = (reg.loop_id, reg.data);
        let Some(l) = self.loops.get_mut(loop_id as usize) else {
            return;
        };
        let head = l.data.get(data);
        l.data.set(data, slot);
        self.link(slot, head, |s| &mut s.of_data);
        if let Some(reg) = self.regs.get_mut(slot) {
            reg.s.data_known = true;
        }
    }

    pub(super) fn unlink_data(&mut self, slot: u32) {
        let Some(reg) = self.regs.get_mut(slot) else {
            return;
        };
        if !std::mem::take(&mut reg.s.data_known) {
            return;
        }
        let (loop_id, data) = (reg.loop_id, reg.data);
        if let Some(head) = self.unlink(slot, |s| &mut s.of_data)
            && let Some(l) = self.loops.get_mut(loop_id as usize)
        {
            l.data.set(data, head);
        }
    }

    /// Copies name, addresses and kind of its description, and finds its role.
    pub(super) fn name_from_desc(&mut self, slot: u32) {
        let Some(reg) = self.regs.get_mut(slot) else {
            return;
        };
        if let Some(desc) = self.descs.get(reg.s.desc) {
            reg.name = desc.name.clone();
            reg.addr = desc.addr.clone();
            reg.kind = desc.kind;
        }
        self.find_role(slot);
    }

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

    /// Its state is known (again): remember it for the next loss.
    pub(super) fn believe_known(&mut self, slot: u32) {
        let Some(reg) = self.regs.get_mut(slot) else {
            return;
        };
        if reg.s.unknown || std::mem::replace(&mut reg.s.listed, true) {
            return;
        }
        let (id, loop_id) = (reg.id, reg.loop_id);
        let Some(l) = self.loops.get_mut(loop_id as usize) else {
            return;
        };
        l.known.push(id);
        if l.known.len() >= 64 && l.known.len() >= 2 * l.known_live as usize {
            // Ended ones need no turning over; forget them so that the list stays as long as the live ones.
            let (regs, by_id) = (&self.regs, &self.by_id);
            l.known.retain(|id| {
                by_id
                    .get(id)
                    .and_then(|slot| regs.get(*slot))
                    .is_some_and(Registration::is_live)
            });
            l.known_live = l.known.len() as u32;
        }
        if !std::mem::replace(&mut l.dirty, true) {
            for process in &l.procs {
                if let Some(p) = self.processes.get_mut(*process as usize) {
                    p.dirty.push(loop_id);
                }
            }
        }
    }

    /// An event says how it stands, whatever was lost before.
    pub(super) fn known_again(&mut self, slot: u32) {
        if let Some(reg) = self.regs.get_mut(slot) {
            reg.s.unknown = false;
        }
        self.believe_known(slot);
    }

    /// Sets the kernel's side and keeps the loop's list of what it believes ready.
    pub(super) fn set_kernel(&mut self, slot: u32, kernel: Kernel) {
        let Some(reg) = self.regs.get_mut(slot) else {
            return;
        };
        reg.s.kernel = kernel;
        if kernel != Kernel::Ready {
            reg.ready_since = None;
            reg.s.ready_runs = None;
        }
        let listed = reg.s.believed_at != 0;
        let Some(l) = self.loops.get_mut(reg.loop_id as usize) else {
            return;
        };
        if kernel == Kernel::Ready && !listed {
            l.believed.push(slot);
            reg.s.believed_at = l.believed.len() as u32;
        } else if kernel != Kernel::Ready && listed {
            let at = reg.s.believed_at as usize - 1;
            reg.s.believed_at = 0;
            l.believed.swap_remove(at);
            if let Some(moved) = l.believed.get(at).copied()
                && let Some(reg) = self.regs.get_mut(moved)
            {
                reg.s.believed_at = at as u32 + 1;
            }
        }
    }

    /// It ends (`Gone`) or loses its number (`Ghost`): from the call's begin, not yet final.
    pub(super) fn mark_ended<S: Sink + ?Sized>(
        &mut self,
        slot: u32,
        kernel: Kernel,
        at: At,
        why: Why,
        fidelity: Fidelity,
        sink: &mut S,
    ) {
        let Some(reg) = self.regs.get_mut(slot) else {
            return;
        };
        if reg.s.kernel == kernel || reg.s.kernel == Kernel::Gone {
            return;
        }
        reg.s.before.get_or_insert((reg.s.kernel, reg.s.unknown));
        // A close or DEL is known whatever was lost before it.
        reg.s.unknown = false;
        let stale = std::mem::take(&mut reg.s.fetched);
        reg.s.stale += stale;
        reg.stale += u64::from(stale);
        if stale > 0 {
            self.set_item_state(slot, ItemState::Fetched, ItemState::Stale);
        }
        self.set_kernel(slot, kernel);
        self.show(slot, at, why, fidelity, sink);
    }

    /// The call that was to end it failed.
    pub(super) fn restore<S: Sink + ?Sized>(&mut self, slot: u32, at: At, why: Why, sink: &mut S) {
        let Some(reg) = self.regs.get_mut(slot) else {
            return;
        };
        let Some((kernel, unknown)) = reg.s.before.take() else {
            return;
        };
        reg.s.unknown = unknown;
        let back = std::mem::take(&mut reg.s.stale);
        reg.s.fetched += back;
        reg.stale -= u64::from(back).min(reg.stale);
        if back > 0 {
            self.set_item_state(slot, ItemState::Stale, ItemState::Fetched);
        }
        self.set_kernel(slot, kernel);
        self.show(slot, at, why, Fidelity::Inferred, sink);
    }

    /// Sets the state of its last fetched item, if that is in `from`.
    fn set_item_state(&mut self, slot: u32, from: ItemState, to: ItemState) {
        let Some(reg) = self.regs.get(slot) else {
            return;
        };
        let (seat, index) = reg.s.item;
        let item = self
            .loops
            .get_mut(reg.loop_id as usize)
            .and_then(|l| l.threads.get_mut(seat as usize))
            .and_then(|t| t.batch.get_mut(index as usize));
        if let Some(item) = item.filter(|item| item.slot == slot && item.state == from) {
            item.state = to;
            item.stale = to == ItemState::Stale;
        }
    }

    /// Its end is final: out of every table, kept for its figures.
    pub(super) fn finish(&mut self, slot: u32, at: At) {
        let Some(reg) = self.regs.get(slot) else {
            return;
        };
        if reg.closed_ns.is_some() && !reg.s.lingering {
            return;
        }
        let (loop_id, desc, fd) = (reg.loop_id, reg.s.desc, reg.fd);
        if self.keys.get(&(loop_id, desc, fd)) == Some(&slot) {
            self.keys.remove(&(loop_id, desc, fd));
        }
        self.unlink_data(slot);
        if let Some(head) = self.unlink(slot, |s| &mut s.of_loop)
            && let Some(l) = self.loops.get_mut(loop_id as usize)
        {
            l.head = head;
        }
        if desc != NONE
            && let Some(head) = self.unlink(slot, |s| &mut s.of_desc)
            && let Some(d) = self.descs.get_mut(desc)
        {
            d.head = head;
        }
        self.set_kernel(slot, Kernel::Gone);
        let Some(reg) = self.regs.get_mut(slot) else {
            return;
        };
        reg.closed_ns.get_or_insert(at.t);
        reg.s.desc = NONE;
        reg.s.lingering = false;
        reg.unread = None;
        reg.unread_fidelity = Fidelity::Absent;
        if !reg.s.keep {
            reg.s.kept_wait = reg.queue.sum().saturating_add(reg.notice_hi.sum());
            let key = (reg.s.kept_wait, slot);
            self.kept.insert(key);
        }
        while self.kept.len() > self.config.keep_closed {
            // Those a batch still refers to stay; there are few, and not for long.
            let regs = &self.regs;
            let victim = self
                .kept
                .iter()
                .take(MAX_CHAIN)
                .find(|(_, slot)| regs.get(*slot).is_none_or(|r| r.s.pins == 0))
                .copied();
            let Some(key) = victim else { break };
            self.kept.remove(&key);
            self.fold_away(key.1);
        }
    }

    /// Adds a closed registration's figures to its role and forgets it.
    fn fold_away(&mut self, slot: u32) {
        let Some(reg) = self.regs.remove(slot) else {
            return;
        };
        self.by_id.remove(&reg.id);
        if let Some(l) = self.loops.get_mut(reg.loop_id as usize)
            && reg.dispatched > 0
        {
            l.fair.add(reg.run.sum(), reg.queue.sum());
        }
        let Some(role) = self.roles.get_mut(reg.role as usize) else {
            return;
        };
        role.folded += 1;
        role.ready += reg.ready;
        role.dispatched += reg.dispatched;
        role.skipped += reg.skipped;
        role.bytes_in = role.bytes_in.saturating_add(reg.bytes_in);
        role.bytes_out = role.bytes_out.saturating_add(reg.bytes_out);
        role.run_ns = role.run_ns.saturating_add(reg.run_ns);
        role.notice_lo.merge(&reg.notice_lo);
        role.notice_hi.merge(&reg.notice_hi);
        role.queue.merge(&reg.queue);
        role.run.merge(&reg.run);
        role.caused_lo = role.caused_lo.saturating_add(reg.caused_lo);
        role.caused_hi = role.caused_hi.saturating_add(reg.caused_hi);
    }

    /// What the kernel does with an item it has just reported.
    pub(super) fn after_report(interest: u32) -> (Kernel, Drain) {
        if interest & ONESHOT != 0 {
            (Kernel::Disarmed, Drain::Unknown)
        } else if interest & ET != 0 {
            (Kernel::Armed, Drain::Unknown)
        } else {
            (Kernel::Ready, Drain::Unknown)
        }
    }
}

/// The host of `host:port`, `[v6]:port`, or a path.
fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}
