//! From gradients to new parameters.
//!
//! Nothing is written before it is known that every new value will be finite, so a step that fails has changed nothing, and needs no
//! copy to go back to. To know it, the sums of all magnitudes are mostly enough: see `bound`. Only where they are too large, or not
//! finite, are the new values computed twice, first without writing them. (To write beside the old values and exchange the two
//! was tried for this pass: no faster, because the second copy pushes other things out of the first-level cache.)
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
            Step::Sgd(rule) => update(simd, rule, parameters, gradients, []),
            Step::Momentum(rule) => update(simd, rule, parameters, gradients, [first]),
            Step::AdamW(rule) => update(simd, rule, parameters, gradients, [first, second]),
        }
    }
}

/// An update rule with its numbers one by one.
trait Rule<const MOMENTS: usize>: Copy {
    /// The same with its numbers as vectors.
    type Vectors<S: Simd>: VectorRule<S, MOMENTS>;

    fn splat<S: Simd>(self, simd: S) -> Self::Vectors<S>;

    /// No new value is larger in magnitude than this, if no old one and no gradient is larger than these. Rounding is not counted.
    fn bound(self, parameter: f64, gradient: f64, moments: [f64; MOMENTS]) -> f64;
}

/// The new values of one vector of parameters and its moments.
trait VectorRule<S: Simd, const MOMENTS: usize>: Copy {
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
    rule: impl Rule<MOMENTS>,
    parameters: &mut [[f32; LANES]],
    gradients: &[[f32; LANES]],
    moments: [&mut [[f32; LANES]]; MOMENTS],
) -> bool {
    let mut of_moments = [0.0; MOMENTS];
    for m in 0..MOMENTS {
        of_moments[m] = sum_of_magnitudes(simd, moments[m]);
    }
    let of_parameters = sum_of_magnitudes(simd, parameters);
    let bound = rule.bound(
        of_parameters,
        sum_of_magnitudes(simd, gradients),
        of_moments,
    );
    // Half of the largest number leaves room for rounding. A bound that is NaN is not below it.
    let is_surely_finite = bound < f64::from(f32::MAX) / 2.0;

    let rule = rule.splat(simd);
    let (groups, _) = parameters.as_chunks_mut::<ACCUMULATORS>();
    let (gradients, _) = gradients.as_chunks::<ACCUMULATORS>();
    let zero = simd.splat(0.0);
    let mut finite = [zero; ACCUMULATORS];
    for is_writing in [false, true] {
        if is_writing && !all_zero(simd, finite) {
            return false;
        }
        if !is_writing && is_surely_finite {
            continue;
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

/// No value is larger in magnitude, but for rounding; infinite or NaN if one of them is.
#[inline(always)]
fn sum_of_magnitudes<S: Simd>(simd: S, values: &[[f32; LANES]]) -> f64 {
    let mut sums = [simd.splat(0.0); ACCUMULATORS];
    for values in values.as_chunks::<ACCUMULATORS>().0 {
        for i in 0..ACCUMULATORS {
            sums[i] = simd.add(sums[i], simd.abs(simd.load(&values[i])));
        }
    }
    let sum = tree_reduce(sums, |a, b| simd.add(a, b));
    f64::from(simd.sum_lanes(sum))
}

/// [`Sgd`], its numbers one by one or as vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SgdRule<V> {
    rate: V,
    scale: V,
}

impl Rule<0> for SgdRule<f32> {
    type Vectors<S: Simd> = SgdRule<S::Vector>;

    #[inline(always)]
    fn splat<S: Simd>(self, simd: S) -> SgdRule<S::Vector> {
        SgdRule {
            rate: simd.splat(self.rate),
            scale: simd.splat(self.scale),
        }
    }

    fn bound(self, parameter: f64, gradient: f64, []: [f64; 0]) -> f64 {
        let gradient = f64::from(self.scale) * gradient;
        gradient + parameter + f64::from(self.rate) * gradient
    }
}

impl<S: Simd> VectorRule<S, 0> for SgdRule<S::Vector> {
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

impl Rule<1> for MomentumRule<f32> {
    type Vectors<S: Simd> = MomentumRule<S::Vector>;

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

    fn bound(self, parameter: f64, gradient: f64, [velocity]: [f64; 1]) -> f64 {
        let [rate, momentum, weight_decay, scale] =
            [self.rate, self.momentum, self.weight_decay, self.scale].map(f64::from);
        let gradient = scale * gradient + weight_decay * parameter;
        // Of the velocity and of Nesterov's direction.
        let direction = 2.0 * gradient + momentum * velocity;
        direction + parameter + rate * direction
    }
}

impl<S: Simd> VectorRule<S, 1> for MomentumRule<S::Vector> {
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
}

impl Rule<2> for AdamWRule<f32> {
    type Vectors<S: Simd> = AdamWRule<S::Vector>;

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

    fn bound(self, parameter: f64, gradient: f64, [first, second]: [f64; 2]) -> f64 {
        let [decay, scale, step_size, epsilon] =
            [self.decay, self.scale, self.step_size, self.epsilon].map(f64::from);
        let gradient = scale * gradient;
        let first = first + gradient;
        let second = second + gradient * gradient;
        // The root in the denominator may be zero.
        let direction = first / epsilon;
        first + second + direction + decay.abs() * parameter + step_size * direction
    }
}

impl<S: Simd> VectorRule<S, 2> for AdamWRule<S::Vector> {
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
/// numbers for ever, where processors compute by microcode: a step of [`AdamW`] then takes several times as long.
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

/// The Euclidean norm of all gradients: m · √Σ(g / m)² with m the largest |g|, so that no square overflows. The norm
/// itself may be too large for an `f32`.
pub(crate) struct Norm<'a> {
    pub(crate) gradients: &'a [[f32; LANES]],
}

impl Kernel for Norm<'_> {
    /// m, and the sum.
    type Output = (f32, f32);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> (f32, f32) {
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
            return (0.0, 0.0);
        }
        let divisor = simd.splat(max);
        let mut sums = zeros;
        for gradients in groups {
            for i in 0..ACCUMULATORS {
                let share = simd.div(simd.load(&gradients[i]), divisor);
                sums[i] = simd.mul_add(share, share, sums[i]);
            }
        }
        (
            max,
            simd.sum_lanes(tree_reduce(sums, |a, b| simd.add(a, b))),
        )
    }
}
