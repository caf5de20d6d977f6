//! From text to batches: names to tokens, tokens to examples, examples to minibatches.

mod corpus;
mod dataset;
mod examples;
mod minibatch;
mod vocabulary;

pub use corpus::{Corpus, Split};
pub use dataset::Dataset;
pub use minibatch::Minibatch;
pub use vocabulary::Vocabulary;

pub(crate) use dataset::push;
pub(crate) use examples::Examples;
