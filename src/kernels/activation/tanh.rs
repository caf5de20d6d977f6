//! The hyperbolic tangent.

pub(super) use crate::kernels::math::tanh as value;
use crate::simd::Simd;

/// d_h · (1 − h²)
#[inline(always)]
pub(super) fn gradient<S: Simd>(simd: S, h: S::Vector, d_h: S::Vector) -> S::Vector {
    simd.mul(d_h, simd.neg_mul_add(h, h, simd.splat(1.0)))
}
