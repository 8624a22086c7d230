//! The text that an event may carry. Step: **event** → ring.

/// A piece of the text buffer that travels beside a run of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// Offset in bytes.
    pub at: u32,
    /// Length in bytes, at most [`MAX_TEXT`].
    pub len: u16,
}

impl Text {
    /// The bytes, or nothing if the reference does not lie inside `buffer`.
    pub fn of(self, buffer: &[u8]) -> &[u8] {
        let at = self.at as usize;
        buffer.get(at..at + self.len as usize).unwrap_or(&[])
    }
}

/// The longest text one event carries, in bytes; longer text is cut and [`flags::CUT`](super::flags::CUT) says so.
pub const MAX_TEXT: usize = 256;
