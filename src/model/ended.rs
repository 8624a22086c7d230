//! A registration's end: marked, undone or final; kept for its figures or folded into its role. Step: **model**.

use super::facts::{Fidelity, Sink, Why};
use super::registration::Kernel;
use super::states::{At, MAX_CHAIN};
use super::{ItemState, Model, NONE};

impl Model {
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
        self.remember_end(slot, at.t);
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
            reg.s.kept_wait = reg.waited;
            let key = (reg.s.kept_wait, slot);
            self.kept.insert(key);
        }
        self.regs.end(slot);
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
}
