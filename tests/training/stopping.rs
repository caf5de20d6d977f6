//! A run with early stopping ends where a loop written out by hand ends, with the same model.

use core::ops::ControlFlow;

use fused_mlp::schedule::constant;
use fused_mlp::{
    AdamW, Dataset, Dense, EarlyStopping, Error, Fit, Length, Minibatch, Mlp, Plateau, Regression,
    SeedableRng, Sgd, Softmax, Tanh, Tokens, Trainer, Xoshiro256PlusPlus,
};
use proptest::prelude::*;

use crate::support::config;
use crate::support::shapes::Case;
use crate::{REGRESSIONS, bits};

type Numbers = Mlp<Dense<3>, (Tanh<17>, Tanh<6>), Regression<2>>;
type Data = Dataset<[f32; 3], [f32; 2]>;

/// A model that soon learns a dozen examples of noise by heart, and then does worse on others.
fn noise(seed: u64) -> (Numbers, [Data; 2]) {
    let case = Case::<Dense<3>, (Tanh<17>, Tanh<6>), Regression<2>>::fan_in_scaled(seed, 24);
    let (inputs, targets) = (case.inputs.split_at(12), case.targets.split_at(12));
    let train = Dataset::new(inputs.0.to_vec(), targets.0.to_vec());
    let dev = Dataset::new(inputs.1.to_vec(), targets.1.to_vec());
    (case.model, [train.unwrap(), dev.unwrap()])
}

const STEPS: u64 = 120;

/// What a run with early stopping has to come to: the best evaluation with its model, and the steps.
fn by_hand(seed: u64, plateau: Plateau) -> (Option<(Numbers, f32, u64)>, u64, Trainer<Numbers>) {
    let (model, [train, dev]) = noise(seed);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut trainer = Trainer::new(model, AdamW::new(0.05)).unwrap();
    let mut minibatch = Minibatch::new(6);
    let mut evaluations: Vec<f32> = Vec::new();
    let mut best: Option<(Numbers, f32, u64)> = None;
    let mut best_evaluation = 0;
    for step in 1..=STEPS {
        train.draw(&mut rng, &mut minibatch);
        trainer.step_batch(&minibatch).unwrap();
        if step % plateau.every != 0 {
            continue;
        }
        // The model's own loss, which does not go through the trainer.
        let loss = trainer.model().loss(dev.inputs(), dev.targets()).unwrap();
        evaluations.push(loss);
        let is_better = match &best {
            Some((_, best, _)) => loss < best - plateau.improvement,
            None => true,
        };
        if is_better {
            best = Some((trainer.model(), loss, step));
            best_evaluation = evaluations.len();
        }
        if (evaluations.len() - best_evaluation) as u64 == plateau.patience {
            return (best, step, trainer);
        }
    }
    (best, STEPS, trainer)
}

proptest! {
    #![proptest_config(config(64, REGRESSIONS))]

    #[test]
    fn a_run_ends_where_the_loop_by_hand_ends_with_its_best_model(
        seed: u64,
        every in 1..=15_u64,
        patience in 1..=5_u64,
        improvement in prop_oneof![Just(0.0), 0.0..0.05_f32],
    ) {
        let plateau = Plateau { every, patience, improvement };
        let (expected, steps, by_hand) = by_hand(seed, plateau);

        let (model, [train, dev]) = noise(seed);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut trainer = Trainer::new(model, AdamW::new(0.05)).unwrap();
        let mut stopping = EarlyStopping::new(plateau).unwrap();
        let fit = Fit { length: Length::Steps(STEPS), batch: 6, schedule: constant };
        let fitted = trainer
            .fit(&train, fit, &mut rng, |progress| stopping.check(progress.trainer, &dev))
            .unwrap();

        prop_assert_eq!(fitted.steps, steps);
        let found = stopping.best().cloned();
        prop_assert_eq!(&found, &stopping.into_best());
        prop_assert_eq!(found.map(|best| (best.model, best.loss, best.step)), expected);
        // The trainer stands where the run ended, and can go on.
        prop_assert_eq!(bits(&trainer.state()), bits(&by_hand.state()));
        trainer.fit(&train, fit, &mut rng, |_| Ok(ControlFlow::Continue(()))).unwrap();
    }
}

