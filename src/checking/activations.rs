//! The activations and their derivatives in `f64`, from the `libm` crate's functions.

use core::f64::consts::{FRAC_1_SQRT_2, PI};

use super::bounded::Bounded;
use crate::model::ActivationKind;

/// The slope of [`LeakyRelu`](crate::LeakyRelu) for z ≤ 0: 0.01 as the kernels have it, rounded to `f32`.
const NEGATIVE_SLOPE: f64 = 0.01_f32 as f64;

/// The activation of z, and its derivative there.
///
/// The magnitude of the value counts what rounding of the terms of z does to it: little where it saturates, and more than the
/// value where they cancel. That of the derivative has sums in place of differences: 1 + h² for 1 − h².
pub(super) fn activate(activation: ActivationKind, z: Bounded) -> (Bounded, Bounded) {
    let x = z.value;
    let sigmoid = 1.0 / (1.0 + libm::exp(-x));
    let step = |is_on: bool, otherwise: f64| if is_on { 1.0 } else { otherwise };
    let (value, slope, slope_magnitude) = match activation {
        ActivationKind::Tanh => {
            let h = libm::tanh(x);
            (h, 1.0 - h * h, 1.0 + h * h)
        }
        ActivationKind::Relu => {
            let slope = step(x > 0.0, 0.0);
            (slope * x, slope, slope)
        }
        ActivationKind::LeakyRelu => {
            let slope = step(x > 0.0, NEGATIVE_SLOPE);
            (slope * x, slope, slope)
        }
        ActivationKind::ClippedRelu => {
            let slope = step(x > 0.0 && x < 1.0, 0.0);
            (x.clamp(0.0, 1.0), slope, slope)
        }
        ActivationKind::Sigmoid => {
            let slope = sigmoid * (1.0 - sigmoid);
            (sigmoid, slope, sigmoid * (1.0 + sigmoid))
        }
        ActivationKind::Silu => {
            let rest = sigmoid * (1.0 - sigmoid);
            (
                x * sigmoid,
                sigmoid + x * rest,
                sigmoid + x.abs() * sigmoid * (1.0 + sigmoid),
            )
        }
        ActivationKind::Gelu => {
            let distribution = 0.5 * libm::erfc(-x * FRAC_1_SQRT_2);
            let density = libm::exp(-0.5 * x * x) / libm::sqrt(2.0 * PI);
            (
                x * distribution,
                distribution + x * density,
                1.0 + distribution + x.abs() * density,
            )
        }
        ActivationKind::Softplus => {
            let value = x.max(0.0) + libm::log1p(libm::exp(-x.abs()));
            (value, sigmoid, 2.0 - sigmoid)
        }
    };
    let value = Bounded {
        value,
        magnitude: value.abs() + slope.abs() * z.magnitude,
    };
    let slope = Bounded {
        value: slope,
        magnitude: slope_magnitude,
    };
    (value, slope)
}
