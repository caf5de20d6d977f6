//! Whole training runs in one call.

use core::ops::ControlFlow;

use rand_xoshiro::rand_core::Rng;

use super::Trainer;
use crate::data::{Dataset, Minibatch};
use crate::error::Error;
use crate::model::{ExampleOf, Model, TargetOf};

/// What [`Trainer::fit`] does: so many steps on batches of so many examples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit<S: Fn(u64) -> f64> {
    /// Steps to take.
    pub steps: u64,
    /// Examples in each step's batch, at least one.
    pub batch: usize,
    /// What the optimizer's learning rate is multiplied by, for each number of [steps taken](Trainer::steps) before:
    /// [`constant`](crate::schedule::constant), or a product of other functions of [`schedule`](crate::schedule).
    pub schedule: S,
}

/// What [`Trainer::fit`] tells after every step.
#[derive(Debug)]
pub struct Progress<'a, M: Model> {
    /// Steps that this call has taken, this one included.
    pub step: u64,
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
    /// On a [`constant`](crate::schedule::constant) schedule it is the loop of [`Dataset::draw`] and
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
    /// let fit = Fit { steps: 2_000, batch: 32, schedule: |step| cosine(step, 2_000, 0.1) };
    /// let fitted = trainer.fit(&train, fit, &mut rng, |progress| {
    ///     if progress.step % 500 == 0 {
    ///         println!("{}: {} nats at rate {}", progress.step, progress.loss, progress.learning_rate);
    ///     }
    ///     if progress.loss < 1.0 { Break(()) } else { Continue(()) }
    /// })?;
    /// assert!(fitted.is_stopped || fitted.steps == 2_000);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for batches of no examples, and for a rate that the schedule makes negative or not finite;
    /// otherwise as [`step_batch`](Trainer::step_batch). Steps before the error stand, the one at fault has changed
    /// nothing, and the trainer can go on.
    pub fn fit<S: Fn(u64) -> f64>(
        &mut self,
        dataset: &Dataset<ExampleOf<M>, TargetOf<M>>,
        fit: Fit<S>,
        rng: &mut impl Rng,
        mut after_step: impl FnMut(Progress<'_, M>) -> ControlFlow<()>,
    ) -> Result<Fitted, Error> {
        if fit.batch == 0 {
            return Err(Error::Setting {
                name: "batch",
                expected: "at least 1",
                found: 0.0,
            });
        }
        let mut minibatch = Minibatch::new(fit.batch);
        let mut fitted = Fitted {
            steps: 0,
            loss: None,
            is_stopped: false,
        };
        while fitted.steps < fit.steps && !fitted.is_stopped {
            let optimizer = self.optimizer().scaled((fit.schedule)(self.steps()))?;
            dataset.draw(rng, &mut minibatch);
            let loss = self.step_batch_by(optimizer, &minibatch)?;
            fitted.steps += 1;
            fitted.loss = Some(loss);
            let progress = Progress {
                step: fitted.steps,
                loss,
                learning_rate: optimizer.learning_rate(),
                trainer: self,
            };
            fitted.is_stopped = after_step(progress).is_break();
        }
        Ok(fitted)
    }
}
