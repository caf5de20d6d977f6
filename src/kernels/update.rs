//! From gradients to new parameters.
//!
//! An update runs over parameters twice: first to see whether every new value will be finite, with nothing written, then to
//! write. So a step that fails has changed nothing, and needs no copy to go back to. (To write beside the old values and
//! exchange the two was tried for this pass: no faster, because the second copy pushes other things out of the first-level
//! cache.)
//!
//! Plain gradient descent without clipping comes here only if its step has failed, to name the tensor at fault, or to take the
//! step after all where only a sum of parameters overflowed. Otherwise it is done as the gradients come, by
//! [`GradientUse`](super::gradient_use::GradientUse), which does write beside the old values.

use crate::model::ACCUMULATORS;
use crate::simd::{Kernel, LANES, Simd, tree_reduce};
use crate::training::{AdamW, Optimizer, Sgd};

/// One step of an optimizer, in numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Sgd(SgdRule<f32>),
    Momentum(MomentumRule<f32>),
    AdamW(AdamWRule<f32>),
}

impl Step {
    /// Step number `step`, from 1, of an optimizer; `scale` is what gradients are multiplied by first.
    pub(crate) fn of(optimizer: Optimizer, step: u64, scale: f32) -> Self {
        match optimizer {
            Optimizer::Sgd(Sgd { learning_rate }) => Self::Sgd(SgdRule {
                rate: learning_rate,
                scale,
            }),
            Optimizer::Momentum(momentum) => Self::Momentum(MomentumRule {
                rate: momentum.learning_rate,
                momentum: momentum.momentum,
                weight_decay: momentum.weight_decay,
                scale,
                nesterov: momentum.nesterov,
            }),
            Optimizer::AdamW(adam_w) => Self::AdamW(AdamWRule::of(adam_w, step, scale)),
        }
    }
}

/// Applies one step of an optimizer.
pub(crate) struct Update<'a> {
    pub(crate) step: Step,
    pub(crate) parameters: &'a mut [[f32; LANES]],
    pub(crate) gradients: &'a [[f32; LANES]],
    /// As long as the parameters, or empty where the optimizer keeps fewer.
    pub(crate) moments: [&'a mut [[f32; LANES]]; 2],
}

impl Kernel for Update<'_> {
    /// Whether every new value is finite, and so was written.
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> bool {
        let Self {
            step,
            parameters,
            gradients,
            moments,
        } = self;
        let [first, second] = moments;
        match step {
            Step::Sgd(rule) => update(simd, rule.splat(simd), parameters, gradients, []),
            Step::Momentum(rule) => update(simd, rule.splat(simd), parameters, gradients, [first]),
            Step::AdamW(rule) => update(
                simd,
                rule.splat(simd),
                parameters,
                gradients,
                [first, second],
            ),
        }
    }
}

/// The new values of one vector of parameters and its moments.
trait Rule<S: Simd, const MOMENTS: usize>: Copy {
    fn apply(
        self,
        simd: S,
        parameter: S::Vector,
        gradient: S::Vector,
        moments: [S::Vector; MOMENTS],
    ) -> (S::Vector, [S::Vector; MOMENTS]);
}

