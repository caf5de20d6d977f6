//! Predictions, and losses at the ends of what an `f32` holds, against the reference.
//!
//! The reference gives losses only. They are enough: the loss of class c is −ln of its probability, and that of a target that
//! equals the prediction is zero.

use fused_mlp::model::{Head, HiddenLayers};
use fused_mlp::reference::Reference;
use fused_mlp::{
    Backend, Binary, Confusion, Dataset, Dense, Error, Gelu, Mlp, Model, Predictor, Regression,
    Relu, Scratch, Sgd, Softmax, Tanh, TargetOf, Tokens, Trainer,
};

use crate::kernels::case;
use crate::support::repetitions;
use crate::support::shapes::{Case, RandomHead, RandomInput};

/// Largest relative error of a probability, and error of an output of N(0, 1): some rounding errors of logits of a few units.
const TOLERANCE: f64 = 5e-6;

/// What every face of a model makes of one input: predictions and logits.
fn predictions<I: RandomInput, L: HiddenLayers, O: Head>(
    model: &Mlp<I, L, O>,
    input: &I::Example,
) -> Vec<[O::Prediction; 2]> {
    let mut all = Vec::new();
    for backend in Backend::available() {
        let trainer = Trainer::new(model.clone(), Sgd::new(0.1)).unwrap();
        let mut trainer = trainer.with_backend(backend);
        all.push([
            trainer.predict(input).unwrap(),
            trainer.logits(input).unwrap(),
        ]);
        let predictor = Predictor::new(model).unwrap().with_backend(backend);
        all.push([
            predictor.predict(input).unwrap(),
            predictor.logits(input).unwrap(),
        ]);
        // On the path for batches, as the last of a chunk and of a longer batch.
        let [before, _] = all[0];
        for len in [1, 45] {
            let inputs = vec![*input; len];
            let of_trainer = batch(len, before, |to| trainer.predict_batch(&inputs, to));
            let logits = batch(len, before, |to| trainer.logits_batch(&inputs, to));
            let mut scratch = Scratch::new();
            assert_eq!(
                batch(len, before, |to| predictor.predict_batch(
                    &inputs,
                    &mut scratch,
                    to
                )),
                of_trainer
            );
            assert_eq!(
                batch(len, before, |to| predictor.logits_batch(
                    &inputs,
                    &mut scratch,
                    to
                )),
                logits
            );
            all.push([of_trainer, logits]);
        }
    }
    // The model's own face runs on the fastest backend, as a new predictor does, and it may be one that rounds twice.
    let logits = Predictor::new(model).unwrap().logits(input).unwrap();
    all.push([model.predict(input).unwrap(), logits]);
    all
}

/// The last of so many predictions that `predict` makes; what is there before does not matter.
fn batch<P: Copy>(len: usize, before: P, predict: impl FnOnce(&mut [P]) -> Result<(), Error>) -> P {
    let mut predictions = vec![before; len];
    predict(&mut predictions).unwrap();
    predictions[len - 1]
}

/// One random model after another, with one input each.
fn each_case<I: RandomInput, L: HiddenLayers, O: RandomHead>(
    mut check: impl FnMut(&Mlp<I, L, O>, &I::Example),
) {
    for seed in 0..repetitions(30) {
        let Case { model, inputs, .. } = case(seed, 1);
        check(&model, &inputs[0]);
    }
}

fn loss<M: Model>(model: &M, input: fused_mlp::ExampleOf<M>, target: TargetOf<M>) -> f64 {
    Reference::of(model).loss(&[input], &[target]).unwrap()
}

fn is_close(found: f32, expected: f64, scale: f64) -> bool {
    (f64::from(found) - expected).abs() <= TOLERANCE * scale
}

fn classes_match<I: RandomInput, L: HiddenLayers, const CLASSES: usize>() {
    each_case(|model: &Mlp<I, L, Softmax<CLASSES>>, input| {
        let class = |class: usize| u8::try_from(class).unwrap();
        let losses = [(); CLASSES].map(|()| 0.0);
        let mut losses: [f64; CLASSES] = losses;
        for (c, loss_of) in losses.iter_mut().enumerate() {
            *loss_of = loss(model, *input, class(c));
        }
        for [probabilities, logits] in predictions(model, input) {
            let total: f64 = probabilities.iter().map(|&p| f64::from(p)).sum();
            assert!((total - 1.0).abs() <= 2e-6, "probabilities sum to {total}");
            for c in 0..CLASSES {
                let p = (-losses[c]).exp();
                assert!(
                    is_close(probabilities[c], p, p),
                    "{} for {p}",
                    probabilities[c]
                );
                let over_first = f64::from(logits[c]) - f64::from(logits[0]);
                let expected = losses[0] - losses[c];
                assert!(
                    (over_first - expected).abs() <= TOLERANCE,
                    "{over_first} for {expected}"
                );
            }
        }
        let best = (0..CLASSES).min_by(|&a, &b| losses[a].total_cmp(&losses[b]));
        let top = Predictor::new(model).unwrap().top(input).unwrap();
        assert_eq!(Some(top), best);
    });
}

