//! Forward and backward over a block of examples: the loss and all gradients, in one pass.
//!
//! Lanes run over examples. A block is taken in chunks of [`CHUNK`] examples, and activations are stored
//! `[feature][example]`, so that a row of one feature is two vectors: no padding inside, no sums across lanes, and a
//! softmax that works down columns. Gradients of weights sum over examples; for them the gradients of each layer's outputs
//! are transposed to lanes over features. Besides these only the inputs are transposed, and for an embedding their gradient,
//! both of them narrow.
//!
//! The chunks add to one set of gradients in their order: a gradient is one sequence of multiply-adds over the examples of the
//! block. With the last chunk it is complete, and is used: see [`GradientUse`]. Blocks are added by
//! [`pairwise`](super::pairwise). Lanes beyond the last example compute on zeros, up to the outputs, whose gradient is set to
//! zero in them.

use core::marker::PhantomData;
use core::mem::take;

use super::chunk::{CHUNK, PANEL, VECTORS, Workspace, activation_vectors, pairs, pairs_mut};
use super::contract::Out;
use super::dense::{Forward, InputGradient, WeightGradient, product};
use super::embedding::{gather, scatter};
use super::gradient_use::GradientUse;
use super::heads::loss;
use super::shape::{Shape, Shaped, ShapedKernel, run_layer};
use super::transpose::{add_sums, transpose};
use crate::model::{Batch, Inputs, Layer, LayerInput, ModelSpec, Pass};
use crate::simd::{Backend, Kernel, LANES, Pair, Simd};

/// The sum of the losses of a block that was checked against the model, and with [`Backward`] the gradients of `scale` times
/// that sum.
pub(crate) struct BlockStep<'a> {
    pub(crate) parameters: &'a [[f32; LANES]],
    /// At most [`BLOCK`](super::pairwise::BLOCK) examples.
    pub(crate) block: Batch<'a>,
    /// One over the examples of the whole batch.
    pub(crate) scale: f32,
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

/// A chunk's position in its block.
#[derive(Clone, Copy)]
struct ChunkPosition {
    /// Whether its gradients are written, and not added to earlier ones.
    is_first: bool,
    /// What the sums of gradients are used for: stored, before the last chunk.
    gradient_use: GradientUse,
}

impl ShapedKernel for BlockStep<'_> {
    /// The sum of the losses.
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd, N: Shape>(self, simd: S, shape: N) -> f64 {
        let Self {
            parameters,
            block,
            scale,
            mut backward,
            workspace,
        } = self;
        let spec = shape.get();
        let mut total = 0.0_f64;
        for start in (0..block.len).step_by(CHUNK) {
            let examples = CHUNK.min(block.len - start);
            let inputs = block.inputs.slice(spec, start, examples);
            let targets = block.targets.slice(spec, start, examples);
            let outputs = forward(simd, shape, parameters, inputs, examples, workspace);
            total += loss(simd, spec.head, targets, examples, scale, outputs);
            if let Some(Backward {
                gradients,
                gradient_use,
                operands,
            }) = &mut backward
            {
                let is_last = start + examples == block.len;
                let position = ChunkPosition {
                    is_first: start == 0,
                    gradient_use: if is_last {
                        *gradient_use
                    } else {
                        GradientUse::Store
                    },
                };
                let chunk = Chunk {
                    inputs,
                    examples,
                    position,
                };
                chunk.backward(simd, shape, parameters, operands, workspace, gradients);
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

/// The outputs of a chunk, `[output][example]`.
#[inline(always)]
fn forward<'a, S: Simd, N: Shape>(
    simd: S,
    shape: N,
    parameters: &[[f32; LANES]],
    inputs: Inputs<'_>,
    examples: usize,
    workspace: &'a mut Workspace,
) -> &'a mut [[f32; LANES]] {
    let input = shape.get().input;
    let (embedding, parameters) = parameters.split_at(input.embedding_vectors());
    let activations = workspace.activations.vectors_mut();
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
        let forward = Forward {
            layer,
            vectors: self.vectors,
            parameters,
            inputs: pairs(inputs),
            outputs: &mut outputs[..activation_vectors(spec.outputs)],
        };
        if const { N::INLINES_LAYERS } {
            product::<S, L, _>(self.simd, forward);
        } else {
            self.simd.call(forward);
        }
        self.parameters = later;
        self.activations = outputs;
    }
}

/// A chunk whose activations are known, and the gradient of its outputs.
struct Chunk<'a> {
    inputs: Inputs<'a>,
    examples: usize,
    position: ChunkPosition,
}

