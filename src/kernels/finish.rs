//! What becomes of a gradient once it is complete.
//!
//! The gradients' buffer is as long as the parameters' and laid out alike, so a step of plain gradient descent can leave the new
//! parameters in it. The engine then looks whether all are finite, and exchanges the two buffers.

use crate::simd::{LANES, Simd};

/// What is stored in a gradient's place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Finish {
    /// The gradient.
    Gradient,
    /// The parameter after a step of gradient descent, `parameter − rate · gradient`: computed while the gradient is in
    /// registers, and beside the old parameters, so that a step with a bad end is undone by forgetting it.
    Descent { rate: f32 },
}

impl Finish {
    /// What is stored for the gradient of one vector of parameters.
    #[inline(always)]
    pub(crate) fn apply<S: Simd>(
        self,
        simd: S,
        parameter: &[f32; LANES],
        gradient: S::Vector,
    ) -> S::Vector {
        match self {
            Self::Gradient => gradient,
            Self::Descent { rate } => {
                simd.neg_mul_add(simd.splat(rate), gradient, simd.load(parameter))
            }
        }
    }

    /// Replaces gradients that were stored before they were complete. One that is zero, as of an embedding that was not looked
    /// up, leaves the parameter as it is.
    #[inline(always)]
    pub(crate) fn replace<S: Simd>(
        self,
        simd: S,
        parameters: &[[f32; LANES]],
        gradients: &mut [[f32; LANES]],
    ) {
        for (parameter, gradient) in parameters.iter().zip(gradients) {
            simd.store(self.apply(simd, parameter, simd.load(gradient)), gradient);
        }
    }
}
