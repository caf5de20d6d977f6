//! Padded parameters, working storage and a backend: a model in the form that the kernels run on.

use crate::architecture::Head;
use crate::error::Error;
use crate::kernels::batch_step::{BatchStep, Task, Workspace};
use crate::kernels::buffer::Buffer;
use crate::kernels::example_step::{ExampleGradients, ExampleOutputs};
use crate::kernels::shape::Fixed;
use crate::kernels::update::{CHAINS, Norm, Step, Update};
use crate::mlp::{Model, PredictionOf};
use crate::network::{Batch, Inputs, Network, Targets, Tensor};
use crate::optimizer::Optimizer;
use crate::simd::{Backend, LANES};

/// Everything a model needs to be evaluated and differentiated.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    network: Network,
    backend: Backend,
    parameters: Buffer,
    gradients: Buffer,
    /// What the optimizer keeps for each parameter; empty where it keeps less.
    moments: [Buffer; 2],
    workspace: Workspace,
}

impl Engine {
    /// An engine with the parameters of a model.
    pub(crate) fn new<M: Model>(model: &M, backend: Backend) -> Result<Self, Error> {
        let network = M::NETWORK;
        let vectors = network.parameter_vectors();
        Ok(Self {
            network,
            backend,
            parameters: padded(model)?,
            gradients: Buffer::zeroed(vectors),
            moments: [Buffer::zeroed(0), Buffer::zeroed(0)],
            workspace: Workspace::new(network),
        })
    }

    /// Makes room for what an optimizer keeps.
    pub(crate) fn set_moments(&mut self, count: usize) {
        for moment in &mut self.moments[..count] {
            *moment = Buffer::zeroed(self.network.parameter_vectors());
        }
    }

    pub(crate) fn backend(&self) -> Backend {
        self.backend
    }

    pub(crate) fn set_backend(&mut self, backend: Backend) {
        self.backend = backend;
    }

    /// Copies one tensor's parameters out, row-major.
    pub(crate) fn store_parameters(&self, tensor: Tensor, values: &mut [f32]) {
        unpad(self.parameters.floats(), tensor, values);
    }

    /// Copies one tensor's gradients out, row-major.
    pub(crate) fn store_gradients(&self, tensor: Tensor, values: &mut [f32]) {
        unpad(self.gradients.floats(), tensor, values);
    }

    /// The mean loss of a checked batch, or data set, of an `M`.
    pub(crate) fn loss<M: Model>(&mut self, batch: Batch<'_>) -> f32 {
        run::<M>(
            self.backend,
            BatchStep {
                shape: self.network,
                parameters: self.parameters.vectors(),
                examples: batch.len,
                inputs: batch.inputs,
                task: Task::Loss {
                    targets: batch.targets,
                },
                workspace: &mut self.workspace,
            },
        )
    }

    /// The mean loss of a checked batch of an `M`; its gradients stay in the engine.
    pub(crate) fn gradients<M: Model>(&mut self, batch: Batch<'_>) -> f32 {
        run::<M>(
            self.backend,
            BatchStep {
                shape: self.network,
                parameters: self.parameters.vectors(),
                examples: batch.len,
                inputs: batch.inputs,
                task: Task::Gradients {
                    targets: batch.targets,
                    gradients: self.gradients.vectors_mut(),
                },
                workspace: &mut self.workspace,
            },
        )
    }

    /// The loss of one checked example of an `M`, on the path for single examples; its gradients stay in the engine.
    pub(crate) fn example_gradients<M: Model>(
        &mut self,
        inputs: Inputs<'_>,
        targets: Targets<'_>,
    ) -> f32 {
        let gradients = ExampleGradients {
            shape: self.network,
            parameters: self.parameters.vectors(),
            inputs,
            targets,
            workspace: &mut self.workspace,
            gradients: self.gradients.vectors_mut(),
        };
        run_example::<M>(self.backend, gradients)
    }

    /// What the head of an `M` makes of one example, or its logits, on the path for single examples.
    pub(crate) fn example_outputs<M: Model>(
        &self,
        inputs: Inputs<'_>,
        normalise: bool,
    ) -> Result<PredictionOf<M>, Error> {
        predict::<M>(self.backend, self.parameters.vectors(), inputs, normalise)
    }

