//! The parts that a model's type is put together from: an input, its hidden layers, a head.
//!
//! ```text
//! Mlp<Tokens<27, 3, 2>, Tanh<100>, Softmax<27>>              3 tokens of 27, embedded in 2 numbers each; 27 classes
//! Mlp<Dense<4>, (Tanh<64>, Tanh<64>), Softmax<2>>            4 features, two hidden layers, 2 classes
//! Mlp<Dense<8>, (Relu<64>, Tanh<16>), Regression<1>>         8 features, layers of different width and activation
//! ```
//!
//! The traits are closed: each names the kernels' code for it, and that code is in this crate. Code that is generic over
//! models takes `I: Input`, `L: HiddenLayers` and `H: Head`, or `M: Model`.
//!
//! `cargo check` refuses parts in the wrong place and data of the wrong shape. A width of zero, a vocabulary or a number of
//! classes above what their type holds, and a softmax over one class are refused when the program is built (`cargo build`, `cargo test`).

mod activation;
mod batch;
mod head;
mod hidden;
mod initialisation;
mod input;
mod layer;
mod mlp;
mod parameters;
mod spec;
mod symbol;
mod tensor;

/// Keeps the traits of this module to this crate.
mod sealed {
    /// Implemented by this crate's types alone, and tuples of them.
    pub trait Sealed {}

    macro_rules! tuples {
        ($($($part:ident)*;)*) => {
            $(impl<$($part: Sealed),*> Sealed for ($($part,)*) {})*
        };
    }
    tuples! { ; A; A B; A B C; A B C D; A B C D E; A B C D E F; A B C D E F G; A B C D E F G H; }
}

pub use activation::Activation;
pub use batch::{Example, Target};
pub use head::{
    Binary, Classifier, Head, Huber, Regression, RegressionLoss, Softmax, SquaredError,
};
pub use hidden::{
    ClippedRelu, Gelu, HiddenLayer, HiddenLayers, LeakyRelu, Relu, Sigmoid, Silu, Softplus, Tanh,
};
pub use input::{Dense, Input, Tokens};
pub use mlp::{ExampleOf, Mlp, Model, NameModel, OutputsOf, PredictionOf, TargetOf};
pub use parameters::{DenseLayer, EmbeddingLayer, Parameters};
pub use symbol::Symbol;
pub use tensor::{Role, Tensor};

pub(crate) use activation::{ActivationKind, for_every_activation};
pub(crate) use batch::{
    Batch, Inputs, OwnLoss, Targets, Weights, check_finite, check_lengths, checked_batch,
    even_batch, first_non_finite,
};
pub(crate) use head::largest;
pub(crate) use layer::{Layer, Pass};
pub(crate) use spec::{
    ACCUMULATORS, HeadKind, HeadSpec, InputSpec, LayerInput, LayerSpec, ModelSpec, NARROW_OUTPUTS,
};
pub(crate) use symbol::Symbols;
