//! Padded parameters, working storage and a backend: a model in the form that the kernels run on.

mod crew;
mod dispatch;
mod gradients;
mod padding;
#[cfg(feature = "rayon")]
mod threads;

use alloc::vec::Vec;
use core::ops::Range;

use self::crew::Crew;
use self::dispatch::{example_outputs, run};
use self::gradients::{Gradients, Task};
use self::padding::{Padded, flat, pad, padded, padded_tensors, unpadded};
use crate::error::Error;
use crate::kernels::batch_outputs::BatchOutputs;
use crate::kernels::buffer::Buffer;
use crate::kernels::chunk::CHUNK;
use crate::kernels::example::ExampleGradients;
use crate::kernels::finite::Outcome;
use crate::kernels::gradient_use::GradientUse;
use crate::kernels::input_gradients::InputGradients;
use crate::kernels::pairwise::PartialSum;
use crate::kernels::update::{Norm, Step, Update};
use crate::model::{
    ACCUMULATORS, Batch, ExampleOf, Head, Model, ModelSpec, OutputsOf, PredictionOf, Weights,
};
use crate::simd::{Backend, LANES};
use crate::training::{Optimizer, Sgd};

pub(crate) use self::dispatch::{BatchPrediction, predict, predict_batch};
#[cfg(feature = "serde")]
pub(crate) use self::padding::check_finite;
pub(crate) use self::padding::{checked_and_padded, first_failing};

/// Everything a model needs to be evaluated and differentiated.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    spec: ModelSpec,
    backend: Backend,
    parameters: Buffer,
    /// The gradients computed last. A step of plain gradient descent makes the new parameters here, and then exchanges them
    /// with the old.
    gradients: Gradients,
    /// What the optimizer keeps for each parameter; empty where it keeps less.
    moments: [Buffer; 2],
    crew: Crew,
}

/// How a batch is computed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path {
    /// Lanes over its examples.
    Batch,
    /// Lanes over neurons and outputs, for a single example.
    Example,
}

impl Engine {
    /// An engine with the parameters of a model.
    pub(crate) fn new<M: Model>(model: &M, backend: Backend) -> Result<Self, Error> {
        Ok(Self {
            spec: M::SPEC,
            backend,
            parameters: checked_and_padded(model)?,
            gradients: Gradients::new(M::SPEC),
            moments: [Buffer::zeroed(0), Buffer::zeroed(0)],
            crew: Crew::new(M::SPEC),
        })
    }

    /// Takes over what an optimizer keeps, at most two numbers for each parameter.
    pub(crate) fn set_moments<M: Model>(&mut self, moments: &[M]) {
        for (buffer, moment) in self.moments.iter_mut().zip(moments) {
            *buffer = padded(moment);
        }
    }

    /// So many threads, the calling one among them, for what is large enough to be shared. `None` if they cannot be had.
    #[cfg(feature = "rayon")]
    pub(crate) fn set_threads(&mut self, threads: usize) -> Option<()> {
        self.crew.threads = match threads {
            0 => return None,
            1 => None,
            _ => Some(threads::Threads::new(self.spec, threads - 1)?),
        };
        Some(())
    }

    #[cfg(feature = "rayon")]
    pub(crate) fn threads(&self) -> usize {
        self.crew
            .threads
            .as_ref()
            .map_or(1, threads::Threads::count)
    }

    pub(crate) fn backend(&self) -> Backend {
        self.backend
    }

    pub(crate) fn set_backend(&mut self, backend: Backend) {
        self.backend = backend;
    }

    /// The model with these parameters.
    pub(crate) fn model<M: Model>(&self) -> M {
        unpadded(&self.parameters)
    }

    /// The gradients of the last call of [`gradients`](Self::gradients), in a model's shape.
    pub(crate) fn last_gradients<M: Model>(&self) -> M {
        unpadded(self.gradients.whole())
    }

    /// What the optimizer keeps, each in a model's shape.
    pub(crate) fn moments<M: Model>(&self) -> Vec<M> {
        let kept = self.moments.iter().filter(|kept| !kept.floats().is_empty());
        kept.map(unpadded).collect()
    }

    /// The mean loss of a checked batch, or data set, of an `M`.
    pub(crate) fn loss<M: Model>(&mut self, batch: Batch<'_>) -> f32 {
        let task = Task {
            backend: self.backend,
            parameters: self.parameters.vectors(),
            batch,
            gradient_use: GradientUse::Store,
        };
        self.crew.add_all_losses::<M>(task, &mut self.gradients);
        mean(self.gradients.loss(), batch.weights)
    }

