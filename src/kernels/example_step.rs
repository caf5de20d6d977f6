//! Forward and backward for one example: what an online learner or a search calls, where latency counts.
//!
//! Lanes run over neurons in the first layer and over outputs in the second, in the layouts that the parameters have
//! anyway; nothing is transposed and no lane is wasted on examples that are not there. Sums over neurons run in blocks of 256
//! and within one as [`PARTS`] interleaved chains (neuron n in chain n mod 4), because one chain would wait for itself; so the
//! rounding is not that of a batch of one, but it is the same on every backend.

use super::chunk::Workspace;
use super::finish::Finish;
use super::math::{exp, ln};
use super::products::{Gradients, Layers, activate, differentiate};
use super::shape::{Shape, Shaped, ShapedKernel};
use crate::network::{HeadKind, InputKind, Inputs, Network, Targets};
use crate::simd::{Backend, LANES, Simd};

/// Chains that a sum over neurons is split into.
const PARTS: usize = 4;

/// Vectors of neurons whose sums are formed together: 256 neurons.
const BLOCK: usize = 256 / LANES;

/// Vectors of outputs that are computed together: 256 outputs, the most that a softmax has.
const MOST: usize = 256 / LANES;

/// The outputs of one example as the second layer gives them.
pub(crate) struct ExampleOutputs<'a> {
    pub(crate) parameters: &'a [[f32; LANES]],
    pub(crate) inputs: Inputs<'a>,
    /// Whether logits become probabilities.
    pub(crate) normalise: bool,
    pub(crate) outputs: &'a mut [f32],
}

impl ShapedKernel for ExampleOutputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, N: Shape>(self, simd: S, shape: N) {
        let network = shape.get();
        let layers = Layers::of(shape, self.parameters);
        for start in (0..network.output_vectors()).step_by(MOST) {
            let vectors = MOST.min(network.output_vectors() - start);
            let mut z = [[0.0; LANES]; MOST];
            forward(simd, layers, self.inputs, start, &mut z[..vectors], None);
            if self.normalise {
                normalise(simd, network, &mut z[..vectors]);
            }
            let outputs = self.outputs[start * LANES..].iter_mut();
            for (output, z) in outputs.zip(z.as_flattened()) {
                *output = *z;
            }
        }
    }

    fn run_any(self, backend: Backend, shape: Network) {
        backend.run_general(Shaped {
            kernel: self,
            shape,
        });
    }
}

/// The loss and all gradients of one example.
pub(crate) struct ExampleGradients<'a> {
    pub(crate) parameters: &'a [[f32; LANES]],
    pub(crate) inputs: Inputs<'a>,
    pub(crate) targets: Targets<'a>,
    pub(crate) workspace: &'a mut Workspace,
    pub(crate) finish: Finish,
    /// Overwritten by the gradients, or by what they become.
    pub(crate) gradients: &'a mut [[f32; LANES]],
}

impl ShapedKernel for ExampleGradients<'_> {
    /// The loss.
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd, N: Shape>(self, simd: S, shape: N) -> f32 {
        let network = shape.get();
        let layers = Layers::of(shape, self.parameters);
        let finish = self.finish;
        let hidden = self.workspace.hidden.vectors_mut();
        let Gradients {
            d_embedding,
            d_w1,
            d_b1,
            d_w2,
            d_b2: d_outputs, // of one example it is the same
        } = Gradients::of(network, self.gradients);

        forward(simd, layers, self.inputs, 0, d_outputs, Some(hidden));
        let loss = loss(simd, network, self.targets, d_outputs);

        second_layer(simd, layers, hidden, d_outputs, finish, d_w2, d_b1);
        first_layer(simd, layers, self.inputs, d_b1, finish, d_w1, d_embedding);
        let (b1, b2) = (&layers.first[d_w1.len()..], &layers.second[d_w2.len()..]);
        finish.replace(simd, layers.embedding, d_embedding);
        finish.replace(simd, b1, d_b1);
        finish.replace(simd, b2, d_outputs);
        loss
    }

    fn run_any(self, backend: Backend, shape: Network) -> f32 {
        backend.run_general(Shaped {
            kernel: self,
            shape,
        })
    }
}

