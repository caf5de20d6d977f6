//! Forward and backward for one example: what an online learner or a search calls, where latency counts.
//!
//! Lanes run over neurons in the first layer and over outputs in the second, in the layouts that the parameters have
//! anyway; nothing is transposed and no lane is wasted on examples that are not there.
//!
//! Sums over neurons run in blocks of 256 and within one as [`PARTS`] interleaved chains (neuron n in chain n mod 4), because
//! one chain would wait for itself; so the rounding is not that of a batch of one, but it is the same on every backend.
//!
//! A step waits for the one before, whose weights it reads. So what is stored number by number is read back number by number:
//! a vector read across such stores would wait until they have left the pipeline, and with it all that follows.

use super::chunk::Workspace;
use super::example_heads::{loss, normalise};
use super::finish::Finish;
use super::products::{Gradients, Layers, activate, differentiate};
use super::shape::{Shape, Shaped, ShapedKernel};
use crate::network::{InputKind, Inputs, Network, Targets};
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
        let x = Input::of(network, self.inputs, layers.embedding);
        for start in (0..network.output_vectors()).step_by(MOST) {
            let vectors = MOST.min(network.output_vectors() - start);
            let mut z = [[0.0; LANES]; MOST];
            forward(simd, layers, x, start, &mut z[..vectors], None);
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
    /// The loss, [checked](Finish::checked).
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd, N: Shape>(self, simd: S, shape: N) -> f32 {
        let network = shape.get();
        let finish = self.finish;
        let layers = Layers::of(shape, self.parameters);
        let (w1, b1) = layers
            .first
            .split_at(network.inputs() * network.hidden_vectors());
        let (w2, b2) = layers
            .second
            .split_at(network.hidden * network.output_vectors());
        let Gradients {
            d_embedding,
            d_w1,
            d_b1: d_z, // of one example it is the same
            d_w2,
            d_b2: d_outputs, // likewise
        } = Gradients::of(network, self.gradients);
        let Workspace {
            x,
            hidden,
            columns: d_x,
            embedding: sums,
            ..
        } = self.workspace;
        let hidden = &mut hidden.vectors_mut()[..network.hidden_vectors()];
        let x = Input::of(network, self.inputs, layers.embedding).in_a_row(network, x.floats_mut());

        forward(simd, layers, Input::Row(x), 0, d_outputs, Some(hidden));
        let loss = loss(simd, network, self.targets, d_outputs);

        let h = &hidden.as_flattened()[..network.hidden];
        let mut sum = layer_backward(simd, finish, h, d_outputs, w2, d_w2, Some(d_z));
        for (d_z, h) in d_z.iter_mut().zip(&*hidden) {
            let (h, d_h) = (simd.load(h), simd.load(d_z));
            simd.store(differentiate(simd, network.activation, h, d_h), d_z);
        }
        let mut d_x = match network.input {
            InputKind::Tokens { .. } => Some(d_x.vectors_mut()),
            InputKind::Dense { .. } => None,
        };
        let of_w1 = layer_backward(simd, finish, x, d_z, w1, d_w1, d_x.as_deref_mut());
        sum = simd.add(sum, of_w1);
        if let (Inputs::Tokens(tokens), Some(d_x)) = (self.inputs, d_x) {
            let d_x = &d_x.as_flattened()[..network.inputs()];
            let sums = &mut sums.floats_mut()[..d_embedding.len() * LANES];
            let table = layers.embedding;
            let of_table = scatter(simd, finish, tokens, d_x, sums, table, d_embedding);
            sum = simd.add(sum, of_table);
        }
        sum = simd.add(sum, finish.replace(simd, b1, d_z));
        sum = simd.add(sum, finish.replace(simd, &b2[..d_outputs.len()], d_outputs));
        finish.checked(loss, simd.sum_lanes(sum))
    }

    fn run_any(self, backend: Backend, shape: Network) -> f32 {
        backend.run_general(Shaped {
            kernel: self,
            shape,
        })
    }
}

/// The first layer's input: a row of numbers, or of embeddings that lie apart.
#[derive(Clone, Copy)]
enum Input<'a> {
    Row(&'a [f32]),
    Embeddings {
        table: &'a [f32],
        width: usize,
        tokens: &'a [u8],
    },
}

impl<'a> Input<'a> {
    #[inline(always)]
    fn of(network: Network, inputs: Inputs<'a>, embedding: &'a [[f32; LANES]]) -> Self {
        match (network.input, inputs) {
            (InputKind::Tokens { context, embed, .. }, Inputs::Tokens(tokens)) => {
                Self::Embeddings {
                    table: embedding.as_flattened(),
                    width: embed,
                    tokens: &tokens[..context],
                }
            }
            (InputKind::Dense { features }, Inputs::Features(values)) => {
                Self::Row(&values[..features])
            }
            _ => unreachable!("an input type fixes its kind"),
        }
    }