#[inline(always)]
fn update<S: Simd, const MOMENTS: usize>(
    simd: S,
    rule: impl Rule<S, MOMENTS>,
    parameters: &mut [[f32; LANES]],
    gradients: &[[f32; LANES]],
    moments: [&mut [[f32; LANES]]; MOMENTS],
) -> bool {
    let (groups, _) = parameters.as_chunks_mut::<ACCUMULATORS>();
    let (gradients, _) = gradients.as_chunks::<ACCUMULATORS>();
    let zero = simd.splat(0.0);
    let mut finite = [zero; ACCUMULATORS];
    for is_writing in [false, true] {
        if is_writing && !all_zero(simd, finite) {
            return false;
        }
        for (group, (parameters, gradients)) in groups.iter_mut().zip(gradients).enumerate() {
            for i in 0..ACCUMULATORS {
                let vector = group * ACCUMULATORS + i;
                let mut old = [zero; MOMENTS];
                for m in 0..MOMENTS {
                    old[m] = simd.load(&moments[m][vector]);
                }
                let parameter = simd.load(&parameters[i]);
                let gradient = simd.load(&gradients[i]);
                let (parameter, new) = rule.apply(simd, parameter, gradient, old);
                if is_writing {
                    simd.store(parameter, &mut parameters[i]);
                    for m in 0..MOMENTS {
                        simd.store(new[m], &mut moments[m][vector]);
                    }
                } else {
                    finite[i] = simd.mul_add(parameter, zero, finite[i]);
                    for m in 0..MOMENTS {
                        finite[i] = simd.mul_add(new[m], zero, finite[i]);
                    }
                }
            }
        }
    }
    true
}

/// [`Sgd`], its numbers one by one or as vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SgdRule<V> {
    rate: V,
    scale: V,
}

impl SgdRule<f32> {
    #[inline(always)]
    fn splat<S: Simd>(self, simd: S) -> SgdRule<S::Vector> {
        SgdRule {
            rate: simd.splat(self.rate),
            scale: simd.splat(self.scale),
        }
    }
}

impl<S: Simd> Rule<S, 0> for SgdRule<S::Vector> {
    #[inline(always)]
    fn apply(
        self,
        simd: S,
        parameter: S::Vector,
        gradient: S::Vector,
        _: [S::Vector; 0],
    ) -> (S::Vector, [S::Vector; 0]) {
        let gradient = simd.mul(gradient, self.scale);
        (simd.neg_mul_add(self.rate, gradient, parameter), [])
    }
}

/// [`Momentum`](crate::Momentum), its numbers one by one or as vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MomentumRule<V> {
    rate: V,
    momentum: V,
    weight_decay: V,
    scale: V,
    nesterov: bool,
}

impl MomentumRule<f32> {
    #[inline(always)]
    fn splat<S: Simd>(self, simd: S) -> MomentumRule<S::Vector> {
        MomentumRule {
            rate: simd.splat(self.rate),
            momentum: simd.splat(self.momentum),
            weight_decay: simd.splat(self.weight_decay),
            scale: simd.splat(self.scale),
            nesterov: self.nesterov,
        }
    }
}

impl<S: Simd> Rule<S, 1> for MomentumRule<S::Vector> {
    #[inline(always)]
    fn apply(
        self,
        simd: S,
        parameter: S::Vector,
        gradient: S::Vector,
        [velocity]: [S::Vector; 1],
    ) -> (S::Vector, [S::Vector; 1]) {
        let gradient = simd.mul(gradient, self.scale);
        let gradient = simd.mul_add(self.weight_decay, parameter, gradient);
        let velocity = simd.mul_add(self.momentum, velocity, gradient);
        let direction = if self.nesterov {
            simd.mul_add(self.momentum, velocity, gradient)
        } else {
            velocity
        };
        (
            simd.neg_mul_add(self.rate, direction, parameter),
            [normal_or_zero(simd, velocity)],
        )
    }
}

/// [`AdamW`], its numbers one by one or as vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamWRule<V> {
    decay: V,
    scale: V,
    betas: [V; 2],
    complements: [V; 2],
    step_size: V,
    root_correction: V,
    epsilon: V,
}

