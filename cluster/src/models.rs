//! The models that are trained, and their data.

use clap::ValueEnum;
use fused_mlp::{Corpus, Dataset, Error, Mlp, Softmax, Tanh, Tokens, Vocabulary};

/// Predicts a letter from the three before it: 100 neurons, about 3,500 parameters.
pub(crate) type Names = fused_mlp::NameModel;

/// The same with two layers of 512 neurons, about 302,000 parameters.
pub(crate) type Wide = Mlp<Tokens<27, 3, 16>, (Tanh<512>, Tanh<512>), Softmax<27>>;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// One layer of 100 neurons.
    Names,
    /// Two layers of 512 neurons.
    Wide,
}

pub(crate) fn data() -> Result<Dataset<[u8; 3], u8>, Error> {
    Corpus::sample().windows(&Vocabulary::lowercase())
}
