//! Gradients as values, and gradients of the inputs.

use fused_mlp::losses::{huber, squared};
use fused_mlp::model::HiddenLayers;
use fused_mlp::reference::Reference;
use fused_mlp::{
    Backend, Binary, Dense, Error, Gelu, Gradients, Huber, Mlp, Model, Regression, Relu,
    SeedableRng, Sgd, Sigmoid, Silu, Softmax, Tanh, Tokens, Trainer, Xoshiro256PlusPlus,
};

use super::{bits, optimizers, trainer_on};
use crate::support::shapes::{Case, Numbers, RandomHead, RandomInput};
use crate::support::{bits_of, flat, fused};

/// Trains twins, one by steps and one by gradients that are applied, and compares all bits.
fn applied_gradients_are_steps<I: RandomInput, L: HiddenLayers, O: RandomHead>() {
    for len in [1, 33, 64, 150] {
        let case = Case::<I, L, O>::fan_in_scaled(len as u64, len);
        for backend in Backend::available() {
            for optimizer in optimizers() {
                for clipping in [None, Some(0.05)] {
                    let start = || trainer_on(backend, &case.model, optimizer, clipping);
                    let (mut steps, mut applies) = (start(), start());
                    for _ in 0..3 {
                        let expected = steps.step(&case.inputs, &case.targets).unwrap();
                        let gradients = applies.gradients(&case.inputs, &case.targets).unwrap();
                        assert_eq!(gradients.examples(), len);
                        assert_eq!(gradients.loss().to_bits(), expected.to_bits());
                        let found = applies.apply(&gradients).unwrap();
                        assert_eq!(found.to_bits(), expected.to_bits());
                        let what =
                            format!("{len} examples, {optimizer:?}, {clipping:?} on {backend}");
                        assert_eq!(bits(&applies.state()), bits(&steps.state()), "{what}");
                        assert_eq!(applies.steps(), steps.steps());
                    }
                }
            }
        }
    }
}

#[test]
fn applied_gradients_have_the_bits_of_a_step() {
    applied_gradients_are_steps::<Tokens<9, 3, 2>, Tanh<17>, Softmax<5>>();
    applied_gradients_are_steps::<Dense<5>, (Silu<7>, Relu<18>), Regression<3>>();
}

#[test]
fn gradients_are_those_of_the_model() {
    let case = Case::<Tokens<9, 3, 2>, (Gelu<7>, Tanh<17>), Softmax<5>>::fan_in_scaled(1, 100);
    for backend in Backend::available() {
        let trainer = Trainer::new(case.model.clone(), Sgd::new(0.1)).unwrap();
        let mut trainer = trainer.with_backend(backend);
        let found = trainer.gradients(&case.inputs, &case.targets).unwrap();
        let (loss, expected) = case
            .model
            .gradients_on(backend, &case.inputs, &case.targets)
            .unwrap();
        assert_eq!(found.loss().to_bits(), loss.to_bits());
        for ((tensor, found), (same, expected)) in found.tensors().zip(expected.tensors()) {
            assert_eq!((tensor, found), (same, expected));
        }
        assert_eq!(bits_of(&trainer.model()), bits_of(&case.model), "{backend}");
    }
}

type Small = Mlp<Dense<3>, Tanh<7>, Regression<2>>;

fn small(len: usize) -> Case<Dense<3>, Tanh<7>, Regression<2>> {
    Case::fan_in_scaled(11, len)
}

fn values(gradients: &Gradients<Small>) -> Vec<f32> {
    gradients
        .tensors()
        .flat_map(|(_, values)| values.to_vec())
        .collect()
}

/// Those of parts of a batch, each of so many examples.
fn of_parts(
    case: &Case<Dense<3>, Tanh<7>, Regression<2>>,
    sizes: &[usize],
) -> Vec<Gradients<Small>> {
    let mut trainer = Trainer::new(case.model.clone(), Sgd::new(0.1)).unwrap();
    let mut start = 0;
    let parts = sizes.iter().map(|size| {
        let part = start..start + size;
        start += size;
        trainer
            .gradients(&case.inputs[part.clone()], &case.targets[part])
            .unwrap()
    });
    parts.collect()
}

#[test]
fn blocks_combine_to_the_bits_of_the_whole_batch() {
    for blocks in [1, 2, 4, 8, 16] {
        let case = small(64 * blocks);
        let [whole] = &of_parts(&case, &[64 * blocks])[..] else {
            unreachable!()
        };
        let combined = Gradients::combine(of_parts(&case, &vec![64; blocks])).unwrap();
        assert_eq!(combined.examples(), 64 * blocks);
        assert_eq!(values(&combined), values(whole), "{blocks} blocks");
        assert!((combined.loss() - whole.loss()).abs() <= 1e-6);
    }
}

