//! A checkpoint may have a base, an earlier one: its columns are written as what has changed. Histograms only grow: of the
//! registrations that are in both, what theirs have got since is written, which takes a fraction of it. Step: **model**.

use super::rows::get_histograms;
use super::{LIVE, head};
use crate::model::codec::{Codec, Cursor};
use crate::model::columns::{self, Columns, Raw, TextRows, get_step, put_step};
use crate::model::facts::Id;
use crate::model::histogram::Histogram;
use crate::model::registration::Registration;
use crate::model::{Map, Model};

/// A registration's histograms.
pub(super) type Histograms = [Histogram; 5];

/// Each of them, in the order in which they are written.
pub(super) const HISTOGRAMS: [fn(&Registration) -> &Histogram; 5] = [
    |r| &r.notice_lo,
    |r| &r.notice_hi,
    |r| &r.queue,
    |r| &r.run,
    |r| &r.tail,
];

/// A checkpoint's columns, and its live registrations' histograms.
#[derive(Clone, Debug)]
pub struct Base {
    /// The checkpoint's place in the recording.
    at: u64,
    columns: Raw,
    /// In the order of their slots.
    rows: Vec<Histograms>,
    /// Where which registration's are; only the writer asks.
    of: Map<Id, usize>,
}

impl Base {
    /// What a model that was written as these columns for the place `at` of the recording is a base with.
    pub(super) fn of(model: &Model, at: u64, columns: Raw) -> Self {
        let (mut rows, mut of) = (Vec::new(), Map::default());
        for (slot, reg) in model.regs.places() {
            if model.regs.ended(slot).is_none() {
                of.insert(reg.id, rows.len());
                rows.push(HISTOGRAMS.map(|of| of(reg).clone()));
            }
        }
        Self {
            at,
            columns,
            rows,
            of,
        }
    }

    /// The same from a checkpoint's bytes, which may have a base in turn; nothing if it is damaged or that is another.
    pub fn read(bytes: &[u8], at: u64, base: Option<&Base>) -> Option<Self> {
        let mut c = Cursor::new(bytes);
        if head(&mut c)?.base != base.map(Base::at) {
            return None;
        }
        let columns = columns::read(&mut c, base.map_or(&[], Base::columns))?;
        let mut c = columns.iter();
        let kinds = super::rows::get_places(&mut c)?.0;
        TextRows::get(&mut c)?;
        let here = kinds.iter().filter(|kind| super::stands_here(**kind));
        let mut all = get_histograms(&mut c, base, here.count())?.into_iter();
        let mut rows = Vec::new();
        for kind in kinds.into_iter().filter(|kind| super::stands_here(*kind)) {
            let row = all.next()?;
            if kind == LIVE {
                rows.push(row);
            }
        }
        all.next().is_none().then_some(Self {
            at,
            columns,
            rows,
            of: Map::default(),
        })
    }

    /// The checkpoint's columns.
    pub(super) fn columns(&self) -> &[Vec<u8>] {
        &self.columns
    }

    /// The checkpoint's place in the recording.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// How many registrations it knows.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Says which rows have which base; these.
    pub(super) fn put_rows(
        &self,
        rows: &[&Registration],
        out: &mut Raw,
    ) -> Vec<Option<&Histograms>> {
        let (mut column, mut next) = (Vec::new(), 0);
        let mut bases = Vec::new();
        for reg in rows {
            let at = self.of.get(&reg.id).copied();
            let base = at.and_then(|at| Some((at, self.rows.get(at)?)));
            let grown = |base: &Histograms| {
                let mut all = HISTOGRAMS.iter().zip(base);
                all.all(|(of, base)| of(reg).added(base).is_some())
            };
            let base = base.filter(|(_, base)| grown(base));
            base.is_some().put(&mut column);
            if let Some((at, _)) = base {
                put_step(&mut column, next, at as u64);
                next = at as u64 + 1;
            }
            bases.push(base.map(|(_, base)| base));
        }
        out.push(column);
        bases
    }

    /// Reads what [`put_rows`](Self::put_rows) wrote of `n` rows.
    pub(super) fn get_rows(
        &self,
        c: &mut Columns<'_>,
        n: usize,
    ) -> Option<Vec<Option<&Histograms>>> {
        let (mut c, mut next) = (Cursor::new(c.next()?), 0);
        let mut bases = Vec::new();
        for _ in 0..n {
            bases.push(match bool::get(&mut c)? {
                true => {
                    let at = get_step(&mut c, next)?;
                    next = at.wrapping_add(1);
                    Some(self.rows.get(usize::try_from(at).ok()?)?)
                }
                false => None,
            });
        }
        c.is_empty().then_some(bases)
    }
}
