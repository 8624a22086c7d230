//! Chains through the slots: registrations of one loop, on one description, with one data word. Step: **model**.

use super::registration::{Link, State};
use super::{Model, NONE};

impl Model {
    /// Puts `slot` before the old head of a chain.
    pub(super) fn link(&mut self, slot: u32, head: u32, chain: fn(&mut State) -> &mut Link) {
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
    pub(super) fn unlink(&mut self, slot: u32, chain: fn(&mut State) -> &mut Link) -> Option<u32> {
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
}
