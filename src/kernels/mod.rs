//! The arithmetic of training and prediction, written once for all processors.
//!
//! Every function that does some of it is generic over [`Simd`](crate::simd::Simd), `#[inline(always)]`, and free of `unsafe`,
//! of allocation and of instruction-set names. It is compiled inside each backend's entry function. Arrows run one way:
//!
//! ```text
//! batch_outputs, input_gradients  →  block_step
//! block_step  →  embedding, dense, heads            →  transpose, contract, gradient_use, math  →  chunk, shape  →  simd
//! example     →  activation, gradient_use, heads    →  math                                     →  …
//! losses  →  heads, math
//! pairwise, update, finite  →  gradient_use, simd
//! ```
//!
//! Working storage is a [`Workspace`](chunk::Workspace) of [`Buffer`](buffer::Buffer)s, made once.

pub(crate) mod activation;
pub(crate) mod batch_outputs;
pub(crate) mod block_step;
pub(crate) mod buffer;
pub(crate) mod chunk;
pub(crate) mod contract;
pub(crate) mod dense;
pub(crate) mod embedding;
pub(crate) mod example;
pub(crate) mod finite;
pub(crate) mod gradient_use;
pub(crate) mod heads;
pub(crate) mod input_gradients;
pub(crate) mod losses;
pub(crate) mod math;
pub(crate) mod pairwise;
pub(crate) mod shape;
pub(crate) mod transpose;
pub(crate) mod update;
