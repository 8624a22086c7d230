//! Many structs of one kind as columns: all values of a field together, as small numbers, packed by how rare they are.
//! Reading builds the rows again and refuses what does not fit. Step: **model**.

use std::sync::Arc;

use super::Map;
use super::codec::{Codec, Cursor, put};
use super::entropy::{pack, unpack};
use super::facts::Range;

/// The most rows of one table.
pub(super) const MOST_ROWS: usize = 1 << 20;

/// The most bytes that all columns of a page may have.
const MOST: usize = 64 << 20;

/// Columns one after the other, as their values are put into them.
pub(super) type Raw = Vec<Vec<u8>>;
/// The columns that have not been read.
pub(super) type Columns<'a> = std::slice::Iter<'a, Vec<u8>>;

/// Appends columns; those of a base, in the same order, are what they may be told by.
pub(super) fn write(raw: &[Vec<u8>], base: &[Vec<u8>], out: &mut Vec<u8>) {
    for (at, column) in raw.iter().enumerate() {
        pack(column, base.get(at).map_or(&[], |base| base), out);
    }
}

/// Reads what [`write()`] wrote, to the end.
pub(super) fn read(c: &mut Cursor<'_>, base: &[Vec<u8>]) -> Option<Raw> {
    let (mut raw, mut most) = (Vec::new(), MOST);
    while !c.is_empty() {
        let base = base.get(raw.len()).map_or(&[][..], |base| base);
        let column = unpack(c, base, most)?;
        most -= column.len();
        raw.push(column);
    }
    Some(raw)
}

/// What times and event numbers of a row lie near.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Near {
    pub time: u64,
    pub number: u64,
    pub birth: u64,
}

/// Appends a difference, which may go either way.
pub(super) fn put_step(out: &mut Vec<u8>, from: u64, to: u64) {
    (to.wrapping_sub(from) as i64).put(out);
}

/// Reads what [`put_step`] wrote.
pub(super) fn get_step(c: &mut Cursor<'_>, from: u64) -> Option<u64> {
    Some(from.wrapping_add(i64::get(c)? as u64))
}

/// A number that is near that of the row before.
pub(super) trait Step: Copy {
    fn wide(self) -> u64;
    fn narrow(wide: u64) -> Option<Self>;
}

macro_rules! step {
    ($($t:ty)*) => { $(impl Step for $t {
        fn wide(self) -> u64 { self as u64 }
        fn narrow(wide: u64) -> Option<Self> {
            let value = wide as $t;
            (value as u64 == wide).then_some(value)
        }
    })* };
}
step!(u32 u64 i32);

/// An instant, or several, near another.
pub(super) trait Time: Sized {
    fn put_near(&self, near: u64, out: &mut Vec<u8>);
    fn get_near(near: u64, c: &mut Cursor<'_>) -> Option<Self>;
}

impl Time for u64 {
    fn put_near(&self, near: u64, out: &mut Vec<u8>) {
        put_step(out, *self, near);
    }
    fn get_near(near: u64, c: &mut Cursor<'_>) -> Option<Self> {
        Some(near.wrapping_sub(i64::get(c)? as u64))
    }
}

impl Time for Range {
    fn put_near(&self, near: u64, out: &mut Vec<u8>) {
        self.hi.put_near(near, out);
        self.lo.put_near(self.hi, out);
    }
    fn get_near(near: u64, c: &mut Cursor<'_>) -> Option<Self> {
        let hi = u64::get_near(near, c)?;
        let lo = u64::get_near(hi, c)?;
        Some(Range { lo, hi })
    }
}

/// Where, from, to.
impl Time for (u32, u64, u64) {
    fn put_near(&self, near: u64, out: &mut Vec<u8>) {
        self.0.put(out);
        self.2.put_near(near, out);
        self.1.put_near(self.2, out);
    }
    fn get_near(near: u64, c: &mut Cursor<'_>) -> Option<Self> {
        let place = u32::get(c)?;
        let to = u64::get_near(near, c)?;
        Some((place, u64::get_near(to, c)?, to))
    }
}

/// From, to.
impl Time for (u64, u64) {
    fn put_near(&self, near: u64, out: &mut Vec<u8>) {
        self.1.put_near(near, out);
        self.0.put_near(self.1, out);
    }
    fn get_near(near: u64, c: &mut Cursor<'_>) -> Option<Self> {
        let to = u64::get_near(near, c)?;
        Some((u64::get_near(to, c)?, to))
    }
}

impl<T: Time> Time for Vec<T> {
    fn put_near(&self, near: u64, out: &mut Vec<u8>) {
        put(out, self.len() as u64);
        self.iter().for_each(|time| time.put_near(near, out));
    }
    fn get_near(near: u64, c: &mut Cursor<'_>) -> Option<Self> {
        let mut all = Vec::new();
        for _ in 0..c.u64()? {
            all.push(T::get_near(near, c)?);
        }
        Some(all)
    }
}

impl<T: Time> Time for Option<T> {
    fn put_near(&self, near: u64, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put_near(near, out);
        }
    }
    fn get_near(near: u64, c: &mut Cursor<'_>) -> Option<Self> {
        Some(match bool::get(c)? {
            true => Some(T::get_near(near, c)?),
            false => None,
        })
    }
}

