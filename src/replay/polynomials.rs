//! The single-precision logarithm, sine, cosine and inverse error function inside PyTorch's vector
//! code and inside XLA.
//!
//! Each function repeats one library's sequence of operations, because its last bit is part of the
//! random numbers which that library makes. A multiply-add written [`fma`] rounds once, everything
//! else rounds after every operation, and the order is not free.
//!
//! Sources: logarithm, sine, cosine and log1p come from the **Cephes** mathematical library by
//! Stephen L. Moshier. PyTorch has them by way of Julien Pommier's `avx_mathfun` (zlib licence),
//! with fused multiply-adds put in; XLA uses the same logarithm in another order of evaluation. The
//! inverse error function is the single-precision one of M. Giles, "Approximating the erfinv
//! function", GPU Computing Gems (2011). The orders of evaluation are those observed in PyTorch
//! 2.15.0 (x86-64 with AVX2 or more) and in jaxlib 0.10.2 (x86-64); with them every normal and
//! Gumbel variate compared is exact, as `torch.rs` and `jax.rs` say.

use crate::float::{mul_add, sqrt};

/// Coefficients from their bit patterns, which define them.
const fn floats<const N: usize>(bits: [u32; N]) -> [f32; N] {
    let mut values = [0.0; N];
    let mut index = 0;
    while index < N {
        values[index] = f32::from_bits(bits[index]);
        index += 1;
    }
    values
}

/// The polynomial in x with these coefficients, highest power first, by Horner's rule in fused
/// steps.
fn horner(x: f32, coefficients: &[f32]) -> f32 {
    // The first step gives the first coefficient exactly.
    coefficients
        .iter()
        .fold(0.0, |sum, &coefficient| mul_add(sum, x, coefficient))
}

/// Cephes `logf`: (ln(1 + t) − t + t²/2) / t³ for t in [√½ − 1, √2 − 1).
#[rustfmt::skip]
const LN_TAIL: [f32; 9] = floats([
    0x3d9021bb, 0xbdebd1b8, 0x3def251a, 0xbdfe5d4f, 0x3e11e9bf, 0xbe2aae50, 0x3e4cceac, 0xbe7ffffc, 0x3eaaaaaa,
]);
/// ln 2 = high + low, the high part short enough for an exact product with an exponent.
const LN_2: [f32; 2] = floats([0x3f318000, 0xb95e8083]);
/// √½, the least 1 + t.
const SQRT_HALF: f32 = f32::from_bits(0x3f3504f3);

/// Splits x > 0 into (exponent, t) with x = 2^exponent · (1 + t), 1 + t in [√½, √2). Subnormals
/// count as 2^−126.
fn split_exponent(x: f32) -> (f32, f32) {
    let bits = x.max(f32::MIN_POSITIVE).to_bits();
    let exponent = ((bits >> 23) as i32 - 126) as f32;
    let mantissa = f32::from_bits((bits & 0x007f_ffff) | 0x3f00_0000); // in [½, 1)
    if mantissa < SQRT_HALF {
        (exponent - 1.0, (mantissa - 1.0) + mantissa)
    } else {
        (exponent, mantissa - 1.0)
    }
}

/// ln x for positive finite x, as PyTorch's vector code has it.
pub(super) fn ln_torch(x: f32) -> f32 {
    let (exponent, t) = split_exponent(x);
    let square = t * t;
    let tail = horner(t, &LN_TAIL) * t;
    let tail = mul_add(tail, square, exponent * LN_2[1]) - 0.5 * square;
    mul_add(exponent, LN_2[0], t + tail)
}

/// ln x for positive finite x, as XLA has it: the polynomial by threes, the exponent's low part
/// inside.
pub(super) fn ln_xla(x: f32) -> f32 {
    let (exponent, t) = split_exponent(x);
    let square = t * t;
    let cube = square * t;
    let high = horner(t, &LN_TAIL[0..3]);
    let middle = horner(t, &LN_TAIL[3..6]);
    let low = horner(t, &LN_TAIL[6..9]);
    let tail = mul_add(mul_add(high, cube, middle), cube, low);
    let tail = mul_add(tail, cube, exponent * LN_2[1]);
    mul_add(exponent, LN_2[0], (t - 0.5 * square) + tail)
}

/// 4/π: octants per radian.
const FOUR_OVER_PI: f32 = f32::from_bits(0x3fa2f983);
/// −π/4 in three parts, each but the last short enough for an exact product with an octant.
const MINUS_QUARTER_PI: [f32; 3] = floats([0xbf490000, 0xb97da000, 0xb3222169]);
/// Cephes `cosf`: (cos x − 1 + x²/2) / x⁴ in powers of x², |x| ≤ π/4.
const COS_TAIL: [f32; 3] = floats([0x37ccf5ce, 0xbab6061a, 0x3d2aaaa5]);
/// Cephes `sinf`: (sin x − x) / x³ in powers of x², |x| ≤ π/4.
const SIN_TAIL: [f32; 3] = floats([0xb94ca1f9, 0x3c08839e, 0xbe2aaaa3]);