#[test]
fn probabilities_and_logits_are_those_of_the_reference() {
    classes_match::<Tokens<27, 3, 2>, Tanh<100>, 27>();
    classes_match::<Tokens<2, 1, 1>, Tanh<1>, 2>();
    classes_match::<Tokens<27, 8, 10>, Tanh<200>, 33>();
    classes_match::<Dense<4>, Relu<7>, 256>();
    classes_match::<Dense<4>, (Tanh<17>, Relu<64>, Tanh<1>), 5>();
}

#[test]
fn numbers_are_those_of_the_reference() {
    fn check<I: RandomInput, L: HiddenLayers, const OUTPUTS: usize>() {
        each_case(|model: &Mlp<I, L, Regression<OUTPUTS>>, input| {
            for [prediction, logits] in predictions(model, input) {
                assert_eq!(prediction, logits);
                let error = loss(model, *input, prediction).sqrt();
                assert!(error <= TOLERANCE, "{prediction:?} is {error:e} off");
            }
        });
    }
    check::<Dense<8>, Relu<64>, 1>();
    check::<Dense<17>, Tanh<7>, 19>();
    check::<Dense<17>, (Relu<258>, Tanh<33>), 300>();
    check::<Tokens<27, 3, 2>, Tanh<100>, 2>();
}

#[test]
fn the_probability_of_yes_is_that_of_the_reference() {
    each_case(|model: &Mlp<Dense<6>, Tanh<33>, Binary>, input| {
        let yes = (-loss(model, *input, true)).exp();
        let odds = loss(model, *input, false) - loss(model, *input, true);
        for [prediction, logits] in predictions(model, input) {
            assert!(
                is_close(prediction[0], yes, yes),
                "{} for {yes}",
                prediction[0]
            );
            assert!(is_close(logits[0], odds, 1.0), "{} for {odds}", logits[0]);
        }
    });
}

