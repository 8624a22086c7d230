//! A compact log-linear histogram of nanoseconds: count, sum and max exact, quantiles within a stated bound.
//!
//! Values below 2^bits have a bucket each; above, every power of two is cut into 2^bits equal buckets. So a
//! quantile is never below the true one and at most `1 + 2^-bits` times it: 12.5% too high with the 3 bits of a
//! registration, 1.6% with the 6 bits of a loop. Only the span of buckets in use is stored. Step: **model**.

use super::codec::{Codec, Cursor, put};
use super::columns::{Columns, Raw, get_step, put_step};

/// Bits of precision of a registration's histograms: quantiles at most 12.5% too high.
pub const COARSE: u8 = 3;
/// Bits of precision of a loop's histograms: quantiles at most 1.6% too high.
pub const FINE: u8 = 6;

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    bits: u8,
    /// Bucket number of `counts[0]`.
    first: u16,
    counts: Vec<u32>,
    count: u64,
    sum: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new(COARSE)
    }
}

impl Histogram {
    /// An empty histogram with 2^`bits` buckets per power of two (1 to 8 bits).
    pub const fn new(bits: u8) -> Self {
        let bits = if bits < 1 {
            1
        } else if bits > 8 {
            8
        } else {
            bits
        };
        Self {
            bits,
            first: 0,
            counts: Vec::new(),
            count: 0,
            sum: 0,
            max: 0,
        }
    }

    /// The precision of a loop's histograms.
    pub const fn fine() -> Self {
        Self::new(FINE)
    }

    /// How much too high a quantile may be, as a fraction of the true value.
    pub fn relative_error(&self) -> f64 {
        1.0 / f64::from(1u32 << self.bits)
    }

    /// Adds one value.
    #[inline]
    pub fn record(&mut self, value: u64) {
        self.add(bucket(self.bits, value), 1);
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.max = self.max.max(value);
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The largest, 0 when empty.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Nothing recorded yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The mean, 0 when empty.
    pub fn mean(&self) -> u64 {
        self.sum.checked_div(self.count).unwrap_or(0)
    }

    /// The value at quantile `q` (0 to 1): the upper end of its bucket, never above [`max`](Self::max); 0 when empty.
    pub fn quantile(&self, q: f64) -> u64 {
        if self.count == 0 {
            return 0;
        }
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).clamp(1, self.count);
        let mut seen = 0u64;
        for (bucket, n) in self.buckets() {
            seen += u64::from(n);
            if seen >= rank {
                return upper(self.bits, bucket).min(self.max);
            }
        }
        self.max
    }

    /// Adds another histogram's values, bucket by bucket (its precision may differ: the coarser bound holds).
    pub fn merge(&mut self, other: &Histogram) {
        for (index, n) in other.buckets() {
            let index = if other.bits == self.bits {
                index
            } else {
                bucket(self.bits, upper(other.bits, index).min(other.max))
            };
            self.add(index, n);
        }
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// The used buckets as (smallest value, largest value, count).
    pub fn spans(&self) -> impl Iterator<Item = (u64, u64, u32)> + '_ {
        self.buckets()
            .map(|(i, n)| (lower(self.bits, i), upper(self.bits, i), n))
    }

