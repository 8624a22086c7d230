//! How to write and what came of it; pages that hold something else than events. Step: ring → **trace**.

use std::ops::Range;

use super::page::{PageHeader, PageKind};

/// How to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Replace a file of that name.
    pub force: bool,
    /// Keep the file below this many bytes by dropping the oldest events; at least [`Options::LEAST_SIZE`].
    pub max_size: Option<u64>,
}

impl Options {
    /// The smallest size limit that works.
    pub const LEAST_SIZE: u64 = 256 << 10;
}

/// What a finished recording holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events written, dropped ones included: one more than the number of the last.
    pub events: u64,
    /// Events that could not be written (disk full, I/O error); the file says so too.
    pub lost: u64,
    /// Events written but dropped again to honour the size limit.
    pub dropped: u64,
    /// The file's size in bytes.
    pub bytes: u64,
}

/// The header of a derived page: the filters carry what the page is instead.
pub(crate) fn derived_header(
    kind: u16,
    model_version: u32,
    events: Range<u64>,
    next_event: u64,
) -> PageHeader {
    PageHeader {
        kind: PageKind::Derived as u8,
        version: 1,
        first_event: events.start,
        loops: u64::from(kind) | u64::from(model_version) << 32,
        fds: u128::from(events.end),
        words: u128::from(next_event),
        ..PageHeader::default()
    }
}

/// The page of an attachment.
pub(crate) fn attachment(name: &str, bytes: &[u8], first_event: u64) -> (PageHeader, Vec<u8>) {
    let mut raw = (name.len() as u16).to_le_bytes().to_vec();
    raw.extend_from_slice(name.as_bytes());
    raw.extend_from_slice(bytes);
    (
        PageHeader {
            kind: PageKind::Attachment as u8,
            version: 1,
            first_event,
            ..PageHeader::default()
        },
        raw,
    )
}