/// Writes the columns of a struct. Fields are `plain`, near the row before (`steps`), near an instant (`times`), near
/// an event's number (`numbers`) or near a beginning (`births`); the `rest` is a struct with what comes from elsewhere.
macro_rules! columns {
    ($name:ident {
        plain: [$($plain:ident),* $(,)?],
        steps: [$($step:ident),* $(,)?],
        times: [$($time:ident),* $(,)?],
        numbers: [$($number:ident),* $(,)?],
        births: [$($birth:ident),* $(,)?],
        rest: $rest:ident { $($given:ident),* $(,)? } $(,)?
    }) => {
        impl $name {
            #[allow(unused_variables)] // not every kind of column is in every struct
            pub(super) fn put_columns(
                rows: &[(&Self, $crate::model::columns::Near)],
                out: &mut $crate::model::columns::Raw,
            ) {
                #[allow(unused_imports)]
                use $crate::model::{codec::Codec, columns::{Step, Time, put_step}};
                let mut column = Vec::new();
                $(
                    rows.iter().for_each(|(row, _)| Codec::put(&row.$plain, &mut column));
                    out.push(std::mem::take(&mut column));
                )*
                $(
                    let mut last = 0;
                    for (row, _) in rows {
                        let value = Step::wide(row.$step);
                        put_step(&mut column, last, value);
                        last = value;
                    }
                    out.push(std::mem::take(&mut column));
                )*
                $(
                    rows.iter().for_each(|(row, near)| row.$time.put_near(near.time, &mut column));
                    out.push(std::mem::take(&mut column));
                )*
                $(
                    rows.iter().for_each(|(row, near)| row.$number.put_near(near.number, &mut column));
                    out.push(std::mem::take(&mut column));
                )*
                $(
                    rows.iter().for_each(|(row, near)| row.$birth.put_near(near.birth, &mut column));
                    out.push(std::mem::take(&mut column));
                )*
            }

            #[allow(unused_variables, unused_mut)]
            pub(super) fn get_columns(
                c: &mut $crate::model::columns::Columns<'_>,
                near: &[$crate::model::columns::Near],
                mut rest: impl FnMut(usize) -> Option<$rest>,
            ) -> Option<Vec<Self>> {
                #[allow(unused_imports)]
                use $crate::model::{codec::{Codec, Cursor}, columns::{Step, Time, get_step}};
                $(let mut $plain = Cursor::new(c.next()?);)*
                $(let mut $step = (Cursor::new(c.next()?), 0);)*
                $(let mut $time = Cursor::new(c.next()?);)*
                $(let mut $number = Cursor::new(c.next()?);)*
                $(let mut $birth = Cursor::new(c.next()?);)*
                // Rows are large: what a hostile column claims is not made room for.
                let mut rows = Vec::with_capacity(near.len().min(4_096));
                for (at, near) in near.iter().enumerate() {
                    let $rest { $($given),* } = rest(at)?;
                    rows.push(Self {
                        $($plain: Codec::get(&mut $plain)?,)*
                        $($step: {
                            $step.1 = get_step(&mut $step.0, $step.1)?;
                            Step::narrow($step.1)?
                        },)*
                        $($time: Time::get_near(near.time, &mut $time)?,)*
                        $($number: Time::get_near(near.number, &mut $number)?,)*
                        $($birth: Time::get_near(near.birth, &mut $birth)?,)*
                        $($given),*
                    });
                }
                let whole = true $(&& $plain.is_empty())* $(&& $step.0.is_empty())* $(&& $time.is_empty())*
                    $(&& $number.is_empty())* $(&& $birth.is_empty())*;
                whole.then_some(rows)
            }
        }
    };
}
pub(super) use columns;

