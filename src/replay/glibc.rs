//! `logf`, `sinf` and `cosf` of the GNU C library, on the arguments that PyTorch's scalar normal
//! path gives them.
//!
//! All are computed in f64 and rounded once: the logarithm from a table of 16 centres and a cubic,
//! sine and cosine from two short polynomials on [−π/4, π/4]. They are good but not perfect (0.82
//! and 0.56 ulp), so the errors of exactly these approximations are part of PyTorch's numbers.
//! Table and coefficients are those of Arm's Optimized Routines by Szabolcs Nagy and Wilco Dijkstra
//! (MIT licence), adopted by glibc in 2.27 and 2.28.
//!
//! Exact against glibc 2.36 on x86-64, with and without its fused multiply-adds, for every argument
//! that can occur: all 2²⁴ values 1 − k·2⁻²⁴ of the logarithm and the angles of all 2²⁴ values
//! k·2⁻²⁴. The tests hold digests of glibc's results.

use core::f64::consts::{FRAC_2_PI, FRAC_PI_2, LN_2};

/// 1/c and ln c for the centre c of each sixteenth of [0.699, 1.398): bit patterns of f64.
const CENTRES: [[u64; 2]; 16] = [
    [0x3ff661ec79f8f3be, 0xbfd57bf7808caade],
    [0x3ff571ed4aaf883d, 0xbfd2bef0a7c06ddb],
    [0x3ff49539f0f010b0, 0xbfd01eae7f513a67],
    [0x3ff3c995b0b80385, 0xbfcb31d8a68224e9],
    [0x3ff30d190c8864a5, 0xbfc6574f0ac07758],
    [0x3ff25e227b0b8ea0, 0xbfc1aa2bc79c8100],
    [0x3ff1bb4a4a1a343f, 0xbfba4e76ce8c0e5e],
    [0x3ff12358f08ae5ba, 0xbfb1973c5a611ccc],
    [0x3ff0953f419900a7, 0xbfa252f438e10c1e],
    [0x3ff0000000000000, 0x0000000000000000],
    [0x3fee608cfd9a47ac, 0x3faaa5aa5df25984],
    [0x3feca4b31f026aa0, 0x3fbc5e53aa362eb4],
    [0x3feb2036576afce6, 0x3fc526e57720db08],
    [0x3fe9c2d163a1aa2d, 0x3fcbc2860d224770],
    [0x3fe886e6037841ed, 0x3fd1058bc8a07ee1],
    [0x3fe767dcf5534862, 0x3fd4043057b6ee09],
];
/// Bits of the f32 0.69921875, where the range of the reduced argument and the first sixteenth
/// begin.
const RANGE_START: u32 = 0x3f33_0000;
/// (ln(1 + r) − r) / r² for |r| < 1/32, highest power first.
const LN_TAIL: [u64; 3] = [0xbfd00ea348b88334, 0x3fd5575b0be00b6a, 0xbfdffffef20a4123];
/// cos x in powers of x², |x| ≤ π/4, highest first.
const COS: [u64; 5] = [
    0x3ef99343027bf8c3,
    0xbf56c087e89a359d,
    0x3fa55553e1068f19,
    0xbfdffffffd0c621c,
    0x3ff0000000000000,
];
/// (sin x) / x in powers of x², |x| ≤ π/4, highest first.
const SIN: [u64; 4] = [
    0xbf2994eb3774cf24,
    0x3f81107605230bc4,
    0xbfc555545995a603,
    0x3ff0000000000000,
];

/// The polynomial with these coefficients, given by their bits, highest power first.
fn horner(x: f64, coefficients: &[u64]) -> f64 {
    coefficients
        .iter()
        .fold(0.0, |sum, &bits| sum * x + f64::from_bits(bits))
}

/// `logf(x)` for normal positive x.
///
/// x = 2^exponent · z with z near the centre c; ln x = exponent · ln 2 + ln c + ln(1 + r) with r =
/// z/c − 1.
pub(super) fn ln(x: f32) -> f32 {
    let offset = x.to_bits().wrapping_sub(RANGE_START);
    let exponent = offset as i32 >> 23;
    let z = f32::from_bits(x.to_bits().wrapping_sub(offset & 0xff80_0000));
    let [reciprocal, ln_centre] = CENTRES[(offset >> 19) as usize % 16].map(f64::from_bits);
    let r = f64::from(z) * reciprocal - 1.0;
    round(f64::from(exponent) * LN_2 + ln_centre + r + r * r * horner(r, &LN_TAIL))
}

/// `sinf(θ)` and `cosf(θ)` for θ in [0, 120).
pub(super) fn sin_cos(theta: f32) -> (f32, f32) {
    let theta = f64::from(theta);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a quadrant is wanted, rounded to the nearest"
    )]
    let quadrant = (theta * FRAC_2_PI + 0.5) as i32;
    let x = theta - f64::from(quadrant) * FRAC_PI_2;
    let sin = round(x * horner(x * x, &SIN));
    let cos = round(horner(x * x, &COS));
    match quadrant & 3 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

/// The one rounding to single precision.
#[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
fn round(x: f64) -> f32 {
    x as f32
}

#[cfg(test)]
mod tests {
    use core::f64::consts::TAU;
    use std::format;
    use std::string::String;

    use sha2::{Digest, Sha256};

    use super::*;

    /// SHA-256 of a function's results on k·2⁻²⁴ for all k below 2²⁴, as little-endian f32.
    fn digest(function: fn(f32) -> f32) -> String {
        let mut hash = Sha256::new();
        for step in 0..1 << 24 {
            hash.update(function(step as f32 / (1 << 24) as f32).to_le_bytes());
        }
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    // The digests were made with the functions of glibc 2.36; it gave the same with FMA switched
    // off.

    #[test]
    fn every_logarithm_that_can_occur_has_glibcs_bits() {
        let expected = "87df1a963dc44a28d123af1a15f80098af865dea8ef2a4d8079deec10de451bc";
        assert_eq!(digest(|uniform| ln(1.0 - uniform)), expected);
    }

    #[test]
    fn every_sine_that_can_occur_has_glibcs_bits() {
        let expected = "abe1577cb74ef47d82b194b8e0ccdf573e710166350cf0e3aa6d009e0c5fc21a";
        let sin = |uniform| sin_cos(round(TAU * f64::from(uniform))).0;
        assert_eq!(digest(sin), expected);
    }

    #[test]
    fn every_cosine_that_can_occur_has_glibcs_bits() {
        let expected = "505442c7683ba19b14c844adaabcec40648dde61da9e9f1c735939d0f83aa809";
        let cos = |uniform| sin_cos(round(TAU * f64::from(uniform))).1;
        assert_eq!(digest(cos), expected);
    }
}
