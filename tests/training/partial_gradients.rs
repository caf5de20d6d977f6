//! Gradients of parts of a batch, combined to the bits of a step on the whole.

use std::ops::Range;

use fused_mlp::{
    Backend, BlockSum, Dataset, Dense, Error, Minibatch, Mlp, Optimizer, PartialGradients,
    Regression, Relu, SeedableRng, Sgd, Silu, Softmax, Tanh, Tokens, Trainer, Xoshiro256PlusPlus,
};
use proptest::prelude::*;

use super::{REGRESSIONS, bits, optimizers, trainer_on};
use crate::support::config;
use crate::support::shapes::{Case, RandomHead, RandomInput};

/// The ranges between cuts, some of them empty perhaps.
fn shares(blocks: usize, cuts: &[usize]) -> Vec<Range<usize>> {
    let mut bounds = vec![0, blocks];
    bounds.extend(cuts.iter().map(|cut| cut % (blocks + 1)));
    bounds.sort_unstable();
    bounds.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

/// Trains twins, one by steps and one by parts that are sent and combined, and compares all bits.
fn parts_are_steps<I: RandomInput, L: fused_mlp::model::HiddenLayers, O: RandomHead>(
    len: usize,
    is_weighted: bool,
    optimizer: Optimizer,
    clipping: Option<f32>,
    cuts: &[usize],
) {
    let case = Case::<I, L, O>::fan_in_scaled(len as u64, len);
    let mut data = Dataset::new(case.inputs, case.targets).unwrap();
    if is_weighted {
        let weights = (0..len).map(|example| (1 + example % 5) as f32 * 0.3);
        data = data.with_weights(weights.collect()).unwrap();
    }
    let mut batch = Minibatch::new(len);
    let all: Vec<u32> = (0..).take(len).collect();
    data.select(&all, &mut batch).unwrap();
    assert_eq!(batch.blocks(), len.div_ceil(64));

    for backend in Backend::available() {
        let start = || trainer_on(backend, &case.model, optimizer, clipping);
        let (mut steps, mut parts) = (start(), start());
        for _ in 0..2 {
            let expected = steps.step_batch(&batch).unwrap();
            let mut combined = parts.partial_gradients(&batch, 0..0).unwrap();
            for share in shares(batch.blocks(), cuts) {
                let part = parts.partial_gradients(&batch, share).unwrap();
                assert_eq!(part.weight().to_bits(), combined.weight().to_bits());
                for sum in part.into_sums() {
                    combined.add(sum).unwrap();
                }
            }
            let gradients = combined.whole().unwrap();
            assert_eq!(gradients.examples(), len);
            let found = parts.apply(&gradients).unwrap();
            assert_eq!(found.to_bits(), expected.to_bits(), "{backend}");
            assert!(bits(&parts.state()) == bits(&steps.state()), "{backend}");
        }
    }
}

proptest! {
    #![proptest_config(config(24, REGRESSIONS))]

    #[test]
    fn parts_combine_to_the_bits_of_a_step(
        len in 1..1_200_usize,
        is_weighted: bool,
        optimizer in prop::sample::select(optimizers().to_vec()),
        clipping in prop::option::of(Just(0.05)),
        cuts in prop::collection::vec(0..100_usize, 0..6),
    ) {
        parts_are_steps::<Tokens<9, 3, 2>, Tanh<17>, Softmax<5>>(
            len, is_weighted, optimizer, clipping, &cuts,
        );
        parts_are_steps::<Dense<5>, (Silu<7>, Relu<18>), Regression<3>>(
            len, is_weighted, optimizer, clipping, &cuts,
        );
    }

    /// Whatever arrives is added or refused, and what is refused changes nothing.
    #[test]
    fn sums_from_anywhere_are_added_or_refused(
        examples in prop_oneof![1..600_usize, Just(usize::MAX)],
        sums in prop::collection::vec(
            (prop_oneof![0..12_usize, any::<usize>()], 0..6_usize, any::<f64>(), 0..3_usize),
            0..12,
        ),
    ) {
        let mut partial = PartialGradients::new(examples, 1.0, 1).unwrap();
        let mut end = None;
        for (start, blocks, loss, len) in sums {
            let blocks = start..start.saturating_add(blocks);
            let sum = BlockSum { blocks: blocks.clone(), loss, gradients: vec![1.0; len] };
            if partial.add(sum).is_ok() {
                prop_assert!(len == 1 && end.is_none_or(|end| end == start));
                prop_assert!(!blocks.is_empty() && blocks.end <= examples.div_ceil(64));
                end = Some(blocks.end);
            }
            let whole = partial.whole::<Mlp<Dense<3>, Tanh<7>, Regression<2>>>();
            prop_assert!(whole.is_err(), "it has more than one parameter");
        }
        prop_assert_eq!(partial.into_sums().last().map(|sum| sum.blocks.end), end);
    }
}

type Small = Mlp<Dense<3>, Tanh<7>, Regression<2>>;
const PARAMETERS: usize = 3 * 7 + 7 + 7 * 2 + 2;

fn sum(blocks: Range<usize>) -> BlockSum {
    BlockSum {
        blocks,
        loss: 1.0,
        gradients: vec![0.5; PARAMETERS],
    }
}

fn message(error: Error) -> String {
    assert!(matches!(error, Error::PartialGradients { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn sums_that_do_not_fit_are_refused_by_name() {
    // Seven blocks: ((0 + 1) + (2 + 3)) + ((4 + 5) + 6).
    let empty = PartialGradients::new(400, 400.0, PARAMETERS).unwrap();
    for blocks in [
        0..0,
        1..3,
        0..3,
        5..7,
        2..5,
        6..8,
        7..8,
        usize::MAX - 1..usize::MAX,
    ] {
        let message = message(empty.clone().add(sum(blocks.clone())).unwrap_err());
        let expected = format!(
            "partial gradients: a sum's blocks must be 2ˡ of 7 blocks from a multiple of 2ˡ on, \
             or all that are left from there, not {blocks:?}"
        );
        assert_eq!(message, expected);
    }
    for blocks in [0..1, 2..4, 4..7, 6..7, 0..7] {
        empty.clone().add(sum(blocks)).unwrap();
    }

    let mut partial = empty.clone();
    partial.add(sum(0..2)).unwrap();
    assert_eq!(
        message(partial.add(sum(4..7)).unwrap_err()),
        "partial gradients: a sum's first block must be 2, not 4"
    );
    let mut short = sum(2..4);
    short.gradients.pop();
    assert_eq!(
        message(partial.add(short).unwrap_err()),
        "partial gradients: a sum's length must be 44, not 43"
    );
    partial.add(sum(2..4)).unwrap();
    assert_eq!(
        message(partial.whole::<Small>().unwrap_err()),
        "partial gradients: the blocks must be 0..7, not 0..4"
    );
    partial.add(sum(4..7)).unwrap();
    let whole = partial.whole::<Small>().unwrap();
    assert_eq!(whole.loss(), 3.0 / 400.0);
    assert!(
        whole
            .tensors()
            .all(|(_, values)| values.iter().all(|&value| value == 1.5))
    );
    assert_eq!(
        message(
            partial
                .whole::<Mlp<Dense<3>, Tanh<7>, Regression<1>>>()
                .unwrap_err()
        ),
        "partial gradients: a sum's length must be 36, not 44"
    );
}

#[test]
fn bad_batches_and_shares_are_refused() {
    assert_eq!(
        PartialGradients::new(0, 1.0, 1).unwrap_err(),
        Error::EmptyBatch
    );
    for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = PartialGradients::new(1, weight, 1).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{error:?}");
    }
    let model = Small::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(1));
    let mut trainer = Trainer::new(model, Sgd::new(0.1)).unwrap();
    let mut batch = Minibatch::new(100);
    assert_eq!(batch.blocks(), 0);
    let error = trainer.partial_gradients(&batch, 0..0).unwrap_err();
    assert_eq!(error, Error::EmptyBatch);
    let data = Dataset::new(vec![[0.5; 3]], vec![[1.0; 2]]).unwrap();
    data.draw(&mut Xoshiro256PlusPlus::seed_from_u64(2), &mut batch);
    #[expect(clippy::reversed_empty_ranges, reason = "it is to be refused")]
    for blocks in [0..3, 2..3, 1..0, usize::MAX..usize::MAX] {
        message(trainer.partial_gradients(&batch, blocks).unwrap_err());
    }
}

#[test]
fn sums_that_are_not_finite_change_no_model() {
    let model = Small::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(1));
    let mut trainer = Trainer::new(model, Sgd::new(0.1)).unwrap();
    let before = bits(&trainer.state());
    for (loss, gradient) in [(f64::NAN, 0.0), (f64::INFINITY, 0.0), (1.0, f32::NAN)] {
        let mut partial = PartialGradients::new(10, 10.0, PARAMETERS).unwrap();
        let (blocks, gradients) = (0..1, vec![gradient; PARAMETERS]);
        partial
            .add(BlockSum {
                blocks,
                loss,
                gradients,
            })
            .unwrap();
        let error = trainer.apply(&partial.whole().unwrap()).unwrap_err();
        assert!(matches!(error, Error::NonFiniteStep { .. }), "{error:?}");
        assert_eq!(bits(&trainer.state()), before);
    }
}
