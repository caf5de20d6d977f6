//! A prediction is finite, or an error that says which output was not.

use fused_mlp::model::{Head, HiddenLayers};
use fused_mlp::{
    Backend, Binary, Dense, Error, Mlp, Model, Predictor, Regression, Relu, Sgd, Softmax, Tanh,
    Tokens, Trainer,
};

use crate::support::shapes::{Case, Numbers, RandomHead, RandomInput};

/// Predictions and logits of an input by every way to them.
fn ways<I: RandomInput, L: HiddenLayers, O: Head>(
    model: &Mlp<I, L, O>,
    input: &I::Example,
) -> Vec<Result<O::Prediction, Error>> {
    let mut all = vec![model.predict(input)];
    for backend in Backend::available() {
        let predictor = Predictor::new(model).unwrap().with_backend(backend);
        let trainer = Trainer::new(model.clone(), Sgd::new(0.1)).unwrap();
        let trainer = trainer.with_backend(backend);
        all.extend([predictor.predict(input), predictor.logits(input)]);
        all.extend([trainer.predict(input), trainer.logits(input)]);
    }
    all
}

/// How many of the predictions of random models of huge numbers were finite, and how many refused.
fn outcomes<I: RandomInput, L: HiddenLayers, O: RandomHead>() -> [usize; 2] {
    let mut counts = [0; 2];
    for seed in 0..200 {
        let case = Case::<I, L, O>::new(seed, 1, Numbers::Huge);
        for result in ways(&case.model, &case.inputs[0]) {
            match result {
                Ok(outputs) => {
                    let outputs: &[f32] = outputs.as_ref();
                    assert!(outputs.iter().all(|y| y.is_finite()), "{outputs:?}");
                    counts[0] += 1;
                }
                Err(Error::NonFinitePrediction { value, .. }) => {
                    assert!(!value.is_finite());
                    counts[1] += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
    counts
}

#[test]
fn a_prediction_is_finite_or_refused() {
    for counts in [
        outcomes::<Dense<3>, Relu<4>, Regression<2>>(),
        outcomes::<Dense<3>, (Relu<20>, Relu<7>), Softmax<5>>(),
        outcomes::<Dense<2>, Tanh<7>, Binary>(),
        outcomes::<Tokens<5, 2, 3>, Tanh<3>, Softmax<19>>(),
    ] {
        assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
    }
}

#[test]
fn an_output_that_overflows_is_named() {
    type Pair = Mlp<Dense<1>, Relu<2>, Regression<3>>;
    let mut model = Pair::zeroed();
    model.input.weights.fill(1.0);
    model.output.weights[(1, 0)] = f32::MAX;
    model.output.weights[(1, 1)] = f32::MAX;
    let overflow = Error::NonFinitePrediction {
        example: 0,
        output: 1,
        value: f32::INFINITY,
    };
    for result in ways(&model, &[1.0]) {
        assert_eq!(result, Err(overflow.clone()));
    }
    let message = overflow.to_string();
    assert!(
        message.contains("output 1 for example 0 is inf"),
        "{message}"
    );
    for result in ways(&model, &[0.5]) {
        assert_eq!(result, Ok([0.0, f32::MAX, 0.0]));
    }
}
