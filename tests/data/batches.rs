//! Data sets and the minibatches drawn from them.

use fused_mlp::{
    Dataset, Error, Minibatch, Mlp, SeedableRng, Sgd, Softmax, Tanh, Tokens, Trainer,
    Xoshiro256PlusPlus,
};

use crate::{chi_square, plausible};

/// Examples that are all different, each with its own number as its target.
fn numbered(len: u8) -> Dataset<[u8; 1], u8> {
    Dataset::new((0..len).map(|i| [i]).collect(), (0..len).collect()).unwrap()
}

#[test]
fn a_draw_takes_every_example_equally_often_and_keeps_its_target() {
    let data = numbered(100);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    let mut minibatch = Minibatch::new(64);
    let mut counts = [0; 100];
    for _ in 0..1_000 {
        data.draw(&mut rng, &mut minibatch);
        assert_eq!(minibatch.inputs().len(), 64);
        for (&[input], &target) in minibatch.inputs().iter().zip(minibatch.targets()) {
            assert_eq!(input, target);
            counts[usize::from(input)] += 1;
        }
    }
    let statistic = chi_square(&counts, &[1.0; 100]);
    assert!(plausible(99).contains(&statistic), "{statistic}");
}

#[test]
fn a_draw_replaces_the_whole_batch_whatever_it_held() {
    let data = numbered(3);
    let other = numbered(200);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut minibatch = Minibatch::new(20);
    other.select(&[199; 50], &mut minibatch).unwrap();
    data.draw(&mut rng, &mut minibatch);
    assert_eq!(minibatch.inputs().len(), 20);
    assert!(minibatch.inputs().iter().all(|&[token]| token < 3));
}

#[test]
fn the_same_seed_draws_the_same_batches() {
    let data = numbered(50);
    let draw = |seed| {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut minibatch = Minibatch::new(32);
        data.draw(&mut rng, &mut minibatch);
        data.draw(&mut rng, &mut minibatch);
        minibatch
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

#[test]
fn a_selection_holds_the_named_examples_in_their_order() {
    let data = numbered(10);
    let mut minibatch = Minibatch::new(32);
    data.select(&[9, 0, 9, 4], &mut minibatch).unwrap();
    assert_eq!(minibatch.inputs(), [[9], [0], [9], [4]]);
    assert_eq!(minibatch.targets(), [9, 0, 9, 4]);
}

#[test]
fn a_selection_beyond_the_data_is_refused_and_leaves_nothing() {
    let data = numbered(10);
    let mut minibatch = Minibatch::new(32);
    for index in [10, u32::MAX] {
        let error = data.select(&[0, index], &mut minibatch).unwrap_err();
        let (index, examples) = (index as usize, 10);
        assert_eq!(error, Error::IndexOutOfRange { index, examples });
        let message = error.to_string();
        assert!(message.contains(&index.to_string()) && message.contains("10"));
        assert!(minibatch.inputs().is_empty() && minibatch.targets().is_empty());
    }
}

#[test]
fn a_selection_does_not_change_the_length_of_a_draw() {
    let data = numbered(10);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut minibatch = Minibatch::new(8);
    for indices in [&[1, 2][..], &[10], &[], &[0; 20]] {
        let _ = data.select(indices, &mut minibatch);
        data.draw(&mut rng, &mut minibatch);
        assert_eq!(minibatch.inputs().len(), 8, "after {indices:?}");
    }
}

type Small = Mlp<Tokens<5, 1, 2>, Tanh<3>, Softmax<5>>;

fn small_trainer() -> Trainer<Small> {
    let model = Small::standard_normal(&mut Xoshiro256PlusPlus::seed_from_u64(1));
    Trainer::new(model, Sgd::new(0.1)).unwrap()
}

#[test]
fn a_batch_that_was_never_drawn_is_refused() {
    let mut trainer = small_trainer();
    for len in [0, 32] {
        let result = trainer.step_batch(&Minibatch::new(len));
        assert_eq!(result, Err(Error::EmptyBatch), "a batch of {len}");
    }
    assert_eq!(trainer.steps(), 0);
}

#[test]
fn data_of_a_larger_vocabulary_is_refused_where_it_does_not_fit() {
    let mut trainer = small_trainer();
    let before = trainer.model();
    let mut minibatch = Minibatch::new(0);

    let data = Dataset::new(vec![[4], [5]], vec![1, 2]).unwrap();
    let error = Error::TokenOutOfRange {
        example: 1,
        position: 0,
        token: 5,
        vocabulary: 5,
    };
    assert_eq!(trainer.evaluate(&data), Err(error.clone()));
    data.select(&[0, 1, 0], &mut minibatch).unwrap();
    assert_eq!(trainer.step_batch(&minibatch), Err(error));

    let data = Dataset::new(vec![[4], [3]], vec![255, 2]).unwrap();
    let error = Error::ClassOutOfRange {
        example: 0,
        class: 255,
        classes: 5,
    };
    assert_eq!(trainer.evaluate(&data), Err(error));
    data.select(&[1, 1, 0], &mut minibatch).unwrap();
    let error = Error::ClassOutOfRange {
        example: 2,
        class: 255,
        classes: 5,
    };
    assert_eq!(trainer.step_batch(&minibatch), Err(error));
    assert_eq!((trainer.steps(), trainer.model()), (0, before));

    // The part of such a data set that fits can be learned from.
    data.select(&[1, 1], &mut minibatch).unwrap();
    trainer.step_batch(&minibatch).unwrap();
}

#[test]
fn a_large_batch_after_a_small_data_set_is_checked_again() {
    let mut trainer = small_trainer();
    let mut minibatch = Minibatch::new(0);
    numbered(5).select(&[4], &mut minibatch).unwrap();
    trainer.step_batch(&minibatch).unwrap();
    numbered(6).select(&[5], &mut minibatch).unwrap();
    let result = trainer.step_batch(&minibatch);
    assert!(matches!(
        result,
        Err(Error::TokenOutOfRange { token: 5, .. })
    ));
}

#[test]
fn a_data_set_needs_examples_of_equal_number_that_are_finite() {
    let empty = Dataset::<[f32; 2], u8>::new(vec![], vec![]);
    assert_eq!(empty, Err(Error::EmptyBatch));
    let ragged = Dataset::new(vec![[1.0], [2.0]], vec![0_u8; 3]);
    let (inputs, what, found) = (2, "targets", 3);
    assert_eq!(
        ragged,
        Err(Error::LengthMismatch {
            inputs,
            what,
            found
        })
    );
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = Dataset::new(vec![[1.0, 2.0], [3.0, value]], vec![0_u8; 2]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("input of example 1 has {value} at position 1; it must be finite")
        );
    }
}
