//! The leaky rectified linear unit.

use crate::simd::Simd;

/// Slope for z ≤ 0, as PyTorch's `LeakyReLU` has it by default.
const NEGATIVE_SLOPE: f32 = 0.01;

/// z where z > 0, else 0.01 · z; NaN stays NaN.
#[inline(always)]
pub(super) fn value<S: Simd>(simd: S, z: S::Vector) -> S::Vector {
    let leak = simd.mul(simd.splat(NEGATIVE_SLOPE), z);
    simd.select_lt(simd.splat(0.0), z, z, leak)
}

/// d_h where h > 0, else 0.01 · d_h.
#[inline(always)]
pub(super) fn gradient<S: Simd>(simd: S, h: S::Vector, d_h: S::Vector) -> S::Vector {
    let leak = simd.mul(simd.splat(NEGATIVE_SLOPE), d_h);
    simd.select_lt(simd.splat(0.0), h, d_h, leak)
}
