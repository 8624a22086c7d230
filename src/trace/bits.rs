//! Numbers in as few bits as they need: varints, and packed runs with exceptions. Step: **trace**.
//!
//! A packed run stores most values in `width` bits each; the few that need more are exceptions whose upper bits follow.
//! Durations and steps of time have long tails, so that a width for the typical value and a list of outliers beats
//! both a fixed width for all and a varint, and unpacks without a branch per value.

/// Appends a varint: seven bits a byte, the lowest first, the top bit says that more follow.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Signed numbers near zero become small unsigned ones: 0, −1, 1, −2, …
pub(crate) fn zigzag(value: u64) -> u64 {
    (value << 1) ^ (((value as i64) >> 63) as u64)
}

/// The inverse of [`zigzag`].
pub(crate) fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

/// A hostile-safe reading position: every take is checked.
pub(crate) struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    pub fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(bytes)
    }

    pub fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A varint that must fit a smaller type.
    pub fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.varint()?).ok()
    }
}

fn bits(value: u64) -> usize {
    64 - value.leading_zeros() as usize
}

/// The widest value stored without an exception: an unaligned 8-byte load yields any 56 bits at any bit offset.
const WIDEST: usize = 56;

/// The cheapest width for these values and the size of the packed run in bytes.
pub(crate) fn width(values: impl Iterator<Item = u64>) -> (usize, usize) {
    let mut counts = [0usize; 65];
    let mut n = 0;
    for value in values {
        counts[bits(value)] += 1;
        n += 1;
    }
    let most = counts.iter().rposition(|&c| c > 0).unwrap_or(0);
    let mut best = (0, usize::MAX);
    let mut exceptions = 0;
    for width in (0..=most).rev() {
        // Values of `width + 1` bits and more do not fit.
        exceptions += counts.get(width + 1).copied().unwrap_or(0);
        let size = (n * width).div_ceil(8) + exceptions * (2 + (most - width).div_ceil(7));
        if width <= WIDEST && size < best.1 {
            best = (width, size);
        }
    }
    best
}

/// Appends a packed run of these values.
pub(crate) fn pack(values: &[u64], width: usize, out: &mut Vec<u8>) {
    let mask = (1u64 << width) - 1;
    let exceptions = values.iter().filter(|&&v| v > mask).count();
    out.push(width as u8);
    put_varint(out, exceptions as u64);
    let (mut pending, mut filled) = (0u128, 0);
    for &value in values {
        pending |= u128::from(value & mask) << filled;
        filled += width;
        if filled >= 64 {
            out.extend_from_slice(&(pending as u64).to_le_bytes());
            pending >>= 64;
            filled -= 64;
        }
    }
    out.extend_from_slice(&pending.to_le_bytes()[..filled.div_ceil(8)]);
    let mut last = 0;
    for (i, &value) in values.iter().enumerate().filter(|(_, v)| **v > mask) {
        put_varint(out, (i - last) as u64);
        put_varint(out, value >> width);
        last = i;
    }
}

/// Unpacks a run of `n` values: hands each to `each`, then corrects the exceptions through `fix`.
pub(crate) fn unpack(input: &mut Input<'_>, out: &mut [u64]) -> Option<()> {
    let n = out.len();
    let width = usize::from(input.byte()?);
    let exceptions: usize = input.small()?;
    if width > WIDEST || exceptions > n {
        return None;
    }
    let mask = (1u64 << width) - 1;
    let packed = input.bytes((n * width).div_ceil(8))?;
    // Values whose eight bytes lie wholly inside the run need no care.
    let easy = if width == 0 {
        n
    } else {
        (packed.len().saturating_sub(7) * 8).div_ceil(width).min(n)
    };
    let (fast, slow) = out.split_at_mut(easy);
    if width == 0 {
        fast.fill(0);
    } else {
        let mut bit = 0;
        for value in fast.iter_mut() {
            let (at, shift) = (bit >> 3, bit & 7);
            let word = packed[at..]
                .first_chunk::<8>()
                .map_or(0, |w| u64::from_le_bytes(*w));
            *value = word >> shift & mask;
            bit += width;
        }
    }
    for (i, value) in slow.iter_mut().enumerate() {
        let bit = (easy + i) * width;
        let mut word = [0; 8];
        let rest = packed.get(bit >> 3..).unwrap_or(&[]);
        let len = rest.len().min(8);
        word[..len].copy_from_slice(&rest[..len]);
        *value = u64::from_le_bytes(word) >> (bit & 7) & mask;
    }
    let mut at = 0usize;
    for _ in 0..exceptions {
        at = at.checked_add(input.small()?)?;
        let high = input.varint()?;
        let value = out.get_mut(at)?;
        *value |= high.checked_shl(width as u32)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[u64]) {
        let mut out = Vec::new();
        let (best, size) = width(values.iter().copied());
        pack(values, best, &mut out);
        assert!(
            out.len() <= size + 4 + values.len() / 4,
            "{} for an estimate of {size}",
            out.len()
        );
        let mut input = Input(&out);
        let mut back = vec![1; values.len()];
        unpack(&mut input, &mut back).expect("what was packed unpacks");
        assert_eq!(back, values);
        assert!(input.0.is_empty());
    }

    proptest! {
        #[test]
        fn runs_round_trip(values in proptest::collection::vec(prop_oneof![8 => 0u64..5000, 1 => any::<u64>()], 0..300)) {
            round_trip(&values);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100), n in 0usize..200) {
            let _ = unpack(&mut Input(&bytes), &mut vec![0; n]);
        }

        #[test]
        fn varints_round_trip(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, zigzag(value));
            assert_eq!(Input(&out).varint().map(unzigzag), Some(value));
        }
    }

    #[test]
    fn extremes_round_trip() {
        round_trip(&[]);
        round_trip(&[0; 100]);
        round_trip(&[u64::MAX; 10]);
        round_trip(&[0, u64::MAX, 1, 1 << 56, (1 << 56) - 1]);
    }
}
