//! The Gaussian error linear unit, in its exact form.

use crate::kernels::math::{Exp, exp_of_sum, polynomial};
use crate::simd::Simd;

/// z · Φ(z) is zero in `f32` for z ≤ −14.75.
const LIMIT: f32 = 14.75;

/// Adding this to a number from 0 to 2⁷ rounds it to a multiple of 2⁻⁸: 1.5 · 2¹⁵.
const ROUND_TO_256TH: f32 = 49_152.0;

/// R(m) · (m + 2.25) on [0, 14.75], where e^(−m²/2) · R(m) = 1 − Φ(m), as a polynomial in 1 / (m + 2.25) − [`MIDDLE`]; error 1.1e-8
/// relative: `R = exp((1/(x+c)-k)^2/2)*erfc((1/(x+c)-k)/sqrt(2))/2/(x+c); fpminimax(R, 10, [|SG...|], [1/(14.75+k)-c;1/k-c],
/// relative)` with k = 2.25 and c = 0.1875.
#[rustfmt::skip]
const TAIL: [f32; 11] = [
    0.63311744, 1.6176505, 1.8514496, -1.8178734, -5.9371657, 7.611135, 20.023296, -53.163593, -30.794132, 277.13647, -322.30453,
];

/// A value of 1 / (m + 2.25) near the middle of its range.
const MIDDLE: f32 = 0.1875;

/// 1 / √(2π)
const DENSITY_AT_ZERO: f32 = 0.398_942_3;

/// z · Φ(z), and its derivative Φ(z) + z · φ(z), with the distribution function Φ(z) = (1 + erf(z / √2)) / 2 and the density
/// φ(z) = e^(−z²/2) / √(2π); NaN stays NaN.
///
/// # Accuracy
///
/// −z²/2 falls to −109, and its rounding would cost e^(−z²/2) up to fifty units in the last place. So m = |z| is split into a
/// multiple of 2⁻⁸, whose square is exact, and a small rest: m² = high² + (m + high) · low. The relative error of the reciprocal of
/// m + 2.25 is found by fused multiply-adds, and corrected in the polynomial's argument, and in the factor by way of the exponent.
#[inline(always)]
pub(super) fn value_and_slope<S: Simd>(simd: S, z: S::Vector) -> (S::Vector, S::Vector) {
    let (zero, one) = (simd.splat(0.0), simd.splat(1.0));
    let m = simd.min(simd.splat(LIMIT), simd.abs(z)); // NaN stays
    let minus_half = simd.splat(-0.5);
    let shifter = simd.splat(ROUND_TO_256TH);
    let high = simd.sub(simd.add(m, shifter), shifter);
    let low = simd.sub(m, high);
    let exponent = simd.mul(minus_half, simd.mul(high, high));
    let tail = simd.mul(minus_half, simd.mul(simd.add(m, high), low));

    let shift = simd.splat(2.25);
    let shifted = simd.add(m, shift);
    let reciprocal = simd.div(one, shifted);
    let error = if S::FUSED {
        simd.neg_mul_add(reciprocal, m, simd.neg_mul_add(reciprocal, shift, one))
    } else {
        // That of the sum alone.
        simd.mul(reciprocal, simd.sub(simd.sub(shifted, shift), m))
    };
    let v = simd.sub(reciprocal, simd.splat(MIDDLE));
    let v = simd.mul_add(reciprocal, error, v);
    let ratio = simd.mul(polynomial(simd, TAIL, v), reciprocal);
    let Exp { u, power, scale } = exp_of_sum(simd, exponent, simd.add(tail, error));
    let ratio = simd.mul(ratio, power);
    let unscaled = simd.mul_add(u, ratio, ratio);
    let upper = simd.mul(unscaled, scale);
    let lower = simd.sub(one, upper);

    // For z < 0 the power of two comes last: the product is rounded once, subnormal or not.
    let limited = simd.max(simd.splat(-LIMIT), z);
    let negative = simd.mul(simd.mul(limited, unscaled), scale);
    let value = simd.select_lt(z, zero, negative, simd.mul(z, lower));
    let distribution = simd.select_lt(z, zero, upper, lower);
    let peak = simd.mul(power, simd.splat(DENSITY_AT_ZERO));
    let density = simd.mul(simd.mul_add(u, peak, peak), scale);
    (value, simd.mul_add(z, density, distribution))
}
