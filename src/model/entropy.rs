//! Packing a column of small numbers: each byte costs what it is rare (rANS with the column's own frequencies).
//! Unpacking trusts nothing and makes at most a few thousand bytes of each byte it reads. Step: **model**.

use super::change;
use super::codec::{Cursor, put};

const BITS: u32 = 12;
const TOTAL: u32 = 1 << BITS;
/// The coder's two states stay at or above this. They take turns, byte by byte, so that a processor works on both at a
/// time, and take in two bytes at most once a byte.
const LOW: u32 = 1 << 16;
/// Columns shorter than this are not worth a table of frequencies.
const WORTH: usize = 48;
/// The most bytes that one packed byte may stand for.
const MOST_PER_BYTE: usize = 4_096;
const MOST_SAME: usize = 256 << 10;

const PLAIN: u8 = 0;
const CODED: u8 = 1;
/// Every byte is the same, and there are at most [`MOST_SAME`].
const SAME: u8 = 2;
/// What has changed since the base.
const CHANGED: u8 = 3;

/// Appends a column; where a column is much like `base`, as what has changed.
pub(super) fn pack(column: &[u8], base: &[u8], out: &mut Vec<u8>) {
    put(out, column.len() as u64);
    match column {
        [] => {}
        [first, rest @ ..]
            if (1..MOST_SAME).contains(&rest.len()) && rest.iter().all(|b| b == first) =>
        {
            out.extend([SAME, *first]);
        }
        _ => {
            let coded = (column.len() >= WORTH).then(|| encode(column));
            let small = |coded: &Vec<u8>| {
                coded.len() < column.len() && column.len() / MOST_PER_BYTE < coded.len()
            };
            let coded = coded.filter(small);
            let least = coded.as_ref().map_or(column.len(), Vec::len);
            let mut changed = Vec::new();
            if !base.is_empty() && column.len() >= WORTH {
                pack(&change::from(base, column), &[], &mut changed);
            }
            match coded {
                _ if (1..least).contains(&changed.len()) => {
                    out.push(CHANGED);
                    out.extend(changed);
                }
                Some(coded) => {
                    out.push(CODED);
                    put(out, coded.len() as u64);
                    out.extend(coded);
                }
                None => {
                    out.push(PLAIN);
                    out.extend(column);
                }
            }
        }
    }
}

/// Reads what [`pack`] wrote with this base, if it is no longer than `most`.
pub(super) fn unpack(c: &mut Cursor<'_>, base: &[u8], most: usize) -> Option<Vec<u8>> {
    let len = usize::try_from(c.u64()?).ok().filter(|len| *len <= most)?;
    if len == 0 {
        return Some(Vec::new());
    }
    match c.u8()? {
        PLAIN => Some(c.bytes(len)?.to_vec()),
        SAME => {
            let byte = c.u8()?;
            (len <= MOST_SAME).then(|| vec![byte; len])
        }
        CODED => {
            let packed = usize::try_from(c.u64()?).ok()?;
            let packed = c.bytes(packed)?;
            let most = packed.len().saturating_mul(MOST_PER_BYTE);
            (len <= most).then(|| decode(packed, len)).flatten()
        }
        CHANGED if !base.is_empty() => change::to(&unpack(c, &[], most)?, base, len),
        _ => None,
    }
}

/// How often each byte occurs, scaled so that the sum is [`TOTAL`] and no byte that occurs has 0.
fn frequencies(column: &[u8]) -> [u32; 256] {
    let mut seen = [0u64; 256];
    for byte in column {
        seen[usize::from(*byte)] += 1;
    }
    let mut scaled = [0u32; 256];
    for (to, n) in scaled.iter_mut().zip(seen) {
        if n > 0 {
            *to = ((n * u64::from(TOTAL) / column.len() as u64) as u32).max(1);
        }
    }
    let mut sum: u32 = scaled.iter().sum();
    // Rounding is made good where it costs least: at the largest.
    while sum != TOTAL {
        let Some(largest) = scaled.iter_mut().max() else {
            break;
        };
        if sum < TOTAL {
            *largest += TOTAL - sum;
            sum = TOTAL;
        } else {
            let less = (sum - TOTAL).min(*largest / 2).max(1);
            *largest -= less;
            sum -= less;
        }
    }
    scaled
}

fn encode(column: &[u8]) -> Vec<u8> {
    let frequency = frequencies(column);
    let mut out = Vec::new();
    let used = frequency.iter().filter(|f| **f > 0).count();
    put(&mut out, used as u64);
    let mut start = [0u32; 256];
    let (mut sum, mut last) = (0, 0);
    for (byte, f) in frequency.iter().enumerate() {
        start[byte] = sum;
        sum += f;
        if *f > 0 {
            put(&mut out, (byte - last) as u64);
            put(&mut out, u64::from(*f));
            last = byte;
        }
    }
    let mut coded = Vec::with_capacity(column.len());
    let mut states = [LOW; 2];
    for (at, byte) in column.iter().enumerate().rev() {
        let (f, start) = (frequency[usize::from(*byte)], start[usize::from(*byte)]);
        let state = &mut states[at % 2];
        if u64::from(*state) >= u64::from(f) << (32 - BITS) {
            coded.extend((*state as u16).to_be_bytes());
            *state >>= 16;
        }
        *state = ((*state / f) << BITS) + *state % f + start;
    }
    states
        .iter()
        .for_each(|state| out.extend(state.to_le_bytes()));
    out.extend(coded.iter().rev());
    out
}

