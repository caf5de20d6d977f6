//! A model's shape as the kernels take it: known when they are compiled, or when they run.
//!
//! Every kernel is written once over [`Shape`], and compiled twice. With [`Fixed`] the widths, strides and trip counts of
//! one model are constants, loops unroll and bounds checks vanish: what a release build runs. With a [`ModelSpec`] value one
//! compilation serves every model: it is made in this crate, so that a debug build of an embedding program can have it
//! optimised by one line of its manifest.

use core::marker::PhantomData;

use crate::model::{HiddenLayers, Layer, Model, ModelSpec, Pass};
use crate::simd::{Backend, Kernel, Simd};

/// A model's shape.
pub(crate) trait Shape: Copy {
    /// Whether a kernel has the code of the layers inlined, or calls a function for each.
    ///
    /// Inlined they are 2 % of a step faster. Beyond one hidden layer the compiler would take more than twice as long for
    /// twice the layers.
    const INLINES_LAYERS: bool;

    /// The shape as data.
    fn get(self) -> ModelSpec;

    /// Goes through the layers, first to last.
    fn forward(self, pass: &mut impl Pass);

    /// Goes through the layers, last to first.
    fn backward(self, pass: &mut impl Pass);
}

impl Shape for ModelSpec {
    const INLINES_LAYERS: bool = true; // there is one copy of the code, for all layers

    #[inline(always)]
    fn get(self) -> ModelSpec {
        self
    }

    #[inline(always)]
    fn forward(self, pass: &mut impl Pass) {
        self.layers().for_each(|layer| pass.layer(layer));
    }

    #[inline(always)]
    fn backward(self, pass: &mut impl Pass) {
        self.layers().rev().for_each(|layer| pass.layer(layer));
    }
}

/// The shape of one model type, as a constant.
pub(crate) struct Fixed<M>(PhantomData<fn() -> M>);

impl<M> Fixed<M> {
    pub(crate) const SHAPE: Self = Self(PhantomData);
}

impl<M> Clone for Fixed<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Fixed<M> {}

impl<M: Model> Shape for Fixed<M> {
    const INLINES_LAYERS: bool = M::SPEC.hidden.len() == 1;

    #[inline(always)]
    fn get(self) -> ModelSpec {
        const { M::SPEC }
    }

    #[inline(always)]
    fn forward(self, pass: &mut impl Pass) {
        M::Hidden::forward::<M::Input, M::Head>(pass);
    }

    #[inline(always)]
    fn backward(self, pass: &mut impl Pass) {
        M::Hidden::backward::<M::Input, M::Head>(pass);
    }
}

/// Runs a layer's part of a kernel, inlined or as a function of its own: see [`Shape::INLINES_LAYERS`].
#[inline(always)]
pub(crate) fn run_layer<S: Simd, N: Shape, K: Kernel>(simd: S, kernel: K) -> K::Output {
    if const { N::INLINES_LAYERS } {
        kernel.run(simd)
    } else {
        simd.call(kernel)
    }
}

/// A kernel that is compiled in both ways, and told the shape when it runs.
pub(crate) trait ShapedKernel: Sized {
    /// What it computes.
    type Output;

    /// For this shape.
    fn run<S: Simd, N: Shape>(self, simd: S, shape: N) -> Self::Output;

    /// For a model of any shape: `backend.run_general(Shaped { kernel: self, shape })`. Each kernel says so itself, because a
    /// method that is given by the trait would be compiled in the embedding program.
    fn run_any(self, backend: Backend, shape: ModelSpec) -> Self::Output;
}

/// A kernel and its shape.
pub(crate) struct Shaped<K, N> {
    pub(crate) kernel: K,
    pub(crate) shape: N,
}

impl<K: ShapedKernel, N: Shape> Kernel for Shaped<K, N> {
    type Output = K::Output;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> K::Output {
        self.kernel.run(simd, self.shape)
    }
}

/// One of a layer's widths.
pub(crate) trait Count: Copy {
    /// The width, if it is known at compile time.
    const FIXED: Option<usize>;

    /// The width.
    fn get(self) -> usize;
}

macro_rules! count {
    ($(#[$doc:meta])* $name:ident, $width:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name<L>(pub(crate) L);

        impl<L: Layer> Count for $name<L> {
            const FIXED: Option<usize> = match L::FIXED {
                Some(layer) => Some(layer.$width),
                None => None,
            };

            #[inline(always)]
            fn get(self) -> usize {
                self.0.get().$width
            }
        }
    };
}

count!(
    /// Number of inputs of a layer.
    FanIn, inputs
);
count!(
    /// Number of outputs of a layer.
    FanOut, outputs
);
