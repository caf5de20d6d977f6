//! A run that goes on from a state is the unbroken run, to the bit; a state that no run comes to is refused.

use fused_mlp::model::HiddenLayers;
use fused_mlp::{
    AdamW, Backend, Binary, ClippedRelu, Dense, Error, Gelu, Huber, LeakyRelu, Mlp, Model,
    Momentum, NameModel, Optimizer, Regression, Relu, SeedableRng, Sgd, Sigmoid, Silu, Softmax,
    Softplus, Tanh, Tokens, Trainer, TrainingState, Xoshiro256PlusPlus,
};
use proptest::prelude::*;

use crate::support::config;
use crate::support::shapes::{Case, Numbers, RandomHead, RandomInput, for_every_shape};
use crate::{REGRESSIONS, bits, optimizers};

/// Steps of the unbroken runs: some on batches, some on one example.
const STEPS: usize = 12;

/// A step on all examples, or on one: whichever is the turn of step `step`. Gives the bits of its loss; a step may fail.
fn step<I: RandomInput, L: HiddenLayers, O: RandomHead>(
    trainer: &mut Trainer<Mlp<I, L, O>>,
    case: &Case<I, L, O>,
    step: usize,
) -> Result<u32, Error> {
    let example = step % case.inputs.len();
    if step.is_multiple_of(3) {
        trainer.step_one(&case.inputs[example], &case.targets[example])
    } else {
        trainer.step(&case.inputs, &case.targets)
    }
    .map(f32::to_bits)
}

macro_rules! continued_runs_equal_unbroken_ones {
    ($name:ident: $model:ty) => {
        proptest! {
            #![proptest_config(config(16, REGRESSIONS))]

            #[test]
            fn $name(
                seed: u64,
                len in 1..=40_usize,
                split in 0..=STEPS,
                optimizer in prop::sample::select(optimizers().to_vec()),
                clipping in prop::option::of(0.01..10.0_f32),
            ) {
                let case = Case::fan_in_scaled(seed, len);
                let _: &$model = &case.model;
                for backend in Backend::available() {
                    let mut whole = Trainer::new(case.model.clone(), optimizer).unwrap().with_backend(backend);
                    if let Some(norm) = clipping {
                        whole = whole.with_clipping(norm).unwrap();
                    }
                    for number in 0..split {
                        let _ = step(&mut whole, &case, number);
                    }
                    let kept = whole.state();
                    prop_assert!(kept.steps <= split as u64);
                    let mut resumed = Trainer::resume(kept.clone()).unwrap().with_backend(backend);
                    prop_assert_eq!(bits(&resumed.state()), bits(&kept));
                    for number in split..STEPS {
                        let [loss, expected] = [&mut resumed, &mut whole].map(|trainer| step(trainer, &case, number));
                        prop_assert_eq!(loss, expected);
                    }
                    let (resumed, whole) = (resumed.state(), whole.state());
                    prop_assert_eq!(bits(&resumed), bits(&whole), "on {}", backend);
                    prop_assert_eq!(resumed, whole);
                }
            }
        }
    };
}

mod continued_runs_equal_unbroken_ones_to_the_bit {
    use super::*;
    for_every_shape!(continued_runs_equal_unbroken_ones);
}

#[test]
fn a_state_has_the_moments_that_the_optimizer_keeps() {
    let case = Case::<Dense<3>, Relu<5>, Regression<2>>::new(1, 4, Numbers::Normal);
    for (optimizer, moments) in optimizers().into_iter().zip([0, 1, 1, 2]) {
        let mut trainer = Trainer::new(case.model.clone(), optimizer).unwrap();
        let before = trainer.state();
        assert_eq!((before.moments.len(), before.steps), (moments, 0));
        assert!(before.moments.iter().all(|moment| *moment == Mlp::zeroed()));
        assert_eq!(before.model, case.model);
        trainer.step(&case.inputs, &case.targets).unwrap();
        let after = trainer.state();
        assert!(after.moments.iter().all(|moment| *moment != Mlp::zeroed()));
        assert_eq!((after.optimizer, after.steps), (optimizer, 1));
    }
}

