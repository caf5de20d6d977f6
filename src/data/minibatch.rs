//! Storage for a batch that is drawn from a data set again and again.

use alloc::vec::Vec;

use super::examples::Examples;
use crate::kernels::pairwise::Blocks;
use crate::model::Example;

/// A batch of examples of a [`Dataset`](super::Dataset), whose storage is used again from step to step.
#[derive(Debug, Clone, PartialEq)]
pub struct Minibatch<E, T> {
    /// Examples to draw.
    pub(super) len: usize,
    /// Where in the data set the examples stand.
    pub(super) indices: Vec<u32>,
    pub(super) examples: Examples<E, T>,
}

impl<E: Example, T: Clone> Minibatch<E, T> {
    /// Storage for `len` examples, empty until [`Dataset::draw`](super::Dataset::draw) or
    /// [`Dataset::select`](super::Dataset::select) fills it.
    ///
    /// # Panics
    ///
    /// If there is no memory for so many.
    #[must_use]
    pub fn new(len: usize) -> Self {
        Self::reserved(len).expect("there is memory for a batch")
    }

    /// As [`new`](Self::new); `None` if there is no memory for so many.
    pub(crate) fn reserved(len: usize) -> Option<Self> {
        Some(Self {
            len,
            indices: reserved(len)?,
            examples: Examples {
                inputs: reserved(len)?,
                targets: reserved(len)?,
                weights: None,
                token_bound: 0,
            },
        })
    }

    /// The inputs.
    #[must_use]
    pub fn inputs(&self) -> &[E] {
        &self.examples.inputs
    }

    /// The targets.
    #[must_use]
    pub fn targets(&self) -> &[T] {
        &self.examples.targets
    }

    /// The weights, if the data set has them.
    #[must_use]
    pub fn weights(&self) -> Option<&[f32]> {
        self.examples.weights.as_deref()
    }

    /// Blocks of 64 examples that a step computes it in; the last may be shorter. They can be shared between machines:
    /// [`Trainer::partial_gradients`](crate::Trainer::partial_gradients).
    #[must_use]
    pub fn blocks(&self) -> usize {
        Blocks::of(self.examples.inputs.len()).count()
    }

    pub(crate) fn examples(&self) -> &Examples<E, T> {
        &self.examples
    }
}

fn reserved<T>(len: usize) -> Option<Vec<T>> {
    let mut vector = Vec::new();
    vector.try_reserve_exact(len).ok()?;
    Some(vector)
}