/// The inputs in pieces that lie in a row: one embedding for each place of the context, or all features.
#[inline(always)]
fn piece<'a>(
    network: Network,
    inputs: Inputs<'a>,
    embedding: &'a [f32],
    place: usize,
) -> &'a [f32] {
    match (inputs, network.input) {
        (Inputs::Tokens(tokens), InputKind::Tokens { embed, .. }) => {
            &embedding[usize::from(tokens[place]) * embed..][..embed]
        }
        (Inputs::Features(features), _) => &features[..network.inputs()],
        _ => unreachable!("an input type fixes its kind"),
    }
}

/// Number of pieces.
#[inline(always)]
fn pieces(network: Network) -> usize {
    match network.input {
        InputKind::Tokens { context, .. } => context,
        InputKind::Dense { .. } => 1,
    }
}

/// Output vectors `start ..` of one example, and if there is room its activations.
#[inline(always)]
fn forward<S: Simd, N: Shape>(
    simd: S,
    layers: Layers<'_, N>,
    inputs: Inputs<'_>,
    start: usize,
    outputs: &mut [[f32; LANES]],
    mut hidden: Option<&mut [[f32; LANES]]>,
) {
    let network = layers.shape.get();
    let stride = network.output_vectors();
    let bias = &layers.second[network.hidden * stride + start..][..outputs.len()];
    outputs.copy_from_slice(bias);
    let mut room = [[0.0; LANES]; BLOCK];
    for group in (0..network.hidden_vectors()).step_by(BLOCK) {
        let groups = BLOCK.min(network.hidden_vectors() - group);
        let h = match &mut hidden {
            Some(hidden) => &mut hidden[group..group + groups],
            None => &mut room[..groups],
        };
        activations(simd, layers, inputs, group, h);
        let neurons = (groups * LANES).min(network.hidden - group * LANES);
        let h = &h.as_flattened()[..neurons];
        let rows = &layers.second[group * LANES * stride..][..neurons * stride];
        // As many accumulators as there are registers for.
        let most = if S::TILE.0 * S::TILE.1 < 2 * PARTS {
            1
        } else {
            2
        };
        for v in (0..outputs.len()).step_by(most) {
            let row = start + v;
            if most == 2 && v + 1 < outputs.len() {
                add_rows::<S, 2>(simd, h, rows, stride, row, &mut outputs[v..]);
            } else {
                add_rows::<S, 1>(simd, h, rows, stride, row, &mut outputs[v..]);
            }
        }
    }
}

/// `outputs[v] += Σ_n h[n] · rows[n][start + v]`
#[inline(always)]
fn add_rows<S: Simd, const VECTORS: usize>(
    simd: S,
    h: &[f32],
    rows: &[[f32; LANES]],
    stride: usize,
    start: usize,
    outputs: &mut [[f32; LANES]],
) {
    let mut sums = [[simd.splat(0.0); PARTS]; VECTORS];
    let (quads, rest) = h.as_chunks::<PARTS>();
    let (row_quads, row_rest) = rows.split_at(quads.len() * PARTS * stride);
    for (h, rows) in quads.iter().zip(row_quads.chunks_exact(PARTS * stride)) {
        for part in 0..PARTS {
            let h = simd.splat(h[part]);
            for v in 0..VECTORS {
                let row = simd.load(&rows[part * stride + start + v]);
                sums[v][part] = simd.mul_add(h, row, sums[v][part]);
            }
        }
    }
    for part in 0..PARTS {
        if part < rest.len() {
            let h = simd.splat(rest[part]);
            for v in 0..VECTORS {
                let row = simd.load(&row_rest[part * stride + start + v]);
                sums[v][part] = simd.mul_add(h, row, sums[v][part]);
            }
        }
    }
    for v in 0..VECTORS {
        let [a, b, c, d] = sums[v];
        let sum = simd.add(simd.add(a, b), simd.add(c, d));
        simd.store(simd.add(simd.load(&outputs[v]), sum), &mut outputs[v]);
    }
}

