//! The losses: from outputs to the loss of each example and the gradient with respect to the outputs.

use super::chunk::{CHUNK, VECTORS};
use super::math::{exp, ln};
use crate::model::{Batch, HeadKind, HeadSpec, Symbols, Targets, Weights};
use crate::simd::{LANES, Simd};

/// Replaces `outputs[output][example]` by the gradient of the mean loss of the whole batch, zero in the lanes beyond the examples of
/// this chunk, and returns the sum of their losses, each times its weight.
#[inline(always)]
pub(crate) fn loss<S: Simd>(
    simd: S,
    head: HeadSpec,
    chunk: Batch<'_>,
    outputs: &mut [[f32; LANES]],
) -> f64 {
    let examples = chunk.len;
    let Weights { of_examples, total } = chunk.weights;
    #[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
    let scale = match of_examples {
        None => (1.0 / total) as f32,
        Some(_) => 1.0,
    };
    let outputs = &mut outputs[..head.outputs * VECTORS];
    let mut losses = match (head.kind, chunk.targets) {
        (HeadKind::Softmax, Targets::Classes(classes)) => {
            let classes = classes.of_width(head.symbols);
            let losses = softmax(simd, classes, scale, outputs);
            // d_logits = (softmax − onehot) · scale
            let d_logits = outputs.as_flattened_mut();
            for example in 0..classes.len() {
                d_logits[classes.at(example) * CHUNK + example] -= scale;
            }
            losses
        }
        (HeadKind::Logistic, Targets::Classes(classes)) => {
            let classes = classes.of_width(head.symbols);
            logistic(simd, classes, scale, outputs)
        }
        (HeadKind::SquaredError | HeadKind::Huber, Targets::Values(values)) => {
            regression(simd, head, values, scale, outputs)
        }
        (_, Targets::Own { loss, first }) => {
            let mut losses: Losses = [[0.0; LANES]; VECTORS];
            let of_examples = &mut losses.as_flattened_mut()[..examples];
            loss.differentiate(first, scale, outputs.as_flattened_mut(), CHUNK, of_examples);
            losses
        }
        _ => unreachable!("a head type fixes its targets"),
    };
    losses.as_flattened_mut()[examples..].fill(0.0);
    let loss = match of_examples {
        None => sum(simd, losses),
        Some(weights) => weigh(weights, total, &losses, outputs),
    };
    if examples < CHUNK {
        for row in outputs.as_flattened_mut().chunks_exact_mut(CHUNK) {
            row[examples..].fill(0.0);
        }
    }
    loss
}

/// Replaces `logits[output][example]` by probabilities; numbers stay as they are.
#[inline(always)]
pub(crate) fn normalise<S: Simd>(simd: S, head: HeadSpec, outputs: &mut [[f32; LANES]]) {
    let outputs = &mut outputs[..head.outputs * VECTORS];
    match head.kind {
        HeadKind::Softmax => {
            softmax(simd, Symbols::Bytes(&[]), 1.0, outputs);
        }
        HeadKind::Logistic => {
            for z in outputs {
                simd.store(sigmoid(simd, simd.load(z)).0, z);
            }
        }
        HeadKind::SquaredError | HeadKind::Huber => {}
    }
}

/// Losses of the examples of a chunk.
type Losses = [[f32; LANES]; VECTORS];

/// Summed as fractions of a chunk, which costs no precision and cannot overflow where no loss does.
#[inline(always)]
fn sum<S: Simd>(simd: S, losses: Losses) -> f64 {
    const FRACTION: f32 = 1.0 / CHUNK as f32;
    let mut sum = simd.splat(0.0);
    for vector in &losses {
        sum = simd.mul_add(simd.splat(FRACTION), simd.load(vector), sum);
    }
    f64::from(simd.sum_lanes(sum)) / f64::from(FRACTION)
}

