//! A trainer's state as plain data: what a program keeps to go on with a training run later.

use alloc::vec;
use alloc::vec::Vec;

use super::early_stopping::EarlyStopping;
use super::optimizer::{Optimizer, check_clipping};
use crate::engine::first_failing;
use crate::error::Error;
use crate::model::Model;

/// Everything that the steps of a [`Trainer`](crate::Trainer) depend on, except their batches, and what ends them:
/// [`Trainer::state`](crate::Trainer::state) gives it and [`Trainer::resume`](crate::Trainer::resume) goes on from it.
///
/// A run that goes on from a state has the same bits as the unbroken run, if its batches are the same. What draws them is
/// the caller's, and its state is kept beside this one: a [`Xoshiro256PlusPlus`](crate::Xoshiro256PlusPlus) gives its own
/// by `state` and goes on from it by `from_seed`.
///
/// ```
/// use fused_mlp::*;
///
/// let data = Dataset::new(vec![[0, 1], [1, 2], [2, 0]], vec![2_u8, 0, 1])?;
/// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
/// let model = Mlp::<Tokens<3, 2, 2>, Tanh<8>, Softmax<3>>::fan_in_scaled(&mut rng);
/// let mut trainer = Trainer::new(model, AdamW::new(0.01))?;
/// let mut batch = Minibatch::new(4);
/// let mut train = |trainer: &mut Trainer<_>, rng: &mut Xoshiro256PlusPlus| {
///     for _ in 0..10 {
///         data.draw(rng, &mut batch);
///         trainer.step_batch(&batch)?;
///     }
///     Ok::<(), Error>(())
/// };
///
/// train(&mut trainer, &mut rng)?;
/// let (state, generator): (TrainingState<_>, [u8; 32]) = (trainer.state(), rng.state());
/// train(&mut trainer, &mut rng)?;
///
/// let mut resumed = Trainer::resume(state)?;
/// train(&mut resumed, &mut Xoshiro256PlusPlus::from_seed(generator))?;
/// assert_eq!(resumed.state(), trainer.state());
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingState<M: Model> {
    /// The parameters.
    pub model: M,
    /// What the optimizer keeps for each parameter, in the model's shape: nothing for [`Sgd`](crate::Sgd), v for
    /// [`Momentum`](crate::Momentum), m and v for [`AdamW`](crate::AdamW). All zero before the first step.
    pub moments: Vec<M>,
    /// The update rule and its settings, the learning rate as it was set last.
    pub optimizer: Optimizer,
    /// The Euclidean norm to which gradients are clipped, if they are.
    pub clipping: Option<f32>,
    /// Steps taken, at most 2⁵³.
    pub steps: u64,
    /// The early stopping of the run, with its best model, if the caller puts it here to keep it with the rest.
    /// [`Trainer::state`](crate::Trainer::state) has none, and [`Trainer::resume`](crate::Trainer::resume) does not look at it.
    ///
    /// ```
    /// use fused_mlp::*;
    ///
    /// let plateau = Plateau { every: 100, patience: 3, improvement: 0.0 };
    /// let mut stopping = EarlyStopping::new(plateau)?;
    /// let mut trainer = Trainer::new(NameModel::zeroed(), Sgd::new(0.1))?;
    /// // … and some training later:
    /// let kept = TrainingState { stopping: Some(stopping), ..trainer.state() };
    ///
    /// let mut kept = kept; // from a file, perhaps
    /// let mut stopping = kept.stopping.take().expect("it was put there");
    /// let mut trainer = Trainer::resume(kept)?;
    /// # Ok::<(), Error>(())
    /// ```
    pub stopping: Option<EarlyStopping<M>>,
}

/// Largest number of steps that a state may have: the bias corrections of `AdamW` count them in `f64`.
const MOST_STEPS: u64 = 1 << 53;

impl<M: Model> TrainingState<M> {
    /// The state before the first step.
    pub(crate) fn start(model: M, optimizer: Optimizer) -> Self {
        Self {
            model,
            moments: vec![M::zeroed(); optimizer.moments()],
            optimizer,
            clipping: None,
            steps: 0,
            stopping: None,
        }
    }

    /// Refuses what no trainer can have come to. Parameters are checked where they are padded.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.optimizer.check()?;
        self.clipping.map_or(Ok(()), check_clipping)?;
        self.stopping
            .as_ref()
            .map_or(Ok(()), EarlyStopping::check_settings)?;
        if self.steps > MOST_STEPS {
            #[expect(clippy::cast_precision_loss, reason = "it is for the eye")]
            return Err(Error::Setting {
                name: "steps",
                expected: "at most 2⁵³",
                found: self.steps as f64,
            });
        }
        if self.moments.len() != self.optimizer.moments() {
            return Err(Error::MomentCount {
                expected: self.optimizer.moments(),
                found: self.moments.len(),
            });
        }
        for (moment, values) in self.moments.iter().enumerate() {
            let is_square = matches!(self.optimizer, Optimizer::AdamW(_)) && moment == 1;
            let expected = if is_square {
                "finite and at least 0"
            } else {
                "finite"
            };
            let passes = |value: f32| value.is_finite() && (value >= 0.0 || !is_square);
            if let Some(element) = first_failing(values, passes) {
                return Err(Error::MomentOutOfRange {
                    moment,
                    tensor: element.tensor,
                    row: element.row,
                    column: element.column,
                    expected,
                    value: element.value,
                });
            }
        }
        Ok(())
    }
}
