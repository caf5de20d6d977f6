//! Forward and backward over a block of examples: the loss and all gradients, in one pass.
//!
//! Lanes run over examples. A block is taken in chunks of [`CHUNK`] examples, and activations are stored
//! `[feature][example]`, so that a row of one feature is two vectors: no padding inside, no sums across lanes, and a
//! softmax that works down columns. Gradients of weights sum over examples; for them the gradients of each layer's outputs
//! are transposed to lanes over features. Besides these only the inputs are transposed, and for an embedding their gradient,
//! both of them narrow.
//!
//! All chunks go forward, and then back together, layer by layer: a gradient is one sequence of multiply-adds over the examples
//! of the block, is complete when it leaves the registers, and is used there: see [`GradientUse`]. Blocks are added by
//! [`pairwise`](super::pairwise). Lanes beyond the last example compute on zeros, up to the outputs, whose gradient is set to
//! zero in them.

use core::marker::PhantomData;
use core::mem::take;

use super::chunk::{
    CHUNK, CHUNKS, PANEL, VECTORS, Workspace, activation_vectors, pairs, pairs_mut, slope_vectors,
};
use super::contract::Out;
use super::dense::{Forward, InputGradient, NarrowGradients, WeightGradient, product, run_product};
use super::embedding::{gather, scatter};
use super::gradient_use::GradientUse;
use super::heads::loss;
use super::shape::{Shape, Shaped, ShapedKernel, run_layer};
use super::transpose::{add_sums, transpose};
use crate::model::{Batch, Inputs, Layer, LayerInput, LayerSpec, ModelSpec, Pass};
use crate::simd::{Backend, Kernel, LANES, Pair, Simd};

/// The sum of the losses of a block that was checked against the model, each times its weight, and with [`Backward`] the gradients of
/// its part of the mean over the whole batch.
pub(crate) struct BlockStep<'a> {
    pub(crate) parameters: &'a [[f32; LANES]],
    /// At most [`BLOCK`](super::pairwise::BLOCK) examples.
    pub(crate) block: Batch<'a>,
    pub(crate) backward: Option<Backward<'a>>,
    pub(crate) workspace: &'a mut Workspace,
}

/// The derivative of the loss with respect to every parameter, and what it is used for.
pub(crate) struct Backward<'a> {
    /// Overwritten.
    pub(crate) gradients: &'a mut [[f32; LANES]],
    pub(crate) gradient_use: GradientUse,
    /// What gradients are added to, laid out as they are.
    pub(crate) operands: &'a [[f32; LANES]],
}

impl ShapedKernel for BlockStep<'_> {
    /// The sum of the losses.
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd, N: Shape>(self, simd: S, shape: N) -> f64 {
        let Self {
            parameters,
            block,
            backward,
            workspace,
        } = self;
        let spec = shape.get();
        let mut total = 0.0_f64;
        for (chunk, start) in (0..block.len).step_by(CHUNK).enumerate() {
            let examples = CHUNK.min(block.len - start);
            let part = block.slice(spec, start, examples);
            let inputs = part.inputs;
            let outputs = forward(simd, shape, parameters, inputs, examples, chunk, workspace);
            total += loss(simd, spec.head, part, outputs);
        }
        if let Some(uses) = backward {
            let (inputs, examples) = (block.inputs, block.len);
            backpropagate(simd, shape, parameters, inputs, examples, uses, workspace);
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

/// The outputs of a chunk, `[output][example]`.
#[inline(always)]
pub(super) fn forward<'a, S: Simd, N: Shape>(
    simd: S,
    shape: N,
    parameters: &[[f32; LANES]],
    inputs: Inputs<'_>,
    examples: usize,
    chunk: usize,
    workspace: &'a mut Workspace,
) -> &'a mut [[f32; LANES]] {
    let input = shape.get().input;
    let (embedding, parameters) = parameters.split_at(input.embedding_vectors());
    let [first, second] = workspace.activations.each_mut();
    let activations = if chunk == 0 { first } else { second }.vectors_mut();
    gather(
        simd,
        input,
        inputs,
        examples,
        embedding,
        workspace.columns.pairs_mut(),
        pairs_mut(&mut activations[..activation_vectors(input.width())]),
    );
    let mut pass = ForwardPass {
        simd,
        shape: PhantomData::<N>,
        vectors: examples.div_ceil(LANES),
        parameters,
        activations,
    };
    shape.forward(&mut pass);
    pass.activations
}

/// A chunk on its way from the input to the outputs.
struct ForwardPass<'p, 'a, S, N> {
    simd: S,
    shape: PhantomData<N>,
    /// Vectors of a row that have examples.
    vectors: usize,
    /// Of the layers to come.
    parameters: &'p [[f32; LANES]],
    /// From the inputs of the next layer on.
    activations: &'a mut [[f32; LANES]],
}

