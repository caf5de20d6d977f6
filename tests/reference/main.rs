//! Gradients and losses against independent truth: the `f64` reference against central differences of its own loss, the
//! kernels on every backend against the reference, and the kernels against differences of their own loss.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[path = "../support/mod.rs"]
mod support;

mod checker;
mod differences;
mod kernels;
mod long_batches;
mod own_loss;
mod predictions;
