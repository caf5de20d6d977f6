//! The rectified linear unit, clipped at 1.

use crate::simd::Simd;

/// min(1, max(0, z)); NaN stays NaN.
#[inline(always)]
pub(super) fn value<S: Simd>(simd: S, z: S::Vector) -> S::Vector {
    let rectified = simd.max(simd.splat(0.0), z); // the order of the operands keeps NaN
    simd.min(simd.splat(1.0), rectified)
}

/// d_h where 0 < h < 1, else 0.
#[inline(always)]
pub(super) fn gradient<S: Simd>(simd: S, h: S::Vector, d_h: S::Vector) -> S::Vector {
    let zero = simd.splat(0.0);
    let below_one = simd.select_lt(h, simd.splat(1.0), d_h, zero);
    simd.select_lt(zero, h, below_one, zero)
}
