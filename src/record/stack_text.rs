//! Text written on the stack: what is named or described on its way into a ring must not allocate.
//! Step: **event** → ring.

use core::fmt;

use super::event::MAX_TEXT;

/// Room for one character more than a record can carry, so that the push still sees that it was cut.
const ROOM: usize = MAX_TEXT + 4;

/// A text of at most `ROOM` bytes; more is left out.
#[derive(Clone, Copy)]
pub struct StackText {
    bytes: [u8; ROOM],
    len: usize,
}

impl Default for StackText {
    fn default() -> Self {
        Self::new()
    }
}

impl StackText {
    /// An empty one.
    pub const fn new() -> Self {
        StackText {
            bytes: [0; ROOM],
            len: 0,
        }
    }

    /// What has been written.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// The text up to where it is one: a character may be cut at the end.
    #[cfg(feature = "tracing")]
    pub fn as_str(&self) -> &str {
        match core::str::from_utf8(self.as_bytes()) {
            Ok(text) => text,
            Err(error) => self
                .as_bytes()
                .get(..error.valid_up_to())
                .and_then(|bytes| core::str::from_utf8(bytes).ok())
                .unwrap_or(""),
        }
    }

    /// Appends as many of the bytes as there is room for.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        let len = bytes.len().min(ROOM - self.len);
        if let (Some(room), Some(bytes)) = (
            self.bytes.get_mut(self.len..self.len + len),
            bytes.get(..len),
        ) {
            room.copy_from_slice(bytes);
            self.len += len;
        }
    }

    /// Appends a path without `.`, and without each `..` together with what it leaves: of `src/../demos/a.rs` comes
    /// `demos/a.rs`.
    pub fn push_path(&mut self, path: &str) {
        if path.starts_with('/') {
            self.push_bytes(b"/");
        }
        let start = self.len;
        // Parts written from `start` on that a `..` can still take back.
        let mut named = 0;
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." if named > 0 => {
                    named -= 1;
                    let written = self.bytes.get(start..self.len).unwrap_or(&[]);
                    self.len = start + written.iter().rposition(|b| *b == b'/').unwrap_or(0);
                }
                ".." if path.starts_with('/') => {}
                part => {
                    if self.len > start {
                        self.push_bytes(b"/");
                    }
                    self.push_bytes(part.as_bytes());
                    named += usize::from(part != "..");
                }
            }
        }
    }
}

impl fmt::Write for StackText {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.push_bytes(s.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_the_short_way() {
        for (path, short) in [
            ("src/../demos/greedy_fd.rs", "demos/greedy_fd.rs"),
            ("src/main.rs", "src/main.rs"),
            ("./src//a/./b/../../main.rs", "src/main.rs"),
            ("../other/src/lib.rs", "../other/src/lib.rs"),
            ("a/../../b.rs", "../b.rs"),
            ("/build/src/../demos/a.rs", "/build/demos/a.rs"),
            ("/../a.rs", "/a.rs"),
            ("a/..", ""),
            ("", ""),
        ] {
            let mut text = StackText::new();
            text.push_bytes(b"at ");
            text.push_path(path);
            let told = text.as_bytes().strip_prefix(b"at ");
            assert_eq!(told, Some(short.as_bytes()), "{path}");
        }
    }

    #[test]
    fn a_path_that_is_too_long_is_cut() {
        let long = "x/".repeat(MAX_TEXT) + &"../".repeat(MAX_TEXT) + "y";
        let mut text = StackText::new();
        text.push_path(&long);
        assert!(text.as_bytes().len() <= ROOM);
    }
}
