//! Events that are not served in the turn in which their thread was told: another thread takes them over, or they are
//! carried over into a later turn, as tasks of a runtime that looks for more events before it runs them. Step: **model**.

use super::batch::MAX_BATCH;
use super::facts::{Fidelity, Id, Sink, Why};
use super::infer::Touch;
use super::loops::{Item, ItemState, Loop, ThreadState};
use super::process::Seat;
use super::registration::{ERR, HUP, IN, PRI, RDHUP, Registration};
use super::states::At;
use super::{Model, NONE};

/// What one may have to wait for: an event that tells only of room to write is told long before anybody has to write.
const TO_READ: u32 = IN | PRI | RDHUP | ERR | HUP;

impl Model {
    /// A call on a descriptor of which no event of this turn tells: one that was told of earlier, here or to another thread
    /// of the loop, becomes an event of this turn. Not what both have slept on since: they had nothing left to do
    /// then. The index in the batch.
    pub(super) fn carry_over(&mut self, seat: Seat, process: Id, touch: &Touch) -> Option<usize> {
        let slot = self.keyed(seat.loop_id, process, touch.fd);
        let reg = self.regs.get_mut(slot).filter(|reg| reg.s.unserved)?;
        let place = reg.s.item.0;
        let l = self.loops.get_mut(seat.loop_id as usize)?;
        let told = reg.s.carried.or_else(|| told(l, reg))?;
        let here = l.threads.get(seat.at as usize)?;
        let answered = told.mask & touch.answers & TO_READ != 0;
        let full = here.awaited > 0 || here.batch.len() >= MAX_BATCH;
        let teller = l.threads.get(place as usize)?;
        let slept = |of: &ThreadState| told.told < of.lay_down;
        if !answered || full || slept(here) && slept(teller) {
            return None;
        }
        if place != seat.at {
            let taker = here.thread;
            hand(l, reg, taker);
        }
        let here = l.threads.get_mut(seat.at as usize)?;
        let at = here.batch.len();
        reg.s.carried = None;
        reg.s.pins += 1;
        reg.s.fetched += 1;
        reg.s.item = (seat.at, at as u32);
        here.batch.push(Item {
            state: ItemState::Fetched,
            slot,
            stale: false,
            served: NONE,
            ..told
        });
        Some(at)
    }

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
        let l = self.loops.get_mut(reg.loop_id as usize)?;
        let ts = l.threads.get(reg.s.item.0 as usize)?;
        let (teller, wakeup) = (ts.thread, ts.wakeup);
        let told = told(l, reg);
        if teller == thread || told.is_some_and(|item| item.mask & answers == 0) {
            return None;
        }
        hand(l, reg, thread);
        reg.s.unserved = false;
        reg.s.carried = None;
        Some((wakeup, told))
    }
}

/// The event of this registration that was told last, as it stands in its batch; nothing if that is over.
fn told(l: &Loop, reg: &Registration) -> Option<Item> {
    let (place, index) = reg.s.item;
    let of = l.threads.get(place as usize)?;
    let item = of.batch.get(index as usize)?;
    (item.reg == reg.id && reg.s.reported_by == of.wakeup_event).then_some(*item)
}

/// Another thread than the one that was told of it serves it.
fn hand(l: &mut Loop, reg: &mut Registration, taker: Id) {
    l.handed += 1;
    reg.handed += 1;
    let (place, index) = reg.s.item;
    let of = l.threads.get_mut(place as usize);
    let of = of.filter(|of| reg.s.reported_by == of.wakeup_event);
    let item = of.and_then(|of| of.batch.get_mut(index as usize));
    if let Some(item) = item.filter(|item| item.reg == reg.id) {
        if item.state == ItemState::Fetched {
            reg.s.fetched = reg.s.fetched.saturating_sub(1);
        }
        if matches!(item.state, ItemState::Fetched | ItemState::Unmarked) {
            item.state = ItemState::HandedOver(taker);
        }
    }
}
