//! Forward and backward over a batch: the loss and all gradients, in one pass.
//!
//! Lanes run over examples. A batch is taken in chunks of [`CHUNK`] examples, and activations are stored
//! `[feature][example]`, so that a row of one feature is two vectors: no padding inside, no sums across lanes, and a
//! softmax that works down columns. Gradients of the weights sum over examples; for them the gradients of the outputs and
//! of the neurons are transposed to lanes over features, and that is all that is transposed.
//!
//! The chunks add to one set of gradients in their order, so the working storage does not grow with the batch, and a
//! gradient is one sequence of multiply-adds over all examples of the batch.

use super::buffer::Buffer;
use super::contract::{Added, Biased, ByColumn, ByRow, Epilogue, Extent, Plain, Rows, contract};
use super::embedding::{gather, scatter};
use super::heads::{loss, loss_and_gradient, normalise};
use super::math::tanh;
use super::transpose::{add_columns, transpose};
use crate::network::{ActivationKind, Batch, InputKind, Inputs, Network};
use crate::simd::{Kernel, LANES, Simd};

/// Examples that are worked on together.
pub(crate) const CHUNK: usize = 32;

/// Vectors of a row of one feature.
pub(crate) const HALVES: usize = CHUNK / LANES;

/// Activations and their gradients for one chunk.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    /// `[input][example]`: x, later d_x.
    x: Buffer,
    /// `[neuron][example]`: h, later d_z.
    hidden: Buffer,
    /// `[output][example]`: logits, later their gradient.
    outputs: Buffer,
    /// `[example][neuron]`: d_z.
    hidden_columns: Buffer,
    /// `[example][output]`: the gradient of the logits.
    output_columns: Buffer,
}

impl Workspace {
    pub(crate) fn new(network: Network) -> Self {
        Self {
            x: Buffer::zeroed(network.inputs() * HALVES),
            hidden: Buffer::zeroed(network.hidden_vectors() * LANES * HALVES),
            outputs: Buffer::zeroed(network.output_vectors() * LANES * HALVES),
            hidden_columns: Buffer::zeroed(CHUNK * network.hidden_vectors()),
            output_columns: Buffer::zeroed(CHUNK * network.output_vectors()),
        }
    }

    /// `[output][example]` of the chunk that was computed last.
    pub(crate) fn outputs(&self) -> &[f32] {
        self.outputs.floats()
    }
}

/// The padded parameters, or their gradients, of a network.
#[derive(Clone, Copy)]
struct Layers<'a> {
    network: Network,
    embedding: &'a [[f32; LANES]],
    /// A row of weights for each input, then the bias.
    first: &'a [[f32; LANES]],
    /// A row of weights for each neuron, then the bias.
    second: &'a [[f32; LANES]],
}

impl<'a> Layers<'a> {
    fn of(network: Network, parameters: &'a [[f32; LANES]]) -> Self {
        let (embedding, rest) = parameters.split_at(network.embedding_vectors());
        let (first, second) = rest.split_at(network.first_layer_vectors());
        Self {
            network,
            embedding,
            first,
            second,
        }
    }
}

/// Loss and gradients of a batch.
pub(crate) struct BatchGradients<'a> {
    pub(crate) network: Network,
    pub(crate) parameters: &'a [[f32; LANES]],
    pub(crate) batch: Batch<'a>,
    pub(crate) workspace: &'a mut Workspace,
    /// Overwritten.
    pub(crate) gradients: &'a mut [[f32; LANES]],
}

impl Kernel for BatchGradients<'_> {
    /// The mean loss.
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let layers = Layers::of(self.network, self.parameters);
        self.gradients.as_flattened_mut().fill(0.0);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a batch of 2²⁴ examples may round"
        )]
        let scale = 1.0 / self.batch.len as f32;
        let mut total = 0.0_f64;
        for start in (0..self.batch.len).step_by(CHUNK) {
            let examples = CHUNK.min(self.batch.len - start);
            let inputs = self.batch.inputs.slice(self.network, start, examples);
            let targets = self.batch.targets.slice(self.network, start, examples);
            forward(simd, layers, inputs, examples, self.workspace);
            total += f64::from(loss_and_gradient(
                simd,
                self.network,
                targets,
                examples,
                scale,
                self.workspace.outputs.vectors_mut(),
            ));
            backward(
                simd,
                layers,
                inputs,
                examples,
                self.workspace,
                self.gradients,
            );
        }
        mean(total, self.batch.len)
    }
}

