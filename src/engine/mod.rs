//! Padded parameters, working storage and a backend: a model in the form that the kernels run on.

mod dispatch;
mod padding;

use alloc::vec::Vec;

use self::dispatch::run;
use self::padding::{Padded, padded, padded_tensors, unpadded};
use crate::error::Error;
use crate::kernels::block_step::{Backward, BlockStep};
use crate::kernels::buffer::Buffer;
use crate::kernels::chunk::Workspace;
use crate::kernels::example::ExampleGradients;
use crate::kernels::finite::{Outcome, Sum};
use crate::kernels::gradient_use::GradientUse;
use crate::kernels::pairwise::{Blocks, Combine, LossSum};
use crate::kernels::update::{Norm, Step, Update};
use crate::model::{ACCUMULATORS, Batch, ExampleOf, Model, ModelSpec, PredictionOf};
use crate::simd::{Backend, LANES};
use crate::training::{Optimizer, Sgd};

pub(crate) use self::dispatch::predict;
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
    gradients: Buffer,
    /// Sums of gradients of blocks that wait for others, by level; as many as the longest batch so far has needed.
    waiting: Vec<Buffer>,
    /// What the optimizer keeps for each parameter; empty where it keeps less.
    moments: [Buffer; 2],
    workspace: Workspace,
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
            gradients: Buffer::zeroed(M::SPEC.parameter_vectors()),
            waiting: Vec::new(),
            moments: [Buffer::zeroed(0), Buffer::zeroed(0)],
            workspace: Workspace::new(M::SPEC),
        })
    }

    /// Takes over what an optimizer keeps, at most two numbers for each parameter.
    pub(crate) fn set_moments<M: Model>(&mut self, moments: &[M]) {
        for (buffer, moment) in self.moments.iter_mut().zip(moments) {
            *buffer = padded(moment);
        }
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
        unpadded(&self.gradients)
    }

    /// What the optimizer keeps, each in a model's shape.
    pub(crate) fn moments<M: Model>(&self) -> Vec<M> {
        let kept = self.moments.iter().filter(|kept| !kept.floats().is_empty());
        kept.map(unpadded).collect()
    }

    /// The mean loss of a checked batch, or data set, of an `M`.
    pub(crate) fn loss<M: Model>(&mut self, batch: Batch<'_>) -> f32 {
        let blocks = Blocks::of(batch.len);
        let mut losses = LossSum::of(blocks);
        let mut total = 0.0;
        for block in 0..blocks.count() {
            let step = BlockStep {
                parameters: self.parameters.vectors(),
                block: batch.slice(M::SPEC, blocks.examples(block)),
                scale: 1.0,
                backward: None,
                workspace: &mut self.workspace,
            };
            total = losses.add(block, run::<M, _>(self.backend, step));
        }
        mean(total, batch.len)
    }

    /// The mean loss of a checked batch of an `M`; its gradients stay in the engine.
    pub(crate) fn gradients<M: Model>(&mut self, batch: Batch<'_>) -> f32 {
        self.differentiate::<M>(batch, Path::Batch, GradientUse::Store)
            .loss
    }

    /// The loss of a checked batch of an `M`; its gradients, or what they are used for, stay in their buffer.
    fn differentiate<M: Model>(
        &mut self,
        batch: Batch<'_>,
        path: Path,
        gradient_use: GradientUse,
    ) -> Outcome {
        match path {
            Path::Batch => self.differentiate_blocks::<M>(batch, gradient_use),
            Path::Example => run::<M, _>(
                self.backend,
                ExampleGradients {
                    parameters: self.parameters.vectors(),
                    inputs: batch.inputs,
                    targets: batch.targets,
                    workspace: &mut self.workspace,
                    gradient_use,
                    gradients: self.gradients.vectors_mut(),
                },
            ),
        }
    }

    /// As [`differentiate`](Self::differentiate), block by block. The gradients of a batch of one block are used as they come; those of
    /// more are stored, each where its sum is to wait, and the last sum is used.
    fn differentiate_blocks<M: Model>(
        &mut self,
        batch: Batch<'_>,
        gradient_use: GradientUse,
    ) -> Outcome {
        let blocks = Blocks::of(batch.len);
        while self.waiting.len() < blocks.levels() {
            self.waiting
                .push(Buffer::zeroed(M::SPEC.parameter_vectors()));
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a batch of 2²⁴ examples may round"
        )]
        let scale = 1.0 / batch.len as f32;
        let parameters = self.parameters.vectors();
        let mut losses = LossSum::of(blocks);
        let (mut total, mut sum) = (0.0, None);
        for block in 0..blocks.count() {
            let (is_last, level) = (blocks.is_last(block), blocks.level(block));
            let (waiting, gradients) = if is_last {
                (&self.waiting[..], &mut self.gradients)
            } else {
                let (earlier, own) = self.waiting.split_at_mut(level);
                (&*earlier, &mut own[0])
            };
            let (adds_first, carries) = blocks.carries(block).split_first();
            let (of_block, operands) = if blocks.count() == 1 {
                (gradient_use, parameters)
            } else if adds_first {
                (GradientUse::AddTo { factor: 1.0 }, waiting[0].vectors())
            } else {
                (GradientUse::Store, parameters)
            };
            let step = BlockStep {
                parameters,
                block: batch.slice(M::SPEC, blocks.examples(block)),
                scale,
                backward: Some(Backward {
                    gradients: gradients.vectors_mut(),
                    gradient_use: of_block,
                    operands,
                }),
                workspace: &mut self.workspace,
            };
            total = losses.add(block, run::<M, _>(self.backend, step));
            if blocks.count() > 1 && (is_last || !carries.is_empty()) {
                sum = Some(self.backend.run(Combine {
                    waiting,
                    carries,
                    gradient_use: if is_last {
                        gradient_use
                    } else {
                        GradientUse::Store
                    },
                    parameters,
                    gradients: gradients.vectors_mut(),
                }));
            }
        }
        let sum = match (gradient_use, sum) {
            (_, Some(sum)) => sum,
            (GradientUse::Store, None) => 0.0,
            // A pass of its own: as a part of the step it makes that 1 % slower.
            (GradientUse::AddTo { .. }, None) => self.backend.run(Sum(self.gradients.vectors())),
        };
        Outcome {
            loss: mean(total, batch.len),
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
                core::mem::swap(&mut self.parameters, &mut self.gradients);
                return Ok(loss);
            }
            // Discards the step and repeats it with explicit gradients: that names the tensor at fault, or succeeds where only
            // the sum overflowed.
        }
        let outcome = self.differentiate::<M>(batch, path, GradientUse::Store);
        self.update(optimizer, clipping, outcome.loss, steps)?;
        Ok(outcome.loss)
    }

    /// As [`predict`], with this engine's parameters.
    pub(crate) fn example_outputs<M: Model>(
        &self,
        input: &ExampleOf<M>,
        normalise: bool,
    ) -> Result<PredictionOf<M>, Error> {
        predict::<M>(self.backend, self.parameters.vectors(), input, normalise)
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
        let scale = clipping.map_or(1.0, |max_norm| self.clip(max_norm));
        let rule = Step::of(optimizer, steps + 1, scale);
        let update = Update {
            step: rule,
            parameters: self.parameters.vectors_mut(),
            gradients: self.gradients.vectors(),
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

    /// The factor that brings the gradients to at most this norm, as PyTorch's `clip_grad_norm_` computes it.
    fn clip(&self, max_norm: f32) -> f32 {
        let norm = self.backend.run(Norm {
            gradients: self.gradients.vectors(),
        });
        (max_norm / (norm + 1e-6)).min(1.0)
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
                gradients: copy(&self.gradients).vectors(),
                moments: [first.vectors_mut(), second.vectors_mut()],
            })
        };
        padded_tensors(self.spec)
            .find(is_bad)
            .map_or("loss", |padded| padded.tensor.name)
    }
}

/// The mean of so many losses, rounded to `f32` once.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "rounding is the purpose"
)]
fn mean(total: f64, count: usize) -> f32 {
    (total / count as f64) as f32
}

#[cfg(test)]
mod tests;
