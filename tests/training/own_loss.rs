//! Steps with a loss of the caller's own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fused_mlp::losses::{
    absolute, cross_entropy, huber, logistic, quantile, smoothed_cross_entropy, soft_cross_entropy,
    squared, weighted,
};
use fused_mlp::model::{HiddenLayers, OutputsOf, PredictionOf};
use fused_mlp::reference::Reference;
use fused_mlp::{
    Backend, Binary, Dataset, Dense, Error, ExampleOf, Gelu, Huber, Mlp, Model, Optimizer,
    Regression, Relu, SeedableRng, Sgd, Softmax, Tanh, TargetOf, Tokens, Trainer,
    Xoshiro256PlusPlus,
};
use proptest::prelude::*;
use serde_json::{Value, from_value};

use super::{REGRESSIONS, bits, optimizers, trainer_on};
use crate::common::json;
use crate::support::shapes::{Case, Numbers, RandomHead, RandomInput};
use crate::support::{bits_of, config, flat, fused};

/// What a loss of the caller's own returns.
type Differentiated<M> = (f32, OutputsOf<M>);

/// Trains twins, one by its head's loss and one by the same formula of the caller's own, and compares all bits.
fn own_formula_has_the_heads_bits<I: RandomInput, L: HiddenLayers, O: RandomHead>(
    formula: impl Fn(&OutputsOf<Mlp<I, L, O>>, &O::Target) -> Differentiated<Mlp<I, L, O>> + Sync + Copy,
) {
    for len in [1, 2, 32, 64, 128, 256] {
        let Case {
            model,
            inputs,
            targets,
        } = Case::<I, L, O>::fan_in_scaled(len as u64, len);
        for backend in fused() {
            for optimizer in optimizers() {
                for clipping in [None, Some(0.05)] {
                    let start = || trainer_on(backend, &model, optimizer, clipping);
                    let (mut heads, mut own) = (start(), start());
                    for _ in 0..3 {
                        let expected = heads.step(&inputs, &targets).unwrap();
                        let found = own.step_with(&inputs, &targets, formula).unwrap();
                        assert!((found - expected).abs() <= 1e-6 * (1.0 + expected));
                        assert_eq!(
                            bits(&own.state()),
                            bits(&heads.state()),
                            "{len} examples, {optimizer:?}, {clipping:?} on {backend}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn cross_entropy_of_ones_own_has_the_bits_of_softmax() {
    own_formula_has_the_heads_bits::<Tokens<9, 3, 2>, Tanh<17>, Softmax<16>>(
        |logits: &[f32; 16], &class: &u8| cross_entropy(logits, class.into()),
    );
    own_formula_has_the_heads_bits::<Dense<4>, (Tanh<16>, Gelu<7>), Softmax<2>>(
        |logits: &[f32; 2], &class: &u8| cross_entropy(logits, class.into()),
    );
}

#[test]
fn squares_and_huber_of_ones_own_have_the_bits_of_regression() {
    own_formula_has_the_heads_bits::<Dense<8>, Relu<20>, Regression<4>>(
        |outputs: &[f32; 4], targets: &[f32; 4]| squared(outputs, targets),
    );
    own_formula_has_the_heads_bits::<Dense<3>, Tanh<5>, Regression<1, Huber>>(
        |outputs: &[f32; 1], targets: &[f32; 1]| huber(outputs, targets, 1.0),
    );
}

#[test]
fn logistic_of_ones_own_has_the_bits_of_binary() {
    own_formula_has_the_heads_bits::<Dense<6>, Tanh<33>, Binary>(
        |logits: &[f32; 1], &label: &bool| logistic(logits, &[f32::from(u8::from(label))]),
    );
}

/// The gradient that a step at this rate leaves behind, since it throws the old parameters away but for the last place.
const ERASING_RATE: f32 = (1 << 20) as f32;

/// Where lengths and widths are no powers of two, the bound of the head's own gradients holds, on batches and on one example.
fn own_formula_is_within_the_heads_bound<I: RandomInput, L: HiddenLayers, O: RandomHead>(
    formula: impl Fn(&OutputsOf<Mlp<I, L, O>>, &O::Target) -> Differentiated<Mlp<I, L, O>> + Sync + Copy,
) {
    for len in [1, 3, 47, 100] {
        let Case {
            model,
            inputs,
            targets,
        } = Case::<I, L, O>::fan_in_scaled(len as u64, len);
        let before = flat(&model);
        let (_, gradients) = Reference::of(&model).gradients(&inputs, &targets).unwrap();
        let of_reference = |part: fn(&fused_mlp::reference::TensorGradient) -> Vec<f64>| {
            gradients.iter().flat_map(part).collect::<Vec<f64>>()
        };
        let expected = of_reference(|tensor| tensor.values.transpose().as_slice().to_vec());
        let magnitudes = of_reference(|tensor| tensor.magnitudes.transpose().as_slice().to_vec());
        for backend in Backend::available() {
            let start = || {
                let trainer = Trainer::new(model.clone(), Sgd::new(ERASING_RATE)).unwrap();
                trainer.with_backend(backend)
            };
            let mut batch = start();
            batch.step_with(&inputs, &targets, formula).unwrap();
            let mut trainers = vec![batch];
            if len == 1 {
                let mut one = start();
                one.step_one_with(&inputs[0], &targets[0], formula).unwrap();
                trainers.push(one);
            }
            for trainer in trainers {
                for (i, after) in flat(&trainer.model()).into_iter().enumerate() {
                    let rate = f64::from(ERASING_RATE);
                    let found = (f64::from(before[i]) - f64::from(after)) / rate;
                    let allowed =
                        2e-5 * magnitudes[i] + 2e-6 * (f64::from(before[i]).abs() + 1.0) / rate;
                    assert!(
                        (found - expected[i]).abs() <= allowed + 1e-7 * expected[i].abs(),
                        "{len} examples on {backend}: {found} for {}",
                        expected[i]
                    );
                }
            }
        }
    }
}

#[test]
fn gradients_of_ones_own_formulas_stay_within_the_bound() {
    own_formula_is_within_the_heads_bound::<Tokens<27, 3, 2>, Tanh<100>, Softmax<27>>(
        |logits: &[f32; 27], &class: &u8| cross_entropy(logits, class.into()),
    );
    own_formula_is_within_the_heads_bound::<Dense<5>, (Tanh<7>, Tanh<18>), Regression<3>>(
        |outputs: &[f32; 3], targets: &[f32; 3]| squared(outputs, targets),
    );
    own_formula_is_within_the_heads_bound::<
        Dense<5>,
        (Gelu<7>, Tanh<18>, Gelu<3>),
        Regression<3, Huber>,
    >(|outputs: &[f32; 3], targets: &[f32; 3]| huber(outputs, targets, 1.0));
}

/// REINFORCE (Williams, 1992): the gradient of −advantage · ln π(action) is advantage · (π − onehot).
#[test]
fn the_policy_gradient_is_that_of_its_formula() {
    type Policy = Mlp<Dense<4>, Tanh<8>, Softmax<3>>;
    let model = Policy::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(5));
    let states = [[0.1, -0.4, 0.3, 0.9], [0.7, 0.2, -0.5, -0.1]];
    let taken = [(2_usize, 1.5_f32), (0, -0.75)];
    let rate = 0.5;
    let mut trainer = Trainer::new(model.clone(), Sgd::new(rate)).unwrap();
    let reinforce = |logits: &[f32; 3], &(action, advantage): &(usize, f32)| {
        weighted(cross_entropy(logits, action), advantage)
    };
    trainer.step_with(&states, &taken, reinforce).unwrap();
    let after = trainer.model();
    // d_bias of the outputs is the mean over the batch of advantage · (π − onehot).
    for output in 0..3 {
        let mut expected = 0.0;
        for (state, &(action, advantage)) in states.iter().zip(&taken) {
            let logits = Trainer::new(model.clone(), Sgd::new(0.1))
                .unwrap()
                .logits(state)
                .unwrap();
            let weights = logits.map(|logit| f64::from(logit).exp());
            let policy = weights[output] / weights.iter().sum::<f64>();
            let onehot = if output == action { 1.0 } else { 0.0 };
            expected += f64::from(advantage) * (policy - onehot) / 2.0;
        }
        let moved = f64::from(model.output.bias[output]) - f64::from(after.output.bias[output]);
        let found = moved / f64::from(rate);
        assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
    }
}

proptest! {
    #![proptest_config(config(24, REGRESSIONS))]

    /// A weight of n is the same as the example n times, up to the division by the length of the batch and rounding.
    #[test]
    fn weights_equal_repeated_examples(
        seed: u64,
        weights in prop::collection::vec(1_u8..5, 1..40),
    ) {
        type Model = Mlp<Dense<3>, (Tanh<5>, Gelu<6>), Regression<2>>;
        let len = weights.len();
        let case: Case<Dense<3>, (Tanh<5>, Gelu<6>), Regression<2>> = Case::fan_in_scaled(seed, len);
        let model: Model = case.model;
        let repeated: Vec<usize> = (0..len).flat_map(|i| vec![i; weights[i].into()]).collect();
        let total = repeated.len() as f32;
        let trainer = || Trainer::new(model.clone(), Sgd::new(1.0)).unwrap();

        let mut weighs = trainer();
        let pairs: Vec<([f32; 2], f32)> = (0..len)
            .map(|i| (case.targets[i], f32::from(weights[i]) * len as f32 / total))
            .collect();
        weighs.step_with(&case.inputs, &pairs, |outputs: &[f32; 2], (target, weight)| {
            weighted(squared(outputs, target), *weight)
        }).unwrap();

        let mut repeats = trainer();
        let inputs: Vec<[f32; 3]> = repeated.iter().map(|&i| case.inputs[i]).collect();
        let targets: Vec<[f32; 2]> = repeated.iter().map(|&i| case.targets[i]).collect();
        repeats.step(&inputs, &targets).unwrap();
        for (weighed, repeated) in flat(&weighs.model()).iter().zip(flat(&repeats.model())) {
            prop_assert!((weighed - repeated).abs() <= 1e-5 * (1.0 + repeated.abs()));
        }
    }

    /// The same bits on every fused backend, whatever the loss, on batches and on one example.
    #[test]
    fn own_losses_have_the_same_bits_on_every_fused_backend(seed: u64, len in 1..=150_usize) {
        let case: Case<Tokens<9, 2, 3>, (Gelu<7>, Tanh<17>), Softmax<5>> = Case::new(seed, len, Numbers::Normal);
        let loss = |logits: &[f32; 5], &class: &u8| smoothed_cross_entropy(logits, class.into(), 0.2);
        let mut expected: Option<Vec<u32>> = None;
        for backend in fused() {
            let mut trainer = Trainer::new(case.model.clone(), Sgd::new(0.1)).unwrap().with_backend(backend);
            let first = trainer.step_with(&case.inputs, &case.targets, loss).unwrap();
            let second = trainer.step_one_with(&case.inputs[0], &case.targets[0], loss).unwrap();
            let mut found = bits_of(&trainer.model());
            found.extend([first.to_bits(), second.to_bits()]);
            match &expected {
                None => expected = Some(found),
                Some(expected) => prop_assert_eq!(&found, expected, "{}", backend),
            }
        }
    }
}

type Small = Mlp<Dense<2>, Tanh<5>, Regression<2>>;

fn small() -> (Small, Vec<[f32; 2]>, Vec<f32>) {
    let model = Small::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(3));
    let inputs = (0..150).map(|i| [i as f32 / 150.0, 0.5]).collect();
    let targets = (0..150).map(|i| i as f32 / 75.0).collect();
    (model, inputs, targets)
}

fn sum_of_squares(outputs: &[f32; 2], target: &f32) -> (f32, [f32; 2]) {
    squared(outputs, &[*target, -*target])
}

/// Takes a step, which must fail as expected and change nothing; after that the trainer steps as one that never failed.
fn refused(
    optimizer: Optimizer,
    loss: impl Fn(&[f32; 2], &f32) -> (f32, [f32; 2]) + Sync,
    expected: &Error,
) {
    let (model, inputs, targets) = small();
    for backend in Backend::available() {
        let start = || {
            Trainer::new(model.clone(), optimizer)
                .unwrap()
                .with_backend(backend)
        };
        let (mut trainer, mut untouched) = (start(), start());
        let error = trainer.step_with(&inputs, &targets, &loss).unwrap_err();
        assert_eq!(error.to_string(), expected.to_string(), "{backend}");
        let data = Dataset::new(inputs.clone(), targets.clone()).unwrap();
        let error = trainer.evaluate_with(&data, &loss).unwrap_err();
        assert_eq!(error.to_string(), expected.to_string(), "{backend}");
        assert_eq!(bits(&trainer.state()), bits(&untouched.state()));
        assert_eq!(trainer.steps(), 0);
        trainer
            .step_with(&inputs, &targets, sum_of_squares)
            .unwrap();
        untouched
            .step_with(&inputs, &targets, sum_of_squares)
            .unwrap();
        assert_eq!(
            bits(&trainer.state()),
            bits(&untouched.state()),
            "{backend}"
        );
    }
}

#[test]
fn a_bad_loss_or_gradient_is_an_error_that_names_the_first_example() {
    // Example 40 is in the second chunk, 100 in the second block.
    for index in [0, 31, 32, 40, 64, 100, 149] {
        let at = index as f32 / 75.0;
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let expected = |output| Error::NonFiniteLoss {
                example: index,
                output,
                value,
            };
            for optimizer in optimizers() {
                let from = |target: f32| target >= at; // all later ones are bad too
                refused(
                    optimizer,
                    |outputs, target| {
                        let (loss, gradient) = sum_of_squares(outputs, target);
                        (if from(*target) { value } else { loss }, gradient)
                    },
                    &expected(None),
                );
                refused(
                    optimizer,
                    |outputs, target| {
                        let (loss, mut gradient) = sum_of_squares(outputs, target);
                        gradient[1] = if from(*target) { value } else { gradient[1] };
                        (loss, gradient)
                    },
                    &expected(Some(1)),
                );
            }
        }
    }
}

#[test]
fn a_loss_that_overflows_in_a_step_leaves_the_model_as_it_was() {
    let (model, inputs, targets) = small();
    let mut trainer = Trainer::new(model.clone(), Sgd::new(1e30)).unwrap();
    let huge = |_: &[f32; 2], _: &f32| (1.0, [f32::MAX, 0.0]);
    let error = trainer.step_with(&inputs, &targets, huge).unwrap_err();
    assert!(matches!(error, Error::NonFiniteStep { .. }), "{error}");
    assert_eq!(bits_of(&trainer.model()), bits_of(&model));
}

#[test]
fn a_panic_in_a_loss_reaches_the_caller_and_loses_nothing() {
    let (model, inputs, targets) = small();
    for backend in Backend::available() {
        for optimizer in optimizers() {
            let start = || {
                Trainer::new(model.clone(), optimizer)
                    .unwrap()
                    .with_backend(backend)
            };
            let (mut trainer, mut untouched) = (start(), start());
            let panics = |outputs: &[f32; 2], target: &f32| {
                assert!(*target < 1.4, "a target of {target}");
                sum_of_squares(outputs, target)
            };
            let attempt = || trainer.step_with(&inputs, &targets, panics);
            catch_unwind(AssertUnwindSafe(attempt)).unwrap_err();
            let one = || trainer.step_one_with(&inputs[149], &targets[149], panics);
            catch_unwind(AssertUnwindSafe(one)).unwrap_err();
            assert_eq!(bits(&trainer.state()), bits(&untouched.state()));
            trainer
                .step_with(&inputs, &targets, sum_of_squares)
                .unwrap();
            untouched
                .step_with(&inputs, &targets, sum_of_squares)
                .unwrap();
            assert_eq!(
                bits(&trainer.state()),
                bits(&untouched.state()),
                "{backend}"
            );
        }
    }
}

#[test]
fn a_bad_batch_is_refused_before_the_loss_is_asked() {
    let (model, inputs, targets) = small();
    let mut trainer = Trainer::new(model, Sgd::new(0.1)).unwrap();
    let never = |_: &[f32; 2], _: &f32| -> (f32, [f32; 2]) { panic!("the batch is bad") };
    let error = trainer
        .step_with(&inputs, &targets[1..], never)
        .unwrap_err();
    assert_eq!(
        error,
        Error::LengthMismatch {
            inputs: 150,
            what: "targets",
            found: 149
        }
    );
    let error = trainer.step_with(&[], &[], never).unwrap_err();
    assert_eq!(error, Error::EmptyBatch);
    let error = trainer
        .step_one_with(&[0.5, f32::INFINITY], &1.0, never)
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::NonFiniteData {
                example: 0,
                position: 1,
                ..
            }
        ),
        "{error}"
    );
}

/// PyTorch's losses and gradients in `f64`; the tolerance is a few last places of numbers up to 8.
#[test]
fn losses_are_pytorchs() {
    const TOLERANCE: f64 = 1e-6;
    let record = json("losses.json");
    let numbers = |value: &Value| -> [f32; 5] { from_value(value.clone()).unwrap() };
    let number = |name: &str| -> f32 { from_value(record[name].clone()).unwrap() };
    let cases = record["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 16);
    for case in cases {
        let (outputs, targets) = (numbers(&case["outputs"]), numbers(&case["targets"]));
        let class: usize = from_value(case["class"].clone()).unwrap();
        let found = [
            ("cross_entropy", cross_entropy(&outputs, class)),
            (
                "soft_cross_entropy",
                soft_cross_entropy(&outputs, &numbers(&case["distribution"])),
            ),
            (
                "smoothed_cross_entropy",
                smoothed_cross_entropy(&outputs, class, number("smoothing")),
            ),
            ("logistic", logistic(&outputs, &numbers(&case["labels"]))),
            ("squared", squared(&outputs, &targets)),
            ("absolute", absolute(&outputs, &targets)),
            ("huber", huber(&outputs, &targets, number("delta"))),
        ];
        assert_eq!(case["losses"].as_object().unwrap().len(), found.len());
        for (name, (loss, gradient)) in found {
            let expected = &case["losses"][name];
            let exact = expected["loss"].as_f64().unwrap();
            assert!(
                (f64::from(loss) - exact).abs() <= TOLERANCE * (1.0 + exact),
                "{name}: {loss} for {exact}"
            );
            let slopes: Vec<f64> = from_value(expected["gradient"].clone()).unwrap();
            for (found, exact) in gradient.iter().zip(slopes) {
                assert!(
                    (f64::from(*found) - exact).abs() <= TOLERANCE,
                    "{name}: {found} for {exact}"
                );
            }
        }
    }
}

#[test]
fn label_smoothing_and_quantiles_have_known_values() {
    let logits = [2.0, 1.0, 0.0, -1.0, 0.5];
    let (smoothed, _) = smoothed_cross_entropy(&logits, 0, 0.1);
    let (hard, _) = cross_entropy(&logits, 0);
    assert!((smoothed - 0.724_437_9).abs() < 1e-6, "{smoothed}");
    assert!((hard - 0.574_437_9).abs() < 1e-6, "{hard}");
    assert_eq!(
        quantile(&[1.0, 2.0], &[2.0, 2.0], 0.9),
        (0.45, [-0.45, 0.0])
    );
    assert_eq!(quantile(&[3.0], &[2.0], 0.75), (0.25, [0.25]));
}

/// The least mean of the quantile loss is at the quantile: nine of ten targets lie below the 0.9-quantile.
#[test]
fn a_fit_of_the_quantile_loss_ends_on_the_quantile() {
    type Constant = Mlp<Dense<1>, Tanh<1>, Regression<1>>;
    let targets: Vec<[f32; 1]> = (0..101).map(|i| [i as f32 / 100.0]).collect();
    let inputs = vec![[0.0]; 101];
    let mut trainer = Trainer::new(Constant::zeroed(), Sgd::new(0.01)).unwrap();
    for _ in 0..3_000 {
        let loss = |output: &[f32; 1], target: &[f32; 1]| quantile(output, target, 0.9);
        trainer.step_with(&inputs, &targets, loss).unwrap();
    }
    let prediction: PredictionOf<Constant> = trainer.predict(&[0.0]).unwrap();
    assert!((prediction[0] - 0.9).abs() < 0.02, "{prediction:?}");
}

/// A caller's own type of target, and of loss, in a function that is generic over models.
#[test]
fn generic_code_takes_own_losses() {
    fn distil<M: Model>(
        student: &mut Trainer<M>,
        inputs: &[ExampleOf<M>],
        teacher: &[OutputsOf<M>],
        loss: impl Fn(&OutputsOf<M>, &OutputsOf<M>) -> (f32, OutputsOf<M>) + Sync,
    ) -> Result<f32, Error>
    where
        TargetOf<M>: Copy,
    {
        student.step_with(inputs, teacher, loss)
    }
    type Student = Mlp<Dense<2>, Tanh<4>, Softmax<3>>;
    let model = Student::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(9));
    let mut student = Trainer::new(model, Sgd::new(0.5)).unwrap();
    let teacher = [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]];
    let inputs = [[0.3, 0.4], [-0.9, 0.1]];
    let first = distil(&mut student, &inputs, &teacher, soft_cross_entropy).unwrap();
    for _ in 0..200 {
        distil(&mut student, &inputs, &teacher, soft_cross_entropy).unwrap();
    }
    let last = distil(&mut student, &inputs, &teacher, soft_cross_entropy).unwrap();
    // The entropy of the teacher is the least that there is.
    let entropy = teacher
        .iter()
        .flatten()
        .map(|p: &f32| -p * p.ln())
        .sum::<f32>()
        / 2.0;
    assert!(
        last < first && last >= entropy - 1e-6 && last < entropy + 0.05,
        "{first} to {last}"
    );
}
