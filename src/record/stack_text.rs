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
}

impl fmt::Write for StackText {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.push_bytes(s.as_bytes());
        Ok(())
    }
}
