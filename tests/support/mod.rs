//! What several test files share. Each of them compiles its own copy, and uses a part of it.
#![allow(
    dead_code,
    unused_macros,
    unused_imports,
    reason = "no test file uses all of it, so `expect` would fail somewhere"
)]

pub(crate) mod shapes;
pub(crate) mod ulp;

use std::env;

use fused_mlp::{Backend, Model};
use proptest::test_runner::{Config, FileFailurePersistence};

/// The available backends that promise the same bits.
pub(crate) fn fused() -> impl Iterator<Item = Backend> {
    Backend::available().filter(|backend| backend.is_fused())
}

/// Whether `SLOW_ARITHMETIC=1` says that arithmetic takes a hundred times as long as usual: on an emulated processor, or
/// without optimisation.
pub(crate) fn is_arithmetic_slow() -> bool {
    env::var_os("SLOW_ARITHMETIC").is_some_and(|value| value == "1")
}

/// How often something is repeated: `usually`, or a tenth of that where arithmetic is slow.
pub(crate) fn repetitions(usually: u64) -> u64 {
    if is_arithmetic_slow() {
        usually.div_ceil(10)
    } else {
        usually
    }
}

/// A property's settings: `cases` unless `PROPTEST_CASES` says otherwise, and failures kept in `regressions`.
pub(crate) fn config(cases: u32, regressions: &'static str) -> Config {
    let default = Config::default(); // reads the environment
    Config {
        cases: if env::var_os("PROPTEST_CASES").is_some() {
            default.cases
        } else {
            cases
        },
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(regressions))),
        ..default
    }
}

/// A number's bits, those of one NaN for all NaN.
pub(crate) fn bits(value: f32) -> u32 {
    if value.is_nan() { f32::NAN } else { value }.to_bits()
}

/// All parameters (or gradients), in storage order.
pub(crate) fn flat<M: Model>(model: &M) -> Vec<f32> {
    let mut all = Vec::new();
    for (_, values) in model.tensors() {
        all.extend_from_slice(values);
    }
    all
}

/// Their bits.
pub(crate) fn bits_of<M: Model>(model: &M) -> Vec<u32> {
    flat(model).into_iter().map(bits).collect()
}
