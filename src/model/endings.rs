//! A number stops referring to its description: from the begin of the call that ends it, undone if that fails.
//! Step: **model**.

use super::facts::{Fidelity, Id, Sink, Why};
use super::fds::{FdSlot, Undo};
use super::registration::Kernel;
use super::states::{At, MAX_CHAIN};
use super::{Model, NONE};
use crate::record::event::Event;

/// Errors after which close(2) has closed the number all the same (EINTR, EIO, ENOSPC, EDQUOT), or the number was
/// not open in the first place (EBADF).
const CLOSED_ANYWAY: [i32; 5] = [-4, -5, -28, -122, -9];

impl Model {
    /// A number stops referring to its description. `held`: a call has begun and may still fail.
    pub(super) fn end_number<S: Sink + ?Sized>(
        &mut self,
        process: Id,
        fd: i32,
        held: bool,
        at: At,
        why: Why,
        sink: &mut S,
    ) -> Option<Undo> {
        let slot = self.slot(process, fd);
        if slot.desc == NONE {
            return None;
        }
        let closed = FdSlot {
            desc: NONE,
            cloexec: None,
            ..slot
        };
        self.set_slot(process, fd, closed);
        let silent = self
            .processes
            .get(process as usize)
            .is_some_and(|p| p.is_silent());
        let infers = self.process_infers(process);
        let desc = self.descs.get_mut(slot.desc)?;
        if silent {
            desc.silent = desc.silent.saturating_sub(1);
        } else {
            desc.refs = desc.refs.saturating_sub(1);
        }
        desc.held += u32::from(held);
        let (refs, loop_id, mut reg) = (desc.refs, desc.loop_id, desc.head);
        if loop_id.is_some() {
            self.epoch += 1;
        }
        let fidelity = if matches!(why, Why::Reuse | Why::Observed) {
            Fidelity::Inferred
        } else {
            Fidelity::Measured
        };
        // The shim sees no copy that was passed through a socket: it may be in flight, or somebody else's by now.
        let sure = desc.silent == 0 && !infers;
        let mut walked = 0usize;
        // Aliases are looked for among the newest only; a last close ends every one.
        while let Some(r) = self.regs.get(reg)
            && (refs == 0 || walked < MAX_CHAIN)
        {
            let (slot, next) = (reg, r.s.of_desc.next);
            let own = r.fd == fd && r.process == process;
            walked += 1;
            if refs == 0 {
                let fidelity = if sure { fidelity } else { Fidelity::Inferred };
                self.mark_ended(slot, Kernel::Gone, at, why, fidelity, sink);
            } else if own {
                self.mark_ended(
                    slot,
                    Kernel::Ghost,
                    at,
                    Why::CloseWithAlias,
                    Fidelity::Inferred,
                    sink,
                );
            }
            reg = next;
        }
        let undo = Undo { process, fd, slot };
        if !held {
            self.settle_desc(slot.desc, at, sink);
        }
        Some(undo)
    }

    /// Puts back a number whose closing call failed.
    pub(super) fn undo<S: Sink + ?Sized>(&mut self, undo: &Undo, at: At, why: Why, sink: &mut S) {
        let Some(desc) = self.descs.get_mut(undo.slot.desc) else {
            return;
        };
        desc.held = desc.held.saturating_sub(1);
        if self.slot(undo.process, undo.fd).desc != NONE {
            // Somebody else has the number now, so it was closed after all.
            self.settle_desc(undo.slot.desc, at, sink);
            return;
        }
        let silent = self
            .processes
            .get(undo.process as usize)
            .is_none_or(|p| p.is_silent());
        if silent || !self.set_slot(undo.process, undo.fd, undo.slot) {
            self.settle_desc(undo.slot.desc, at, sink);
            return;
        }
        if let Some(desc) = self.descs.get_mut(undo.slot.desc) {
            desc.refs += 1;
            self.epoch += u64::from(desc.loop_id.is_some());
        }
        for slot in self.regs_of(undo.slot.desc) {
            self.restore(slot, at, why, sink);
        }
    }

    /// A closing call has returned and the number is closed for good.
    pub(super) fn settle_undo<S: Sink + ?Sized>(&mut self, undo: &Undo, at: At, sink: &mut S) {
        if let Some(desc) = self.descs.get_mut(undo.slot.desc) {
            desc.held = desc.held.saturating_sub(1);
        }
        for slot in self.regs_of(undo.slot.desc) {
            if let Some(reg) = self.regs.get_mut(slot) {
                reg.s.before = None;
            }
        }
        self.settle_desc(undo.slot.desc, at, sink);
    }

    pub(super) fn close_begin<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let undo = self.end_number(process, e.fd, true, at, Why::Close, sink);
        let Some(thread) = self.threads.get_mut(thread as usize) else {
            return;
        };
        let old = std::mem::replace(&mut thread.work.close, undo);
        if let Some(old) = old {
            self.settle_undo(&old, at, sink);
        }
    }

    pub(super) fn close_end<S: Sink + ?Sized>(
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
            .and_then(|t| t.work.close.take());
        match pending {
            Some(undo) if undo.fd == e.fd && e.x < 0 && !CLOSED_ANYWAY.contains(&e.x) => {
                self.undo(&undo, at, Why::Close, sink);
            }
            Some(undo) => self.settle_undo(&undo, at, sink),
            // Its begin was lost, or closed a number nobody knew: it is closed now.
            None if e.x >= 0 => {
                self.end_number(process, e.fd, false, at, Why::Close, sink);
            }
            None => {}
        }
    }
}
