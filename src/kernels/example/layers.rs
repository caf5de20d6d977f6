//! The layers of one example: rows of weights, each times one number or with one vector.

use super::embedding::Input;
use crate::kernels::activation::activate;
use crate::kernels::gradient_use::GradientUse;
use crate::model::LayerSpec;
use crate::simd::{LANES, Simd};

/// The activations of the vectors of neurons from `group` on, four at a time so that their chains of operations overlap; and
/// their slopes, where there is room for them.
#[inline(always)]
pub(super) fn activations<S: Simd>(
    simd: S,
    layer: LayerSpec,
    parameters: &[[f32; LANES]],
    x: Input<'_>,
    group: usize,
    h: &mut [[f32; LANES]],
    slopes: &mut [[f32; LANES]],
) {
    let (fours, rest) = h.as_chunks_mut::<4>();
    let (twos, rest) = rest.as_chunks_mut::<2>();
    let (ones, _) = rest.as_chunks_mut::<1>();
    let mut next = group;
    for h in fours {
        next = activations_of(simd, layer, parameters, x, next, h, slopes);
    }
    for h in twos {
        next = activations_of(simd, layer, parameters, x, next, h, slopes);
    }
    for h in ones {
        next = activations_of(simd, layer, parameters, x, next, h, slopes);
    }
}

/// The activations of `VECTORS` vectors of neurons from `group` on; gives the group after them.
#[inline(always)]
fn activations_of<S: Simd, const VECTORS: usize>(
    simd: S,
    layer: LayerSpec,
    parameters: &[[f32; LANES]],
    x: Input<'_>,
    group: usize,
    h: &mut [[f32; LANES]; VECTORS],
    slopes: &mut [[f32; LANES]],
) -> usize {
    let stride = layer.row_vectors();
    let bias = &parameters[layer.weight_vectors() + group..][..VECTORS];
    let mut sums = [simd.splat(0.0); VECTORS];
    for v in 0..VECTORS {
        sums[v] = simd.load(&bias[v]);
    }
    let mut start = group;
    for index in 0..x.pieces() {
        for &x in x.piece(index) {
            let (x, row) = (simd.splat(x), &parameters[start..][..VECTORS]);
            for v in 0..VECTORS {
                sums[v] = simd.mul_add(x, simd.load(&row[v]), sums[v]);
            }
            start += stride;
        }
    }
    for v in 0..VECTORS {
        let value = match layer.activation {
            Some(activation) => {
                let (value, kept) = activate(simd, activation, sums[v]);
                if activation.stores_slope()
                    && let Some(slope) = slopes.get_mut(group + v)
                {
                    simd.store(kept, slope);
                }
                value
            }
            None => sums[v],
        };
        simd.store(value, &mut h[v]);
    }
    group + VECTORS
}

/// Chains that a sum over neurons is split into, neuron n in chain n mod 4: one chain would wait for itself.
const PARTS: usize = 4;

/// Vectors of a row that are worked on together: two where the registers hold 2 · [`PARTS`] sums, else one.
const fn vectors_at_once<S: Simd>() -> usize {
    if S::TILE.0 * S::TILE.1 < 2 * PARTS {
        1
    } else {
        2
    }
}

/// `outputs[v] += Σ_n h[n] · rows[n][start + v]`
#[inline(always)]
pub(super) fn add_products<S: Simd>(
    simd: S,
    h: &[f32],
    rows: &[[f32; LANES]],
    stride: usize,
    start: usize,
    outputs: &mut [[f32; LANES]],
) {
    for v in (0..outputs.len()).step_by(vectors_at_once::<S>()) {
        let (start, outputs) = (start + v, &mut outputs[v..]);
        if outputs.len() > 1 && vectors_at_once::<S>() == 2 {
            add_products_of::<S, 2>(simd, h, rows, stride, start, outputs);
        } else {
            add_products_of::<S, 1>(simd, h, rows, stride, start, outputs);
        }
    }
}

