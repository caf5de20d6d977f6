//! Models in files: what is written and how, and what others write.

use std::fs;

use fused_mlp::model::{Head, HiddenLayers, Input};
use fused_mlp::weights::{self, Key, Keys};
use fused_mlp::{
    Binary, ClippedRelu, Dense, Gelu, Huber, LeakyRelu, Mlp, NameModel, Regression, Relu,
    SeedableRng, Sigmoid, Silu, Softmax, Softplus, Tanh, Tokens, Xoshiro256PlusPlus,
};
use proptest::prelude::*;
use safetensors::{Dtype, SafeTensors};

use crate::file::{File, Small};
use crate::support::shapes::{Case, Numbers, for_every_shape};
use crate::support::{bits_of, config};

const REGRESSIONS: &str = "tests/proptest-regressions/weight_files.txt";

pub(crate) fn name_model(seed: u64) -> NameModel {
    NameModel::standard_normal(&mut Xoshiro256PlusPlus::seed_from_u64(seed))
}

/// The keys that a model may be written with.
fn key_maps() -> [Keys; 3] {
    [
        Keys::makemore(),
        Keys::sequential(),
        Keys::makemore().with_prefix("model.\u{e9}\"\\\n"),
    ]
}

/// The f32 tensor of this name and shape, as the safetensors crate reads it.
fn tensor(file: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Vec<f32> {
    let tensor = file.tensor(name).unwrap();
    assert_eq!(
        (tensor.dtype(), tensor.shape()),
        (Dtype::F32, shape),
        "{name}"
    );
    let (elements, []) = tensor.data().as_chunks() else {
        panic!("{name} is of F32");
    };
    elements.iter().copied().map(f32::from_le_bytes).collect()
}

/// Asserts that a model comes back from its bytes, under all keys.
fn assert_round_trip<I: Input, L: HiddenLayers, O: Head>(model: &Mlp<I, L, O>) {
    for keys in key_maps() {
        let bytes = weights::to_bytes(model, &keys).unwrap();
        let read: Mlp<I, L, O> = weights::from_bytes(&bytes, &keys).unwrap();
        assert_eq!(bits_of(&read), bits_of(model));
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let values: usize = file.iter().map(|(_, tensor)| tensor.data().len() / 4).sum();
        assert_eq!(values, model.parameter_count());
    }
}

macro_rules! models_come_back_from_their_bytes {
    ($name:ident: $model:ty) => {
        proptest! {
            #![proptest_config(config(8, REGRESSIONS))]

            #[test]
            fn $name(seed: u64, numbers in prop::sample::select(vec![Numbers::Normal, Numbers::Tiny, Numbers::Huge])) {
                let case = Case::new(seed, 0, numbers);
                let model: &$model = &case.model;
                assert_round_trip(model);
            }
        }
    };
}

mod models_come_back_from_their_bytes_to_the_bit {
    use super::*;
    for_every_shape!(models_come_back_from_their_bytes);
}

#[test]
fn a_file_has_the_tensors_of_makemore_row_by_row() {
    let model = name_model(1);
    let bytes = weights::to_bytes(&model, &Keys::makemore()).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), 5);
    let embedding = tensor(&file, "C", &[27, 2]);
    let (w1, b1) = (tensor(&file, "W1", &[6, 100]), tensor(&file, "b1", &[100]));
    let (w2, b2) = (tensor(&file, "W2", &[100, 27]), tensor(&file, "b2", &[27]));
    for token in 0..27 {
        for i in 0..2 {
            assert_eq!(embedding[token * 2 + i], model.input.embedding[(i, token)]);
        }
        assert_eq!(b2[token], model.output.bias[token]);
    }
    for neuron in 0..100 {
        for (place, weights) in model.input.weights.iter().enumerate() {
            for i in 0..2 {
                assert_eq!(w1[(place * 2 + i) * 100 + neuron], weights[(neuron, i)]);
            }
        }
        for class in 0..27 {
            assert_eq!(
                w2[neuron * 27 + class],
                model.output.weights[(class, neuron)]
            );
        }
        assert_eq!(b1[neuron], model.input.bias[neuron]);
    }
}

#[test]
fn linear_layers_have_a_row_for_each_output() {
    type Numbers = Mlp<Dense<3>, Tanh<5>, Regression<2>>;
    let model = Numbers::standard_normal(&mut Xoshiro256PlusPlus::seed_from_u64(1));
    let bytes = weights::to_bytes(&model, &Keys::linear("none", &["0", "2"])).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), 4);
    let (hidden, output) = (
        tensor(&file, "0.weight", &[5, 3]),
        tensor(&file, "2.weight", &[2, 5]),
    );
    for neuron in 0..5 {
        for feature in 0..3 {
            assert_eq!(
                hidden[neuron * 3 + feature],
                model.input.weights[(neuron, feature)]
            );
        }
        for out in 0..2 {
            assert_eq!(
                output[out * 5 + neuron],
                model.output.weights[(out, neuron)]
            );
        }
    }
    assert_eq!(tensor(&file, "0.bias", &[5]), model.input.bias.as_slice());
    assert_eq!(tensor(&file, "2.bias", &[2]), model.output.bias.as_slice());
}