impl<S: Simd, N: Shape> Pass for ForwardPass<'_, '_, S, N> {
    #[inline(always)]
    fn layer<L: Layer>(&mut self, layer: L) {
        let spec = layer.get();
        let (parameters, later) = self.parameters.split_at(spec.vectors());
        let (inputs, outputs) =
            take(&mut self.activations).split_at_mut(activation_vectors(spec.inputs));
        let (slopes, outputs) =
            outputs.split_at_mut(slope_vectors(spec.outputs, spec.stores_slope()));
        let forward = Forward {
            layer,
            vectors: self.vectors,
            parameters,
            inputs: pairs(inputs),
            slopes,
            outputs: &mut outputs[..activation_vectors(spec.outputs)],
        };
        run_product::<S, N, L, _>(self.simd, forward);
        self.parameters = later;
        self.activations = outputs;
    }
}

/// From the gradients of the outputs of a block, whose activations are known, to those of all parameters, which are used.
#[inline(always)]
fn backpropagate<S: Simd, N: Shape>(
    simd: S,
    shape: N,
    parameters: &[[f32; LANES]],
    inputs: Inputs<'_>,
    examples: usize,
    backward: Backward<'_>,
    workspace: &mut Workspace,
) {
    let spec = shape.get();
    let Workspace {
        activations: [first, second],
        columns,
        embedding: scratch,
    } = workspace;
    let Backward {
        gradients,
        gradient_use,
        operands,
    } = backward;
    let table_vectors = spec.input.embedding_vectors();
    let parameters = &parameters[table_vectors..spec.used_vectors];
    let (table_operands, operands) = operands[..spec.used_vectors].split_at(table_vectors);
    let (d_table, d_layers) = gradients[..spec.used_vectors].split_at_mut(table_vectors);
    let mut pass = BackwardPass {
        simd,
        shape: PhantomData::<N>,
        examples,
        gradient_use,
        parameters,
        operands,
        gradients: d_layers,
        first: first.vectors_mut(),
        second: second.vectors_mut(),
        columns: columns.pairs_mut(),
    };
    shape.backward(&mut pass);
    if let Inputs::Tokens(_) = inputs {
        d_table.as_flattened_mut().fill(0.0);
        let BackwardPass {
            first,
            second,
            columns,
            ..
        } = pass;
        let sums = &mut scratch.vectors_mut()[..table_vectors];
        for (chunk, d_x) in [&*first, &*second].into_iter().enumerate() {
            let start = chunk * CHUNK;
            if start < examples {
                let count = CHUNK.min(examples - start);
                if let Inputs::Tokens(tokens) = inputs.slice(spec, start, count) {
                    scatter(simd, spec.input, tokens, pairs(d_x), columns, d_table, sums);
                }
            }
        }
        gradient_use.replace(simd, table_operands, d_table);
    }
}

/// A block on its way back from the outputs to the input.
struct BackwardPass<'a, S, N> {
    simd: S,
    shape: PhantomData<N>,
    examples: usize,
    gradient_use: GradientUse,
    /// Of the layers to come, the next of them last.
    parameters: &'a [[f32; LANES]],
    operands: &'a [[f32; LANES]],
    gradients: &'a mut [[f32; LANES]],
    /// Of the first chunk, up to the gradient of the outputs of the next layer.
    first: &'a mut [[f32; LANES]],
    /// Of the second chunk.
    second: &'a mut [[f32; LANES]],
    /// Scratch for a panel of these gradients, transposed.
    columns: &'a mut [Pair],
}

impl<S: Simd, N: Shape> Pass for BackwardPass<'_, S, N> {
    #[inline(always)]
    fn layer<L: Layer>(&mut self, layer: L) {
        let spec = layer.get();
        let (earlier, parameters) = split_last(self.parameters, spec.vectors());
        let (earlier_operands, operands) = split_last(self.operands, spec.vectors());
        let (d_earlier, gradients) = split_last_mut(take(&mut self.gradients), spec.vectors());
        let (first, d_first) = split_outputs(spec, take(&mut self.first));
        let (second, d_second) = split_outputs(spec, take(&mut self.second));
        let (first_slopes, first_inputs) = split_inputs(spec, &mut *first);
        let (second_slopes, second_inputs) = split_inputs(spec, &mut *second);
        let backward = LayerBackward {
            layer,
            examples: self.examples,
            gradient_use: self.gradient_use,
            parameters,
            operands,
            gradients,
            slopes: [first_slopes, second_slopes],
            inputs: [first_inputs, second_inputs],
            d_outputs: [pairs(d_first), pairs(d_second)],
            columns: self.columns,
        };
        run_layer::<S, N, _>(self.simd, backward);
        self.parameters = earlier;
        self.operands = earlier_operands;
        self.gradients = d_earlier;
        self.first = first;
        self.second = second;
    }
}

/// Of activations up to a layer's outputs: those up to its inputs, and the gradient of its outputs.
#[inline(always)]
pub(super) fn split_outputs(
    layer: LayerSpec,
    activations: &mut [[f32; LANES]],
) -> (&mut [[f32; LANES]], &[[f32; LANES]]) {
    let (earlier, d_outputs) = split_last_mut(activations, activation_vectors(layer.outputs));
    let slopes = slope_vectors(layer.outputs, layer.stores_slope());
    (split_last_mut(earlier, slopes).0, d_outputs)
}

