//! The losses: from outputs to the loss of each example and the gradient with respect to the outputs.

use super::batch_step::{CHUNK, HALVES};
use super::math::{exp, ln};
use crate::network::{HeadKind, Network, Targets};
use crate::simd::{LANES, Simd};

/// Replaces `outputs[output][example]` by the gradient of the batch's mean loss, and returns the sum of the losses of
/// this chunk's examples.
///
/// `scale` is one over the length of the batch. It is zero in the lanes beyond `examples`.
#[inline(always)]
pub(crate) fn loss<S: Simd>(
    simd: S,
    network: Network,
    targets: Targets<'_>,
    examples: usize,
    scale: f32,
    outputs: &mut [[f32; LANES]],
) -> f32 {
    let outputs = &mut outputs[..network.outputs * HALVES];
    let loss = match (network.head, targets) {
        (HeadKind::Softmax, Targets::Classes(classes)) => {
            let losses = softmax(simd, classes, scale, outputs);
            // d_logits = (softmax − onehot) · scale
            let d_logits = outputs.as_flattened_mut();
            for (example, &class) in classes.iter().enumerate() {
                d_logits[usize::from(class) * CHUNK + example] -= scale;
            }
            sum(simd, losses, examples)
        }
        (HeadKind::SquaredError, Targets::Values(values)) => {
            let losses = squared_error(simd, values, network.outputs, scale, outputs);
            sum(simd, losses, examples)
        }
        _ => unreachable!("a head type fixes its targets"),
    };
    if examples < CHUNK {
        for row in outputs.as_flattened_mut().chunks_exact_mut(CHUNK) {
            row[examples..].fill(0.0);
        }
    }
    loss
}

/// Replaces logits by probabilities; numbers stay as they are.
#[inline(always)]
pub(crate) fn normalise<S: Simd>(simd: S, network: Network, outputs: &mut [[f32; LANES]]) {
    match network.head {
        HeadKind::Softmax => {
            softmax(simd, &[], 1.0, &mut outputs[..network.outputs * HALVES]);
        }
        HeadKind::SquaredError => {}
    }
}

/// Losses of the examples of a chunk.
type Losses = [[f32; LANES]; HALVES];

#[inline(always)]
fn sum<S: Simd>(simd: S, mut losses: Losses, examples: usize) -> f32 {
    losses.as_flattened_mut()[examples..].fill(0.0);
    let mut sum = simd.load(&losses[0]);
    for half in &losses[1..] {
        sum = simd.add(sum, simd.load(half));
    }
    simd.sum_lanes(sum)
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
fn softmax<S: Simd>(simd: S, classes: &[u8], scale: f32, logits: &mut [[f32; LANES]]) -> Losses {
    let mut target_logits: Losses = [[0.0; LANES]; HALVES];
    for (example, &class) in classes.iter().enumerate() {
        target_logits.as_flattened_mut()[example] =
            logits.as_flattened()[usize::from(class) * CHUNK + example];
    }

    let (rows, _) = logits.as_chunks_mut::<HALVES>();
    let mut max = [simd.splat(f32::NEG_INFINITY); HALVES];
    for row in &*rows {
        for half in 0..HALVES {
            max[half] = simd.max(simd.load(&row[half]), max[half]);
        }
    }
    let mut total = [simd.splat(0.0); HALVES];
    for row in &mut *rows {
        for half in 0..HALVES {
            let e = exp(simd, simd.sub(simd.load(&row[half]), max[half]));
            total[half] = simd.add(total[half], e);
            simd.store(e, &mut row[half]);
        }
    }
    let mut factor = total;
    for half in 0..HALVES {
        factor[half] = simd.div(simd.splat(scale), total[half]);
    }
    for row in &mut *rows {
        for half in 0..HALVES {
            let p = simd.mul(simd.load(&row[half]), factor[half]);
            simd.store(p, &mut row[half]);
        }
    }
    let mut losses: Losses = [[0.0; LANES]; HALVES];
    for half in 0..HALVES {
        let target = simd.sub(simd.load(&target_logits[half]), max[half]);
        simd.store(simd.sub(ln(simd, total[half]), target), &mut losses[half]);
    }
    losses
}

/// Mean squared error over the outputs: loss_b = Σ_i (z_i − y_i)² / outputs, gradient 2 · scale · (z_i − y_i) / outputs.
#[inline(always)]
fn squared_error<S: Simd>(
    simd: S,
    values: &[f32],
    outputs: usize,
    scale: f32,
    z: &mut [[f32; LANES]],
) -> Losses {
    #[expect(clippy::cast_precision_loss, reason = "widths are far below 2²⁴")]
    let mean = simd.splat(1.0 / outputs as f32);
    let gradient_scale = simd.mul(simd.splat(2.0 * scale), mean);
    let mut losses = [simd.splat(0.0); HALVES];
    for (output, z) in z.as_chunks_mut::<HALVES>().0.iter_mut().enumerate() {
        let mut y: Losses = [[0.0; LANES]; HALVES];
        for (lane, values) in y
            .as_flattened_mut()
            .iter_mut()
            .zip(values.chunks_exact(outputs))
        {
            *lane = values[output];
        }
        for half in 0..HALVES {
            let difference = simd.sub(simd.load(&z[half]), simd.load(&y[half]));
            losses[half] = simd.mul_add(difference, difference, losses[half]);
            simd.store(simd.mul(difference, gradient_scale), &mut z[half]);
        }
    }
    let mut stored: Losses = [[0.0; LANES]; HALVES];
    for half in 0..HALVES {
        simd.store(simd.mul(losses[half], mean), &mut stored[half]);
    }
    stored
}
