//! Forward and backward for one example.

use core::marker::PhantomData;
use core::mem::take;

use super::embedding::{Input, scatter};
use super::heads::loss;
use super::layers::layer_backward;
use super::{HiddenLayer, OutputLayer, narrow};
use crate::kernels::activation::differentiate;
use crate::kernels::block_step::{split_last, split_last_mut};
use crate::kernels::chunk::{Workspace, activation_vectors, slope_vectors};
use crate::kernels::finite::Outcome;
use crate::kernels::gradient_use::GradientUse;
use crate::kernels::shape::{Shape, Shaped, ShapedKernel, run_layer};
use crate::model::{Inputs, Layer, LayerInput, ModelSpec, Pass, Targets};
use crate::simd::{Backend, Kernel, LANES, Simd};

/// The loss and all gradients of one example.
pub(crate) struct ExampleGradients<'a> {
    pub(crate) parameters: &'a [[f32; LANES]],
    pub(crate) inputs: Inputs<'a>,
    pub(crate) targets: Targets<'a>,
    pub(crate) workspace: &'a mut Workspace,
    pub(crate) gradient_use: GradientUse,
    /// Overwritten by the gradients, or by what they are used for.
    pub(crate) gradients: &'a mut [[f32; LANES]],
}

impl ShapedKernel for ExampleGradients<'_> {
    /// The loss, and the sum of all that was stored.
    type Output = Outcome;

    #[inline(always)]
    fn run<S: Simd, N: Shape>(self, simd: S, shape: N) -> Outcome {
        let spec = shape.get();
        let gradient_use = self.gradient_use;
        let table_vectors = spec.input.embedding_vectors();
        let (table, parameters) = self.parameters[..spec.used_vectors].split_at(table_vectors);
        let (d_table, gradients) = self.gradients[..spec.used_vectors].split_at_mut(table_vectors);
        let Workspace {
            activations: [activations, _],
            columns: d_x,
            embedding: sums,
        } = self.workspace;
        let (x, activations) = activations
            .vectors_mut()
            .split_at_mut(activation_vectors(spec.input.width()));
        let x =
            Input::of(spec.input, self.inputs, table).in_a_row(spec.input, x.as_flattened_mut());

        // The gradient of a bias is that of the outputs, so it is made where it is wanted; first these themselves.
        let (_, outputs) = split_last_mut(gradients, spec.head.outputs.div_ceil(LANES));
        let mut pass = ForwardPass {
            simd,
            shape: PhantomData::<N>,
            parameters,
            inputs: x,
            activations: &mut *activations,
            outputs: &mut *outputs,
        };
        shape.forward(&mut pass);
        let loss = loss(simd, spec.head, self.targets, outputs);

        let hidden_vectors = activations.len() - activation_vectors(spec.head.outputs);
        let mut pass = BackwardPass {
            simd,
            shape: PhantomData::<N>,
            gradient_use,
            parameters,
            gradients,
            x,
            d_x: d_x.vectors_mut(),
            activations: &activations[..hidden_vectors],
            sum: simd.splat(0.0),
        };
        shape.backward(&mut pass);
        let mut sum = pass.sum;
        if let Inputs::Tokens(tokens) = self.inputs {
            let d_x = &d_x.floats()[..spec.input.width()];
            let sums = &mut sums.floats_mut()[..table_vectors * LANES];
            let of_table = scatter(simd, gradient_use, tokens, d_x, sums, table, d_table);
            sum = simd.add(sum, of_table);
        }
        Outcome {
            loss,
            sum: simd.sum_lanes(sum),
        }
    }

    fn run_any(self, backend: Backend, shape: ModelSpec) -> Outcome {
        backend.run_general(Shaped {
            kernel: self,
            shape,
        })
    }
}

/// An example on its way from the input to the outputs, whose activations are kept.
struct ForwardPass<'a, S, N> {
    simd: S,
    shape: PhantomData<N>,
    /// Of the layers to come.
    parameters: &'a [[f32; LANES]],
    /// Of the next layer.
    inputs: &'a [f32],
    /// Of the hidden layers to come.
    activations: &'a mut [[f32; LANES]],
    outputs: &'a mut [[f32; LANES]],
}

impl<S: Simd, N: Shape> Pass for ForwardPass<'_, S, N> {
    #[inline(always)]
    fn layer<L: Layer>(&mut self, layer: L) {
        let spec = layer.get();
        let (parameters, later) = self.parameters.split_at(spec.vectors());
        self.parameters = later;
        let inputs = &self.inputs[..spec.inputs];
        if const { L::MAY_BE_HIDDEN } && spec.activation.is_some() {
            let stores_slope = spec.stores_slope();
            let (slopes, rest) =
                take(&mut self.activations).split_at_mut(slope_vectors(spec.outputs, stores_slope));
            let (h, later) = rest.split_at_mut(activation_vectors(spec.outputs));
            self.activations = later;
            let h = h[..spec.output_vectors()].as_flattened_mut();
            run_layer::<S, N, _>(
                self.simd,
                HiddenLayer {
                    layer,
                    parameters,
                    inputs: Input::Row(inputs),
                    h,
                    slopes,
                },
            );
            self.inputs = h;
        } else if const { L::MAY_BE_LAST } {
            run_layer::<S, N, _>(
                self.simd,
                OutputLayer {
                    layer,
                    parameters,
                    h: inputs,
                    start: 0,
                    z: self.outputs,
                },
            );
        }
    }
}

