//! What judges the kernels: the `f64` oracle, and checks of gradients against it.

mod activations;
mod bounded;
pub mod gradcheck;
pub mod reference;
