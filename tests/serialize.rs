//! Models and settings through serde: what comes out is what went in, and what cannot have come from here is refused.
//!
//! Needs the feature `serde`.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod support;

use fused_mlp::model::{Head, HiddenLayers, Input};
use fused_mlp::{
    AdamW, Binary, Dense, Mlp, Model, Momentum, NameModel, Optimizer, Regression, Relu, Sgd,
    Softmax, Tanh, Tokens, Vocabulary,
};
use proptest::prelude::*;
use serde_json::{Value, from_value, json, to_value};

use support::bits_of;

/// Any finite number, from all exponents.
fn finite() -> impl Strategy<Value = f32> {
    prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO
}

/// The model with these numbers, over and over.
fn filled<M: Model>(numbers: &[f32]) -> M {
    let mut model = M::zeroed();
    let mut numbers = numbers.iter().copied().cycle();
    for (_, values) in model.tensors_mut() {
        values.fill_with(|| numbers.next().unwrap());
    }
    model
}

fn comes_back<I: Input, L: HiddenLayers, O: Head>(numbers: &[f32]) {
    let model: Mlp<I, L, O> = filled(numbers);
    let text = serde_json::to_string(&model).unwrap();
    let back: Mlp<I, L, O> = serde_json::from_str(&text).unwrap();
    assert_eq!(bits_of(&model), bits_of(&back));

    // Another order of the tensors: `Value` sorts its keys.
    let back: Mlp<I, L, O> = from_value(serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(bits_of(&model), bits_of(&back));
}

proptest! {
    #![proptest_config(support::config(64, "tests/proptest-regressions/serialize.txt"))]

    #[test]
    fn a_model_comes_back_with_its_bits(numbers in prop::collection::vec(finite(), 1..300)) {
        comes_back::<Tokens<27, 3, 2>, Tanh<10>, Softmax<27>>(&numbers);
        comes_back::<Tokens<5, 1, 17>, (Relu<3>, Tanh<17>, Relu<2>), Regression<2>>(&numbers);
        comes_back::<Dense<1>, Relu<1>, Binary>(&numbers);
        comes_back::<Dense<19>, (Tanh<33>, Tanh<7>), Regression<18>>(&numbers);
    }

    #[test]
    fn an_optimizer_comes_back(
        sizes in prop::array::uniform3(finite().prop_map(f32::abs)),
        shares in prop::array::uniform2(0.0..1.0_f32),
        nesterov: bool,
    ) {
        let [learning_rate, weight_decay, epsilon] = sizes;
        let epsilon = epsilon.max(f32::from_bits(1));
        let [momentum, beta] = shares;
        let optimizers = [
            Optimizer::Sgd(Sgd { learning_rate }),
            Optimizer::Momentum(Momentum { learning_rate, momentum, nesterov, weight_decay }),
            Optimizer::AdamW(AdamW { learning_rate, betas: [momentum, beta], epsilon, weight_decay }),
        ];
        for optimizer in optimizers {
            let text = serde_json::to_string(&optimizer).unwrap();
            prop_assert_eq!(serde_json::from_str::<Optimizer>(&text).unwrap(), optimizer);
        }
    }

    #[test]
    fn a_vocabulary_comes_back(text in "\\PC{1,200}") {
        let vocabulary = Vocabulary::of(text.chars()).unwrap();
        let back: Vocabulary = from_value(to_value(&vocabulary).unwrap()).unwrap();
        prop_assert_eq!(back, vocabulary);
    }
}

type Small = Mlp<Tokens<3, 2, 1>, Tanh<2>, Softmax<3>>;

/// What a [`Small`] with the parameters 0, 1, 2, … looks like, written by hand.
fn small() -> Value {
    json!({
        "embedding": [[0.0], [1.0], [2.0]],
        "hidden_weights": [[3.0, 4.0], [5.0, 6.0]],
        "hidden_bias": [[7.0, 8.0]],
        "output_weights": [[9.0, 10.0, 11.0], [12.0, 13.0, 14.0]],
        "output_bias": [[15.0, 16.0, 17.0]],
    })
}

#[test]
fn a_model_is_its_tensors_by_name_each_a_sequence_of_rows() {
    let numbers: Vec<f32> = (0_u8..18).map(f32::from).collect();
    let model: Small = filled(&numbers);
    assert_eq!(to_value(&model).unwrap(), small());
    assert_eq!(from_value::<Small>(small()).unwrap(), model);

    // The same through the matrices, which are indexed the other way round.
    assert_eq!(model.input.embedding[(0, 2)], 2.0);
    assert_eq!(model.input.weights[1][(1, 0)], 6.0);
    assert_eq!(model.output.weights[(2, 0)], 11.0);
}

/// Asserts that a changed [`small`] is refused in words that include these.
fn refused(change: impl FnOnce(&mut Value), words: &[&str]) {
    let mut value = small();
    change(&mut value);
    let error = from_value::<Small>(value).unwrap_err().to_string();
    for word in words {
        assert!(error.contains(word), "{word:?} is missing in {error:?}");
    }
}

#[test]
fn another_shape_is_refused_by_the_name_of_its_tensor() {
    refused(
        |model| model["embedding"] = json!([[0.0], [1.0]]),
        &["length 2", "3 rows of 1 numbers for embedding"],
    );
    refused(
        |model| model["hidden_bias"] = json!([[7.0, 8.0], [7.0, 8.0]]),
        &["length 2", "1 rows of 2 numbers for hidden_bias"],
    );
    refused(
        |model| model["hidden_weights"][1] = json!([5.0]),
        &["length 1", "2 numbers for row 1 of hidden_weights"],
    );
    refused(
        |model| model["output_weights"][0] = json!([9.0, 10.0, 11.0, 12.0]),
        &["length 4", "3 numbers for row 0 of output_weights"],
    );
    refused(
        |model| model["output_bias"] = json!("0 1 2"),
        &["string", "1 rows of 3 numbers for output_bias"],
    );
    let error = from_value::<NameModel>(small()).unwrap_err().to_string();
    assert!(
        error.contains("2 numbers for row 0 of embedding"),
        "{error}"
    );
}

#[test]
fn a_tensor_missing_or_unknown_or_there_twice_is_refused_by_name() {
    for name in [
        "embedding",
        "hidden_weights",
        "hidden_bias",
        "output_weights",
        "output_bias",
    ] {
        let remove = |model: &mut Value| drop(model.as_object_mut().unwrap().remove(name));
        refused(remove, &["missing", name]);
    }
    refused(|model| model["W1"] = json!([]), &["W1", "hidden_weights"]);
    refused(
        |model| *model = json!([]),
        &["map of tensors: embedding [3, 1]"],
    );

    let text = small().to_string();
    let twice = text.replacen('{', r#"{"output_bias": [[0, 0, 0]], "#, 1);
    let error = serde_json::from_str::<Small>(&twice)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("duplicate") && error.contains("output_bias"),
        "{error}"
    );
}

#[test]
fn numbers_that_are_not_finite_are_refused_both_ways() {
    // JSON's numbers go beyond those of an f32.
    refused(
        |model| model["output_weights"][1][2] = json!(1e39),
        &["output_weights[1, 2] is inf"],
    );
    refused(
        |model| model["hidden_bias"][0][1] = Value::Null,
        &["null", "f32"],
    );

    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut model = Small::zeroed();
        model.input.weights[1][(1, 0)] = bad;
        let error = to_value(&model).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("hidden_weights[1, 1] is {bad}; parameters must be finite")
        );
    }
}

