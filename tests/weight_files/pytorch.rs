//! Files to PyTorch and back, where there is one: `TORCH_PYTHON` names a Python with torch, numpy and safetensors.

use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use fused_mlp::weights::{self, Keys};
use fused_mlp::{NameModel, Predictor};
use safetensors::SafeTensors;

use crate::models::name_model;
use crate::on_disk::Folder;
use crate::support::bits_of;

/// PyTorch's tanh and exp, and its order of sums, are others.
const TOLERANCE: f32 = 1e-5;

#[test]
fn pytorch_computes_the_same_and_writes_the_model_back() {
    let Some(python) = env::var_os("TORCH_PYTHON") else {
        // Straight to the stream: the test runner swallows what a passing test prints by `eprintln!`.
        let message = "SKIPPED: TORCH_PYTHON does not name a Python with torch, so no file went to PyTorch and back";
        return writeln!(io::stderr(), "{message}").unwrap();
    };
    let folder = Folder::new("pytorch");
    let model = name_model(1);
    let linear = Keys::linear("embedding", &["hidden", "output"]);
    weights::save(
        folder.path("makemore.safetensors"),
        &model,
        &Keys::makemore(),
    )
    .unwrap();
    weights::save(folder.path("linear.safetensors"), &model, &linear).unwrap();

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/weight_files/pytorch.py");
    let status = Command::new(python)
        .arg(script)
        .arg(folder.path(""))
        .status()
        .unwrap();
    assert!(status.success(), "{status}");

    let written: NameModel = weights::load(folder.path("pytorch.safetensors"), &linear).unwrap();
    assert_eq!(written, model);
    for dtype in ["F16", "BF16", "F64"] {
        let load = |name: String| weights::load::<NameModel>(folder.path(&name), &linear).unwrap();
        let read = load(format!("{dtype}.safetensors"));
        let converted = load(format!("{dtype}_as_F32.safetensors"));
        assert_eq!(bits_of(&read), bits_of(&converted), "{dtype}");
    }
    let bytes = fs::read(folder.path("probabilities.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (values, _) = file.tensor("probabilities").unwrap().data().as_chunks();
    let mut values = values.iter().copied().map(f32::from_le_bytes);
    let predictor = Predictor::new(&model).unwrap();
    let letters = [0, 1, 13, 26];
    for context in letters
        .into_iter()
        .flat_map(|a| letters.map(|b| letters.map(|c| [a, b, c])))
        .flatten()
    {
        for probability in predictor.predict(&context).unwrap() {
            let expected = values.next().unwrap();
            assert!(
                (probability - expected).abs() <= TOLERANCE,
                "{context:?}: {probability}, {expected}"
            );
        }
    }
    assert_eq!(values.next(), None);
}
