//! Whole training runs in one call.

use core::borrow::Borrow;
use core::ops::ControlFlow;

use rand_xoshiro::rand_core::Rng;

use super::batches::{Batches, Drawn, Shuffled, Streamed};
use super::optimizer::Optimizer;
use super::trainer::{Trainer, head_batch};
use crate::data::{Dataset, Examples, Minibatch};
use crate::error::Error;
use crate::model::{ExampleOf, Model, OutputsOf, TargetOf};

/// A run of [`Trainer::fit`]: how long it is, on batches of how many examples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit<S: Fn(u64) -> f64> {
    /// How long the run is, and how its batches are drawn.
    pub length: Length,
    /// Examples in each step's batch, at least one.
    pub batch: usize,
    /// What the optimizer's learning rate is multiplied by, for each number of [steps taken](Trainer::steps) before:
    /// [`constant`](crate::schedule::constant), or a product of other functions of [`schedule`](crate::schedule).
    pub schedule: S,
}

/// The length of a run, and how its batches are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// So many steps, each on examples drawn uniformly and with replacement.
    Steps(u64),
    /// So many passes over the data set, each in a new random order, without replacement.
    ///
    /// The order of an epoch depends on nothing but the generator at its start: a run that is resumed at the end of an epoch, with the
    /// generator as it was, has the bits of the unbroken run.
    Epochs {
        /// Passes over the data set.
        epochs: u64,
        /// Whether the last batch of a pass, if it would be a short one, is left out. Which examples that concerns changes from pass to
        /// pass.
        drop_last: bool,
    },
}

/// What [`Trainer::fit`] tells after every step.
#[derive(Debug)]
pub struct Progress<'a, M: Model> {
    /// Steps that this call has taken, this one included.
    pub step: u64,
    /// Epochs that it has completed; 0 unless its length is one of epochs.
    pub epochs: u64,
    /// Whether this step completed one of them.
    pub ends_epoch: bool,
    /// Mean loss of the step's batch, before its update.
    pub loss: f32,
    /// The rate of the step: the optimizer's times the schedule's.
    pub learning_rate: f32,
    /// The trainer after the step, for a look at the model, at its loss over a data set, or at the [state](Trainer::state).
    pub trainer: &'a mut Trainer<M>,
}

/// What a call of [`Trainer::fit`] came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fitted {
    /// Steps that it took.
    pub steps: u64,
    /// Mean loss of the last step's batch, before its update; `None` without a step.
    pub loss: Option<f32>,
    /// Whether the callback ended it.
    pub is_stopped: bool,
}