/// Each example of a batch has its own prediction, wherever it stands, with the same bits on every fused backend.
#[test]
fn every_example_of_a_batch_has_its_own_prediction() {
    type Letters = Mlp<Tokens<9, 3, 2>, (Gelu<17>, Tanh<7>), Softmax<37>>;
    let case = Case::<Tokens<9, 3, 2>, (Gelu<17>, Tanh<7>), Softmax<37>>::fan_in_scaled(3, 101);
    let model: Letters = case.model;
    let mut expected: Option<Vec<[f32; 37]>> = None;
    for backend in Backend::available() {
        let predictor = Predictor::new(&model).unwrap().with_backend(backend);
        let mut scratch = Scratch::new();
        for len in [0, 1, 31, 32, 33, 101] {
            let mut predictions = vec![[f32::NAN; 37]; len];
            predictor
                .predict_batch(&case.inputs[..len], &mut scratch, &mut predictions)
                .unwrap();
            for (input, found) in case.inputs.iter().zip(&predictions) {
                let single = predictor.predict(input).unwrap();
                for (found, single) in found.iter().zip(single) {
                    assert!((found - single).abs() <= 1e-6, "{found} for {single}");
                }
            }
            if backend.is_fused() && len == 101 {
                assert_eq!(
                    *expected.get_or_insert_with(|| predictions.clone()),
                    predictions
                );
            }
        }
        let mut few = [[0.0; 37]; 3];
        let error = predictor
            .predict_batch(&case.inputs[..2], &mut scratch, &mut few)
            .unwrap_err();
        assert_eq!(
            error,
            Error::LengthMismatch {
                inputs: 2,
                what: "predictions",
                found: 3
            }
        );
        let error = predictor
            .predict_batch(&[[0, 1, 2], [0, 9, 2], [0; 3]], &mut scratch, &mut few)
            .unwrap_err();
        assert!(
            matches!(
                error,
                Error::TokenOutOfRange {
                    example: 1,
                    position: 1,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn an_overflow_in_a_batch_names_its_example() {
    let mut model = Mlp::<Dense<1>, Relu<1>, Regression<2>>::zeroed();
    model.input.weights[0] = 1.0;
    model.output.weights[(1, 0)] = f32::MAX;
    let mut inputs = vec![[0.5]; 70];
    inputs[66] = [2.0];
    let mut trainer = Trainer::new(model, Sgd::new(0.1)).unwrap();
    let error = trainer
        .predict_batch(&inputs, &mut [[0.0; 2]; 70])
        .unwrap_err();
    let expected = Error::NonFinitePrediction {
        example: 66,
        output: 1,
        value: f32::INFINITY,
    };
    assert_eq!(error, expected);
}

#[test]
fn confusion_counts_the_likeliest_classes() {
    let case = Case::<Dense<4>, Tanh<9>, Softmax<5>>::fan_in_scaled(4, 700);
    let mut trainer = Trainer::new(case.model, Sgd::new(0.1)).unwrap();
    let predictor = Predictor::new(&trainer.model()).unwrap();
    let data = Dataset::new(case.inputs.clone(), case.targets.clone()).unwrap();
    let confusion = trainer.confusion(&data).unwrap();
    let mut expected = Confusion::new(5);
    for (input, &target) in case.inputs.iter().zip(&case.targets) {
        expected.add(target.into(), predictor.top(input).unwrap());
    }
    assert_eq!(confusion, expected);
    assert_eq!(confusion.total(), 700);

    // One neuron that says yes to positive numbers.
    let mut model = Mlp::<Dense<1>, Tanh<1>, Binary>::zeroed();
    model.input.weights[0] = 1.0;
    model.output.weights[0] = 1.0;
    let mut trainer = Trainer::new(model, Sgd::new(0.1)).unwrap();
    let inputs = vec![[0.5], [0.2], [-0.1], [0.0], [-3.0]];
    let data = Dataset::new(inputs, vec![true, false, true, false, false]).unwrap();
    let confusion = trainer.confusion(&data).unwrap();
    let counts = [(0, 0), (0, 1), (1, 0), (1, 1)]
        .map(|(target, predicted)| confusion.count(target, predicted));
    assert_eq!(counts, [2, 1, 1, 1]);
    assert_eq!(confusion.accuracy(), Some(0.6));
}

/// Asserts that the loss of a batch, whose true value is `expected`, comes out within a millionth on every path.
fn assert_loss<I: RandomInput, L: HiddenLayers, O: Head>(
    model: &Mlp<I, L, O>,
    input: I::Example,
    target: O::Target,
    expected: f64,
) {
    for len in [1, 5, 32, 100] {
        let (inputs, targets) = (vec![input; len], vec![target; len]);
        let truth = Reference::of(model).loss(&inputs, &targets).unwrap();
        assert!(
            (truth / expected - 1.0).abs() < 1e-6,
            "{truth} for {expected}"
        );
        for backend in Backend::available() {
            let (found, _) = model.gradients_on(backend, &inputs, &targets).unwrap();
            let found = f64::from(found);
            assert!(
                (found / expected - 1.0).abs() < 1e-6,
                "{backend}: {found} for {expected}, {len} examples"
            );
        }
    }
    let found = f64::from(model.loss(&[input; 50], &[target; 50]).unwrap());
    assert!(
        (found / expected - 1.0).abs() < 1e-6,
        "{found} for {expected}"
    );
}

#[test]
fn a_softmax_loss_that_fits_an_f32_is_finite() {
    type Classes = Mlp<Dense<1>, Tanh<1>, Softmax<3>>;
    for far in [90.0, 200.0, 1e10, 1e38, 3e38_f32] {
        let mut model = Classes::zeroed();
        model.output.bias[1] = far;
        assert_loss(&model, [0.0], 0, far.into());
        model.output.bias[1] = 0.0;
        model.output.bias[0] = -far;
        assert_loss(&model, [0.0], 0, f64::from(far) + 2.0_f64.ln());
    }
}

#[test]
fn a_binary_loss_that_fits_an_f32_is_finite() {
    for far in [20.0, 90.0, 1e10, 1e38, 3e38_f32] {
        let mut model = Mlp::<Dense<1>, Tanh<1>, Binary>::zeroed();
        model.output.bias[0] = far;
        assert_loss(&model, [0.0], false, far.into());
        model.output.bias[0] = -far;
        assert_loss(&model, [0.0], true, far.into());
    }
}

#[test]
fn a_squared_error_that_fits_an_f32_is_finite() {
    type Numbers = Mlp<Dense<1>, Tanh<1>, Regression<19>>;
    let model = Numbers::zeroed();
    for error in [1e-15, 1e10, 1e18, 1e19_f32] {
        assert_loss(&model, [0.0], [error; 19], f64::from(error).powi(2));
    }
}
