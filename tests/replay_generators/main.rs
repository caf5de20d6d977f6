//! The replayed generators against what CPython 3.11, PyTorch 2.15.0 and jax 0.10.2 drew: every
//! vector, index and initial parameter in tests/fixtures, digests of a million variates each, and
//! second formulations.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may panic like the test itself"
)]

mod jax;
mod python;
mod torch;

use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Examples in the post's training split.
const EXAMPLES: usize = 182_625;
const STEPS: usize = 10_000;
/// The parameters in the order of their initialisation, with their numbers of elements.
const TENSORS: [(&str, usize); 5] = [
    ("C", 27 * 2),
    ("W1", 6 * 100),
    ("b1", 100),
    ("W2", 100 * 27),
    ("b2", 27),
];

fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&read(name)).unwrap()
}

/// The named group of tests/fixtures/vectors.json.
fn vectors(group: &str) -> Value {
    json("vectors.json")[group].take()
}

/// Words written as hexadecimal strings, nested or not.
fn words(value: &Value) -> Vec<u32> {
    match value {
        Value::Array(items) => items.iter().flat_map(words).collect(),
        Value::String(hex) => vec![u32::from_str_radix(hex, 16).unwrap()],
        other => panic!("no hexadecimal words: {other}"),
    }
}

fn integers(value: &Value) -> Vec<u64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item.as_u64().unwrap())
        .collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn sha256<const N: usize>(chunks: impl IntoIterator<Item = [u8; N]>) -> String {
    let mut hash = Sha256::new();
    chunks.into_iter().for_each(|bytes| hash.update(bytes));
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn sha256_f32(values: &[f32]) -> String {
    sha256(values.iter().map(|value| value.to_le_bytes()))
}

fn sha256_u32(values: &[u32]) -> String {
    sha256(values.iter().map(|value| value.to_le_bytes()))
}

/// An array of `len` filled by `fill`.
fn filled<T: Copy + Default>(len: usize, fill: impl FnOnce(&mut [T])) -> Vec<T> {
    let mut out = vec![T::default(); len];
    fill(&mut out);
    out
}

/// The f32 tensor `name` of a safetensors file.
fn tensor(file: &[u8], name: &str) -> Vec<f32> {
    let (length, rest) = file.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(usize::try_from(u64::from_le_bytes(*length)).unwrap());
    let entry = &serde_json::from_slice::<Value>(header).unwrap()[name];
    assert_eq!(entry["dtype"], "F32");
    let offsets: Vec<usize> = serde_json::from_value(entry["data_offsets"].clone()).unwrap();
    let (values, rest) = data[offsets[0]..offsets[1]].as_chunks::<4>();
    assert!(rest.is_empty());
    values
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
        .collect()
}

/// All initial values of a run: equal to the arrays, their digest and the first and last vectors.
fn assert_initial_values(run: &str, group: &str, parameters: &[Vec<f32>]) {
    let file = read(&format!("{run}.safetensors"));
    let vectors = vectors(group);
    for ((name, _), values) in TENSORS.iter().zip(parameters) {
        assert_eq!(
            bits(values),
            bits(&tensor(&file, &format!("init_{name}"))),
            "{name}"
        );
        assert_eq!(bits(&values[..3]), words(&vectors["init_first_3"][name]));
        assert_eq!(
            bits(&values[values.len() - 2..]),
            words(&vectors["init_last_2"][name])
        );
    }
    let all = parameters.concat();
    assert_eq!(all.len(), 3_481);
    assert_eq!(
        sha256_f32(&all),
        json(&format!("{run}.json"))["sha256_init"]["value"]
    );
}

/// All batch indices of a run: equal to the first five batches and to the digest.
fn assert_batches(run: &str, batches: impl Iterator<Item = [u32; 32]>) {
    let batches: Vec<[u32; 32]> = batches.take(STEPS).collect();
    let fixture = json(&format!("{run}.json"));
    let first: Vec<[u32; 32]> =
        serde_json::from_value(fixture["batch_indices_first_5"].clone()).unwrap();
    assert_eq!(batches[..5], first);
    let indices = batches.as_flattened();
    assert_eq!(indices.len(), 320_000);
    assert_eq!(
        sha256_u32(indices),
        fixture["sha256_all_batch_indices"]["value"]
    );
}