#[test]
fn these_runs_do_stop_early() {
    // Without this, the property above could hold for runs that all go to their end.
    let plateau = Plateau {
        every: 5,
        patience: 3,
        improvement: 0.0,
    };
    let stopped = (0..20)
        .filter(|&seed| by_hand(seed, plateau).1 < STEPS)
        .count();
    assert!(stopped > 10, "{stopped} of 20");
}

#[test]
fn without_an_evaluation_there_is_no_best_model() {
    let (model, [_, dev]) = noise(1);
    let plateau = Plateau {
        every: 10,
        patience: 1,
        improvement: 0.0,
    };
    let mut stopping = EarlyStopping::new(plateau).unwrap();
    let mut trainer = Trainer::new(model, Sgd::new(0.01)).unwrap();
    for _ in 0..9 {
        trainer.step(dev.inputs(), dev.targets()).unwrap();
        assert_eq!(
            stopping.check(&mut trainer, &dev),
            Ok(ControlFlow::Continue(()))
        );
    }
    assert_eq!(stopping.best(), None);
}

#[test]
fn a_loss_that_overflows_is_no_improvement() {
    type Line = Mlp<Dense<1>, Tanh<1>, Regression<1>>;
    let mut model = Line::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(1));
    model.output.bias[0] = 1e30;
    let data = Dataset::new(vec![[0.0]], vec![[0.0]]).unwrap();
    let plateau = Plateau {
        every: 1,
        patience: 2,
        improvement: 0.0,
    };
    let mut stopping = EarlyStopping::new(plateau).unwrap();
    let mut trainer = Trainer::new(model, Sgd::new(0.0)).unwrap();
    assert_eq!(trainer.evaluate(&data).unwrap(), f32::INFINITY);
    assert_eq!(
        stopping.check(&mut trainer, &data),
        Ok(ControlFlow::Continue(()))
    );
    assert_eq!(
        stopping.check(&mut trainer, &data),
        Ok(ControlFlow::Break(()))
    );
    assert_eq!(stopping.best(), None);
}

#[test]
fn settings_outside_their_range_are_refused_by_name() {
    let good = Plateau {
        every: 1,
        patience: 1,
        improvement: 0.0,
    };
    let refused = |plateau| {
        let error = EarlyStopping::<Numbers>::new(plateau).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        refused(Plateau { every: 0, ..good }),
        "every must be at least 1, not 0"
    );
    assert_eq!(
        refused(Plateau {
            patience: 0,
            ..good
        }),
        "patience must be at least 1, not 0"
    );
    for improvement in [-1e-9, f32::NAN, f32::INFINITY] {
        let message = format!(
            "improvement must be finite and at least 0, not {}",
            f64::from(improvement)
        );
        assert_eq!(
            refused(Plateau {
                improvement,
                ..good
            }),
            message
        );
    }
}

#[test]
fn a_data_set_of_a_larger_vocabulary_is_refused() {
    type Letters = Mlp<Tokens<4, 2, 1>, Tanh<3>, Softmax<4>>;
    let plateau = Plateau {
        every: 1,
        patience: 1,
        improvement: 0.0,
    };
    let data = Dataset::new(vec![[0, 0], [0, 4]], vec![0, 0]).unwrap();
    let mut stopping = EarlyStopping::new(plateau).unwrap();
    let model = Letters::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(1));
    let mut trainer = Trainer::new(model, Sgd::new(0.1)).unwrap();
    let error = stopping.check(&mut trainer, &data).unwrap_err();
    assert!(matches!(
        error,
        Error::TokenOutOfRange {
            example: 1,
            position: 1,
            token: 4,
            ..
        }
    ));
}
