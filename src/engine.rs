//! Padded parameters, working storage and a backend: a model in the form that the kernels run on.

use alloc::vec::Vec;
use core::slice::from_ref;

use crate::architecture::{Example, Head};
use crate::error::Error;
use crate::kernels::batch_step::{BatchStep, Wanted};
use crate::kernels::buffer::Buffer;
use crate::kernels::chunk::Workspace;
use crate::kernels::example::{ExampleGradients, ExampleOutputs};
use crate::kernels::finish::{Finish, Sum};
use crate::kernels::shape::{Fixed, Shaped, ShapedKernel};
use crate::kernels::update::{Norm, Step, Update};
use crate::model::{ExampleOf, Model, PredictionOf};
use crate::network::{Batch, CHAINS, Network, Tensor, first_non_finite};
use crate::optimizer::{Optimizer, Sgd};
use crate::padding::{checked_and_padded, padded, unpadded};
use crate::simd::{Backend, LANES};

/// Everything a model needs to be evaluated and differentiated.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    network: Network,
    backend: Backend,
    parameters: Buffer,
    /// The gradients computed last. In a step of plain gradient descent the new parameters are made here, and then change
    /// places with the old.
    gradients: Buffer,
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
        let network = M::NETWORK;
        let vectors = network.parameter_vectors();
        Ok(Self {
            network,
            backend,
            parameters: checked_and_padded(model)?,
            gradients: Buffer::zeroed(vectors),
            moments: [Buffer::zeroed(0), Buffer::zeroed(0)],
            workspace: Workspace::new(network),
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
        run::<M, _>(
            self.backend,
            BatchStep {
                parameters: self.parameters.vectors(),
                batch,
                wanted: None,
                workspace: &mut self.workspace,
            },
        )
    }

    /// The mean loss of a checked batch of an `M`; its gradients stay in the engine.
    pub(crate) fn gradients<M: Model>(&mut self, batch: Batch<'_>) -> f32 {
        self.differentiate::<M>(batch, Path::Batch, Finish::Gradient)
    }

    /// The loss of a checked batch of an `M`; in place of its gradients stays what they become: themselves, or what a step of
    /// plain gradient descent makes of the parameters. The loss of a descent is NaN unless it and the sum of the new parameters
    /// are finite: see [`Finish::checked`].
    fn differentiate<M: Model>(&mut self, batch: Batch<'_>, path: Path, finish: Finish) -> f32 {
        let workspace = &mut self.workspace;
        let (parameters, gradients) = (self.parameters.vectors(), self.gradients.vectors_mut());
        match path {
            Path::Batch => {
                let step = BatchStep {
                    parameters,
                    batch,
                    wanted: Some(Wanted { gradients, finish }),
                    workspace,
                };
                let loss = run::<M, _>(self.backend, step);
                match finish {
                    Finish::Gradient => loss,
                    Finish::Descent { .. } => {
                        // A pass of its own: as a part of the step it makes that 1 % slower.
                        let sum = self.backend.run(Sum(self.gradients.vectors()));
                        finish.checked(loss, sum)
                    }
                }
            }
            Path::Example => run::<M, _>(
                self.backend,
                ExampleGradients {
                    parameters,
                    inputs: batch.inputs,
                    targets: batch.targets,
                    workspace,
                    finish,
                    gradients,
                },
            ),
        }
    }

    /// One step of an optimizer, after so many, on a checked batch of an `M`, and the loss before it. On an error neither
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
            let descent = Finish::Descent {
                rate: learning_rate,
            };
            let loss = self.differentiate::<M>(batch, path, descent);
            if loss.is_finite() {
                core::mem::swap(&mut self.parameters, &mut self.gradients);
                return Ok(loss);
            }
            // Forgotten, and taken again with the gradients first: that names the tensor at fault, or succeeds where only
            // the sum overflowed.
        }
        let loss = self.differentiate::<M>(batch, path, Finish::Gradient);
        self.update(optimizer, clipping, loss, steps)?;
        Ok(loss)
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
        let scale = clipping.map_or(1.0, |norm| self.clip(norm));
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
    fn clip(&self, longest: f32) -> f32 {
        let norm = self.backend.run(Norm {
            gradients: self.gradients.vectors(),
        });
        (longest / (norm + 1e-6)).min(1.0)
    }

    /// The first tensor that a step would have made non-finite, found by taking the step on a copy of each.
    fn first_non_finite(&self, step: Step) -> &'static str {
        let is_bad = |tensor: &Tensor| {
            let elements = tensor.start..tensor.start + tensor.rows * tensor.stride;
            let copy = |buffer: &Buffer| {
                let values = buffer.floats().get(elements.clone()).unwrap_or_default();
                let mut copy =
                    Buffer::zeroed(values.len().div_ceil(LANES).next_multiple_of(CHAINS));
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
        self.network
            .tensors()
            .find(is_bad)
            .map_or("loss", |tensor| tensor.name)
    }
}

/// Runs a kernel with the shape of an `M` as constants, where the backend has instructions of its own.
///
/// With debug assertions on, that is in a debug build, it runs the form for every shape, which is compiled in this crate and
/// so can be optimised although the embedding program is not.
fn run<M: Model, K: ShapedKernel>(backend: Backend, kernel: K) -> K::Output {
    if cfg!(debug_assertions) {
        return kernel.run_any(backend, M::NETWORK);
    }
    let shape = Fixed::<M>::SHAPE;
    match backend.run_if_native(Shaped { kernel, shape }) {
        Ok(output) => output,
        Err(Shaped { kernel, .. }) => kernel.run_any(backend, M::NETWORK),
    }
}

/// What the head of an `M` makes of one input, or without `normalise` its logits, on the path for single examples; if the
/// input is one of an `M`, and all outputs are finite.
pub(crate) fn predict<M: Model>(
    backend: Backend,
    parameters: &[[f32; LANES]],
    input: &ExampleOf<M>,
    normalise: bool,
) -> Result<PredictionOf<M>, Error> {
    let inputs = ExampleOf::<M>::flatten(from_ref(input));
    M::NETWORK.check_inputs(inputs)?;
    let mut prediction = M::Head::blank();
    let outputs = prediction.as_mut();
    run::<M, _>(
        backend,
        ExampleOutputs {
            parameters,
            inputs,
            normalise,
            outputs,
        },
    );
    match first_non_finite(outputs) {
        Some(output) => Err(Error::NonFinitePrediction {
            output,
            value: outputs[output],
        }),
        None => Ok(prediction),
    }
}

#[cfg(test)]
mod tests;
