//! Bad input gets an error that names what was found, where, and what was expected; and nothing is lost.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#[path = "../support/mod.rs"]
mod support;

mod overflow;
mod predictions;

use fused_mlp::reference::Reference;
use fused_mlp::{
    AdamW, Backend, Dense, Error, ExampleOf, Mlp, Model, Momentum, NameModel, Optimizer, Predictor,
    Regression, Relu, SeedableRng, Sgd, Softmax, Tanh, TargetOf, Tokens, Trainer,
    Xoshiro256PlusPlus,
};

use support::bits_of;

type Numbers = Mlp<Dense<3>, Tanh<4>, Regression<2>>;

fn name_model() -> NameModel {
    NameModel::standard_normal(&mut Xoshiro256PlusPlus::seed_from_u64(1))
}

fn number_model() -> Numbers {
    Numbers::standard_normal(&mut Xoshiro256PlusPlus::seed_from_u64(1))
}

const NOT_FINITE: [f32; 3] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];

/// Asserts that a message has all of these in it.
fn assert_says(error: &Error, parts: &[&str]) {
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

#[test]
fn a_learning_rate_that_is_negative_or_not_finite_is_refused() {
    for rate in [
        -0.1,
        -f32::MIN_POSITIVE,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
    ] {
        let optimizers: [Optimizer; 3] = [
            Sgd::new(rate).into(),
            Momentum::new(rate, 0.9).into(),
            AdamW::new(rate).into(),
        ];
        for optimizer in optimizers {
            let error = Trainer::new(name_model(), optimizer).unwrap_err();
            assert!(matches!(
                error,
                Error::Setting {
                    name: "learning_rate",
                    ..
                }
            ));
            let found = f64::from(rate).to_string();
            assert_says(&error, &["learning_rate", "finite and at least 0", &found]);
        }
        let mut trainer = Trainer::new(name_model(), Sgd::new(0.1)).unwrap();
        let error = trainer.set_learning_rate(rate).unwrap_err();
        assert_eq!(trainer.optimizer(), Sgd::new(0.1).into());
        assert!(matches!(
            error,
            Error::Setting {
                name: "learning_rate",
                ..
            }
        ));
    }
    for rate in [0.0, -0.0, f32::MIN_POSITIVE, f32::MAX] {
        assert!(Trainer::new(name_model(), Sgd::new(rate)).is_ok(), "{rate}");
    }
}

#[test]
fn other_settings_outside_their_range_are_refused_by_name() {
    let refused = |optimizer: Optimizer| match Trainer::new(name_model(), optimizer) {
        Err(error @ Error::Setting { name, .. }) => {
            assert_says(&error, &[name, "must be"]);
            name
        }
        other => panic!("{other:?}"),
    };
    for bad in [-0.1, 1.0, f32::NAN, f32::INFINITY] {
        assert_eq!(refused(Momentum::new(0.1, bad).into()), "momentum");
        let adam_w = AdamW::new(0.1);
        for (betas, name) in [([bad, 0.9], "betas[0]"), ([0.9, bad], "betas[1]")] {
            assert_eq!(refused(AdamW { betas, ..adam_w }.into()), name);
        }
    }
    for bad in [-0.1, f32::NAN, f32::INFINITY] {
        let weight_decay = bad;
        let momentum = Momentum {
            weight_decay,
            ..Momentum::new(0.1, 0.9)
        };
        assert_eq!(refused(momentum.into()), "weight_decay");
        let adam_w = AdamW {
            weight_decay,
            ..AdamW::new(0.1)
        };
        assert_eq!(refused(adam_w.into()), "weight_decay");
        let trainer = Trainer::new(name_model(), Sgd::new(0.1)).unwrap();
        let error = trainer.with_clipping(bad).unwrap_err();
        assert!(matches!(error, Error::Setting { name: "norm", .. }));
    }
    for epsilon in [0.0, -1e-8, f32::NAN, f32::INFINITY] {
        assert_eq!(
            refused(
                AdamW {
                    epsilon,
                    ..AdamW::new(0.1)
                }
                .into()
            ),
            "epsilon"
        );
    }
}

#[test]
fn an_empty_batch_is_refused() {
    let mut trainer = Trainer::new(name_model(), Sgd::new(0.1)).unwrap();
    assert_eq!(trainer.step(&[], &[]), Err(Error::EmptyBatch));
    assert_eq!(name_model().loss(&[], &[]), Err(Error::EmptyBatch));
    assert_eq!(
        name_model().gradients(&[], &[]).err(),
        Some(Error::EmptyBatch)
    );
    assert_says(&Error::EmptyBatch, &["no examples", "at least one"]);
    assert_eq!(trainer.steps(), 0);
}

#[test]
fn as_many_targets_as_inputs_are_needed() {
    let mut trainer = Trainer::new(name_model(), Sgd::new(0.1)).unwrap();
    for (inputs, targets) in [(2, 3), (3, 2), (0, 1), (1, 0)] {
        let error = trainer
            .step(&vec![[0; 3]; inputs], &vec![0; targets])
            .unwrap_err();
        assert_eq!(
            error,
            Error::LengthMismatch {
                inputs,
                what: "targets",
                found: targets
            }
        );
        assert_says(
            &error,
            &[&format!("{inputs} inputs"), &format!("{targets} targets")],
        );
    }
    assert_eq!(trainer.steps(), 0);
}

/// Calls everything that takes a batch, and then everything that takes its last input.
fn refusals<M: Model>(model: &M, inputs: &[ExampleOf<M>], targets: &[TargetOf<M>]) -> [Error; 2] {
    let mut trainer = Trainer::new(model.clone(), Sgd::new(0.1)).unwrap();
    let error = trainer.step(inputs, targets).unwrap_err();
    let reference = Reference::of(model).loss(inputs, targets).unwrap_err();
    assert_eq!(reference.to_string(), error.to_string()); // NaN is not equal to itself
    let last = inputs.len() - 1;
    let alone = trainer.step_one(&inputs[last], &targets[last]).unwrap_err();
    assert_eq!(trainer.steps(), 0);
    assert_eq!(bits_of(&trainer.model()), bits_of(model));
    [error, alone]
}

#[test]
fn a_token_beyond_the_vocabulary_is_named_with_its_place() {
    for token in [27, 255] {
        for position in 0..3 {
            for example in [0, 1, 31, 32, 99] {
                let mut inputs = vec![[26; 3]; example + 1];
                inputs[example][position] = token;
                let [error, alone] = refusals(&name_model(), &inputs, &vec![26; example + 1]);
                let refused = |example| Error::TokenOutOfRange {
                    example,
                    position,
                    token: token.into(),
                    vocabulary: 27,
                };
                assert_eq!(error, refused(example));
                let message = format!(
                    "example {example} has token {token} at position {position}; the vocabulary has tokens 0 to 26"
                );
                assert_eq!(error.to_string(), message);
                assert_eq!(alone, refused(0));
                let trainer = Trainer::new(name_model(), Sgd::new(0.1)).unwrap();
                let predictor = Predictor::new(&name_model()).unwrap();
                for result in [
                    name_model().predict(&inputs[example]),
                    trainer.predict(&inputs[example]),
                    trainer.logits(&inputs[example]),
                    predictor.predict(&inputs[example]),
                    predictor.logits(&inputs[example]),
                ] {
                    assert_eq!(result, Err(refused(0)));
                }
            }
        }
    }
}

#[test]
fn a_class_beyond_the_head_is_named_with_its_place() {
    for (class, example) in [(27, 0), (255, 1), (27, 40)] {
        let mut targets = vec![26; example + 1];
        targets[example] = class;
        let [error, alone] = refusals(&name_model(), &vec![[0; 3]; example + 1], &targets);
        assert_eq!(
            error,
            Error::ClassOutOfRange {
                example,
                class: class.into(),
                classes: 27
            }
        );
        let message =
            format!("example {example} has target class {class}; the head has classes 0 to 26");
        assert_eq!(error.to_string(), message);
        assert_eq!(
            alone,
            Error::ClassOutOfRange {
                example: 0,
                class: class.into(),
                classes: 27
            }
        );
    }
}

#[test]
fn data_that_are_not_finite_are_named_with_their_place() {
    for value in NOT_FINITE {
        for example in [0, 3, 70] {
            let (mut inputs, mut targets) =
                (vec![[0.5; 3]; example + 1], vec![[0.5; 2]; example + 1]);
            inputs[example][2] = value;
            for error in refusals(&number_model(), &inputs, &targets) {
                assert_says(
                    &error,
                    &["input", &value.to_string(), "position 2", "finite"],
                );
            }
            let [error, _] = refusals(&number_model(), &inputs, &targets);
            assert!(
                matches!(error, Error::NonFiniteData { what: "input", example: e, position: 2, .. } if e == example)
            );
            assert!(number_model().predict(&inputs[example]).is_err());
            assert!(
                Predictor::new(&number_model())
                    .unwrap()
                    .predict(&inputs[example])
                    .is_err()
            );

            inputs[example][2] = 0.5;
            targets[example][1] = value;
            let [error, _] = refusals(&number_model(), &inputs, &targets);
            assert!(
                matches!(error, Error::NonFiniteData { what: "target", example: e, position: 1, .. } if e == example)
            );
            let example = format!("target of example {example}");
            assert_says(&error, &[&example, &value.to_string(), "position 1"]);
        }
    }
}

/// The tensors of the name model with their rows and columns.
const TENSORS: [(&str, usize, usize); 5] = [
    ("embedding", 27, 2),
    ("hidden_weights", 6, 100),
    ("hidden_bias", 1, 100),
    ("output_weights", 100, 27),
    ("output_bias", 1, 27),
];

#[test]
fn a_parameter_that_is_not_finite_is_named_with_its_tensor_row_and_column() {
    for value in NOT_FINITE {
        for (name, rows, columns) in TENSORS {
            for (row, column) in [(0, 0), (rows - 1, columns - 1), (rows / 2, columns / 2)] {
                let mut model = name_model();
                for (tensor, values) in model.tensors_mut() {
                    if tensor.name == name {
                        assert_eq!(values.len(), rows * columns);
                        values[row * columns + column] = value;
                    }
                }
                let message =
                    format!("{name}[{row}, {column}] is {value}; parameters must be finite");
                let refusals = [
                    Trainer::new(model.clone(), Sgd::new(0.1)).unwrap_err(),
                    Predictor::new(&model).unwrap_err(),
                    model.predict(&[0; 3]).unwrap_err(),
                    model.loss(&[[0; 3]], &[0]).unwrap_err(),
                    model.gradients(&[[0; 3]], &[0]).unwrap_err(),
                ];
                for error in refusals {
                    assert_eq!(error.to_string(), message);
                }
            }
        }
    }
}

#[test]
fn a_model_of_numbers_has_no_embedding_to_name() {
    let mut model = number_model();
    model.input.weights[(3, 2)] = f32::NAN;
    let error = Trainer::new(model, Sgd::new(0.1)).unwrap_err();
    // In memory [features, neurons]: feature 2, neuron 3.
    assert_says(&error, &["hidden_weights[2, 3]", "NaN"]);
}

#[test]
fn an_unknown_backend_is_refused_with_the_names_that_there_are() {
    for name in ["", "AVX2", "sse2", "avx512 ", "neon", "scalar\0"] {
        let error = name.parse::<Backend>().unwrap_err();
        assert_eq!(error, Error::UnknownBackend { name: name.into() });
        assert_says(&error, &[&format!("{name:?}")]);
        assert_says(&error, Backend::NAMES);
    }
}

#[test]
fn every_backend_name_is_a_backend_or_says_that_it_is_unavailable() {
    for &name in Backend::NAMES {
        match name.parse::<Backend>() {
            Ok(backend) => {
                assert_eq!((backend.name(), backend.to_string().as_str()), (name, name));
                assert!(Backend::available().any(|available| available == backend));
            }
            Err(error) => {
                assert_eq!(error, Error::UnavailableBackend { name });
                assert_says(&error, &[name, "this processor"]);
                assert!(Backend::available().all(|available| available.name() != name));
            }
        }
    }
}

#[test]
fn the_smallest_and_largest_tokens_and_classes_are_taken() {
    type Bytes = Mlp<Tokens<256, 2, 1>, Relu<3>, Softmax<256>>;
    let model = Bytes::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(1));
    let mut trainer = Trainer::new(model, Sgd::new(0.1)).unwrap();
    trainer.step(&[[0, 255], [255, 0]], &[255, 0]).unwrap();
    trainer.step_one(&[255, 255], &255).unwrap();
    trainer.predict(&[255, 0]).unwrap();
}
