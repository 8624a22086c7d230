//! The start of a recording file: magic, version, layout and [`Meta`], written twice. Step: **trace**.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0  | 8 | magic `89 4c 53 43 4f 50 45 0a` ("\x89LSCOPE\n") |
//! | 8  | 2 | format version |
//! | 10 | 2 | the oldest format version whose readers can read this file |
//! | 12 | 4 | length of the body |
//! | 16 | 4 | number of segment places reused in a circle, 0 when the file just grows |
//! | 20 | 4 | which copy this is: 1 or 2 |
//! | 24 | 8 | size of a segment place |
//! | 32 | 8 | file id: a random number that goes into every page header's checksum |
//! | 40 | 4 | CRC-32 (IEEE) of bytes 0 to 40 followed by the body |
//! | 44 | … | the body: [`Meta`]'s tagged fields |
//!
//! The second copy follows the first without a gap. These 44 bytes are the same in every future version.

use super::meta::{MAX_BODY, Meta};
use super::page::{get32, get64};

/// The format version this code writes.
pub const VERSION: u16 = 1;
/// The oldest reader that can read what this code writes.
const OLDEST_READER: u16 = 1;

pub(crate) const MAGIC: [u8; 8] = *b"\x89LSCOPE\n";
pub(crate) const FIXED: usize = 44;
/// How many bytes at the start of a file can hold both copies.
pub(crate) const MAX_HEADERS: usize = 2 * (FIXED + MAX_BODY);

/// Where segments stand in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Number of places reused in a circle; 0: segments follow one another and the file grows.
    pub places: u32,
    /// Size of a place in bytes.
    pub place_size: u64,
    /// Goes into every page header's checksum, so that pages of another file are never taken for this one's.
    pub id: u64,
}

/// Both copies, ready to be written.
pub(crate) fn encode(meta: &Meta, layout: Layout) -> Vec<u8> {
    let body = meta.encode();
    let mut out = Vec::with_capacity(2 * (FIXED + body.len()));
    for copy in [1u32, 2] {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&OLDEST_READER.to_le_bytes());
        out.extend_from_slice(&(body.len() as u32).to_le_bytes());
        out.extend_from_slice(&layout.places.to_le_bytes());
        out.extend_from_slice(&copy.to_le_bytes());
        out.extend_from_slice(&layout.place_size.to_le_bytes());
        out.extend_from_slice(&layout.id.to_le_bytes());
        let crc = checksum(&out[start..], &body);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&body);
    }
    out
}

fn checksum(fixed: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(fixed);
    hasher.update(body);
    hasher.finalize()
}

/// Why no header was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotARecording,
    TooShort,
    Damaged,
    Newer(u16),
}

/// A header as read.
#[derive(Debug)]
pub(crate) struct Found {
    pub meta: Meta,
    pub layout: Layout,
    /// Where the pages start.
    pub end: u64,
    /// The copy (1 or 2) that is damaged or missing although the file goes on after it.
    pub damaged: Option<u8>,
}

struct Copy {
    number: u32,
    version: u16,
    oldest_reader: u16,
    layout: Layout,
    len: usize,
}

/// Reads one copy at the start of `bytes`.
fn copy(bytes: &[u8]) -> Option<Copy> {
    let fixed = bytes.get(..FIXED)?;
    if fixed[..8] != MAGIC {
        return None;
    }
    let len = get32(fixed, 12) as usize;
    let body = bytes.get(FIXED..FIXED.checked_add(len)?)?;
    if len > MAX_BODY || (checksum(&fixed[..40], body) != get32(fixed, 40) && !cfg!(fuzzing)) {
        return None;
    }
    let layout = Layout {
        places: get32(fixed, 16),
        place_size: get64(fixed, 24),
        id: get64(fixed, 32),
    };
    Some(Copy {
        number: get32(fixed, 20),
        version: u16::from_le_bytes([fixed[8], fixed[9]]),
        oldest_reader: u16::from_le_bytes([fixed[10], fixed[11]]),
        layout,
        len: FIXED + len,
    })
}

/// Finds the header in the first bytes of a file (up to [`MAX_HEADERS`] of them).
pub(crate) fn decode(bytes: &[u8]) -> Result<Found, Refusal> {
    let found = |c: &Copy, at: usize, end: usize, damaged| {
        if c.oldest_reader > VERSION {
            return Err(Refusal::Newer(c.version));
        }
        let meta = Meta::decode(&bytes[at + FIXED..at + c.len]);
        Ok(Found {
            meta,
            layout: c.layout,
            end: end as u64,
            damaged,
        })
    };
    if let Some(first) = copy(bytes).filter(|c| c.number == 1) {
        let rest = &bytes[first.len..];
        let second_good = copy(rest).is_some_and(|c| c.number == 2 && c.len == first.len);
        // A file that ends inside the second copy is cut, not damaged.
        let cut = rest.len() < first.len
            && rest
                .iter()
                .zip(&bytes[..first.len])
                .skip(24)
                .take(16)
                .all(|(a, b)| a == b);
        let damaged = (!second_good && !cut).then_some(2);
        return found(&first, 0, 2 * first.len, damaged);
    }
    let mut at = 1;
    while let Some(step) = bytes
        .get(at..)
        .and_then(|rest| rest.windows(8).position(|w| w == MAGIC))
    {
        at += step;
        if let Some(second) = copy(&bytes[at..]).filter(|c| c.number == 2) {
            return found(&second, at, at + second.len, Some(1));
        }
        at += 1;
    }
    let start = &bytes[..bytes.len().min(8)];
    if start.iter().zip(&MAGIC).filter(|(a, b)| a != b).count() > 1 {
        return Err(Refusal::NotARecording);
    }
    let whole = bytes.len() >= FIXED && bytes.len() >= FIXED + get32(bytes, 12) as usize;
    Err(if whole {
        Refusal::Damaged
    } else {
        Refusal::TooShort
    })
}
