//! Learning-rate schedules: functions of the step, to be multiplied with one another and with the optimizer's rate.
//!
//! Each gives the factor of the step with this number, counted from 0, as PyTorch's `LambdaLR` wants it. A warm-up followed
//! by a cosine, PyTorch's `SequentialLR`, is a product of two:
//!
//! ```
//! use fused_mlp::schedule::{cosine, warm_up};
//!
//! let factor = |step: u64| warm_up(step, 100, 0.01) * cosine(step.saturating_sub(100), 900, 0.0);
//! assert_eq!(factor(0), 0.01);
//! assert_eq!(factor(100), 1.0);
//! assert!(factor(550) > 0.499 && factor(550) < 0.501);
//! assert_eq!(factor(1_000), 0.0);
//! ```
//!
//! They are computed in `f64`, with functions that are the same on every processor, so that a schedule has the same bits
//! everywhere.

use core::f64::consts::PI;

/// 1 at every step.
#[must_use]
pub const fn constant(_step: u64) -> f64 {
    1.0
}

/// `factor` once more after every `period` steps, PyTorch's `StepLR`:
///
/// ```text
/// factor ^ ⌊step / period⌋
/// ```
///
/// NaN for a period of 0, which [`Trainer::fit`](crate::Trainer::fit) refuses.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "periods are far below 2⁵³")]
pub fn step_decay(step: u64, period: u64, factor: f64) -> f64 {
    match step.checked_div(period) {
        Some(periods) => libm::pow(factor, periods as f64),
        None => f64::NAN,
    }
}

/// From 1 down to `floor` along half a cosine, PyTorch's `CosineAnnealingLR` in its closed form (Loshchilov and Hutter,
/// 2017, equation 5, without restarts):
///
/// ```text
/// floor + (1 − floor) · ½ · (1 + cos(π · step / steps))
/// ```
///
/// From step `steps` on it stays at `floor`, where PyTorch's would rise again.
#[must_use]
pub fn cosine(step: u64, steps: u64, floor: f64) -> f64 {
    if step >= steps {
        return floor;
    }
    floor + (1.0 - floor) * 0.5 * (1.0 + libm::cos(PI * share(step, steps)))
}

/// From `start` up to 1 on a straight line, PyTorch's `LinearLR`:
///
/// ```text
/// start + (1 − start) · step / steps
/// ```
///
/// From step `steps` on it stays at 1.
#[must_use]
pub fn warm_up(step: u64, steps: u64, start: f64) -> f64 {
    if step >= steps {
        return 1.0;
    }
    start + (1.0 - start) * share(step, steps)
}

/// The part of `steps` that lies before `step`.
#[expect(clippy::cast_precision_loss, reason = "steps are far below 2⁵³")]
fn share(step: u64, steps: u64) -> f64 {
    step as f64 / steps as f64
}
