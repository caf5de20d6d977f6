//! Clipping and moments at the edges of `f32`.

use fused_mlp::model::HiddenLayers;
use fused_mlp::{
    AdamW, Dense, Error, Gradients, Mlp, Model, Momentum, Optimizer, Regression, Sgd, Tanh, Trainer,
};
use proptest::prelude::*;

use super::{REGRESSIONS, bits};
use crate::support::{bits_of, config, flat, fused};

type Small = Mlp<Dense<3>, Tanh<5>, Regression<2>>;
const PARAMETERS: usize = 3 * 5 + 5 + 5 * 2 + 2;

/// Gradients of these values, in storage order, and zero beyond them.
fn gradients<const FEATURES: usize, const K: usize, L: HiddenLayers>(
    trainer: &mut Trainer<Mlp<Dense<FEATURES>, L, Regression<K>>>,
    values: &[f32],
) -> Gradients<Mlp<Dense<FEATURES>, L, Regression<K>>> {
    let mut gradients = trainer.gradients(&[[0.0; FEATURES]], &[[0.0; K]]).unwrap();
    let mut values = values.iter();
    for (_, tensor) in gradients.tensors_mut() {
        tensor.fill_with(|| values.next().copied().unwrap_or(0.0));
    }
    gradients
}

/// Any magnitude that an `f32` can have.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        1 => Just(0.0),
        8 => (-149..=127_i32, 1.0..2.0_f32, any::<bool>()).prop_map(|(exponent, significand, is_negative)| {
            #[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
            let value = (f64::from(significand) * 2.0_f64.powi(exponent)) as f32;
            if is_negative { -value } else { value }
        }),
    ]
}

/// The gradients after clipping, in `f64` by the documented formula.
fn clipped(values: &[f32], max_norm: f32) -> Vec<f64> {
    let squares = values.iter().map(|&g| f64::from(g) * f64::from(g));
    let norm = squares.sum::<f64>().sqrt();
    let factor = (f64::from(max_norm) / (norm + 1e-6)).min(1.0);
    values.iter().map(|&g| f64::from(g) * factor).collect()
}

proptest! {
    #![proptest_config(config(512, REGRESSIONS))]

    #[test]
    fn gradients_are_clipped_by_the_formula_whatever_their_exponents(
        values in prop::collection::vec(number(), PARAMETERS),
        max_norm in number().prop_map(f32::abs),
    ) {
        let expected = clipped(&values, max_norm);
        let optimizers: [Optimizer; 3] =
            [Sgd::new(1.0).into(), Momentum::new(1.0, 0.9).into(), AdamW::new(0.0).into()];
        for optimizer in optimizers {
            let mut states = Vec::new();
            for backend in fused() {
                let trainer = Trainer::new(Small::zeroed(), optimizer).unwrap().with_backend(backend);
                let mut trainer = trainer.with_clipping(max_norm).unwrap();
                let gradients = gradients(&mut trainer, &values);
                // The square of a gradient must be an `f32` too.
                let overflows = expected.iter().any(|g| g.abs() > 1.8e19);
                if matches!(optimizer, Optimizer::AdamW(_)) && overflows {
                    let _ = trainer.apply(&gradients);
                    continue;
                }
                trainer.apply(&gradients).unwrap();
                states.push(bits(&trainer.state()));
                // −g', or 0.1 · g', which is kept in normal numbers only.
                let (found, factor, lost) = match optimizer {
                    Optimizer::AdamW(_) => (flat(&trainer.state().moments[0]), 0.1, f32::MIN_POSITIVE),
                    _ => (flat(&trainer.model()), -1.0, 0.0),
                };
                for (&found, expected) in found.iter().zip(&expected) {
                    let (found, expected) = (f64::from(found), factor * expected);
                    let tolerance = 2e-6 * expected.abs() + 3e-45 + f64::from(lost);
                    prop_assert!((found - expected).abs() <= tolerance, "{found:e}, not {expected:e}");
                }
            }
            prop_assert!(states.windows(2).all(|pair| pair[0] == pair[1]));
        }
    }
}

/// The new parameter and moments of one optimizer step, in `f64`.
fn formula(optimizer: Optimizer, parameter: f32, gradient: f32) -> Vec<f64> {
    let (parameter, gradient) = (f64::from(parameter), f64::from(gradient));
    match optimizer {
        Optimizer::Sgd(sgd) => vec![parameter - f64::from(sgd.learning_rate) * gradient],
        Optimizer::Momentum(momentum) => {
            let gradient = gradient + f64::from(momentum.weight_decay) * parameter;
            let direction = gradient * (1.0 + f64::from(momentum.momentum));
            let rate = f64::from(momentum.learning_rate);
            vec![gradient, direction, parameter - rate * direction]
        }
        // The first step: its direction is that of the gradient.
        Optimizer::AdamW(adam_w) => {
            let [rate, decay, epsilon] =
                [adam_w.learning_rate, adam_w.weight_decay, adam_w.epsilon].map(f64::from);
            let parameter = parameter * (1.0 - rate * decay);
            let step = rate * gradient / (gradient.abs() + epsilon);
            vec![parameter, gradient * gradient, parameter - step]
        }
    }
}

