//! What a model makes of one example.

use core::mem::take;

use super::embedding::Input;
use super::heads::{normalise, normalise_many};
use super::{HiddenLayer, OutputLayer};
use crate::kernels::shape::{Shape, Shaped, ShapedKernel, run_layer};
use crate::model::{Inputs, Layer, ModelSpec, Pass};
use crate::simd::{Backend, LANES, Simd};

/// Vectors of outputs that are computed together, on the stack.
const MAX_VECTORS: usize = 256 / LANES;

/// The outputs of one example, as the last layer or the head gives them.
pub(crate) struct ExampleOutputs<'a, 's> {
    pub(crate) parameters: &'a [[f32; LANES]],
    pub(crate) inputs: Inputs<'a>,
    /// Whether logits become probabilities.
    pub(crate) normalise: bool,
    /// Scratch: the activations of each hidden layer.
    pub(crate) activations: &'a mut [&'s mut [f32]],
    pub(crate) outputs: &'a mut [f32],
}

impl ShapedKernel for ExampleOutputs<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, N: Shape>(self, simd: S, shape: N) {
        let spec = shape.get();
        let (embedding, parameters) = self.parameters.split_at(spec.input.embedding_vectors());
        let mut pass = Prediction {
            simd,
            shape,
            parameters,
            inputs: Input::of(spec.input, self.inputs, embedding),
            activations: self.activations,
            normalise: self.normalise,
            outputs: self.outputs,
        };
        shape.forward(&mut pass);
    }

    fn run_any(self, backend: Backend, shape: ModelSpec) {
        backend.run_general(Shaped {
            kernel: self,
            shape,
        });
    }
}

/// An example on its way from the input to the prediction.
struct Prediction<'a, 's, S, N> {
    simd: S,
    shape: N,
    /// Of the layers to come.
    parameters: &'a [[f32; LANES]],
    /// Of the next layer.
    inputs: Input<'a>,
    /// Of the hidden layers to come.
    activations: &'a mut [&'s mut [f32]],
    normalise: bool,
    outputs: &'a mut [f32],
}

impl<S: Simd, N: Shape> Pass for Prediction<'_, '_, S, N> {
    #[inline(always)]
    fn layer<L: Layer>(&mut self, layer: L) {
        let spec = layer.get();
        let (parameters, later) = self.parameters.split_at(spec.vectors());
        self.parameters = later;
        if const { L::MAY_BE_HIDDEN } && spec.activation.is_some() {
            self.hidden_layer(layer, parameters);
        } else if const { L::MAY_BE_LAST } {
            self.output_layer(layer, parameters);
        }
    }
}

impl<S: Simd, N: Shape> Prediction<'_, '_, S, N> {
    #[inline(always)]
    fn hidden_layer<L: Layer>(&mut self, layer: L, parameters: &[[f32; LANES]]) {
        let Some((h, later)) = take(&mut self.activations).split_first_mut() else {
            unreachable!("there is scratch for each hidden layer");
        };
        self.activations = later;
        let h = &mut h[..layer.get().outputs];
        run_layer::<S, N, _>(
            self.simd,
            HiddenLayer {
                layer,
                parameters,
                inputs: self.inputs,
                h,
                slopes: &mut [],
            },
        );
        self.inputs = Input::Row(h);
    }

    #[inline(always)]
    fn output_layer<L: Layer>(&mut self, layer: L, parameters: &[[f32; LANES]]) {
        let Input::Row(h) = self.inputs else {
            unreachable!("the last layer's inputs are neurons");
        };
        let (head, spec) = (self.shape.get().head, layer.get());
        for start in (0..spec.output_vectors()).step_by(MAX_VECTORS) {
            let vectors = MAX_VECTORS.min(spec.output_vectors() - start);
            let mut z = [[0.0; LANES]; MAX_VECTORS];
            let z = &mut z[..vectors];
            run_layer::<S, N, _>(
                self.simd,
                OutputLayer {
                    layer,
                    parameters,
                    h: &h[..spec.inputs],
                    start,
                    z,
                },
            );
            if self.normalise && vectors == spec.output_vectors() {
                normalise(self.simd, head, z);
            }
            let outputs = self.outputs[start * LANES..].iter_mut();
            for (output, z) in outputs.zip(z.as_flattened()) {
                *output = *z;
            }
        }
        if self.normalise && spec.output_vectors() > MAX_VECTORS {
            normalise_many(self.simd, head, self.outputs);
        }
    }
}
