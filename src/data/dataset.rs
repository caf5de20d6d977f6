//! Data sets: examples with their targets, from which batches are drawn.

use alloc::vec::Vec;

use rand_xoshiro::rand_core::Rng;

use super::examples::Examples;
use super::minibatch::Minibatch;
use crate::error::Error;
use crate::model::{Example, Inputs, Symbol, check_finite, check_lengths};
use crate::random::fill_below;

/// Inputs with as many targets, and a weight for each if [given](Self::with_weights).
///
/// `E` is `[u8; CONTEXT]`, `[u16; CONTEXT]` or `[f32; FEATURES]`. `T` may be any type: that of the head's targets (`u8`, `u16`, `bool`
/// or `[f32; OUTPUTS]`) for [`Trainer::fit`](crate::Trainer::fit) and whatever else uses the head's own loss, and whatever the
/// caller's loss takes for [`Trainer::fit_with`](crate::Trainer::fit_with).
///
/// ```
/// use fused_mlp::{Binary, Dataset, Dense, Minibatch, Mlp, SeedableRng, Sgd, Tanh, Trainer, Xoshiro256PlusPlus};
///
/// // Is the first number the larger?
/// let inputs = vec![[0.9_f32, 0.1], [0.2, 0.7], [0.5, 0.4], [-0.3, 0.6]];
/// let targets = vec![true, false, true, false];
/// let data = Dataset::new(inputs, targets)?;
///
/// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
/// let model = Mlp::<Dense<2>, Tanh<8>, Binary>::fan_in_scaled(&mut rng);
/// let mut trainer = Trainer::new(model, Sgd::new(0.5))?;
/// let untrained = trainer.evaluate(&data)?;
/// let mut batch = Minibatch::new(16);
/// for _ in 0..100 {
///     data.draw(&mut rng, &mut batch);
///     trainer.step_batch(&batch)?;
/// }
/// assert!(trainer.evaluate(&data)? < untrained);
/// # Ok::<(), fused_mlp::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset<E, T> {
    examples: Examples<E, T>,
}

impl<T: Symbol, const CONTEXT: usize> Dataset<[T; CONTEXT], T> {
    /// Every place of every sequence of tokens as an example: the `CONTEXT` tokens before it, and its token.
    ///
    /// Token 0 is the end mark: the context of the first place is all end marks, and the last target of each sequence is one.
    ///
    /// ```
    /// use fused_mlp::Dataset;
    ///
    /// // Two sentences of words that the program has numbered, from 1 to 999.
    /// let sentences: [&[u16]; 2] = [&[17, 4, 999], &[4, 512]];
    /// let data = Dataset::<[u16; 2], u16>::windows(sentences)?;
    /// assert_eq!(data.inputs()[..4], [[0, 0], [0, 17], [17, 4], [4, 999]]);
    /// assert_eq!(data.targets(), [17, 4, 999, 0, 4, 512, 0]);
    /// # Ok::<(), fused_mlp::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::EmptyBatch`] without sequences.
    pub fn windows(sequences: impl IntoIterator<Item: AsRef<[T]>>) -> Result<Self, Error> {
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        for sequence in sequences {
            let mut context = [T::default(); CONTEXT];
            for &target in sequence.as_ref().iter().chain([&T::default()]) {
                inputs.push(context);
                targets.push(target);
                push(&mut context, target);
            }
        }
        Self::new(inputs, targets)
    }
}

/// Moves a context one token on.
pub(crate) fn push<T: Copy, const CONTEXT: usize>(context: &mut [T; CONTEXT], token: T) {
    context.rotate_left(1);
    context[CONTEXT - 1] = token;
}

impl<E: Example, T: Clone> Dataset<E, T> {
    /// A data set of these examples.
    ///
    /// Features are checked here. Tokens and targets, whose range depends on the model, are checked where a model is to take them.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyBatch`], [`Error::LengthMismatch`], or [`Error::NonFiniteData`] for a feature.
    pub fn new(inputs: Vec<E>, targets: Vec<T>) -> Result<Self, Error> {
        check_lengths(inputs.len(), "targets", targets.len())?;
        if inputs.is_empty() {
            return Err(Error::EmptyBatch);
        }
        let token_bound = match E::flatten(&inputs) {
            Inputs::Tokens(tokens) => tokens.bound(),
            Inputs::Features(features) => {
                check_finite("input", features, features.len() / inputs.len())?;
                0
            }
        };
        Ok(Self {
            examples: Examples {
                inputs,
                targets,
                weights: None,
                token_bound,
            },
        })
    }

