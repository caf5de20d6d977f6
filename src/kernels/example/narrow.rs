//! The last layer of one example, where it has few outputs: its weights are stored `[output][input]`, and lanes run over inputs.

use crate::kernels::gradient_use::GradientUse;
use crate::model::NARROW_OUTPUTS;
use crate::simd::{LANES, Simd};

/// Chains of a sum over vectors of inputs, vector v in chain v mod 4.
const PARTS: usize = 4;

/// Lane o is `Σ_n weights[o][n] · a[n]`, and zero in the lanes that are no output.
#[inline(always)]
pub(super) fn products<S: Simd>(simd: S, a: &[f32], weights: &[[f32; LANES]]) -> S::Vector {
    let mut rows = weights.chunks_exact(a.len().div_ceil(LANES));
    let mut sums = [simd.splat(0.0); LANES];
    for output in 0..NARROW_OUTPUTS {
        if let Some(row) = rows.next() {
            sums[output] = product(simd, a, row);
        }
    }
    simd.sum_lanes_of_rows(sums)
}

/// Vectors whose lanes add up to `Σ_n row[n] · a[n]`, added.
#[inline(always)]
fn product<S: Simd>(simd: S, a: &[f32], row: &[[f32; LANES]]) -> S::Vector {
    let mut sums = [simd.splat(0.0); PARTS];
    for start in (0..row.len()).step_by(PARTS) {
        for part in 0..PARTS {
            if let Some(weights) = row.get(start + part) {
                let a = padded(simd, a, start + part);
                sums[part] = simd.mul_add(a, simd.load(weights), sums[part]);
            }
        }
    }
    let [a, b, c, d] = sums;
    simd.add(simd.add(a, b), simd.add(c, d))
}

/// Backward through the layer, from the gradient `d` of its sums, of which `outputs` count:
///
/// ```text
/// d_weights[o][n] = used(d[o] · a[n])     d_a[n] = Σ_o weights[o][n] · d[o]
/// ```
///
/// and the sum of all that was stored in `d_weights`.
#[inline(always)]
pub(super) fn backward<S: Simd>(
    simd: S,
    gradient_use: GradientUse,
    a: &[f32],
    d: &[f32],
    weights: &[[f32; LANES]],
    d_weights: &mut [[f32; LANES]],
    d_a: &mut [[f32; LANES]],
) -> S::Vector {
    let stride = a.len().div_ceil(LANES);
    let mut sums = [simd.splat(0.0); NARROW_OUTPUTS];
    for v in 0..stride {
        let a = padded(simd, a, v);
        let mut total = simd.splat(0.0);
        for output in 0..NARROW_OUTPUTS {
            if let Some(&d) = d.get(output) {
                let d = simd.splat(d);
                let place = output * stride + v;
                total = simd.mul_add(d, simd.load(&weights[place]), total);
                let result = gradient_use.select(simd, &weights[place], simd.mul(d, a));
                sums[output] = simd.add(sums[output], result);
                simd.store(result, &mut d_weights[place]);
            }
        }
        simd.store(total, &mut d_a[v]);
    }
    let [a, b, c, d] = sums;
    simd.add(simd.add(a, b), simd.add(c, d))
}

/// Vector number `index` of `values`, with zeros after the last of them.
#[inline(always)]
fn padded<S: Simd>(simd: S, values: &[f32], index: usize) -> S::Vector {
    let values = &values[index * LANES..];
    match values.first_chunk() {
        Some(full) => simd.load(full),
        None => {
            let mut last = [0.0; LANES];
            for lane in 0..LANES {
                if let Some(&value) = values.get(lane) {
                    last[lane] = value;
                }
            }
            simd.load(&last)
        }
    }
}