fn decode(packed: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut c = Cursor::new(packed);
    let used = c.u64()?;
    if used > 256 {
        return None;
    }
    // How often each byte occurs and where its places start; which byte a place is of.
    let mut places = [(0u16, 0u16); 256];
    let mut of = [0u8; TOTAL as usize];
    let (mut sum, mut byte) = (0u32, 0usize);
    for _ in 0..used {
        byte = byte.checked_add(usize::try_from(c.u64()?).ok()?)?;
        let f = u32::try_from(c.u64()?)
            .ok()
            .filter(|f| (1..=TOTAL).contains(f))?;
        if byte > 255 || places[byte].0 != 0 || sum + f > TOTAL {
            return None;
        }
        places[byte] = (f as u16, sum as u16);
        of[sum as usize..(sum + f) as usize].fill(byte as u8);
        sum += f;
    }
    if sum != TOTAL {
        return None;
    }
    let mut state = || Some(u32::from_le_bytes(c.bytes(4)?.try_into().ok()?));
    let (mut even, mut odd) = (state()?, state()?);
    let mut rest = c.bytes(c.left())?.chunks_exact(2);
    let mut next = |state: &mut u32| {
        let at = *state & (TOTAL - 1);
        let byte = of[at as usize];
        let (f, start) = places[usize::from(byte)];
        *state = u32::from(f)
            .wrapping_mul(*state >> BITS)
            .wrapping_add(at.wrapping_sub(u32::from(start)));
        if *state < LOW {
            let two = rest.next()?;
            *state = *state << 16 | u32::from(two[0]) | u32::from(two[1]) << 8;
        }
        Some(byte)
    };
    let mut out = vec![0; len];
    let mut pairs = out.chunks_exact_mut(2);
    for pair in &mut pairs {
        pair[0] = next(&mut even)?;
        pair[1] = next(&mut odd)?;
    }
    if let [last] = pairs.into_remainder() {
        *last = next(&mut even)?;
    }
    let whole = rest.next().is_none() && rest.remainder().is_empty();
    (whole && even == LOW && odd == LOW).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(column: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        pack(column, &[], &mut out);
        let mut c = Cursor::new(&out);
        let column = unpack(&mut c, &[], 1 << 24);
        column.filter(|_| c.is_empty())
    }

    proptest! {
        #[test]
        fn a_column_comes_back(column in proptest::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..3_000)) {
            prop_assert_eq!(back(&column), Some(column));
        }

        #[test]
        fn hostile_bytes_never_panic(bytes: Vec<u8>, len in 0usize..5_000) {
            let _ = unpack(&mut Cursor::new(&bytes), &[], len);
            let _ = unpack(&mut Cursor::new(&[&[9, CHANGED][..], &bytes].concat()), b"base", len);
            let _ = decode(&bytes, len);
        }
    }

    #[test]
    fn skewed_columns_cost_little() {
        let mut column = vec![0; 9_000];
        column.extend([1; 1_000]);
        column.extend((0..=255).cycle().take(512));
        assert_eq!(back(&column), Some(column.clone()));
        let mut out = Vec::new();
        pack(&column, &[], &mut out);
        assert!(out.len() < 2_200, "{}", out.len());
        let rare = [vec![7; 1 << 20], vec![8]].concat();
        assert_eq!(back(&rare), Some(rare));
    }

    #[test]
    fn what_has_changed_is_what_is_written() {
        let base: Vec<u8> = (0..90_000u32)
            .flat_map(|n| n.wrapping_mul(n).to_le_bytes())
            .collect();
        let mut column = base.clone();
        column.splice(70_000..70_003, [1, 2, 3, 4, 5]);
        let mut out = Vec::new();
        pack(&column, &base, &mut out);
        assert!(out.len() < 4_000, "{}", out.len());
        let back = unpack(&mut Cursor::new(&out), &base, 1 << 24);
        assert_eq!(back, Some(column));
        assert_eq!(unpack(&mut Cursor::new(&out), &[], 1 << 24), None);
    }

    #[test]
    fn a_length_beyond_the_input_is_refused() {
        let mut out = Vec::new();
        put(&mut out, u64::MAX);
        out.extend([SAME, 3]);
        assert_eq!(unpack(&mut Cursor::new(&out), &[], 1 << 24), None);
    }
}