impl AdamWRule<f32> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "the corrections are computed in f64, and rounded once"
    )]
    fn of(adam_w: AdamW, step: u64, scale: f32) -> Self {
        let [first, second] = adam_w.betas.map(f64::from);
        let rate = f64::from(adam_w.learning_rate);
        let correction = |beta: f64| 1.0 - libm::pow(beta, step as f64);
        Self {
            decay: (1.0 - rate * f64::from(adam_w.weight_decay)) as f32,
            scale,
            betas: adam_w.betas,
            complements: [(1.0 - first) as f32, (1.0 - second) as f32],
            step_size: (rate / correction(first)) as f32,
            root_correction: libm::sqrt(correction(second)) as f32,
            epsilon: adam_w.epsilon,
        }
    }

    #[inline(always)]
    fn splat<S: Simd>(self, simd: S) -> AdamWRule<S::Vector> {
        AdamWRule {
            decay: simd.splat(self.decay),
            scale: simd.splat(self.scale),
            betas: [simd.splat(self.betas[0]), simd.splat(self.betas[1])],
            complements: [
                simd.splat(self.complements[0]),
                simd.splat(self.complements[1]),
            ],
            step_size: simd.splat(self.step_size),
            root_correction: simd.splat(self.root_correction),
            epsilon: simd.splat(self.epsilon),
        }
    }
}

impl<S: Simd> Rule<S, 2> for AdamWRule<S::Vector> {
    #[inline(always)]
    fn apply(
        self,
        simd: S,
        parameter: S::Vector,
        gradient: S::Vector,
        [first, second]: [S::Vector; 2],
    ) -> (S::Vector, [S::Vector; 2]) {
        let gradient = simd.mul(gradient, self.scale);
        let parameter = simd.mul(parameter, self.decay);
        let first = simd.mul_add(
            self.betas[0],
            first,
            simd.mul(self.complements[0], gradient),
        );
        let square = simd.mul(gradient, gradient);
        let second = simd.mul_add(self.betas[1], second, simd.mul(self.complements[1], square));
        let root = simd.div(simd.sqrt(second), self.root_correction);
        let direction = simd.div(first, simd.add(root, self.epsilon));
        (
            simd.neg_mul_add(self.step_size, direction, parameter),
            [normal_or_zero(simd, first), normal_or_zero(simd, second)],
        )
    }
}

/// Flushes subnormal numbers to zero. A moment whose gradients have ended decays, and rounding would keep it at the smallest
/// numbers for ever, where processors compute by microcode: a step of AdamW then takes 1.7 times as long.
///
/// The step itself is taken with the moment as it is: a second moment of zero would make it a long one.
#[inline(always)]
fn normal_or_zero<S: Simd>(simd: S, moment: S::Vector) -> S::Vector {
    let smallest = simd.splat(f32::MIN_POSITIVE);
    simd.select_lt(simd.abs(moment), smallest, simd.splat(0.0), moment)
}

/// Zero times a finite number is zero, and anything else is NaN: one multiply-add a vector finds either.
#[inline(always)]
fn all_zero<S: Simd>(simd: S, products: [S::Vector; ACCUMULATORS]) -> bool {
    let sum = products
        .into_iter()
        .fold(simd.splat(0.0), |a, b| simd.add(a, b));
    simd.sum_lanes(sum) == 0.0
}

/// The Euclidean norm of all gradients: m · √Σ(g / m)² with m the largest |g|, so that no square overflows; nor does the norm, in
/// `f64`.
pub(crate) struct Norm<'a> {
    pub(crate) gradients: &'a [[f32; LANES]],
}

impl Kernel for Norm<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f64 {
        let (groups, _) = self.gradients.as_chunks::<ACCUMULATORS>();
        let zeros = [simd.splat(0.0); ACCUMULATORS];
        let mut max = zeros;
        for gradients in groups {
            for i in 0..ACCUMULATORS {
                max[i] = simd.max(simd.abs(simd.load(&gradients[i])), max[i]);
            }
        }
        let max = tree_reduce(max, |a, b| simd.max(a, b));
        let max = simd.max_lane(max);
        if max == 0.0 {
            return 0.0;
        }
        let divisor = simd.splat(max);
        let mut sums = zeros;
        for gradients in groups {
            for i in 0..ACCUMULATORS {
                let share = simd.div(simd.load(&gradients[i]), divisor);
                sums[i] = simd.mul_add(share, share, sums[i]);
            }
        }
        let sum = simd.sum_lanes(tree_reduce(sums, |a, b| simd.add(a, b)));
        f64::from(max) * libm::sqrt(f64::from(sum))
    }
}
