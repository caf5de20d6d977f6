//! Examples with their targets, checked once, and minibatches drawn from them.

use alloc::vec::Vec;

use rand_xoshiro::rand_core::Rng;

use crate::error::Error;
use crate::model::{Example, Inputs, ModelSpec, Symbol, Target, Targets, batch};
use crate::random::fill_below;

/// Inputs and targets of equal number, all finite.
///
/// `E` is `[u8; CONTEXT]`, `[u16; CONTEXT]` or `[f32; FEATURES]`, `T` is `u8`, `u16`, `bool` or `[f32; OUTPUTS]`. The largest token and class are noted
/// when it is made, so that a batch drawn from it needs no check of its own.
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
    inputs: Vec<E>,
    targets: Vec<T>,
    limits: Limits,
}

/// What a model must have for every example to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Limits {
    tokens: usize,
    classes: usize,
}

impl Limits {
    /// Whether a model has all the tokens and classes.
    pub(crate) fn fit(self, spec: ModelSpec) -> bool {
        self.classes <= spec.head.classes() && self.tokens <= spec.input.vocabulary()
    }
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

impl<E: Example, T: Target> Dataset<E, T> {
    /// A data set of these examples.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyBatch`], [`Error::LengthMismatch`], or [`Error::NonFiniteData`].
    pub fn new(inputs: Vec<E>, targets: Vec<T>) -> Result<Self, Error> {
        let batch = batch(&inputs, &targets)?;
        batch.check_finite()?;
        let limits = Limits {
            tokens: match batch.inputs {
                Inputs::Tokens(tokens) => tokens.bound(),
                Inputs::Features(_) => 0,
            },
            classes: match batch.targets {
                Targets::Classes(classes) => classes.bound(),
                Targets::Values(_) | Targets::Own { .. } => 0,
            },
        };
        Ok(Self {
            inputs,
            targets,
            limits,
        })
    }

    /// Number of examples; never 0.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a data set is never empty")]
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// All inputs.
    #[must_use]
    pub fn inputs(&self) -> &[E] {
        &self.inputs
    }

    /// All targets.
    #[must_use]
    pub fn targets(&self) -> &[T] {
        &self.targets
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
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
        self.fetch(minibatch);
    }

    /// Puts the examples with these numbers into `minibatch`, which takes their number as its length.
    ///
    /// # Errors
    ///
    /// [`Error::IndexOutOfRange`] for a number beyond the data set; `minibatch` is then left empty.
    pub fn select(&self, indices: &[u32], minibatch: &mut Minibatch<E, T>) -> Result<(), Error> {
        minibatch.len = indices.len();
        minibatch.indices.clear();
        let beyond = indices.iter().find(|&&index| index as usize >= self.len());
        if let Some(&index) = beyond {
            self.fetch(minibatch);
            return Err(Error::IndexOutOfRange {
                index: index as usize,
                examples: self.len(),
            });
        }
        minibatch.indices.extend(indices);
        self.fetch(minibatch);
        Ok(())
    }

    /// Looks the minibatch's numbers up.
    #[inline]
    fn fetch(&self, minibatch: &mut Minibatch<E, T>) {
        let indices = minibatch.indices.iter().map(|&index| index as usize);
        minibatch.inputs.clear();
        minibatch
            .inputs
            .extend(indices.clone().map(|index| self.inputs[index]));
        minibatch.targets.clear();
        minibatch
            .targets
            .extend(indices.map(|index| self.targets[index]));
        minibatch.limits = self.limits;
    }
}

/// Room for a batch, used again from step to step.
#[derive(Debug, Clone, PartialEq)]
pub struct Minibatch<E, T> {
    /// Examples to draw.
    len: usize,
    /// Where in the data set the examples stand.
    indices: Vec<u32>,
    inputs: Vec<E>,
    targets: Vec<T>,
    limits: Limits,
}

impl<E: Example, T: Target> Minibatch<E, T> {
    /// Room for `len` examples, empty until [`Dataset::draw`] or [`Dataset::select`] fills it.
    #[must_use]
    pub fn new(len: usize) -> Self {
        Self {
            len,
            indices: Vec::with_capacity(len),
            inputs: Vec::with_capacity(len),
            targets: Vec::with_capacity(len),
            limits: Limits::default(),
        }
    }

    /// The inputs.
    #[must_use]
    pub fn inputs(&self) -> &[E] {
        &self.inputs
    }

    /// The targets.
    #[must_use]
    pub fn targets(&self) -> &[T] {
        &self.targets
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }
}
