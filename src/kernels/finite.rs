//! Whether all numbers are finite, by one operation a vector.

use crate::model::ACCUMULATORS;
use crate::simd::{Kernel, LANES, Simd};

/// The sum of all numbers, in [`ACCUMULATORS`] chains of additions: finite only if all of them are.
pub(crate) struct Sum<'a>(pub(crate) &'a [[f32; LANES]]);

impl Kernel for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let mut sums = [simd.splat(0.0); ACCUMULATORS];
        for group in self.0.as_chunks::<ACCUMULATORS>().0 {
            for i in 0..ACCUMULATORS {
                sums[i] = simd.add(simd.load(&group[i]), sums[i]);
            }
        }
        let zero = simd.splat(0.0);
        simd.sum_lanes(sums.into_iter().fold(zero, |a, b| simd.add(a, b)))
    }
}

/// What a step of plain gradient descent came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) loss: f32,
    /// The sum of all new parameters.
    pub(crate) sum: f32,
}

impl Outcome {
    /// The loss, if it and the sum are finite.
    ///
    /// A sum is finite only if all its terms are. One that overflows although they are finite is a false alarm, which the
    /// engine answers by taking the step again, gradients first. The order of the sum may differ between backends, and with it
    /// the false alarms, but not what the step ends on.
    #[inline(always)]
    pub(crate) fn finite_loss(self) -> Option<f32> {
        (self.loss.is_finite() && self.sum.is_finite()).then_some(self.loss)
    }
}
