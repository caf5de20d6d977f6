//! A network's shape as the kernels take it: known when they are compiled, or when they run.
//!
//! Every kernel is written once over [`Shape`], and compiled twice. With [`Fixed`] the widths, strides and trip counts of
//! one model are constants, loops unroll and bounds checks vanish: what a release build runs. With a [`Network`] value one
//! compilation serves every model: it is made in this crate, so that a debug build of an embedding program can have it
//! optimised by one line of its manifest.

use core::marker::PhantomData;

use crate::model::Model;
use crate::network::Network;
use crate::simd::{Backend, Kernel, Simd};

/// A network's shape.
pub(crate) trait Shape: Copy {
    /// The network, if it is known at compile time.
    const FIXED: Option<Network>;

    /// The network.
    fn get(self) -> Network;
}

impl Shape for Network {
    const FIXED: Option<Network> = None;

    #[inline(always)]
    fn get(self) -> Network {
        self
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
    const FIXED: Option<Network> = Some(M::NETWORK);

    #[inline(always)]
    fn get(self) -> Network {
        const { M::NETWORK }
    }
}

/// A kernel that is compiled in both ways, and told the shape when it runs.
pub(crate) trait ShapedKernel: Sized {
    /// What it computes.
    type Output;

    /// For this shape.
    fn run<S: Simd, N: Shape>(self, simd: S, shape: N) -> Self::Output;

    /// For a network of any shape: `backend.run_general(Shaped { kernel: self, shape })`. Each kernel says so itself, because a
    /// method that is given by the trait would be compiled in the embedding program.
    fn run_any(self, backend: Backend, shape: Network) -> Self::Output;
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

/// One of a shape's widths.
pub(crate) trait Count: Copy {
    /// The width, if it is known at compile time.
    const FIXED: Option<usize>;

    /// The width.
    fn get(self) -> usize;
}

macro_rules! count {
    ($(#[$doc:meta])* $name:ident, $network:ident => $width:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name<N>(pub(crate) N);

        impl<N: Shape> Count for $name<N> {
            const FIXED: Option<usize> = match N::FIXED {
                Some($network) => Some($width),
                None => None,
            };

            #[inline(always)]
            fn get(self) -> usize {
                let $network = self.0.get();
                $width
            }
        }
    };
}

count!(
    /// Width of the first layer's input.
    Features, network => network.inputs()
);
count!(
    /// Number of hidden neurons.
    Neurons, network => network.hidden
);
count!(
    /// Number of outputs.
    Outputs, network => network.outputs
);
