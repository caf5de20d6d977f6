//! Losses to start from, for [`Trainer::step_with`](crate::Trainer::step_with): each gives the loss of one example, and its gradient
//! with respect to the outputs.
//!
//! | loss | formula, with z the outputs and K their number | PyTorch |
//! |---|---|---|
//! | [`cross_entropy`] | ln Σ e^zₖ − z of the class | `cross_entropy` |
//! | [`soft_cross_entropy`] | Σ tₖ · (ln Σ e^z − zₖ) | `cross_entropy` with probabilities |
//! | [`smoothed_cross_entropy`] | the same with t = (1 − ε) · onehot + ε / K | `cross_entropy(label_smoothing=ε)` |
//! | [`logistic`] | mean of ln(1 + e^zₖ) − yₖ · zₖ | `binary_cross_entropy_with_logits` |
//! | [`squared`] | mean of (zₖ − yₖ)² | `mse_loss` |
//! | [`absolute`] | mean of \|zₖ − yₖ\| | `l1_loss` |
//! | [`huber`] | mean of ½ d² where \|d\| ≤ δ, else δ · (\|d\| − δ/2), with d = zₖ − yₖ | `huber_loss` |
//! | [`quantile`] | mean of max(q · (yₖ − zₖ), (q − 1) · (yₖ − zₖ)) | – |
//!
//! Those with logarithms are in nats. To weigh an example, multiply both: [`weighted`].
//!
//! ```
//! use fused_mlp::losses::{smoothed_cross_entropy, weighted};
//! use fused_mlp::{Dense, Mlp, SeedableRng, Sgd, Softmax, Tanh, Trainer, Xoshiro256PlusPlus};
//!
//! // A class and a weight for each example.
//! let targets = [(2, 1.0), (0, 0.25)];
//! let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
//! let model = Mlp::<Dense<2>, Tanh<8>, Softmax<3>>::fan_in_scaled(&mut rng);
//! let mut trainer = Trainer::new(model, Sgd::new(0.1))?;
//! let loss = |logits: &[f32; 3], &(class, weight): &(usize, f32)| {
//!     weighted(smoothed_cross_entropy(logits, class, 0.1), weight)
//! };
//! trainer.step_with(&[[0.5, -0.2], [0.1, 0.9]], &targets, loss)?;
//! # Ok::<(), fused_mlp::Error>(())
//! ```
//!
//! exp and ln are this crate's own, on the fastest backend, so results have the same bits on every processor with a
//! [fused](crate::Backend::is_fused) one. With a loss that is its head's, a step has the bits of
//! [`step`](crate::Trainer::step) where the numbers of examples and of outputs are powers of two, and differs by rounding elsewhere.

use crate::kernels::losses::{Logistic, Softmax};
use crate::simd::Backend;

/// A loss multiplied by a weight, and with it its gradient.
#[must_use]
pub fn weighted<const K: usize>((loss, gradient): (f32, [f32; K]), weight: f32) -> (f32, [f32; K]) {
    (weight * loss, gradient.map(|slope| weight * slope))
}

/// Cross-entropy of the softmax with a class: `ln Σ e^zₖ − z_class`, with gradient `softmax(z) − onehot`.
///
/// # Panics
///
/// If there is no such class.
#[must_use]
pub fn cross_entropy<const K: usize>(logits: &[f32; K], class: usize) -> (f32, [f32; K]) {
    let mut gradient = *logits;
    let (max, ln_total) = Backend::detect().run(Softmax(&mut gradient));
    gradient[class] -= 1.0;
    (ln_total - (logits[class] - max), gradient)
}

/// Cross-entropy of the softmax with a distribution t over the classes, as a teacher's: `Σ tₖ · (ln Σ e^z − zₖ)`, with gradient
/// `softmax(z) · Σ t − t`.
#[must_use]
pub fn soft_cross_entropy<const K: usize>(
    logits: &[f32; K],
    distribution: &[f32; K],
) -> (f32, [f32; K]) {
    let mut gradient = *logits;
    let (max, ln_total) = Backend::detect().run(Softmax(&mut gradient));
    let total: f32 = distribution.iter().sum();
    let mut loss = 0.0;
    for k in 0..K {
        loss += distribution[k] * (ln_total - (logits[k] - max));
        gradient[k] = gradient[k] * total - distribution[k];
    }
    (loss, gradient)
}