    fn buckets(&self) -> impl Iterator<Item = (u16, u32)> + '_ {
        self.counts
            .iter()
            .enumerate()
            .filter(|(_, n)| **n > 0)
            .map(|(i, n)| (self.first + i as u16, *n))
    }

    #[inline]
    fn add(&mut self, bucket: u16, n: u32) {
        // A bucket below `first` wraps to a huge offset and takes the slow way too.
        let at = usize::from(bucket.wrapping_sub(self.first));
        match self.counts.get_mut(at) {
            Some(count) => *count = count.saturating_add(n),
            None => self.grow(bucket, n),
        }
    }

    #[cold]
    fn grow(&mut self, bucket: u16, n: u32) {
        if self.counts.is_empty() {
            self.first = bucket;
            self.counts.push(n);
        } else if bucket < self.first {
            let missing = usize::from(self.first - bucket);
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.first = bucket;
            self.counts[0] = n;
        } else {
            let at = usize::from(bucket - self.first);
            self.counts.resize(at + 1, 0);
            self.counts[at] = n;
        }
    }

    /// What was added since it was like `base`, with the largest value of all; nothing if it never was.
    pub(super) fn added(&self, base: &Histogram) -> Option<Histogram> {
        let ends = usize::from(self.first) + self.counts.len();
        let base_ends = usize::from(base.first) + base.counts.len();
        let within = base.counts.is_empty() || (self.first <= base.first && base_ends <= ends);
        if self.bits != base.bits || !within {
            return None;
        }
        let mut added = Histogram {
            count: self.count.checked_sub(base.count)?,
            sum: self.sum.checked_sub(base.sum)?,
            ..self.clone()
        };
        let from = usize::from(base.first.saturating_sub(self.first));
        for (n, before) in added.counts.iter_mut().skip(from).zip(&base.counts) {
            *n = n.checked_sub(*before)?;
        }
        let used = |n: &u32| *n > 0;
        let end = added.counts.iter().rposition(used).map_or(0, |at| at + 1);
        added.counts.truncate(end);
        let start = added.counts.iter().position(used).unwrap_or(0);
        added.counts.drain(..start);
        added.first += start as u16;
        Some(added)
    }

    /// The count in a bucket.
    fn at(&self, bucket: usize) -> u64 {
        let at = bucket.checked_sub(usize::from(self.first));
        at.and_then(|at| self.counts.get(at))
            .map_or(0, |n| u64::from(*n))
    }

    /// The histogram of which [`added`](Self::added) gave `added`.
    fn and(&self, added: &Histogram) -> Option<Histogram> {
        if self.bits != added.bits {
            return None;
        }
        let mut whole = Histogram {
            count: self.count.checked_add(added.count)?,
            sum: self.sum.checked_add(added.sum)?,
            max: added.max,
            ..self.clone()
        };
        for (bucket, n) in added.buckets() {
            whole.add(bucket, n);
        }
        Some(whole)
    }

    /// What the buckets tell of count, sum and max.
    fn told(&self) -> (u64, u64, u64) {
        let (mut count, mut sum, mut max) = (0u64, 0u64, 0);
        for (least, most, n) in self.spans() {
            let n = u64::from(n);
            count = count.wrapping_add(n);
            sum = sum.wrapping_add(n.wrapping_mul(least + (most - least) / 2));
            max = least;
        }
        (count, sum, max)
    }

    /// Appends the sparse encoding: bits, count, sum, max, then (gap, n) of every used bucket.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.count);
        if self.count == 0 {
            out.push(self.bits);
            return;
        }
        out.push(self.bits);
        put(out, self.sum);
        put(out, self.max);
        put(out, self.buckets().count() as u64);
        let mut last = 0u16;
        for (bucket, n) in self.buckets() {
            put(out, u64::from(bucket - last));
            put(out, u64::from(n));
            last = bucket;
        }
    }

    /// Reads what [`encode`](Self::encode) wrote; nothing when it is damaged.
    pub fn decode(cursor: &mut Cursor<'_>) -> Option<Self> {
        let count = cursor.u64()?;
        let bits = cursor.u8()?;
        if !(1..=8).contains(&bits) {
            return None;
        }
        let mut histogram = Self::new(bits);
        if count == 0 {
            return Some(histogram);
        }
        histogram.count = count;
        histogram.sum = cursor.u64()?;
        histogram.max = cursor.u64()?;
        let last = bucket(bits, u64::MAX);
        let mut at = 0u16;
        for _ in 0..cursor.u64()? {
            at = at.checked_add(u16::try_from(cursor.u64()?).ok()?)?;
            if at > last {
                return None;
            }
            histogram.add(at, u32::try_from(cursor.u64()?).ok()?);
        }
        Some(histogram)
    }
}

/// Counts are packed by how large the one before is: after a large one seldom comes a small one. Those that were added to a
/// base are packed by how large they are there.
const SIZES: usize = 12;
/// The columns of many histograms.
pub(super) const COLUMNS: usize = 6 + SIZES;

fn size(before: u64) -> usize {
    (64 - before.leading_zeros() as usize).min(SIZES - 1)
}