    /// Number of pieces.
    #[inline(always)]
    fn pieces(self) -> usize {
        match self {
            Self::Row(_) => 1,
            Self::Embeddings { tokens, .. } => tokens.len(),
        }
    }

    #[inline(always)]
    fn piece(self, place: usize) -> &'a [f32] {
        match self {
            Self::Row(x) => x,
            Self::Embeddings {
                table,
                width,
                tokens,
            } => &table[usize::from(tokens[place]) * width..][..width],
        }
    }

    /// The whole input side by side, in `room` if it does not lie so.
    #[inline(always)]
    fn in_a_row(self, network: Network, room: &'a mut [f32]) -> &'a [f32] {
        match self {
            Self::Row(x) => x,
            Self::Embeddings { width, .. } => {
                let x = &mut room[..network.inputs()];
                for place in 0..self.pieces() {
                    x[place * width..][..width].copy_from_slice(self.piece(place));
                }
                x
            }
        }
    }
}

/// Output vectors `start ..` of one example, and if there is room its activations.
#[inline(always)]
fn forward<S: Simd, N: Shape>(
    simd: S,
    layers: Layers<'_, N>,
    x: Input<'_>,
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
        activations(simd, layers, x, group, h);
        let neurons = (groups * LANES).min(network.hidden - group * LANES);
        let h = &h.as_flattened()[..neurons];
        let rows = &layers.second[group * LANES * stride..][..neurons * stride];
        for v in (0..outputs.len()).step_by(columns::<S>()) {
            let row = start + v;
            if v + 1 < outputs.len() && columns::<S>() == 2 {
                add_rows::<S, 2>(simd, h, rows, stride, row, &mut outputs[v..]);
            } else {
                add_rows::<S, 1>(simd, h, rows, stride, row, &mut outputs[v..]);
            }
        }
    }
}

