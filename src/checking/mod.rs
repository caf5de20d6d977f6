//! What judges the kernels: the `f64` oracle, and checks of gradients against it.

pub mod gradcheck;
pub mod reference;
