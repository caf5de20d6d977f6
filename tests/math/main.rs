//! tanh, exp, ln and the activations against an oracle: dense samples at every run, and all inputs by
//! `cargo test --release --test math -- --ignored --nocapture`.
//!
//! The oracle is the crate `pxfm`: its `f64` functions give the true value, from which fractions of a unit in the last
//! place follow; its `f32` functions are written apart from those, and both must agree wherever they are asked.

mod activations;
#[path = "../support/mod.rs"]
mod support;
mod sweep;
mod ulp_helper;

use std::f32::consts;
use std::ops::RangeInclusive;

use fused_mlp::{Backend, Dense, Mlp, Model, Regression, Tanh, math};

use sweep::{EXP, Function, Inputs, LN, TANH, sweep};

/// Distance of bit patterns in the samples; a prime, so that all low bits come about.
const STEP: u64 = 1009;

/// The fastest backend, which stands for all that promise its bits, and those that promise only the accuracy.
fn representatives() -> impl Iterator<Item = Backend> {
    let unfused = Backend::available().filter(|backend| !backend.is_fused());
    [Backend::detect()].into_iter().chain(unfused)
}

fn check(function: Function, inputs: Inputs) {
    for backend in representatives() {
        let findings = sweep(function, backend, inputs);
        println!("{} on {backend}: {findings:?}", function.name);
        let extra = if backend.is_fused() {
            0.0
        } else {
            function.unfused_extra_ulp
        };
        assert_eq!(findings.inputs, inputs.count());
        assert!(
            findings.oracle <= 0.5 + 1e-6,
            "the oracle's two answers differ: {findings:?}"
        );
        assert!(
            findings.worst <= function.max_ulp + extra,
            "{} on {backend}: {findings:?}",
            function.name
        );
        assert!(
            findings.reversals == 0 || !function.monotone,
            "{} on {backend}: {findings:?}",
            function.name
        );
    }
}

/// All x ≥ 0; the sweep mirrors them.
const HALF_LINE: RangeInclusive<f32> = 0.0..=f32::INFINITY;
const UP_TO_ZERO: RangeInclusive<f32> = -0.0..=f32::NEG_INFINITY;
const SUMS_OF_EXPONENTIALS: RangeInclusive<f32> = 1.0..=65_536.0;

#[test]
fn tanh_stays_within_its_bound_odd_and_rising_on_a_dense_sample() {
    check(TANH, Inputs::every(STEP, HALF_LINE));
}

#[test]
fn tanh_stays_within_its_bound_odd_and_rising_where_its_branches_meet() {
    check(TANH, Inputs::every(1, 0.61..=0.70));
}

#[test]
fn tanh_stays_within_its_bound_odd_and_rising_near_saturation() {
    check(TANH, Inputs::every(1, 8.6..=9.3));
}

#[test]
#[ignore = "minutes"]
fn tanh_stays_within_its_bound_odd_and_rising_over_all_inputs() {
    check(TANH, Inputs::every(1, HALF_LINE));
}

#[test]
fn exp_stays_within_its_bound_on_a_dense_sample() {
    check(EXP, Inputs::every(STEP, UP_TO_ZERO));
    // Two places where the rounding of x − n ln 2 costs most, half a unit from a whole n.
    check(EXP, Inputs::every(1, -16.28..=-16.30));
    check(EXP, Inputs::every(1, -0.34..=-0.36));
}

#[test]
fn exp_is_zero_exactly_where_its_true_value_is_subnormal() {
    check(EXP, Inputs::every(1, -87.3..=-87.4));
    for backend in Backend::available() {
        let mut values = [-87.336_54, -87.336_55, -104.0, -1e30, f32::NEG_INFINITY];
        math::exp(backend, &mut values);
        assert!(values[0] >= f32::MIN_POSITIVE);
        assert_eq!(values[1..], [0.0; 4], "{backend}");
    }
}

#[test]
#[ignore = "minutes"]
fn exp_stays_within_its_bound_over_all_inputs_up_to_zero() {
    check(EXP, Inputs::every(1, UP_TO_ZERO));
}

#[test]
fn ln_stays_within_its_bound_on_a_dense_sample() {
    check(LN, Inputs::every(STEP, SUMS_OF_EXPONENTIALS));
    // Around √2, where the exponent is stepped, and next to 1, where ln x has few bits left of x.
    check(LN, Inputs::every(1, 1.38..=1.43));
    check(LN, Inputs::every(1, 1.0..=1.01));
}

#[test]
#[ignore = "a quarter of a minute"]
fn ln_stays_within_its_bound_over_all_inputs_of_its_range() {
    check(LN, Inputs::every(1, SUMS_OF_EXPONENTIALS));
}

#[test]
fn whole_values_come_out_exactly() {
    for backend in Backend::available() {
        let mut values = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, 9.1, -1e30];
        math::tanh(backend, &mut values);
        let bits = values.map(f32::to_bits);
        let expected = [0.0, -0.0, 1.0, -1.0, 1.0, -1.0].map(f32::to_bits);
        assert_eq!(bits, expected, "tanh on {backend}");

        let mut values = [0.0, -0.0, f32::NEG_INFINITY];
        math::exp(backend, &mut values);
        assert_eq!(values, [1.0, 1.0, 0.0], "exp on {backend}");

        let mut values = [1.0];
        math::ln(backend, &mut values);
        assert_eq!(values[0].to_bits(), 0, "ln 1 on {backend}");
    }
}

