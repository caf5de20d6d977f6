//! The activations of hidden neurons, and their derivatives.

use super::math::tanh;
use crate::model::ActivationKind;
use crate::simd::Simd;

/// h = activation(z).
#[inline(always)]
pub(crate) fn activate<S: Simd>(simd: S, activation: ActivationKind, z: S::Vector) -> S::Vector {
    match activation {
        ActivationKind::Tanh => tanh(simd, z),
        // The order of the operands keeps NaN.
        ActivationKind::Relu => simd.max(simd.splat(0.0), z),
    }
}

/// d_z = d_h · activation'(z), from h = activation(z): 1 − h² for tanh, 1 where h > 0 and else 0 for ReLU.
#[inline(always)]
pub(crate) fn differentiate<S: Simd>(
    simd: S,
    activation: ActivationKind,
    h: S::Vector,
    d_h: S::Vector,
) -> S::Vector {
    let zero = simd.splat(0.0);
    match activation {
        ActivationKind::Tanh => simd.mul(d_h, simd.neg_mul_add(h, h, simd.splat(1.0))),
        ActivationKind::Relu => simd.select_lt(zero, h, d_h, zero),
    }
}