impl<M: Model> Trainer<M> {
    /// Draws a batch and takes a step on it, again and again, and calls `after_step` after each, which may end the run.
    ///
    /// By [steps](Length::Steps) and on a [`constant`](crate::schedule::constant) schedule it is the loop of [`Dataset::draw`] and
    /// [`step_batch`](Trainer::step_batch), with the same bits.
    /// The optimizer keeps its own rate, which the schedule multiplies; and the schedule goes by
    /// [`steps`](Trainer::steps), so a second call, and a [resumed](Trainer::resume) run, go on where the first ended.
    /// Steps allocate nothing.
    ///
    /// ```
    /// use core::ops::ControlFlow::{Break, Continue};
    /// use fused_mlp::{schedule::cosine, *};
    ///
    /// let names = Corpus::sample().split(42)?;
    /// let train = names.train.windows::<3>(&Vocabulary::lowercase())?;
    /// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    /// let mut trainer = Trainer::new(NameModel::fan_in_scaled(&mut rng), AdamW::new(0.01))?;
    ///
    /// let length = Length::Epochs { epochs: 5, drop_last: false };
    /// let steps = 5 * train.len().div_ceil(32) as u64;
    /// let fit = Fit { length, batch: 32, schedule: |step| cosine(step, steps, 0.1) };
    /// let fitted = trainer.fit(&train, fit, &mut rng, |progress| {
    ///     if progress.ends_epoch {
    ///         println!("{}: {} nats at rate {}", progress.epochs, progress.loss, progress.learning_rate);
    ///     }
    ///     Ok(if progress.loss < 1.0 { Break(()) } else { Continue(()) })
    /// })?;
    /// assert!(fitted.is_stopped || fitted.steps == steps);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for batches of no examples, or of more than there are where `drop_last` would leave none, and for a rate
    /// that the schedule makes negative or not finite; as [`evaluate`](Trainer::evaluate) for examples that the model cannot take; as
    /// [`step_batch`](Trainer::step_batch), and what the callback returns. Steps before the error stand, the one at fault has
    /// changed nothing, and the trainer can go on.
    ///
    /// # Panics
    ///
    /// If the data set has 2³² examples or more.
    pub fn fit<S: Fn(u64) -> f64>(
        &mut self,
        dataset: &Dataset<ExampleOf<M>, TargetOf<M>>,
        fit: Fit<S>,
        rng: &mut impl Rng,
        after_step: impl FnMut(Progress<'_, M>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<Fitted, Error> {
        // Before the first step, and with the place in the data set and not in a batch.
        head_batch::<M>(dataset.examples())?;
        self.fit_by(dataset, fit, rng, Self::step_examples, after_step)
    }

    /// As [`fit`](Trainer::fit), with a loss of the caller's own as [`step_with`](Trainer::step_with) takes it, and targets of any type.
    ///
    /// ```
    /// use core::ops::ControlFlow::Continue;
    /// use fused_mlp::{losses::quantile, schedule::constant, *};
    ///
    /// // The delay that nine of ten trains stay below, by the hour of the day.
    /// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    /// let hours: Vec<[f32; 1]> = (0..240).map(|train| [(train % 24) as f32 / 24.0]).collect();
    /// let delays: Vec<f32> = hours.iter().map(|[hour]| hour * random::below(&mut rng, 10) as f32).collect();
    /// let data = Dataset::new(hours, delays)?;
    ///
    /// let model = Mlp::<Dense<1>, Tanh<16>, Regression<1>>::fan_in_scaled(&mut rng);
    /// let mut trainer = Trainer::new(model, AdamW::new(0.01))?;
    /// let ninth = |output: &[f32; 1], delay: &f32| quantile(output, &[*delay], 0.9);
    /// let before = trainer.evaluate_with(&data, ninth)?;
    /// let length = Length::Epochs { epochs: 20, drop_last: true };
    /// let fit = Fit { length, batch: 16, schedule: constant };
    /// trainer.fit_with(&data, fit, &mut rng, ninth, |_| Ok(Continue(())))?;
    /// assert!(trainer.evaluate_with(&data, ninth)? < before);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`fit`](Trainer::fit) and [`step_batch_with`](Trainer::step_batch_with).
    ///
    /// # Panics
    ///
    /// If the data set has 2³² examples or more.
    pub fn fit_with<T: Clone + Sync, S: Fn(u64) -> f64>(
        &mut self,
        dataset: &Dataset<ExampleOf<M>, T>,
        fit: Fit<S>,
        rng: &mut impl Rng,
        loss: impl Fn(&OutputsOf<M>, &T) -> (f32, OutputsOf<M>) + Sync,
        after_step: impl FnMut(Progress<'_, M>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<Fitted, Error> {
        let step = |trainer: &mut Self, optimizer, examples: &_| {
            trainer.step_examples_with(optimizer, examples, &loss)
        };
        self.fit_by(dataset, fit, rng, step, after_step)
    }

    /// As [`fit`](Trainer::fit), with one step on each of these data sets, to the end of the iterator: for data that is read, or made,
    /// as it is needed.
    ///
    /// ```
    /// use core::ops::ControlFlow::Continue;
    /// use fused_mlp::{schedule::constant, *};
    ///
    /// // Sums of two numbers, of which there is no end.
    /// let mut normal = random::StandardNormal::default();
    /// let mut source = Xoshiro256PlusPlus::seed_from_u64(1);
    /// let batches = core::iter::from_fn(|| {
    ///     let inputs: Vec<[f32; 2]> = (0..64).map(|_| [(); 2].map(|()| normal.sample(&mut source))).collect();
    ///     let sums = inputs.iter().map(|[a, b]| [a + b]).collect();
    ///     Dataset::new(inputs, sums).ok()
    /// });
    ///
    /// let model = Mlp::<Dense<2>, Tanh<16>, Regression<1>>::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(2));
    /// let mut trainer = Trainer::new(model, AdamW::new(0.01))?;
    /// let fitted = trainer.fit_batches(batches.take(500), constant, |_| Ok(Continue(())))?;
    /// assert_eq!(fitted.steps, 500);
    /// assert!(fitted.loss.is_some_and(|loss| loss < 0.1));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a rate that the schedule makes negative or not finite; as [`step_batch`](Trainer::step_batch), and what
    /// the callback returns.
    pub fn fit_batches(
        &mut self,
        batches: impl IntoIterator<Item: Borrow<Dataset<ExampleOf<M>, TargetOf<M>>>>,
        schedule: impl Fn(u64) -> f64,
        after_step: impl FnMut(Progress<'_, M>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<Fitted, Error> {
        let batches = Streamed::new(batches.into_iter());
        self.run(batches, schedule, Self::step_examples, after_step)
    }

    /// As [`fit_batches`](Trainer::fit_batches), with a loss of the caller's own as [`step_with`](Trainer::step_with) takes it, and
    /// targets of any type.
    ///
    /// # Errors
    ///
    /// As [`fit_batches`](Trainer::fit_batches) and [`step_batch_with`](Trainer::step_batch_with).
    pub fn fit_batches_with<T: Clone + Sync>(
        &mut self,
        batches: impl IntoIterator<Item: Borrow<Dataset<ExampleOf<M>, T>>>,
        schedule: impl Fn(u64) -> f64,
        loss: impl Fn(&OutputsOf<M>, &T) -> (f32, OutputsOf<M>) + Sync,
        after_step: impl FnMut(Progress<'_, M>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<Fitted, Error> {
        let batches = Streamed::new(batches.into_iter());
        let step = |trainer: &mut Self, optimizer, examples: &_| {
            trainer.step_examples_with(optimizer, examples, &loss)
        };
        self.run(batches, schedule, step, after_step)
    }

    fn fit_by<T: Clone, S: Fn(u64) -> f64>(
        &mut self,
        dataset: &Dataset<ExampleOf<M>, T>,
        fit: Fit<S>,
        rng: &mut impl Rng,
        step: impl Fn(&mut Self, Optimizer, &Examples<ExampleOf<M>, T>) -> Result<f32, Error>,
        after_step: impl FnMut(Progress<'_, M>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<Fitted, Error> {
        let batch = fit.batch;
        if batch == 0 {
            return Err(batch_setting("at least 1", batch));
        }
        match fit.length {
            Length::Steps(left) => {
                let Some(minibatch) = Minibatch::reserved(batch) else {
                    return Err(batch_setting(
                        "a number of examples that memory has room for",
                        batch,
                    ));
                };
                let batches = Drawn {
                    dataset,
                    rng,
                    minibatch,
                    left,
                };
                self.run(batches, fit.schedule, step, after_step)
            }
            Length::Epochs { epochs, drop_last } => {
                if drop_last && batch > dataset.len() {
                    let expected =
                        "at most the number of examples, where the last short batch is dropped";
                    return Err(batch_setting(expected, batch));
                }
                let batches = Shuffled::new(dataset, rng, batch, epochs, drop_last);
                self.run(batches, fit.schedule, step, after_step)
            }
        }
    }

    /// A step on each of these batches, at the rate of the schedule.
    fn run<T>(
        &mut self,
        mut batches: impl Batches<ExampleOf<M>, T>,
        schedule: impl Fn(u64) -> f64,
        step: impl Fn(&mut Self, Optimizer, &Examples<ExampleOf<M>, T>) -> Result<f32, Error>,
        mut after_step: impl FnMut(Progress<'_, M>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<Fitted, Error> {
        let mut fitted = Fitted {
            steps: 0,
            loss: None,
            is_stopped: false,
        };
        while !fitted.is_stopped
            && let Some(examples) = batches.next()
        {
            let optimizer = self.optimizer().scaled(schedule(self.steps()))?;
            let loss = step(self, optimizer, examples)?;
            fitted.steps += 1;
            fitted.loss = Some(loss);
            let progress = Progress {
                step: fitted.steps,
                epochs: batches.epochs(),
                ends_epoch: batches.ends_epoch(),
                loss,
                learning_rate: optimizer.learning_rate(),
                trainer: self,
            };
            fitted.is_stopped = after_step(progress)?.is_break();
        }
        Ok(fitted)
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is for the eye")]
fn batch_setting(expected: &'static str, found: usize) -> Error {
    Error::Setting {
        name: "batch",
        expected,
        found: found as f64,
    }
}
