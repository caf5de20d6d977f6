//! Predictions, and losses at the ends of what an `f32` holds, against the reference.
//!
//! The reference gives losses only. They are enough: the loss of class c is −ln of its probability, and that of a target that
//! equals the prediction is zero.

use fused_mlp::model::{Head, HiddenLayers};
use fused_mlp::reference::Reference;
use fused_mlp::{
    Backend, Binary, Dense, Mlp, Model, Predictor, Regression, Relu, Sgd, Softmax, Tanh, TargetOf,
    Tokens, Trainer,
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
        let trainer = trainer.with_backend(backend);
        all.push([
            trainer.predict(input).unwrap(),
            trainer.logits(input).unwrap(),
        ]);
        let predictor = Predictor::new(model).unwrap().with_backend(backend);
        all.push([
            predictor.predict(input).unwrap(),
            predictor.logits(input).unwrap(),
        ]);
    }
    // The model's own face runs on the fastest backend, which is the last, and may be one that rounds twice.
    let [_, logits] = all[all.len() - 1];
    all.push([model.predict(input).unwrap(), logits]);
    all
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