/// Of activations up to a layer's inputs: the slopes of these, if they are stored, and the inputs.
#[inline(always)]
pub(super) fn split_inputs(
    layer: LayerSpec,
    activations: &mut [[f32; LANES]],
) -> (&[[f32; LANES]], &mut [[f32; LANES]]) {
    let (earlier, inputs) = split_last_mut(activations, activation_vectors(layer.inputs));
    let slopes = slope_vectors(layer.inputs, layer.input.stores_slope());
    (split_last(earlier, slopes).1, inputs)
}

/// All but the last `count`, and these.
#[inline(always)]
pub(crate) fn split_last(
    vectors: &[[f32; LANES]],
    count: usize,
) -> (&[[f32; LANES]], &[[f32; LANES]]) {
    vectors.split_at(vectors.len() - count)
}

/// As [`split_last`], for writing.
#[inline(always)]
pub(crate) fn split_last_mut(
    vectors: &mut [[f32; LANES]],
    count: usize,
) -> (&mut [[f32; LANES]], &mut [[f32; LANES]]) {
    vectors.split_at_mut(vectors.len() - count)
}

/// Backward through one layer, from the gradient d of its outputs' sums:
///
/// ```text
/// d_W = Σ_b a_b ⊗ d_b     d_b = Σ_b d_b     d_a = (W·d) ∘ activation'
/// ```
struct LayerBackward<'a, L> {
    layer: L,
    /// Of the block.
    examples: usize,
    gradient_use: GradientUse,
    /// The weights, then the bias.
    parameters: &'a [[f32; LANES]],
    /// Laid out as the parameters, like the gradients.
    operands: &'a [[f32; LANES]],
    gradients: &'a mut [[f32; LANES]],
    /// The slopes of the inputs' activation, chunk by chunk, if they are stored.
    slopes: [&'a [[f32; LANES]]; CHUNKS],
    /// The layer's inputs a, chunk by chunk, replaced by the gradient d_a unless they are features.
    inputs: [&'a mut [[f32; LANES]]; CHUNKS],
    d_outputs: [&'a [Pair]; CHUNKS],
    columns: &'a mut [Pair],
}

impl<L: Layer> Kernel for LayerBackward<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            layer,
            examples,
            gradient_use,
            parameters,
            operands,
            gradients,
            slopes,
            inputs,
            d_outputs,
            columns,
        } = self;
        let spec = layer.get();
        let chunks = examples.div_ceil(CHUNK);
        let vectors_of = |chunk| CHUNK.min(examples - chunk * CHUNK).div_ceil(LANES);
        let (d_weights, d_bias) = gradients.split_at_mut(spec.weight_vectors());
        if const { L::MAY_BE_NARROW } && spec.is_narrow() {
            let gradients = NarrowGradients {
                layer,
                vectors: [vectors_of(0), if chunks > 1 { vectors_of(1) } else { 0 }],
                inputs: [pairs(inputs[0]), pairs(inputs[1])],
                d: d_outputs,
                gradient_use,
                operands,
                weights: d_weights,
                bias: &mut d_bias[0],
            };
            product::<S, L, _>(simd, gradients);
        } else if const { L::MAY_BE_WIDE } {
            let stride = spec.row_vectors();
            d_bias.as_flattened_mut().fill(0.0);
            // Panel after panel: what is transposed is used at once, while it is in the cache.
            for panel in 0..stride.div_ceil(VECTORS) {
                let cols = VECTORS.min(stride - panel * VECTORS);
                for chunk in 0..chunks {
                    let columns = &mut columns[chunk * CHUNK..][..CHUNK];
                    let d = &d_outputs[chunk][panel * PANEL..];
                    let sums = transpose(simd, d, vectors_of(chunk), columns);
                    add_sums(simd, sums, &mut d_bias[panel * VECTORS..][..cols]);
                }
                let weight_gradient = WeightGradient {
                    layer,
                    inputs: [pairs(inputs[0]), pairs(inputs[1])],
                    d: &columns[..examples],
                    gradient_use,
                    operands: &operands[panel * VECTORS..],
                    weights: Out {
                        vectors: &mut d_weights[panel * VECTORS..],
                        stride,
                        cols,
                    },
                };
                product::<S, L, _>(simd, weight_gradient);
            }
        }
        gradient_use.replace(simd, &operands[spec.weight_vectors()..], d_bias);
        if spec.input != LayerInput::Features {
            for chunk in 0..chunks {
                let input_gradient = InputGradient {
                    layer,
                    vectors: vectors_of(chunk),
                    parameters,
                    d_outputs: d_outputs[chunk],
                    slopes: slopes[chunk],
                    inputs: &mut *inputs[chunk],
                };
                product::<S, L, _>(simd, input_gradient);
            }
        }
    }
}
