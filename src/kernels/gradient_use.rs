//! What a complete gradient is used for: stored, or added to something as it is stored.
//!
//! The gradients' buffer is as long as the parameters' and laid out alike, so a step of plain gradient descent can leave the
//! new parameters in it. If all of them are finite, the engine exchanges the two buffers.

use crate::simd::{LANES, Simd};

/// What a kernel stores for a complete gradient.
#[derive(Clone, Copy, Debug)]
pub(crate) enum GradientUse {
    /// The gradient.
    Store,
    /// `operand + factor · gradient`, rounded once, computed while the gradient is in registers.
    ///
    /// With the parameters as operands and minus the learning rate it is a step of gradient descent, beside the old parameters, so
    /// that a failed step is discarded by leaving them in place. With the gradients of an earlier block and 1 it is the sum of both.
    AddTo { factor: f32 },
}

impl GradientUse {
    /// A step of plain gradient descent.
    pub(crate) fn descent(learning_rate: f32) -> Self {
        Self::AddTo {
            factor: -learning_rate,
        }
    }

    /// What is stored for the gradient of one vector of parameters.
    #[inline(always)]
    pub(crate) fn apply<S: Simd>(
        self,
        simd: S,
        operand: &[f32; LANES],
        gradient: S::Vector,
    ) -> S::Vector {
        match self {
            Self::Store => gradient,
            Self::AddTo { factor } => {
                simd.mul_add(simd.splat(factor), gradient, simd.load(operand))
            }
        }
    }

    /// As [`apply`](Self::apply), for code that finishes one vector at a time: a choice between lanes instead of a branch,
    /// which would split that code into basic blocks. (Where a tile of vectors is finished at a time, the branch is faster.)
    #[inline(always)]
    pub(crate) fn select<S: Simd>(
        self,
        simd: S,
        operand: &[f32; LANES],
        gradient: S::Vector,
    ) -> S::Vector {
        let (adds, factor) = match self {
            Self::Store => (0.0, 0.0),
            Self::AddTo { factor } => (1.0, factor),
        };
        let sum = simd.mul_add(simd.splat(factor), gradient, simd.load(operand));
        simd.select_lt(simd.splat(0.0), simd.splat(adds), sum, gradient)
    }

    /// Replaces gradients that were stored before they were complete. One that is zero, as of an embedding that was not looked
    /// up, gives the operand as it is. Returns the sum of all that it stores.
    #[inline(always)]
    pub(crate) fn replace<S: Simd>(
        self,
        simd: S,
        operands: &[[f32; LANES]],
        gradients: &mut [[f32; LANES]],
    ) -> S::Vector {
        let mut sum = simd.splat(0.0);
        for (operand, gradient) in operands.iter().zip(gradients) {
            let result = self.apply(simd, operand, simd.load(gradient));
            sum = simd.add(sum, result);
            simd.store(result, gradient);
        }
        sum
    }
}