#[test]
fn a_file_tells_its_version_and_architecture() {
    let bytes = weights::to_bytes(&name_model(1), &Keys::makemore()).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().as_ref().unwrap();
    let about: serde_json::Value = serde_json::from_str(&metadata["fused_mlp"]).unwrap();
    let expected = serde_json::json!({
        "version": "2",
        "architecture": "tokens(27, 3, 2) -> tanh(100) -> softmax(27)",
    });
    assert_eq!(about, expected);
    assert_eq!(metadata.len(), 1);
}

/// Keys of `state_dict`s as PyTorch numbers the modules of a sequence, where activations take a number and have no tensors.
#[test]
fn sequential_keys_are_those_of_a_sequence_with_activations_between() {
    type Policy = Mlp<Dense<4>, (Tanh<6>, Relu<5>, Tanh<3>), Softmax<2>>;
    type Names = Mlp<Tokens<9, 3, 2>, (Tanh<7>, Relu<4>), Softmax<9>>;
    let keys_of = |bytes: &[u8]| {
        let file = SafeTensors::deserialize(bytes).unwrap();
        let mut keys: Vec<_> = file
            .iter()
            .map(|(name, tensor)| format!("{name} {:?}", tensor.shape()))
            .collect();
        keys.sort();
        keys
    };
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let policy = Policy::fan_in_scaled(&mut rng);
    let bytes = weights::to_bytes(&policy, &Keys::sequential()).unwrap();
    let expected = [
        "0.bias [6]",
        "0.weight [6, 4]",
        "2.bias [5]",
        "2.weight [5, 6]",
        "4.bias [3]",
        "4.weight [3, 5]",
        "6.bias [2]",
        "6.weight [2, 3]",
    ];
    assert_eq!(keys_of(&bytes), expected);
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let second = tensor(&file, "2.weight", &[5, 6]);
    assert_eq!(second[4 * 6 + 1], policy.between.0.weights[(4, 1)]);

    let names = Names::fan_in_scaled(&mut rng);
    let bytes = weights::to_bytes(&names, &Keys::sequential()).unwrap();
    let expected = [
        "0.weight [9, 2]",
        "2.bias [7]",
        "2.weight [7, 6]",
        "4.bias [4]",
        "4.weight [4, 7]",
        "6.bias [9]",
        "6.weight [9, 4]",
    ];
    assert_eq!(keys_of(&bytes), expected);
}

/// PyTorch's own `state_dict`s of three modules, as `tests/fixtures` has them: read, and written again to the same bytes.
#[test]
fn a_state_dict_of_any_depth_is_read_and_written() {
    fn comes_back<I: Input, L: HiddenLayers, O: Head>(bytes: &[u8], run: &str) {
        let keys = Keys::sequential().with_prefix(&format!("{run}_100_"));
        let model: Mlp<I, L, O> =
            weights::from_bytes(bytes, &keys.clone().ignoring_others()).unwrap();
        let written = weights::to_bytes(&model, &keys).unwrap();
        let file = SafeTensors::deserialize(bytes).unwrap();
        for (name, tensor) in SafeTensors::deserialize(&written).unwrap().iter() {
            let original = file.tensor(name).unwrap();
            assert_eq!(tensor.shape(), original.shape(), "{name}");
            assert_eq!(tensor.data(), original.data(), "{name}");
        }
    }
    let path = format!(
        "{}/tests/fixtures/deep.safetensors",
        env!("CARGO_MANIFEST_DIR")
    );
    let bytes = fs::read(path).unwrap();
    comes_back::<Dense<4>, (Tanh<64>, Tanh<64>), Softmax<2>>(&bytes, "tanh_64_64_adam_w");
    comes_back::<Dense<8>, (Relu<120>, Relu<84>), Regression<4>>(&bytes, "relu_120_84_momentum");
    comes_back::<Tokens<9, 3, 2>, (Relu<33>, Tanh<17>, Relu<16>), Softmax<9>>(
        &bytes,
        "mixed_sgd_clipped",
    );
}

#[test]
fn a_model_has_one_file_whenever_it_is_written() {
    let write = || weights::to_bytes(&name_model(7), &Keys::makemore()).unwrap();
    let first = write();
    assert!((0..20).all(|_| write() == first));
}

