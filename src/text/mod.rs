//! Untrusted text made harmless: the one boundary every recorded string crosses before it is drawn or printed.
//!
//! Thread names, command lines, paths, socket names, marks and program output come from programs we do not trust.
//! A terminal obeys control characters, and format characters reorder what a person reads, so both become visible
//! escapes: `\n`, `\x1b`, `\u{202e}`; a byte that is no UTF-8 becomes `\xff`. Everything else stays as it is.
//! Step: model → **view**, for every view.

pub mod names;
pub mod visit;
pub mod wallclock;

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Whether a terminal or a reader could be misled by this character: C0, DEL, C1, line and paragraph separators,
/// and Unicode's format characters (general category Cf: bidi overrides, zero-width joiners, tags).
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}'
        | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

/// The text with every hidden character as a visible escape; borrowed when there is none.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    text.chars().for_each(|c| push_visible(&mut out, c));
    Cow::Owned(out)
}

/// Like [`visible`] for bytes that may not be UTF-8.
pub fn visible_bytes(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return visible(text);
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        chunk
            .valid()
            .chars()
            .for_each(|c| push_visible(&mut out, c));
        for byte in chunk.invalid() {
            push(&mut out, format_args!("\\x{byte:02x}"));
        }
    }
    Cow::Owned(out)
}

/// Several lines of our own layout around untrusted parts: line feeds stay, everything else as in [`visible`].
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c != '\n' && is_hidden(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c == '\n' {
            out.push(c)
        } else {
            push_visible(&mut out, c)
        }
    }
    Cow::Owned(out)
}

fn push_visible(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if !is_hidden(c) => out.push(c),
        c if (c as u32) < 0x80 => push(out, format_args!("\\x{:02x}", c as u32)),
        c => push(out, format_args!("\\u{{{:x}}}", c as u32)),
    }
}

fn push(out: &mut String, piece: fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(piece);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn harmless_text_is_borrowed() {
        assert!(matches!(
            visible("tcp 127.0.0.1:7001 ← ann"),
            Cow::Borrowed(_)
        ));
        assert!(matches!(
            visible_bytes("größe".as_bytes()),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn escapes_say_what_was_there() {
        assert_eq!(visible("\x1b[31mred\x07"), "\\x1b[31mred\\x07");
        assert_eq!(visible("a\u{202e}b\u{85}c"), "a\\u{202e}b\\u{85}c");
        assert_eq!(visible_bytes(b"a\xff\xc2\x9bz\n"), "a\\xff\\u{9b}z\\n");
        assert_eq!(visible_lines("one\n\x1btwo"), "one\n\\x1btwo");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn no_hidden_character_survives(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let shown = visible_bytes(&bytes);
            prop_assert!(!shown.chars().any(is_hidden));
            prop_assert!(!shown.bytes().any(|b| b < 0x20 || b == 0x7f));
        }

        #[test]
        fn no_hidden_scalar_survives(text in any::<String>()) {
            prop_assert!(!visible(&text).chars().any(is_hidden));
        }
    }
}