/// The loss of a batch, or of a whole data set.
pub(crate) struct BatchLoss<'a> {
    pub(crate) network: Network,
    pub(crate) parameters: &'a [[f32; LANES]],
    pub(crate) batch: Batch<'a>,
    pub(crate) workspace: &'a mut Workspace,
}

impl Kernel for BatchLoss<'_> {
    /// The mean loss.
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let layers = Layers::of(self.network, self.parameters);
        let mut total = 0.0_f64;
        for start in (0..self.batch.len).step_by(CHUNK) {
            let examples = CHUNK.min(self.batch.len - start);
            let inputs = self.batch.inputs.slice(self.network, start, examples);
            let targets = self.batch.targets.slice(self.network, start, examples);
            forward(simd, layers, inputs, examples, self.workspace);
            let outputs = self.workspace.outputs.vectors_mut();
            total += f64::from(loss(simd, self.network, targets, examples, outputs));
        }
        mean(total, self.batch.len)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the mean is rounded to f32 once, here"
)]
fn mean(total: f64, examples: usize) -> f32 {
    (total / examples as f64) as f32
}

/// The outputs of up to [`CHUNK`] examples, left in the workspace.
pub(crate) struct ChunkOutputs<'a> {
    pub(crate) network: Network,
    pub(crate) parameters: &'a [[f32; LANES]],
    pub(crate) inputs: Inputs<'a>,
    pub(crate) examples: usize,
    /// Whether logits become probabilities.
    pub(crate) normalise: bool,
    pub(crate) workspace: &'a mut Workspace,
}

impl Kernel for ChunkOutputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let layers = Layers::of(self.network, self.parameters);
        forward(simd, layers, self.inputs, self.examples, self.workspace);
        if self.normalise {
            normalise(simd, self.network, self.workspace.outputs.vectors_mut());
        }
    }
}

/// x, h and the outputs of a chunk:
///
/// ```text
/// z = b1 + W1ᵀ·x     h = activation(z)     outputs = b2 + W2ᵀ·h
/// ```
#[inline(always)]
fn forward<S: Simd>(
    simd: S,
    layers: Layers<'_>,
    inputs: Inputs<'_>,
    examples: usize,
    workspace: &mut Workspace,
) {
    let network = layers.network;
    let halves = examples.div_ceil(LANES);
    let embed = match network.input {
        InputKind::Tokens { embed, .. } => embed,
        InputKind::Dense { .. } => 1,
    };
    gather(
        inputs,
        network.input_width(),
        layers.embedding.as_flattened(),
        embed,
        workspace.x.floats_mut(),
    );

    let stride = network.hidden_vectors() * LANES;
    let weights = layers.first.as_flattened();
    let bias = &weights[network.inputs() * stride..];
    contract(
        simd,
        Extent {
            rows: network.hidden,
            cols: halves,
            depth: network.inputs(),
        },
        ByColumn {
            scalars: weights,
            stride,
        },
        Rows {
            vectors: workspace.x.vectors(),
            stride: HALVES,
        },
        (workspace.hidden.vectors_mut(), HALVES),
        Activated {
            bias,
            activation: network.activation,
        },
    );

    let stride = network.output_vectors() * LANES;
    let weights = layers.second.as_flattened();
    let bias = &weights[network.hidden * stride..];
    contract(
        simd,
        Extent {
            rows: network.outputs,
            cols: halves,
            depth: network.hidden,
        },
        ByColumn {
            scalars: weights,
            stride,
        },
        Rows {
            vectors: workspace.hidden.vectors(),
            stride: HALVES,
        },
        (workspace.outputs.vectors_mut(), HALVES),
        Biased(bias),
    );
}