#[test]
fn parts_of_any_size_combine_to_the_mean_of_all_examples() {
    let case = small(107);
    let [whole] = &of_parts(&case, &[107])[..] else {
        unreachable!()
    };
    let combined = Gradients::combine(of_parts(&case, &[1, 40, 3, 60, 3])).unwrap();
    assert_eq!(combined.examples(), 107);
    assert!((combined.loss() - whole.loss()).abs() <= 1e-6);
    for (found, expected) in values(&combined).iter().zip(values(whole)) {
        assert!((found - expected).abs() <= 1e-6, "{found} for {expected}");
    }
    assert!(Gradients::<Small>::combine([]).is_none());
}

#[test]
fn scaled_gradients_step_as_far() {
    let case = small(20);
    let mut gradients = of_parts(&case, &[20]).remove(0);
    let before = values(&gradients);
    gradients.scale(-0.5);
    let halves: Vec<f32> = before.iter().map(|value| -0.5 * value).collect();
    assert_eq!(values(&gradients), halves);
    let mut trainer = Trainer::new(case.model.clone(), Sgd::new(1.0)).unwrap();
    trainer.apply(&gradients).unwrap();
    for ((after, before), gradient) in flat(&trainer.model())
        .iter()
        .zip(flat(&case.model))
        .zip(halves)
    {
        assert_eq!(after.to_bits(), (before - gradient).to_bits());
    }
}

#[test]
fn gradients_that_are_not_finite_change_nothing() {
    let case = small(20);
    for backend in Backend::available() {
        for optimizer in optimizers() {
            let trainer = Trainer::new(case.model.clone(), optimizer).unwrap();
            let mut trainer = trainer.with_backend(backend);
            let before = bits(&trainer.state());
            let mut gradients = trainer.gradients(&case.inputs, &case.targets).unwrap();
            let (_, bias) = gradients.tensors_mut().last().unwrap();
            bias[1] = f32::NAN;
            let error = trainer.apply(&gradients).unwrap_err();
            assert_eq!(
                error,
                Error::NonFiniteStep {
                    step: 0,
                    tensor: "output_bias"
                }
            );
            assert_eq!(bits(&trainer.state()), before, "{backend}");
        }
    }
}

/// Half the distance of the inner points of a difference; features move exactly by it.
const STEP: f32 = 1.0 / 64.0;

/// Every example's gradient with respect to its features against differences of the reference's loss, by the formula
/// `(8 (f(s) − f(−s)) − (f(2s) − f(−2s))) / 12 s`; on every backend.
fn input_gradients_match_differences<const FEATURES: usize, L: HiddenLayers, O: RandomHead>()
where
    Dense<FEATURES>: RandomInput<Example = [f32; FEATURES]>,
{
    for len in [1, 31, 32, 45] {
        let case = Case::<Dense<FEATURES>, L, O>::new(len as u64, len, Numbers::Multiples(0.125));
        let model =
            Mlp::<Dense<FEATURES>, L, O>::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(7));
        let reference = Reference::of(&model);
        let mut expected_bits: Option<Vec<u32>> = None;
        for backend in Backend::available() {
            let trainer = Trainer::new(model.clone(), Sgd::new(0.1)).unwrap();
            let mut trainer = trainer.with_backend(backend);
            let mut found = vec![[f32::NAN; FEATURES]; len];
            let loss = trainer
                .input_gradients(&case.inputs, &case.targets, &mut found)
                .unwrap();
            let expected = reference.loss(&case.inputs, &case.targets).unwrap();
            assert!((f64::from(loss) - expected).abs() <= 2e-6 * (1.0 + expected));
            assert_eq!(
                bits_of(&trainer.model()),
                bits_of(&model),
                "the model stays"
            );
            for (example, slopes) in found.iter().enumerate() {
                let (input, target) = (case.inputs[example], [case.targets[example]]);
                for (feature, &slope) in slopes.iter().enumerate() {
                    let moved = |offset: f32| {
                        let mut input = input;
                        input[feature] += offset;
                        reference.loss(&[input], &target).unwrap()
                    };
                    let near = moved(STEP) - moved(-STEP);
                    let far = moved(2.0 * STEP) - moved(-2.0 * STEP);
                    let expected = (8.0 * near - far) / (12.0 * f64::from(STEP));
                    let error = (f64::from(slope) - expected).abs();
                    assert!(
                        error <= 2e-5 * (1.0 + expected.abs()),
                        "{slope} for {expected} on {backend}"
                    );
                }
            }
            if backend.is_fused() {
                let bits: Vec<u32> = found
                    .as_flattened()
                    .iter()
                    .map(|slope| slope.to_bits())
                    .collect();
                assert_eq!(
                    *expected_bits.get_or_insert_with(|| bits.clone()),
                    bits,
                    "{backend}"
                );
            }
        }
    }
}

