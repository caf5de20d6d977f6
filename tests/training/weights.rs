//! Weights of examples: what a weighted mean is, and that a batch without any is as it was.

use std::ops::ControlFlow::Continue;

use fused_mlp::losses::{cross_entropy, squared};
use fused_mlp::model::HiddenLayers;
use fused_mlp::schedule::constant;
use fused_mlp::{
    AdamW, Binary, Dataset, Dense, Error, Fit, Length, Minibatch, Mlp, Model, Regression, Relu,
    SeedableRng, Sgd, Silu, Softmax, Tanh, Tokens, Trainer, Xoshiro256PlusPlus,
};
use proptest::prelude::*;

use super::{REGRESSIONS, bits, optimizers};
use crate::support::shapes::{Case, RandomHead, RandomInput};
use crate::support::{bits_of, config, flat, fused};

/// A minibatch that holds a whole data set.
fn whole<E: fused_mlp::model::Example, T: Clone>(data: &Dataset<E, T>) -> Minibatch<E, T> {
    let mut minibatch = Minibatch::new(data.len());
    let indices: Vec<u32> = (0..).take(data.len()).collect();
    data.select(&indices, &mut minibatch).unwrap();
    minibatch
}

/// A step and an evaluation with weights are those on examples that are repeated as often, up to rounding.
fn weights_are_repetitions<I: RandomInput, L: HiddenLayers, O: RandomHead>(
    case: Case<I, L, O>,
    weights: &[u8],
) where
    Mlp<I, L, O>: PartialEq,
{
    let Case {
        model,
        inputs,
        targets,
    } = case;
    let repeat = |index: usize| std::iter::repeat_n(index, usize::from(weights[index]));
    let repeated: Vec<usize> = (0..inputs.len()).flat_map(repeat).collect();
    let expanded_inputs: Vec<_> = repeated.iter().map(|&index| inputs[index]).collect();
    let expanded_targets: Vec<_> = repeated.iter().map(|&index| targets[index]).collect();

    let start = || Trainer::new(model.clone(), Sgd::new(1.0)).unwrap();
    let mut expected = start();
    let loss = expected.step(&expanded_inputs, &expanded_targets).unwrap();

    let data = Dataset::new(inputs, targets).unwrap();
    let data = data.with_weights(weights.iter().map(|&w| w.into()).collect());
    let minibatch = whole(data.as_ref().unwrap());
    let mut states = Vec::new();
    for backend in fused() {
        let mut trainer = start().with_backend(backend);
        let evaluated = trainer.evaluate(data.as_ref().unwrap()).unwrap();
        let found = trainer.step_batch(&minibatch).unwrap();
        assert_eq!(evaluated, found);
        assert!(
            (found - loss).abs() <= 1e-5 * (1.0 + loss),
            "{found}, not {loss}"
        );
        let [found, expected] = [&trainer, &expected].map(|trainer| flat(&trainer.model()));
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() <= 2e-5 * (1.0 + expected.abs()),
                "{found}, not {expected}"
            );
        }
        states.push(bits(&trainer.state()));
    }
    assert!(states.windows(2).all(|pair| pair[0] == pair[1]));
}

proptest! {
    #![proptest_config(config(48, REGRESSIONS))]

    #[test]
    fn a_weight_counts_as_so_many_examples(
        seed: u64,
        weights in prop::collection::vec(0..4_u8, 1..150)
            .prop_filter("one weight must not be zero", |weights| weights.iter().any(|&w| w > 0)),
    ) {
        let len = weights.len();
        weights_are_repetitions(Case::<Tokens<9, 3, 2>, Tanh<20>, Softmax<9>>::fan_in_scaled(seed, len), &weights);
        weights_are_repetitions(Case::<Dense<5>, (Tanh<33>, Silu<17>), Regression<2>>::fan_in_scaled(seed, len), &weights);
        weights_are_repetitions(Case::<Dense<3>, (Tanh<5>, Tanh<5>, Relu<5>), Binary>::fan_in_scaled(seed, len), &weights);
    }
}

