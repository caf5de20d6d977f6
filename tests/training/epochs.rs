//! Runs by epochs, and on the batches of an iterator.

use std::cell::RefCell;
use std::ops::ControlFlow::{Break, Continue};

use fused_mlp::losses::squared;
use fused_mlp::schedule::{constant, cosine};
use fused_mlp::{
    AdamW, Dataset, Dense, EarlyStopping, Error, Fit, Length, Minibatch, Mlp, Plateau, Regression,
    SeedableRng, Sgd, Tanh, Trainer, Xoshiro256PlusPlus, random,
};
use proptest::prelude::*;

use super::{REGRESSIONS, bits};
use crate::support::config;

type Curve = Mlp<Dense<1>, Tanh<8>, Regression<1>>;

fn curve() -> Trainer<Curve> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    Trainer::new(Curve::fan_in_scaled(&mut rng), AdamW::new(0.01)).unwrap()
}

/// Examples whose targets are their numbers.
fn numbered(len: u16) -> Dataset<[f32; 1], u16> {
    let inputs = (0..len).map(|i| [f32::from(i) / 50.0 - 1.0]);
    Dataset::new(inputs.collect(), (0..len).collect()).unwrap()
}

fn parabola(output: &[f32; 1], number: &u16) -> (f32, [f32; 1]) {
    let x = f32::from(*number) / 50.0 - 1.0;
    squared(output, &[x * x])
}

/// The examples of each batch of a run by epochs, and which batches end one.
fn batches(
    len: u16,
    batch: usize,
    epochs: u64,
    drop_last: bool,
    seed: u64,
) -> Vec<(Vec<u16>, bool)> {
    let seen = std::sync::Mutex::new(Vec::new());
    let found = RefCell::new(Vec::new());
    let fit = Fit {
        length: Length::Epochs { epochs, drop_last },
        batch,
        schedule: constant,
    };
    let note = |_: &[f32; 1], number: &u16| {
        seen.lock().unwrap().push(*number);
        (0.0, [0.0])
    };
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut trainer = curve();
    let fitted = trainer.fit_with(&numbered(len), fit, &mut rng, note, |progress| {
        let batch = std::mem::take(&mut *seen.lock().unwrap());
        found.borrow_mut().push((batch, progress.ends_epoch));
        let ended = found.borrow().iter().filter(|(_, ends)| *ends).count();
        assert_eq!(progress.epochs, ended as u64);
        Ok(Continue(()))
    });
    let found = found.into_inner();
    assert_eq!(fitted.unwrap().steps, found.len() as u64);
    found
}

proptest! {
    #![proptest_config(config(64, REGRESSIONS))]

    #[test]
    fn an_epoch_takes_every_example_once(
        seed: u64,
        len in 1..200_u16,
        batch in 1..250_usize,
        epochs in 0..4_u64,
        drop_last: bool,
    ) {
        prop_assume!(!drop_last || batch <= usize::from(len));
        let batches = batches(len, batch, epochs, drop_last, seed);
        let used = if drop_last { usize::from(len) / batch * batch } else { len.into() };
        let of_epoch = used.div_ceil(batch);
        prop_assert_eq!(batches.len(), of_epoch * usize::try_from(epochs).unwrap());
        let mut orders = Vec::new();
        for epoch in batches.chunks(of_epoch) {
            for (index, (examples, ends_epoch)) in epoch.iter().enumerate() {
                prop_assert_eq!(*ends_epoch, index + 1 == of_epoch);
                prop_assert_eq!(examples.len(), batch.min(used - index * batch));
            }
            let order: Vec<u16> = epoch.iter().flat_map(|(examples, _)| examples.clone()).collect();
            let mut sorted = order.clone();
            sorted.sort_unstable();
            sorted.dedup();
            prop_assert_eq!(sorted.len(), used);
            prop_assert!(drop_last || sorted == (0..len).collect::<Vec<_>>());
            orders.push(order);
        }
        if len > 20 {
            prop_assert!(orders.windows(2).all(|pair| pair[0] != pair[1]));
        }
    }
}

#[test]
fn the_orders_of_a_seed_are_these_everywhere() {
    let order = |seed| -> Vec<u16> {
        let batches = batches(10, 4, 2, false, seed);
        batches
            .into_iter()
            .flat_map(|(examples, _)| examples)
            .collect()
    };
    assert_eq!(order(1), ORDERS[0]);
    assert_eq!(order(2), ORDERS[1]);
}

