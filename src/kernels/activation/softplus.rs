//! A smooth rectified linear unit.

use super::LOGISTIC_LIMIT;
use crate::kernels::math::{Exp, exp, exp_of_sum, polynomial};
use crate::simd::Simd;

/// ln(1 + y) / y on [0, 1], error 5.6e-9 relative: `fpminimax(log1p(x)/x, 9, [|SG...|], [2^-30;1], relative)`.
#[rustfmt::skip]
const LN_OF_ONE_PLUS: [f32; 10] = [
    1.0, -0.499_999_3, 0.333_304, -0.249_575_06, 0.196_901_81,
    -0.153_411_18, 0.106_574_215, -5.744_449_4e-2, 2.009_119e-2, -3.294_004e-3,
];

/// ln(1 + e^z) = max(0, z) + ln(1 + e^−|z|); NaN stays NaN.
#[inline(always)]
pub(super) fn value<S: Simd>(simd: S, z: S::Vector) -> S::Vector {
    let zero = simd.splat(0.0);
    let size = simd.min(simd.splat(LOGISTIC_LIMIT), simd.abs(z));
    let Exp { u, power, scale } = exp_of_sum(simd, simd.sub(zero, size), zero);
    let y = simd.mul_add(u, power, power);
    let factor = polynomial(simd, LN_OF_ONE_PLUS, y);
    simd.mul_add(simd.mul(y, scale), factor, simd.max(zero, z))
}

/// d_h · σ(z) = d_h · (1 − e^−h)
#[inline(always)]
pub(super) fn gradient<S: Simd>(simd: S, h: S::Vector, d_h: S::Vector) -> S::Vector {
    let e = exp(simd, simd.sub(simd.splat(0.0), h));
    simd.mul(d_h, simd.sub(simd.splat(1.0), e))
}
