//! Examples as data: what a batch is made of, and whether a model can take it.

use core::fmt;
use core::fmt::Debug;

use super::mlp::{ExampleOf, Model, TargetOf};
use super::sealed::Sealed;
use super::spec::ModelSpec;
use super::symbol::{Symbol, Symbols};
use crate::error::Error;

/// One example's input as data: `[u8; CONTEXT]`, `[u16; CONTEXT]` or `[f32; FEATURES]`.
pub trait Example: Sealed + Copy + Debug + PartialEq + Send + Sync + 'static {
    #[doc(hidden)]
    fn flatten(examples: &[Self]) -> Inputs<'_>;
}

/// One example's target as data: `u8`, `u16`, `bool` or `[f32; OUTPUTS]`.
pub trait Target: Sealed + Copy + Debug + PartialEq + Send + Sync + 'static {
    #[doc(hidden)]
    fn flatten(targets: &[Self]) -> Targets<'_>;
}

/// Inputs of a batch, one example after another.
#[derive(Clone, Copy, Debug)]
pub enum Inputs<'a> {
    Tokens(Symbols<'a>),
    Features(&'a [f32]),
}

/// Targets of a batch, one example after another.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    Classes(Symbols<'a>),
    Values(&'a [f32]),
    /// Whatever the caller's loss takes, from this example of the whole batch on.
    Own {
        loss: &'a dyn OwnLoss,
        first: usize,
    },
}

/// A loss of the caller's own, with the targets of a whole batch.
pub trait OwnLoss: Sync {
    /// Writes the losses of the examples from `first` on, as many as `losses` has room for, and replaces their outputs by `scale` times
    /// the gradient. Output k of the i-th of them is `outputs[k · stride + i]`.
    ///
    /// A loss is NaN if it, or its gradient, is not finite.
    fn differentiate(
        &self,
        first: usize,
        scale: f32,
        outputs: &mut [f32],
        stride: usize,
        losses: &mut [f32],
    );
}

impl Debug for dyn OwnLoss + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnLoss")
    }
}

/// A batch of `len` examples, at least one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) len: usize,
    pub(crate) inputs: Inputs<'a>,
    pub(crate) targets: Targets<'a>,
    pub(crate) weights: Weights<'a>,
}

/// What the losses of examples are multiplied by and divided by, to make a mean of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weights<'a> {
    /// The weight of each example; 1 without them.
    pub(crate) of_examples: Option<&'a [f32]>,
    /// The sum of the weights of the whole batch, of which this may be a part.
    pub(crate) total: f64,
}

impl<'a> Weights<'a> {
    /// The same weight for each of so many examples.
    #[expect(clippy::cast_precision_loss, reason = "lengths are far below 2⁵³")]
    pub(crate) fn even(examples: usize) -> Self {
        Self {
            of_examples: None,
            total: examples as f64,
        }
    }

    /// These weights, if not all of them are 0. They are finite and not negative.
    pub(crate) fn of(weights: &'a [f32]) -> Result<Self, Error> {
        let total = weights.iter().map(|&weight| f64::from(weight)).sum();
        if total > 0.0 {
            Ok(Self {
                of_examples: Some(weights),
                total,
            })
        } else {
            Err(Error::ZeroWeight)
        }
    }

    /// Examples `start .. start + len`, of the same whole.
    #[inline(always)]
    fn slice(self, start: usize, len: usize) -> Self {
        Self {
            of_examples: self.of_examples.map(|weights| &weights[start..][..len]),
            total: self.total,
        }
    }
}

impl<T: Symbol, const N: usize> Sealed for [T; N] {}
impl<T: Symbol, const N: usize> Example for [T; N] {
    fn flatten(examples: &[Self]) -> Inputs<'_> {
        Inputs::Tokens(T::list(examples.as_flattened()))
    }
}

impl<const N: usize> Sealed for [f32; N] {}
impl<const N: usize> Example for [f32; N] {
    fn flatten(examples: &[Self]) -> Inputs<'_> {
        Inputs::Features(examples.as_flattened())
    }
}

impl<C: Symbol> Target for C {
    fn flatten(targets: &[Self]) -> Targets<'_> {
        Targets::Classes(C::list(targets))
    }
}

impl Sealed for bool {}
impl Target for bool {
    fn flatten(targets: &[Self]) -> Targets<'_> {
        Targets::Classes(Symbols::Bytes(bytemuck::cast_slice(targets)))
    }
}

impl<const N: usize> Target for [f32; N] {
    fn flatten(targets: &[Self]) -> Targets<'_> {
        Targets::Values(targets.as_flattened())
    }
}

