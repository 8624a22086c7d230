//! Checkpoints: the whole model as bytes, so that going back costs one checkpoint and the events after it.
//!
//! Folding on from a loaded checkpoint gives the same facts and figures as never having stopped. What can be worked
//! out again (look-up tables, names a description has) is left out, what there are many of stands in packed columns, and
//! registrations that have ended may stand beside the checkpoint, written once ([`Written`], [`Ended`]).
//! Reading trusts nothing: what would let the fold loop or go astray is refused. Step: **model**.

mod base;
mod ended;
mod parts;
mod rows;

pub use base::Base;
pub use ended::{Ended, Written};

use std::sync::Arc;

use super::codec::{Codec, Cursor, put};
use super::columns::{self, Columns, Near, Raw, TextRows, Texts};
use super::facts::Id;
use super::registration::{Link, Registration, State};
use super::regs::{Place, Regs};
use super::{Model, NONE};
use rows::{get_descs, get_places, get_regs, put_descs, put_places, put_regs};

// What stands in a slot.
const LIVE: u8 = 1;
const ENDED: u8 = 2;
/// An ended registration that is written beside.
const BESIDE: u8 = 3;

/// Whether what is in a slot of this kind is written in the checkpoint itself.
fn stands_here(kind: u8) -> bool {
    matches!(kind, LIVE | ENDED)
}

/// How a checkpoint begins.
struct Head {
    now: u64,
    applied: u64,
    /// Where its base stands.
    base: Option<u64>,
    /// How many turns of each loop have begun.
    turns: Vec<u64>,
}

/// Reads it; nothing when it is another version's.
fn head(c: &mut Cursor<'_>) -> Option<Head> {
    if c.u64()? != u64::from(Model::VERSION) {
        return None;
    }
    Some(Head {
        now: c.u64()?,
        applied: c.u64()?,
        base: Codec::get(c)?,
        turns: Codec::get(c)?,
    })
}

/// Writes and reads what there are few of, field by field.
macro_rules! few {
    ($($field:ident),* $(,)?) => {
        fn put_few(&self, out: &mut Raw) {
            let mut bytes = Vec::new();
            $(self.$field.put(&mut bytes);)*
            out.push(bytes);
        }

        fn get_few(&mut self, c: &mut Columns<'_>) -> Option<()> {
            let mut c = Cursor::new(c.next()?);
            $(self.$field = Codec::get(&mut c)?;)*
            c.is_empty().then_some(())
        }
    };
}

impl Model {
    few!(
        config,
        processes,
        process_of,
        threads,
        loops,
        poll_loops,
        asked,
        next_reg,
        next_file,
        names,
        roles,
        lost_by_cause,
        late,
        ignored,
        slots_used,
        seats_used,
        timers_used,
        spans,
        spans_sure,
        tasks_used,
        silent,
        pairs,
        pair_order,
        losses,
        inodes,
        timerfds,
        setup,
        unmatched,
        contradicted,
        doubtful,
        doubtful_at,
        steal,
    );

    /// Appends a checkpoint: everything needed to fold on from here.
    pub fn save(&self, out: &mut Vec<u8>) {
        self.save_beside(&Written::default(), None, 0, out);
    }

    /// The same without the ended registrations that have been written already, and, with a base, without what that
    /// knows; what this checkpoint, which stands at the place `at` of the recording, is a base with.
    pub fn save_beside(
        &self,
        written: &Written,
        base: Option<&Base>,
        at: u64,
        out: &mut Vec<u8>,
    ) -> Base {
        put(out, u64::from(Self::VERSION));
        put(out, self.now);
        put(out, self.applied);
        base.map(Base::at).put(out);
        let turns: Vec<u64> = self.loops.iter().map(|l| l.turns_begun).collect();
        turns.put(out);
        let (mut kinds, mut here) = (vec![0; self.regs.slots()], Vec::new());
        for (slot, reg) in self.regs.places() {
            let ended = self.regs.ended(slot);
            kinds[slot as usize] = match ended {
                None => LIVE,
                Some(shared) if written.has(shared) => BESIDE,
                Some(_) => ENDED,
            };
            if kinds[slot as usize] != BESIDE {
                here.push(reg);
            }
        }
        let (mut texts, mut rows, mut raw) = (Texts::default(), Raw::new(), Raw::new());
        put_regs(&here, self.near(), base, &mut texts, &mut rows);
        put_descs(
            &self.descs,
            &self.accounts,
            &self.regs,
            &mut texts,
            &mut rows,
        );
        put_places(&kinds, self.regs.free(), &mut raw);
        texts.finish(&mut raw);
        raw.extend(rows);
        self.put_few(&mut raw);
        columns::write(&raw, base.map_or(&[], Base::columns), out);
        Base::of(self, at, raw)
    }

