//! Whether two sets of figures differ by more than they vary: the rank test of Mann and Whitney (On a Test of Whether one
//! of Two Random Variables is Stochastically Larger than the Other, Ann. Math. Stat. 18, 1947), two-sided, by its normal
//! approximation with the correction for ties. Step: model → **view**.
//!
//! Ranks, because waiting times are far from normal and one stall must not decide.

/// The chance that two samples of the same thing differ as much in rank as these; 1 where one of them is empty.
pub(super) fn chance(a: &[f64], b: &[f64]) -> f64 {
    let (n, m) = (a.len() as f64, b.len() as f64);
    let all = n + m;
    if a.is_empty() || b.is_empty() {
        return 1.0;
    }
    let mut ranked: Vec<(f64, bool)> = (a.iter().map(|v| (*v, true)))
        .chain(b.iter().map(|v| (*v, false)))
        .collect();
    ranked.sort_by(|x, y| x.0.total_cmp(&y.0));
    let mut ranks_of_a = 0.0;
    let mut ties = 0.0;
    let mut before = 0.0;
    for equal in ranked.chunk_by(|x, y| x.0 == y.0) {
        let t = equal.len() as f64;
        let rank = before + (t + 1.0) / 2.0;
        ranks_of_a += rank * equal.iter().filter(|(_, of_a)| *of_a).count() as f64;
        ties += t * t * t - t;
        before += t;
    }
    let u = ranks_of_a - n * (n + 1.0) / 2.0;
    let variance = n * m / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    // Half a rank nearer: a step function is compared with a smooth one.
    let off = ((u - n * m / 2.0).abs() - 0.5).max(0.0) / variance.sqrt();
    (2.0 * upper_tail(off)).min(1.0)
}

/// What of the normal distribution lies above `z` ≥ 0, to 1e-7 (Abramowitz and Stegun, Handbook of Mathematical
/// Functions, 26.2.17).
fn upper_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let sum = [
        1.330_274_429,
        -1.821_255_978,
        1.781_477_937,
        -0.356_563_782,
        0.319_381_530,
    ];
    let sum = sum.iter().fold(0.0, |sum, c| (sum + c) * t);
    sum * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_tables() {
        for (z, p) in [
            (0.0, 0.5),
            (1.0, 0.158_655),
            (1.959_964, 0.025),
            (3.0, 0.001_349_9),
        ] {
            assert!((upper_tail(z) - p).abs() < 1e-5, "{z}: {}", upper_tail(z));
        }
    }

    /// Worked by hand: U = 0, n = m = 8, so z = (32 − 0.5) ÷ √(64 × 17 ÷ 12) = 3.308.
    #[test]
    fn samples_that_do_not_overlap() {
        let low: Vec<f64> = (0..8).map(f64::from).collect();
        let high: Vec<f64> = (100..108).map(f64::from).collect();
        let p = chance(&low, &high);
        assert!((p - 0.000_939).abs() < 2e-5, "{p}");
        assert_eq!(p, chance(&high, &low));
    }

    #[test]
    fn samples_of_the_same_are_told_apart_as_seldom_as_promised() {
        let mut state = 1u64;
        let mut sample = || -> Vec<f64> {
            let mut next = || {
                state = (state.wrapping_mul(6_364_136_223_846_793_005))
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 40) as f64
            };
            (0..16).map(|_| next()).collect()
        };
        let wrong = (0..4_000)
            .filter(|_| chance(&sample(), &sample()) < 0.01)
            .count();
        assert!((15..=70).contains(&wrong), "{wrong} of 4000");
    }

    #[test]
    fn nothing_to_compare_is_no_difference() {
        assert_eq!(chance(&[], &[1.0]), 1.0);
        assert_eq!(chance(&[5.0; 8], &[5.0; 8]), 1.0);
    }
}
