//! The same training without this crate, as a Rust program would have it: written well, and nothing more.
#![allow(
    dead_code,
    reason = "no benchmark uses all of it, so `expect` would fail somewhere"
)]

pub(crate) mod matrices;
pub(crate) mod scalar;

use fused_mlp::{Model, NameModel};

use crate::support::CONTEXT;

/// The name model, trained by hand.
pub(crate) trait Plain: 'static {
    /// In the benchmarks' ids.
    const ID: &'static str;
    /// In half a sentence.
    const DESCRIPTION: &'static str;

    /// With these parameters.
    fn new(initial: &NameModel) -> Self;

    /// One step of gradient descent; returns the mean loss of the batch before it, in nats.
    fn step(&mut self, contexts: &[[u8; CONTEXT]], targets: &[u8], rate: f32) -> f32;

    /// The parameters as they are now.
    fn model(&self) -> NameModel;
}

/// All tensors of a model in storage order, row-major.
pub(crate) fn tensors_of(model: &impl Model) -> Vec<Vec<f32>> {
    let mut tensors = Vec::new();
    for (_, values) in model.tensors() {
        tensors.push(values.to_vec());
    }
    tensors
}

/// The model of these tensors.
fn model_of(tensors: [&[f32]; 5]) -> NameModel {
    let mut model = NameModel::zeroed();
    let mut tensors = tensors.into_iter();
    for (_, values) in model.tensors_mut() {
        if let Some(tensor) = tensors.next() {
            values.copy_from_slice(tensor);
        }
    }
    model
}