    /// How many turns of a loop have begun at a checkpoint, without reading all of it.
    pub fn turns_begun(bytes: &[u8], loop_id: Id) -> Option<u64> {
        let turns = head(&mut Cursor::new(bytes))?.turns;
        Some(turns.get(loop_id as usize).copied().unwrap_or(0))
    }

    /// The place in the recording of the checkpoint that is the base of this one, if it has any.
    pub fn base_of(bytes: &[u8]) -> Option<u64> {
        head(&mut Cursor::new(bytes))?.base
    }

    /// What numbers in a checkpoint are near.
    fn near(&self) -> Near {
        Near {
            time: self.now,
            number: self.applied,
            birth: self.now,
        }
    }

    /// Reads what [`save`](Self::save) wrote; `None` when it is damaged or another version's.
    pub fn load(bytes: &[u8]) -> Option<Self> {
        Self::load_beside(bytes, None, |_| None)
    }

    /// Reads what [`save_beside`](Self::save_beside) wrote with this base; `ended` knows the registrations written
    /// before, by slot: the last one written of a slot is the one that stands there.
    pub fn load_beside(
        bytes: &[u8],
        base: Option<&Base>,
        ended: impl Fn(u32) -> Option<Arc<Registration>>,
    ) -> Option<Self> {
        let mut c = Cursor::new(bytes);
        let head = head(&mut c)?;
        if head.base != base.map(Base::at) {
            return None;
        }
        let mut model = Self {
            now: head.now,
            applied: head.applied,
            ..Self::default()
        };
        let raw = columns::read(&mut c, base.map_or(&[], Base::columns))?;
        let mut c = raw.iter();
        let (kinds, free) = get_places(&mut c)?;
        let mut texts = TextRows::get(&mut c)?;
        let mut here = get_regs(&mut c, model.near(), base, &mut texts)?.into_iter();
        let mut places = Vec::new();
        for kind in kinds {
            places.push(match kind {
                0 => Place::Free,
                LIVE => Place::Live(Box::new(here.next()?)),
                ENDED => Place::Ended(Arc::new(here.next()?)),
                BESIDE => Place::Ended(ended(places.len() as u32)?),
                _ => return None,
            });
        }
        if here.next().is_some() {
            return None;
        }
        model.regs = Regs::from_parts(places, free);
        (model.descs, model.accounts) = get_descs(&mut c, &model.regs, &mut texts)?;
        model.get_few(&mut c)?;
        let whole = c.next().is_none() && texts.is_empty();
        (whole && model.index() && model.is_sound()).then_some(model)
    }

