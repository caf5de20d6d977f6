//! The activations and their derivatives against formulas in `f64`, as the functions of `math` are.

use std::f64::consts::{FRAC_1_SQRT_2, PI};
use std::ops::RangeInclusive;

use fused_mlp::model::Activation;
use fused_mlp::{Backend, math};

use crate::support::fused;
use crate::sweep::{Function, Inputs, largest};
use crate::{STEP, check, check_nans, representatives};

/// All finite z ≥ 0, and all finite z < 0.
const FINITE: [RangeInclusive<f32>; 2] = [0.0..=f32::MAX, -0.0..=f32::MIN];

/// Functions of one library in `f64`.
#[derive(Clone, Copy)]
struct Library {
    exp: fn(f64) -> f64,
    ln_1p: fn(f64) -> f64,
    erfc: fn(f64) -> f64,
    tanh: fn(f64) -> f64,
}

const PXFM: Library = Library {
    exp: pxfm::f_exp,
    ln_1p: pxfm::f_log1p,
    erfc: pxfm::f_erfc,
    tanh: pxfm::f_tanh,
};

const LIBM: Library = Library {
    exp: libm::exp,
    ln_1p: libm::log1p,
    erfc: libm::erfc,
    tanh: libm::tanh,
};

impl Library {
    /// The activation of z, and its derivative.
    fn of(self, activation: Activation, z: f64) -> (f64, f64) {
        let e = (self.exp)(-z.abs());
        let (p, q) = (1.0 / (1.0 + e), e / (1.0 + e));
        let (sigmoid, rest) = if z < 0.0 { (q, p) } else { (p, q) };
        let leak = f64::from(0.01_f32);
        match activation {
            Activation::TANH => {
                let h = (self.tanh)(z);
                (h, (1.0 - h) * (1.0 + h))
            }
            Activation::RELU if z > 0.0 => (z, 1.0),
            Activation::RELU => (0.0, 0.0),
            Activation::LEAKY_RELU if z > 0.0 => (z, 1.0),
            Activation::LEAKY_RELU => (leak * z, leak),
            Activation::CLIPPED_RELU if z > 0.0 && z < 1.0 => (z, 1.0),
            Activation::CLIPPED_RELU => (z.clamp(0.0, 1.0), 0.0),
            Activation::SIGMOID => (sigmoid, sigmoid * rest),
            Activation::SILU => (z * sigmoid, sigmoid * (1.0 + z * rest)),
            Activation::GELU => {
                let distribution = 0.5 * (self.erfc)(-z * FRAC_1_SQRT_2);
                let density = (self.exp)(-0.5 * z * z) / (2.0 * PI).sqrt();
                (z * distribution, distribution + z * density)
            }
            Activation::SOFTPLUS => (z.max(0.0) + (self.ln_1p)(e), sigmoid),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
fn rounded(value: f64) -> f32 {
    value as f32
}

/// For each activation its functions, and the tests of the values over a sample and over all inputs.
macro_rules! activations {
    ($($CONSTANT:ident, $name:ident, $ceiling:expr;)*) => {
        const FUNCTIONS: &[(Activation, Function)] = &[$((Activation::$CONSTANT, Function {
            name: stringify!($name),
            apply: |backend, values| math::activation(backend, Activation::$CONSTANT, values),
            truth: |z| PXFM.of(Activation::$CONSTANT, z).0,
            rounded: |z| rounded(LIBM.of(Activation::$CONSTANT, z.into()).0),
            max_ulp: Activation::$CONSTANT.max_ulp(),
            unfused_extra_ulp: Activation::UNFUSED_EXTRA_ULP,
            ceiling: $ceiling,
            flushes: false,
            odd: false,
            monotone: false,
        })),*];

        $(mod $name {
            use super::*;

            #[test]
            fn stays_within_its_bound_on_a_dense_sample() {
                values(Activation::$CONSTANT, STEP);
                derivatives(Activation::$CONSTANT, STEP);
            }

            #[test]
            #[ignore = "minutes"]
            fn stays_within_its_bound_over_all_finite_inputs() {
                values(Activation::$CONSTANT, 1);
                derivatives(Activation::$CONSTANT, 1);
            }
        })*
    };
}

activations! {
    TANH, tanh, 1.0;
    RELU, relu, f32::MAX;
    LEAKY_RELU, leaky_relu, f32::MAX;
    CLIPPED_RELU, clipped_relu, 1.0;
    SIGMOID, sigmoid, 1.0;
    SILU, silu, f32::MAX;
    GELU, gelu, f32::MAX;
    SOFTPLUS, softplus, f32::MAX;
}

#[test]
fn every_activation_is_looked_at() {
    let covered: Vec<Activation> = FUNCTIONS
        .iter()
        .map(|(activation, _)| *activation)
        .collect();
    assert_eq!(covered, Activation::ALL);
}

fn function(activation: Activation) -> Function {
    let found = FUNCTIONS.iter().find(|(of, _)| *of == activation);
    found.expect("every activation has a function").1
}

fn values(activation: Activation, step: u64) {
    for half in FINITE {
        check(function(activation), Inputs::every(step, half));
    }
}

/// The largest absolute error of a derivative, in parallel as values are swept.
fn derivatives(activation: Activation, step: u64) {
    for half in FINITE {
        for backend in representatives() {
            let worst = largest(Inputs::every(step, half.clone()), |zs| {
                let mut slopes = zs.to_vec();
                math::derivative(backend, activation, &mut slopes);
                for other in fused().filter(|_| backend.is_fused()) {
                    let mut others = zs.to_vec();
                    math::derivative(other, activation, &mut others);
                    assert!(bits(&slopes) == bits(&others), "{activation} on {other}");
                }
                let errors = zs.iter().zip(slopes).map(|(&z, slope)| {
                    let (_, exact) = PXFM.of(activation, z.into());
                    let error = (f64::from(slope) - exact).abs();
                    if error.is_nan() { f64::INFINITY } else { error }
                });
                errors.fold(0.0, f64::max)
            });
            println!("derivative of {activation} on {backend}: {worst:e}");
            assert!(
                worst <= math::DERIVATIVE_MAX_ERROR,
                "the derivative of {activation} on {backend} is {worst:e} off"
            );
        }
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn gelu_stays_within_its_bound_in_its_negative_tail() {
    let tail = function(Activation::GELU);
    check(tail, Inputs::every(7, -1.0..=-15.0));
    check(tail, Inputs::every(1, -12.9..=-13.2)); // where values become subnormal
}

#[test]
fn subnormal_values_are_not_flushed() {
    for backend in Backend::available() {
        for (activation, z) in [
            (Activation::SIGMOID, -100.0),
            (Activation::SILU, -100.0),
            (Activation::SOFTPLUS, -100.0),
            (Activation::GELU, -13.5),
        ] {
            let mut value = [z];
            math::activation(backend, activation, &mut value);
            assert!(
                value[0].is_subnormal(),
                "{activation} on {backend}: {value:?}"
            );
        }
    }
}

#[test]
fn derivatives_at_kinks_are_pytorchs() {
    let below = -f32::MIN_POSITIVE;
    for backend in Backend::available() {
        for (activation, zs, expected) in [
            (
                Activation::RELU,
                [below, -0.0, 0.0, f32::MIN_POSITIVE],
                [0.0, 0.0, 0.0, 1.0],
            ),
            (
                Activation::LEAKY_RELU,
                [below, -0.0, 0.0, f32::MIN_POSITIVE],
                [0.01, 0.01, 0.01, 1.0],
            ),
            (
                Activation::CLIPPED_RELU,
                [-0.0, 0.0, f32::MIN_POSITIVE, 1.0],
                [0.0, 0.0, 1.0, 0.0],
            ),
            (
                Activation::CLIPPED_RELU,
                [0.999_999_94, 1.0, 1.000_000_1, 2.0],
                [1.0, 0.0, 0.0, 0.0],
            ),
        ] {
            let mut slopes = zs;
            math::derivative(backend, activation, &mut slopes);
            assert_eq!(slopes, expected, "{activation} at {zs:?} on {backend}");
        }
    }
}

#[test]
fn nan_stays_nan() {
    for (_, function) in FUNCTIONS {
        check_nans(*function, 10_007);
    }
}

/// The `libm` crate is a second opinion, good to a few units in the last place of `f64`.
#[test]
fn the_formulas_agree_with_another_library() {
    for &activation in Activation::ALL {
        for half in FINITE {
            for z in Inputs::every(100_003, half).values(0, u64::MAX) {
                let (value, slope) = PXFM.of(activation, z.into());
                let (other_value, other_slope) = LIBM.of(activation, z.into());
                let tolerance = 1e-13 * value.abs() + f64::MIN_POSITIVE;
                assert!(
                    (value - other_value).abs() <= tolerance,
                    "{activation}({z:e})"
                );
                assert!((slope - other_slope).abs() <= 1e-13, "{activation}'({z:e})");
            }
        }
    }
}
