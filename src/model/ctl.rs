//! epoll_ctl: registrations come, change and go. A DEL takes effect at its begin, an ADD or MOD at its end.
//! Step: **model**.

use super::codec::codec;
use super::facts::{Fidelity, Id, Range, Sink, Why};
use super::loops::Loop;
use super::registration::{Kernel, MODES};
use super::states::{At, Birth};
use super::{Drain, Model, NONE};
use crate::record::event::{Ctl, Event};

/// −ENOENT: the kernel knows no such registration.
const NO_ENTRY: i32 = -2;

/// A `CtlBegin` without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub op: u16,
    pub fd: i32,
    pub epfd: i32,
    pub mask: u32,
    pub data: u64,
    /// When the call began.
    pub since: u64,
    /// The registration a DEL took out, or one that was reported while its ADD had not returned.
    pub reg: Option<Id>,
}

codec!(Pending {
    op,
    fd,
    epfd,
    mask,
    data,
    since,
    reg
});

impl Loop {
    /// One more call that did this; nothing: that failed.
    fn count_ctl(&mut self, done: Option<Ctl>) {
        match done {
            Some(Ctl::Add) => self.ctl.add += 1,
            Some(Ctl::Mod) => self.ctl.modify += 1,
            Some(Ctl::Del) => self.ctl.del += 1,
            None => self.ctl.failed += 1,
        }
    }
}

impl Model {
    /// The thread has ended inside its epoll_ctl: a signal that kills waits for the call's end, so the kernel has counted
    /// it. With which result nobody knows; it counts as what it asked for.
    pub(super) fn ctl_cut_off(&mut self, thread: Id, at: At) {
        let Some(t) = self.threads.get_mut(thread as usize) else {
            return;
        };
        let (process, pending) = (t.process, t.work.ctl.take());
        if let Some(pending) = pending
            && let Some(loop_id) = self.loop_at(process, pending.epfd, at.t)
            && let Some(l) = self.loops.get_mut(loop_id as usize)
        {
            l.count_ctl(Ctl::from_code(pending.op));
        }
    }

    /// The registration of (loop, description, fd), `NONE` if there is none.
    pub(super) fn keyed(&self, loop_id: Id, process: Id, fd: i32) -> u32 {
        self.desc_seen(process, fd)
            .and_then(|desc| self.keys.get(&(loop_id, desc, fd)))
            .copied()
            .unwrap_or(NONE)
    }

