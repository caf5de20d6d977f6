//! What a complete gradient is used for: stored, or applied as a step of plain gradient descent.
//!
//! The gradients' buffer is as long as the parameters' and laid out alike, so a step of plain gradient descent can leave the
//! new parameters in it. If all of them are finite, the engine exchanges the two buffers.

use crate::simd::{LANES, Simd};

/// What a kernel stores for a complete gradient.
#[derive(Clone, Copy, Debug)]
pub(crate) enum GradientUse {
    /// The gradient.
    Store,
    /// The parameter after a step of gradient descent, `parameter − rate · gradient`: computed while the gradient is in
    /// registers, and beside the old parameters, so that a failed step is discarded by leaving them in place.
    Descend { rate: f32 },
}

impl GradientUse {
    /// What is stored for the gradient of one vector of parameters.
    #[inline(always)]
    pub(crate) fn apply<S: Simd>(
        self,
        simd: S,
        parameter: &[f32; LANES],
        gradient: S::Vector,
    ) -> S::Vector {
        match self {
            Self::Store => gradient,
            Self::Descend { rate } => {
                simd.neg_mul_add(simd.splat(rate), gradient, simd.load(parameter))
            }
        }
    }

    /// As [`apply`](Self::apply), for code that finishes one vector at a time: a choice between lanes instead of a branch,
    /// which would split that code into basic blocks. (Where a tile of vectors is finished at a time, the branch is faster.)
    #[inline(always)]
    pub(crate) fn select<S: Simd>(
        self,
        simd: S,
        parameter: &[f32; LANES],
        gradient: S::Vector,
    ) -> S::Vector {
        let (descends, rate) = match self {
            Self::Store => (0.0, 0.0),
            Self::Descend { rate } => (1.0, rate),
        };
        let descended = simd.neg_mul_add(simd.splat(rate), gradient, simd.load(parameter));
        simd.select_lt(simd.splat(0.0), simd.splat(descends), descended, gradient)
    }

    /// Replaces gradients that were stored before they were complete. One that is zero, as of an embedding that was not looked
    /// up, leaves the parameter as it is. Returns the sum of all that it stores.
    #[inline(always)]
    pub(crate) fn replace<S: Simd>(
        self,
        simd: S,
        parameters: &[[f32; LANES]],
        gradients: &mut [[f32; LANES]],
    ) -> S::Vector {
        let mut sum = simd.splat(0.0);
        for (parameter, gradient) in parameters.iter().zip(gradients) {
            let result = self.apply(simd, parameter, simd.load(gradient));
            sum = simd.add(sum, result);
            simd.store(result, gradient);
        }
        sum
    }
}
