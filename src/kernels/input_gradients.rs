//! The gradient of the loss with respect to the features of the inputs, and of nothing else.
//!
//! A chunk goes forward as in a step, and back without the gradients of the weights.

use core::marker::PhantomData;
use core::mem::take;

use super::block_step::{forward, split_inputs, split_last, split_outputs};
use super::chunk::{CHUNK, PANEL, VECTORS, Workspace, pairs};
use super::dense::{InputGradient, product};
use super::heads::loss;
use super::shape::{Shape, Shaped, ShapedKernel};
use super::transpose::transpose;
use crate::model::{Batch, Layer, ModelSpec, Pass};
use crate::simd::{Backend, LANES, Simd};

/// The sum of the losses of a chunk that was checked against the model, and its gradient with respect to the features.
pub(crate) struct InputGradients<'a> {
    pub(crate) parameters: &'a [[f32; LANES]],
    /// At most [`CHUNK`] examples.
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
        let total = loss(simd, spec.head, chunk.targets, examples, 1.0, outputs);

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
        let columns = &mut columns.pairs_mut()[..CHUNK];
        for panel in 0..width.div_ceil(PANEL) {
            let d_x = &pairs(pass.activations)[panel * PANEL..];
            transpose(simd, d_x, VECTORS, columns);
            let features = panel * PANEL..width.min((panel + 1) * PANEL);
            for (d_input, row) in d_inputs.chunks_exact_mut(width).zip(&*columns) {
                let row = &row.as_flattened()[..features.len()];
                d_input[features.clone()].copy_from_slice(row);
            }
        }
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
        if const { N::INLINES_LAYERS } {
            product::<S, L, _>(self.simd, gradient);
        } else {
            self.simd.call(gradient);
        }
        self.parameters = earlier;
        self.activations = activations;
    }
}
