//! Ready batches: what each event proves about its registration, and what becomes of those not reached.
//! Step: **model**.

use super::facts::{Fidelity, Id, Range, Sink, Why};
use super::loops::{Item, ItemState, Loop, LoopKind, ThreadState};
use super::process::Seat;
use super::registration::{IN, Kernel, OUT, PRI};
use super::states::{At, Birth};
use super::{Drain, Model, NONE};
use crate::record::event::{Event, flags};

/// Events of one batch that are kept; the kernel allows more, no program asks for it.
pub(super) const MAX_BATCH: usize = 65_536;

/// Readiness that poll and select report only of those they were asked for it.
const ASKED: u32 = IN | PRI | OUT;

impl Loop {
    /// The earliest instant at which an event that another thread was told of, and that this one may yet take over, may
    /// have become ready.
    fn left_to_others(&self, seat: u32) -> u64 {
        let workers = |(at, ts): &(usize, &ThreadState)| *at != seat as usize && ts.inferred;
        let others = self.threads.iter().enumerate().filter(workers);
        let since = others.filter(|(_, ts)| ts.in_turn).map(|(_, ts)| {
            let open = ts.batch.iter().filter(|i| i.state == ItemState::Fetched);
            let lo = open.map(|i| i.ready.map_or(i.told, |r| r.lo));
            lo.min().unwrap_or(u64::MAX).min(ts.carried_since)
        });
        since.min().unwrap_or(u64::MAX)
    }
}

