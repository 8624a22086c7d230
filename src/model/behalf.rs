//! On whose behalf a handler run works, by the program's word: a relay's upstream for a client, a bell for whoever's work has
//! come back. Step: **model**.

use super::codec::{Codec, Cursor, put};
use super::facts::{Fidelity, Id, Run, Sink};
use super::states::At;
use super::{Model, NONE};
use crate::record::event::{Event, flags};

/// Whom a run works for, as it was said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behalf {
    /// The descriptor's number.
    pub fd: i32,
    /// How many times that number has been opened.
    pub generation: u32,
    /// Its registration: on the run's own loop, else on another; `Id::MAX` when it has none.
    pub reg: Id,
    /// Since when: the run's start for the first that is named, later ones from where they are named on; `u64::MAX` when the
    /// run has named its own descriptor since and works for itself again.
    pub since: u64,
    /// How many others it has worked for before, one after the other.
    pub before: u32,
}

impl Behalf {
    /// It works for somebody else at this moment.
    pub fn is_on(&self) -> bool {
        self.since != u64::MAX
    }
}

/// The program said on whose behalf a handler run works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnBehalf {
    /// Number of its event.
    pub event: u64,
    /// From when on: the run's start for the first that it names.
    pub t: u64,
    /// The run's loop.
    pub loop_id: Id,
    /// The process; the descriptor's number is one of its.
    pub process: Id,
    /// The registration that the run serves, `Id::MAX` for none.
    pub run: Id,
    /// Whom it works for.
    pub of: Behalf,
}

/// Stretches of handler runs of which the program said whom they were for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stretches {
    /// How many have begun.
    pub count: u64,
    /// The time of those that have ended.
    pub ns: u64,
}

/// Nearly all are of a program that says nothing.
impl Codec for Stretches {
    fn put(&self, out: &mut Vec<u8>) {
        put(out, self.count);
        if self.count > 0 {
            put(out, self.ns);
        }
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        let count = u64::get(c)?;
        let ns = if count > 0 { u64::get(c)? } else { 0 };
        Some(Self { count, ns })
    }
}

impl Model {
    /// The innermost run under way of the thread works for this descriptor from here on. Outside of a run it says nothing.
    pub(super) fn on_behalf<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        // Which run it was said in, nobody knows.
        if e.flags & flags::LATE != 0 {
            return;
        }
        let slot = self.slot(process, e.fd);
        let Some(open) = self.open_run(thread) else {
            return;
        };
        if open.facts.fidelity == Fidelity::Inferred {
            // The program itself says that the handler has not ended.
            open.own = open.own.max(at.t);
            open.now_sure();
        }
        let (run, piece, own) = (open.facts, open.piece, open.slot);
        let reg = self.worked_for(run.loop_id, process, e.fd, slot.desc);
        let is_own = run.reg != Id::MAX && reg == run.reg
            || slot.desc != NONE && (self.regs.get(own)).is_some_and(|r| r.s.desc == slot.desc);
        let same = |b: Behalf| (b.reg, b.fd, b.generation) == (reg, e.fd, slot.generation);
        if !is_own && run.behalf.is_some_and(|b| b.is_on() && same(b)) {
            return;
        }
        self.stretch_over(&run, piece, at.t);
        let behalf = match (is_own, run.behalf) {
            (true, before) => before.map(|b| Behalf {
                since: u64::MAX,
                ..b
            }),
            (false, before) => Some(Behalf {
                fd: e.fd,
                generation: slot.generation,
                reg,
                since: before.map_or(run.start, |_| at.t),
                before: before.map_or(0, |b| b.before.saturating_add(1)),
            }),
        };
        if let Some(open) = self.open_run(thread) {
            open.facts.behalf = behalf;
        }
        let Some(behalf) = behalf.filter(Behalf::is_on) else {
            return;
        };
        for (id, its) in [(run.reg, false), (reg, true)] {
            if let Some(stretches) = self.stretches(id, its) {
                stretches.count += 1;
            }
        }
        sink.behalf(&OnBehalf {
            event: at.number,
            t: behalf.since,
            loop_id: run.loop_id,
            process,
            run: run.reg,
            of: behalf,
        });
    }

    /// Of an `on-behalf`: the loop of the registration that its stretch counts for; nothing outside of a run, and for a
    /// descriptor that is on no loop.
    pub fn works_for(&self, e: &Event) -> Option<Id> {
        let thread = self.threads.get(self.thread_seen(e.thread)? as usize)?;
        let seat = thread.work.open.last()?;
        let ts = (self.loops.get(seat.loop_id as usize)?.threads).get(seat.at as usize)?;
        ts.open_run()?;
        let desc = self.slot(thread.process, e.fd).desc;
        let reg = self.worked_for(seat.loop_id, thread.process, e.fd, desc);
        self.reg(reg).map(|r| r.loop_id)
    }

    /// The registration that stands for a descriptor in the eyes of a loop, `Id::MAX` for none.
    fn worked_for(&self, loop_id: Id, process: Id, fd: i32, desc: u32) -> Id {
        let here = self.regs.get(self.keyed(loop_id, process, fd));
        let elsewhere = || {
            let mut all = (self.regs_of(desc)).filter_map(|slot| self.regs.get(slot));
            all.find(|r| r.is_live())
        };
        here.or_else(elsewhere).map_or(Id::MAX, |r| r.id)
    }

    /// A run, or the piece of it that began at `piece`, goes on for somebody else, or ends.
    pub(super) fn stretch_over(&mut self, run: &Run, piece: u64, t: u64) {
        let Some(behalf) = run.behalf.filter(Behalf::is_on) else {
            return;
        };
        let ns = t.saturating_sub(behalf.since.max(piece));
        for (id, its) in [(run.reg, false), (behalf.reg, true)] {
            if let Some(stretches) = self.stretches(id, its) {
                stretches.ns = stretches.ns.saturating_add(ns);
            }
        }
    }

    /// What a registration's runs did for others, or others' runs for it.
    fn stretches(&mut self, id: Id, its: bool) -> Option<&mut Stretches> {
        let slot = *self.by_id.get(&id)?;
        let reg = self.regs.get_mut(slot)?;
        Some(match its {
            true => &mut reg.on_its_behalf,
            false => &mut reg.for_others,
        })
    }
}
