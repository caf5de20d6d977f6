//! A whole run in one call is the loop that it stands for.

use core::ops::ControlFlow::{Break, Continue};

use fused_mlp::model::HiddenLayers;
use fused_mlp::schedule::{constant, cosine, warm_up};
use fused_mlp::{
    AdamW, Dataset, Dense, Error, Fit, Length, Minibatch, Mlp, Model, Optimizer, Regression, Relu,
    SeedableRng, Sgd, Softmax, Tanh, Tokens, Trainer, Xoshiro256PlusPlus,
};
use proptest::prelude::*;

use crate::support::config;
use crate::support::shapes::{Case, RandomHead, RandomInput};
use crate::{REGRESSIONS, bits, optimizers};

/// Everything that a run comes to: the state with its bits, the losses, and where the generator stands.
fn assert_same<M: Model + PartialEq>(
    [left, right]: [(&Trainer<M>, &[f32], &Xoshiro256PlusPlus); 2],
) {
    let [(left, losses, rng), (right, other_losses, other_rng)] = [left, right];
    assert_eq!(losses, other_losses);
    assert_eq!(bits(&left.state()), bits(&right.state()));
    assert_eq!(left.state(), right.state());
    assert_eq!(rng, other_rng);
}

/// Trains a model by `fit` and by its loop, and compares.
#[expect(clippy::cast_possible_truncation, reason = "a rate is rounded once")]
fn compare<I: RandomInput, L: HiddenLayers, O: RandomHead>(
    case: Case<I, L, O>,
    optimizer: Optimizer,
    [steps, batch]: [u8; 2],
    schedule: impl Fn(u64) -> f64,
) {
    let rate = optimizer.learning_rate();
    let data = Dataset::new(case.inputs, case.targets).unwrap();
    let fit = Fit {
        length: Length::Steps(u64::from(steps)),
        batch: usize::from(batch),
        schedule: &schedule,
    };

    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    let mut fitted = Trainer::new(case.model.clone(), optimizer).unwrap();
    let mut losses = Vec::new();
    let outcome = fitted
        .fit(&data, fit, &mut rng, |progress| {
            losses.push(progress.loss);
            assert_eq!(progress.step, losses.len() as u64);
            assert_eq!(progress.trainer.steps(), progress.step);
            let factor = schedule(progress.step - 1);
            assert_eq!(progress.learning_rate, (f64::from(rate) * factor) as f32);
            Ok(Continue(()))
        })
        .unwrap();
    assert_eq!(outcome.steps, u64::from(steps));
    assert_eq!(outcome.loss, losses.last().copied());
    assert!(!outcome.is_stopped);

    let mut loop_rng = Xoshiro256PlusPlus::seed_from_u64(7);
    let mut looped = Trainer::new(case.model, optimizer).unwrap();
    let mut loop_losses = Vec::new();
    let mut minibatch = Minibatch::new(fit.batch);
    for step in 0..u64::from(steps) {
        let rate = (f64::from(rate) * schedule(step)) as f32;
        looped.set_learning_rate(rate).unwrap();
        data.draw(&mut loop_rng, &mut minibatch);
        loop_losses.push(looped.step_batch(&minibatch).unwrap());
    }
    looped.set_learning_rate(rate).unwrap();
    assert_same([(&fitted, &losses, &rng), (&looped, &loop_losses, &loop_rng)]);
}

proptest! {
    #![proptest_config(config(64, REGRESSIONS))]

    #[test]
    fn a_run_in_one_call_has_the_bits_of_its_loop(
        seed: u64,
        examples in 1..=50_usize,
        steps in 0..=20_u8,
        batch in 1..=70_u8,
        optimizer in prop::sample::select(optimizers().to_vec()),
        is_scheduled: bool,
    ) {
        let schedule = |step: u64| {
            if is_scheduled {
                warm_up(step, 5, 0.1) * cosine(step, 20, 0.0)
            } else {
                constant(step)
            }
        };
        let case = Case::<Tokens<9, 3, 2>, Tanh<20>, Softmax<9>>::fan_in_scaled(seed, examples);
        compare(case, optimizer, [steps, batch], schedule);
        let case = Case::<Dense<5>, (Tanh<33>, Relu<17>), Regression<2>>::fan_in_scaled(seed, examples);
        let slow = optimizer.with_learning_rate(1e-3);
        compare(case, slow, [steps, batch], schedule);
    }
}

type Curve = Mlp<Dense<1>, Tanh<8>, Regression<1>>;

fn curve() -> (Trainer<Curve>, Dataset<[f32; 1], [f32; 1]>) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    let inputs: Vec<[f32; 1]> = (0..50_u8).map(|i| [f32::from(i) / 25.0 - 1.0]).collect();
    let targets = inputs.iter().map(|[x]| [x * x]).collect();
    let trainer = Trainer::new(Curve::fan_in_scaled(&mut rng), AdamW::new(0.01)).unwrap();
    (trainer, Dataset::new(inputs, targets).unwrap())
}

/// A schedule that shows at which step it stands.
fn falling(step: u64) -> f64 {
    cosine(step, 30, 0.1)
}

const STEPS: u64 = 30;

const WHOLE: Fit<fn(u64) -> f64> = Fit {
    length: Length::Steps(STEPS),
    batch: 10,
    schedule: falling,
};

