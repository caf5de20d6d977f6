//! The gradient of the loss with respect to the features of the inputs, and of nothing else.
//!
//! A chunk goes forward as in a step, and back without the gradients of the weights.

use core::marker::PhantomData;
use core::mem::take;

use super::block_step::{forward, split_inputs, split_last, split_outputs};
use super::chunk::{Workspace, pairs};
use super::dense::{InputGradient, run_product};
use super::heads::loss;
use super::shape::{Shape, Shaped, ShapedKernel};
use super::transpose::write_examples;
use crate::model::{Batch, Layer, ModelSpec, Pass};
use crate::simd::{Backend, LANES, Simd};

/// The sum of the losses of a chunk that was checked against the model, and its gradient with respect to the features.
pub(crate) struct InputGradients<'a> {
    pub(crate) parameters: &'a [[f32; LANES]],
    /// At most [`CHUNK`](super::chunk::CHUNK) examples, whose losses are not to be divided: the total of their weights is 1.
    pub(crate) chunk: Batch<'a>,
    pub(crate) workspace: &'a mut Workspace,
    /// `[example][feature]`; overwritten.
    pub(crate) d_inputs: &'a mut [f32],
}

impl ShapedKernel for InputGradients<'_> {
    /// The sum of the losses.
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd, N: Shape>(self, simd: S, shape: N) -> f64 {
        let Self {
            parameters,
            chunk,
            workspace,
            d_inputs,
        } = self;
        let spec = shape.get();
        let (inputs, examples) = (chunk.inputs, chunk.len);
        let outputs = forward(simd, shape, parameters, inputs, examples, 0, workspace);
        let total = loss(simd, spec.head, chunk, outputs);

        let Workspace {
            activations: [activations, _],
            columns,
            ..
        } = workspace;
        let mut pass = BackwardPass {
            simd,
            shape: PhantomData::<N>,
            vectors: examples.div_ceil(LANES),
            parameters: &parameters[..spec.used_vectors],
            activations: activations.vectors_mut(),
        };
        shape.backward(&mut pass);
        let width = spec.input.width();
        let d_x = pairs(pass.activations);
        write_examples(simd, d_x, width, columns.pairs_mut(), d_inputs);
        total
    }

    fn run_any(self, backend: Backend, shape: ModelSpec) -> f64 {
        backend.run_general(Shaped {
            kernel: self,
            shape,
        })
    }
}

/// A chunk on its way back from the outputs to the features.
struct BackwardPass<'a, S, N> {
    simd: S,
    shape: PhantomData<N>,
    vectors: usize,
    /// Of the layers to come, the next of them last.
    parameters: &'a [[f32; LANES]],
    /// Up to the gradient of the outputs of the next layer.
    activations: &'a mut [[f32; LANES]],
}

impl<S: Simd, N: Shape> Pass for BackwardPass<'_, S, N> {
    #[inline(always)]
    fn layer<L: Layer>(&mut self, layer: L) {
        let spec = layer.get();
        let (earlier, parameters) = split_last(self.parameters, spec.vectors());
        let (activations, d_outputs) = split_outputs(spec, take(&mut self.activations));
        let (slopes, inputs) = split_inputs(spec, &mut *activations);
        let gradient = InputGradient {
            layer,
            vectors: self.vectors,
            parameters,
            d_outputs: pairs(d_outputs),
            slopes,
            inputs,
        };
        run_product::<S, N, L, _>(self.simd, gradient);
        self.parameters = earlier;
        self.activations = activations;
    }
}