/// Texts of many rows: each is written once, as what it does not share with the one before.
#[derive(Default)]
pub(super) struct Texts {
    seen: Map<Arc<str>, u64>,
    refs: Vec<u8>,
    shared: Vec<u8>,
    own: Vec<u8>,
    bytes: Vec<u8>,
    last: Arc<str>,
}

impl Texts {
    /// The next row's text.
    pub fn put(&mut self, text: &Arc<str>) {
        let n = self.seen.len() as u64;
        if text.is_empty() {
            self.refs.push(0);
        } else if let Some(at) = self.seen.get(text) {
            put(&mut self.refs, 1 + n - at);
        } else {
            self.refs.push(1);
            let same = |(a, b): &(u8, u8)| a == b;
            let pairs = self.last.bytes().zip(text.bytes());
            let mut shared = pairs.take_while(same).count().min(MOST_TEXT);
            while !text.is_char_boundary(shared) {
                shared -= 1;
            }
            put(&mut self.shared, shared as u64);
            put(&mut self.own, (text.len() - shared) as u64);
            self.bytes.extend(&text.as_bytes()[shared..]);
            self.seen.insert(text.clone(), n);
            self.last = text.clone();
        }
    }

    pub fn finish(self, out: &mut Raw) {
        out.extend([self.refs, self.shared, self.own, self.bytes]);
    }
}

/// Reads what [`Texts`] wrote, row by row.
pub(super) struct TextRows {
    refs: std::vec::IntoIter<u64>,
    all: Vec<Arc<str>>,
    used: usize,
}

impl TextRows {
    pub fn get(c: &mut Columns<'_>) -> Option<Self> {
        let [refs, shared, own, bytes] = [c.next()?, c.next()?, c.next()?, c.next()?];
        let (mut shared, mut own) = (Cursor::new(shared), Cursor::new(own));
        let mut bytes = Cursor::new(bytes);
        let mut all: Vec<Arc<str>> = Vec::new();
        while !shared.is_empty() {
            let (keep, more) = (usize::get(&mut shared)?, usize::get(&mut own)?);
            let last = all.last().map_or("", |text| text);
            if keep > MOST_TEXT {
                return None;
            }
            let more = std::str::from_utf8(bytes.bytes(more)?).ok()?;
            all.push(format!("{}{more}", last.get(..keep)?).into());
        }
        let mut c = Cursor::new(refs);
        let mut refs = Vec::new();
        while !c.is_empty() {
            refs.push(c.u64()?);
        }
        let whole = own.is_empty() && bytes.is_empty();
        whole.then_some(Self {
            refs: refs.into_iter(),
            all,
            used: 0,
        })
    }

    /// The next row's text.
    pub fn next(&mut self) -> Option<Arc<str>> {
        match self.refs.next()? {
            0 => Some("".into()),
            1 => {
                self.used += 1;
                self.all.get(self.used - 1).cloned()
            }
            back => {
                let at = self.used.checked_sub(usize::try_from(back - 1).ok()?)?;
                self.all.get(at).cloned()
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.refs.as_slice().is_empty() && self.used == self.all.len()
    }
}

/// A text keeps at most this much of the one before: a chain of hostile ones stays short.
const MOST_TEXT: usize = 4_096;
