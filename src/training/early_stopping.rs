//! Early stopping on a validation set.

use core::ops::ControlFlow;

use super::Trainer;
use super::optimizer::not_negative;
use crate::data::Dataset;
use crate::error::Error;
use crate::model::{ExampleOf, Model, OutputsOf, TargetOf};

/// When a loss has stopped falling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plateau {
    /// Steps from one evaluation to the next, at least 1.
    pub every: u64,
    /// Evaluations in a row without an improvement that end the run, at least 1.
    pub patience: u64,
    /// A loss is an improvement if it is below the best by more than this; finite, and not negative.
    pub improvement: f32,
}

/// Evaluates a model on a validation set as it is trained, keeps the best one, and ends the run at a plateau, in the callback of
/// [`Trainer::fit`] or in a loop of one's own:
///
/// ```
/// use fused_mlp::{schedule::constant, *};
///
/// let names = Corpus::sample().split(42)?;
/// let [train, dev] = [&names.train, &names.dev].map(|part| part.windows::<3>(&Vocabulary::lowercase()));
/// let (train, dev) = (train?, dev?);
/// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
/// let mut trainer = Trainer::new(NameModel::fan_in_scaled(&mut rng), AdamW::new(0.02))?;
///
/// let plateau = Plateau { every: 100, patience: 3, improvement: 0.001 };
/// let mut stopping = EarlyStopping::new(plateau)?;
/// let fit = Fit { length: Length::Steps(5_000), batch: 32, schedule: constant };
/// trainer.fit(&train, fit, &mut rng, |progress| stopping.check(progress.trainer, &dev))?;
///
/// let best = stopping.into_best().expect("the run has evaluations, and finite losses");
/// assert_eq!(best.loss, Trainer::new(best.model, Sgd::new(0.0))?.evaluate(&dev)?);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct EarlyStopping<M: Model> {
    pub(crate) plateau: Plateau,
    pub(crate) best: Option<Best<M>>,
    /// Evaluations since the best one.
    pub(crate) stale: u64,
}

/// The best model of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Best<M: Model> {
    /// The model.
    pub model: M,
    /// Its mean loss over the validation set.
    pub loss: f32,
    /// [Steps](Trainer::steps) that had been taken.
    pub step: u64,
}

impl<M: Model> EarlyStopping<M> {
    /// For a run that is to end when the loss over a validation set stops falling.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for an interval or a patience of 0, or an improvement that is negative or not finite.
    pub fn new(plateau: Plateau) -> Result<Self, Error> {
        let new = Self {
            plateau,
            best: None,
            stale: 0,
        };
        new.check_settings()?;
        Ok(new)
    }

    /// Refuses a plateau that is none, and a best loss that is not finite.
    pub(super) fn check_settings(&self) -> Result<(), Error> {
        let Plateau {
            every,
            patience,
            improvement,
        } = self.plateau;
        for (name, value) in [("every", every), ("patience", patience)] {
            if value == 0 {
                return Err(Error::Setting {
                    name,
                    expected: "at least 1",
                    found: 0.0,
                });
            }
        }
        not_negative("improvement", improvement)?;
        match &self.best {
            Some(best) if !best.loss.is_finite() => Err(Error::Setting {
                name: "best loss",
                expected: "finite",
                found: best.loss.into(),
            }),
            _ => Ok(()),
        }
    }

    /// To be called after every step: evaluates the model on the validation set if the number of [steps](Trainer::steps) is a
    /// multiple of the interval, and breaks if it has not improved for as many evaluations as the patience allows.
    ///
    /// A loss that is not finite is no improvement. An evaluation changes nothing in the trainer.
    ///
    /// # Errors
    ///
    /// As [`evaluate`](Trainer::evaluate).
    pub fn check(
        &mut self,
        trainer: &mut Trainer<M>,
        validation: &Dataset<ExampleOf<M>, TargetOf<M>>,
    ) -> Result<ControlFlow<()>, Error> {
        self.check_by(trainer, |trainer| trainer.evaluate(validation))
    }

    /// As [`check`](Self::check), with a loss of the caller's own as [`step_with`](Trainer::step_with) takes it.
    ///
    /// # Errors
    ///
    /// As [`evaluate_with`](Trainer::evaluate_with).
    pub fn check_with<T: Clone + Sync>(
        &mut self,
        trainer: &mut Trainer<M>,
        validation: &Dataset<ExampleOf<M>, T>,
        loss: impl Fn(&OutputsOf<M>, &T) -> (f32, OutputsOf<M>) + Sync,
    ) -> Result<ControlFlow<()>, Error> {
        self.check_by(trainer, |trainer| trainer.evaluate_with(validation, loss))
    }

    fn check_by(
        &mut self,
        trainer: &mut Trainer<M>,
        evaluate: impl FnOnce(&mut Trainer<M>) -> Result<f32, Error>,
    ) -> Result<ControlFlow<()>, Error> {
        if !trainer.steps().is_multiple_of(self.plateau.every) {
            return Ok(ControlFlow::Continue(()));
        }
        let loss = evaluate(trainer)?;
        let best = self.best.as_ref().map_or(f32::INFINITY, |best| best.loss);
        if loss < best - self.plateau.improvement {
            self.stale = 0;
            self.best = Some(Best {
                model: trainer.model(),
                loss,
                step: trainer.steps(),
            });
        } else {
            self.stale += 1;
        }
        Ok(if self.stale < self.plateau.patience {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    }

    /// The best evaluation so far; `None` before the first with a finite loss.
    #[must_use]
    pub fn best(&self) -> Option<&Best<M>> {
        self.best.as_ref()
    }

    /// The best evaluation of the run; `None` if none had a finite loss.
    #[must_use]
    pub fn into_best(self) -> Option<Best<M>> {
        self.best
    }
}