#[test]
fn files_of_pytorch_and_jax_are_read() {
    for run in ["torch", "jax_nonpartitionable", "jax_partitionable"] {
        let path = format!(
            "{}/tests/fixtures/{run}.safetensors",
            env!("CARGO_MANIFEST_DIR")
        );
        let bytes = fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        for group in ["init_", "grad0_", "step1_", "step100_", "final_"] {
            let keys = Keys::makemore().with_prefix(group).ignoring_others();
            let model: NameModel = weights::load(&path, &keys).unwrap();
            let again: NameModel = weights::from_bytes(&bytes, &keys).unwrap();
            assert_eq!(model, again);
            let expected = [("C", [27, 2]), ("W1", [6, 100]), ("W2", [100, 27])]
                .map(|(name, shape)| tensor(&file, &format!("{group}{name}"), &shape));
            let biases = [("b1", 100), ("b2", 27)]
                .map(|(name, len)| tensor(&file, &format!("{group}{name}"), &[len]));
            let [embedding, w1, w2] = expected;
            let [b1, b2] = biases;
            assert_eq!(
                crate::support::flat(&model),
                [embedding, w1, b1, w2, b2].concat(),
                "{run} {group}"
            );
        }
        let strict = Keys::makemore().with_prefix("final_");
        let error = weights::from_bytes::<NameModel>(&bytes, &strict).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(r#"tensor "final64_C": expected no such tensor"#),
            "{error}"
        );
    }
}

#[test]
fn the_elements_are_where_a_file_made_by_hand_has_them() {
    let model: Small = weights::from_bytes(&File::small().bytes(), &Keys::makemore()).unwrap();
    let counted: Vec<f32> = (0..41_u8).map(f32::from).collect();
    assert_eq!(crate::support::flat(&model), counted);
    assert_eq!(model.output.weights[(2, 3)], 37.0);
}

#[test]
fn the_seeds_of_fuzzing_are_files_that_can_be_read() {
    type Numbers = Mlp<Dense<3>, Relu<5>, Regression<2>>;
    let seed = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/weight_files");
        fs::read(format!("{folder}/{name}")).unwrap()
    };
    let linear = Keys::linear("embedding", &["hidden", "output"]);
    weights::from_bytes::<Small>(&seed("model_of_characters"), &Keys::makemore()).unwrap();
    weights::from_bytes::<Numbers>(&seed("model_of_numbers_with_linear_keys"), &linear).unwrap();
    weights::state_from_bytes::<Small>(&seed("state_of_adam_w")).unwrap();
    for state in ["state_of_momentum", "state_of_sgd"] {
        weights::state_from_bytes::<Numbers>(&seed(state)).unwrap();
    }
    // The files above are of version 1; these are of version 2, and of three hidden layers.
    type Deep = Mlp<Tokens<3, 2, 2>, (Relu<3>, Tanh<3>, Relu<2>), Binary>;
    let deep = seed("deep_model_with_sequential_keys");
    weights::from_bytes::<Deep>(&deep, &Keys::sequential()).unwrap();
    weights::state_from_bytes::<Deep>(&seed("state_of_a_deep_model")).unwrap();
}

#[test]
fn metadata_of_others_are_ignored_and_those_of_another_loss_are_no_other_model() {
    let file = File::small().entry(r#""__metadata__":{"format":"pt","fused":"","\u0000":"[[["}"#);
    weights::from_bytes::<Small>(&file.bytes(), &Keys::makemore()).unwrap();

    type Squared = Mlp<Dense<2>, Relu<3>, Regression<1>>;
    let squared = Squared::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(1));
    let bytes = weights::to_bytes(&squared, &Keys::makemore()).unwrap();
    let huber: Mlp<Dense<2>, Relu<3>, Regression<1, Huber>> =
        weights::from_bytes(&bytes, &Keys::makemore()).unwrap();
    assert_eq!(bits_of(&huber), bits_of(&squared));
    let tanh =
        weights::from_bytes::<Mlp<Dense<2>, Tanh<3>, Regression<1>>>(&bytes, &Keys::makemore());
    assert!(tanh.unwrap_err().to_string().contains("architecture"));
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let says = |model: &NameModel, keys: &Keys, parts: &[&str]| {
        let error = weights::to_bytes(model, keys).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut model = name_model(1);
        model.output.weights[(3, 99)] = value;
        let value = value.to_string();
        says(
            &model,
            &Keys::makemore(),
            &[r#"tensor "W2" at [99, 3]"#, "finite", &value],
        );
        let linear = Keys::linear("e", &["h", "o"]);
        says(
            &model,
            &linear,
            &[r#"tensor "o.weight" at [3, 99]"#, "finite", &value],
        );
    }
    let model = name_model(1);
    says(
        &model,
        &Keys::linear("a", &["a", "b"]),
        &[r#"tensor "a.weight""#, "one tensor", "two"],
    );
    let metadata = Key {
        name: "__metadata__".into(),
        is_transposed: false,
    };
    let keys = Keys::makemore().with_key("hidden_bias", metadata.clone());
    says(&model, &keys, &["__metadata__"]);
    says(
        &model,
        &Keys::makemore().with_key("hidden2_bias", metadata),
        &["the keys", "a tensor of the model", "hidden2_bias"],
    );
    says(
        &model,
        &Keys::linear("embedding", &["hidden", "hidden2", "output"]),
        &["the keys", "names of 2 layers", "found 3"],
    );
    let long = Keys::makemore().with_prefix(&"x".repeat(weights::HEADER_LIMIT));
    says(
        &model,
        &long,
        &["the header's length", "at most 65536 bytes"],
    );
}