/// An example on its way back from the outputs to the input.
struct BackwardPass<'a, S: Simd, N> {
    simd: S,
    shape: PhantomData<N>,
    gradient_use: GradientUse,
    /// Of the layers to come, the next of them last.
    parameters: &'a [[f32; LANES]],
    /// Likewise; the last bias's is the gradient of the next layer's outputs.
    gradients: &'a mut [[f32; LANES]],
    /// The first layer's inputs.
    x: &'a [f32],
    /// The gradient of these, if they are embeddings.
    d_x: &'a mut [[f32; LANES]],
    /// Of the hidden layers to come, the next of them last.
    activations: &'a [[f32; LANES]],
    /// The sum of all that was stored.
    sum: S::Vector,
}

impl<S: Simd, N: Shape> Pass for BackwardPass<'_, S, N> {
    #[inline(always)]
    fn layer<L: Layer>(&mut self, layer: L) {
        let spec = layer.get();
        let (earlier, parameters) = split_last(self.parameters, spec.vectors());
        let (d_earlier, gradients) = split_last_mut(take(&mut self.gradients), spec.vectors());
        let (inputs, slopes, d_inputs) = match spec.input {
            LayerInput::Hidden(activation) => {
                let (earlier, h) = split_last(self.activations, activation_vectors(spec.inputs));
                let slopes = slope_vectors(spec.inputs, activation.stores_slope());
                let (activations, slopes) = split_last(earlier, slopes);
                self.activations = activations;
                let (_, d_h) = split_last_mut(&mut *d_earlier, spec.inputs.div_ceil(LANES));
                (h.as_flattened(), slopes, Some(d_h))
            }
            LayerInput::Embeddings => (self.x, &[][..], Some(&mut *self.d_x)),
            LayerInput::Features => (self.x, &[][..], None),
        };
        let backward = LayerBackward {
            layer,
            gradient_use: self.gradient_use,
            parameters,
            gradients,
            inputs,
            slopes,
            d_inputs,
        };
        let stored = run_layer::<S, N, _>(self.simd, backward);
        self.sum = self.simd.add(self.sum, self.simd.load(&stored));
        self.parameters = earlier;
        self.gradients = d_earlier;
    }
}

/// Backward through one layer, from the gradient d of its outputs' sums, which is that of its bias:
///
/// ```text
/// d_W = a ⊗ d     d_a = (W·d) ∘ activation'
/// ```
struct LayerBackward<'a, L> {
    layer: L,
    gradient_use: GradientUse,
    /// The weights, then the bias.
    parameters: &'a [[f32; LANES]],
    /// Those of the weights, to be written, then that of the bias, which is replaced by what it is used for.
    gradients: &'a mut [[f32; LANES]],
    /// The layer's inputs a; neurons with their padding.
    inputs: &'a [f32],
    /// The slopes of their activation, if they are stored.
    slopes: &'a [[f32; LANES]],
    /// Their gradient, if it is wanted.
    d_inputs: Option<&'a mut [[f32; LANES]]>,
}

impl<L: Layer> Kernel for LayerBackward<'_, L> {
    /// The sum of all that was stored, lane by lane.
    type Output = [f32; LANES];

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> [f32; LANES] {
        let Self {
            layer,
            gradient_use,
            parameters,
            gradients,
            inputs,
            slopes,
            mut d_inputs,
        } = self;
        let spec = layer.get();
        let (weights, bias) = parameters[..spec.vectors()].split_at(spec.weight_vectors());
        let (d_weights, d_bias) = gradients[..spec.vectors()].split_at_mut(spec.weight_vectors());
        let a = &inputs[..spec.inputs];
        let d_a = d_inputs.as_deref_mut();
        let of_weights = match d_a {
            Some(d_a) if const { L::MAY_BE_NARROW } && spec.is_narrow() => {
                let d = &d_bias.as_flattened()[..spec.outputs];
                narrow::backward(simd, gradient_use, a, d, weights, d_weights, d_a)
            }
            _ => layer_backward(simd, gradient_use, a, d_bias, weights, d_weights, d_a),
        };
        if let (LayerInput::Hidden(activation), Some(d_h)) = (spec.input, d_inputs) {
            let kept = if activation.stores_slope() {
                slopes
            } else {
                inputs.as_chunks().0
            };
            for (d_h, kept) in d_h.iter_mut().zip(kept) {
                let (kept, d) = (simd.load(kept), simd.load(d_h));
                simd.store(differentiate(simd, activation, kept, d), d_h);
            }
        }
        let of_bias = gradient_use.replace(simd, bias, d_bias);
        let mut stored = [0.0; LANES];
        simd.store(simd.add(of_weights, of_bias), &mut stored);
        stored
    }
}