    /// The same examples, each with a weight w: the loss of a batch, and of the whole, is the weighted mean
    ///
    /// ```text
    /// Σ w_b · loss_b / Σ w_b
    /// ```
    ///
    /// over its examples b, and gradients are those of it. An example of weight 2 counts as two of weight 1. Both sums, and the parts
    /// of single weights in their sum, are computed in `f64`.
    ///
    /// ```
    /// use fused_mlp::{Dataset, Dense, Mlp, Regression, SeedableRng, Sgd, Tanh, Trainer, Xoshiro256PlusPlus};
    ///
    /// // The last measurement was made three times.
    /// let inputs = vec![[0.1], [0.4], [0.9]];
    /// let data = Dataset::new(inputs, vec![[0.2], [0.3], [0.7]])?.with_weights(vec![1.0, 1.0, 3.0])?;
    ///
    /// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    /// let model = Mlp::<Dense<1>, Tanh<8>, Regression<1>>::fan_in_scaled(&mut rng);
    /// let loss = Trainer::new(model, Sgd::new(0.1))?.evaluate(&data)?;
    /// assert!(loss >= 0.0);
    /// # Ok::<(), fused_mlp::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::LengthMismatch`] for more or fewer weights than examples, [`Error::WeightOutOfRange`] for one that is negative or not
    /// finite.
    pub fn with_weights(mut self, weights: Vec<f32>) -> Result<Self, Error> {
        check_lengths(self.len(), "weights", weights.len())?;
        let is_good = |weight: f32| weight.is_finite() && weight >= 0.0;
        if let Some(example) = weights.iter().position(|&weight| !is_good(weight)) {
            return Err(Error::WeightOutOfRange {
                example,
                value: weights[example],
            });
        }
        self.examples.weights = Some(weights);
        Ok(self)
    }

    /// Number of examples; never 0.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a data set is never empty")]
    pub fn len(&self) -> usize {
        self.examples.inputs.len()
    }

    /// All inputs.
    #[must_use]
    pub fn inputs(&self) -> &[E] {
        &self.examples.inputs
    }

    /// All targets.
    #[must_use]
    pub fn targets(&self) -> &[T] {
        &self.examples.targets
    }

    /// All weights, if there are any.
    #[must_use]
    pub fn weights(&self) -> Option<&[f32]> {
        self.examples.weights.as_deref()
    }

    pub(crate) fn examples(&self) -> &Examples<E, T> {
        &self.examples
    }

    /// Draws every example of `minibatch` anew, uniformly and with replacement.
    ///
    /// # Panics
    ///
    /// If the data set has 2³² examples or more.
    #[inline]
    pub fn draw(&self, rng: &mut impl Rng, minibatch: &mut Minibatch<E, T>) {
        let len = u32::try_from(self.len()).expect("a data set has fewer than 2³² examples");
        // All numbers first: the look-ups then do not wait for the generator, and their cache misses overlap.
        minibatch.indices.resize(minibatch.len, 0);
        fill_below(rng, len, &mut minibatch.indices);
        let Minibatch {
            indices, examples, ..
        } = minibatch;
        examples.gather(&self.examples, indices);
    }

    /// Puts the examples with these numbers into `minibatch`. Later [draws](Self::draw) are of as many examples as before.
    ///
    /// # Errors
    ///
    /// [`Error::IndexOutOfRange`] for a number beyond the data set; `minibatch` is then left empty.
    pub fn select(&self, indices: &[u32], minibatch: &mut Minibatch<E, T>) -> Result<(), Error> {
        let beyond = indices.iter().find(|&&index| index as usize >= self.len());
        let found = if beyond.is_some() { &[] } else { indices };
        minibatch.examples.gather(&self.examples, found);
        match beyond {
            None => Ok(()),
            Some(&index) => Err(Error::IndexOutOfRange {
                index: index as usize,
                examples: self.len(),
            }),
        }
    }
}
