//! Registrations that have ended change no more: checkpoints of one recording share them, each written once, in pages
//! beside the checkpoints. Step: **model**.

use std::sync::Arc;

use super::rows::{get_regs, put_regs};
use crate::model::codec::{Cursor, put};
use crate::model::columns::{self, Near, Raw, TextRows, Texts};
use crate::model::facts::Id;
use crate::model::registration::Registration;
use crate::model::{Map, Model};

/// What has been written so far.
#[derive(Clone, Debug, Default)]
pub struct Written {
    regs: Map<Id, Arc<Registration>>,
}

impl Written {
    /// Appends the ended registrations of a model that are new, or have changed after all; how many that were.
    pub fn add(&mut self, model: &Model, out: &mut Vec<u8>) -> usize {
        let ended = || {
            let all = model.regs.places();
            all.filter_map(|(slot, _)| model.regs.ended(slot))
        };
        let new: Vec<&Registration> = (ended().filter(|reg| !self.has(reg)))
            .map(|reg| &**reg)
            .collect();
        let (mut texts, mut rows, mut raw) = (Texts::default(), Raw::new(), Raw::new());
        put_regs(&new, Near::default(), None, &mut texts, &mut rows);
        texts.finish(&mut raw);
        raw.extend(rows);
        put(out, u64::from(Model::VERSION));
        columns::write(&raw, &[], out);
        self.regs = ended().map(|reg| (reg.id, reg.clone())).collect();
        new.len()
    }

    /// This very registration has been written.
    pub(super) fn has(&self, reg: &Arc<Registration>) -> bool {
        let known = self.regs.get(&reg.id);
        known.is_some_and(|known| Arc::ptr_eq(known, reg))
    }
}

/// What has been read of what [`Written`] wrote.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// By slot: what was written of it, with the place in the recording where, in that order.
    regs: Map<u32, Vec<(u64, Arc<Registration>)>>,
}

impl Ended {
    /// Reads what was written at a place in the recording; nothing when it is damaged.
    pub fn read(bytes: &[u8]) -> Option<Vec<Arc<Registration>>> {
        let mut c = Cursor::new(bytes);
        if c.u64()? != u64::from(Model::VERSION) {
            return None;
        }
        let raw = columns::read(&mut c, &[])?;
        let mut c = raw.iter();
        let mut texts = TextRows::get(&mut c)?;
        let rows = get_regs(&mut c, Near::default(), None, &mut texts)?;
        let whole = c.next().is_none() && texts.is_empty();
        whole.then(|| rows.into_iter().map(Arc::new).collect())
    }

    /// Adds what was [read](Self::read) of a place in the recording behind those added before.
    pub fn add(&mut self, rows: Vec<Arc<Registration>>, at: u64) {
        for reg in rows {
            let versions = self.regs.entry(reg.s.slot).or_default();
            versions.push((at, reg));
        }
    }

    /// The ended registration of a slot as it was known at a place in the recording.
    pub fn get(&self, slot: u32, at: u64) -> Option<Arc<Registration>> {
        let versions = self.regs.get(&slot)?;
        let known = versions.iter().rev().find(|(from, _)| *from <= at);
        known.map(|(_, reg)| reg.clone())
    }
}
