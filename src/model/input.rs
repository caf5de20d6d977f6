//! What a model takes in.

use core::fmt::Debug;
use core::marker::PhantomData;

use super::batch::Example;
use super::parameters::{DenseLayer, EmbeddingLayer, Parameters};
use super::sealed::Sealed;
use super::spec::InputSpec;
use super::symbol::Symbol;

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
/// A token is a `u8`, so a vocabulary has at most 256; with `Tokens<VOCAB, CONTEXT, EMBED, u16>` it may have 65,536.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens<const VOCAB: usize, const CONTEXT: usize, const EMBED: usize, Token: Symbol = u8>(
    PhantomData<Token>,
);

/// `FEATURES` numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dense<const FEATURES: usize>;

impl<const VOCAB: usize, const CONTEXT: usize, const EMBED: usize, Token: Symbol> Sealed
    for Tokens<VOCAB, CONTEXT, EMBED, Token>
{
}
impl<const VOCAB: usize, const CONTEXT: usize, const EMBED: usize, Token: Symbol> Input
    for Tokens<VOCAB, CONTEXT, EMBED, Token>
{
    type Example = [Token; CONTEXT];
    type Layer<const HIDDEN: usize> = EmbeddingLayer<VOCAB, CONTEXT, EMBED, HIDDEN>;

    const SPEC: InputSpec = {
        assert!(VOCAB > 0, "a vocabulary needs at least one token");
        assert!(
            VOCAB <= Token::COUNT,
            "a vocabulary has at most 256 tokens of type u8, or 65,536 of type u16"
        );
        assert!(CONTEXT > 0, "a context needs at least one token");
        assert!(EMBED > 0, "an embedding needs at least one dimension");
        InputSpec::Tokens {
            vocab: VOCAB,
            context: CONTEXT,
            embed: EMBED,
            symbols: Token::COUNT,
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