#[test]
fn the_first_moments_are_shares_of_the_gradients() {
    // After one step v = g for momentum, and m = (1 − β₁) g, v = (1 − β₂) g² for AdamW.
    let case = Case::<Dense<3>, Relu<5>, Regression<2>>::new(2, 4, Numbers::Normal);
    let (_, gradients) = case.model.gradients(&case.inputs, &case.targets).unwrap();
    let gradients = crate::support::flat(&gradients);
    let moments = |optimizer: Optimizer| {
        let mut trainer = Trainer::new(case.model.clone(), optimizer).unwrap();
        trainer.step(&case.inputs, &case.targets).unwrap();
        let state = trainer.state();
        let flat = state.moments.iter().map(crate::support::flat);
        flat.collect::<Vec<_>>()
    };
    let [velocity] = &moments(Momentum::new(0.1, 0.9).into())[..] else {
        panic!("Momentum keeps one moment");
    };
    assert_eq!(velocity, &gradients);
    let close = |found: &[f32], expected: &dyn Fn(f32) -> f32| {
        for (&found, &gradient) in found.iter().zip(&gradients) {
            let expected = expected(gradient);
            assert!((found - expected).abs() <= 1e-6 * expected.abs());
        }
    };
    let [first, second] = &moments(AdamW::new(0.1).into())[..] else {
        panic!("AdamW keeps two moments");
    };
    close(first, &|g| (1.0 - 0.9) * g);
    close(second, &|g| (1.0 - 0.999) * g * g);
}

fn state(optimizer: impl Into<Optimizer>) -> TrainingState<NameModel> {
    let model = NameModel::standard_normal(&mut Xoshiro256PlusPlus::seed_from_u64(1));
    Trainer::new(model, optimizer).unwrap().state()
}

fn refused(state: TrainingState<NameModel>) -> String {
    Trainer::resume(state).unwrap_err().to_string()
}

#[test]
fn settings_outside_their_range_are_refused_by_name() {
    let mut bad = state(Sgd::new(0.1));
    bad.optimizer = Sgd::new(f32::NAN).into();
    assert_eq!(
        refused(bad),
        "learning_rate must be finite and at least 0, not NaN"
    );
    for norm in [-1.0, f32::NAN, f32::INFINITY] {
        let mut bad = state(Sgd::new(0.1));
        bad.clipping = Some(norm);
        assert_eq!(
            refused(bad),
            format!("norm must be finite and at least 0, not {norm}")
        );
    }
    let mut most = state(AdamW::new(0.1));
    most.steps = 1 << 53;
    Trainer::resume(most.clone())
        .unwrap()
        .step(&[[0; 3]], &[0])
        .unwrap();
    for steps in [(1 << 53) + 2, u64::MAX] {
        most.steps = steps;
        let message = refused(most.clone());
        assert!(
            message.starts_with("steps must be at most 2⁵³, not"),
            "{message}"
        );
    }
}

#[test]
fn more_or_fewer_moments_than_the_optimizer_keeps_are_refused() {
    for (optimizer, expected) in optimizers().into_iter().zip([0, 1, 1, 2]) {
        for found in (0..4).filter(|&found| found != expected) {
            let mut bad = state(optimizer);
            bad.moments = vec![NameModel::zeroed(); found];
            assert_eq!(
                Trainer::resume(bad).unwrap_err(),
                Error::MomentCount { expected, found }
            );
        }
    }
}

#[test]
fn numbers_that_no_run_comes_to_are_refused_with_their_place() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1e-9] {
        for (moment, range) in [(0, "finite"), (1, "finite and at least 0")] {
            let mut altered = state(AdamW::new(0.1));
            altered.moments[moment].output.weights[(26, 99)] = value;
            if moment == 0 && value.is_finite() {
                Trainer::resume(altered).unwrap();
                continue;
            }
            // In memory [neurons, classes].
            let message =
                format!("moment {moment} of output_weights[99, 26] must be {range}, not {value}");
            assert_eq!(refused(altered), message);
        }
    }
    let mut negative = state(Momentum::new(0.1, 0.9));
    negative.moments[0].input.bias[3] = -1.0;
    Trainer::resume(negative.clone()).unwrap();
    negative.model.input.bias[3] = f32::NAN;
    assert_eq!(
        refused(negative),
        "hidden_bias[0, 3] is NaN; parameters must be finite"
    );
}