    pub(super) fn ctl_begin<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let mut pending = Pending {
            op: e.aux,
            fd: e.fd,
            epfd: e.y as i32,
            mask: e.x as u32,
            data: e.arg,
            since: at.t,
            reg: None,
        };
        if e.aux == Ctl::Del.code()
            && let Some(loop_id) = self.loop_at(process, pending.epfd, e.t)
        {
            let slot = self.keyed(loop_id, process, e.fd);
            if let Some(reg) = self.regs.get(slot).filter(|r| r.s.kernel != Kernel::Gone) {
                pending.reg = Some(reg.id);
                self.mark_ended(slot, Kernel::Gone, at, Why::Del, Fidelity::Measured, sink);
            }
        }
        if let Some(t) = self.threads.get_mut(thread as usize) {
            t.work.ctl = Some(pending);
        }
    }

    pub(super) fn ctl_end<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let pending = self
            .threads
            .get_mut(thread as usize)
            .and_then(|t| t.work.ctl.take());
        let pending = pending.filter(|p| p.op == e.aux && p.fd == e.fd);
        let Some(loop_id) = self.loop_at(process, e.y as i32, e.t) else {
            return;
        };
        let op = Ctl::from_code(e.aux);
        let Some(l) = self.loops.get_mut(loop_id as usize) else {
            return;
        };
        l.count_ctl(op.filter(|_| e.x >= 0));
        let slot = self.keyed(loop_id, process, e.fd);
        match (op, e.x < 0) {
            (Some(Ctl::Add), false)
                if slot != NONE && pending.is_some_and(|p| self.made(slot, p)) => {}
            (Some(Ctl::Add), false) => {
                self.added(loop_id, process, e.fd, pending.as_ref(), at, sink);
            }
            (Some(Ctl::Mod), false) if slot == NONE => {
                // Its ADD was never seen; the MOD says all there is to know.
                self.added(loop_id, process, e.fd, pending.as_ref(), at, sink);
            }
            (Some(Ctl::Mod), false) => self.modified(slot, pending.as_ref(), at, sink),
            (Some(Ctl::Del), false) => {
                let slot = match pending.and_then(|p| p.reg) {
                    Some(id) => self.by_id.get(&id).copied().unwrap_or(NONE),
                    None => slot,
                };
                self.mark_ended(slot, Kernel::Gone, at, Why::Del, Fidelity::Measured, sink);
                if let Some(reg) = self.regs.get_mut(slot) {
                    reg.s.before = None;
                }
                self.finish(slot, at);
            }
            (Some(Ctl::Del), true) => {
                let Some(slot) = pending
                    .and_then(|p| p.reg)
                    .and_then(|id| self.by_id.get(&id))
                    .copied()
                else {
                    return;
                };
                if e.x == NO_ENTRY {
                    // The kernel had dropped it before: an end nobody saw.
                    self.finish(slot, at);
                } else {
                    self.restore(slot, at, Why::Del, sink);
                }
            }
            (Some(Ctl::Mod), true) if e.x == NO_ENTRY && slot != NONE => {
                self.mark_ended(slot, Kernel::Gone, at, Why::Reuse, Fidelity::Inferred, sink);
                self.finish(slot, at);
            }
            _ => {}
        }
    }

    /// The registration with this data word that an ADD or MOD still on its way makes: the kernel reports what is in,
    /// and another thread may hear of it before the call has returned.
    pub(super) fn on_its_way<S: Sink + ?Sized>(
        &mut self,
        loop_id: Id,
        data: u64,
        at: At,
        sink: &mut S,
    ) -> Option<u32> {
        let sets = |p: &Pending| p.data == data && p.op != Ctl::Del.code() && p.reg.is_none();
        let of_loop = |process: Id, epfd: i32| {
            let desc = self.desc_seen(process, epfd)?;
            (self.descs.get(desc)?.loop_id == Some(loop_id)).then_some(())
        };
        let (thread, process, pending) = self.threads.iter().find_map(|t| {
            let pending = t.work.ctl.filter(sets)?;
            of_loop(t.process, pending.epfd)?;
            Some((t.id, t.process, pending))
        })?;
        let slot = self.keyed(loop_id, process, pending.fd);
        if slot != NONE {
            return Some(slot);
        }
        let slot = self.added(loop_id, process, pending.fd, Some(&pending), at, sink);
        let reg = self.regs.get_mut(slot)?;
        // It was not there before the call, whenever that took effect.
        reg.s.proven = Some(pending.since);
        let id = reg.id;
        if let Some(t) = self.threads.get_mut(thread as usize) {
            t.work.ctl = Some(Pending {
                reg: Some(id),
                ..pending
            });
        }
        Some(slot)
    }

    /// The registration here is the one that this ADD was found to have made.
    fn made(&self, slot: u32, pending: Pending) -> bool {
        (self.regs.get(slot)).is_some_and(|r| Some(r.id) == pending.reg)
    }

    fn added<S: Sink + ?Sized>(
        &mut self,
        loop_id: Id,
        process: Id,
        fd: i32,
        pending: Option<&Pending>,
        at: At,
        sink: &mut S,
    ) -> u32 {
        let Some((desc, generation)) = self.desc_at(process, fd) else {
            return NONE;
        };
        let old = self.keys.get(&(loop_id, desc, fd)).copied().unwrap_or(NONE);
        if old != NONE {
            // The kernel would have said EEXIST: the old one had ended.
            self.mark_ended(old, Kernel::Gone, at, Why::Reuse, Fidelity::Inferred, sink);
            self.finish(old, at);
        }
        let slot = self.birth(
            &Birth {
                loop_id,
                process,
                fd,
                generation,
                desc,
                interest: pending.map(|p| p.mask),
                data: pending.map(|p| p.data),
                fidelity: if pending.is_some() {
                    Fidelity::Measured
                } else {
                    Fidelity::Inferred
                },
            },
            at,
            Why::Add,
            sink,
        );
        if let Some(reg) = self.regs.get_mut(slot) {
            reg.s.proven = Some(at.t);
        }
        self.refresh_unread(desc);
        self.rearmed(slot, at, Why::Add, sink);
        slot
    }

    fn modified<S: Sink + ?Sized>(
        &mut self,
        slot: u32,
        pending: Option<&Pending>,
        at: At,
        sink: &mut S,
    ) {
        if let Some(pending) = pending {
            let data_changed = self
                .regs
                .get(slot)
                .is_some_and(|r| r.data != pending.data || !r.s.data_known);
            if data_changed {
                self.unlink_data(slot);
                if let Some(reg) = self.regs.get_mut(slot) {
                    reg.data = pending.data;
                }
                self.link_data(slot);
            }
            if let Some(reg) = self.regs.get_mut(slot) {
                reg.interest = pending.mask;
                reg.s.interest_known = true;
            }
        }
        let Some(reg) = self.regs.get_mut(slot) else {
            return;
        };
        let left = reg.s.drain == Drain::Left;
        reg.s.proven = Some(at.t);
        reg.s.before = None;
        let kernel = if reg.interest & !MODES == 0 && reg.s.interest_known {
            Kernel::Muted
        } else if left {
            // MOD asks again: what was left behind is reported, edge or not.
            reg.ready_since = Some(Range { lo: at.t, hi: at.t });
            Kernel::Ready
        } else {
            Kernel::Armed
        };
        if left {
            reg.s.drain = Drain::Unknown;
        }
        self.set_kernel(slot, kernel);
        self.known_again(slot);
        self.show(slot, at, Why::Mod, Fidelity::Measured, sink);
        self.rearmed(slot, at, Why::Mod, sink);
    }

    /// After an ADD or MOD: bytes known to wait make it ready at once.
    fn rearmed<S: Sink + ?Sized>(&mut self, slot: u32, at: At, why: Why, sink: &mut S) {
        let Some(reg) = self.regs.get_mut(slot) else {
            return;
        };
        let waiting =
            reg.unread.is_some_and(|n| n > 0) && reg.unread_fidelity == Fidelity::Measured;
        if reg.s.kernel != Kernel::Armed || !waiting || reg.interest & super::registration::IN == 0
        {
            return;
        }
        reg.ready_since = Some(Range { lo: at.t, hi: at.t });
        let runs = self
            .loops
            .get(reg.loop_id as usize)
            .map_or(0, |l| l.runs_total);
        reg.s.ready_runs = Some(runs);
        self.set_kernel(slot, Kernel::Ready);
        self.show(slot, at, why, Fidelity::Measured, sink);
    }
}