/// The first `VECTORS` of [`add_products`].
#[inline(always)]
fn add_products_of<S: Simd, const VECTORS: usize>(
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

/// Backward through a layer with inputs `a` and a row of weights for each, from the gradient `d` of its sums:
///
/// ```text
/// d_rows[n] = used(a[n] · d)     d_a[n] = rows[n] · d, if it is given
/// ```
///
/// and the sum of all that was stored in `d_rows`. Sixteen rows at a time: the sums across lanes of some are formed while the
/// new weights of others are stored.
#[inline(always)]
pub(super) fn layer_backward<S: Simd>(
    simd: S,
    gradient_use: GradientUse,
    a: &[f32],
    d: &[[f32; LANES]],
    rows: &[[f32; LANES]],
    d_rows: &mut [[f32; LANES]],
    mut d_a: Option<&mut [[f32; LANES]]>,
) -> S::Vector {
    let mut total = simd.splat(0.0);
    let width = LANES * d.len();
    let (sixteens, rest) = a.as_chunks::<LANES>();
    for (group, a) in sixteens.iter().enumerate() {
        let (rows, d_rows) = (
            &rows[group * width..][..width],
            &mut d_rows[group * width..][..width],
        );
        let d_a = d_a.as_deref_mut().map(|d_a| &mut d_a[group]);
        total = simd.add(
            total,
            rows_backward(simd, gradient_use, a, d, rows, d_rows, d_a),
        );
    }
    if !rest.is_empty() {
        let group = sixteens.len();
        let (rows, d_rows) = (&rows[group * width..], &mut d_rows[group * width..]);
        let d_a = d_a.map(|d_a| &mut d_a[group]);
        total = simd.add(
            total,
            rows_backward(simd, gradient_use, rest, d, rows, d_rows, d_a),
        );
    }
    total
}

/// [`layer_backward`] for up to sixteen rows; for a constant number of them it is without branches.
#[inline(always)]
fn rows_backward<S: Simd>(
    simd: S,
    gradient_use: GradientUse,
    a: &[f32],
    d: &[[f32; LANES]],
    rows: &[[f32; LANES]],
    d_rows: &mut [[f32; LANES]],
    d_a: Option<&mut [f32; LANES]>,
) -> S::Vector {
    if let Some(d_a) = d_a {
        simd.store(dots(simd, rows, a.len(), d), d_a);
    }
    outer_product(simd, gradient_use, a, d, rows, d_rows)
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

/// `out[n] = used(a[n] · d)`, the parameters being `rows[n]`, and the sum of all that was stored.
#[inline(always)]
fn outer_product<S: Simd>(
    simd: S,
    gradient_use: GradientUse,
    a: &[f32],
    d: &[[f32; LANES]],
    rows: &[[f32; LANES]],
    out: &mut [[f32; LANES]],
) -> S::Vector {
    let mut sum = simd.splat(0.0);
    for v in (0..d.len()).step_by(vectors_at_once::<S>()) {
        let of_these = if v + 1 < d.len() && vectors_at_once::<S>() == 2 {
            outer_product_of::<S, 2>(simd, gradient_use, a, d, v, rows, out)
        } else {
            outer_product_of::<S, 1>(simd, gradient_use, a, d, v, rows, out)
        };
        sum = simd.add(sum, of_these);
    }
    sum
}

/// The vectors from `start` on of an [`outer_product`].
#[inline(always)]
fn outer_product_of<S: Simd, const VECTORS: usize>(
    simd: S,
    gradient_use: GradientUse,
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
                let index = part * stride + start + v;
                let result = gradient_use.select(simd, &rows[index], simd.mul(a, vectors[v]));
                sums[part] = simd.add(sums[part], result);
                simd.store(result, &mut out[index]);
            }
        }
    }
    for part in 0..PARTS {
        if part < rest.len() {
            let a = simd.splat(rest[part]);
            for v in 0..VECTORS {
                let index = part * stride + start + v;
                let result = gradient_use.select(simd, &row_rest[index], simd.mul(a, vectors[v]));
                sums[part] = simd.add(sums[part], result);
                simd.store(result, &mut out_rest[index]);
            }
        }
    }
    let [a, b, c, d] = sums;
    simd.add(simd.add(a, b), simd.add(c, d))
}