/// Vectors of a row that are worked on together: as many as there are registers for, with [`PARTS`] sums each.
const fn columns<S: Simd>() -> usize {
    if S::TILE.0 * S::TILE.1 < 2 * PARTS {
        1
    } else {
        2
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
    x: Input<'_>,
    group: usize,
    h: &mut [[f32; LANES]],
) {
    let (fours, rest) = h.as_chunks_mut::<4>();
    let (twos, rest) = rest.as_chunks_mut::<2>();
    let (ones, _) = rest.as_chunks_mut::<1>();
    let mut next = group;
    for h in fours {
        next = activations_of(simd, layers, x, next, h);
    }
    for h in twos {
        next = activations_of(simd, layers, x, next, h);
    }
    for h in ones {
        next = activations_of(simd, layers, x, next, h);
    }
}

/// The activations of `VECTORS` vectors of neurons from `group` on; gives the group after them.
#[inline(always)]
fn activations_of<S: Simd, N: Shape, const VECTORS: usize>(
    simd: S,
    layers: Layers<'_, N>,
    x: Input<'_>,
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
    for place in 0..x.pieces() {
        for &x in x.piece(place) {
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

/// Backward through a layer with inputs `a` and a row of weights for each, from the gradient `d` of its sums:
///
/// ```text
/// d_rows[n] = finish(a[n] · d)     d_a[n] = rows[n] · d, if there is room for it
/// ```
///
/// and the sum of all that was stored in `d_rows`. Sixteen rows at a time: the sums across lanes of some are formed while the
/// new weights of others are stored.
#[inline(always)]
fn layer_backward<S: Simd>(
    simd: S,
    finish: Finish,
    a: &[f32],
    d: &[[f32; LANES]],
    rows: &[[f32; LANES]],
    d_rows: &mut [[f32; LANES]],
    mut d_a: Option<&mut [[f32; LANES]]>,
) -> S::Vector {
    let mut total = simd.splat(0.0);
    let (groups, rest) = a.as_chunks::<LANES>();
    for (group, a) in groups.iter().enumerate() {
        let vectors = group * LANES * d.len()..(group + 1) * LANES * d.len();
        let (rows, d_rows) = (&rows[vectors.clone()], &mut d_rows[vectors]);
        if let Some(d_a) = &mut d_a {
            simd.store(dots(simd, rows, LANES, d), &mut d_a[group]);
        }
        total = simd.add(total, outer_product(simd, finish, a, d, rows, d_rows));
    }
    if !rest.is_empty() {
        let vectors = groups.len() * LANES * d.len()..a.len() * d.len();
        let (rows, d_rows) = (&rows[vectors.clone()], &mut d_rows[vectors]);
        if let Some(d_a) = &mut d_a {
            simd.store(dots(simd, rows, rest.len(), d), &mut d_a[groups.len()]);
        }
        total = simd.add(total, outer_product(simd, finish, rest, d, rows, d_rows));
    }
    total
}

/// Lane n is `rows[n] · d`, for up to sixteen rows.
#[inline(always)]
fn dots<S: Simd>(simd: S, rows: &[[f32; LANES]], count: usize, d: &[[f32; LANES]]) -> S::Vector {
    let mut products = [simd.splat(0.0); LANES];
    for v in 0..d.len() {
        let vector = simd.load(&d[v]);
        // Written out, so that the products stay in registers.
        macro_rules! rows {
            ($($n:literal)*) => {$(
                if $n < count {
                    let row = simd.load(&rows[$n * d.len() + v]);
                    products[$n] = simd.mul_add(row, vector, products[$n]);
                }
            )*};
        }
        rows!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    }
    simd.sum_lanes_of_rows(products)
}

/// `out[n] = finish(a[n] · d)`, the parameters being `rows[n]`, and the sum of all that was stored.
#[inline(always)]
fn outer_product<S: Simd>(
    simd: S,
    finish: Finish,
    a: &[f32],
    d: &[[f32; LANES]],
    rows: &[[f32; LANES]],
    out: &mut [[f32; LANES]],
) -> S::Vector {
    let mut sum = simd.splat(0.0);
    for v in (0..d.len()).step_by(columns::<S>()) {
        let of_these = if v + 1 < d.len() && columns::<S>() == 2 {
            outer_product_of::<S, 2>(simd, finish, a, d, v, rows, out)
        } else {
            outer_product_of::<S, 1>(simd, finish, a, d, v, rows, out)
        };
        sum = simd.add(sum, of_these);
    }
    sum
}

/// The vectors from `start` on of an [`outer_product`].
#[inline(always)]
fn outer_product_of<S: Simd, const VECTORS: usize>(
    simd: S,
    finish: Finish,
    a: &[f32],
    d: &[[f32; LANES]],
    start: usize,
    rows: &[[f32; LANES]],
    out: &mut [[f32; LANES]],
) -> S::Vector {
    let stride = d.len();
    let mut vectors = [simd.splat(0.0); VECTORS];
    for v in 0..VECTORS {
        vectors[v] = simd.load(&d[start + v]);
    }
    let mut sums = [simd.splat(0.0); PARTS];
    let (quads, rest) = a.as_chunks::<PARTS>();
    let (row_quads, row_rest) = rows.split_at(quads.len() * PARTS * stride);
    let (out_quads, out_rest) = out.split_at_mut(quads.len() * PARTS * stride);
    let row_quads = row_quads.chunks_exact(PARTS * stride);
    let out_quads = out_quads.chunks_exact_mut(PARTS * stride);
    for ((a, rows), out) in quads.iter().zip(row_quads).zip(out_quads) {
        for part in 0..PARTS {
            let a = simd.splat(a[part]);
            for v in 0..VECTORS {
                let place = part * stride + start + v;
                let result = finish.select(simd, &rows[place], simd.mul(a, vectors[v]));
                sums[part] = simd.add(sums[part], result);
                simd.store(result, &mut out[place]);
            }
        }
    }
    for part in 0..PARTS {
        if part < rest.len() {
            let a = simd.splat(rest[part]);
            for v in 0..VECTORS {
                let place = part * stride + start + v;
                let result = finish.select(simd, &row_rest[place], simd.mul(a, vectors[v]));
                sums[part] = simd.add(sums[part], result);
                simd.store(result, &mut out_rest[place]);
            }
        }
    }
    let [a, b, c, d] = sums;
    simd.add(simd.add(a, b), simd.add(c, d))
}

/// `out[token] = finish(Σ d_x)`, the sum over the places of the context that the token stands at, which is zero for most; and
/// the sum of all that was stored. `sums` is room for the gradient.
#[inline(always)]
fn scatter<S: Simd>(
    simd: S,
    finish: Finish,
    tokens: &[u8],
    d_x: &[f32],
    sums: &mut [f32],
    embedding: &[[f32; LANES]],
    out: &mut [[f32; LANES]],
) -> S::Vector {
    let width = d_x.len() / tokens.len();
    sums.fill(0.0);
    for (&token, d_x) in tokens.iter().zip(d_x.chunks_exact(width)) {
        let sums = &mut sums[usize::from(token) * width..][..width];
        for (sum, d_x) in sums.iter_mut().zip(d_x) {
            *sum += d_x;
        }
    }
    let zero = simd.splat(0.0);
    let mut total = zero;
    for (embedding, out) in embedding.iter().zip(&mut *out) {
        let result = finish.select(simd, embedding, zero);
        total = simd.add(total, result);
        simd.store(result, out);
    }
    for &token in tokens {
        for d in 0..width {
            let place = usize::from(token) * width + d;
            let parameter = [embedding.as_flattened()[place]; LANES];
            let result = finish.select(simd, &parameter, simd.splat(sums[place]));
            total = simd.add(total, result);
            out.as_flattened_mut()[place] = simd.first_lane(result);
        }
    }
    total
}
