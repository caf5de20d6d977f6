//! What this crate writes of a model into a file's metadata.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};

use super::{quoted, refuse};
use crate::error::Error;
use crate::model::{HeadKind, InputSpec, ModelSpec};

/// Strings under names.
pub(super) type About = BTreeMap<String, String>;

/// The version of what is written here.
const VERSION: &str = "2";

/// The versions that are read. Version 1 had one hidden layer, and is else the same.
const READABLE: [&str; 2] = ["1", VERSION];

/// What is written of every model.
pub(super) fn of(spec: ModelSpec) -> About {
    About::from([
        ("version".to_string(), VERSION.to_string()),
        ("architecture".to_string(), architecture(spec)),
    ])
}

/// Refuses a file of another version or another architecture.
pub(super) fn check(about: &About, spec: ModelSpec) -> Result<(), Error> {
    // The version first, which tells how to read the rest.
    let version = entry(about, "version")?;
    if !READABLE.contains(&version) {
        return Err(refuse("version", READABLE.join(" or "), quoted(version)));
    }
    check_entry(about, "architecture", &architecture(spec))
}

/// Refuses another text than this one.
pub(super) fn check_entry(about: &About, key: &str, expected: &str) -> Result<(), Error> {
    let found = entry(about, key)?;
    if found == expected {
        Ok(())
    } else {
        Err(refuse(key, quoted(expected), quoted(found)))
    }
}

/// An entry that must be there.
pub(super) fn entry<'a>(about: &'a About, key: &str) -> Result<&'a str, Error> {
    let entry = about.get(key).map(String::as_str);
    entry.ok_or_else(|| refuse(key, "an entry in the metadata", "none"))
}

/// What a model computes. The loss that it is trained with is no part of it: Huber's and the squared error have one head.
pub(super) fn architecture(spec: ModelSpec) -> String {
    let input = match spec.input {
        InputSpec::Tokens {
            vocab,
            context,
            embed,
            ..
        } => format!("tokens({vocab}, {context}, {embed})"),
        InputSpec::Dense { features } => format!("dense({features})"),
    };
    let hidden = spec
        .hidden
        .iter()
        .map(|layer| format!("{}({}) -> ", layer.activation.name(), layer.width));
    let hidden: String = hidden.collect();
    let head = match spec.head.kind {
        HeadKind::Softmax => "softmax",
        HeadKind::SquaredError | HeadKind::Huber => "linear",
        HeadKind::Logistic => "logistic",
    };
    format!("{input} -> {hidden}{head}({})", spec.head.outputs)
}