#[test]
fn settings_have_plain_names_and_no_others() {
    let adam_w = json!({ "adam_w": {
        "learning_rate": 0.5, "betas": [0.25, 0.75], "epsilon": 0.125, "weight_decay": 0.0,
    } });
    let expected = AdamW {
        betas: [0.25, 0.75],
        epsilon: 0.125,
        weight_decay: 0.0,
        ..AdamW::new(0.5)
    };
    assert_eq!(to_value(Optimizer::AdamW(expected)).unwrap(), adam_w);
    assert_eq!(from_value::<Optimizer>(adam_w).unwrap(), expected.into());
    assert_eq!(
        to_value(Sgd::new(0.5)).unwrap(),
        json!({ "learning_rate": 0.5 })
    );

    let misspelt = json!({ "learning_rate": 0.5, "momentun": 0.9 });
    assert!(from_value::<Sgd>(misspelt.clone()).is_err());
    assert!(from_value::<Momentum>(misspelt).is_err());
    assert!(from_value::<Optimizer>(json!({ "lion": { "learning_rate": 0.5 } })).is_err());
}

#[test]
fn an_optimizer_outside_its_ranges_is_refused_when_it_is_read() {
    let bad =
        json!({ "learning_rate": 0.5, "momentum": 1.0, "nesterov": false, "weight_decay": 0.0 });
    let message = "momentum must be at least 0 and below 1, not 1";
    let error = from_value::<Momentum>(bad.clone()).unwrap_err();
    assert_eq!(error.to_string(), message);
    let error = from_value::<Optimizer>(json!({ "momentum": bad })).unwrap_err();
    assert_eq!(error.to_string(), message);

    let negative = json!({ "learning_rate": -0.5 });
    assert!(from_value::<Sgd>(negative.clone()).is_err());
    assert!(from_value::<Optimizer>(json!({ "sgd": negative })).is_err());
    let infinite: Result<Sgd, _> = serde_json::from_str(r#"{ "learning_rate": 1e39 }"#);
    assert!(infinite.is_err());
    let adam_w = |beta: f32, epsilon: f32| json!({ "learning_rate": 0.5, "betas": [0.9, beta], "epsilon": epsilon, "weight_decay": 0.0 });
    assert!(from_value::<AdamW>(adam_w(0.99, 1e-8)).is_ok());
    assert!(from_value::<AdamW>(adam_w(1.0, 1e-8)).is_err());
    assert!(from_value::<AdamW>(adam_w(0.99, 0.0)).is_err());
}

#[test]
fn a_vocabulary_is_a_string_in_order() {
    assert_eq!(
        to_value(Vocabulary::lowercase()).unwrap(),
        "abcdefghijklmnopqrstuvwxyz"
    );
    for (bad, reason) in [("", "no characters"), ("ba", "order"), ("aab", "twice")] {
        let error = from_value::<Vocabulary>(json!(bad))
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{bad:?}: {error}");
    }
    let many: String = ('\u{10000}'..='\u{20000}').collect();
    let error = from_value::<Vocabulary>(json!(many))
        .unwrap_err()
        .to_string();
    assert!(error.contains("more than 65,535"), "{error}");
}
