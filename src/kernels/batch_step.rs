//! Forward and backward over a batch: the loss and all gradients, in one pass.
//!
//! Lanes run over examples. A batch is taken in chunks of [`CHUNK`] examples, and activations are stored
//! `[feature][example]`, so that a row of one feature is two vectors: no padding inside, no sums across lanes, and a
//! softmax that works down columns. Gradients of the weights sum over examples; for them the gradients of the outputs and
//! of the neurons are transposed to lanes over features. Besides these only the inputs are transposed, and for an embedding
//! their gradient, both of them narrow.
//!
//! The chunks add to one set of gradients in their order, so the working storage does not grow with the batch, and a
//! gradient is one sequence of multiply-adds over all examples of the batch. With the last chunk a gradient is complete, and
//! what it becomes is stored: see [`Finish`]. Lanes beyond the last example compute on zeros, up to the outputs, whose
//! gradient is set to zero in them.

use super::chunk::{CHUNK, HALVES, PANEL, Workspace};
use super::contract::Out;
use super::embedding::{gather, scatter};
use super::finish::Finish;
use super::heads::loss;
use super::products::{DHidden, DX, Gradients, Hidden, Layers, OuterProducts, OutputsOf};
use super::shape::{Count, Features, Neurons, Shape, Shaped, ShapedKernel};
use super::transpose::{add_sums, transpose};
use crate::network::{Batch, Inputs, Network};
use crate::simd::{Backend, Kernel, LANES, Pair, Simd};

/// The mean loss of a batch that was checked against the network, and its gradients if they are wanted.
pub(crate) struct BatchStep<'a> {
    pub(crate) parameters: &'a [[f32; LANES]],
    pub(crate) batch: Batch<'a>,
    pub(crate) wanted: Option<Wanted<'a>>,
    pub(crate) workspace: &'a mut Workspace,
}

/// The derivative of the loss with respect to every parameter, or what it becomes.
pub(crate) struct Wanted<'a> {
    /// Overwritten.
    pub(crate) gradients: &'a mut [[f32; LANES]],
    pub(crate) finish: Finish,
}

impl ShapedKernel for BatchStep<'_> {
    /// The mean loss.
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd, N: Shape>(self, simd: S, shape: N) -> f32 {
        let Self {
            parameters,
            batch,
            mut wanted,
            workspace,
        } = self;
        let network = shape.get();
        let layers = Layers::of(shape, parameters);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a batch of 2²⁴ examples may round"
        )]
        let scale = 1.0 / batch.len as f32;
        let mut total = 0.0_f64;
        for start in (0..batch.len).step_by(CHUNK) {
            let examples = CHUNK.min(batch.len - start);
            let inputs = batch.inputs.slice(network, start, examples);
            let targets = batch.targets.slice(network, start, examples);
            forward(simd, layers, inputs, examples, workspace);
            let outputs = workspace.outputs.vectors_mut();
            total += loss(simd, network, targets, examples, scale, outputs);
            if let Some(Wanted { gradients, finish }) = &mut wanted {
                let is_last = start + examples == batch.len;
                let place = Place {
                    is_first: start == 0,
                    finish: if is_last { *finish } else { Finish::Gradient },
                };
                backward(simd, layers, inputs, examples, place, workspace, gradients);
            }
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "the mean is rounded to f32 once, here"
        )]
        let mean = (total / batch.len as f64) as f32;
        mean
    }

    fn run_any(self, backend: Backend, shape: Network) -> f32 {
        backend.run_general(Shaped {
            kernel: self,
            shape,
        })
    }
}

/// The outputs of a chunk:
///
/// ```text
/// z = b1 + W1ᵀ·x     h = activation(z)     outputs = b2 + W2ᵀ·h
/// ```
#[inline(always)]
fn forward<S: Simd, N: Shape>(
    simd: S,
    layers: Layers<'_, N>,
    inputs: Inputs<'_>,
    examples: usize,
    workspace: &mut Workspace,
) {
    let halves = examples.div_ceil(LANES);
    let Workspace {
        x,
        hidden,
        outputs,
        columns,
        ..
    } = workspace;
    gather(
        simd,
        layers.shape.get(),
        inputs,
        examples,
        layers.embedding,
        columns.pairs_mut(),
        x.pairs_mut(),
    );
    product::<S, N, _>(
        simd,
        Hidden {
            layers,
            halves,
            x: x.pairs(),
            hidden: hidden.vectors_mut(),
        },
    );
    product::<S, N, _>(
        simd,
        OutputsOf {
            layers,
            halves,
            hidden: hidden.pairs(),
            outputs: outputs.vectors_mut(),
        },
    );
}

/// Runs a product: inlined, for 2 % of a step where the shape is known and a tenth where it is not; but as a function of its own
/// in the form for all shapes of a debug build, whose checks would otherwise cost registers in the midst of a tile, and a third
/// of the step.
#[inline(always)]
fn product<S: Simd, N: Shape, K: Kernel>(simd: S, kernel: K) -> K::Output {
    if N::FIXED.is_none() && cfg!(debug_assertions) {
        simd.call(kernel)
    } else {
        kernel.run(simd)
    }
}