/// One weight for all changes no bit, if the length is a power of two; the formula of the head as a loss of the caller's own has the
/// bits of the head, whatever the weights.
fn equal_weights_are_none<I: RandomInput, L: HiddenLayers, O: RandomHead>() {
    for (len, weight) in [
        (1, 3.0),
        (2, 0.1),
        (64, f32::from_bits(1)),
        (128, f32::MAX),
        (256, 1.0),
    ] {
        let case = Case::<I, L, O>::fan_in_scaled(len as u64, len);
        let data = Dataset::new(case.inputs.clone(), case.targets.clone()).unwrap();
        let weighted = data.clone().with_weights(vec![weight; len]).unwrap();
        for backend in fused() {
            for optimizer in optimizers() {
                let start = || {
                    let trainer = Trainer::new(case.model.clone(), optimizer).unwrap();
                    trainer.with_backend(backend)
                };
                let [mut plain, mut even] = [start(), start()];
                let expected = plain.step_batch(&whole(&data)).unwrap();
                let found = even.step_batch(&whole(&weighted)).unwrap();
                assert!((found - expected).abs() <= 1e-6 * (1.0 + expected));
                assert_eq!(
                    bits(&even.state()),
                    bits(&plain.state()),
                    "{len} on {backend}"
                );
            }
        }
    }
}

#[test]
fn one_weight_for_all_has_the_bits_of_none() {
    equal_weights_are_none::<Tokens<9, 3, 2>, Tanh<20>, Softmax<9>>();
    equal_weights_are_none::<Dense<5>, (Tanh<33>, Relu<17>), Regression<3>>();
    equal_weights_are_none::<Dense<5>, Tanh<7>, Binary>();
}

#[test]
fn a_loss_of_ones_own_is_weighted_as_the_heads() {
    let case = Case::<Dense<5>, (Tanh<33>, Relu<17>), Softmax<4>>::fan_in_scaled(3, 150);
    let weights: Vec<f32> = (0..150_u8).map(|i| f32::from(i % 7) * 0.37).collect();
    let data = Dataset::new(case.inputs, case.targets).unwrap();
    let data = data.with_weights(weights).unwrap();
    let own = |logits: &[f32; 4], &class: &u8| cross_entropy(logits, class.into());
    for backend in fused() {
        let start = || {
            let trainer = Trainer::new(case.model.clone(), AdamW::new(0.01)).unwrap();
            trainer.with_backend(backend)
        };
        let [mut heads, mut owns] = [start(), start()];
        for _ in 0..3 {
            assert_eq!(
                owns.evaluate_with(&data, own).unwrap(),
                heads.evaluate(&data).unwrap()
            );
            let expected = heads.step_batch(&whole(&data)).unwrap();
            assert_eq!(owns.step_batch_with(&whole(&data), own).unwrap(), expected);
            assert_eq!(bits(&owns.state()), bits(&heads.state()), "{backend}");
        }
    }
}

type Line = Mlp<Dense<1>, Tanh<1>, Regression<1>>;

/// Only the output's bias can learn: the input and all weights are zero.
#[test]
fn a_bias_alone_ends_on_the_weighted_mean_of_the_targets() {
    let targets = [3.0, -1.0, 0.5, 10.0, 2.25];
    let weights = [1.0, 2.5, 0.0, 0.125, 4.0];
    let sums = targets.iter().zip(&weights).map(|(y, w)| y * w);
    let mean = sums.sum::<f32>() / weights.iter().sum::<f32>();

    let values = targets.map(|y| [y]);
    let data = Dataset::new(vec![[0.0]; 5], values.to_vec()).unwrap();
    let data = data.with_weights(weights.to_vec()).unwrap();
    for length in [
        Length::Steps(500),
        Length::Epochs {
            epochs: 500,
            drop_last: false,
        },
    ] {
        // By steps a draw is with replacement, so only the epochs see each example once in a batch.
        let fit = Fit {
            length,
            batch: 5,
            schedule: constant,
        };
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut heads = Trainer::new(Line::zeroed(), Sgd::new(0.1)).unwrap();
        let go_on = |_: fused_mlp::Progress<'_, Line>| Ok(Continue(()));
        heads.fit(&data, fit, &mut rng, go_on).unwrap();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut owns = Trainer::new(Line::zeroed(), Sgd::new(0.1)).unwrap();
        owns.fit_with(&data, fit, &mut rng, squared, go_on).unwrap();
        assert_eq!(bits_of(&owns.model()), bits_of(&heads.model()));
        let bias = heads.model().output.bias[0];
        let is_mean = (bias - mean).abs() < 1e-5;
        assert_eq!(
            is_mean,
            matches!(length, Length::Epochs { .. }),
            "{bias}, {mean}"
        );
    }
}

