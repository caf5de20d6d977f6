//! From text to batches, and the draws behind them.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod batches;
mod draws;
mod initialisation;
mod text;

/// Pearson's statistic of counts that should be equal, or in proportion to `shares`.
fn chi_square(counts: &[u32], shares: &[f64]) -> f64 {
    let total: u32 = counts.iter().sum();
    let all: f64 = shares.iter().sum();
    let terms = counts.iter().zip(shares).map(|(&count, share)| {
        let expected = f64::from(total) * share / all;
        (f64::from(count) - expected).powi(2) / expected
    });
    terms.sum()
}

/// The range that Pearson's statistic stays in with probability 0.998, by Wilson's and Hilferty's cube root (1931).
fn plausible(degrees: usize) -> std::ops::Range<f64> {
    let degrees = degrees as f64;
    let quantile = |z: f64| {
        let variance = 2.0 / (9.0 * degrees);
        degrees * (1.0 - variance + z * variance.sqrt()).powi(3)
    };
    quantile(-3.09)..quantile(3.09)
}

#[test]
fn the_statistic_is_small_for_even_counts_and_large_for_uneven_ones() {
    assert_eq!(chi_square(&[10, 10, 20], &[1.0, 1.0, 2.0]), 0.0);
    assert_eq!(chi_square(&[12, 8], &[1.0, 1.0]), 0.8);
    // From a table: the upper 0.1 % point of four degrees is 18.47, of 99 it is 148.2.
    assert!((plausible(4).end - 18.47).abs() < 0.3);
    assert!((plausible(99).end - 148.2).abs() < 0.3);
}
