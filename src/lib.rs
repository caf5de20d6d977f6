//! Trains tiny multi-layer perceptrons as fast as the processor can multiply.

extern crate alloc;

pub mod architecture;
mod corpus;
mod dataset;
mod engine;
mod error;
mod float;
pub mod gradcheck;
mod kernels;
pub mod math;
mod mlp;
mod network;
mod optimizer;
mod predictor;
#[doc(hidden)]
pub mod probe;
pub mod random;
pub mod reference;
pub mod replay;
pub mod sample;
mod simd;
mod trainer;
mod vocabulary;

pub use architecture::{
    Binary, Dense, Huber, Regression, Relu, Softmax, SquaredError, Tanh, Tokens,
};
pub use corpus::{Corpus, Split};
pub use dataset::{Dataset, Minibatch};
pub use error::Error;
pub use mlp::{ExampleOf, Mlp, Model, NameModel, PredictionOf, TargetOf};
pub use optimizer::{AdamW, Momentum, Optimizer, Sgd};
pub use predictor::Predictor;
pub use rand_xoshiro::Xoshiro256PlusPlus;
pub use rand_xoshiro::rand_core::{Rng, SeedableRng};
pub use simd::Backend;
pub use trainer::Trainer;
pub use vocabulary::Vocabulary;
