//! The sigmoid linear unit, also called swish.

use super::{LOGISTIC_LIMIT, logistic};
use crate::simd::Simd;

/// z · σ(z), and its derivative σ(z) + z · σ(z) · σ(−z); NaN stays NaN.
#[inline(always)]
pub(super) fn value_and_slope<S: Simd>(simd: S, z: S::Vector) -> (S::Vector, S::Vector) {
    let (zero, one) = (simd.splat(0.0), simd.splat(1.0));
    let tails = logistic(simd, z);
    let limited = simd.max(simd.splat(-LOGISTIC_LIMIT), z); // NaN stays
    // z · q first, and the power of two last: rounded once, subnormal or not.
    let product = simd.mul(limited, simd.select_lt(z, zero, tails.q, tails.p));
    let value = simd.mul(product, simd.select_lt(z, zero, tails.scale, one));

    let q = simd.mul(tails.q, tails.scale);
    let sigmoid = simd.select_lt(z, zero, q, tails.p);
    (value, simd.mul_add(z, simd.mul(tails.p, q), sigmoid))
}