    /// The mean loss of a checked batch of an `M`; its gradients stay in the engine.
    pub(crate) fn gradients<M: Model>(&mut self, batch: Batch<'_>) -> f32 {
        self.differentiate::<M>(batch, Path::Batch, GradientUse::Store)
            .loss
    }

    /// The partial sums over some blocks of a checked batch of an `M`, each with its gradients in the order of the tensors.
    pub(crate) fn partial_gradients<M: Model>(
        &mut self,
        batch: Batch<'_>,
        blocks: Range<usize>,
    ) -> impl Iterator<Item = (PartialSum, Vec<f32>)> {
        let task = Task {
            backend: self.backend,
            parameters: self.parameters.vectors(),
            batch,
            gradient_use: GradientUse::Store,
        };
        self.crew.add_blocks::<M>(task, blocks, &mut self.gradients);
        let sums = self.gradients.sums();
        sums.map(|(sum, gradients)| (sum.clone(), flat(M::SPEC, gradients)))
    }

    /// The loss of a checked batch of an `M`; its gradients, or what they are used for, stay in their buffer.
    fn differentiate<M: Model>(
        &mut self,
        batch: Batch<'_>,
        path: Path,
        gradient_use: GradientUse,
    ) -> Outcome {
        let parameters = self.parameters.vectors();
        if let Path::Example = path {
            let example = ExampleGradients {
                parameters,
                inputs: batch.inputs,
                targets: batch.targets,
                workspace: &mut self.crew.workspace,
                gradient_use,
                gradients: self.gradients.whole_mut().vectors_mut(),
            };
            return run::<M, _>(self.backend, example);
        }
        let task = Task {
            backend: self.backend,
            parameters,
            batch,
            gradient_use,
        };
        let sum = self.crew.add_all::<M>(task, &mut self.gradients);
        Outcome {
            loss: mean(self.gradients.loss(), batch.weights),
            sum,
        }
    }

    /// One optimizer step on a checked batch of an `M`, and the loss before it; `steps` were taken before. On an error neither
    /// parameters nor moments have changed.
    ///
    /// Gradients whose norm is above `clipping` are scaled to it first. Plain gradient descent without that is done as the
    /// gradients come, beside the parameters; everything else is a pass of its own over all gradients.
    pub(crate) fn step<M: Model>(
        &mut self,
        batch: Batch<'_>,
        path: Path,
        optimizer: Optimizer,
        clipping: Option<f32>,
        steps: u64,
    ) -> Result<f32, Error> {
        if let (Optimizer::Sgd(Sgd { learning_rate }), None) = (optimizer, clipping) {
            let descent = GradientUse::descent(learning_rate);
            let outcome = self.differentiate::<M>(batch, path, descent);
            if let Some(loss) = outcome.finite_loss() {
                core::mem::swap(&mut self.parameters, self.gradients.whole_mut());
                return Ok(loss);
            }
            // Discards the step and repeats it with explicit gradients: that names the tensor at fault, or succeeds where only
            // the sum overflowed.
        }
        let outcome = self.differentiate::<M>(batch, path, GradientUse::Store);
        self.update(optimizer, clipping, outcome.loss, steps)?;
        Ok(outcome.loss)
    }

    /// The part of [`step`](Self::step) after the gradients, with these and this loss.
    pub(crate) fn apply<M: Model>(
        &mut self,
        gradients: &M,
        loss: f32,
        optimizer: Optimizer,
        clipping: Option<f32>,
        steps: u64,
    ) -> Result<(), Error> {
        pad(gradients, self.gradients.whole_mut());
        self.update(optimizer, clipping, loss, steps)
    }

    /// The mean loss of a checked batch of an `M`, whose inputs are features, and the gradient of each example's own loss with
    /// respect to these, `[example][feature]`.
    pub(crate) fn input_gradients<M: Model>(
        &mut self,
        batch: Batch<'_>,
        d_inputs: &mut [f32],
    ) -> f32 {
        let width = M::SPEC.input.width();
        let undivided = Batch {
            weights: Weights::even(1),
            ..batch
        };
        let mut total = 0.0;
        for (start, d_inputs) in (0..batch.len)
            .step_by(CHUNK)
            .zip(d_inputs.chunks_mut(CHUNK * width))
        {
            let examples = CHUNK.min(batch.len - start);
            let kernel = InputGradients {
                parameters: self.parameters.vectors(),
                chunk: undivided.slice(M::SPEC, start, examples),
                workspace: &mut self.crew.workspace,
                d_inputs,
            };
            total += run::<M, _>(self.backend, kernel);
        }
        mean(total, batch.weights)
    }

    /// As [`predict`], with this engine's parameters.
    pub(crate) fn example_outputs<M: Model>(
        &self,
        input: &ExampleOf<M>,
        normalise: bool,
    ) -> Result<PredictionOf<M>, Error> {
        predict::<M>(self.backend, self.parameters.vectors(), input, normalise)
    }

