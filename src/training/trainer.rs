//! The trainer: steps of gradient descent on a model.

use core::marker::PhantomData;
use core::slice::from_ref;

use super::TrainingState;
use super::optimizer::{Optimizer, check_clipping};
use crate::data::{Dataset, Examples, Minibatch};
use crate::engine::{Engine, Path};
use crate::error::Error;
use crate::model::{
    Batch, ExampleOf, Model, OutputsOf, PredictionOf, Target, TargetOf, checked_batch,
};
use crate::simd::Backend;

/// Trains a model, one fused step at a time.
///
/// It owns the parameters in padded form, working storage for one block of 64 examples, a backend and an optimizer. After it
/// is made, stepping, evaluating and predicting allocate nothing; but for the first step on a batch of more than 64 examples,
/// or on one twice as long as any before, which makes storage for the sums of its blocks: as many numbers as the model has,
/// once for each doubling.
///
/// ```
/// use fused_mlp::{NameModel, SeedableRng, Sgd, Trainer, Xoshiro256PlusPlus};
///
/// let model = NameModel::standard_normal(&mut Xoshiro256PlusPlus::seed_from_u64(1));
/// let mut trainer = Trainer::new(model, Sgd::new(0.1))?;
/// let first = trainer.step(&[[0, 0, 5]], &[13])?;
/// let second = trainer.step(&[[0, 0, 5]], &[13])?;
/// assert!(second < first);
/// # Ok::<(), fused_mlp::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Trainer<M: Model> {
    pub(super) engine: Engine,
    optimizer: Optimizer,
    pub(super) clipping: Option<f32>,
    pub(super) steps: u64,
    model: PhantomData<fn() -> M>,
}

impl<M: Model> Trainer<M> {
    /// A trainer on the fastest [`Backend`] of this processor.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a rate that is negative or not finite, or another setting of the optimizer outside its range;
    /// [`Error::NonFiniteParameter`] for such a model.
    pub fn new(model: M, optimizer: impl Into<Optimizer>) -> Result<Self, Error> {
        Self::resume(TrainingState::start(model, optimizer.into()))
    }

    /// A trainer that goes on from a state: its steps have the same bits as those that the trainer of
    /// [`state`](Trainer::state) goes on to take. Like a new one it runs on the fastest [`Backend`] of this processor.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a setting of the optimizer, a clipping norm or a number of steps outside its range;
    /// [`Error::NonFiniteParameter`] for such a model; [`Error::MomentCount`] for more or fewer moments than the optimizer
    /// keeps; [`Error::MomentOutOfRange`] for one that is not finite, or negative where it is a mean of squares.
    pub fn resume(state: TrainingState<M>) -> Result<Self, Error> {
        state.check()?;
        let mut engine = Engine::new(&state.model, Backend::detect())?;
        engine.set_moments(&state.moments);
        Ok(Self {
            engine,
            optimizer: state.optimizer,
            clipping: state.clipping,
            steps: state.steps,
            model: PhantomData,
        })
    }

    /// Everything that the steps to come depend on, except their batches.
    #[must_use]
    pub fn state(&self) -> TrainingState<M> {
        TrainingState {
            model: self.engine.model(),
            moments: self.engine.moments(),
            optimizer: self.optimizer,
            clipping: self.clipping,
            steps: self.steps,
            stopping: None,
        }
    }

    /// The same trainer on another backend. With [fused](Backend::is_fused) ones it changes no bit.
    #[must_use]
    pub fn with_backend(mut self, backend: Backend) -> Self {
        self.engine.set_backend(backend);
        self
    }

    /// The same trainer on so many threads, the calling one among them.
    ///
    /// They share the blocks of 64 examples of a step, an evaluation or a prediction of a batch, where there is enough for each of
    /// them to do; less is done by the calling thread alone. **The number of threads changes no bit.** The others sleep in a pool of
    /// [rayon](https://docs.rs/rayon) of the trainer's own, which clones of it share; each has working storage of its own. Waking them
    /// allocates a few bytes in the pool's queue. A loss of the caller's own is called on all of them, and if it panics, the
    /// panic reaches the caller, and the model is as it was.
    ///
    /// For many small models a thread for each model is the better use of them.
    ///
    /// ```
    /// use fused_mlp::{AdamW, Dense, Mlp, Regression, SeedableRng, Tanh, Trainer, Xoshiro256PlusPlus};
    ///
    /// let model = Mlp::<Dense<4>, Tanh<512>, Regression<1>>::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(1));
    /// let mut one = Trainer::new(model.clone(), AdamW::new(0.001))?;
    /// let mut two = Trainer::new(model, AdamW::new(0.001))?.with_threads(2)?;
    /// let (inputs, targets) = ([[0.1, -0.2, 0.3, 0.0]; 2000], [[0.5]; 2000]);
    /// for _ in 0..3 {
    ///     assert_eq!(one.step(&inputs, &targets)?, two.step(&inputs, &targets)?);
    /// }
    /// assert_eq!(one.model(), two.model());
    /// # Ok::<(), fused_mlp::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for no thread, for more than 1,024, and for more than the system can start.
    #[cfg(feature = "rayon")]
    pub fn with_threads(mut self, threads: usize) -> Result<Self, Error> {
        match self.engine.set_threads(threads) {
            Some(()) => Ok(self),
            None => Err(threads_setting(threads)),
        }
    }

