//! Any bytes are refused as a weight file, or are one: of finite numbers, the same to another reader, and written again to
//! the same model.
#![no_main]

use fused_mlp::weights::{self, Keys};
use fused_mlp::{
    Binary, Dense, Error, Mlp, Model, Regression, Relu, Softmax, Tanh, Tokens, Trainer,
};
use libfuzzer_sys::fuzz_target;
use safetensors::{Dtype, SafeTensors};

type Characters = Mlp<Tokens<3, 2, 2>, Tanh<4>, Softmax<3>>;
type Numbers = Mlp<Dense<3>, Relu<5>, Regression<2>>;
type Deep = Mlp<Tokens<3, 2, 2>, (Relu<3>, Tanh<3>, Relu<2>), Binary>;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    // A length that fits its header is hard to find, so a line of text and the bytes after it are a file too.
    if let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
        let length = (end as u64).to_le_bytes();
        check(&[&length, &bytes[..end], &bytes[end + 1..]].concat());
    }
});

fn check(file: &[u8]) {
    check_model::<Characters>(file, &["hidden", "output"]);
    check_model::<Numbers>(file, &["hidden", "output"]);
    check_model::<Deep>(file, &["hidden", "hidden2", "hidden3", "output"]);
    check_state::<Characters>(file);
    check_state::<Numbers>(file);
    check_state::<Deep>(file);
}

/// The file as one of a model, under all keys; `layers` are names for [`Keys::linear`].
fn check_model<M: Model + PartialEq>(file: &[u8], layers: &[&str]) {
    check_keys::<M>(file, &Keys::makemore(), false);
    check_keys::<M>(file, &Keys::sequential(), false);
    check_keys::<M>(file, &Keys::linear("embedding", layers), false);
    check_keys::<M>(file, &Keys::makemore().ignoring_others(), true);
}

fn check_keys<M: Model + PartialEq>(file: &[u8], keys: &Keys, ignores_others: bool) {
    let model: M = match weights::from_bytes(file, keys) {
        Ok(model) => model,
        Err(error) => return check_error(&error),
    };
    let tensors = SafeTensors::deserialize(file).expect("it was read as a file");
    let count = tensors.len();
    let mut in_model = 0;
    for (_, values) in model.tensors() {
        assert!(values.iter().all(|value| value.is_finite()));
        in_model += 1;
    }
    assert!(count == in_model || ignores_others && count > in_model);

    let written = weights::to_bytes(&model, keys).expect("it was read");
    let again: M = weights::from_bytes(&written, keys).expect("it was written");
    assert_eq!(bits(&again), bits(&model));
    // Elements at their places in either file have the same bits, whichever way round they lie; those of other types were
    // converted.
    for (name, tensor) in SafeTensors::deserialize(&written)
        .expect("it was written")
        .iter()
    {
        let original = tensors.tensor(name).expect("the model has it");
        assert_eq!(original.shape(), tensor.shape());
        match original.dtype() {
            Dtype::F32 => assert_eq!(original.data(), tensor.data()),
            dtype => assert!(matches!(dtype, Dtype::F16 | Dtype::BF16 | Dtype::F64)),
        }
    }
}

fn check_state<M: Model + PartialEq>(file: &[u8]) {
    let (state, generator) = match weights::state_from_bytes::<M>(file) {
        Ok(read) => read,
        Err(error) => return check_error(&error),
    };
    let written = weights::state_to_bytes(&state, generator.as_ref()).expect("it was read");
    let again = weights::state_from_bytes::<M>(&written).expect("it was written");
    let resumed = Trainer::resume(state.clone()).expect("it was read");
    assert_eq!(resumed.state(), state);
    assert_eq!(again, (state, generator));
}

/// An error tells of the file, or of a setting in it, and is short whatever the file has.
fn check_error(error: &Error) {
    let is_of_files = matches!(
        error,
        Error::WeightFile { .. } | Error::Setting { .. } | Error::MomentOutOfRange { .. }
    );
    assert!(is_of_files, "{error}");
    assert!(error.to_string().chars().count() < 600, "{error}");
}

fn bits<M: Model>(model: &M) -> Vec<u32> {
    let mut bits = Vec::new();
    for (_, values) in model.tensors() {
        bits.extend(values.iter().map(|value| value.to_bits()));
    }
    bits
}