/// A chunk's place in its batch.
#[derive(Clone, Copy)]
struct Place {
    /// Whether its gradients are written, and not added to earlier ones.
    is_first: bool,
    /// What the sums of gradients then become: themselves, before the last chunk.
    finish: Finish,
}

/// From the gradient of the outputs to those of all parameters, added to `gradients`, and after the last chunk to what they
/// become:
///
/// ```text
/// d_W2 = Σ_b h_b ⊗ d_outputs_b     d_z = (W2·d_outputs) ∘ activation'(z)     d_W1 = Σ_b x_b ⊗ d_z_b     d_x = W1·d_z
/// ```
#[inline(always)]
fn backward<S: Simd, N: Shape>(
    simd: S,
    layers: Layers<'_, N>,
    inputs: Inputs<'_>,
    examples: usize,
    place: Place,
    workspace: &mut Workspace,
    gradients: &mut [[f32; LANES]],
) {
    let shape = layers.shape;
    let network = shape.get();
    let halves = examples.div_ceil(LANES);
    let Gradients {
        d_embedding,
        d_w1,
        d_b1,
        d_w2,
        d_b2,
    } = Gradients::of(network, gradients);
    if place.is_first {
        // One by one, each of a length that is known for a known shape: a few stores then, and no call.
        d_embedding.as_flattened_mut().fill(0.0);
        d_b1.as_flattened_mut().fill(0.0);
        d_b2.as_flattened_mut().fill(0.0);
    }
    let Workspace {
        x,
        hidden,
        outputs,
        columns,
        embedding,
    } = workspace;
    let columns = columns.pairs_mut();
    let mut chunk = Chunk {
        examples,
        place,
        columns,
    };

    chunk.layer_gradient::<S, N, _>(
        simd,
        Neurons(shape),
        hidden.pairs(),
        outputs.pairs(),
        LayerGradient {
            weights: d_w2,
            bias: d_b2,
            parameters: layers.second,
        },
    );
    product::<S, N, _>(
        simd,
        DHidden {
            layers,
            halves,
            d_outputs: outputs.pairs(),
            hidden: hidden.vectors_mut(),
        },
    );
    chunk.layer_gradient::<S, N, _>(
        simd,
        Features(shape),
        x.pairs(),
        hidden.pairs(),
        LayerGradient {
            weights: d_w1,
            bias: d_b1,
            parameters: layers.first,
        },
    );

    if let Inputs::Tokens(tokens) = inputs {
        product::<S, N, _>(
            simd,
            DX {
                layers,
                halves,
                d_z: hidden.pairs(),
                d_x: x.vectors_mut(),
            },
        );
        scatter(
            simd,
            network,
            tokens,
            x.pairs(),
            chunk.columns,
            d_embedding,
            &mut embedding.vectors_mut()[..network.embedding_vectors()],
        );
        place.finish.replace(simd, layers.embedding, d_embedding);
    }
}

/// Where the gradients of a layer's parameters go.
struct LayerGradient<'a> {
    weights: &'a mut [[f32; LANES]],
    bias: &'a mut [[f32; LANES]],
    /// The weights, then the bias.
    parameters: &'a [[f32; LANES]],
}

/// A chunk, for the gradients of weights.
struct Chunk<'a> {
    examples: usize,
    place: Place,
    /// Room for a panel of the gradient of outputs or neurons, transposed.
    columns: &'a mut [Pair],
}

impl Chunk<'_> {
    /// The gradient of a layer's weights and biases, from its inputs `a[row][example]` and the gradient `d[column][example]`
    /// of its sums, panel after panel: what is transposed is used at once, while it is in the cache.
    #[inline(always)]
    fn layer_gradient<S: Simd, N: Shape, R: Count>(
        &mut self,
        simd: S,
        rows: R,
        a: &[Pair],
        d: &[Pair],
        LayerGradient {
            weights,
            bias,
            parameters,
        }: LayerGradient<'_>,
    ) {
        let stride = bias.len();
        for panel in 0..stride.div_ceil(HALVES) {
            let cols = HALVES.min(stride - panel * HALVES);
            let halves = self.examples.div_ceil(LANES);
            let sums = transpose(simd, &d[panel * PANEL..], halves, self.columns);
            add_sums(simd, sums, &mut bias[panel * HALVES..][..cols]);
            product::<S, N, _>(
                simd,
                OuterProducts {
                    rows,
                    a,
                    d: &self.columns[..self.examples],
                    is_first: self.place.is_first,
                    finish: self.place.finish,
                    parameters: &parameters[panel * HALVES..],
                    weights: Out {
                        vectors: &mut weights[panel * HALVES..],
                        stride,
                        cols,
                    },
                },
            );
        }
        let parameters = &parameters[rows.get() * stride..];
        self.place.finish.replace(simd, parameters, bias);
    }
}