/// Two epochs each: tests/data/normal.py 1, and 2.
const ORDERS: [[u16; 20]; 2] = [
    [4, 7, 9, 3, 2, 1, 5, 0, 6, 8, 5, 3, 9, 4, 6, 7, 0, 2, 8, 1],
    [8, 0, 9, 1, 3, 6, 2, 5, 4, 7, 2, 0, 3, 1, 6, 7, 9, 5, 4, 8],
];

#[test]
fn a_run_by_epochs_has_the_bits_of_a_loop_over_shuffled_indices() {
    let data = numbered(50);
    for drop_last in [false, true] {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut fitted = curve();
        let schedule = |step| cosine(step, 20, 0.1);
        let length = Length::Epochs {
            epochs: 4,
            drop_last,
        };
        let fit = Fit {
            length,
            batch: 12,
            schedule,
        };
        let mut losses = Vec::new();
        fitted
            .fit_with(&data, fit, &mut rng, parabola, |progress| {
                losses.push(progress.loss);
                Ok(Continue(()))
            })
            .unwrap();

        let mut loop_rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut looped = curve();
        let mut minibatch = Minibatch::new(12);
        let mut loop_losses = Vec::new();
        for _ in 0..4 {
            let mut order: Vec<u32> = (0..50).collect();
            random::shuffle(&mut loop_rng, &mut order);
            for indices in order
                .chunks(12)
                .filter(|batch| !drop_last || batch.len() == 12)
            {
                data.select(indices, &mut minibatch).unwrap();
                let factor = schedule(looped.steps());
                #[expect(clippy::cast_possible_truncation, reason = "a rate is rounded once")]
                looped
                    .set_learning_rate((f64::from(0.01_f32) * factor) as f32)
                    .unwrap();
                loop_losses.push(looped.step_batch_with(&minibatch, parabola).unwrap());
            }
        }
        assert_eq!(losses, loop_losses);
        assert_eq!(bits(&fitted.state()), bits(&looped.state()));
        assert_eq!(rng, loop_rng);
    }
}

#[test]
fn a_run_that_is_resumed_at_the_end_of_an_epoch_goes_on_with_the_same_bits() {
    let data = numbered(50);
    let by = |epochs| Fit {
        length: Length::Epochs {
            epochs,
            drop_last: false,
        },
        batch: 8,
        schedule: constant,
    };
    let mut whole = curve();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    whole
        .fit_with(&data, by(5), &mut rng, parabola, |_| Ok(Continue(())))
        .unwrap();

    let mut first = curve();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let stopped = first.fit_with(&data, by(5), &mut rng, parabola, |progress| {
        Ok(if progress.epochs == 2 {
            Break(())
        } else {
            Continue(())
        })
    });
    assert!(stopped.unwrap().is_stopped);
    let mut second = Trainer::resume(first.state()).unwrap();
    let mut rng = Xoshiro256PlusPlus::from_seed(rng.state());
    second
        .fit_with(&data, by(3), &mut rng, parabola, |_| Ok(Continue(())))
        .unwrap();
    assert_eq!(bits(&second.state()), bits(&whole.state()));
}

#[test]
fn a_run_on_an_iterator_takes_a_step_on_each_batch() {
    let inputs = |batch: u8| (0..3 + batch).map(move |i| [f32::from(i + batch) / 20.0]);
    let weights = |batch: u8| (0..3 + batch).map(|i| f32::from(i + 1));
    let batch = |batch: u8| {
        let targets = inputs(batch).map(|[x]| [x * x]);
        let data = Dataset::new(inputs(batch).collect(), targets.collect()).unwrap();
        if batch.is_multiple_of(2) {
            data
        } else {
            data.with_weights(weights(batch).collect()).unwrap()
        }
    };
    let batches: Vec<_> = (0..30).map(batch).collect();
    let schedule = |step| cosine(step, 30, 0.0);

    let mut looped = curve();
    for batch in &batches {
        let indices: Vec<u32> = (0..).take(batch.len()).collect();
        let mut minibatch = Minibatch::new(batch.len());
        batch.select(&indices, &mut minibatch).unwrap();
        #[expect(clippy::cast_possible_truncation, reason = "a rate is rounded once")]
        let rate = (f64::from(0.01_f32) * schedule(looped.steps())) as f32;
        looped.set_learning_rate(rate).unwrap();
        looped.step_batch(&minibatch).unwrap();
    }

    // Borrowed and owned, by the head's loss and by its formula.
    let go_on = |progress: fused_mlp::Progress<'_, Curve>| {
        assert_eq!((progress.epochs, progress.ends_epoch), (0, false));
        Ok(Continue(()))
    };
    let mut borrowed = curve();
    let fitted = borrowed.fit_batches(&batches, schedule, go_on).unwrap();
    assert_eq!((fitted.steps, fitted.is_stopped), (30, false));
    let mut owned = curve();
    owned
        .fit_batches_with(batches, schedule, squared, go_on)
        .unwrap();
    let expected = bits(&looped.state());
    let rate = looped.optimizer().learning_rate();
    for mut trainer in [borrowed, owned] {
        trainer.set_learning_rate(rate).unwrap();
        assert_eq!(bits(&trainer.state()), expected);
    }
}

