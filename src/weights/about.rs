//! What this crate writes of a model into a file's metadata.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};

use super::{quoted, refuse};
use crate::error::Error;
use crate::network::{ActivationKind, HeadKind, InputKind, Network};

/// Strings under names.
pub(super) type About = BTreeMap<String, String>;

/// The version of what is written here.
const VERSION: &str = "1";

/// What is written of every model.
pub(super) fn of(network: Network) -> About {
    About::from([
        ("version".to_string(), VERSION.to_string()),
        ("architecture".to_string(), architecture(network)),
    ])
}

/// Refuses a file of another version or another architecture.
pub(super) fn check(about: &About, network: Network) -> Result<(), Error> {
    // The version first, which tells how to read the rest.
    for (key, expected) in of(network).into_iter().rev() {
        check_entry(about, &key, &expected)?;
    }
    Ok(())
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
pub(super) fn architecture(network: Network) -> String {
    let input = match network.input {
        InputKind::Tokens {
            vocab,
            context,
            embed,
        } => format!("tokens({vocab}, {context}, {embed})"),
        InputKind::Dense { features } => format!("dense({features})"),
    };
    let activation = match network.activation {
        ActivationKind::Tanh => "tanh",
        ActivationKind::Relu => "relu",
    };
    let head = match network.head {
        HeadKind::Softmax => "softmax",
        HeadKind::SquaredError | HeadKind::Huber => "linear",
        HeadKind::Logistic => "logistic",
    };
    let Network {
        hidden, outputs, ..
    } = network;
    format!("{input} -> {activation}({hidden}) -> {head}({outputs})")
}