/// The batch in the kernels' form, if the model can take it.
pub(crate) fn checked_batch<'a, M: Model>(
    inputs: &'a [ExampleOf<M>],
    targets: &'a [TargetOf<M>],
) -> Result<Batch<'a>, Error> {
    even_batch::<M>(inputs, TargetOf::<M>::flatten(targets), targets.len())
}

/// The batch of these inputs and so many targets, all of one weight, if the model can take it.
pub(crate) fn even_batch<'a, M: Model>(
    inputs: &'a [ExampleOf<M>],
    targets: Targets<'a>,
    count: usize,
) -> Result<Batch<'a>, Error> {
    let len = inputs.len();
    check_lengths(len, "targets", count)?;
    if len == 0 {
        return Err(Error::EmptyBatch);
    }
    let batch = Batch {
        len,
        inputs: ExampleOf::<M>::flatten(inputs),
        targets,
        weights: Weights::even(len),
    };
    batch.check(M::SPEC)?;
    Ok(batch)
}

/// Refuses more or fewer of something than there are inputs.
pub(crate) fn check_lengths(inputs: usize, what: &'static str, found: usize) -> Result<(), Error> {
    if inputs == found {
        Ok(())
    } else {
        Err(Error::LengthMismatch {
            inputs,
            what,
            found,
        })
    }
}

impl Batch<'_> {
    /// Examples `start .. start + len`, at least one.
    #[inline(always)]
    pub(crate) fn slice(self, spec: ModelSpec, start: usize, len: usize) -> Self {
        Self {
            len,
            inputs: self.inputs.slice(spec, start, len),
            targets: self.targets.slice(spec, start, len),
            weights: self.weights.slice(start, len),
        }
    }

    /// Refuses a batch with a token, class or number that the model cannot take.
    #[inline]
    pub(crate) fn check(self, spec: ModelSpec) -> Result<(), Error> {
        self.inputs.check(spec)?;
        self.targets.check(spec)
    }
}

impl Inputs<'_> {
    /// Refuses tokens beyond the vocabulary, and numbers that are not finite.
    #[inline]
    pub(crate) fn check(self, spec: ModelSpec) -> Result<(), Error> {
        let width = spec.input.example_len();
        match self {
            Self::Tokens(tokens) => {
                let vocabulary = spec.input.vocabulary();
                match tokens.first_beyond(vocabulary) {
                    Some(index) => Err(Error::TokenOutOfRange {
                        example: index / width,
                        position: index % width,
                        token: tokens.at(index),
                        vocabulary,
                    }),
                    None => Ok(()),
                }
            }
            Self::Features(features) => check_finite("input", features, width),
        }
    }

    /// Examples `start .. start + len`.
    #[inline(always)]
    pub(crate) fn slice(self, spec: ModelSpec, start: usize, len: usize) -> Self {
        let width = spec.input.example_len();
        match self {
            Self::Tokens(tokens) => Self::Tokens(tokens.slice(start * width, len * width)),
            Self::Features(features) => Self::Features(&features[start * width..][..len * width]),
        }
    }
}

impl Targets<'_> {
    /// Refuses classes that the head does not have, and numbers that are not finite.
    #[inline]
    pub(crate) fn check(self, spec: ModelSpec) -> Result<(), Error> {
        match self {
            Self::Classes(targets) => {
                let classes = spec.head.classes();
                match targets.first_beyond(classes) {
                    Some(example) => Err(Error::ClassOutOfRange {
                        example,
                        class: targets.at(example),
                        classes,
                    }),
                    None => Ok(()),
                }
            }
            Self::Values(values) => check_finite("target", values, spec.head.outputs),
            Self::Own { .. } => Ok(()),
        }
    }

    /// Examples `start .. start + len`.
    #[inline(always)]
    pub(crate) fn slice(self, spec: ModelSpec, start: usize, len: usize) -> Self {
        let outputs = spec.head.outputs;
        match self {
            Self::Classes(classes) => Self::Classes(classes.slice(start, len)),
            Self::Values(values) => Self::Values(&values[start * outputs..][..len * outputs]),
            Self::Own { loss, first } => Self::Own {
                loss,
                first: first + start,
            },
        }
    }
}

/// Index of the first NaN or infinity.
#[inline]
pub(crate) fn first_non_finite(values: &[f32]) -> Option<usize> {
    // No early exit, so the loop vectorises.
    if values
        .iter()
        .fold(true, |finite, value| finite & value.is_finite())
    {
        return None;
    }
    values.iter().position(|value| !value.is_finite())
}

/// Refuses numbers that are not finite, in rows of `width`.
#[inline]
pub(crate) fn check_finite(what: &'static str, values: &[f32], width: usize) -> Result<(), Error> {
    match first_non_finite(values) {
        Some(index) => Err(Error::NonFiniteData {
            what,
            example: index / width,
            position: index % width,
            value: values[index],
        }),
        None => Ok(()),
    }
}
