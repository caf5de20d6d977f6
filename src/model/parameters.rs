//! Parameters in their exact shapes, on the heap.

use alloc::boxed::Box;
use core::fmt::Debug;
use core::slice::{from_mut, from_ref};

use nalgebra::{SMatrix, SVector};

use super::sealed::Sealed;

/// The exact-shape parameters of a part of a model: a layer, or a tuple of layers.
pub trait Parameters: Sealed + Clone + Debug + PartialEq + Send + Sync + 'static {
    #[doc(hidden)]
    fn zeroed() -> Self;
    /// Each tensor's elements, row-major, in storage order.
    #[doc(hidden)]
    fn values(&self) -> impl Iterator<Item = &[f32]>;
    #[doc(hidden)]
    fn values_mut(&mut self) -> impl Iterator<Item = &mut [f32]>;
}

/// Embedding table, and the weights of one block for each position of the context.
///
/// One block for each position keeps the product `CONTEXT · EMBED` out of the types, which stable Rust cannot write. In
/// memory the blocks follow one another as the rows of one `[CONTEXT · EMBED, HIDDEN]` matrix, makemore's `W1`.
#[derive(Debug, PartialEq)]
pub struct EmbeddingLayer<
    const VOCAB: usize,
    const CONTEXT: usize,
    const EMBED: usize,
    const HIDDEN: usize,
> {
    /// Column v is the embedding of token v; in memory `[VOCAB, EMBED]`, makemore's `C`.
    pub embedding: Box<SMatrix<f32, EMBED, VOCAB>>,
    /// Block t maps the embedding of the token at position t to the neurons.
    pub weights: Box<[SMatrix<f32, HIDDEN, EMBED>; CONTEXT]>,
    /// One for each neuron, makemore's `b1`.
    pub bias: Box<SVector<f32, HIDDEN>>,
}

/// Weights from `INPUTS` features or neurons to `OUTPUTS` neurons or outputs; in memory `[INPUTS, OUTPUTS]`, makemore's `W2`.
#[derive(Debug, PartialEq)]
pub struct DenseLayer<const INPUTS: usize, const OUTPUTS: usize> {
    /// Column i holds the weights of input i.
    pub weights: Box<SMatrix<f32, OUTPUTS, INPUTS>>,
    /// One for each output, makemore's `b2`.
    pub bias: Box<SVector<f32, OUTPUTS>>,
}

/// The matrices are boxed, and made on the heap by `zeroed`, to be filled in place: `Box::new` and a derived `Clone` may have each
/// pass through the stack, which a large one does not fit.
macro_rules! layer {
    ($name:ident<$($parameter:ident),*> { $($field:ident),* }) => {
        impl<$(const $parameter: usize),*> Sealed for $name<$($parameter),*> {}

        impl<$(const $parameter: usize),*> Clone for $name<$($parameter),*> {
            fn clone(&self) -> Self {
                let mut copy = Self::zeroed();
                for (copy, values) in copy.values_mut().zip(self.values()) {
                    copy.copy_from_slice(values);
                }
                copy
            }
        }

        impl<$(const $parameter: usize),*> Parameters for $name<$($parameter),*> {
            fn zeroed() -> Self {
                Self { $($field: bytemuck::zeroed_box()),* }
            }

            fn values(&self) -> impl Iterator<Item = &[f32]> {
                [$(bytemuck::cast_slice(from_ref(&*self.$field))),*].into_iter()
            }

            fn values_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
                [$(bytemuck::cast_slice_mut(from_mut(&mut *self.$field))),*].into_iter()
            }
        }
    };
}

layer!(EmbeddingLayer<VOCAB, CONTEXT, EMBED, HIDDEN> { embedding, weights, bias });
layer!(DenseLayer<INPUTS, OUTPUTS> { weights, bias });

/// The layers between hidden ones: none if there is one hidden layer, up to seven.
macro_rules! tuple {
    ($($layer:ident: $index:tt),*) => {
        impl<$($layer: Parameters),*> Parameters for ($($layer,)*) {
            fn zeroed() -> Self {
                ($($layer::zeroed(),)*)
            }

            fn values(&self) -> impl Iterator<Item = &[f32]> {
                core::iter::empty()$(.chain(self.$index.values()))*
            }

            fn values_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
                core::iter::empty()$(.chain(self.$index.values_mut()))*
            }
        }
    };
}

impl Parameters for () {
    fn zeroed() -> Self {}

    fn values(&self) -> impl Iterator<Item = &[f32]> {
        core::iter::empty()
    }

    fn values_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        core::iter::empty()
    }
}

tuple!(A: 0);
tuple!(A: 0, B: 1);
tuple!(A: 0, B: 1, C: 2);
tuple!(A: 0, B: 1, C: 2, D: 3);
tuple!(A: 0, B: 1, C: 2, D: 3, E: 4);
tuple!(A: 0, B: 1, C: 2, D: 3, E: 4, F: 5);
tuple!(A: 0, B: 1, C: 2, D: 3, E: 4, F: 5, G: 6);