/// [`soft_cross_entropy`] with the class that is right most of the time, and the rest ε spread over all classes:
/// t = (1 − ε) · onehot + ε / K (Szegedy et al., 2016, "Rethinking the Inception Architecture").
///
/// # Panics
///
/// If there is no such class.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "widths are far below 2²⁴")]
pub fn smoothed_cross_entropy<const K: usize>(
    logits: &[f32; K],
    class: usize,
    smoothing: f32,
) -> (f32, [f32; K]) {
    let mut distribution = [smoothing / K as f32; K];
    distribution[class] += 1.0 - smoothing;
    soft_cross_entropy(logits, &distribution)
}

/// Mean over K independent labels, each 0 or 1 or between, of the cross-entropy of the logistic function:
/// `ln(1 + e^zₖ) − yₖ · zₖ`, with gradient `(σ(zₖ) − yₖ) / K`.
#[must_use]
pub fn logistic<const K: usize>(logits: &[f32; K], labels: &[f32; K]) -> (f32, [f32; K]) {
    let (mut gradient, mut losses) = (*logits, *labels);
    Backend::detect().run(Logistic {
        logits: &mut gradient,
        labels: &mut losses,
    });
    mean(|k| (losses[k], gradient[k]))
}

/// Mean over the outputs of `(zₖ − yₖ)²`, with gradient `2 (zₖ − yₖ) / K`.
#[must_use]
pub fn squared<const K: usize>(outputs: &[f32; K], targets: &[f32; K]) -> (f32, [f32; K]) {
    mean(|k| {
        let d = outputs[k] - targets[k];
        (d * d, d + d)
    })
}

/// Mean over the outputs of `|zₖ − yₖ|`, with gradient ±1 / K, and 0 where they are equal.
#[must_use]
pub fn absolute<const K: usize>(outputs: &[f32; K], targets: &[f32; K]) -> (f32, [f32; K]) {
    mean(|k| {
        let d = outputs[k] - targets[k];
        (d.abs(), if d == 0.0 { 0.0 } else { 1_f32.copysign(d) })
    })
}

/// Mean over the outputs of Huber's loss: ½ d² where |d| ≤ δ, and δ · (|d| − δ/2) beyond, with d = zₖ − yₖ and gradient d, cut at
/// ±δ, over K.
#[must_use]
pub fn huber<const K: usize>(
    outputs: &[f32; K],
    targets: &[f32; K],
    delta: f32,
) -> (f32, [f32; K]) {
    mean(|k| {
        let d = outputs[k] - targets[k];
        let cut = if d.abs() <= delta {
            d
        } else {
            delta.copysign(d)
        };
        (cut * (d - 0.5 * cut), cut)
    })
}

/// Mean over the outputs of the quantile loss, also called pinball loss: q · (yₖ − zₖ) where the output is too low, and
/// (1 − q) · (zₖ − yₖ) where it is too high; its least mean is at the q-quantile of the targets. The gradient is −q or 1 − q, over
/// K, and 0 where they are equal.
#[must_use]
pub fn quantile<const K: usize>(outputs: &[f32; K], targets: &[f32; K], q: f32) -> (f32, [f32; K]) {
    mean(|k| {
        let d = outputs[k] - targets[k];
        let slope = match d {
            _ if d > 0.0 => 1.0 - q,
            _ if d < 0.0 => -q,
            _ => 0.0 * d, // NaN stays
        };
        (slope * d, slope)
    })
}

/// The mean of the losses of K outputs, and its gradient, from each loss and its derivative.
#[expect(clippy::cast_precision_loss, reason = "widths are far below 2²⁴")]
fn mean<const K: usize>(of_output: impl Fn(usize) -> (f32, f32)) -> (f32, [f32; K]) {
    let share = 1.0 / K as f32;
    let (mut loss, mut gradient) = (0.0, [0.0; K]);
    for (k, slope) in gradient.iter_mut().enumerate() {
        let (of_this, derivative) = of_output(k);
        loss += of_this * share;
        *slope = derivative * share;
    }
    (loss, gradient)
}