#[test]
fn input_gradients_are_those_of_differences_at_every_depth() {
    input_gradients_match_differences::<3, Tanh<17>, Regression<2>>();
    input_gradients_match_differences::<40, Silu<5>, Softmax<4>>();
    input_gradients_match_differences::<5, (Gelu<20>, Tanh<7>), Binary>();
    input_gradients_match_differences::<1, (Sigmoid<4>, Silu<33>, Tanh<6>), Softmax<3>>();
}

#[test]
fn input_gradients_of_ones_own_loss_are_those_of_the_heads_formula() {
    let case = Case::<Dense<5>, (Gelu<20>, Tanh<7>), Regression<2, Huber>>::fan_in_scaled(3, 70);
    for backend in fused() {
        let trainer = Trainer::new(case.model.clone(), Sgd::new(0.1)).unwrap();
        let mut trainer = trainer.with_backend(backend);
        let (mut heads, mut own) = ([[0.0; 5]; 70], [[0.0; 5]; 70]);
        trainer
            .input_gradients(&case.inputs, &case.targets, &mut heads)
            .unwrap();
        let loss = |outputs: &[f32; 2], targets: &[f32; 2]| huber(outputs, targets, 1.0);
        trainer
            .input_gradients_with(&case.inputs, &case.targets, &mut own, loss)
            .unwrap();
        assert_eq!(own, heads, "{backend}");
        let error = trainer
            .input_gradients(&case.inputs, &case.targets, &mut own[1..])
            .unwrap_err();
        assert_eq!(
            error,
            Error::LengthMismatch {
                inputs: 70,
                what: "gradients",
                found: 69
            }
        );
    }
}

/// A model that feeds another through tanh is one deeper model, and trains as it does.
#[test]
fn two_chained_models_train_as_one_deeper_model() {
    type Lower = Mlp<Dense<3>, Tanh<5>, Regression<4>>;
    type Upper = Mlp<Dense<4>, Tanh<6>, Regression<2>>;
    type Whole = Mlp<Dense<3>, (Tanh<5>, Tanh<4>, Tanh<6>), Regression<2>>;
    let case = Case::<Dense<3>, (Tanh<5>, Tanh<4>, Tanh<6>), Regression<2>>::fan_in_scaled(5, 40);
    let whole: Whole = case.model;
    let (mut lower, mut upper) = (Lower::zeroed(), Upper::zeroed());
    lower.input = whole.input.clone();
    lower.output = whole.between.0.clone();
    upper.input = whole.between.1.clone();
    upper.output = whole.output.clone();
    let rate = 0.1;
    let mut whole = Trainer::new(whole, Sgd::new(rate)).unwrap();
    let mut lower = Trainer::new(lower, Sgd::new(rate)).unwrap();
    let mut upper = Trainer::new(upper, Sgd::new(rate)).unwrap();
    for _ in 0..20 {
        let expected = whole.step(&case.inputs, &case.targets).unwrap();
        let outputs: Vec<[f32; 4]> = case
            .inputs
            .iter()
            .map(|input| lower.logits(input).unwrap())
            .collect();
        let hidden: Vec<[f32; 4]> = outputs.iter().map(|z| z.map(f32::tanh)).collect();
        let mut d_hidden = vec![[0.0; 4]; 40];
        upper
            .input_gradients(&hidden, &case.targets, &mut d_hidden)
            .unwrap();
        let loss = upper
            .step_with(&hidden, &case.targets, |z: &[f32; 2], y: &[f32; 2]| {
                squared(z, y)
            })
            .unwrap();
        assert!((loss - expected).abs() <= 1e-5 * (1.0 + expected));
        let pairs: Vec<([f32; 4], [f32; 4])> = hidden.into_iter().zip(d_hidden).collect();
        lower
            .step_with(&case.inputs, &pairs, |_: &[f32; 4], (h, d)| {
                (0.0, core::array::from_fn(|k| d[k] * (1.0 - h[k] * h[k])))
            })
            .unwrap();
    }
    let (whole, lower, upper) = (whole.model(), lower.model(), upper.model());
    let close = |found: &[f32], expected: &[f32]| {
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() <= 1e-5 * (1.0 + expected.abs()),
                "{found} for {expected}"
            );
        }
    };
    close(
        lower.input.weights.as_slice(),
        whole.input.weights.as_slice(),
    );
    close(
        lower.output.weights.as_slice(),
        whole.between.0.weights.as_slice(),
    );
    close(upper.input.bias.as_slice(), whole.between.1.bias.as_slice());
    close(
        upper.output.weights.as_slice(),
        whole.output.weights.as_slice(),
    );
}
