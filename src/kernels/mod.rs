//! The arithmetic of training and prediction, written once for all processors.
//!
//! Every function here is generic over [`Simd`](crate::simd::Simd), `#[inline(always)]`, and free of `unsafe`, of
//! allocation and of instruction-set names. It is compiled once inside each backend's entry function.

pub(crate) mod batch_step;
pub(crate) mod buffer;
pub(crate) mod contract;
pub(crate) mod embedding;
pub(crate) mod heads;
pub(crate) mod math;
pub(crate) mod transpose;
pub(crate) mod update;
