//! The logistic function.

use super::logistic;
use crate::simd::Simd;

/// σ(z) = 1 / (1 + e^−z); NaN stays NaN.
#[inline(always)]
pub(super) fn value<S: Simd>(simd: S, z: S::Vector) -> S::Vector {
    let tails = logistic(simd, z);
    let q = simd.mul(tails.q, tails.scale);
    simd.select_lt(z, simd.splat(0.0), q, tails.p)
}

/// d_h · h · (1 − h)
#[inline(always)]
pub(super) fn gradient<S: Simd>(simd: S, h: S::Vector, d_h: S::Vector) -> S::Vector {
    simd.mul(d_h, simd.neg_mul_add(h, h, h))
}