/// The activations of the vectors of neurons from `group` on, four at a time so that their chains of operations overlap.
#[inline(always)]
fn activations<S: Simd, N: Shape>(
    simd: S,
    layers: Layers<'_, N>,
    inputs: Inputs<'_>,
    group: usize,
    h: &mut [[f32; LANES]],
) {
    let (fours, rest) = h.as_chunks_mut::<4>();
    let (twos, rest) = rest.as_chunks_mut::<2>();
    let (ones, _) = rest.as_chunks_mut::<1>();
    let mut next = group;
    for h in fours {
        next = activations_of(simd, layers, inputs, next, h);
    }
    for h in twos {
        next = activations_of(simd, layers, inputs, next, h);
    }
    for h in ones {
        next = activations_of(simd, layers, inputs, next, h);
    }
}

/// The activations of `VECTORS` vectors of neurons from `group` on; gives the group after them.
#[inline(always)]
fn activations_of<S: Simd, N: Shape, const VECTORS: usize>(
    simd: S,
    layers: Layers<'_, N>,
    inputs: Inputs<'_>,
    group: usize,
    h: &mut [[f32; LANES]; VECTORS],
) -> usize {
    let network = layers.shape.get();
    let stride = network.hidden_vectors();
    let bias = &layers.first[network.inputs() * stride + group..][..VECTORS];
    let mut sums = [simd.splat(0.0); VECTORS];
    for v in 0..VECTORS {
        sums[v] = simd.load(&bias[v]);
    }
    let mut start = group;
    for place in 0..pieces(network) {
        for &x in piece(network, inputs, layers.embedding.as_flattened(), place) {
            let (x, row) = (simd.splat(x), &layers.first[start..][..VECTORS]);
            for v in 0..VECTORS {
                sums[v] = simd.mul_add(x, simd.load(&row[v]), sums[v]);
            }
            start += stride;
        }
    }
    for v in 0..VECTORS {
        simd.store(activate(simd, network.activation, sums[v]), &mut h[v]);
    }
    group + VECTORS
}

/// Replaces logits by probabilities; numbers stay as they are. Returns the largest logit and the sum of the exponentials.
#[inline(always)]
fn normalise<S: Simd>(simd: S, network: Network, z: &mut [[f32; LANES]]) -> (f32, f32) {
    match network.head {
        HeadKind::Softmax => {
            // Lanes that are no class must weigh nothing.
            z.as_flattened_mut()[network.outputs..].fill(f32::NEG_INFINITY);
            let mut max = simd.load(&z[0]);
            for z in &z[1..] {
                max = simd.max(simd.load(z), max);
            }
            let max = simd.max_lane(max);
            let shift = simd.splat(max);
            let mut total = simd.splat(0.0);
            for z in &mut *z {
                let e = exp(simd, simd.sub(simd.load(z), shift));
                total = simd.add(total, e);
                simd.store(e, z);
            }
            let total = simd.sum_lanes(total);
            let factor = simd.splat(1.0 / total);
            for z in z {
                simd.store(simd.mul(simd.load(z), factor), z);
            }
            (max, total)
        }
        HeadKind::Logistic => {
            let logit = z[0][0];
            let size = logit.abs();
            let e = first_lane(simd, exp(simd, simd.splat(-size)));
            z[0] = [0.0; LANES];
            z[0][0] = if logit < 0.0 { e } else { 1.0 } / (1.0 + e);
            (logit, 1.0 + e)
        }
        HeadKind::SquaredError | HeadKind::Huber => (0.0, 1.0),
    }
}

/// Lane 0, of a function of one number.
#[inline(always)]
fn first_lane<S: Simd>(simd: S, vector: S::Vector) -> f32 {
    let mut lanes = [0.0; LANES];
    simd.store(vector, &mut lanes);
    lanes[0]
}