/// Many histograms as columns: their places and counts; what is told by those is written as the difference. Of one with
/// a base, which it must have [grown from](Histogram::added), only what was added is written.
pub(super) fn put_columns<'a>(
    rows: impl Iterator<Item = (&'a Histogram, Option<&'a Histogram>)>,
    out: &mut Raw,
) {
    let mut columns: [Vec<u8>; 6] = Default::default();
    let mut counts: [Vec<u8>; SIZES] = Default::default();
    let mut last = 0;
    for (whole, base) in rows {
        let added = base.and_then(|base| whole.added(base));
        let h = added.as_ref().unwrap_or(whole);
        let [bits, len, first, count, sum, max] = &mut columns;
        bits.push(h.bits);
        put(len, h.counts.len() as u64);
        if !h.counts.is_empty() {
            put_step(first, last, u64::from(h.first));
            last = u64::from(h.first);
        }
        let mut before = 0;
        for (at, n) in h.counts.iter().enumerate() {
            let hint = base.map_or(before, |base| base.at(usize::from(h.first) + at));
            put(&mut counts[size(hint)], u64::from(*n));
            before = u64::from(*n);
        }
        let told = h.told();
        put_step(count, told.0, h.count);
        put_step(sum, told.1, h.sum);
        put_step(max, base.map_or(told.2, |base| base.max), h.max);
    }
    out.extend(columns.into_iter().chain(counts));
}

/// Reads what [`put_columns`] wrote of as many histograms as there are bases or none.
pub(super) fn get_columns(
    c: &mut Columns<'_>,
    bases: &[Option<&Histogram>],
) -> Option<Vec<Histogram>> {
    let mut columns = Vec::new();
    for _ in 0..COLUMNS {
        columns.push(Cursor::new(c.next()?));
    }
    // Every count takes a byte.
    let mut most: usize = columns[6..].iter().map(Cursor::left).sum();
    let mut last = 0;
    let mut all = Vec::new();
    for base in bases {
        let (fields, counts) = columns.split_at_mut(6);
        let [bits, len, first, count, sum, max] = fields else {
            return None;
        };
        let bits = bits.u8().filter(|bits| (1..=8).contains(bits))?;
        let mut h = Histogram::new(bits);
        let len = usize::get(len)?;
        if len > 0 {
            last = get_step(first, last)?;
            h.first = u16::try_from(last).ok()?;
            let end = usize::from(h.first).checked_add(len)?;
            if end > usize::from(bucket(bits, u64::MAX)) + 1 {
                return None;
            }
        }
        most = most.checked_sub(len)?;
        h.counts.reserve_exact(len);
        let mut before = 0;
        for at in 0..len {
            let hint = base.map_or(before, |base| base.at(usize::from(h.first) + at));
            let n = u32::get(&mut counts[size(hint)])?;
            before = u64::from(n);
            h.counts.push(n);
        }
        let told = h.told();
        h.count = get_step(count, told.0)?;
        h.sum = get_step(sum, told.1)?;
        h.max = get_step(max, base.map_or(told.2, |base| base.max))?;
        all.push(match base {
            Some(base) => base.and(&h)?,
            None => h,
        });
    }
    columns.iter().all(Cursor::is_empty).then_some(all)
}

#[inline]
fn bucket(bits: u8, value: u64) -> u16 {
    let top = 63 - (value | 1).leading_zeros();
    let shift = top.saturating_sub(u32::from(bits));
    // At most (63 - 8) << 8 + 511: fits.
    ((u64::from(shift) << bits) + (value >> shift)) as u16
}

fn lower(bits: u8, bucket: u16) -> u64 {
    let shift = (bucket >> bits).saturating_sub(1);
    (u64::from(bucket) - (u64::from(shift) << bits)) << shift
}

