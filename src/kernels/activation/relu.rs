//! The rectified linear unit.

use crate::simd::Simd;

/// max(0, z); NaN stays NaN.
#[inline(always)]
pub(super) fn value<S: Simd>(simd: S, z: S::Vector) -> S::Vector {
    simd.max(simd.splat(0.0), z) // the order of the operands keeps NaN
}

/// d_h where h > 0, else 0.
#[inline(always)]
pub(super) fn gradient<S: Simd>(simd: S, h: S::Vector, d_h: S::Vector) -> S::Vector {
    let zero = simd.splat(0.0);
    simd.select_lt(zero, h, d_h, zero)
}
