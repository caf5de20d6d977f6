//! The losses of a single example, whose outputs lie side by side: what [`heads`](crate::kernels::heads) does for a chunk, with sums
//! across lanes.

use crate::kernels::heads::{RegressionRule, logistic_of, sigmoid};
use crate::kernels::math::{exp, ln};
use crate::model::{HeadKind, HeadSpec, Targets};
use crate::simd::{LANES, Simd};

/// Replaces logits by probabilities; numbers stay as they are.
#[inline(always)]
pub(super) fn normalise<S: Simd>(simd: S, head: HeadSpec, z: &mut [[f32; LANES]]) {
    match head.kind {
        HeadKind::Softmax => {
            softmax(simd, head, z);
        }
        HeadKind::Logistic => simd.store(sigmoid(simd, simd.load(&z[0])).0, &mut z[0]),
        HeadKind::SquaredError | HeadKind::Huber => {}
    }
}

/// As [`normalise`], for more outputs than are computed together.
#[inline(always)]
pub(super) fn normalise_many<S: Simd>(simd: S, head: HeadSpec, outputs: &mut [f32]) {
    if head.kind != HeadKind::Softmax {
        return; // numbers stay as they are
    }
    let (vectors, rest) = outputs.as_chunks_mut();
    let mut last = [f32::NEG_INFINITY; LANES];
    last[..rest.len()].copy_from_slice(rest);
    softmax_of(simd, vectors, &mut last);
    rest.copy_from_slice(&last[..rest.len()]);
}

/// Replaces outputs by the gradient of the loss, zero in the lanes that are no output, and returns the loss.
#[inline(always)]
pub(super) fn loss<S: Simd>(
    simd: S,
    head: HeadSpec,
    targets: Targets<'_>,
    z: &mut [[f32; LANES]],
) -> f32 {
    match (head.kind, targets) {
        (HeadKind::Softmax, Targets::Classes(classes)) => {
            let class = classes.of_width(head.symbols).at(0);
            let logit = z.as_flattened()[class];
            let (max, total) = softmax(simd, head, z);
            for (v, z) in z.iter_mut().enumerate() {
                let one_hot = select_class(simd, v, class, simd.splat(1.0), simd.splat(0.0));
                simd.store(simd.sub(simd.load(z), one_hot), z);
            }
            simd.first_lane(ln(simd, simd.splat(total))) - (logit - max)
        }
        (HeadKind::Logistic, Targets::Classes(classes)) => {
            let is_true = classes.of_width(head.symbols).at(0) != 0;
            let (one, y) = (simd.splat(1.0), simd.splat(f32::from(is_true)));
            let (loss, gradient) = logistic_of(simd, simd.load(&z[0]), y, one);
            let gradient = select_first(simd, 1, gradient, simd.splat(0.0));
            simd.store(gradient, &mut z[0]);
            simd.first_lane(loss)
        }
        (HeadKind::SquaredError | HeadKind::Huber, Targets::Values(values)) => {
            let rule = RegressionRule::of(simd, head, 1.0);
            let mut loss = simd.splat(0.0);
            for (v, z) in z.iter_mut().enumerate() {
                let mut y = [0.0; LANES];
                for lane in 0..LANES {
                    if v * LANES + lane < head.outputs {
                        y[lane] = values[v * LANES + lane];
                    }
                }
                let gradient;
                let d = simd.sub(simd.load(z), simd.load(&y));
                (loss, gradient) = rule.apply(simd, d, loss);
                simd.store(gradient, z);
            }
            simd.sum_lanes(loss)
        }
        (_, Targets::Own { loss, first }) => {
            let outputs = z.as_flattened_mut();
            outputs[head.outputs..].fill(0.0);
            let mut losses = [0.0];
            loss.differentiate(first, 1.0, outputs, 1, &mut losses);
            losses[0]
        }
        _ => unreachable!("a head type fixes its targets"),
    }
}

/// Replaces logits by their softmax, zero in the lanes that are no class, and returns the largest logit and the sum of the
/// exponentials of all logits less that.
#[inline(always)]
fn softmax<S: Simd>(simd: S, head: HeadSpec, z: &mut [[f32; LANES]]) -> (f32, f32) {
    let last = z.len() - 1;
    let classes = head.outputs - last * LANES;
    let nothing = simd.splat(f32::NEG_INFINITY);
    let (vectors, last) = z.split_at_mut(last);
    let last = &mut last[0];
    simd.store(select_first(simd, classes, simd.load(last), nothing), last);
    softmax_of(simd, vectors, last)
}

/// As [`softmax`]; the lanes of `last` that are no class are −∞.
#[inline(always)]
fn softmax_of<S: Simd>(
    simd: S,
    vectors: &mut [[f32; LANES]],
    last: &mut [f32; LANES],
) -> (f32, f32) {
    let mut max = simd.splat(f32::NEG_INFINITY);
    for z in &*vectors {
        max = simd.max(simd.load(z), max);
    }
    let max = simd.max_lane(simd.max(simd.load(last), max));
    let shift = simd.splat(max);
    let mut total = simd.splat(0.0);
    for z in &mut *vectors {
        let e = exp(simd, simd.sub(simd.load(z), shift));
        total = simd.add(total, e);
        simd.store(e, z);
    }
    let e = exp(simd, simd.sub(simd.load(last), shift));
    let total = simd.sum_lanes(simd.add(total, e));
    let factor = simd.splat(1.0 / total);
    for z in vectors {
        simd.store(simd.mul(simd.load(z), factor), z);
    }
    simd.store(simd.mul(e, factor), last);
    (max, total)
}

/// `first` in the first `count` lanes, `others` in the others.
#[inline(always)]
fn select_first<S: Simd>(simd: S, count: usize, first: S::Vector, others: S::Vector) -> S::Vector {
    #[expect(clippy::cast_precision_loss, reason = "at most sixteen")]
    let count = simd.splat(count as f32);
    simd.select_lt(simd.load(&INDICES), count, first, others)
}

/// `of_class` in the lane of `class` among the lanes of vector `v`, `others` in the others.
#[inline(always)]
fn select_class<S: Simd>(
    simd: S,
    v: usize,
    class: usize,
    of_class: S::Vector,
    others: S::Vector,
) -> S::Vector {
    #[expect(clippy::cast_precision_loss, reason = "at most 2¹⁶ classes")]
    let [first, class] = [v * LANES, class].map(|index| index as f32);
    let distance = simd.abs(simd.sub(simd.load(&INDICES), simd.splat(class - first)));
    simd.select_lt(distance, simd.splat(0.5), of_class, others)
}

/// Each lane's own number.
const INDICES: [f32; LANES] = {
    let mut indices = [0.0; LANES];
    let mut lane = 1;
    while lane < LANES {
        indices[lane] = indices[lane - 1] + 1.0;
        lane += 1;
    }
    indices
};
