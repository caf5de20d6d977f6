//! From text to batches: names to tokens, tokens to examples, examples to minibatches.

mod corpus;
mod dataset;
mod vocabulary;

pub use corpus::{Corpus, Split};
pub use dataset::{Dataset, Minibatch};
pub use vocabulary::Vocabulary;

pub(crate) use dataset::{Limits, push};
