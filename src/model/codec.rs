//! Variable-length numbers and a small trait for writing the model's structs to bytes and back: what checkpoints
//! and pyramids are made of. Reading never panics and never allocates more than the input could fill.
//! Step: **model**.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

/// Appends `value` in LEB128.
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads bytes from the front of a slice.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// A number written by [`put`].
    #[inline]
    pub fn u64(&mut self) -> Option<u64> {
        // Most are small.
        match self.rest.split_first()? {
            (first, rest) if *first < 0x80 => {
                self.rest = rest;
                Some(u64::from(*first))
            }
            _ => self.long(),
        }
    }

    fn long(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return None;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// The next `n` bytes.
    pub fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(head)
    }
}

/// Something that can be written to bytes and read back.
pub trait Codec: Sized {
    /// Appends itself.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads what `put` wrote.
    fn get(c: &mut Cursor<'_>) -> Option<Self>;
}

macro_rules! unsigned {
    ($($t:ty)*) => { $(impl Codec for $t {
        fn put(&self, out: &mut Vec<u8>) { put(out, *self as u64); }
        fn get(c: &mut Cursor<'_>) -> Option<Self> { <$t>::try_from(c.u64()?).ok() }
    })* };
}
unsigned!(u8 u16 u32 u64 usize);

macro_rules! signed {
    ($($t:ty)*) => { $(impl Codec for $t {
        fn put(&self, out: &mut Vec<u8>) {
            let v = i64::from(*self);
            put(out, ((v << 1) ^ (v >> 63)) as u64);
        }
        fn get(c: &mut Cursor<'_>) -> Option<Self> {
            let z = c.u64()?;
            <$t>::try_from((z >> 1) as i64 ^ -((z & 1) as i64)).ok()
        }
    })* };
}
signed!(i32 i64);

impl Codec for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        match c.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Codec for f64 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bits().to_le_bytes());
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        Some(f64::from_bits(u64::from_le_bytes(
            c.bytes(8)?.try_into().ok()?,
        )))
    }
}

impl<T: Codec> Codec for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        Some(if bool::get(c)? {
            Some(T::get(c)?)
        } else {
            None
        })
    }
}

impl<T: Codec> Codec for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put(out, self.len() as u64);
        for item in self {
            item.put(out);
        }
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        let n = usize::get(c)?;
        // Every item takes at least a byte, so a count beyond the input is damage.
        if n > c.left() {
            return None;
        }
        (0..n).map(|_| T::get(c)).collect()
    }
}

impl<T: Codec> Codec for VecDeque<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put(out, self.len() as u64);
        for item in self {
            item.put(out);
        }
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        Vec::get(c).map(VecDeque::from)
    }
}

impl<T: Codec + Ord> Codec for std::collections::BTreeSet<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put(out, self.len() as u64);
        for item in self {
            item.put(out);
        }
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        Vec::get(c).map(|items| items.into_iter().collect())
    }
}

impl<K: Codec + Ord, V: Codec> Codec for std::collections::BTreeMap<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        put(out, self.len() as u64);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        let n = usize::get(c)?;
        if n > c.left() {
            return None;
        }
        (0..n).map(|_| Some((K::get(c)?, V::get(c)?))).collect()
    }
}

impl Codec for Box<[u8]> {
    fn put(&self, out: &mut Vec<u8>) {
        put(out, self.len() as u64);
        out.extend_from_slice(self);
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        let n = usize::get(c)?;
        Some(c.bytes(n)?.into())
    }
}

impl<T: Codec> Codec for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        T::put(self, out);
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        T::get(c).map(Box::new)
    }
}

impl<T: Codec + Copy + Default, const N: usize> Codec for [T; N] {
    fn put(&self, out: &mut Vec<u8>) {
        for item in self {
            item.put(out);
        }
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        let mut all = [T::default(); N];
        for item in &mut all {
            *item = T::get(c)?;
        }
        Some(all)
    }
}