    /// One step of an optimizer with the gradients computed last. On an error nothing has changed.
    ///
    /// Gradients whose norm is above `longest` are scaled to it first.
    pub(crate) fn update(
        &mut self,
        optimizer: Optimizer,
        longest: Option<f32>,
        loss: f32,
        step: u64,
    ) -> Result<(), Error> {
        let scale = longest.map_or(1.0, |longest| self.clip(longest));
        let rule = Step::of(optimizer, step + 1, scale);
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
                step,
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

/// Runs a task with the shape of an `M` as constants, where the backend has instructions of its own.
///
/// With debug assertions on, that is in a debug build, it runs the form for every shape, which is compiled in this crate and
/// so can be optimised although the embedding program is not.
fn run<M: Model>(backend: Backend, step: BatchStep<'_, Network>) -> f32 {
    if cfg!(debug_assertions) {
        return run_any(backend, step);
    }
    let network = step.shape;
    match backend.run_if_native(step.with_shape(Fixed::<M>::SHAPE)) {
        Ok(loss) => loss,
        Err(step) => run_any(backend, step.with_shape(network)),
    }
}

/// Runs a task for a network of any shape.
fn run_any(backend: Backend, step: BatchStep<'_, Network>) -> f32 {
    backend.run_general(step)
}

/// As [`run`], for one example.
fn run_example<M: Model>(backend: Backend, gradients: ExampleGradients<'_, Network>) -> f32 {
    fn run_any(backend: Backend, gradients: ExampleGradients<'_, Network>) -> f32 {
        backend.run_general(gradients)
    }
    if cfg!(debug_assertions) {
        return run_any(backend, gradients);
    }
    let network = gradients.shape;
    match backend.run_if_native(gradients.with_shape(Fixed::<M>::SHAPE)) {
        Ok(loss) => loss,
        Err(gradients) => run_any(backend, gradients.with_shape(network)),
    }
}

/// The outputs of one example of an `M`, if all are finite.
pub(crate) fn predict<M: Model>(
    backend: Backend,
    parameters: &[[f32; LANES]],
    inputs: Inputs<'_>,
    normalise: bool,
) -> Result<PredictionOf<M>, Error> {
    let mut prediction = M::Head::blank();
    let outputs = prediction.as_mut();
    write_outputs::<M>(backend, parameters, inputs, normalise, outputs);
    // No early exit, so that it vectorises.
    if outputs
        .iter()
        .fold(true, |finite, value| finite & value.is_finite())
    {
        return Ok(prediction);
    }
    let output = outputs.iter().position(|value| !value.is_finite());
    let output = output.unwrap_or_default();
    Err(Error::NonFinitePrediction {
        output,
        value: outputs[output],
    })
}

fn write_outputs<M: Model>(
    backend: Backend,
    parameters: &[[f32; LANES]],
    inputs: Inputs<'_>,
    normalise: bool,
    outputs: &mut [f32],
) {
    fn run_any(backend: Backend, outputs: ExampleOutputs<'_, Network>) {
        backend.run_general(outputs);
    }
    let network = M::NETWORK;
    let outputs = ExampleOutputs {
        shape: network,
        parameters,
        inputs,
        normalise,
        outputs,
    };
    if cfg!(debug_assertions) {
        return run_any(backend, outputs);
    }
    if let Err(outputs) = backend.run_if_native(outputs.with_shape(Fixed::<M>::SHAPE)) {
        run_any(backend, outputs.with_shape(network));
    }
}

/// A model's parameters in padded storage, if all are finite.
pub(crate) fn padded<M: Model>(model: &M) -> Result<Buffer, Error> {
    let mut buffer = Buffer::zeroed(M::NETWORK.parameter_vectors());
    let mut tensors = M::NETWORK.tensors();
    let mut result = Ok(());
    model.visit(&mut |_, values| {
        if let (Some(tensor), Ok(())) = (tensors.next(), &result) {
            result = pad(buffer.floats_mut(), tensor, values);
        }
    });
    result.map(|()| buffer)
}

fn pad(padded: &mut [f32], tensor: Tensor, values: &[f32]) -> Result<(), Error> {
    for (row, values) in values.chunks_exact(tensor.columns).enumerate() {
        if let Some(column) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::NonFiniteParameter {
                tensor: tensor.name,
                row,
                column,
                value: values[column],
            });
        }
        padded[tensor.start + row * tensor.stride..][..tensor.columns].copy_from_slice(values);
    }
    Ok(())
}

fn unpad(padded: &[f32], tensor: Tensor, values: &mut [f32]) {
    for (row, values) in values.chunks_exact_mut(tensor.columns).enumerate() {
        values.copy_from_slice(&padded[tensor.start + row * tensor.stride..][..tensor.columns]);
    }
}