/// Multiplies the gradients of each example by its part of the weight of the whole batch, and returns the sum of weight times loss.
///
/// Compiled once, for every processor: it is a short pass, and only weighted batches take it.
#[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
fn weigh(weights: &[f32], total: f64, losses: &Losses, outputs: &mut [[f32; LANES]]) -> f64 {
    let mut sum = 0.0;
    let mut parts = [0.0; CHUNK];
    for (example, &weight) in weights.iter().enumerate() {
        let weight = f64::from(weight);
        sum += weight * f64::from(losses.as_flattened()[example]);
        parts[example] = (weight / total) as f32;
    }
    for row in outputs.as_flattened_mut().chunks_exact_mut(CHUNK) {
        for (gradient, part) in row.iter_mut().zip(&parts) {
            *gradient *= part;
        }
    }
    sum
}

/// Cross-entropy of the softmax, in nats:
///
/// ```text
/// loss_b = ln Σ_v e^(z_v − m) − (z_y − m),   m = max_v z_v
/// ```
///
/// and `scale · softmax(z)` in place of the logits. The shift by m keeps every exponential in [0, 1] and the sum in
/// [1, V]. A NaN logit makes its example's loss NaN: the maximum passes over it, its exponential does not.
#[inline(always)]
fn softmax<S: Simd>(
    simd: S,
    classes: Symbols<'_>,
    scale: f32,
    logits: &mut [[f32; LANES]],
) -> Losses {
    let mut target_logits: Losses = [[0.0; LANES]; VECTORS];
    for example in 0..classes.len() {
        target_logits.as_flattened_mut()[example] =
            logits.as_flattened()[classes.at(example) * CHUNK + example];
    }

    let (rows, _) = logits.as_chunks_mut::<VECTORS>();
    // Even and odd rows apart: one maximum after another would be waited for.
    let mut max = [simd.splat(f32::NEG_INFINITY); VECTORS];
    let mut odd_max = max;
    let (pairs, last) = rows.as_chunks::<2>();
    for v in 0..VECTORS {
        for [even, odd] in pairs {
            max[v] = simd.max(simd.load(&even[v]), max[v]);
            odd_max[v] = simd.max(simd.load(&odd[v]), odd_max[v]);
        }
        for row in last {
            max[v] = simd.max(simd.load(&row[v]), max[v]);
        }
        max[v] = simd.max(odd_max[v], max[v]);
    }
    let mut total = [simd.splat(0.0); VECTORS];
    for row in &mut *rows {
        for v in 0..VECTORS {
            let e = exp(simd, simd.sub(simd.load(&row[v]), max[v]));
            total[v] = simd.add(total[v], e);
            simd.store(e, &mut row[v]);
        }
    }
    let mut factor = total;
    for v in 0..VECTORS {
        factor[v] = simd.div(simd.splat(scale), total[v]);
    }
    for row in &mut *rows {
        for v in 0..VECTORS {
            let p = simd.mul(simd.load(&row[v]), factor[v]);
            simd.store(p, &mut row[v]);
        }
    }
    let mut losses: Losses = [[0.0; LANES]; VECTORS];
    for v in 0..VECTORS {
        let target = simd.sub(simd.load(&target_logits[v]), max[v]);
        simd.store(simd.sub(ln(simd, total[v]), target), &mut losses[v]);
    }
    losses
}

/// Targets of a chunk as numbers, one value of each example: `f(example)` where there is one, else zero.
#[inline(always)]
fn targets_of(values: impl Iterator<Item = f32>) -> Losses {
    let mut targets: Losses = [[0.0; LANES]; VECTORS];
    let floats = targets.as_flattened_mut();
    for (example, value) in values.enumerate() {
        floats[example] = value;
    }
    targets
}

/// σ(z) = 1 / (1 + e^−z), and e^−|z|, from which ln(1 + e^z) follows without overflow.
#[inline(always)]
pub(super) fn sigmoid<S: Simd>(simd: S, z: S::Vector) -> (S::Vector, S::Vector) {
    let (zero, one) = (simd.splat(0.0), simd.splat(1.0));
    let e = exp(simd, simd.sub(zero, simd.abs(z)));
    let numerator = simd.select_lt(z, zero, e, one);
    (simd.div(numerator, simd.add(one, e)), e)
}

