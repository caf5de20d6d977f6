//! The parts that a model's type is put together from: input, activation, head.
//!
//! ```text
//! Mlp<Tokens<27, 3, 2>, 100, Softmax<27>>       characters: 3 tokens of 27, embedded in 2 numbers each
//! Mlp<Dense<8>, 64, Regression<1>, Relu>        numbers in, a number out
//! ```
//!
//! The traits are closed: each names the kernels' code for it, and that code is in this crate.

use alloc::boxed::Box;
use core::fmt::Debug;
use core::marker::PhantomData;
use core::slice::{from_mut, from_ref};

use nalgebra::{SMatrix, SVector};

use crate::network::{ActivationKind, HeadKind, InputKind, Inputs, Targets};

/// Keeps the traits of this module to this crate.
pub(crate) mod sealed {
    /// Implemented by this crate's types alone.
    pub trait Sealed {}
}
use sealed::Sealed;

/// What a model takes in: [`Tokens`] or [`Dense`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an input of a model",
    note = "the first parameter of `Mlp` is `Tokens<VOCAB, CONTEXT, EMBED>` or `Dense<FEATURES>`"
)]
pub trait Input: Sealed + Debug + Clone + Copy + Send + Sync + 'static {
    /// One example's input.
    type Example: Example;

    /// The parameters between the input and `HIDDEN` neurons.
    type Layer<const HIDDEN: usize>: Layer;

    #[doc(hidden)]
    const KIND: InputKind;
}

/// What a model gives out, and the loss that it is trained with: [`Softmax`], [`Regression`] or [`Binary`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a head of a model",
    note = "the third parameter of `Mlp` is `Softmax<CLASSES>`, `Regression<OUTPUTS>` or `Binary`"
)]
pub trait Head: Sealed + Debug + Clone + Copy + Send + Sync + 'static {
    /// One example's target.
    type Target: Target;

    /// One example's prediction: class probabilities, the probability of yes, or numbers.
    type Prediction: AsRef<[f32]> + AsMut<[f32]> + Copy + Debug + PartialEq;

    /// The parameters between `HIDDEN` neurons and the outputs.
    type Layer<const HIDDEN: usize>: Layer;

    /// A prediction of zeros, to be written to.
    #[doc(hidden)]
    fn blank() -> Self::Prediction;

    #[doc(hidden)]
    const KIND: (HeadKind, usize);
}

/// The function that a hidden neuron applies to the sum of its inputs: [`Tanh`] or [`Relu`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an activation",
    note = "the last parameter of `Mlp` is `Tanh` (the default) or `Relu`"
)]
pub trait Activation: Sealed + Debug + Clone + Copy + Send + Sync + 'static {
    #[doc(hidden)]
    const KIND: ActivationKind;
}

/// One example's input as data: `[u8; CONTEXT]` or `[f32; FEATURES]`.
pub trait Example: Sealed + Copy + Debug + PartialEq + Send + Sync + 'static {
    #[doc(hidden)]
    fn flatten(examples: &[Self]) -> Inputs<'_>;
}

/// One example's target as data: `u8`, `bool` or `[f32; OUTPUTS]`.
pub trait Target: Sealed + Copy + Debug + PartialEq + Send + Sync + 'static {
    #[doc(hidden)]
    fn flatten(targets: &[Self]) -> Targets<'_>;
}

/// The exact-shape parameters of one layer.
pub trait Layer: Sealed + Clone + Debug + PartialEq + Send + Sync {
    #[doc(hidden)]
    fn zeroed() -> Self;
    /// Visits each tensor's elements, row-major, in storage order.
    #[doc(hidden)]
    fn visit(&self, visit: &mut dyn FnMut(&[f32]));
    #[doc(hidden)]
    fn visit_mut(&mut self, visit: &mut dyn FnMut(&mut [f32]));
}

/// A context of `CONTEXT` tokens out of a vocabulary of `VOCAB`, each looked up in a table of `EMBED` numbers.
///
/// A token is one byte, so a vocabulary has at most 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens<const VOCAB: usize, const CONTEXT: usize, const EMBED: usize>;

/// `FEATURES` numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dense<const FEATURES: usize>;

/// `CLASSES` classes; the loss is the cross-entropy of the softmax, in nats:
/// `ln Σ_v e^(z_v) − z_y`, averaged over the batch. At most 256 classes: a class is one byte. The prediction is the probability
/// of each class, `[CLASSES]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Softmax<const CLASSES: usize>;