impl<A: Codec, B: Codec> Codec for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        Some((A::get(c)?, B::get(c)?))
    }
}

impl<A: Codec, B: Codec, C: Codec> Codec for (A, B, C) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
        self.2.put(out);
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        Some((A::get(c)?, B::get(c)?, C::get(c)?))
    }
}

impl Codec for Arc<str> {
    fn put(&self, out: &mut Vec<u8>) {
        put(out, self.len() as u64);
        out.extend_from_slice(self.as_bytes());
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        let n = usize::get(c)?;
        Some(std::str::from_utf8(c.bytes(n)?).ok()?.into())
    }
}

impl Codec for String {
    fn put(&self, out: &mut Vec<u8>) {
        put(out, self.len() as u64);
        out.extend_from_slice(self.as_bytes());
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        let n = usize::get(c)?;
        Some(std::str::from_utf8(c.bytes(n)?).ok()?.to_owned())
    }
}

/// A map is written in the order of its keys, so that equal maps are equal bytes.
impl<K, V, S> Codec for std::collections::HashMap<K, V, S>
where
    K: Codec + Ord + Hash,
    V: Codec,
    S: BuildHasher + Default,
{
    fn put(&self, out: &mut Vec<u8>) {
        put(out, self.len() as u64);
        let mut keys: Vec<&K> = self.keys().collect();
        keys.sort_unstable();
        for key in keys {
            key.put(out);
            self[key].put(out);
        }
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        let n = usize::get(c)?;
        if n > c.left() {
            return None;
        }
        (0..n).map(|_| Some((K::get(c)?, V::get(c)?))).collect()
    }
}

impl Codec for super::Histogram {
    fn put(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        Self::decode(c)
    }
}

/// Writes a [`Codec`] for a struct, field by field. A field missing here does not compile in `get`.
macro_rules! codec {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::model::codec::Codec for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::model::codec::Codec::put(&self.$field, out);)*
            }
            fn get(c: &mut $crate::model::codec::Cursor<'_>) -> Option<Self> {
                $(let $field = $crate::model::codec::Codec::get(c)?;)*
                Some(Self { $($field),* })
            }
        }
    };
}

/// Writes a [`Codec`] for an enum of unit and struct-like variants.
macro_rules! codec_enum {
    ($name:ident { $($code:literal => $variant:ident $({ $($field:ident),* })? $(($($item:ident),*))?),* $(,)? }) => {
        impl $crate::model::codec::Codec for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $($name::$variant $({ $($field),* })? $(($($item),*))? => {
                        out.push($code);
                        $($($crate::model::codec::Codec::put($field, out);)*)?
                        $($($crate::model::codec::Codec::put($item, out);)*)?
                    })*
                }
            }
            fn get(c: &mut $crate::model::codec::Cursor<'_>) -> Option<Self> {
                Some(match c.u8()? {
                    $($code => {
                        $($(let $field = $crate::model::codec::Codec::get(c)?;)*)?
                        $($(let $item = $crate::model::codec::Codec::get(c)?;)*)?
                        $name::$variant $({ $($field),* })? $(($($item),*))?
                    })*
                    _ => return None,
                })
            }
        }
    };
}

pub(crate) use {codec, codec_enum};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(a: u64, b: i64, c: i32) {
            let mut out = Vec::new();
            (a, (b, c)).put(&mut out);
            prop_assert_eq!(<(u64, (i64, i32))>::get(&mut Cursor::new(&out)), Some((a, (b, c))));
        }

        #[test]
        fn hostile_bytes_never_panic(bytes: Vec<u8>) {
            let _ = <Vec<(u64, Option<Arc<str>>)>>::get(&mut Cursor::new(&bytes));
        }
    }

    #[test]
    fn a_count_beyond_the_input_is_refused() {
        let mut out = Vec::new();
        put(&mut out, u64::MAX);
        assert_eq!(Vec::<u8>::get(&mut Cursor::new(&out)), None);
    }
}