impl Model {
    pub(super) fn ready<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let seat = match self.threads.get(thread as usize).and_then(|t| t.work.last) {
            // The batch of a poll or select carries no descriptor that leads to its loop.
            Some(seat) if e.fd < 0 => Some(seat),
            _ => self.seat_at(thread, process, e.fd, e.t),
        };
        let Some(seat) = seat else { return };
        let Some(ts) = self.seat(seat) else { return };
        if ts.awaited == 0 && e.fd < 0 {
            // The answer to a question that made no loop.
            return;
        }
        if ts.awaited == 0 || ts.batch.len() >= MAX_BATCH {
            self.ignored += 1;
            return;
        }
        ts.awaited -= 1;
        ts.exit_had_room &= e.flags & flags::LATE == 0;
        let (wakeup, looked, exit, index, last) = (
            ts.wakeup,
            ts.looked,
            ts.wakeup_event,
            ts.batch.len() as u32,
            ts.awaited == 0,
        );
        let mask = e.x as u32;
        let slot = if self.is_polled(seat.loop_id) {
            self.polled_reg(seat.loop_id, process, e.arg, at, sink)
        } else {
            self.reported_reg(seat, process, e.arg, exit, at, sink)
        };
        if self.is_polled(seat.loop_id) && self.told_again(seat, slot, exit, mask) {
            if last {
                self.batch_complete(seat, at, sink);
            }
            return;
        }
        let inferred = self.process_infers(process) && self.seat(seat).is_some_and(|ts| !ts.marks);
        let mut item = Item {
            reg: Id::MAX,
            mask,
            data: e.arg,
            state: ItemState::Fetched,
            ready: None,
            fidelity: Fidelity::Absent,
            told: wakeup,
            told_by: exit,
            noticed: false,
            slot,
            runs_at: 0,
            stale: false,
            served: NONE,
        };
        if self.has_ended(slot) {
            self.told_of_ended(seat, slot, index, &mut item);
        } else if let Some(l) = self.loops.get_mut(seat.loop_id as usize)
            && let Some(reg) = self.regs.get_mut(slot)
        {
            let s = &mut reg.s;
            let proof = [l.room_exit, s.reported, s.proven]
                .into_iter()
                .chain([s.emptied.filter(|_| mask & OUT == 0)])
                .flatten()
                .max();
            item.reg = reg.id;
            item.ready = proof.map(|lo| Range {
                lo: lo.min(looked),
                hi: wakeup,
            });
            item.fidelity = if proof.is_some() {
                Fidelity::Bounded
            } else {
                Fidelity::Absent
            };
            item.runs_at = s.ready_runs.unwrap_or(l.runs_total);
            reg.ready += 1;
            if l.kind != LoopKind::Epoll {
                // They are asked anew each time, unseen: what they report says of what.
                reg.interest |= mask & ASKED;
            }
            let previous = s.reported.replace(wakeup);
            let drained = s.drain == Drain::Drained;
            s.reported_by = exit;
            s.fetched += 1;
            s.pins += 1;
            s.item = (seat.at, index);
            s.unserved = inferred;
            s.carried = None;
            let ghost = s.kernel == Kernel::Ghost || s.lingering || s.kernel == Kernel::Gone;
            let (kernel, drain) = Self::after_report(reg.interest);
            reg.s.drain = drain;
            if mask & OUT != 0 {
                reg.s.blocked_out = false;
            }
            let kernel = match (ghost, reg.s.interest_known) {
                (true, _) => Kernel::Ghost,
                (false, true) => kernel,
                (false, false) => Kernel::Armed,
            };
            if ghost {
                reg.closed_ns = None;
            }
            let known = reg.s.interest_known;
            self.stamped(slot, &mut item, wakeup, previous, drained);
            self.set_kernel(slot, kernel);
            if let Some(reg) = self.regs.get_mut(slot) {
                // Told by now: what a level-triggered one waits for from here on is another report.
                reg.ready_since = None;
            }
            if known {
                self.known_again(slot);
            }
        }
        if let Some(ts) = self.seat(seat) {
            ts.batch.push(item);
        }
        self.show(slot, at, Why::Reported, Fidelity::Measured, sink);
        if last {
            self.batch_complete(seat, at, sink);
        }
    }

    fn is_polled(&self, loop_id: Id) -> bool {
        self.loops
            .get(loop_id as usize)
            .is_some_and(|l| l.kind != LoopKind::Epoll)
    }

    /// The registration of a descriptor that poll or select reported: made by its first report.
    fn polled_reg<S: Sink + ?Sized>(
        &mut self,
        loop_id: Id,
        process: Id,
        data: u64,
        at: At,
        sink: &mut S,
    ) -> u32 {
        let fd = i32::try_from(data).unwrap_or(-1);
        let Some((desc, generation)) = self.desc_at(process, fd) else {
            return NONE;
        };
        let slot = self.keyed(loop_id, process, fd);
        if slot != NONE {
            return slot;
        }
        self.birth(
            &Birth {
                loop_id,
                process,
                fd,
                generation,
                desc,
                interest: None,
                data: None,
                fidelity: Fidelity::Inferred,
            },
            at,
            Why::Reported,
            sink,
        )
    }

    /// A select reports a descriptor once for each set it is in: that is one event.
    fn told_again(&mut self, seat: Seat, slot: u32, exit: u64, mask: u32) -> bool {
        let told = self.regs.get(slot).map(|r| (r.s.item, r.s.reported_by));
        let Some(((place, index), by)) = told else {
            return false;
        };
        if place != seat.at || by != exit {
            return false;
        }
        let item = self
            .seat(seat)
            .and_then(|ts| ts.batch.get_mut(index as usize));
        match item.filter(|item| item.slot == slot) {
            Some(item) => {
                item.mask |= mask;
                if let Some(reg) = self.regs.get_mut(slot) {
                    reg.interest |= mask & ASKED;
                }
                true
            }
            None => false,
        }
    }

    /// The registration a reported data word belongs to. A word nobody set makes one of unknown fidelity.
    fn reported_reg<S: Sink + ?Sized>(
        &mut self,
        seat: Seat,
        process: Id,
        data: u64,
        exit: u64,
        at: At,
        sink: &mut S,
    ) -> u32 {
        let loop_id = seat.loop_id;
        let head = self
            .loops
            .get(loop_id as usize)
            .map_or(NONE, |l| l.data.get(data));
        let mut slot = head;
        // Several registrations with one word: the last set that this batch has not named yet.
        for _ in 0..super::states::MAX_CHAIN {
            let Some(reg) = self.regs.get(slot) else {
                break;
            };
            if reg.s.reported_by != exit || reg.s.reported.is_none() {
                return slot;
            }
            slot = reg.s.of_data.next;
        }
        if head != NONE {
            return head;
        }
        if let Some(slot) = self.on_its_way(loop_id, data, at, sink) {
            return slot;
        }
        if let Some(slot) = self.told_late(seat, data) {
            return slot;
        }
        let slot = self.birth(
            &Birth {
                loop_id,
                process,
                fd: -1,
                generation: 0,
                desc: NONE,
                interest: None,
                data: Some(data),
                fidelity: Fidelity::Absent,
            },
            at,
            Why::Reported,
            sink,
        );
        if let Some(reg) = self.regs.get_mut(slot) {
            reg.name = format!("data {data:#x}").into();
        }
        slot
    }

    /// Every event of the batch is there (or the wait returned none).
    pub(super) fn batch_complete<S: Sink + ?Sized>(&mut self, seat: Seat, at: At, sink: &mut S) {
        let Some(l) = self.loops.get_mut(seat.loop_id as usize) else {
            return;
        };
        let others = l.left_to_others(seat.at);
        let Some(ts) = l.threads.get_mut(seat.at as usize) else {
            return;
        };
        let (room, exit, wakeup) = (ts.exit_had_room, ts.wakeup_event, ts.wakeup);
        let looked = ts.looked;
        let mut horizon = ts
            .batch
            .iter()
            .filter_map(|i| i.ready)
            .map(|r| r.lo)
            .min()
            .unwrap_or(wakeup)
            .min(ts.carried_since)
            .min(others);
        if room {
            l.room_exit = l.room_exit.max(Some(looked));
            let refuted: Vec<u32> = l
                .believed
                .iter()
                .copied()
                .filter(|slot| {
                    self.regs
                        .get(*slot)
                        .is_some_and(|r| r.s.reported_by != exit)
                })
                .collect();
            for slot in refuted {
                if let Some(reg) = self.regs.get_mut(slot) {
                    reg.s.drain = reg.not_ready();
                }
                self.set_kernel(slot, Kernel::Armed);
                self.show(slot, at, Why::NotReported, Fidelity::Inferred, sink);
            }
        } else {
            // What was not reported may have been ready since before the last wait with room.
            horizon = horizon.min(l.room_exit.unwrap_or(0));
        }
        self.give_blame(seat, horizon, false);
    }

    /// What the batch did not get to: skipped, or nobody knows where the program marks no handlers.
    pub(super) fn skip_rest<S: Sink + ?Sized>(&mut self, seat: Seat, at: At, sink: &mut S) {
        let mut index = 0;
        loop {
            let Some(l) = self.loops.get_mut(seat.loop_id as usize) else {
                return;
            };
            let (marked, runs_total) = (l.marked, l.runs_total);
            let Some(ts) = l.threads.get_mut(seat.at as usize) else {
                return;
            };
            let marked = marked && !ts.inferred;
            let wakeup = ts.wakeup;
            let inferred = ts.inferred;
            let Some(item) = ts.batch.get_mut(index) else {
                return;
            };
            index += 1;
            if item.state != ItemState::Fetched {
                continue;
            }
            let slot = item.slot;
            item.state = if marked {
                ItemState::Skipped
            } else {
                ItemState::Unmarked
            };
            if let Some(reg) = self.regs.get_mut(slot) {
                if reg.s.fetched == 0 {
                    item.state = ItemState::Stale;
                    item.stale = true;
                    continue;
                }
                reg.s.fetched -= 1;
                if marked {
                    reg.skipped += 1;
                    if reg.is_edge() && reg.s.kernel == Kernel::Armed {
                        reg.s.drain = Drain::Left;
                    }
                    if reg.s.kernel == Kernel::Ready {
                        let lo = reg.s.reported.unwrap_or(at.t).min(at.t);
                        reg.ready_since.get_or_insert(Range { lo, hi: at.t });
                        reg.s.ready_runs.get_or_insert(runs_total);
                    }
                } else if let Some(ready) = item.ready {
                    // No run will tell its notice time, so it is told now.
                    let notice = Range {
                        lo: wakeup.saturating_sub(ready.hi),
                        hi: wakeup.saturating_sub(ready.lo),
                    };
                    let asleep = match item.fidelity {
                        Fidelity::Measured => 0,
                        _ => ts.retained.asleep_since(ready.lo),
                    };
                    let waited = Range {
                        lo: notice.lo,
                        hi: notice.hi.saturating_sub(asleep).max(notice.lo),
                    };
                    reg.wait_told(waited, waited.hi);
                    reg.notice_lo.record(notice.lo);
                    reg.notice_hi.record(notice.hi);
                    l.notice_lo.record(notice.lo);
                    l.notice_hi.record(notice.hi);
                    item.noticed = true;
                }
                if inferred && reg.s.unserved {
                    ts.carried_since = ts.carried_since.min(item.ready.map_or(wakeup, |r| r.lo));
                    reg.s.carried = Some(*item);
                }
            }
            ts.parts.skipped += u32::from(marked);
            l.skipped += u64::from(marked);
            let why = if marked { Why::Skipped } else { Why::LeftData };
            self.show(slot, at, why, Fidelity::Inferred, sink);
        }
    }

    /// The batch's events refer to their registrations no longer.
    pub(super) fn unpin<S: Sink + ?Sized>(&mut self, seat: Seat, at: At, sink: &mut S) {
        let mut index = 0;
        while let Some(item) = self.seat(seat).and_then(|ts| ts.batch.get_mut(index)) {
            index += 1;
            let (slot, stale) = (std::mem::replace(&mut item.slot, NONE), item.stale);
            let Some(reg) = self.regs.get_mut(slot) else {
                continue;
            };
            reg.s.pins = reg.s.pins.saturating_sub(1);
            if stale && reg.s.stale > 0 {
                reg.s.stale -= 1;
                let why = if reg.s.kernel == Kernel::Ghost {
                    Why::CloseWithAlias
                } else {
                    Why::Close
                };
                self.show(slot, at, why, Fidelity::Measured, sink);
            }
        }
    }
}
