//! Early stopping on a validation set.

use core::ops::ControlFlow;

use super::Trainer;
use super::optimizer::not_negative;
use crate::data::Dataset;
use crate::error::Error;
use crate::model::{ExampleOf, Model, TargetOf, checked_batch};

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

/// Evaluates a model on a data set as it is trained, keeps the best one, and ends the run at a plateau, in the callback of
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
/// let mut stopping = EarlyStopping::new(&dev, plateau)?;
/// let fit = Fit { steps: 5_000, batch: 32, schedule: constant };
/// trainer.fit(&train, fit, &mut rng, |progress| stopping.check(progress.trainer))?;
///
/// let best = stopping.into_best().expect("the run has evaluations, and finite losses");
/// assert_eq!(best.loss, Trainer::new(best.model, Sgd::new(0.0))?.evaluate(&dev)?);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct EarlyStopping<'a, M: Model> {
    dataset: &'a Dataset<ExampleOf<M>, TargetOf<M>>,
    plateau: Plateau,
    best: Option<Best<M>>,
    /// Evaluations since the best one.
    stale: u64,
}

/// The best model of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Best<M: Model> {
    /// The model.
    pub model: M,
    /// Its mean loss over the data set it was evaluated on.
    pub loss: f32,
    /// [Steps](Trainer::steps) that had been taken.
    pub step: u64,
}

impl<'a, M: Model> EarlyStopping<'a, M> {
    /// For a run that is to end when the loss over this data set stops falling.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for an interval or a patience of 0, or an improvement that is negative or not finite;
    /// [`Error::TokenOutOfRange`] or [`Error::ClassOutOfRange`] if the data set is one of a larger vocabulary.
    pub fn new(
        dataset: &'a Dataset<ExampleOf<M>, TargetOf<M>>,
        plateau: Plateau,
    ) -> Result<Self, Error> {
        for (name, value) in [("every", plateau.every), ("patience", plateau.patience)] {
            if value == 0 {
                return Err(Error::Setting {
                    name,
                    expected: "at least 1",
                    found: 0.0,
                });
            }
        }
        not_negative("improvement", plateau.improvement)?;
        checked_batch::<M>(dataset.inputs(), dataset.targets())?;
        Ok(Self {
            dataset,
            plateau,
            best: None,
            stale: 0,
        })
    }

    /// To be called after every step: evaluates the model if the number of [steps](Trainer::steps) is a multiple of the
    /// interval, and breaks if it has not improved for as many evaluations as the patience allows.
    ///
    /// A loss that is not finite is no improvement. An evaluation changes nothing in the trainer.
    pub fn check(&mut self, trainer: &mut Trainer<M>) -> ControlFlow<()> {
        if !trainer.steps().is_multiple_of(self.plateau.every) {
            return ControlFlow::Continue(());
        }
        let Ok(loss) = trainer.evaluate(self.dataset) else {
            unreachable!("the data set was checked when this was made");
        };
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
        if self.stale < self.plateau.patience {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
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