    /// Threads that it runs on, the calling one among them.
    #[cfg(feature = "rayon")]
    #[must_use]
    pub fn threads(&self) -> usize {
        self.engine.threads()
    }

    /// The same trainer with gradients clipped: those whose Euclidean norm, over all parameters, is above `norm` are scaled
    /// down to it, as PyTorch's `clip_grad_norm_` does:
    ///
    /// ```text
    /// g ← g · min(1, norm / (‖g‖ + 1e-6))
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a norm that is negative or not finite.
    pub fn with_clipping(mut self, norm: f32) -> Result<Self, Error> {
        check_clipping(norm)?;
        self.clipping = Some(norm);
        Ok(self)
    }

    /// Sets the learning rate of the steps to come.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a rate that is negative or not finite.
    pub fn set_learning_rate(&mut self, rate: f32) -> Result<(), Error> {
        let optimizer = self.optimizer.with_learning_rate(rate);
        optimizer.check()?;
        self.optimizer = optimizer;
        Ok(())
    }

    /// One step on a batch of any length from 1 up: forward, backward, update.
    ///
    /// Returns the mean loss of the batch before the update, in nats for [`Softmax`](crate::Softmax) and
    /// [`Binary`](crate::Binary). New parameters take the place of the old only when all of them, and the loss, are known to be
    /// finite, so a failed step leaves the model as it was. (To name the tensor at fault, a failed step allocates; one that
    /// succeeds does not.)
    ///
    /// # Errors
    ///
    /// [`Error::EmptyBatch`], [`Error::LengthMismatch`], [`Error::TokenOutOfRange`], [`Error::ClassOutOfRange`] or
    /// [`Error::NonFiniteData`] for a bad batch; [`Error::NonFiniteStep`] if the step would make the model non-finite.
    pub fn step(&mut self, inputs: &[ExampleOf<M>], targets: &[TargetOf<M>]) -> Result<f32, Error> {
        self.step_checked(
            self.optimizer,
            checked_batch::<M>(inputs, targets)?,
            Path::Batch,
        )
    }

    /// One step on a batch drawn from a [`Dataset`]; on its weighted mean, where the data set has
    /// [weights](Dataset::with_weights).
    ///
    /// # Errors
    ///
    /// As [`step`](Trainer::step); [`Error::EmptyBatch`] if nothing was drawn yet, [`Error::ZeroWeight`] if all weights are 0.
    pub fn step_batch(
        &mut self,
        minibatch: &Minibatch<ExampleOf<M>, TargetOf<M>>,
    ) -> Result<f32, Error> {
        self.step_examples(self.optimizer, minibatch.examples())
    }

    /// A step by an optimizer of the same kind, perhaps with another learning rate.
    pub(super) fn step_examples(
        &mut self,
        optimizer: Optimizer,
        examples: &Examples<ExampleOf<M>, TargetOf<M>>,
    ) -> Result<f32, Error> {
        self.step_checked(optimizer, head_batch::<M>(examples)?, Path::Batch)
    }

    /// One step on one example, on a path of its own: lanes run over neurons and outputs, and nothing is padded to a batch.
    ///
    /// The same mathematics as [`step`](Trainer::step) on a batch of one, in another order of sums, so the last bits differ
    /// from it; like it, it has the same bits on every fused backend.
    ///
    /// ```
    /// use fused_mlp::{AdamW, Dense, Mlp, Regression, SeedableRng, Tanh, Trainer, Xoshiro256PlusPlus};
    ///
    /// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    /// let model = Mlp::<Dense<2>, Tanh<16>, Regression<1>>::fan_in_scaled(&mut rng);
    /// let mut trainer = Trainer::new(model, AdamW::new(0.001))?.with_clipping(1.0)?;
    /// let (event, outcome) = ([0.3, -0.1], [0.2]);
    /// let first = trainer.step_one(&event, &outcome)?; // squared error before the step
    /// let second = trainer.step_one(&event, &outcome)?;
    /// assert!(second < first);
    /// # Ok::<(), fused_mlp::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`step`](Trainer::step).
    pub fn step_one(&mut self, input: &ExampleOf<M>, target: &TargetOf<M>) -> Result<f32, Error> {
        let batch = checked_batch::<M>(from_ref(input), from_ref(target))?;
        self.step_checked(self.optimizer, batch, Path::Example)
    }