/// Cross-entropy of the logistic function, in nats:
///
/// ```text
/// loss_b = ln(1 + e^z) − y·z = max(z, 0) − y·z + ln(1 + e^−|z|)      gradient = scale · (σ(z) − y)
/// ```
#[inline(always)]
fn logistic<S: Simd>(simd: S, classes: Symbols<'_>, scale: f32, z: &mut [[f32; LANES]]) -> Losses {
    let targets = targets_of(
        classes
            .iter()
            .map(|class| if class == 0 { 0.0 } else { 1.0 }),
    );
    let scale = simd.splat(scale);
    let mut losses: Losses = [[0.0; LANES]; VECTORS];
    for v in 0..VECTORS {
        let (logit, y) = (simd.load(&z[v]), simd.load(&targets[v]));
        let (loss, gradient) = logistic_of(simd, logit, y, scale);
        simd.store(loss, &mut losses[v]);
        simd.store(gradient, &mut z[v]);
    }
    losses
}

/// The loss and the gradient of [`logistic`], of a vector of examples.
#[inline(always)]
pub(super) fn logistic_of<S: Simd>(
    simd: S,
    logit: S::Vector,
    y: S::Vector,
    scale: S::Vector,
) -> (S::Vector, S::Vector) {
    let (p, e) = sigmoid(simd, logit);
    // The order of the operands keeps NaN.
    let positive = simd.max(simd.splat(0.0), logit);
    let linear = simd.neg_mul_add(y, logit, positive);
    let loss = simd.add(linear, ln(simd, simd.add(simd.splat(1.0), e)));
    (loss, simd.mul(simd.sub(p, y), scale))
}

/// Mean over the outputs of (z − y)², or of Huber's loss with δ = 1:
///
/// ```text
/// loss = d²                          gradient = 2 · scale · d / outputs                d = z − y
/// loss = c · (|d| − c / 2)           gradient = scale · (c with d's sign) / outputs    c = min(|d|, 1)
/// ```
#[inline(always)]
fn regression<S: Simd>(
    simd: S,
    head: HeadSpec,
    values: &[f32],
    scale: f32,
    z: &mut [[f32; LANES]],
) -> Losses {
    let rule = RegressionRule::of(simd, head, scale);
    let mut losses = [simd.splat(0.0); VECTORS];
    for (output, z) in z.as_chunks_mut::<VECTORS>().0.iter_mut().enumerate() {
        let targets = values.chunks_exact(head.outputs);
        let targets = targets_of(targets.map(|values| values[output]));
        for v in 0..VECTORS {
            let d = simd.sub(simd.load(&z[v]), simd.load(&targets[v]));
            let gradient;
            (losses[v], gradient) = rule.apply(simd, d, losses[v]);
            simd.store(gradient, &mut z[v]);
        }
    }
    let mut stored: Losses = [[0.0; LANES]; VECTORS];
    for v in 0..VECTORS {
        simd.store(losses[v], &mut stored[v]);
    }
    stored
}

/// The formulas of [`regression`], for a vector of differences.
#[derive(Clone, Copy)]
pub(super) struct RegressionRule<V> {
    is_huber: bool,
    /// One over the number of outputs.
    mean: V,
    /// `scale / outputs`
    slope: V,
}

impl<V: Copy> RegressionRule<V> {
    #[inline(always)]
    pub(super) fn of<S: Simd<Vector = V>>(simd: S, head: HeadSpec, scale: f32) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "widths are far below 2²⁴")]
        let mean = simd.splat(1.0 / head.outputs as f32);
        Self {
            is_huber: head.kind == HeadKind::Huber,
            mean,
            slope: simd.mul(simd.splat(scale), mean),
        }
    }

    /// The loss of these differences z − y added to a loss, and their gradient.
    #[inline(always)]
    pub(super) fn apply<S: Simd<Vector = V>>(self, simd: S, d: V, loss: V) -> (V, V) {
        let Self { mean, slope, .. } = self;
        if self.is_huber {
            let size = simd.abs(d);
            let c = simd.min(simd.splat(1.0), size); // NaN stays
            let rest = simd.neg_mul_add(simd.splat(0.5), c, size);
            let loss = simd.mul_add(simd.mul(c, mean), rest, loss);
            (loss, simd.mul(simd.with_sign(c, d), slope))
        } else {
            let loss = simd.mul_add(simd.mul(d, mean), d, loss);
            (loss, simd.mul(simd.add(d, d), slope))
        }
    }
}
