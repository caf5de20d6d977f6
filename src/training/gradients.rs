//! Gradients as values.

use alloc::vec::Vec;

use super::Trainer;
use super::own_loss::Own;
use crate::engine::Path;
use crate::error::Error;
use crate::model::{
    Batch, Dense, ExampleOf, Head, HiddenLayers, Mlp, Model, OutputsOf, TargetOf, Tensor,
    check_lengths, checked_batch,
};

/// The mean loss of a batch and its gradient, as a step makes them, to be looked at, changed, combined and
/// [applied](Trainer::apply).
///
/// ```
/// use fused_mlp::{Gradients, NameModel, SeedableRng, Sgd, Trainer, Xoshiro256PlusPlus};
///
/// let model = NameModel::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(1));
/// let mut trainer = Trainer::new(model, Sgd::new(0.1))?;
/// // A batch in two parts, as if in one.
/// let first = trainer.gradients(&[[0, 0, 5], [0, 5, 13]], &[13, 13])?;
/// let second = trainer.gradients(&[[5, 13, 13], [13, 13, 1]], &[1, 0])?;
/// let gradients = Gradients::combine([first, second]).expect("there are two parts");
/// assert_eq!(gradients.examples(), 4);
/// let loss = trainer.apply(&gradients)?;
/// assert!(loss > 0.0);
/// # Ok::<(), fused_mlp::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients<M: Model> {
    mean: M,
    loss: f32,
    examples: usize,
}

impl<M: Model> Gradients<M> {
    /// The mean loss of the batch.
    #[must_use]
    pub fn loss(&self) -> f32 {
        self.loss
    }

    /// Examples that the mean is over.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// The gradient with respect to each tensor, as [`Model::tensors`] gives the tensors themselves.
    pub fn tensors(&self) -> impl Iterator<Item = (Tensor, &[f32])> {
        self.mean.tensors()
    }

    /// As [`tensors`](Self::tensors), for writing.
    pub fn tensors_mut(&mut self) -> impl Iterator<Item = (Tensor, &mut [f32])> {
        self.mean.tensors_mut()
    }

    /// Those of a batch of which this is the sum of the losses, each times its weight, and the sum of the weights.
    pub(super) fn of_sum(mean: M, loss: f64, weight: f64, examples: usize) -> Self {
        Self {
            mean,
            loss: rounded(loss / weight),
            examples,
        }
    }

    /// Multiplies the gradient, but not the loss, by a factor.
    pub fn scale(&mut self, factor: f32) {
        for (_, values) in self.mean.tensors_mut() {
            values.iter_mut().for_each(|value| *value *= factor);
        }
    }

    /// The mean over the examples of all parts, which are added pairwise in their order, as a step adds blocks of 64 examples; `None`
    /// without parts.
    ///
    /// If all parts are of 64 examples, and their number is a power of two, it has the bits of the gradient of one batch of all.
    #[must_use]
    pub fn combine(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut parts: Vec<Self> = parts.into_iter().collect();
        let examples = parts.iter().map(|part| part.examples).sum();
        let mut loss = 0.0;
        for part in &mut parts {
            let share = share(part.examples, examples);
            loss += share * f64::from(part.loss);
            part.scale(rounded(share));
        }
        add_pairwise(&mut parts);
        let mean = parts.into_iter().next()?.mean;
        Some(Self {
            mean,
            loss: rounded(loss),
            examples,
        })
    }
}