fn upper(bits: u8, bucket: u16) -> u64 {
    let shift = (bucket >> bits).saturating_sub(1);
    lower(bits, bucket) + ((1u64 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bucket_holds_its_value_within_the_bound(value: u64, bits in 1u8..=8) {
            let b = bucket(bits, value);
            prop_assert!(lower(bits, b) <= value && value <= upper(bits, b));
            let excess = upper(bits, b) - value;
            prop_assert!(u128::from(excess) << bits <= u128::from(value));
        }

        #[test]
        fn quantiles_are_upper_bounds(mut values in proptest::collection::vec(any::<u32>(), 1..200), q in 0.0f64..=1.0) {
            let mut h = Histogram::default();
            for v in &values { h.record(u64::from(*v)); }
            values.sort_unstable();
            let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let exact = u64::from(values[rank - 1]);
            let got = h.quantile(q);
            prop_assert!(got >= exact && got as f64 <= exact as f64 * (1.0 + h.relative_error()));
            prop_assert_eq!(h.sum(), values.iter().map(|v| u64::from(*v)).sum::<u64>());
        }

        #[test]
        fn the_encoding_comes_back(values in proptest::collection::vec(any::<u64>(), 0..100), bits in 1u8..=8) {
            let mut h = Histogram::new(bits);
            for v in &values { h.record(*v); }
            let mut bytes = Vec::new();
            h.encode(&mut bytes);
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(Histogram::decode(&mut cursor), Some(h));
            prop_assert!(cursor.is_empty());
        }

        #[test]
        fn columns_come_back(rows in proptest::collection::vec(proptest::collection::vec(prop_oneof![0u64..9_000, any::<u64>()], 0..40), 0..40)) {
            let rows: Vec<Histogram> = rows.iter().map(|values| {
                let mut h = Histogram::default();
                values.iter().for_each(|v| h.record(*v));
                h
            }).collect();
            let mut raw = Raw::new();
            put_columns(rows.iter().map(|h| (h, None)), &mut raw);
            let mut columns = raw.iter();
            prop_assert_eq!(get_columns(&mut columns, &vec![None; rows.len()]), Some(rows));
            prop_assert!(columns.next().is_none());
        }

        #[test]
        fn what_was_added_comes_back(rows in proptest::collection::vec(proptest::collection::vec((prop_oneof![0u64..9_000, any::<u64>()], any::<bool>()), 0..40), 0..40)) {
            let of = |values: &[(u64, bool)], all: bool| {
                let mut h = Histogram::default();
                values.iter().filter(|(_, later)| all || !later).for_each(|(v, _)| h.record(*v));
                h
            };
            let whole: Vec<Histogram> = rows.iter().map(|values| of(values, true)).collect();
            let before: Vec<Histogram> = rows.iter().map(|values| of(values, false)).collect();
            // Every third stands alone.
            let bases: Vec<_> = before.iter().enumerate().map(|(at, b)| (at % 3 > 0).then_some(b)).collect();
            let bases: Vec<_> = bases.into_iter().zip(&whole).map(|(b, h)| b.filter(|b| h.added(b).is_some())).collect();
            let mut raw = Raw::new();
            put_columns(whole.iter().zip(bases.iter().copied()), &mut raw);
            let mut columns = raw.iter();
            prop_assert_eq!(get_columns(&mut columns, &bases), Some(whole));
            prop_assert!(columns.next().is_none());
        }

        #[test]
        fn hostile_encodings_never_panic(bytes: Vec<u8>, n in 0usize..9) {
            let _ = Histogram::decode(&mut Cursor::new(&bytes));
            let raw: Raw = bytes.chunks(bytes.len() / (6 + SIZES) + 1).map(<[u8]>::to_vec).collect();
            let _ = get_columns(&mut raw.iter(), &vec![None; n]);
            let mut base = Histogram::default();
            base.record(7);
            let _ = get_columns(&mut raw.iter(), &vec![Some(&base); n]);
        }

        #[test]
        fn merging_is_recording_both(a in proptest::collection::vec(any::<u64>(), 0..50), b in proptest::collection::vec(any::<u64>(), 0..50)) {
            let mut one = Histogram::default();
            let mut two = Histogram::default();
            let mut both = Histogram::default();
            for v in &a { one.record(*v); both.record(*v); }
            for v in &b { two.record(*v); both.record(*v); }
            one.merge(&two);
            let spans = |h: &Histogram| h.spans().collect::<Vec<_>>();
            prop_assert_eq!(spans(&one), spans(&both));
            prop_assert_eq!(one.sum(), both.sum());
        }
    }
}