#[test]
fn a_callback_ends_an_endless_iterator_and_its_error_reaches_the_caller() {
    let batch = Dataset::new(vec![[0.5]], vec![[1.0]]).unwrap();
    let endless = || std::iter::repeat(&batch);
    let mut trainer = curve();
    let fitted = trainer.fit_batches(endless(), constant, |progress| {
        Ok(if progress.step == 7 {
            Break(())
        } else {
            Continue(())
        })
    });
    let fitted = fitted.unwrap();
    assert_eq!((fitted.steps, fitted.is_stopped), (7, true));

    let error = trainer.fit_batches(endless(), constant, |progress| {
        if progress.step == 3 {
            Err(Error::ZeroWeight)
        } else {
            Ok(Continue(()))
        }
    });
    assert_eq!(error, Err(Error::ZeroWeight));
    assert_eq!(trainer.steps(), 10);
}

#[test]
fn epochs_without_a_whole_batch_are_refused_where_short_ones_are_dropped() {
    let mut trainer = curve();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut by = |batch, drop_last| {
        let length = Length::Epochs {
            epochs: 1,
            drop_last,
        };
        let fit = Fit {
            length,
            batch,
            schedule: constant,
        };
        trainer.fit_with(&numbered(10), fit, &mut rng, parabola, |_| Ok(Continue(())))
    };
    let error = by(11, true).unwrap_err().to_string();
    assert_eq!(
        error,
        "batch must be at most the number of examples, where the last short batch is dropped, not 11"
    );
    assert_eq!(
        by(0, false).unwrap_err().to_string(),
        "batch must be at least 1, not 0"
    );
    assert_eq!(by(10, true).unwrap().steps, 1);
    assert_eq!(by(11, false).unwrap().steps, 1);
    assert_eq!(by(usize::MAX, false).unwrap().steps, 1);
}

#[test]
fn a_bad_target_is_named_by_its_place_in_the_data_set_before_the_first_step() {
    let mut targets = vec![[0.0]; 1000];
    targets[700] = [f32::NAN];
    let data = Dataset::new(vec![[0.5]; 1000], targets).unwrap();
    let mut trainer = curve();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let fit = Fit {
        length: Length::Steps(10),
        batch: 4,
        schedule: constant,
    };
    let error = trainer
        .fit(&data, fit, &mut rng, |_| Ok(Continue(())))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "target of example 700 has NaN at position 0; it must be finite"
    );
    let evaluated = trainer.evaluate(&data).unwrap_err();
    assert_eq!(evaluated.to_string(), error.to_string());
    assert_eq!(trainer.steps(), 0);
    assert_eq!(rng, Xoshiro256PlusPlus::seed_from_u64(1));
}

#[test]
fn early_stopping_by_a_loss_of_ones_own_ends_where_the_heads_does() {
    let train = numbered(40);
    let values = train
        .targets()
        .iter()
        .map(|number| parabola(&[0.0], number).0.sqrt());
    let heads_train = Dataset::new(train.inputs().to_vec(), values.map(|y| [y]).collect()).unwrap();
    let plateau = Plateau {
        every: 5,
        patience: 2,
        improvement: 0.01,
    };
    let fit = Fit {
        length: Length::Steps(400),
        batch: 8,
        schedule: constant,
    };

    let (mut heads, mut owns) = (curve(), curve());
    let (mut by_head, mut by_own) = (
        EarlyStopping::new(plateau).unwrap(),
        EarlyStopping::new(plateau).unwrap(),
    );
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let expected = heads
        .fit(&heads_train, fit, &mut rng, |progress| {
            by_head.check(progress.trainer, &heads_train)
        })
        .unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let to_square = |output: &[f32; 1], target: &[f32; 1]| squared(output, target);
    let found = owns
        .fit_with(&heads_train, fit, &mut rng, to_square, |progress| {
            by_own.check_with(progress.trainer, &heads_train, to_square)
        })
        .unwrap();
    assert!(expected.is_stopped);
    assert_eq!(found, expected);
    assert_eq!(by_own, by_head);
    let mut untrained = Trainer::new(by_own.into_best().unwrap().model, Sgd::new(0.0)).unwrap();
    assert!(untrained.evaluate(&heads_train).unwrap().is_finite());
}
