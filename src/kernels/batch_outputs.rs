//! What a model makes of a chunk of examples.

use super::block_step::{forward, split_last};
use super::chunk::{Workspace, activation_vectors, pairs};
use super::heads::normalise;
use super::shape::{Shape, Shaped, ShapedKernel};
use super::transpose::write_examples;
use crate::model::{Inputs, ModelSpec};
use crate::simd::{Backend, LANES, Simd};

/// The outputs of a chunk of examples, as the last layer or the head gives them.
pub(crate) struct BatchOutputs<'a> {
    pub(crate) parameters: &'a [[f32; LANES]],
    pub(crate) inputs: Inputs<'a>,
    /// At most [`CHUNK`](super::chunk::CHUNK).
    pub(crate) examples: usize,
    /// Whether logits become probabilities.
    pub(crate) normalise: bool,
    pub(crate) workspace: &'a mut Workspace,
    /// `[example][output]`; overwritten.
    pub(crate) outputs: &'a mut [f32],
}

impl ShapedKernel for BatchOutputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, N: Shape>(self, simd: S, shape: N) {
        let Self {
            parameters,
            inputs,
            examples,
            workspace,
            outputs,
            ..
        } = self;
        let head = shape.get().head;
        let z = forward(simd, shape, parameters, inputs, examples, 0, workspace);
        if self.normalise {
            normalise(simd, head, z);
        }
        let Workspace {
            activations: [activations, _],
            columns,
            ..
        } = workspace;
        let (_, z) = split_last(activations.vectors(), activation_vectors(head.outputs));
        write_examples(simd, pairs(z), head.outputs, columns.pairs_mut(), outputs);
    }

    fn run_any(self, backend: Backend, shape: ModelSpec) {
        backend.run_general(Shaped {
            kernel: self,
            shape,
        });
    }
}