/// `OUTPUTS` numbers; the loss is [`SquaredError`], or [`Huber`]'s if named, averaged over outputs and batch. The prediction is
/// the numbers z themselves, `[OUTPUTS]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Regression<const OUTPUTS: usize, L: RegressionLoss = SquaredError>(PhantomData<L>);

/// One yes or no; the loss is the cross-entropy of the logistic function, in nats: `ln(1 + e^z) − y·z`, averaged over the
/// batch. The prediction is the probability of yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binary;

/// `(z − y)²`, PyTorch's `mse_loss`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SquaredError;

/// Huber's loss with δ = 1, PyTorch's `huber_loss`: `½(z − y)²` where |z − y| ≤ 1, and `|z − y| − ½` beyond, so that an
/// outlier pulls no harder than a unit error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Huber;

/// What a [`Regression`] minimises: [`SquaredError`] or [`Huber`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a loss of a regression",
    note = "the second parameter of `Regression` is `SquaredError` (the default) or `Huber`"
)]
pub trait RegressionLoss:
    Sealed + Debug + Clone + Copy + PartialEq + Send + Sync + 'static
{
    #[doc(hidden)]
    const KIND: HeadKind;
}

impl Sealed for SquaredError {}
impl RegressionLoss for SquaredError {
    const KIND: HeadKind = HeadKind::SquaredError;
}

impl Sealed for Huber {}
impl RegressionLoss for Huber {
    const KIND: HeadKind = HeadKind::Huber;
}

/// The hyperbolic tangent; see [`math::tanh`](crate::math::tanh) for its accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tanh;

/// max(0, z), with derivative 0 at z = 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relu;

impl Sealed for Tanh {}
impl Activation for Tanh {
    const KIND: ActivationKind = ActivationKind::Tanh;
}

impl Sealed for Relu {}
impl Activation for Relu {
    const KIND: ActivationKind = ActivationKind::Relu;
}

impl<const N: usize> Sealed for [u8; N] {}
impl<const N: usize> Example for [u8; N] {
    fn flatten(examples: &[Self]) -> Inputs<'_> {
        Inputs::Tokens(examples.as_flattened())
    }
}

impl<const N: usize> Sealed for [f32; N] {}
impl<const N: usize> Example for [f32; N] {
    fn flatten(examples: &[Self]) -> Inputs<'_> {
        Inputs::Features(examples.as_flattened())
    }
}

impl Sealed for u8 {}
impl Target for u8 {
    fn flatten(targets: &[Self]) -> Targets<'_> {
        Targets::Classes(targets)
    }
}

impl Sealed for bool {}
impl Target for bool {
    fn flatten(targets: &[Self]) -> Targets<'_> {
        Targets::Classes(bytemuck::cast_slice(targets))
    }
}

impl<const N: usize> Target for [f32; N] {
    fn flatten(targets: &[Self]) -> Targets<'_> {
        Targets::Values(targets.as_flattened())
    }
}

