//! From gradients to new parameters.

use crate::simd::{Kernel, LANES, Simd};

/// One step of gradient descent, written beside the parameters it starts from: `next = parameters − rate · gradients`.
pub(crate) struct Descend<'a> {
    pub(crate) rate: f32,
    pub(crate) parameters: &'a [[f32; LANES]],
    pub(crate) gradients: &'a [[f32; LANES]],
    pub(crate) next: &'a mut [[f32; LANES]],
}

impl Kernel for Descend<'_> {
    /// Whether every new parameter is finite.
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> bool {
        let rate = simd.splat(self.rate);
        let zero = simd.splat(0.0);
        // Zero times a finite number is zero, and anything else is NaN: one multiply-add a vector finds either.
        let mut finite = zero;
        let old = self.parameters.iter().zip(self.gradients);
        for (next, (parameter, gradient)) in self.next.iter_mut().zip(old) {
            let value = simd.neg_mul_add(rate, simd.load(gradient), simd.load(parameter));
            finite = simd.mul_add(value, zero, finite);
            simd.store(value, next);
        }
        simd.sum_lanes(finite) == 0.0
    }
}