/// From the gradient of the outputs to those of all parameters, added to `gradients`:
///
/// ```text
/// d_W2 = Σ_b h_b ⊗ d_outputs_b     d_z = (W2·d_outputs) ∘ activation'(z)     d_W1 = Σ_b x_b ⊗ d_z_b     d_x = W1·d_z
/// ```
#[inline(always)]
fn backward<S: Simd>(
    simd: S,
    layers: Layers<'_>,
    inputs: Inputs<'_>,
    examples: usize,
    workspace: &mut Workspace,
    gradients: &mut [[f32; LANES]],
) {
    let network = layers.network;
    let halves = examples.div_ceil(LANES);
    let (d_embedding, rest) = gradients.split_at_mut(network.embedding_vectors());
    let (d_first, d_second) = rest.split_at_mut(network.first_layer_vectors());
    let Workspace {
        x,
        hidden,
        outputs,
        hidden_columns,
        output_columns,
    } = workspace;

    let vectors = network.output_vectors();
    transpose(
        simd,
        outputs.vectors(),
        vectors,
        output_columns.vectors_mut(),
        halves,
    );
    contract(
        simd,
        Extent {
            rows: network.hidden,
            cols: vectors,
            depth: examples,
        },
        ByRow {
            scalars: hidden.floats(),
            stride: CHUNK,
        },
        Rows {
            vectors: output_columns.vectors(),
            stride: vectors,
        },
        (d_second, vectors),
        Added,
    );
    let d_bias = &mut d_second[network.hidden * vectors..];
    add_columns(simd, output_columns.vectors(), vectors, examples, d_bias);

    contract(
        simd,
        Extent {
            rows: network.hidden,
            cols: halves,
            depth: network.outputs,
        },
        ByRow {
            scalars: layers.second.as_flattened(),
            stride: vectors * LANES,
        },
        Rows {
            vectors: outputs.vectors(),
            stride: HALVES,
        },
        (hidden.vectors_mut(), HALVES),
        Differentiated {
            activation: network.activation,
        },
    );

    let vectors = network.hidden_vectors();
    transpose(
        simd,
        hidden.vectors(),
        vectors,
        hidden_columns.vectors_mut(),
        halves,
    );
    contract(
        simd,
        Extent {
            rows: network.inputs(),
            cols: vectors,
            depth: examples,
        },
        ByRow {
            scalars: x.floats(),
            stride: CHUNK,
        },
        Rows {
            vectors: hidden_columns.vectors(),
            stride: vectors,
        },
        (d_first, vectors),
        Added,
    );
    let d_bias = &mut d_first[network.inputs() * vectors..];
    add_columns(simd, hidden_columns.vectors(), vectors, examples, d_bias);

    if let (Inputs::Tokens(tokens), InputKind::Tokens { context, embed, .. }) =
        (inputs, network.input)
    {
        contract(
            simd,
            Extent {
                rows: network.inputs(),
                cols: halves,
                depth: network.hidden,
            },
            ByRow {
                scalars: layers.first.as_flattened(),
                stride: vectors * LANES,
            },
            Rows {
                vectors: hidden.vectors(),
                stride: HALVES,
            },
            (x.vectors_mut(), HALVES),
            Plain,
        );
        scatter(
            tokens,
            context,
            embed,
            x.floats(),
            d_embedding.as_flattened_mut(),
        );
    }
}

/// `out = activation(bias[row] + Σ)`
#[derive(Clone, Copy)]
struct Activated<'a> {
    bias: &'a [f32],
    activation: ActivationKind,
}

impl Epilogue for Activated<'_> {
    #[inline(always)]
    fn init<S: Simd>(self, simd: S, row: usize, _out: &[f32; LANES]) -> S::Vector {
        simd.splat(self.bias[row])
    }

    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, sum: S::Vector, out: &mut [f32; LANES]) {
        simd.store(activate(simd, self.activation, sum), out);
    }
}

/// `out = Σ · activation'`, with the derivative taken from the h that `out` held.
#[derive(Clone, Copy)]
struct Differentiated {
    activation: ActivationKind,
}

impl Epilogue for Differentiated {
    #[inline(always)]
    fn init<S: Simd>(self, simd: S, _row: usize, _out: &[f32; LANES]) -> S::Vector {
        simd.splat(0.0)
    }

    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, sum: S::Vector, out: &mut [f32; LANES]) {
        let h = simd.load(out);
        simd.store(differentiate(simd, self.activation, h, sum), out);
    }
}

/// h = activation(z).
#[inline(always)]
pub(crate) fn activate<S: Simd>(simd: S, activation: ActivationKind, z: S::Vector) -> S::Vector {
    match activation {
        ActivationKind::Tanh => tanh(simd, z),
        // The order of the operands keeps NaN.
        ActivationKind::Relu => simd.max(simd.splat(0.0), z),
    }
}

/// d_z = d_h · activation'(z), from h = activation(z): 1 − h² for tanh, 1 where h > 0 and else 0 for ReLU.
#[inline(always)]
pub(crate) fn differentiate<S: Simd>(
    simd: S,
    activation: ActivationKind,
    h: S::Vector,
    d_h: S::Vector,
) -> S::Vector {
    match activation {
        ActivationKind::Tanh => simd.mul(d_h, simd.neg_mul_add(h, h, simd.splat(1.0))),
        ActivationKind::Relu => {
            let zero = simd.splat(0.0);
            simd.select_lt(zero, h, d_h, zero)
        }
    }
}
