//! Steps with a loss of the caller's own.

use core::marker::PhantomData;
use core::slice::from_ref;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::Trainer;
use super::optimizer::Optimizer;
use crate::data::{Dataset, Examples, Minibatch};
use crate::engine::Path;
use crate::error::Error;
use crate::model::{
    Batch, ExampleOf, Head, Model, OutputsOf, OwnLoss, Targets, even_batch, first_non_finite,
};

impl<M: Model> Trainer<M> {
    /// One step on a batch of any length from 1 up, with a loss of the caller's own in place of the head's.
    ///
    /// For each example, `loss` is given the outputs of the last layer, logits or numbers, and the target, which may be of any type;
    /// it returns the example's loss and the gradient of that loss with respect to the outputs. The step goes down the mean over
    /// the batch: gradients are divided by its length, as with a head's loss, and by nothing else. To weigh an example, multiply
    /// its loss and gradient, or give its data set [weights](Dataset::with_weights). Every optimizer and [clipping](Trainer::with_clipping) work as with a head's loss.
    ///
    /// ```
    /// use fused_mlp::{AdamW, Dataset, Dense, Mlp, Regression, SeedableRng, Tanh, Trainer, Xoshiro256PlusPlus};
    ///
    /// // The mean of the outcomes and their spread: a Gaussian's negative log-likelihood, without its constant.
    /// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    /// let model = Mlp::<Dense<1>, Tanh<16>, Regression<2>>::fan_in_scaled(&mut rng);
    /// let mut trainer = Trainer::new(model, AdamW::new(0.01))?;
    /// let inputs = [[0.1], [0.2], [0.3]];
    /// let outcomes = [1.0, 2.5, 2.0];
    /// let gaussian = |&[mean, log_deviation]: &[f32; 2], outcome: &f32| {
    ///     let precision = (-2.0 * log_deviation).exp();
    ///     let error = mean - outcome;
    ///     let square = error * error * precision;
    ///     (0.5 * square + log_deviation, [error * precision, 1.0 - square])
    /// };
    /// let first = trainer.step_with(&inputs, &outcomes, gaussian)?;
    /// for _ in 0..100 {
    ///     trainer.step_with(&inputs, &outcomes, gaussian)?;
    /// }
    /// let data = Dataset::new(inputs.to_vec(), outcomes.to_vec())?;
    /// assert!(trainer.evaluate_with(&data, gaussian)? < first);
    /// # Ok::<(), fused_mlp::Error>(())
    /// ```
    ///
    /// `loss` must be a pure function: it may be called more than once for an example, and in any order. Where results are to be the
    /// same on every processor, it must not call the platform's `exp`, `ln` and the like; [`losses`](crate::losses) has what does
    /// not.
    ///
    /// Returns the mean loss before the update.
    ///
    /// # Errors
    ///
    /// [`Error::NonFiniteLoss`] for the first example whose loss or gradient is NaN or infinite; [`Error::EmptyBatch`],
    /// [`Error::LengthMismatch`], [`Error::TokenOutOfRange`] or [`Error::NonFiniteData`] for a bad batch;
    /// [`Error::NonFiniteStep`] if the step would make the model non-finite. The model is then as it was before, as it is if
    /// `loss` panics.
    pub fn step_with<T: Sync>(
        &mut self,
        inputs: &[ExampleOf<M>],
        targets: &[T],
        loss: impl Fn(&OutputsOf<M>, &T) -> (f32, OutputsOf<M>) + Sync,
    ) -> Result<f32, Error> {
        self.step_with_on(Path::Batch, inputs, targets, loss)
    }

    /// As [`step_with`](Trainer::step_with), on one example and the path of [`step_one`](Trainer::step_one).
    ///
    /// # Errors
    ///
    /// As [`step_with`](Trainer::step_with).
    pub fn step_one_with<T: Sync>(
        &mut self,
        input: &ExampleOf<M>,
        target: &T,
        loss: impl Fn(&OutputsOf<M>, &T) -> (f32, OutputsOf<M>) + Sync,
    ) -> Result<f32, Error> {
        self.step_with_on(Path::Example, from_ref(input), from_ref(target), loss)
    }

    /// As [`step_with`](Trainer::step_with), on a batch drawn from a [`Dataset`], and on its weighted mean, where the data set has
    /// [weights](Dataset::with_weights).
    ///
    /// # Errors
    ///
    /// As [`step_with`](Trainer::step_with); [`Error::ZeroWeight`] if all weights are 0.
    pub fn step_batch_with<T: Clone + Sync>(
        &mut self,
        minibatch: &Minibatch<ExampleOf<M>, T>,
        loss: impl Fn(&OutputsOf<M>, &T) -> (f32, OutputsOf<M>) + Sync,
    ) -> Result<f32, Error> {
        self.step_examples_with(self.optimizer(), minibatch.examples(), loss)
    }

    /// A step by an optimizer of the same kind, perhaps with another learning rate.
    pub(super) fn step_examples_with<T: Sync>(
        &mut self,
        optimizer: Optimizer,
        examples: &Examples<ExampleOf<M>, T>,
        loss: impl Fn(&OutputsOf<M>, &T) -> (f32, OutputsOf<M>) + Sync,
    ) -> Result<f32, Error> {
        let own = Own::<M, _, _>::new(examples.targets(), loss);
        let batch = examples.batch(own.as_targets(), M::SPEC)?;
        let result = self.step_checked(optimizer, batch, Path::Batch);
        result.map_err(|error| own.first_error(self, batch, Path::Batch).unwrap_or(error))
    }

