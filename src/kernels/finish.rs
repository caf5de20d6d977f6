//! What becomes of a gradient once it is complete.
//!
//! The gradients' buffer is as long as the parameters' and laid out alike, so a step of plain gradient descent can leave the new
//! parameters in it. If all of them are finite, the engine exchanges the two buffers. Their sum tells: [`Sum`] of a batch's
//! step, the kernel itself of one example's.

use crate::network::CHAINS;
use crate::simd::{Kernel, LANES, Simd};

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

    /// As [`apply`](Self::apply), for code that finishes a vector at every turn: a choice between lanes instead of a branch, which
    /// would cut that code into pieces. (Where a tile of vectors is finished at a time, the branch is the faster one.)
    #[inline(always)]
    pub(crate) fn select<S: Simd>(
        self,
        simd: S,
        parameter: &[f32; LANES],
        gradient: S::Vector,
    ) -> S::Vector {
        let (descends, rate) = match self {
            Self::Gradient => (0.0, 0.0),
            Self::Descent { rate } => (1.0, rate),
        };
        let descended = simd.neg_mul_add(simd.splat(rate), gradient, simd.load(parameter));
        simd.select_lt(simd.splat(0.0), simd.splat(descends), descended, gradient)
    }

    /// What a kernel returns: the loss, or NaN if this is a descent and `sum`, of all that it stored, is not finite.
    ///
    /// A sum is finite only if all its terms are. One that overflows although they are finite is a false alarm, which the
    /// engine answers by taking the step again, gradients first. The order of the sum may differ between backends, and with it
    /// the false alarms, but not what the step ends on.
    #[inline(always)]
    pub(crate) fn checked(self, loss: f32, sum: f32) -> f32 {
        match self {
            Self::Gradient => loss,
            Self::Descent { .. } => loss + 0.0 * sum,
        }
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

/// The sum of all numbers, in [`CHAINS`] chains of additions: finite only if all of them are.
pub(crate) struct Sum<'a>(pub(crate) &'a [[f32; LANES]]);

impl Kernel for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let mut sums = [simd.splat(0.0); CHAINS];
        for group in self.0.as_chunks::<CHAINS>().0 {
            for chain in 0..CHAINS {
                sums[chain] = simd.add(simd.load(&group[chain]), sums[chain]);
            }
        }
        let zero = simd.splat(0.0);
        simd.sum_lanes(sums.into_iter().fold(zero, |a, b| simd.add(a, b)))
    }
}
