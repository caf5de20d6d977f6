//! From gradients to new parameters.

use crate::simd::{Kernel, LANES, Simd};

/// One step of gradient descent: `parameters − rate · gradients`, if every new parameter is finite.
pub(crate) struct Descend<'a> {
    pub(crate) rate: f32,
    pub(crate) parameters: &'a mut [[f32; LANES]],
    pub(crate) gradients: &'a [[f32; LANES]],
}

/// Independent chains of the test for finite numbers: one chain would be as slow as the latency of its additions. Padded
/// parameters are a multiple of as many vectors.
pub(crate) const CHAINS: usize = 4;

impl Kernel for Descend<'_> {
    /// Whether every new parameter is finite.
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> bool {
        let rate = simd.splat(self.rate);
        let zero = simd.splat(0.0);
        let (parameters, _) = self.parameters.as_chunks_mut::<CHAINS>();
        let (gradients, _) = self.gradients.as_chunks::<CHAINS>();
        // Zero times a finite number is zero, and anything else is NaN: one multiply-add a vector finds either.
        let mut finite = [zero; CHAINS];
        for (parameters, gradients) in parameters.iter().zip(gradients) {
            for chain in 0..CHAINS {
                let (parameter, gradient) = (&parameters[chain], &gradients[chain]);
                let value = simd.neg_mul_add(rate, simd.load(gradient), simd.load(parameter));
                finite[chain] = simd.mul_add(value, zero, finite[chain]);
            }
        }
        let [a, b, c, d] = finite;
        if simd.sum_lanes(simd.add(simd.add(a, b), simd.add(c, d))) != 0.0 {
            return false; // NaN is not equal to zero either
        }
        for (parameters, gradients) in parameters.iter_mut().zip(gradients) {
            for chain in 0..CHAINS {
                let (parameter, gradient) = (&mut parameters[chain], &gradients[chain]);
                let value = simd.neg_mul_add(rate, simd.load(gradient), simd.load(parameter));
                simd.store(value, parameter);
            }
        }
        true
    }
}