    pub(super) fn step_checked(
        &mut self,
        optimizer: Optimizer,
        batch: Batch<'_>,
        path: Path,
    ) -> Result<f32, Error> {
        let loss = self
            .engine
            .step::<M>(batch, path, optimizer, self.clipping, self.steps)?;
        self.steps += 1;
        Ok(loss)
    }

    /// Mean loss over a data set of any length, in the units of [`step`](Trainer::step); the weighted mean, where it has
    /// [weights](Dataset::with_weights). It may be infinite or NaN where outputs overflow.
    ///
    /// # Errors
    ///
    /// [`Error::TokenOutOfRange`] or [`Error::ClassOutOfRange`] if the data set is one of a larger vocabulary,
    /// [`Error::NonFiniteData`] for a target that is not finite, [`Error::ZeroWeight`] if all weights are 0.
    pub fn evaluate(&mut self, dataset: &Dataset<ExampleOf<M>, TargetOf<M>>) -> Result<f32, Error> {
        let batch = head_batch::<M>(dataset.examples())?;
        Ok(self.evaluate_checked(batch))
    }

    pub(super) fn evaluate_checked(&mut self, batch: Batch<'_>) -> f32 {
        self.engine.loss::<M>(batch)
    }

    /// Class probabilities, the probability of yes, or numbers, for one input. A [`Predictor`](crate::Predictor) does the same
    /// without the training storage.
    ///
    /// # Errors
    ///
    /// [`Error::TokenOutOfRange`] or [`Error::NonFiniteData`] for a bad input, [`Error::NonFinitePrediction`] for outputs
    /// that overflow.
    pub fn predict(&self, input: &ExampleOf<M>) -> Result<PredictionOf<M>, Error> {
        self.engine.example_outputs::<M>(input, true)
    }

    /// Outputs of the last layer for one input: logits, or numbers.
    ///
    /// # Errors
    ///
    /// As [`predict`](Trainer::predict).
    pub fn logits(&self, input: &ExampleOf<M>) -> Result<PredictionOf<M>, Error> {
        self.engine.example_outputs::<M>(input, false)
    }

    /// [`predict`](Trainer::predict) for a whole batch, on the path for batches: the same mathematics in another order of sums, and
    /// several times as fast for each input. `predictions` is overwritten.
    ///
    /// # Errors
    ///
    /// As [`predict`](Trainer::predict); [`Error::LengthMismatch`] for more or fewer predictions than inputs.
    pub fn predict_batch(
        &mut self,
        inputs: &[ExampleOf<M>],
        predictions: &mut [PredictionOf<M>],
    ) -> Result<(), Error> {
        self.engine.batch_outputs::<M>(inputs, true, predictions)
    }

    /// [`logits`](Trainer::logits) for a whole batch, as [`predict_batch`](Trainer::predict_batch).
    ///
    /// # Errors
    ///
    /// As [`predict_batch`](Trainer::predict_batch).
    pub fn logits_batch(
        &mut self,
        inputs: &[ExampleOf<M>],
        outputs: &mut [OutputsOf<M>],
    ) -> Result<(), Error> {
        self.engine.batch_outputs::<M>(inputs, false, outputs)
    }

    /// The optimizer, with the learning rate that was set last.
    #[must_use]
    pub fn optimizer(&self) -> Optimizer {
        self.optimizer
    }

    /// The model as it is now.
    #[must_use]
    pub fn model(&self) -> M {
        self.engine.model()
    }

    /// Steps taken. Includes steps before a [resume](Trainer::resume). Failed steps do not count.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The backend it runs on.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.engine.backend()
    }
}

#[cfg(feature = "rayon")]
#[expect(clippy::cast_precision_loss, reason = "it is for the eye")]
fn threads_setting(threads: usize) -> Error {
    Error::Setting {
        name: "threads",
        expected: "1 to 1,024, and no more than the system can start",
        found: threads as f64,
    }
}

/// Examples with targets of the head as one batch, if the model can take all of them.
pub(crate) fn head_batch<M: Model>(
    examples: &Examples<ExampleOf<M>, TargetOf<M>>,
) -> Result<Batch<'_>, Error> {
    examples.batch(TargetOf::<M>::flatten(examples.targets()), M::SPEC)
}
