//! The typed fields of a mark or span, as the text of its event. Step: **event** → ring … → view.
//!
//! A few `key = value` pairs in at most 256 bytes, written without allocating and read without trusting:
//! `[tag: u8][key length: u8][key][value]`, where the value of a tag is
//!
//! | tag | type | value                                |
//! |-----|------|--------------------------------------|
//! | 1   | u64  | LEB128                               |
//! | 2   | i64  | zigzag LEB128                        |
//! | 3   | f64  | 8 bytes, IEEE 754, little-endian     |
//! | 4   | bool | one byte, 0 or 1                     |
//! | 5   | str  | length: u8, then UTF-8               |

use super::event::MAX_TEXT;
use super::wire::cut;

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// An unsigned integer.
    U64(u64),
    /// A signed integer.
    I64(i64),
    /// A float.
    F64(f64),
    /// A truth value.
    Bool(bool),
    /// Text.
    Str(&'a str),
}

impl core::fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Value::U64(v) => v.fmt(f),
            Value::I64(v) => v.fmt(f),
            Value::F64(v) => v.fmt(f),
            Value::Bool(v) => v.fmt(f),
            Value::Str(v) => f.write_str(v),
        }
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident as $wide:ty),* $(,)?) => {
        $(impl From<$type> for Value<'_> {
            fn from(v: $type) -> Self {
                Value::$variant(v as $wide)
            }
        })*
    };
}
from! {
    u8 => U64 as u64, u16 => U64 as u64, u32 => U64 as u64, u64 => U64 as u64, usize => U64 as u64,
    i8 => I64 as i64, i16 => I64 as i64, i32 => I64 as i64, i64 => I64 as i64, isize => I64 as i64,
    f32 => F64 as f64, f64 => F64 as f64, bool => Bool as bool,
}
impl<'a> From<&'a str> for Value<'a> {
    fn from(v: &'a str) -> Self {
        Value::Str(v)
    }
}

const U64: u8 = 1;
const I64: u8 = 2;
const F64: u8 = 3;
const BOOL: u8 = 4;
const STR: u8 = 5;

/// Fields being collected, on the stack.
#[derive(Clone, Copy)]
pub struct Fields {
    bytes: [u8; MAX_TEXT],
    len: usize,
    cut: bool,
}

impl Default for Fields {
    fn default() -> Self {
        Self::new()
    }
}

impl Fields {
    /// No fields.
    pub const fn new() -> Self {
        Fields {
            bytes: [0; MAX_TEXT],
            len: 0,
            cut: false,
        }
    }

    /// Every pair of a list, as far as they fit.
    pub fn of(pairs: &[(&str, Value<'_>)]) -> Self {
        let mut fields = Self::new();
        for (key, value) in pairs {
            fields.add(key, *value);
        }
        fields
    }

    /// Adds a field. A string that does not fit is cut, another field left out; [`Fields::is_cut`] then says so.
    pub fn add(&mut self, key: &str, value: Value<'_>) {
        let start = self.len;
        let key_len = cut(key.as_bytes(), u8::MAX as usize);
        let key = key.as_bytes().get(..key_len).unwrap_or(&[]);
        let tag = match value {
            Value::U64(_) => U64,
            Value::I64(_) => I64,
            Value::F64(_) => F64,
            Value::Bool(_) => BOOL,
            Value::Str(_) => STR,
        };
        let fits = self.put(&[tag, key_len as u8])
            && self.put(key)
            && match value {
                Value::U64(v) => self.put_leb(v),
                Value::I64(v) => self.put_leb((v << 1 ^ v >> 63) as u64),
                Value::F64(v) => self.put(&v.to_le_bytes()),
                Value::Bool(v) => self.put(&[v as u8]),
                Value::Str(v) => self.put_str(v.as_bytes()),
            };
        if !fits {
            self.len = start;
            self.cut = true;
        }
    }

    /// The bytes to push as the event's text.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// Something did not fit: set [`super::event::flags::CUT`] on the event.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    fn put(&mut self, bytes: &[u8]) -> bool {
        let end = self.len + bytes.len();
        match self.bytes.get_mut(self.len..end) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len = end;
                true
            }
            None => false,
        }
    }

    fn put_leb(&mut self, mut v: u64) -> bool {
        while v >= 0x80 {
            if !self.put(&[v as u8 | 0x80]) {
                return false;
            }
            v >>= 7;
        }
        self.put(&[v as u8])
    }

    fn put_str(&mut self, text: &[u8]) -> bool {
        let room = MAX_TEXT.saturating_sub(self.len + 1);
        if room == 0 && !text.is_empty() {
            return false;
        }
        let len = cut(text, room.min(u8::MAX as usize));
        self.cut |= len < text.len();
        self.put(&[len as u8]) && self.put(text.get(..len).unwrap_or(&[]))
    }
}

/// Reads fields back; ends at the first byte that no [`Fields`] writes.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

/// The fields in an event's text.
pub fn decode(text: &[u8]) -> Iter<'_> {
    Iter { rest: text }
}

impl<'a> Iter<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn leb(&mut self) -> Option<u64> {
        let mut v = 0;
        for shift in (0..64).step_by(7) {
            let b = self.byte()?;
            if shift == 63 && b > 1 {
                return None;
            }
            v |= ((b & 0x7f) as u64) << shift;
            if b < 0x80 {
                return Some(v);
            }
        }
        None
    }

    fn str(&mut self) -> Option<&'a str> {
        let len = self.byte()?;
        core::str::from_utf8(self.take(len as usize)?).ok()
    }

    fn field(&mut self) -> Option<(&'a str, Value<'a>)> {
        let tag = self.byte()?;
        let key = self.str()?;
        let value = match tag {
            U64 => Value::U64(self.leb()?),
            I64 => {
                let v = self.leb()?;
                Value::I64((v >> 1) as i64 ^ -((v & 1) as i64))
            }
            F64 => Value::F64(f64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            BOOL => match self.byte()? {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                _ => return None,
            },
            STR => Value::Str(self.str()?),
            _ => return None,
        };
        Some((key, value))
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_comes_back() {
        let pairs = [
            ("id", Value::U64(u64::MAX)),
            ("delta", Value::I64(i64::MIN)),
            ("load", Value::F64(0.25)),
            ("ok", Value::Bool(true)),
            ("path", Value::Str("/index.html")),
            ("", Value::from(0u8)),
        ];
        let fields = Fields::of(&pairs);
        assert!(!fields.is_cut());
        assert!(decode(fields.bytes()).eq(pairs));
    }

    #[test]
    fn what_does_not_fit_is_cut_and_says_so() {
        let long = "é".repeat(200);
        let fields = Fields::of(&[("a", Value::from(long.as_str())), ("b", Value::from(1u8))]);
        assert!(fields.is_cut());
        let got: Vec<_> = decode(fields.bytes()).collect();
        assert_eq!(got.len(), 1);
        assert_eq!(got[0].1, Value::Str(&long[..252]));
        assert!(fields.bytes().len() <= MAX_TEXT);
    }

    #[test]
    fn a_cut_text_still_gives_its_whole_fields() {
        let fields = Fields::of(&[("one", Value::from(1u8)), ("two", Value::from("zwei"))]);
        let bytes = fields.bytes();
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).count() <= 1, "cut at {len}");
        }
        assert_eq!(decode(bytes).count(), 2);
    }
}
