//! A registration's life: born, named, changed. Every change of its word passes [`Model::show`], which tells the
//! sink. Step: **model**.

use super::facts::{Fidelity, Id, Range, Sink, Transition, Why, Word};
use super::registration::{ET, Kernel, MODES, ONESHOT, Registration, State};
use super::{Drain, Histogram, Model, NONE};
use crate::record::event::FdKind;

/// Live registrations at most; an ADD beyond it is counted as ignored.
const MAX_LIVE: usize = 131_072;
/// Registrations looked at when one description has very many.
pub(super) const MAX_CHAIN: usize = 64;

/// When, and by which event.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub t: u64,
    pub number: u64,
    /// The call site of the event.
    pub site: u16,
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
            site: at.site,
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
            handed: 0,
            bytes_in: 0,
            bytes_out: 0,
            run_ns: 0,
            notice_lo: Histogram::default(),
            notice_hi: Histogram::default(),
            queue: Histogram::default(),
            run: Histogram::default(),
            tail: Histogram::default(),
            spent: Default::default(),
            bypassed_max: 0,
            caused_lo: 0,
            caused_hi: 0,
            unread: None,
            unread_fidelity: Fidelity::Absent,
            ready_since: None,
            handler: 0,
            handler_process: birth.process,
            wait_max: 0,
            waited: 0,
            waited_max: Range::default(),
            for_others: Default::default(),
            on_its_behalf: Default::default(),
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
            let id = l.id;
            self.doubt_from(id, self.now);
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