    /// Works the look-up tables out again.
    fn index(&mut self) -> bool {
        for (at, thread) in self.threads.iter().enumerate() {
            self.thread_of.set(u64::from(thread.number), at as u32);
        }
        for (at, role) in self.roles.iter().enumerate().skip(1) {
            self.role_of
                .insert((role.kind as u8, role.text.clone()), at as u32);
        }
        for l in &mut self.loops {
            for (at, ts) in l.threads.iter().enumerate() {
                l.seats.insert(ts.thread, at as u32);
            }
        }
        for (at, account) in self.accounts.places() {
            self.account_of.insert(account.key.clone(), at);
        }
        if !self.chain_back() {
            return false;
        }
        for slot in 0..self.regs.slots() as u32 {
            let desc = self.regs.get(slot).and_then(|r| self.descs.get(r.s.desc));
            if let Some(desc) = desc
                && let Some(reg) = self.regs.get_mut(slot)
            {
                reg.name = desc.name.clone();
                reg.addr = desc.addr.clone();
                reg.kind = desc.kind;
            }
        }
        for (slot, reg) in self.regs.places() {
            if self.regs.ended(slot).is_some() && !reg.s.keep {
                self.kept.insert((reg.s.kept_wait, slot));
            }
            if reg.s.slot != slot || self.by_id.insert(reg.id, slot).is_some() {
                return false;
            }
            if reg.s.desc != NONE
                && self
                    .keys
                    .insert((reg.loop_id, reg.s.desc, reg.fd), slot)
                    .is_some()
            {
                return false;
            }
            if reg.s.data_known && reg.s.of_data.prev == NONE {
                let Some(l) = self.loops.get_mut(reg.loop_id as usize) else {
                    return false;
                };
                if l.data.get(reg.data) != NONE {
                    return false;
                }
                l.data.set(reg.data, slot);
            }
        }
        true
    }

    /// The way back in the chains follows from the way on; false when two ways lead to one place.
    fn chain_back(&mut self) -> bool {
        let chains: [fn(&mut State) -> &mut Link; 3] =
            [|s| &mut s.of_loop, |s| &mut s.of_desc, |s| &mut s.of_data];
        for slot in 0..self.regs.slots() as u32 {
            let next = self
                .regs
                .get(slot)
                .map(|Registration { s, .. }| [s.of_loop.next, s.of_desc.next, s.of_data.next]);
            for (next, chain) in next.into_iter().flatten().zip(chains) {
                let Some(reg) = self.regs.get_mut(next) else {
                    continue;
                };
                let back = &mut chain(&mut reg.s).prev;
                if std::mem::replace(back, slot) != NONE {
                    return false;
                }
            }
        }
        true
    }

    /// Ids are positions, and chains have neither loops nor loose ends: walking them comes to an end.
    fn is_sound(&self) -> bool {
        let chained = |link: fn(&State) -> &Link| {
            self.regs.places().all(|(slot, reg)| {
                let Link { prev, next } = *link(&reg.s);
                let back =
                    next == NONE || self.regs.get(next).is_some_and(|r| link(&r.s).prev == slot);
                let forth =
                    prev == NONE || self.regs.get(prev).is_some_and(|r| link(&r.s).next == slot);
                back && forth
            })
        };
        let head = |slot: u32, link: fn(&State) -> &Link| {
            slot == NONE || self.regs.get(slot).is_some_and(|r| link(&r.s).prev == NONE)
        };
        let listed = self.regs.iter().filter(|r| r.s.believed_at != 0).count();
        let believed = self.loops.iter().map(|l| l.believed.len()).sum::<usize>();
        chained(|s| &s.of_loop)
            && chained(|s| &s.of_desc)
            && chained(|s| &s.of_data)
            && listed == believed
            && self.descs.iter().all(|d| head(d.head, |s| &s.of_desc))
            && self.loops.iter().enumerate().all(|(at, l)| {
                l.id as usize == at
                    && head(l.head, |s| &s.of_loop)
                    && l.believed.iter().enumerate().all(|(i, slot)| {
                        let reg = self.regs.get(*slot);
                        reg.is_some_and(|r| r.s.believed_at as usize == i + 1 && r.loop_id == l.id)
                    })
            })
            && self
                .processes
                .iter()
                .enumerate()
                .all(|(at, p)| p.id as usize == at)
            && self
                .process_of
                .values()
                .all(|id| (*id as usize) < self.processes.len())
            && self
                .silent
                .iter()
                .all(|id| (*id as usize) < self.processes.len())
            && self
                .threads
                .iter()
                .enumerate()
                .all(|(at, t)| t.id as usize == at && (t.process as usize) < self.processes.len())
            && !self.roles.is_empty()
    }
}