    /// What the head of an `M` makes of a batch of inputs, or without `normalise` its logits, with this engine's parameters and
    /// working storage.
    pub(crate) fn batch_outputs<M: Model>(
        &mut self,
        inputs: &[ExampleOf<M>],
        normalise: bool,
        predictions: &mut [PredictionOf<M>],
    ) -> Result<(), Error> {
        let prediction = BatchPrediction {
            backend: self.backend,
            parameters: self.parameters.vectors(),
            normalise,
        };
        predict_batch::<M>(inputs, predictions, |predictions| {
            self.crew.predict::<M>(prediction, inputs, predictions);
        })
    }

    /// The outputs of the last layer for one example of a checked batch, with the bits that a step on that path has.
    pub(crate) fn outputs_of<M: Model>(
        &mut self,
        batch: Batch<'_>,
        path: Path,
        example: usize,
    ) -> OutputsOf<M> {
        let parameters = self.parameters.vectors();
        let inputs = batch.inputs.slice(M::SPEC, example, 1);
        match path {
            Path::Example => example_outputs::<M>(self.backend, parameters, inputs, false),
            Path::Batch => {
                let mut outputs = M::Head::blank();
                let kernel = BatchOutputs {
                    parameters,
                    inputs,
                    examples: 1,
                    normalise: false,
                    workspace: &mut self.crew.workspace,
                    outputs: outputs.as_mut(),
                };
                run::<M, _>(self.backend, kernel);
                outputs
            }
        }
    }

    /// The part of [`step`](Self::step) after the gradients, in a pass over all of them.
    ///
    /// Gradients whose norm is above `clipping` are scaled to it first.
    fn update(
        &mut self,
        optimizer: Optimizer,
        clipping: Option<f32>,
        loss: f32,
        steps: u64,
    ) -> Result<(), Error> {
        let scale = clipping.map_or(1.0, |max_norm| self.clipping_factor(max_norm));
        let rule = Step::of(optimizer, steps + 1, scale);
        let update = Update {
            step: rule,
            parameters: self.parameters.vectors_mut(),
            gradients: self.gradients.whole().vectors(),
            moments: self.moments.each_mut().map(Buffer::vectors_mut),
        };
        if loss.is_finite() && self.backend.run(update) {
            Ok(())
        } else {
            Err(Error::NonFiniteStep {
                step: steps,
                tensor: self.first_non_finite(rule),
            })
        }
    }

    /// The factor that brings the gradients to at most this norm, by the formula of PyTorch's `clip_grad_norm_`.
    ///
    /// A factor below the smallest normal `f32` is applied in parts, all but the last of them here. A gradient that loses digits
    /// in that is one of which the factor leaves nothing.
    #[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
    fn clipping_factor(&mut self, max_norm: f32) -> f32 {
        const PART: f32 = 1.0 / (1_u64 << 63) as f32;
        let (largest, sum) = self.backend.run(Norm {
            gradients: self.gradients.whole().vectors(),
        });
        let norm = f64::from(largest) * libm::sqrt(f64::from(sum));
        let mut factor = (f64::from(max_norm) / (norm + 1e-6)).min(1.0);
        while factor > 0.0 && factor < f64::from(f32::MIN_POSITIVE) {
            for gradient in self.gradients.whole_mut().floats_mut() {
                *gradient *= PART;
            }
            factor /= f64::from(PART);
        }
        factor as f32
    }

    /// The first tensor that a step would have made non-finite, found by taking the step on a copy of each.
    fn first_non_finite(&self, step: Step) -> &'static str {
        let is_bad = |padded: &Padded| {
            let elements = padded.elements();
            let copy = |buffer: &Buffer| {
                let values = buffer.floats().get(elements.clone()).unwrap_or_default();
                let vectors = values.len().div_ceil(LANES);
                let mut copy = Buffer::zeroed(vectors.next_multiple_of(ACCUMULATORS));
                copy.floats_mut()[..values.len()].copy_from_slice(values);
                copy
            };
            let [mut first, mut second] = self.moments.each_ref().map(copy);
            !self.backend.run(Update {
                step,
                parameters: copy(&self.parameters).vectors_mut(),
                gradients: copy(self.gradients.whole()).vectors(),
                moments: [first.vectors_mut(), second.vectors_mut()],
            })
        };
        padded_tensors(self.spec)
            .find(is_bad)
            .map_or("loss", |padded| padded.tensor.name)
    }
}

/// The mean whose sum this is, rounded to `f32` once.
#[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
fn mean(sum: f64, weights: Weights<'_>) -> f32 {
    (sum / weights.total) as f32
}

#[cfg(test)]
mod tests;
