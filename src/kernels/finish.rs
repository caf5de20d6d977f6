//! What becomes of a gradient once it is complete.

use crate::simd::{LANES, Simd};

/// What is stored in a gradient's place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Finish<'a> {
    /// The gradient.
    Gradient,
    /// The parameter after a step of gradient descent, `parameter − rate · gradient`: computed while the gradient is in
    /// registers, and beside the old parameters, so that a step with a bad end is undone by forgetting it.
    Descent {
        rate: f32,
        /// As many as there are gradients.
        parameters: &'a [[f32; LANES]],
    },
}

impl Finish<'_> {
    /// For the gradients before this vector, and for those from it on.
    #[inline(always)]
    pub(crate) fn split_at(self, vector: usize) -> (Self, Self) {
        match self {
            Self::Gradient => (self, self),
            Self::Descent { rate, parameters } => {
                let (before, after) = parameters.split_at(vector);
                let part = |parameters| Self::Descent { rate, parameters };
                (part(before), part(after))
            }
        }
    }

    /// What is stored for one vector of gradients.
    #[inline(always)]
    pub(crate) fn apply<S: Simd>(self, simd: S, vector: usize, gradient: S::Vector) -> S::Vector {
        match self {
            Self::Gradient => gradient,
            Self::Descent { rate, parameters } => {
                simd.neg_mul_add(simd.splat(rate), gradient, simd.load(&parameters[vector]))
            }
        }
    }

    /// Replaces gradients that were stored before they were complete.
    #[inline(always)]
    pub(crate) fn replace<S: Simd>(self, simd: S, gradients: &mut [[f32; LANES]]) {
        if matches!(self, Self::Descent { .. }) {
            for (vector, gradient) in gradients.iter_mut().enumerate() {
                simd.store(self.apply(simd, vector, simd.load(gradient)), gradient);
            }
        }
    }
}