#[test]
fn a_run_that_is_stopped_goes_on_where_it_ended() {
    let (mut whole, data) = curve();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    whole
        .fit(&data, WHOLE, &mut rng, |_| Ok(Continue(())))
        .unwrap();
    for stop in [1, 2, 17, 30] {
        let (mut trainer, _) = curve();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut kept = None;
        let first = trainer
            .fit(&data, WHOLE, &mut rng, |progress| {
                kept = Some(progress.trainer.state());
                Ok(if progress.step == stop {
                    Break(())
                } else {
                    Continue(())
                })
            })
            .unwrap();
        assert_eq!((first.steps, first.is_stopped), (stop, true));
        assert_eq!(trainer.steps(), stop);

        let rest = Fit {
            length: Length::Steps(STEPS - stop),
            ..WHOLE
        };
        let mut resumed = Trainer::resume(kept.unwrap()).unwrap();
        let mut resumed_rng = Xoshiro256PlusPlus::from_seed(rng.state());
        for (trainer, rng) in [(&mut trainer, &mut rng), (&mut resumed, &mut resumed_rng)] {
            let second = trainer.fit(&data, rest, rng, |_| Ok(Continue(()))).unwrap();
            assert_eq!((second.steps, second.is_stopped), (STEPS - stop, false));
            assert_eq!(second.loss.is_some(), stop < STEPS);
            assert_eq!(bits(&trainer.state()), bits(&whole.state()));
            assert_eq!(trainer.state(), whole.state());
        }
    }
}

#[test]
fn a_callback_may_set_the_rate_that_the_schedule_multiplies() {
    let (mut trainer, data) = curve();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut rates = Vec::new();
    let fit = Fit {
        length: Length::Steps(4),
        batch: 2,
        schedule: |step| if step < 3 { 1.0 } else { 0.5 },
    };
    trainer
        .fit(&data, fit, &mut rng, |progress| {
            rates.push(progress.learning_rate);
            if progress.step == 2 {
                progress.trainer.set_learning_rate(0.5).unwrap();
            }
            Ok(Continue(()))
        })
        .unwrap();
    assert_eq!(rates, [0.01, 0.01, 0.5, 0.25]);
    assert_eq!(trainer.optimizer().learning_rate(), 0.5);
}

#[test]
fn batches_of_no_examples_are_refused() {
    let (mut trainer, data) = curve();
    let before = trainer.state();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let fit = Fit { batch: 0, ..WHOLE };
    let error = trainer
        .fit(&data, fit, &mut rng, |_| Ok(Continue(())))
        .unwrap_err();
    assert_eq!(error.to_string(), "batch must be at least 1, not 0");
    assert_eq!(trainer.state(), before);
    assert_eq!(rng, Xoshiro256PlusPlus::seed_from_u64(1));
}

#[test]
fn batches_that_no_memory_has_room_for_are_refused() {
    let (mut trainer, data) = curve();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    for batch in [usize::MAX / 2, usize::MAX / 8] {
        let fit = Fit { batch, ..WHOLE };
        let error = trainer.fit(&data, fit, &mut rng, |_| Ok(Continue(())));
        let error = error.unwrap_err().to_string();
        let expected = "batch must be a number of examples that memory has room for, not ";
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(trainer.steps(), 0);
}

#[test]
fn a_schedule_that_gives_no_rate_ends_the_run_before_the_step() {
    for factor in [f64::NAN, f64::INFINITY, -1.0, -1e-40, 1e60] {
        for good in [0, 3] {
            let (mut trainer, data) = curve();
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
            let mut last = trainer.state();
            let fit = Fit {
                length: Length::Steps(10),
                batch: 4,
                schedule: |step| if step < good { 1.0 } else { factor },
            };
            let error = trainer
                .fit(&data, fit, &mut rng, |progress| {
                    last = progress.trainer.state();
                    Ok(Continue(()))
                })
                .unwrap_err();
            let Error::Setting { name, expected, .. } = error else {
                panic!("{error:?}");
            };
            assert_eq!((name, expected), ("learning_rate", "finite and at least 0"));
            assert_eq!(trainer.state(), last);
            assert_eq!(trainer.steps(), good);
            trainer
                .fit(&data, WHOLE, &mut rng, |_| Ok(Continue(())))
                .unwrap();
        }
    }
}

#[test]
fn a_step_that_fails_ends_the_run_with_its_error_and_leaves_the_step_before() {
    let (_, data) = curve();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut trainer = Trainer::new(Curve::fan_in_scaled(&mut rng), Sgd::new(1e30)).unwrap();
    let mut last = trainer.state();
    let error = trainer
        .fit(&data, WHOLE, &mut rng, |progress| {
            last = progress.trainer.state();
            Ok(Continue(()))
        })
        .unwrap_err();
    assert!(matches!(error, Error::NonFiniteStep { step, .. } if step == last.steps));
    assert_eq!(trainer.state(), last);
}

#[test]
fn data_of_a_larger_vocabulary_are_refused() {
    type Letters = Mlp<Tokens<4, 2, 1>, Tanh<3>, Softmax<4>>;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut trainer = Trainer::new(Letters::fan_in_scaled(&mut rng), Sgd::new(0.1)).unwrap();
    for (input, target) in [([0, 4], 3), ([0, 3], 4)] {
        let data = Dataset::new(vec![input], vec![target]).unwrap();
        let error = trainer
            .fit(&data, WHOLE, &mut rng, |_| Ok(Continue(())))
            .unwrap_err();
        assert!(matches!(
            error,
            Error::TokenOutOfRange { token: 4, .. } | Error::ClassOutOfRange { class: 4, .. }
        ));
        assert_eq!(trainer.steps(), 0);
    }
}
