//! Padded parameters, working storage and a backend: a model in the form that the kernels run on.

use crate::error::Error;
use crate::kernels::batch_step::{BatchStep, CHUNK, Task, Workspace};
use crate::kernels::buffer::Buffer;
use crate::kernels::shape::Fixed;
use crate::kernels::update::{Norm, Update};
use crate::mlp::{Model, PredictionOf};
use crate::network::{Batch, Inputs, Network, Tensor};
use crate::optimizer::Optimizer;
use crate::simd::Backend;

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
    /// An engine with all parameters zero.
    pub(crate) fn new(network: Network, backend: Backend) -> Self {
        let vectors = network.parameter_vectors();
        Self {
            network,
            backend,
            parameters: Buffer::zeroed(vectors),
            gradients: Buffer::zeroed(vectors),
            moments: [Buffer::zeroed(0), Buffer::zeroed(0)],
            workspace: Workspace::new(network),
        }
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

    /// Copies one tensor in, row-major, and refuses a value that is not finite.
    pub(crate) fn load(&mut self, tensor: Tensor, values: &[f32]) -> Result<(), Error> {
        let padded = &mut self.parameters.floats_mut()[tensor.start..];
        for (row, values) in values.chunks_exact(tensor.columns).enumerate() {
            if let Some(column) = values.iter().position(|value| !value.is_finite()) {
                return Err(Error::NonFiniteParameter {
                    tensor: tensor.name,
                    row,
                    column,
                    value: values[column],
                });
            }
            padded[row * tensor.stride..][..tensor.columns].copy_from_slice(values);
        }
        Ok(())
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
        let update = Update {
            optimizer,
            step: step + 1,
            scale,
            parameters: self.parameters.vectors_mut(),
            gradients: self.gradients.vectors(),
            moments: self.moments.each_mut().map(Buffer::vectors_mut),
        };
        if loss.is_finite() && self.backend.run(update) {
            Ok(())
        } else {
            Err(Error::NonFiniteStep {
                step,
                tensor: self.first_non_finite(optimizer),
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

    /// The first tensor that a step would have made non-finite.
    fn first_non_finite(&self, optimizer: Optimizer) -> &'static str {
        let (parameters, gradients) = (self.parameters.floats(), self.gradients.floats());
        let is_bad = |tensor: &Tensor, is_bad: &dyn Fn(f32, f32) -> bool| {
            let elements = tensor.start..tensor.start + tensor.rows * tensor.stride;
            let mut pairs = parameters[elements.clone()]
                .iter()
                .zip(&gradients[elements]);
            pairs.any(|(&parameter, &gradient)| is_bad(parameter, gradient))
        };
        // A gradient says more than a new value that overflows, and that more than a loss.
        let rate = optimizer.learning_rate();
        let tests: [&dyn Fn(f32, f32) -> bool; 2] = [
            &|_, gradient| !gradient.is_finite(),
            &|parameter, gradient| !(parameter - rate * gradient).is_finite(),
        ];
        tests
            .iter()
            .find_map(|test| self.network.tensors().find(|tensor| is_bad(tensor, test)))
            .map_or("loss", |tensor| tensor.name)
    }

    /// Writes what the head of an `M` makes of each example: class probabilities, or numbers.
    pub(crate) fn predict<M: Model>(
        &mut self,
        inputs: Inputs<'_>,
        predictions: &mut [PredictionOf<M>],
    ) {
        self.outputs::<M>(inputs, true, predictions);
    }

    /// Writes each example's outputs as the second layer gives them: logits, or numbers.
    pub(crate) fn logits<M: Model>(&mut self, inputs: Inputs<'_>, logits: &mut [PredictionOf<M>]) {
        self.outputs::<M>(inputs, false, logits);
    }

    fn outputs<M: Model>(
        &mut self,
        inputs: Inputs<'_>,
        normalise: bool,
        outputs: &mut [PredictionOf<M>],
    ) {
        for (chunk, outputs) in outputs.chunks_mut(CHUNK).enumerate() {
            run::<M>(
                self.backend,
                BatchStep {
                    shape: self.network,
                    parameters: self.parameters.vectors(),
                    examples: outputs.len(),
                    inputs: inputs.slice(self.network, chunk * CHUNK, outputs.len()),
                    task: Task::Outputs { normalise },
                    workspace: &mut self.workspace,
                },
            );
            let rows = self.workspace.outputs.floats().chunks_exact(CHUNK);
            for (output, row) in rows.take(self.network.outputs).enumerate() {
                for (example, &value) in outputs.iter_mut().zip(row) {
                    example.as_mut()[output] = value;
                }
            }
        }
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

fn unpad(padded: &[f32], tensor: Tensor, values: &mut [f32]) {
    for (row, values) in values.chunks_exact_mut(tensor.columns).enumerate() {
        values.copy_from_slice(&padded[tensor.start + row * tensor.stride..][..tensor.columns]);
    }
}