impl Chunk<'_> {
    /// From the gradient of the outputs to those of all parameters, added to `gradients` or written there, and after the last
    /// chunk used.
    #[inline(always)]
    fn backward<S: Simd, N: Shape>(
        &self,
        simd: S,
        shape: N,
        parameters: &[[f32; LANES]],
        operands: &[[f32; LANES]],
        workspace: &mut Workspace,
        gradients: &mut [[f32; LANES]],
    ) {
        let spec = shape.get();
        let Workspace {
            activations,
            columns,
            embedding: scratch,
        } = workspace;
        let table_vectors = spec.input.embedding_vectors();
        let parameters = &parameters[table_vectors..spec.used_vectors];
        let (table_operands, operands) = operands[..spec.used_vectors].split_at(table_vectors);
        let (d_table, d_layers) = gradients[..spec.used_vectors].split_at_mut(table_vectors);
        let mut pass = BackwardPass {
            simd,
            shape: PhantomData::<N>,
            examples: self.examples,
            position: self.position,
            parameters,
            operands,
            gradients: d_layers,
            activations: activations.vectors_mut(),
            columns: columns.pairs_mut(),
        };
        shape.backward(&mut pass);
        if let Inputs::Tokens(tokens) = self.inputs {
            if self.position.is_first {
                d_table.as_flattened_mut().fill(0.0);
            }
            let BackwardPass {
                activations: d_x,
                columns,
                ..
            } = pass;
            let second = &mut scratch.vectors_mut()[..table_vectors];
            scatter(
                simd,
                spec.input,
                tokens,
                pairs(d_x),
                columns,
                d_table,
                second,
            );
            let gradient_use = self.position.gradient_use;
            gradient_use.replace(simd, table_operands, d_table);
        }
    }
}

/// A chunk on its way back from the outputs to the input.
struct BackwardPass<'a, S, N> {
    simd: S,
    shape: PhantomData<N>,
    examples: usize,
    position: ChunkPosition,
    /// Of the layers to come, the next of them last.
    parameters: &'a [[f32; LANES]],
    operands: &'a [[f32; LANES]],
    gradients: &'a mut [[f32; LANES]],
    /// Up to the gradient of the outputs of the next layer.
    activations: &'a mut [[f32; LANES]],
    /// Scratch for a panel of that gradient, transposed.
    columns: &'a mut [Pair],
}

impl<S: Simd, N: Shape> Pass for BackwardPass<'_, S, N> {
    #[inline(always)]
    fn layer<L: Layer>(&mut self, layer: L) {
        let spec = layer.get();
        let (earlier, parameters) = split_last(self.parameters, spec.vectors());
        let (earlier_operands, operands) = split_last(self.operands, spec.vectors());
        let (d_earlier, gradients) = split_last_mut(take(&mut self.gradients), spec.vectors());
        let (activations, d_outputs) = split_last_mut(
            take(&mut self.activations),
            activation_vectors(spec.outputs),
        );
        let (_, inputs) = split_last_mut(activations, activation_vectors(spec.inputs));
        let backward = LayerBackward {
            layer,
            examples: self.examples,
            position: self.position,
            parameters,
            operands,
            gradients,
            inputs,
            d_outputs: pairs(d_outputs),
            columns: self.columns,
        };
        run_layer::<S, N, _>(self.simd, backward);
        self.parameters = earlier;
        self.operands = earlier_operands;
        self.gradients = d_earlier;
        self.activations = activations;
    }
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
    examples: usize,
    position: ChunkPosition,
    /// The weights, then the bias.
    parameters: &'a [[f32; LANES]],
    /// Laid out as the parameters, like the gradients.
    operands: &'a [[f32; LANES]],
    gradients: &'a mut [[f32; LANES]],
    /// The layer's inputs a, replaced by the gradient d_a unless they are features.
    inputs: &'a mut [[f32; LANES]],
    d_outputs: &'a [Pair],
    columns: &'a mut [Pair],
}

impl<L: Layer> Kernel for LayerBackward<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            layer,
            examples,
            position:
                ChunkPosition {
                    is_first,
                    gradient_use,
                },
            parameters,
            operands,
            gradients,
            inputs,
            d_outputs,
            columns,
        } = self;
        let spec = layer.get();
        let stride = spec.row_vectors();
        let vectors = examples.div_ceil(LANES);
        let (d_weights, d_bias) = gradients.split_at_mut(spec.weight_vectors());
        if is_first {
            d_bias.as_flattened_mut().fill(0.0);
        }
        // Panel after panel: what is transposed is used at once, while it is in the cache.
        for panel in 0..stride.div_ceil(VECTORS) {
            let cols = VECTORS.min(stride - panel * VECTORS);
            let sums = transpose(simd, &d_outputs[panel * PANEL..], vectors, columns);
            add_sums(simd, sums, &mut d_bias[panel * VECTORS..][..cols]);
            let weight_gradient = WeightGradient {
                layer,
                inputs: pairs(inputs),
                d: &columns[..examples],
                is_first,
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
        gradient_use.replace(simd, &operands[spec.weight_vectors()..], d_bias);
        if spec.input != LayerInput::Features {
            let input_gradient = InputGradient {
                layer,
                vectors,
                parameters,
                d_outputs,
                inputs,
            };
            product::<S, L, _>(simd, input_gradient);
        }
    }
}