/// Adds all to the first, in the order of the tree of [`pairwise`](crate::kernels::pairwise).
fn add_pairwise<M: Model>(parts: &mut [Gradients<M>]) {
    if parts.len() < 2 {
        return;
    }
    let (left, right) = parts.split_at_mut(parts.len().next_power_of_two() / 2);
    add_pairwise(left);
    add_pairwise(right);
    let sums = left[0].mean.tensors_mut().zip(right[0].mean.tensors());
    for ((_, sums), (_, terms)) in sums {
        for (sum, term) in sums.iter_mut().zip(terms) {
            *sum += term;
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of examples are far below 2⁵³"
)]
fn share(examples: usize, of: usize) -> f64 {
    examples as f64 / of as f64
}

#[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
fn rounded(value: f64) -> f32 {
    value as f32
}

impl<M: Model> Trainer<M> {
    /// The mean loss of a batch and its gradient; the model stays as it is.
    ///
    /// They may be infinite or NaN where outputs overflow, which [`apply`](Trainer::apply) refuses.
    ///
    /// # Errors
    ///
    /// As [`step`](Trainer::step) for a bad batch.
    pub fn gradients(
        &mut self,
        inputs: &[ExampleOf<M>],
        targets: &[TargetOf<M>],
    ) -> Result<Gradients<M>, Error> {
        Ok(self.gradients_checked(checked_batch::<M>(inputs, targets)?))
    }

    /// As [`gradients`](Trainer::gradients), with a loss of the caller's own as [`step_with`](Trainer::step_with) takes it.
    ///
    /// # Errors
    ///
    /// As [`step_with`](Trainer::step_with), but for the step.
    pub fn gradients_with<T: Sync>(
        &mut self,
        inputs: &[ExampleOf<M>],
        targets: &[T],
        loss: impl Fn(&OutputsOf<M>, &T) -> (f32, OutputsOf<M>) + Sync,
    ) -> Result<Gradients<M>, Error> {
        let own = Own::<M, _, _>::new(targets, loss);
        let batch = own.checked_batch(inputs)?;
        let gradients = self.gradients_checked(batch);
        own.first_error(self, batch, Path::Batch)
            .map_or(Ok(gradients), Err)
    }

    fn gradients_checked(&mut self, batch: Batch<'_>) -> Gradients<M> {
        let loss = self.engine.gradients::<M>(batch);
        Gradients {
            mean: self.engine.last_gradients(),
            loss,
            examples: batch.len,
        }
    }

    /// One step by gradients: by those of a batch it has the bits of [`step`](Trainer::step) on that batch, whatever the optimizer
    /// and the clipping. Returns their loss.
    ///
    /// # Errors
    ///
    /// [`Error::NonFiniteStep`] if the loss is not finite, or the step would make the model non-finite, which is then left as it was.
    pub fn apply(&mut self, gradients: &Gradients<M>) -> Result<f32, Error> {
        let (optimizer, clipping, steps) = (self.optimizer(), self.clipping, self.steps());
        let Gradients { mean, loss, .. } = gradients;
        self.engine.apply(mean, *loss, optimizer, clipping, steps)?;
        self.steps += 1;
        Ok(gradients.loss)
    }
}

impl<const FEATURES: usize, L: HiddenLayers, O: Head> Trainer<Mlp<Dense<FEATURES>, L, O>> {
    /// The gradient of each example's own loss with respect to its features, not divided by the length of the batch. Returns the mean
    /// loss; the model stays as it is.
    ///
    /// They feed the [`step_with`](Trainer::step_with) of a model whose outputs the inputs are.
    ///
    /// ```
    /// use fused_mlp::{Dense, Mlp, Regression, SeedableRng, Sgd, Tanh, Trainer, Xoshiro256PlusPlus};
    ///
    /// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    /// let maker = Mlp::<Dense<2>, Tanh<8>, Regression<3>>::fan_in_scaled(&mut rng);
    /// let judge = Mlp::<Dense<3>, Tanh<8>, Regression<1>>::fan_in_scaled(&mut rng);
    /// let mut maker = Trainer::new(maker, Sgd::new(0.1))?;
    /// let mut judge = Trainer::new(judge, Sgd::new(0.1))?;
    ///
    /// // The maker learns to please the judge.
    /// let seeds = [[0.3, -0.5], [0.8, 0.1]];
    /// let made = [maker.logits(&seeds[0])?, maker.logits(&seeds[1])?];
    /// let mut d_made = [[0.0; 3]; 2];
    /// let before = judge.input_gradients(&made, &[[1.0]; 2], &mut d_made)?;
    /// maker.step_with(&seeds, &d_made, |_: &[f32; 3], d: &[f32; 3]| (0.0, *d))?;
    ///
    /// let made = [maker.logits(&seeds[0])?, maker.logits(&seeds[1])?];
    /// assert!(judge.input_gradients(&made, &[[1.0]; 2], &mut d_made)? < before);
    /// # Ok::<(), fused_mlp::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`step`](Trainer::step) for a bad batch; [`Error::LengthMismatch`] for a slice of another length.
    pub fn input_gradients(
        &mut self,
        inputs: &[[f32; FEATURES]],
        targets: &[O::Target],
        d_inputs: &mut [[f32; FEATURES]],
    ) -> Result<f32, Error> {
        let batch = checked_batch::<Mlp<Dense<FEATURES>, L, O>>(inputs, targets)?;
        check_lengths(inputs.len(), "gradients", d_inputs.len())?;
        Ok(self
            .engine
            .input_gradients::<Mlp<Dense<FEATURES>, L, O>>(batch, d_inputs.as_flattened_mut()))
    }

    /// As [`input_gradients`](Trainer::input_gradients), with a loss of the caller's own as [`step_with`](Trainer::step_with) takes
    /// it.
    ///
    /// # Errors
    ///
    /// As [`step_with`](Trainer::step_with), but for the step; [`Error::LengthMismatch`] for a slice of another length.
    pub fn input_gradients_with<T: Sync>(
        &mut self,
        inputs: &[[f32; FEATURES]],
        targets: &[T],
        d_inputs: &mut [[f32; FEATURES]],
        loss: impl Fn(&O::Prediction, &T) -> (f32, O::Prediction) + Sync,
    ) -> Result<f32, Error> {
        let own = Own::<Mlp<Dense<FEATURES>, L, O>, _, _>::new(targets, loss);
        let batch = own.checked_batch(inputs)?;
        check_lengths(inputs.len(), "gradients", d_inputs.len())?;
        let mean = self
            .engine
            .input_gradients::<Mlp<Dense<FEATURES>, L, O>>(batch, d_inputs.as_flattened_mut());
        own.first_error(self, batch, Path::Batch)
            .map_or(Ok(mean), Err)
    }
}