#[test]
fn the_largest_and_smallest_weights_are_divided_exactly() {
    let case = Case::<Dense<3>, Tanh<9>, Regression<2>>::fan_in_scaled(5, 4);
    let data = Dataset::new(case.inputs, case.targets).unwrap();
    let step = |weights: [f32; 4]| {
        let mut trainer = Trainer::new(case.model.clone(), Sgd::new(0.5)).unwrap();
        let data = data.clone().with_weights(weights.to_vec()).unwrap();
        let loss = trainer.step_batch(&whole(&data)).unwrap();
        (loss, bits(&trainer.state()))
    };
    let tiny = f32::from_bits(1);
    let largest = f32::MAX;
    assert_eq!(step([tiny; 4]), step([1.0; 4]));
    assert_eq!(step([largest; 4]), step([1.0; 4]));
    assert_eq!(
        step([tiny, tiny, 0.0, 0.0]),
        step([largest, largest, 0.0, 0.0])
    );
}

#[test]
fn weights_that_are_none_are_refused() {
    let data = || Dataset::new(vec![[1.0], [2.0]], vec![[0.0], [1.0]]).unwrap();
    for value in [-1.0, -f32::MIN_POSITIVE, f32::NAN, f32::INFINITY] {
        let error = data().with_weights(vec![1.0, value]).unwrap_err();
        let expected =
            format!("the weight of example 1 must be finite and at least 0, not {value}");
        assert_eq!(error.to_string(), expected);
    }
    let error = data().with_weights(vec![1.0; 3]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "2 inputs but 3 weights; there must be as many"
    );

    // Zeros may stand in a data set, but a mean needs one that is not.
    let data = data().with_weights(vec![0.0, 1.0]).unwrap();
    let mut trainer = Trainer::new(Line::zeroed(), Sgd::new(0.1)).unwrap();
    let mut minibatch = Minibatch::new(2);
    data.select(&[0, 0], &mut minibatch).unwrap();
    assert_eq!(minibatch.weights(), Some(&[0.0, 0.0][..]));
    assert_eq!(trainer.step_batch(&minibatch), Err(Error::ZeroWeight));
    assert_eq!(trainer.steps(), 0);
    assert_eq!(trainer.model(), Line::zeroed());
    data.select(&[0, 1], &mut minibatch).unwrap();
    assert_eq!(trainer.step_batch(&minibatch), Ok(1.0));
    assert!(trainer.evaluate(&data).is_ok());
    let zeros = data.with_weights(vec![0.0; 2]).unwrap();
    assert_eq!(trainer.evaluate(&zeros), Err(Error::ZeroWeight));
    assert_eq!(
        trainer.evaluate_with(&zeros, squared),
        Err(Error::ZeroWeight)
    );
}

#[test]
fn a_minibatch_has_the_weights_of_the_data_set_that_filled_it_last() {
    let plain = Dataset::new(vec![[1.0], [2.0]], vec![[0.0], [1.0]]).unwrap();
    let weighted = plain.clone().with_weights(vec![0.25, 4.0]).unwrap();
    assert_eq!(weighted.weights(), Some(&[0.25, 4.0][..]));
    let mut minibatch = Minibatch::new(2);
    weighted.select(&[1, 0, 1], &mut minibatch).unwrap();
    assert_eq!(minibatch.weights(), Some(&[4.0, 0.25, 4.0][..]));
    plain.select(&[1, 0], &mut minibatch).unwrap();
    assert_eq!(minibatch.weights(), None);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    weighted.draw(&mut rng, &mut minibatch);
    for (input, weight) in minibatch.inputs().iter().zip(minibatch.weights().unwrap()) {
        assert_eq!(*weight, if *input == [1.0] { 0.25 } else { 4.0 });
    }
}
