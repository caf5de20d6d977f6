//! From gradients to new parameters.
//!
//! An update runs over parameters twice: first to see whether every new value will be finite, with nothing written, then to
//! write. So a step that fails has changed nothing, and needs no copy to go back to. (Writing beside the old values and
//! exchanging the two was tried: no faster, because the second copy pushes other things out of the first-level cache.)

use crate::optimizer::{AdamW, Momentum, Optimizer, Sgd};
use crate::simd::{Kernel, LANES, Simd};

/// One step of an optimizer.
pub(crate) struct Update<'a> {
    pub(crate) optimizer: Optimizer,
    /// Steps taken, this one included.
    pub(crate) step: u64,
    /// What gradients are multiplied by first; 1 but for clipping.
    pub(crate) scale: f32,
    pub(crate) parameters: &'a mut [[f32; LANES]],
    pub(crate) gradients: &'a [[f32; LANES]],
    /// As long as the parameters, or empty where the optimizer keeps fewer.
    pub(crate) moments: [&'a mut [[f32; LANES]]; 2],
}

/// Vectors that are updated together: independent chains for the test for finite numbers, since one chain would be as slow
/// as the latency of its additions. Padded parameters are a multiple of as many vectors.
pub(crate) const CHAINS: usize = 4;

impl Kernel for Update<'_> {
    /// Whether every new value is finite, and so was written.
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> bool {
        let Self {
            optimizer,
            step,
            scale,
            parameters,
            gradients,
            moments,
        } = self;
        let [first, second] = moments;
        match optimizer {
            Optimizer::Sgd(Sgd { learning_rate }) => {
                let rule = SgdRule {
                    rate: simd.splat(learning_rate * scale),
                };
                update(simd, rule, parameters, gradients, [])
            }
            Optimizer::Momentum(momentum) => {
                let rule = MomentumRule::new(simd, momentum, scale);
                update(simd, rule, parameters, gradients, [first])
            }
            Optimizer::AdamW(adam_w) => {
                let rule = AdamWRule::new(simd, adam_w, step, scale);
                update(simd, rule, parameters, gradients, [first, second])
            }
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
    let (groups, _) = parameters.as_chunks_mut::<CHAINS>();
    let (gradients, _) = gradients.as_chunks::<CHAINS>();
    let zero = simd.splat(0.0);
    // Zero times a finite number is zero, and anything else is NaN: one multiply-add a vector finds either.
    let mut finite = [zero; CHAINS];
    for is_writing in [false, true] {
        if is_writing {
            let [a, b, c, d] = finite;
            let sum = simd.sum_lanes(simd.add(simd.add(a, b), simd.add(c, d)));
            if sum != 0.0 {
                return false; // as NaN is
            }
        }
        for (group, (parameters, gradients)) in groups.iter_mut().zip(gradients).enumerate() {
            for chain in 0..CHAINS {
                let vector = group * CHAINS + chain;
                let mut old = [zero; MOMENTS];
                for m in 0..MOMENTS {
                    old[m] = simd.load(&moments[m][vector]);
                }
                let parameter = simd.load(&parameters[chain]);
                let gradient = simd.load(&gradients[chain]);
                let (parameter, new) = rule.apply(simd, parameter, gradient, old);
                if is_writing {
                    simd.store(parameter, &mut parameters[chain]);
                    for m in 0..MOMENTS {
                        simd.store(new[m], &mut moments[m][vector]);
                    }
                } else {
                    finite[chain] = simd.mul_add(parameter, zero, finite[chain]);
                    for m in 0..MOMENTS {
                        finite[chain] = simd.mul_add(new[m], zero, finite[chain]);
                    }
                }
            }
        }
    }
    true
}

#[derive(Clone, Copy)]
struct SgdRule<V> {
    rate: V,
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
        (simd.neg_mul_add(self.rate, gradient, parameter), [])
    }
}

#[derive(Clone, Copy)]
struct MomentumRule<V> {
    rate: V,
    momentum: V,
    weight_decay: V,
    scale: V,
    nesterov: bool,
}

impl<V: Copy> MomentumRule<V> {
    #[inline(always)]
    fn new<S: Simd<Vector = V>>(simd: S, momentum: Momentum, scale: f32) -> Self {
        Self {
            rate: simd.splat(momentum.learning_rate),
            momentum: simd.splat(momentum.momentum),
            weight_decay: simd.splat(momentum.weight_decay),
            scale: simd.splat(scale),
            nesterov: momentum.nesterov,
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
            [velocity],
        )
    }
}

#[derive(Clone, Copy)]
struct AdamWRule<V> {
    decay: V,
    scale: V,
    betas: [V; 2],
    complements: [V; 2],
    step_size: V,
    root_correction: V,
    epsilon: V,
}

impl<V: Copy> AdamWRule<V> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "the corrections are computed in f64, and rounded once"
    )]
    #[inline(always)]
    fn new<S: Simd<Vector = V>>(simd: S, adam_w: AdamW, step: u64, scale: f32) -> Self {
        let [first, second] = adam_w.betas.map(f64::from);
        let rate = f64::from(adam_w.learning_rate);
        let correction = |beta: f64| 1.0 - libm::pow(beta, step as f64);
        let splat = |value: f64| simd.splat(value as f32);
        Self {
            decay: splat(1.0 - rate * f64::from(adam_w.weight_decay)),
            scale: simd.splat(scale),
            betas: [splat(first), splat(second)],
            complements: [splat(1.0 - first), splat(1.0 - second)],
            step_size: splat(rate / correction(first)),
            root_correction: splat(libm::sqrt(correction(second))),
            epsilon: simd.splat(adam_w.epsilon),
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
            [first, second],
        )
    }
}

/// The Euclidean norm of all gradients: m · √Σ(g / m)² with m the largest |g|, so that it overflows only if it must.
pub(crate) struct Norm<'a> {
    pub(crate) gradients: &'a [[f32; LANES]],
}

impl Kernel for Norm<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let mut max = simd.splat(0.0);
        for gradient in self.gradients {
            max = simd.max(simd.abs(simd.load(gradient)), max);
        }
        let mut lanes = [0.0; LANES];
        simd.store(max, &mut lanes);
        let max = lanes.into_iter().fold(0.0, f32::max);
        if max == 0.0 {
            return 0.0;
        }
        let divisor = simd.splat(max);
        let mut sum = simd.splat(0.0);
        for gradient in self.gradients {
            let share = simd.div(simd.load(gradient), divisor);
            sum = simd.mul_add(share, share, sum);
        }
        max * crate::float::sqrt(simd.sum_lanes(sum))
    }
}