proptest! {
    #![proptest_config(config(512, REGRESSIONS))]

    #[test]
    fn a_step_is_taken_if_all_its_numbers_fit_and_is_an_error_if_not(
        parameters in prop::collection::vec(number(), PARAMETERS),
        gradients in prop::collection::vec(number(), PARAMETERS),
        rate in number().prop_map(f32::abs),
        weight_decay in 0.0..2.0_f32,
    ) {
        let mut model = Small::zeroed();
        let mut values = parameters.iter();
        for (_, tensor) in model.tensors_mut() {
            tensor.fill_with(|| *values.next().unwrap());
        }
        let nesterov = Momentum { nesterov: true, weight_decay, ..Momentum::new(rate, 0.5) };
        let optimizers: [Optimizer; 3] =
            [Sgd::new(rate).into(), nesterov.into(), AdamW { weight_decay, ..AdamW::new(rate) }.into()];
        for optimizer in optimizers {
            let new = parameters.iter().zip(&gradients).flat_map(|(&p, &g)| formula(optimizer, p, g));
            let largest = new.map(f64::abs).fold(0.0, f64::max);
            for backend in fused() {
                let trainer = Trainer::new(model.clone(), optimizer).unwrap();
                let mut trainer = trainer.with_backend(backend);
                // Of a model whose loss is a number.
                let mut other = Trainer::new(Small::zeroed(), Sgd::new(0.0)).unwrap();
                let gradients = self::gradients(&mut other, &gradients);
                let before = trainer.state();
                let result = trainer.apply(&gradients);
                let state = trainer.state();
                let mut all = state.moments.iter().chain([&state.model]).flat_map(flat);
                prop_assert!(all.all(f32::is_finite));
                if largest < 3.4e38 {
                    prop_assert!(result.is_ok(), "{result:?} at {largest:e} by {optimizer:?}");
                }
                // (1 − β₂) g² is a thousandth of the square, which must be a number itself.
                if largest > 3.5e38 {
                    prop_assert!(result.is_err(), "no error at {largest:e} by {optimizer:?}");
                }
                if result.is_err() {
                    prop_assert_eq!(bits(&state), bits(&before));
                }
            }
        }
    }
}

type One = Mlp<Dense<1>, Tanh<1>, Regression<1>>;

/// The bias of the output after a step from zero on gradients of the output layer's weight and bias.
fn step([weight, bias]: [f32; 2], max_norm: f32, rate: f32) -> [f32; 2] {
    let mut trainer = Trainer::new(One::zeroed(), Sgd::new(rate)).unwrap();
    trainer = trainer.with_clipping(max_norm).unwrap();
    let gradients = gradients(&mut trainer, &[0.0, 0.0, weight, bias]);
    trainer.apply(&gradients).unwrap();
    let model = trainer.model();
    [model.output.weights[(0, 0)], model.output.bias[0]]
}

#[test]
fn a_norm_beyond_the_largest_number_is_clipped() {
    let half = -core::f32::consts::FRAC_1_SQRT_2;
    for found in step([3e38, 3e38], 1.0, 1.0) {
        assert!((found - half).abs() < 1e-6, "{found}");
    }
}

#[test]
fn a_rate_does_not_underflow_with_the_factor_of_clipping() {
    let [_, bias] = step([0.0, 2e18], 1e-25, 1e-4);
    assert!((bias / -1e-29 - 1.0).abs() < 1e-6, "{bias:e}");
}

#[test]
fn clipping_to_a_norm_of_zero_leaves_nothing() {
    assert_eq!(step([3.0, -1e-40], 0.0, 1.0), [0.0, 0.0]);
}

#[test]
fn a_gradient_that_is_not_finite_is_an_error_with_clipping_too() {
    for value in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        let mut trainer = Trainer::new(One::zeroed(), Sgd::new(0.1)).unwrap();
        trainer = trainer.with_clipping(1.0).unwrap();
        let gradients = gradients(&mut trainer, &[1e30, value]);
        let error = trainer.apply(&gradients).unwrap_err();
        assert!(
            matches!(error, Error::NonFiniteStep { step: 0, .. }),
            "{error}"
        );
        assert_eq!(bits_of(&trainer.model()), bits_of(&One::zeroed()));
    }
}

/// Processors compute with subnormal numbers some hundred times slower, and rounding would keep a moment at the smallest of them.
#[test]
fn a_moment_whose_gradients_have_ended_becomes_zero_and_is_never_subnormal() {
    let momentum = Momentum::new(0.1, 0.9);
    let nesterov = Momentum {
        nesterov: true,
        ..momentum
    };
    let adam_w = AdamW {
        betas: [0.9, 0.97],
        ..AdamW::new(0.1)
    };
    let optimizers: [Optimizer; 3] = [momentum.into(), nesterov.into(), adam_w.into()];
    for optimizer in optimizers {
        let mut states = Vec::new();
        for backend in fused() {
            let trainer = Trainer::new(One::zeroed(), optimizer).unwrap();
            let mut trainer = trainer.with_backend(backend);
            let first = gradients(&mut trainer, &[1.0, -1e-10, 1e-18, 1e10]);
            let none = gradients(&mut trainer, &[]);
            trainer.apply(&first).unwrap();
            for _ in 0..6_000 {
                trainer.apply(&none).unwrap();
                for moment in &trainer.state().moments {
                    let moment = flat(moment);
                    assert!(
                        moment.iter().all(|m| !m.is_subnormal()),
                        "{moment:?} on {backend}"
                    );
                }
            }
            let state = trainer.state();
            assert!(
                state.moments.iter().all(|moment| flat(moment) == [0.0; 4]),
                "{optimizer:?}"
            );
            states.push(bits(&state));
        }
        assert!(states.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
