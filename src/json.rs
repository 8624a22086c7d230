//! A small JSON writer with keys in the order they are written: the contract in the manual lists them in an order that
//! people read, and a million-line export must not build a tree first. Step: model → **view** (report, info, export).
//!
//! Text is escaped so that no control or bidi character reaches a terminal: JSON's own `\u` escapes carry them.
#![forbid(unsafe_code)]

use crate::text::is_hidden;
use std::fmt::Write;

/// A JSON text under construction. Commas and line breaks place themselves.
#[derive(Default)]
pub struct Json {
    out: String,
    comma: bool,
    line: bool,
}

/// A value [`Json`] can write.
pub trait Put {
    /// Writes itself as one JSON value.
    fn put(&self, json: &mut Json);
}

impl Json {
    /// An empty text.
    pub fn new() -> Self {
        Self::default()
    }

    /// What has been written so far.
    pub fn as_str(&self) -> &str {
        &self.out
    }

    /// Forgets everything but the allocation.
    pub fn clear(&mut self) {
        self.out.clear();
        self.comma = false;
        self.line = false;
    }

    /// Starts a new line before the next key or element (layout only).
    pub fn line(&mut self) -> &mut Self {
        self.line = true;
        self
    }

    /// `"name":value`
    pub fn field(&mut self, name: &str, value: impl Put) -> &mut Self {
        self.key(name);
        value.put(self);
        self
    }

    /// `"name":{…}`
    pub fn object(&mut self, name: &str, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.key(name);
        self.braces(body)
    }

    /// `"name":[…]`
    pub fn array(&mut self, name: &str, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.key(name);
        self.wrap('[', ']', body)
    }

    /// `{…}` as the whole text or an element.
    pub fn braces(&mut self, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.wrap('{', '}', body)
    }

    /// An element of an array.
    pub fn element(&mut self, value: impl Put) -> &mut Self {
        value.put(self);
        self
    }

    fn wrap(&mut self, open: char, close: char, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.separate();
        self.out.push(open);
        self.comma = false;
        body(self);
        self.line = false;
        self.out.push(close);
        self.comma = true;
        self
    }

    fn key(&mut self, name: &str) {
        self.separate();
        self.string(name);
        self.out.push(':');
        self.comma = false;
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(',');
        }
        if std::mem::take(&mut self.line) {
            self.out.push('\n');
        }
        self.comma = true;
    }

    fn raw(&mut self, piece: std::fmt::Arguments<'_>) {
        self.separate();
        // Writing to a String cannot fail.
        let _ = self.out.write_fmt(piece);
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                c if is_hidden(c) => {
                    let mut units = [0u16; 2];
                    for unit in c.encode_utf16(&mut units) {
                        let _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

macro_rules! put_number {
    ($($int:ty)*) => {$(
        impl Put for $int {
            fn put(&self, json: &mut Json) {
                json.raw(format_args!("{self}"));
            }
        }
    )*};
}
put_number!(u8 u16 u32 u64 usize i16 i32 i64 bool);

impl Put for f64 {
    /// JSON has no infinity and no NaN: both are "not computed".
    fn put(&self, json: &mut Json) {
        match self.is_finite() {
            true => json.raw(format_args!("{self:?}")),
            false => json.raw(format_args!("null")),
        }
    }
}

impl Put for &str {
    fn put(&self, json: &mut Json) {
        json.separate();
        json.string(self);
    }
}

impl Put for &String {
    fn put(&self, json: &mut Json) {
        self.as_str().put(json);
    }
}

impl Put for &[u8] {
    /// Bytes that are no UTF-8 are written as `\xff`.
    fn put(&self, json: &mut Json) {
        match std::str::from_utf8(self) {
            Ok(text) => text.put(json),
            Err(_) => {
                let text: String = (self.utf8_chunks())
                    .flat_map(|chunk| {
                        let escaped = chunk.invalid().iter().map(|b| format!("\\x{b:02x}"));
                        std::iter::once(chunk.valid().to_owned()).chain(escaped)
                    })
                    .collect();
                text.as_str().put(json);
            }
        }
    }
}

impl<T: Put> Put for Option<T> {
    fn put(&self, json: &mut Json) {
        match self {
            Some(value) => value.put(json),
            None => json.raw(format_args!("null")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_commas_place_themselves() {
        let mut json = Json::new();
        json.braces(|j| {
            j.field("z", 1u32).field("a", None::<u32>);
            j.array("list", |j| {
                j.line().element("x").line().element(-2i64);
                j.line().braces(|j| {
                    j.field("half", 0.5);
                });
            });
            j.object("empty", |_| {}).field("last", true);
        });
        assert_eq!(
            json.as_str(),
            "{\"z\":1,\"a\":null,\"list\":[\n\"x\",\n-2,\n{\"half\":0.5}],\"empty\":{},\"last\":true}"
        );
        assert!(serde_json::from_str::<serde_json::Value>(json.as_str()).is_ok());
    }

    #[test]
    fn any_text_comes_back_and_shows_no_control_character() {
        for text in [
            "a\"b\\c\n\t",
            "\u{1b}[2J",
            "\u{202e}evil",
            "\u{e0041}",
            "é→█",
        ] {
            let mut json = Json::new();
            json.element(text);
            assert!(!json.as_str().chars().any(is_hidden), "{text:?}");
            assert_eq!(serde_json::from_str::<String>(json.as_str()).unwrap(), text);
        }
    }

    #[test]
    fn no_number_is_not_a_number() {
        let mut json = Json::new();
        json.element(f64::NAN);
        assert_eq!(json.as_str(), "null");
    }
}
