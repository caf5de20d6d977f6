//! What the losses of [`losses`](crate::losses) need of exp and ln, for the outputs of one example side by side.

use super::heads::logistic_of;
use super::math::{exp, ln};
use crate::simd::{Kernel, LANES, Simd};

/// Replaces logits z by their softmax, summed in their order as a batch's is; returns the largest, m, and ln Σ e^(z − m).
pub(crate) struct Softmax<'a>(pub(crate) &'a mut [f32]);

impl Kernel for Softmax<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> (f32, f32) {
        let mut max = f32::NEG_INFINITY;
        for &z in &*self.0 {
            if z > max {
                max = z;
            }
        }
        let shift = simd.splat(max);
        for values in self.0.chunks_mut(LANES) {
            let mut vector = [f32::NEG_INFINITY; LANES];
            vector[..values.len()].copy_from_slice(values);
            simd.store(exp(simd, simd.sub(simd.load(&vector), shift)), &mut vector);
            values.copy_from_slice(&vector[..values.len()]);
        }
        let total = self.0.iter().fold(0.0, |total, e| total + e);
        let factor = 1.0 / total;
        for value in self.0 {
            *value *= factor;
        }
        (max, simd.first_lane(ln(simd, simd.splat(total))))
    }
}

/// Replaces logits by the gradients of the logistic losses of these labels, and labels by the losses; as many of either.
pub(crate) struct Logistic<'a> {
    pub(crate) logits: &'a mut [f32],
    pub(crate) labels: &'a mut [f32],
}

impl Kernel for Logistic<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let pairs = self.logits.chunks_mut(LANES);
        for (logits, labels) in pairs.zip(self.labels.chunks_mut(LANES)) {
            let (mut z, mut y) = ([0.0; LANES], [0.0; LANES]);
            z[..logits.len()].copy_from_slice(logits);
            y[..labels.len()].copy_from_slice(labels);
            let one = simd.splat(1.0);
            let (loss, gradient) = logistic_of(simd, simd.load(&z), simd.load(&y), one);
            simd.store(gradient, &mut z);
            simd.store(loss, &mut y);
            logits.copy_from_slice(&z[..logits.len()]);
            labels.copy_from_slice(&y[..labels.len()]);
        }
    }
}
