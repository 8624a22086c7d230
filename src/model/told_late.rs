//! Events told of a registration that has ended: the kernel reported it, then another thread took it out, and only then could
//! the thread that was told say so, for it had lost its CPU on the way back. Step: **model**.

use super::codec::codec;
use super::facts::{Fidelity, Id, Range};
use super::loops::{Item, ItemState, Phase, ThreadState};
use super::process::Seat;
use super::{Model, NONE};

/// Ends remembered in each loop.
const MOST: usize = 64;

/// A registration that ended while some thread was inside a wait on its loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    data: u64,
    reg: Id,
    at: u64,
}

codec!(Ended { data, reg, at });

impl Model {
    /// The registration ends here and now: a wait under way may have been told of it.
    pub(super) fn remember_end(&mut self, slot: u32, at: u64) {
        let Some(reg) = self.regs.get(slot).filter(|reg| reg.s.data_known) else {
            return;
        };
        let waits = |ts: &ThreadState| matches!(ts.phase, Phase::Waiting { .. });
        if let Some(l) = self.loops.get_mut(reg.loop_id as usize)
            && l.threads.iter().any(waits)
        {
            if l.ended_lately.len() >= MOST {
                l.ended_lately.remove(0);
            }
            let (data, reg) = (reg.data, reg.id);
            l.ended_lately.push(Ended { data, reg, at });
        }
    }

    /// The slot of the registration with this data word that ended during the wait that has told of it; `NONE` for one that is
    /// not kept any more.
    pub(super) fn told_late(&self, seat: Seat, data: u64) -> Option<u32> {
        let l = self.loops.get(seat.loop_id as usize)?;
        let entered = l.threads.get(seat.at as usize)?.entered;
        let mut ended = l.ended_lately.iter().rev();
        let one = ended.find(|one| one.data == data && one.at >= entered)?;
        Some(self.by_id.get(&one.reg).copied().unwrap_or(NONE))
    }

    /// The registration is kept for its figures only.
    pub(super) fn has_ended(&self, slot: u32) -> bool {
        let reg = self.regs.get(slot);
        reg.is_some_and(|reg| reg.closed_ns.is_some() && !reg.s.lingering)
    }

    /// A registration that has ended is told of: what comes of it is stale.
    pub(super) fn told_of_ended(&mut self, seat: Seat, slot: u32, index: u32, item: &mut Item) {
        let Some(l) = self.loops.get(seat.loop_id as usize) else {
            return;
        };
        let (Some(ts), Some(reg)) = (l.threads.get(seat.at as usize), self.regs.get_mut(slot))
        else {
            return;
        };
        item.reg = reg.id;
        item.ready = l.room_exit.map(|lo| Range {
            lo: lo.min(ts.looked),
            hi: item.told,
        });
        if item.ready.is_some() {
            item.fidelity = Fidelity::Bounded;
        }
        item.runs_at = l.runs_total;
        (item.state, item.stale) = (ItemState::Stale, true);
        reg.ready += 1;
        reg.stale += 1;
        let s = &mut reg.s;
        s.reported = Some(item.told);
        s.reported_by = item.told_by;
        s.item = (seat.at, index);
        s.stale += 1;
        s.pins += 1;
    }
}