/// Applies a function to every `step`th NaN of either sign, on every backend.
fn check_nans(function: Function, step: u64) {
    let payloads = Inputs::every(
        step,
        f32::from_bits(0x7f80_0001)..=f32::from_bits(0x7fff_ffff),
    );
    let all: Vec<f32> = payloads.values(0, payloads.count()).collect();
    for backend in Backend::available() {
        for sign in [0, 1_u32 << 31] {
            let mut values: Vec<f32> = all
                .iter()
                .map(|nan| f32::from_bits(nan.to_bits() | sign))
                .collect();
            (function.apply)(backend, &mut values);
            let numbers = values.iter().filter(|value| !value.is_nan()).count();
            assert_eq!(numbers, 0, "{} on {backend}", function.name);
        }
    }
}

#[test]
fn nan_stays_nan_whatever_its_payload() {
    check_nans(TANH, 101);
    check_nans(EXP, 101);
}

#[test]
#[ignore = "a few seconds"]
fn every_nan_stays_nan() {
    check_nans(TANH, 1);
    check_nans(EXP, 1);
}

fn check_subnormals(step: u64) {
    let subnormals = Inputs::every(step, 0.0..=f32::MIN_POSITIVE);
    let positive: Vec<f32> = subnormals.values(0, subnormals.count()).collect();
    let negative: Vec<f32> = positive.iter().map(|x| -x).collect();
    for backend in Backend::available() {
        for inputs in [&positive, &negative] {
            let mut values = inputs.clone();
            math::tanh(backend, &mut values);
            for (x, y) in inputs.iter().zip(values) {
                assert_eq!(x.to_bits(), y.to_bits(), "tanh {x:e} = {y:e} on {backend}");
            }
        }
    }
}

#[test]
fn tanh_returns_subnormals_as_they_are() {
    check_subnormals(101);
}

#[test]
#[ignore = "a few seconds"]
fn tanh_returns_every_subnormal_as_it_is() {
    check_subnormals(1);
}

/// Largest error of the derivative 1 − h², computed with one rounding from h = tanh x; and it is never negative.
const DERIVATIVE_TOLERANCE: f64 = 1.0 / (1 << 22) as f64;

fn check_derivative(x: f32, derivative: f32, on: Backend) {
    let tanh = pxfm::f_tanh(x.into());
    let error = (f64::from(derivative) - (1.0 - tanh) * (1.0 + tanh)).abs();
    assert!(
        derivative >= 0.0 && error <= DERIVATIVE_TOLERANCE,
        "the derivative of tanh at {x:e} is {derivative:e} on {on}, {error:e} off"
    );
}

#[test]
fn the_derivative_of_tanh_is_right_to_the_end_of_saturation() {
    let near_saturation = Inputs::every(7, 4.0..=9.5);
    let everywhere = Inputs::every(100_003, HALF_LINE);
    for inputs in [near_saturation, everywhere] {
        let xs: Vec<f32> = inputs.values(0, inputs.count()).collect();
        for backend in representatives() {
            let mut hs = xs.clone();
            math::tanh(backend, &mut hs);
            for (&x, h) in xs.iter().zip(hs) {
                check_derivative(x, (-h).mul_add(h, 1.0), backend);
            }
        }
    }
}

/// One neuron fed x itself, and an output that is 0.5 whatever the neuron says: the loss 0.5² has the derivative 1 with
/// respect to the output, and 2⁻⁶⁰ with respect to the neuron. What is left in the gradient of the bias is the
/// derivative of tanh as the kernels compute it.
#[test]
fn the_kernels_use_that_derivative() {
    type Neuron = Mlp<Dense<1>, Tanh<1>, Regression<1>>;
    let weight = 2.0_f32.powi(-60);
    let mut neuron = Neuron::zeroed();
    neuron.input.weights[0] = 1.0;
    neuron.output.weights[0] = weight;
    neuron.output.bias[0] = 0.5;
    for backend in Backend::available() {
        for x in Inputs::every(5_003, 0.001..=10.0).values(0, u64::MAX) {
            for x in [x, -x] {
                let (_, gradients) = neuron.gradients_on(backend, &[[x]], &[[0.0]]).unwrap();
                check_derivative(x, gradients.input.bias[0] / weight, backend);
            }
        }
    }
}

/// The `libm` crate is a third opinion, good to a few units in the last place of `f64`.
#[test]
fn the_oracle_agrees_with_another_library() {
    let agree = |what: &str, x: f64, ours: f64, theirs: f64| {
        let error = (ours - theirs).abs() / theirs.abs();
        assert!(
            error <= 8.0 * f64::EPSILON,
            "{what}({x:e}): {ours:e} and {theirs:e}"
        );
    };
    for x in Inputs::every(100_003, 1e-30..=100.0).values(0, u64::MAX) {
        let x = f64::from(x);
        agree("tanh", x, pxfm::f_tanh(x), libm::tanh(x));
        agree("exp", -x, pxfm::f_exp(-x), libm::exp(-x));
        agree("ln", x + 2.0, pxfm::f_log(x + 2.0), libm::log(x + 2.0));
    }
    assert_eq!(pxfm::f_expf(1.0), consts::E);
    assert_eq!(pxfm::f_logf(10.0), consts::LN_10);
}
