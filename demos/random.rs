//! Random numbers that never change: the same seed gives the same load on every machine and in every version.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed; `stream` tells several users of one seed apart.
    pub fn new(seed: u64, stream: u64) -> Random {
        Random(seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17))
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_for_ever() {
        let mut a = Random::new(1, 0);
        let first: Vec<u64> = (0..4).map(|_| a.below(1000)).collect();
        // The last three digits of the published sequence for seed 1.
        assert_eq!(first, [465, 519, 590, 235]);
        let mut b = Random::new(1, 1);
        assert_ne!(first, (0..4).map(|_| b.below(1000)).collect::<Vec<_>>());
    }
}
