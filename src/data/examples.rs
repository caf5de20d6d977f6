//! What data sets and minibatches hold: inputs, targets and weights.

use alloc::vec::Vec;

use crate::error::Error;
use crate::model::{Batch, Example, ModelSpec, Targets, Weights};

/// Inputs with as many targets, and perhaps as many weights.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Examples<E, T> {
    pub(super) inputs: Vec<E>,
    pub(super) targets: Vec<T>,
    pub(super) weights: Option<Vec<f32>>,
    /// One more than the largest token among the inputs, or more; 0 for features.
    pub(super) token_bound: usize,
}

impl<E: Example, T> Examples<E, T> {
    pub(crate) fn targets(&self) -> &[T] {
        &self.targets
    }

    /// The inputs and weights as a batch with these targets, which may stand for those of the examples, if a model of this shape can
    /// take it. Features were found to be finite when the data set was made.
    pub(crate) fn batch<'a>(
        &'a self,
        targets: Targets<'a>,
        spec: ModelSpec,
    ) -> Result<Batch<'a>, Error> {
        if self.inputs.is_empty() {
            return Err(Error::EmptyBatch);
        }
        let inputs = E::flatten(&self.inputs);
        if self.token_bound > spec.input.vocabulary() {
            inputs.check(spec)?;
        }
        targets.check(spec)?;
        let len = self.inputs.len();
        let weights = match &self.weights {
            Some(weights) => Weights::of(weights)?,
            None => Weights::even(len),
        };
        Ok(Batch {
            len,
            inputs,
            targets,
            weights,
        })
    }

    /// Takes the examples with these numbers from others; all of them must exist.
    #[inline]
    pub(super) fn gather(&mut self, from: &Self, indices: &[u32])
    where
        T: Clone,
    {
        let indices = indices.iter().map(|&index| index as usize);
        self.inputs.clear();
        self.inputs
            .extend(indices.clone().map(|index| from.inputs[index]));
        self.targets.clear();
        self.targets
            .extend(indices.clone().map(|index| from.targets[index].clone()));
        match &from.weights {
            Some(all) => {
                let weights = self.weights.get_or_insert_default();
                weights.clear();
                weights.extend(indices.map(|index| all[index]));
            }
            None => self.weights = None,
        }
        self.token_bound = from.token_bound;
    }
}
