//! What a model takes in.

use core::fmt::Debug;

use super::batch::Example;
use super::parameters::{DenseLayer, EmbeddingLayer, Parameters};
use super::sealed::Sealed;
use super::spec::InputSpec;

/// What a model takes in: [`Tokens`] or [`Dense`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an input of a model",
    note = "the first parameter of `Mlp` is `Tokens<VOCAB, CONTEXT, EMBED>` or `Dense<FEATURES>`"
)]
pub trait Input: Sealed + Debug + Clone + Copy + Send + Sync + 'static {
    /// One example's input.
    type Example: Example;

    /// The parameters between the input and `HIDDEN` neurons.
    type Layer<const HIDDEN: usize>: Parameters;

    #[doc(hidden)]
    const SPEC: InputSpec;
}

/// A context of `CONTEXT` tokens out of a vocabulary of `VOCAB`, each looked up in a table of `EMBED` numbers.
///
/// A token is one byte, so a vocabulary has at most 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens<const VOCAB: usize, const CONTEXT: usize, const EMBED: usize>;

/// `FEATURES` numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dense<const FEATURES: usize>;

impl<const VOCAB: usize, const CONTEXT: usize, const EMBED: usize> Sealed
    for Tokens<VOCAB, CONTEXT, EMBED>
{
}
impl<const VOCAB: usize, const CONTEXT: usize, const EMBED: usize> Input
    for Tokens<VOCAB, CONTEXT, EMBED>
{
    type Example = [u8; CONTEXT];
    type Layer<const HIDDEN: usize> = EmbeddingLayer<VOCAB, CONTEXT, EMBED, HIDDEN>;

    const SPEC: InputSpec = {
        assert!(VOCAB > 0, "a vocabulary needs at least one token");
        assert!(
            VOCAB <= 256,
            "a token is one byte: a vocabulary has at most 256 tokens"
        );
        assert!(CONTEXT > 0, "a context needs at least one token");
        assert!(EMBED > 0, "an embedding needs at least one dimension");
        InputSpec::Tokens {
            vocab: VOCAB,
            context: CONTEXT,
            embed: EMBED,
        }
    };
}

impl<const FEATURES: usize> Sealed for Dense<FEATURES> {}
impl<const FEATURES: usize> Input for Dense<FEATURES> {
    type Example = [f32; FEATURES];
    type Layer<const HIDDEN: usize> = DenseLayer<FEATURES, HIDDEN>;

    const SPEC: InputSpec = {
        assert!(FEATURES > 0, "a dense input needs at least one feature");
        InputSpec::Dense { features: FEATURES }
    };
}
