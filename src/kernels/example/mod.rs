//! Forward and backward for one example: what an online learner or a search calls, where latency counts.
//!
//! Lanes run over the outputs of each layer, in the layouts that the parameters have anyway; nothing is transposed and no lane
//! is wasted on examples that are not there.
//!
//! A neuron's sum runs over its inputs in their order. The outputs', of which there may be few, run over neurons in blocks of
//! 256, and within one as four interleaved chains. So the rounding is not that of a batch of one; but it is the same on every
//! backend.
//!
//! A step waits for the one before, whose weights it reads. Scalar stores would defeat store-to-load forwarding for vector
//! loads, so what is stored as scalars is loaded as scalars. (The embedding is the exception: a step lies between.)

mod embedding;
mod heads;
mod layers;

use core::marker::PhantomData;
use core::mem::take;

use self::embedding::{Input, scatter};
use self::heads::{loss, normalise};
use self::layers::{activations, add_products, layer_backward};
use super::activation::differentiate;
use super::block_step::{split_last, split_last_mut};
use super::chunk::{Workspace, activation_vectors};
use super::finite::Outcome;
use super::gradient_use::GradientUse;
use super::shape::{Shape, Shaped, ShapedKernel, run_layer};
use crate::model::{Inputs, Layer, LayerInput, ModelSpec, Pass, Targets};
use crate::simd::{Backend, Kernel, LANES, Simd};

/// Neurons whose products are summed together.
const BLOCK: usize = 256;

/// Vectors of outputs that are computed together: 256 outputs, the most that a softmax has.
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
        for start in (0..spec.row_vectors()).step_by(MAX_VECTORS) {
            let vectors = MAX_VECTORS.min(spec.row_vectors() - start);
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
            if self.normalise {
                normalise(self.simd, head, z);
            }
            let outputs = self.outputs[start * LANES..].iter_mut();
            for (output, z) in outputs.zip(z.as_flattened()) {
                *output = *z;
            }
        }
    }
}

/// `h = activation(b + Wᵀ·inputs)`, of as many neurons as `h` has: those of the layer, or those and the padding.
struct HiddenLayer<'a, L> {
    layer: L,
    parameters: &'a [[f32; LANES]],
    inputs: Input<'a>,
    h: &'a mut [f32],
}

impl<L: Layer> Kernel for HiddenLayer<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            layer,
            parameters,
            inputs,
            h,
        } = self;
        let (vectors, tail) = h.as_chunks_mut();
        activations(simd, layer.get(), parameters, inputs, 0, vectors);
        if !tail.is_empty() {
            let mut last = [[0.0; LANES]];
            let group = vectors.len();
            activations(simd, layer.get(), parameters, inputs, group, &mut last);
            for lane in 0..LANES {
                if lane < tail.len() {
                    tail[lane] = last[0][lane];
                }
            }
        }
    }
}

/// `z = b + Wᵀ·h`, of the vectors of outputs from `start` on.
struct OutputLayer<'a, L> {
    layer: L,
    parameters: &'a [[f32; LANES]],
    h: &'a [f32],
    start: usize,
    z: &'a mut [[f32; LANES]],
}

impl<L: Layer> Kernel for OutputLayer<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            layer,
            parameters,
            h,
            start,
            z,
        } = self;
        let stride = layer.get().row_vectors();
        let (rows, bias) = parameters.split_at(layer.get().weight_vectors());
        for (z, bias) in z.iter_mut().zip(&bias[start..]) {
            simd.store(simd.load(bias), z);
        }
        for (h, rows) in h.chunks(BLOCK).zip(rows.chunks(BLOCK * stride)) {
            add_products(simd, h, rows, stride, start, z);
        }
    }
}

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
            activations,
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
            let (h, later) =
                take(&mut self.activations).split_at_mut(activation_vectors(spec.outputs));
            self.activations = later;
            let h = h[..spec.row_vectors()].as_flattened_mut();
            run_layer::<S, N, _>(
                self.simd,
                HiddenLayer {
                    layer,
                    parameters,
                    inputs: Input::Row(inputs),
                    h,
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
        let (inputs, d_inputs) = match spec.input {
            LayerInput::Hidden(_) => {
                let (activations, h) =
                    split_last(self.activations, activation_vectors(spec.inputs));
                self.activations = activations;
                let (_, d_h) = split_last_mut(&mut *d_earlier, spec.inputs.div_ceil(LANES));
                (h.as_flattened(), Some(d_h))
            }
            LayerInput::Embeddings => (self.x, Some(&mut *self.d_x)),
            LayerInput::Features => (self.x, None),
        };
        let backward = LayerBackward {
            layer,
            gradient_use: self.gradient_use,
            parameters,
            gradients,
            inputs,
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
            mut d_inputs,
        } = self;
        let spec = layer.get();
        let (weights, bias) = parameters[..spec.vectors()].split_at(spec.weight_vectors());
        let (d_weights, d_bias) = gradients[..spec.vectors()].split_at_mut(spec.weight_vectors());
        let of_weights = layer_backward(
            simd,
            gradient_use,
            &inputs[..spec.inputs],
            d_bias,
            weights,
            d_weights,
            d_inputs.as_deref_mut(),
        );
        if let (LayerInput::Hidden(activation), Some(d_h)) = (spec.input, d_inputs) {
            for (d_h, h) in d_h.iter_mut().zip(inputs.as_chunks().0) {
                let (h, d) = (simd.load(h), simd.load(d_h));
                simd.store(differentiate(simd, activation, h, d), d_h);
            }
        }
        let of_bias = gradient_use.replace(simd, bias, d_bias);
        let mut stored = [0.0; LANES];
        simd.store(simd.add(of_weights, of_bias), &mut stored);
        stored
    }
}
