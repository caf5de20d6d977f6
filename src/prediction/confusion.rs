//! How often which class was predicted for which.

use alloc::vec;
use alloc::vec::Vec;

use crate::data::Dataset;
use crate::error::Error;
use crate::model::{Classifier, ExampleOf, Head, Model, TargetOf};
use crate::training::{Trainer, head_batch};

/// Counts of predictions by target class and predicted class.
///
/// ```
/// use fused_mlp::Confusion;
///
/// let mut confusion = Confusion::new(3);
/// for (target, predicted) in [(0, 0), (0, 0), (0, 2), (1, 1)] {
///     confusion.add(target, predicted);
/// }
/// assert_eq!(confusion.count(0, 2), 1);
/// assert_eq!(confusion.accuracy(), Some(0.75));
/// assert_eq!(confusion.recall(0), Some(2.0 / 3.0));
/// assert_eq!(confusion.precision(2), Some(0.0));
/// assert_eq!(confusion.recall(2), None); // no target is of class 2
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// `[target][predicted]`
    counts: Vec<u64>,
}

impl Confusion {
    /// Without predictions yet.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![0; classes * classes],
        }
    }

    /// Counts one prediction.
    ///
    /// # Panics
    ///
    /// If there is no such class.
    pub fn add(&mut self, target: usize, predicted: usize) {
        let index = self.index(target, predicted);
        self.counts[index] += 1;
    }

    /// How often a class was predicted for a target.
    ///
    /// # Panics
    ///
    /// If there is no such class.
    #[must_use]
    pub fn count(&self, target: usize, predicted: usize) -> u64 {
        self.counts[self.index(target, predicted)]
    }

    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Predictions counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The share of predictions that were right; `None` without predictions.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        let right = (0..self.classes)
            .map(|class| self.count(class, class))
            .sum();
        share(right, self.total())
    }

    /// Of the targets of a class, the share for which it was predicted; `None` without such targets.
    ///
    /// # Panics
    ///
    /// If there is no such class.
    #[must_use]
    pub fn recall(&self, class: usize) -> Option<f64> {
        let targets = (0..self.classes).map(|predicted| self.count(class, predicted));
        share(self.count(class, class), targets.sum())
    }

    /// Of the predictions of a class, the share that was right; `None` if it was never predicted.
    ///
    /// # Panics
    ///
    /// If there is no such class.
    #[must_use]
    pub fn precision(&self, class: usize) -> Option<f64> {
        let predictions = (0..self.classes).map(|target| self.count(target, class));
        share(self.count(class, class), predictions.sum())
    }

    fn index(&self, target: usize, predicted: usize) -> usize {
        let classes = self.classes;
        for class in [target, predicted] {
            assert!(class < classes, "there is no class {class} of {classes}");
        }
        target * classes + predicted
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2⁵³")]
fn share(count: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| count as f64 / of as f64)
}

/// Examples that are predicted together.
const BATCH: usize = 256;

impl<M: Model<Head: Classifier>> Trainer<M> {
    /// The likeliest class of each example of a data set, by its target: for [`Binary`](crate::Binary) class 1, that is yes, if its
    /// probability is above one half.
    ///
    /// # Errors
    ///
    /// [`Error::TokenOutOfRange`] or [`Error::ClassOutOfRange`] if the data set is one of a larger vocabulary,
    /// [`Error::NonFinitePrediction`] for outputs that overflow.
    pub fn confusion(
        &mut self,
        dataset: &Dataset<ExampleOf<M>, TargetOf<M>>,
    ) -> Result<Confusion, Error> {
        head_batch::<M>(dataset.examples())?;
        let mut confusion = Confusion::new(M::Head::CLASSES);
        let mut logits = vec![M::Head::blank(); BATCH.min(dataset.len())];
        let targets = dataset.targets().chunks(BATCH);
        for (batch, (inputs, targets)) in dataset.inputs().chunks(BATCH).zip(targets).enumerate() {
            let logits = &mut logits[..inputs.len()];
            self.logits_batch(inputs, logits)
                .map_err(|error| match error {
                    Error::NonFinitePrediction {
                        example,
                        output,
                        value,
                    } => Error::NonFinitePrediction {
                        example: batch * BATCH + example,
                        output,
                        value,
                    },
                    other => other,
                })?;
            for (logits, target) in logits.iter().zip(targets) {
                confusion.add(M::Head::class_of(target), M::Head::likeliest(logits));
            }
        }
        Ok(confusion)
    }
}