impl<const VOCAB: usize, const CONTEXT: usize, const EMBED: usize> Sealed
    for Tokens<VOCAB, CONTEXT, EMBED>
{
}
impl<const VOCAB: usize, const CONTEXT: usize, const EMBED: usize> Input
    for Tokens<VOCAB, CONTEXT, EMBED>
{
    type Example = [u8; CONTEXT];
    type Layer<const HIDDEN: usize> = EmbeddingLayer<VOCAB, CONTEXT, EMBED, HIDDEN>;

    const KIND: InputKind = {
        assert!(VOCAB > 0, "a vocabulary needs at least one token");
        assert!(
            VOCAB <= 256,
            "a token is one byte: a vocabulary has at most 256 tokens"
        );
        assert!(CONTEXT > 0, "a context needs at least one token");
        assert!(EMBED > 0, "an embedding needs at least one dimension");
        InputKind::Tokens {
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

    const KIND: InputKind = {
        assert!(FEATURES > 0, "a dense input needs at least one feature");
        InputKind::Dense { features: FEATURES }
    };
}

impl<const CLASSES: usize> Sealed for Softmax<CLASSES> {}
impl<const CLASSES: usize> Head for Softmax<CLASSES> {
    type Target = u8;
    type Prediction = [f32; CLASSES];
    type Layer<const HIDDEN: usize> = OutputLayer<HIDDEN, CLASSES>;

    fn blank() -> [f32; CLASSES] {
        [0.0; CLASSES]
    }

    const KIND: (HeadKind, usize) = {
        assert!(CLASSES > 1, "a softmax needs at least two classes");
        assert!(
            CLASSES <= 256,
            "a class is one byte: a softmax has at most 256 classes"
        );
        (HeadKind::Softmax, CLASSES)
    };
}

impl<const OUTPUTS: usize, L: RegressionLoss> Sealed for Regression<OUTPUTS, L> {}
impl<const OUTPUTS: usize, L: RegressionLoss> Head for Regression<OUTPUTS, L> {
    type Target = [f32; OUTPUTS];
    type Prediction = [f32; OUTPUTS];
    type Layer<const HIDDEN: usize> = OutputLayer<HIDDEN, OUTPUTS>;

    fn blank() -> [f32; OUTPUTS] {
        [0.0; OUTPUTS]
    }

    const KIND: (HeadKind, usize) = {
        assert!(OUTPUTS > 0, "a regression needs at least one output");
        (L::KIND, OUTPUTS)
    };
}

impl Sealed for Binary {}
impl Head for Binary {
    type Target = bool;
    type Prediction = [f32; 1];
    type Layer<const HIDDEN: usize> = OutputLayer<HIDDEN, 1>;

    fn blank() -> [f32; 1] {
        [0.0]
    }

    const KIND: (HeadKind, usize) = (HeadKind::Logistic, 1);
}

/// Embedding table, and the weights of one block for each place of the context.
///
/// One block for each place keeps the product `CONTEXT · EMBED` out of the types, which stable Rust cannot write. In
/// memory the blocks follow one another as the rows of one `[CONTEXT · EMBED, HIDDEN]` matrix, makemore's `W1`.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingLayer<
    const VOCAB: usize,
    const CONTEXT: usize,
    const EMBED: usize,
    const HIDDEN: usize,
> {
    /// Column v is the embedding of token v; in memory `[VOCAB, EMBED]`, makemore's `C`.
    pub embedding: Box<SMatrix<f32, EMBED, VOCAB>>,
    /// Block t maps the embedding of the token at place t to the neurons.
    pub weights: Box<[SMatrix<f32, HIDDEN, EMBED>; CONTEXT]>,
    /// Makemore's `b1`.
    pub bias: Box<SVector<f32, HIDDEN>>,
}

/// Weights from `FEATURES` numbers to `HIDDEN` neurons; in memory `[FEATURES, HIDDEN]`.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseLayer<const FEATURES: usize, const HIDDEN: usize> {
    /// Column i holds the weights of feature i.
    pub weights: Box<SMatrix<f32, HIDDEN, FEATURES>>,
    /// Makemore's `b1`.
    pub bias: Box<SVector<f32, HIDDEN>>,
}

/// Weights from `HIDDEN` neurons to `OUTPUTS` outputs; in memory `[HIDDEN, OUTPUTS]`, makemore's `W2`.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputLayer<const HIDDEN: usize, const OUTPUTS: usize> {
    /// Column n holds the weights of neuron n.
    pub weights: Box<SMatrix<f32, OUTPUTS, HIDDEN>>,
    /// Makemore's `b2`.
    pub bias: Box<SVector<f32, OUTPUTS>>,
}

/// The matrices are boxed, and zeroed where they lie: a large one would not fit the stack on its way to the heap.
macro_rules! layer {
    ($name:ident<$($parameter:ident),*> { $($field:ident),* }) => {
        impl<$(const $parameter: usize),*> Sealed for $name<$($parameter),*> {}
        impl<$(const $parameter: usize),*> Layer for $name<$($parameter),*> {
            fn zeroed() -> Self {
                Self { $($field: bytemuck::zeroed_box()),* }
            }

            fn visit(&self, visit: &mut dyn FnMut(&[f32])) {
                $(visit(bytemuck::cast_slice(from_ref(&*self.$field)));)*
            }

            fn visit_mut(&mut self, visit: &mut dyn FnMut(&mut [f32])) {
                $(visit(bytemuck::cast_slice_mut(from_mut(&mut *self.$field)));)*
            }
        }
    };
}

layer!(EmbeddingLayer<VOCAB, CONTEXT, EMBED, HIDDEN> { embedding, weights, bias });
layer!(DenseLayer<FEATURES, HIDDEN> { weights, bias });
layer!(OutputLayer<HIDDEN, OUTPUTS> { weights, bias });
