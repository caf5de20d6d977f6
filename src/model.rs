//! What every model type has in common, and batches of its examples.

use core::fmt::Debug;

use crate::architecture::sealed::Sealed;
use crate::architecture::{Example, Head, Input, Target};
use crate::error::Error;
use crate::network::{Batch, Network};

/// A model type: what a [`Trainer`](crate::Trainer) needs to know of an [`Mlp`](crate::Mlp). Implemented by nothing else.
pub trait Model: Sealed + Clone + Debug + Send + Sync + 'static {
    /// What it takes in.
    type Input: Input;
    /// What it gives out.
    type Head: Head;

    #[doc(hidden)]
    const NETWORK: Network;

    /// All parameters zero.
    #[must_use]
    fn zeroed() -> Self;

    /// Visits every tensor with its name, row-major, in storage order:
    ///
    /// | name | shape |
    /// |---|---|
    /// | `embedding`, of a model of [`Tokens`](crate::Tokens) alone | `[VOCAB, EMBED]` |
    /// | `hidden_weights` | `[INPUTS, HIDDEN]`, with INPUTS = `CONTEXT · EMBED` or `FEATURES` |
    /// | `hidden_bias` | `[1, HIDDEN]` |
    /// | `output_weights` | `[HIDDEN, OUTPUTS]` |
    /// | `output_bias` | `[1, OUTPUTS]` |
    fn visit(&self, visit: &mut dyn FnMut(&'static str, &[f32]));

    /// As [`visit`](Model::visit), for writing.
    fn visit_mut(&mut self, visit: &mut dyn FnMut(&'static str, &mut [f32]));
}

/// One example's input, for a model type.
pub type ExampleOf<M> = <<M as Model>::Input as Input>::Example;
/// One example's target, for a model type.
pub type TargetOf<M> = <<M as Model>::Head as Head>::Target;
/// One example's prediction, for a model type.
pub type PredictionOf<M> = <<M as Model>::Head as Head>::Prediction;

/// The batch in the kernels' form, if the model can take it.
pub(crate) fn checked_batch<'a, M: Model>(
    inputs: &'a [ExampleOf<M>],
    targets: &'a [TargetOf<M>],
) -> Result<Batch<'a>, Error> {
    let batch = batch(inputs, targets)?;
    M::NETWORK.check(batch)?;
    Ok(batch)
}

/// The batch in the kernels' form, if it has as many targets as inputs, and some.
pub(crate) fn batch<'a, E: Example, T: Target>(
    inputs: &'a [E],
    targets: &'a [T],
) -> Result<Batch<'a>, Error> {
    if inputs.len() != targets.len() {
        return Err(Error::LengthMismatch {
            inputs: inputs.len(),
            targets: targets.len(),
        });
    }
    if inputs.is_empty() {
        return Err(Error::EmptyBatch);
    }
    Ok(Batch {
        len: inputs.len(),
        inputs: E::flatten(inputs),
        targets: T::flatten(targets),
    })
}