/// (sin θ, cos θ) for θ in [0, 8192), as PyTorch's vector code has them.
pub(super) fn sin_cos_torch(theta: f32) -> (f32, f32) {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an octant is wanted, rounded down"
    )]
    let octant = ((theta * FOUR_OVER_PI) as i32 + 1) & !1;
    let x = MINUS_QUARTER_PI
        .iter()
        .fold(theta, |x, &part| mul_add(octant as f32, part, x));
    let square = x * x;
    let cos = horner(square, &COS_TAIL);
    let cos = mul_add(cos * square, square, -(0.5 * square)) + 1.0;
    let sin = horner(square, &SIN_TAIL);
    let sin = mul_add(sin * square, x, x);
    match octant & 7 {
        0 => (sin, cos),
        2 => (cos, -sin),
        4 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

/// Cephes `log1p`: numerator and denominator of (ln(1 + t) − t + t²/2) / t³.
#[rustfmt::skip]
const LOG1P_TAIL: [[f32; 7]; 2] = [
    floats([0x383de04b, 0x3eff40c5, 0x40d284fa, 0x41ef4b9c, 0x4273cc76, 0x426473ad, 0x41a05101]),
    floats([0x3f800000, 0x417101ad, 0x42a6185b, 0x435dc32d, 0x439a8ca3, 0x43586d8a, 0x42707982]),
];
/// √2 − 1, where XLA's `log1p` passes to the logarithm.
const LOG1P_LIMIT: f32 = f32::from_bits(0x3ed413cd);

/// ln(1 + t) for finite t > −1, as XLA has it.
fn log1p_xla(t: f32) -> f32 {
    if t.abs() >= LOG1P_LIMIT {
        return ln_xla(1.0 + t);
    }
    let square = t * t;
    let tail = horner(t, &LOG1P_TAIL[0]) / horner(t, &LOG1P_TAIL[1]);
    t + mul_add(square, -0.5, t * square * tail)
}

/// Giles: erf⁻¹(x)/x in powers of w − 5/2 where w = −ln(1 − x²) < 5.
#[rustfmt::skip]
const ERF_INV_CENTRE: [f32; 9] = floats([
    0x32f16588, 0x34b84b36, 0xb66c7357, 0xb6935ac1, 0x396532db, 0xbaa45408, 0xbb88e4ef, 0x3e7c8f63, 0x3fc02e2f,
]);
/// Giles: the same in powers of √w − 3 where w ≥ 5.
#[rustfmt::skip]
const ERF_INV_EDGE: [f32; 9] = floats([
    0xb951f09b, 0x38d3b56b, 0x3ab0dc72, 0xbb70bde7, 0x3bbc127b, 0xbbf9c5d7, 0x3c1aa57e, 0x3f8036db, 0x40354f7e,
]);

/// erf⁻¹(x) for |x| < 1, as XLA has it.
pub(super) fn erf_inv_xla(x: f32) -> f32 {
    let w = -log1p_xla(x * -x);
    x * if w < 5.0 {
        horner(w - 2.5, &ERF_INV_CENTRE)
    } else {
        horner(sqrt(w) - 3.0, &ERF_INV_EDGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of bits: an argument and jaxlib 0.10.2's value.
    fn assert_bits(function: fn(f32) -> f32, pairs: &[[u32; 2]]) {
        for &[x, y] in pairs {
            let got = function(f32::from_bits(x)).to_bits();
            assert_eq!(got, y, "at {x:08x}: {got:08x}, not {y:08x}");
        }
    }

    #[test]
    fn inverse_error_function_has_xlas_bits() {
        #[rustfmt::skip]
        assert_bits(erf_inv_xla, &[
            [0xbf7fffff, 0xc07547ca], [0xbf7fbe77, 0xc014e999], [0xbf000000, 0xbef430fe], [0xbdcccccd, 0xbdb5fa21],
            [0x3dcccccd, 0x3db5fa21], [0x3f23d70a, 0x3f25b2e2], [0x3f266666, 0x3f292dbf], [0x3f333333, 0x3f3b9d4f],
            [0x3f7d70a4, 0x3fe92333], [0x3f7ff972, 0x403010d3],
        ]);
    }

    #[test]
    fn log1p_has_xlas_bits() {
        #[rustfmt::skip]
        assert_bits(log1p_xla, &[
            [0xbf7ffffe, 0xc17f1402], [0xbf7f7cff, 0xc0c6e254], [0xbe800000, 0xbe934b10], [0xbc23d70b, 0xbc24aa2b],
            [0xbed1b717, 0xbf06e686], [0xbed851ea, 0xbf0c8e54], [0xbefae147, 0xbf2c604f], [0xbf7ae7d6, 0xc07ab0bd],
            [0xbf7ff2e4, 0xc10845be],
        ]);
    }

    #[test]
    fn logarithm_has_xlas_bits() {
        #[rustfmt::skip]
        assert_bits(ln_xla, &[
            [0x0da24260, 0xc28a27b5], [0x3a83126f, 0xc0dd0c55], [0x3e99999a, 0xbf9a1bc8], [0x3f333333, 0xbeb69e1a],
            [0x3f400000, 0xbe934b11], [0x3fc00000, 0x3ecf991f], [0x41880000, 0x4035535e], [0x501502f9, 0x41b834f1],
        ]);
    }

    #[test]
    fn torchs_functions_stay_within_3e_7_of_f64() {
        for step in 1..=1 << 16 {
            let x = step as f32 / (1 << 16) as f32;
            let ln = libm::log(f64::from(x));
            assert!((f64::from(ln_torch(x)) - ln).abs() <= 3e-7 * ln.abs().max(1.0));
            let theta = core::f32::consts::TAU * x;
            let (sin, cos) = sin_cos_torch(theta);
            assert!((f64::from(sin) - libm::sin(f64::from(theta))).abs() <= 3e-7);
            assert!((f64::from(cos) - libm::cos(f64::from(theta))).abs() <= 3e-7);
        }
    }
}
