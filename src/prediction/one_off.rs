//! Predictions, losses and gradients of a model without a trainer.

use super::Predictor;
use crate::engine::Engine;
use crate::error::Error;
use crate::model::{Head, HiddenLayers, Input, Mlp, checked_batch};
use crate::simd::Backend;

/// A look at a model. Each call sets up working storage, which is slow in a loop: a [`Trainer`](crate::Trainer) and a
/// [`Predictor`] keep theirs.
impl<I: Input, L: HiddenLayers, O: Head> Mlp<I, L, O> {
    /// Class probabilities, the probability of yes, or numbers, for one input.
    ///
    /// # Errors
    ///
    /// [`Error::TokenOutOfRange`] or [`Error::NonFiniteData`] for a bad input, [`Error::NonFiniteParameter`] for a bad
    /// model, [`Error::NonFinitePrediction`] for outputs that overflow.
    pub fn predict(&self, input: &I::Example) -> Result<O::Prediction, Error> {
        Predictor::new(self)?.predict(input)
    }

    /// Mean loss of a batch, of the kind and in the units that the [head](Head) says: nats for [`Softmax`](crate::Softmax)
    /// and [`Binary`](crate::Binary). It may be infinite or NaN where outputs overflow.
    ///
    /// # Errors
    ///
    /// As [`Trainer::step`](crate::Trainer::step) for a bad batch, and [`Error::NonFiniteParameter`] for a bad model.
    pub fn loss(&self, inputs: &[I::Example], targets: &[O::Target]) -> Result<f32, Error> {
        let batch = checked_batch::<Self>(inputs, targets)?;
        Ok(Engine::new(self, Backend::detect())?.loss::<Self>(batch))
    }

    /// Mean loss of a batch and its gradient with respect to every parameter, in a model's shape. They may be infinite
    /// or NaN where outputs overflow.
    ///
    /// # Accuracy
    ///
    /// Each coordinate is within [`KERNEL_TOLERANCE`](crate::gradcheck::KERNEL_TOLERANCE) times the sum of the absolute values
    /// of its terms of the [reference](crate::reference).
    ///
    /// # Errors
    ///
    /// As [`loss`](Mlp::loss).
    pub fn gradients(
        &self,
        inputs: &[I::Example],
        targets: &[O::Target],
    ) -> Result<(f32, Self), Error> {
        self.gradients_on(Backend::detect(), inputs, targets)
    }

    /// As [`gradients`](Mlp::gradients), on a backend of choice.
    ///
    /// # Errors
    ///
    /// As [`loss`](Mlp::loss).
    pub fn gradients_on(
        &self,
        backend: Backend,
        inputs: &[I::Example],
        targets: &[O::Target],
    ) -> Result<(f32, Self), Error> {
        let batch = checked_batch::<Self>(inputs, targets)?;
        let mut engine = Engine::new(self, backend)?;
        let loss = engine.gradients::<Self>(batch);
        Ok((loss, engine.last_gradients()))
    }
}
