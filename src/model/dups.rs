//! dup, dup2, F_DUPFD: one more number for a description, perhaps over another. Step: **model**.

use super::Model;
use super::facts::{Fidelity, Id, Sink, Why};
use super::fds::{FdSlot, PendingDup};
use super::registration::Kernel;
use super::states::At;
use crate::record::event::Event;

impl Model {
    pub(super) fn dup_begin<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let Some((desc, _)) = self.desc_at(process, e.fd) else {
            return;
        };
        if let Some(d) = self.descs.get_mut(desc) {
            d.held += 1;
        }
        let over = (e.x >= 0 && e.x != e.fd)
            .then(|| self.end_number(process, e.x, true, at, Why::Close, sink))
            .flatten();
        let Some(thread) = self.threads.get_mut(thread as usize) else {
            return;
        };
        let old = thread.work.dup.replace(PendingDup { desc, over });
        if let Some(old) = old {
            self.settle_dup(&old, at, sink);
        }
    }

    fn settle_dup<S: Sink + ?Sized>(&mut self, dup: &PendingDup, at: At, sink: &mut S) {
        if let Some(over) = &dup.over {
            self.settle_undo(over, at, sink);
        }
        if let Some(desc) = self.descs.get_mut(dup.desc) {
            desc.held = desc.held.saturating_sub(1);
        }
        self.settle_desc(dup.desc, at, sink);
    }

    pub(super) fn dup_end<S: Sink + ?Sized>(
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
            .and_then(|t| t.work.dup.take());
        if e.x < 0 {
            if let Some(mut dup) = pending {
                if let Some(over) = dup.over.take() {
                    self.undo(&over, at, Why::Close, sink);
                }
                self.settle_dup(&dup, at, sink);
            }
            return;
        }
        let desc = match &pending {
            Some(dup) => Some(dup.desc),
            None => self.desc_at(process, e.fd).map(|(desc, _)| desc),
        };
        if e.x != e.fd
            && let Some(desc) = desc
        {
            self.end_number(process, e.x, false, at, Why::Reuse, sink);
            self.opened_before(process, e.x, e);
            self.alias(process, e.x, desc, at, sink);
        }
        if let Some(dup) = pending {
            self.settle_dup(&dup, at, sink);
        }
    }

    /// One more number for a description.
    pub(super) fn alias<S: Sink + ?Sized>(
        &mut self,
        process: Id,
        fd: i32,
        desc: u32,
        at: At,
        sink: &mut S,
    ) {
        if fd < 0 || self.descs.get(desc).is_none() {
            return;
        }
        let generation = self.slot(process, fd).generation.saturating_add(1);
        let slot = FdSlot {
            desc,
            generation,
            ..FdSlot::default()
        };
        if !self.set_slot(process, fd, slot) {
            return;
        }
        let silent = self
            .processes
            .get(process as usize)
            .is_some_and(|p| p.is_silent());
        if let Some(d) = self.descs.get_mut(desc) {
            if silent {
                d.silent += 1;
            } else {
                d.refs += 1;
            }
            self.epoch += u64::from(d.loop_id.is_some());
        }
        self.within_reach(process, fd, desc, at, sink);
    }

    /// A ghost of this very number is within reach again: the kernel's key is (description, number).
    pub(super) fn within_reach<S: Sink + ?Sized>(
        &mut self,
        process: Id,
        fd: i32,
        desc: u32,
        at: At,
        sink: &mut S,
    ) {
        for slot in self.regs_of(desc) {
            if let Some(reg) = self.regs.get_mut(slot)
                && reg.fd == fd
                && reg.process == process
                && reg.s.kernel == Kernel::Ghost
            {
                reg.s.before = None;
                self.set_kernel(slot, Kernel::Armed);
                self.show(slot, at, Why::Reuse, Fidelity::Inferred, sink);
            }
        }
    }
}
