//! A column as what has changed since another one: pieces of LZ4, each with the piece of the other column around the same
//! place as its dictionary. Step: **model**.

use std::ops::Range;

use super::codec::{Codec, Cursor, put};

/// LZ4 looks back 64 KiB: over a piece and what lies around it in the other column.
const PIECE: usize = 32 << 10;
/// What was put in or taken out before may shift a piece by so much.
const SHIFT: usize = 8 << 10;

/// Where the dictionary of the piece at `at` stands in a column of this length.
fn around(at: usize, len: usize) -> Range<usize> {
    at.saturating_sub(SHIFT).min(len)..(at + PIECE + SHIFT).min(len)
}

/// How `column` differs from `base`.
pub(super) fn from(base: &[u8], column: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (n, piece) in column.chunks(PIECE).enumerate() {
        let dictionary = &base[around(n * PIECE, base.len())];
        let changed = lz4_flex::block::compress_with_dict(piece, dictionary);
        put(&mut out, changed.len() as u64);
        out.extend(changed);
    }
    out
}

/// The column of `len` bytes of which [`from`] gave `changed`.
pub(super) fn to(changed: &[u8], base: &[u8], len: usize) -> Option<Vec<u8>> {
    // LZ4 makes at most 255 bytes of one.
    if len / 256 > changed.len() {
        return None;
    }
    let mut c = Cursor::new(changed);
    let mut column = vec![0; len];
    for (n, piece) in column.chunks_mut(PIECE).enumerate() {
        let block = usize::get(&mut c)?;
        let block = c.bytes(block)?;
        let dictionary = &base[around(n * PIECE, base.len())];
        let got = lz4_flex::block::decompress_into_with_dict(block, piece, dictionary).ok()?;
        if got != piece.len() {
            return None;
        }
    }
    c.is_empty().then_some(column)
}
