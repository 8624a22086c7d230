//! The page table, stored once at the end so that opening need not walk the file. Step: **trace**.
//!
//! One row a page, in file order, every number relative to the row before; `docs/FORMAT.md` has the bytes.

use super::bits::{Input, put_varint, unzigzag, zigzag};
use super::page::{HEADER, PageHeader};
use super::scan::Entry;

/// Encodes the rows.
pub(crate) fn encode(pages: &[Entry], out: &mut Vec<u8>) {
    out.clear();
    put_varint(out, pages.len() as u64);
    let mut before = PageHeader::default();
    let mut end = 0u64;
    for entry in pages {
        let h = &entry.header;
        out.push(h.kind);
        let next_event = before.first_event.wrapping_add(u64::from(before.count));
        let relative = |a: u64, b: u64| zigzag(a.wrapping_sub(b));
        put_varint(out, relative(entry.at, end));
        put_varint(out, u64::from(h.packed));
        put_varint(
            out,
            relative(u64::from(h.segment), u64::from(before.segment)),
        );
        put_varint(out, relative(h.first_event, next_event));
        put_varint(out, u64::from(h.count));
        put_varint(out, relative(h.t_first, before.t_last));
        put_varint(out, relative(h.t_last, h.t_first));
        filter(out, u128::from(h.loops));
        filter(out, h.fds);
        filter(out, h.words);
        before = *h;
        end = entry.end();
    }
}

/// A filter with few bits set as a list of them, else whole.
fn filter(out: &mut Vec<u8>, mut bits: u128) {
    let n = bits.count_ones();
    if n > 15 {
        out.push(0xff);
        out.extend_from_slice(&bits.to_le_bytes());
        return;
    }
    out.push(n as u8);
    while bits != 0 {
        out.push(bits.trailing_zeros() as u8);
        bits &= bits - 1;
    }
}

fn read_filter(input: &mut Input<'_>) -> Option<u128> {
    match input.byte()? {
        0xff => Some(u128::from_le_bytes(*input.bytes(16)?.first_chunk()?)),
        n @ 0..=15 => input
            .bytes(usize::from(n))?
            .iter()
            .try_fold(0, |bits, &b| Some(bits | 1u128.checked_shl(u32::from(b))?)),
        _ => None,
    }
}

/// Decodes the rows of a file that is `len` bytes long; nothing if they cannot be true. Codec, coding version and
/// checksums are not in the table: the page's own header has them.
pub(crate) fn decode(raw: &[u8], len: u64) -> Option<Vec<Entry>> {
    let mut input = Input(raw);
    let n: usize = input.small()?;
    if n as u64 > len / HEADER as u64 {
        return None;
    }
    let mut pages = Vec::with_capacity(n);
    let mut before = PageHeader::default();
    let mut end = 0u64;
    for _ in 0..n {
        let kind = input.byte()?;
        let mut from = |base: u64| Some(base.wrapping_add(unzigzag(input.varint()?)));
        let at = from(end)?;
        let packed = input.small()?;
        let mut from = |base: u64| Some(base.wrapping_add(unzigzag(input.varint()?)));
        let segment = u32::try_from(from(u64::from(before.segment))?).ok()?;
        let first_event = from(before.first_event.wrapping_add(u64::from(before.count)))?;
        let count = input.small()?;
        let mut from = |base: u64| Some(base.wrapping_add(unzigzag(input.varint()?)));
        let t_first = from(before.t_last)?;
        let t_last = from(t_first)?;
        let loops = u64::try_from(read_filter(&mut input)?).ok()?;
        let fds = read_filter(&mut input)?;
        let words = read_filter(&mut input)?;
        let header = PageHeader {
            kind,
            segment,
            count,
            first_event,
            t_first,
            t_last,
            loops,
            fds,
            words,
            packed,
            ..PageHeader::default()
        };
        let entry = Entry { at, header };
        if at > len || entry.end() > len || first_event.checked_add(u64::from(count)).is_none() {
            return None;
        }
        end = entry.end();
        before = header;
        pages.push(entry);
    }
    input.0.is_empty().then_some(pages)
}