    /// Mean over a data set of any length of a loss of the caller's own, as [`step_with`](Trainer::step_with) takes it; the weighted
    /// mean, where the data set has [weights](Dataset::with_weights).
    ///
    /// # Errors
    ///
    /// [`Error::NonFiniteLoss`] for the first example whose loss or gradient is NaN or infinite; [`Error::TokenOutOfRange`] if the
    /// data set is one of a larger vocabulary, [`Error::ZeroWeight`] if all weights are 0.
    pub fn evaluate_with<T: Clone + Sync>(
        &mut self,
        dataset: &Dataset<ExampleOf<M>, T>,
        loss: impl Fn(&OutputsOf<M>, &T) -> (f32, OutputsOf<M>) + Sync,
    ) -> Result<f32, Error> {
        let own = Own::<M, _, _>::new(dataset.targets(), loss);
        let batch = dataset.examples().batch(own.as_targets(), M::SPEC)?;
        let mean = self.evaluate_checked(batch);
        own.first_error(self, batch, Path::Batch)
            .map_or(Ok(mean), Err)
    }

    fn step_with_on<T: Sync>(
        &mut self,
        path: Path,
        inputs: &[ExampleOf<M>],
        targets: &[T],
        loss: impl Fn(&OutputsOf<M>, &T) -> (f32, OutputsOf<M>) + Sync,
    ) -> Result<f32, Error> {
        let own = Own::<M, _, _>::new(targets, loss);
        let batch = own.checked_batch(inputs)?;
        let result = self.step_checked(self.optimizer(), batch, path);
        result.map_err(|error| own.first_error(self, batch, path).unwrap_or(error))
    }
}

/// The caller's loss with the targets of a batch, and the first example for which it, or its gradient, is not finite.
pub(super) struct Own<'a, M: Model, T, F> {
    targets: &'a [T],
    loss: F,
    /// The number of targets while there is none.
    first_failure: AtomicUsize,
    model: PhantomData<fn() -> M>,
}

impl<'a, M, T, F> Own<'a, M, T, F>
where
    M: Model,
    T: Sync,
    F: Fn(&OutputsOf<M>, &T) -> (f32, OutputsOf<M>) + Sync,
{
    pub(super) fn new(targets: &'a [T], loss: F) -> Self {
        Self {
            targets,
            loss,
            first_failure: AtomicUsize::new(targets.len()),
            model: PhantomData,
        }
    }

    /// The batch of these inputs, if there are as many as targets, and the model can take them.
    pub(super) fn checked_batch<'b>(
        &'b self,
        inputs: &'b [ExampleOf<M>],
    ) -> Result<Batch<'b>, Error> {
        even_batch::<M>(inputs, self.as_targets(), self.targets.len())
    }

    /// The targets of the whole batch, in the kernels' form.
    fn as_targets(&self) -> Targets<'_> {
        Targets::Own {
            loss: self,
            first: 0,
        }
    }

    /// What was wrong with the loss of the first example that failed, if one did on this path; the trainer's model must not have
    /// changed since.
    ///
    /// The loss is asked once more: what several threads have found is then one number, and not a record to be kept under a lock.
    pub(super) fn first_error(
        &self,
        trainer: &mut Trainer<M>,
        batch: Batch<'_>,
        path: Path,
    ) -> Option<Error> {
        let example = self.first_failure.load(Ordering::Relaxed);
        let target = self.targets.get(example)?;
        let outputs = trainer.engine.outputs_of::<M>(batch, path, example);
        let (loss, gradient) = (self.loss)(&outputs, target);
        let output = if loss.is_finite() {
            first_non_finite(gradient.as_ref())
        } else {
            None
        };
        Some(Error::NonFiniteLoss {
            example,
            output,
            value: output.map_or(loss, |output| gradient.as_ref()[output]),
        })
    }
}

impl<M, T, F> OwnLoss for Own<'_, M, T, F>
where
    M: Model,
    T: Sync,
    F: Fn(&OutputsOf<M>, &T) -> (f32, OutputsOf<M>) + Sync,
{
    fn differentiate(
        &self,
        first: usize,
        scale: f32,
        outputs: &mut [f32],
        stride: usize,
        losses: &mut [f32],
    ) {
        let targets = &self.targets[first..][..losses.len()];
        for (index, (target, stored)) in targets.iter().zip(losses).enumerate() {
            let mut of_example = M::Head::blank();
            let places = (index..).step_by(stride);
            for (value, place) in of_example.as_mut().iter_mut().zip(places.clone()) {
                *value = outputs[place];
            }
            let (loss, gradient) = (self.loss)(&of_example, target);
            *stored = loss;
            let gradient = gradient.as_ref();
            if !loss.is_finite() || first_non_finite(gradient).is_some() {
                self.first_failure
                    .fetch_min(first + index, Ordering::Relaxed);
                *stored = f32::NAN;
            }
            for (&slope, place) in gradient.iter().zip(places) {
                outputs[place] = slope * scale;
            }
        }
    }
}
