//! Events that another thread serves than the one that was told of them: a worker took them over. Step: **model**.

use super::Model;
use super::facts::{Fidelity, Id, Sink, Why};
use super::infer::Touch;
use super::loops::{Item, ItemState};
use super::states::At;

impl Model {
    /// A call on a descriptor that answers what was reported to another thread, and that nobody has served yet.
    pub(super) fn hand_over<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        touch: &Touch,
        at: At,
        sink: &mut S,
    ) {
        for slot in self.regs_of(touch.desc) {
            let unserved = self.regs.get(slot).is_some_and(|reg| reg.s.unserved);
            if unserved && self.take_over(slot, thread, touch.answers).is_some() {
                self.show(slot, at, Why::HandedOver, Fidelity::Inferred, sink);
            }
        }
    }

    /// A thread marks a run of a registration that another thread was told of.
    pub(super) fn take_over_marked(
        &mut self,
        slot: u32,
        thread: Id,
    ) -> Option<(u64, Option<Item>)> {
        let s = &self.regs.get(slot)?.s;
        let waits = s.unserved || s.fetched > 0;
        if waits {
            self.take_over(slot, thread, u32::MAX)
        } else {
            None
        }
    }

    /// The event of this registration that another thread was told of goes to `thread`, if it is one of `answers`: when
    /// that thread woke up, and the event as it was told (nothing if its batch is over).
    pub(super) fn take_over(
        &mut self,
        slot: u32,
        thread: Id,
        answers: u32,
    ) -> Option<(u64, Option<Item>)> {
        let reg = self.regs.get_mut(slot)?;
        let ((place, index), exit, id) = (reg.s.item, reg.s.reported_by, reg.id);
        let l = self.loops.get_mut(reg.loop_id as usize)?;
        let ts = l.threads.get_mut(place as usize)?;
        if ts.thread == thread {
            return None;
        }
        let item = (ts.batch.get_mut(index as usize))
            .filter(|item| item.reg == id && exit == ts.wakeup_event);
        if item.as_ref().is_some_and(|item| item.mask & answers == 0) {
            return None;
        }
        l.handed += 1;
        reg.handed += 1;
        reg.s.unserved = false;
        let told = item.as_deref().copied();
        if let Some(item) = item {
            if item.state == ItemState::Fetched {
                reg.s.fetched = reg.s.fetched.saturating_sub(1);
            }
            if matches!(item.state, ItemState::Fetched | ItemState::Unmarked) {
                item.state = ItemState::HandedOver(thread);
            }
        }
        Some((ts.wakeup, told))
    }
}