/// Replaces outputs by the gradient of the loss, zero in the lanes that are no output, and returns the loss.
#[inline(always)]
fn loss<S: Simd>(simd: S, network: Network, targets: Targets<'_>, z: &mut [[f32; LANES]]) -> f32 {
    match (network.head, targets) {
        (HeadKind::Softmax, Targets::Classes(classes)) => {
            let class = usize::from(classes[0]);
            let logit = z.as_flattened()[class];
            let (max, total) = normalise(simd, network, z);
            z.as_flattened_mut()[class] -= 1.0;
            first_lane(simd, ln(simd, simd.splat(total))) - (logit - max)
        }
        (HeadKind::Logistic, Targets::Classes(classes)) => {
            let y = f32::from(classes[0]);
            let (logit, total) = normalise(simd, network, z);
            z[0][0] -= y;
            let positive = if logit < 0.0 { 0.0 } else { logit };
            (positive - y * logit) + first_lane(simd, ln(simd, simd.splat(total)))
        }
        (head, Targets::Values(values)) => {
            #[expect(clippy::cast_precision_loss, reason = "widths are far below 2²⁴")]
            let mean = 1.0 / network.outputs as f32;
            let mut sum = 0.0;
            for (z, &y) in z.as_flattened_mut().iter_mut().zip(values) {
                let d = *z - y;
                if head == HeadKind::Huber {
                    let c = if d.abs() > 1.0 { 1.0 } else { d.abs() };
                    sum += (c * mean) * (d.abs() - 0.5 * c);
                    *z = c.copysign(d) * mean;
                } else {
                    sum += (d * mean) * d;
                    *z = (d + d) * mean;
                }
            }
            sum
        }
        _ => unreachable!("a head type fixes its targets"),
    }
}

/// `d_w2[n] = finish(h[n] · d_outputs)` and `d_z = (W2 · d_outputs) ∘ activation'`, sixteen neurons at a time.
#[inline(always)]
fn second_layer<S: Simd, N: Shape>(
    simd: S,
    layers: Layers<'_, N>,
    hidden: &[[f32; LANES]],
    d_outputs: &[[f32; LANES]],
    finish: Finish,
    d_w2: &mut [[f32; LANES]],
    d_z: &mut [[f32; LANES]],
) {
    let network = layers.shape.get();
    let stride = network.output_vectors();
    for (group, (h, d_z)) in hidden.iter().zip(d_z).enumerate() {
        let first = group * LANES;
        let neurons = LANES.min(network.hidden - first);
        let rows = &layers.second[first * stride..][..neurons * stride];
        let d_rows = &mut d_w2[first * stride..][..neurons * stride];
        let mut products = [simd.splat(0.0); LANES];
        // Written out, so that the products stay in registers.
        macro_rules! neurons {
            ($($n:literal)*) => {$(
                if $n < neurons {
                    let h = simd.splat(h[$n]);
                    for v in 0..stride {
                        let (d, vector) = (simd.load(&d_outputs[v]), $n * stride + v);
                        products[$n] = simd.mul_add(simd.load(&rows[vector]), d, products[$n]);
                        let gradient = simd.mul(h, d);
                        simd.store(finish.apply(simd, &rows[vector], gradient), &mut d_rows[vector]);
                    }
                }
            )*};
        }
        neurons!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        let d_h = simd.sum_lanes_of_rows(products);
        simd.store(
            differentiate(simd, network.activation, simd.load(h), d_h),
            d_z,
        );
    }
}

/// `d_w1[i] = finish(x[i] · d_z)`, and the gradient of the embedding, which is zero where nothing was looked up.
#[inline(always)]
fn first_layer<S: Simd, N: Shape>(
    simd: S,
    layers: Layers<'_, N>,
    inputs: Inputs<'_>,
    d_z: &[[f32; LANES]],
    finish: Finish,
    d_w1: &mut [[f32; LANES]],
    d_embedding: &mut [[f32; LANES]],
) {
    let network = layers.shape.get();
    let stride = network.hidden_vectors();
    let d_embedding = d_embedding.as_flattened_mut();
    d_embedding.fill(0.0);
    let mut start = 0;
    for place in 0..pieces(network) {
        let x = piece(network, inputs, layers.embedding.as_flattened(), place);
        for (d, &x) in x.iter().enumerate() {
            let row = &layers.first[start..][..stride];
            let d_row = &mut d_w1[start..][..stride];
            let x = simd.splat(x);
            let mut d_x = simd.splat(0.0);
            for v in 0..stride {
                let d_z = simd.load(&d_z[v]);
                let gradient = simd.mul(x, d_z);
                simd.store(finish.apply(simd, &row[v], gradient), &mut d_row[v]);
                d_x = simd.mul_add(simd.load(&row[v]), d_z, d_x);
            }
            if let (Inputs::Tokens(tokens), InputKind::Tokens { embed, .. }) =
                (inputs, network.input)
            {
                d_embedding[usize::from(tokens[place]) * embed + d] += simd.sum_lanes(d_x);
            }
            start += stride;
        }
    }
}
