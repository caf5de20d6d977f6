//! tanh, exp, ln and the activations of slices, on a backend of choice, with the figures they are held to.
//!
//! These are the functions that the training kernels use, in a form that can be called, tested and timed on its own. Every
//! backend gives the same bits.
//!
//! ```
//! use fused_mlp::{Backend, math};
//!
//! let mut values = [-1.0, -0.0, 1e-40, 0.5, 20.0, f32::NAN];
//! math::tanh(Backend::detect(), &mut values);
//! assert_eq!(values[1].to_bits(), (-0.0_f32).to_bits());
//! assert_eq!(values[2], 1e-40);
//! assert_eq!(values[4], 1.0);
//! assert!(values[5].is_nan());
//! ```

use crate::kernels::activation::{activate, differentiate};
use crate::kernels::math;
use crate::model::{Activation, ActivationKind};
use crate::simd::{Backend, Kernel, LANES, Simd};

/// Largest error of [`tanh`] in units in the last place, over all inputs.
pub const TANH_MAX_ULP: f64 = 2.0;
/// Largest error of [`exp`] in units in the last place, over all x ≤ 0 whose e^x is at least 2⁻¹²⁶.
pub const EXP_MAX_ULP: f64 = 1.0;
/// Largest error of [`ln`] in units in the last place, over 1 ≤ x ≤ 2¹⁶.
pub const LN_MAX_ULP: f64 = 1.0;

/// Largest absolute error of a [`derivative`], over all finite z: 4 · 2⁻²⁴.
pub const DERIVATIVE_MAX_ERROR: f64 = 4.0 / (1 << 24) as f64;

/// What each of these bounds in units in the last place grows by on a backend without [fused](Backend::is_fused) multiply-add, where tanh was seen 2.03 ulp
/// off.
pub const UNFUSED_EXTRA_ULP: f64 = 0.5;

#[derive(Clone, Copy)]
enum Function {
    Tanh,
    Exp,
    Ln,
    Activation(ActivationKind),
    Derivative(ActivationKind),
}

struct Apply<'a> {
    function: Function,
    values: &'a mut [f32],
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (vectors, rest) = self.values.as_chunks_mut();
        for vector in vectors {
            apply(simd, self.function, vector);
        }
        let mut last = [1.0; LANES];
        last[..rest.len()].copy_from_slice(rest);
        apply(simd, self.function, &mut last);
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

#[inline(always)]
fn apply<S: Simd>(simd: S, function: Function, values: &mut [f32; LANES]) {
    let x = simd.load(values);
    let y = match function {
        Function::Tanh => math::tanh(simd, x),
        Function::Exp => math::exp(simd, x),
        Function::Ln => math::ln(simd, x),
        Function::Activation(activation) => activate(simd, activation, x).0,
        Function::Derivative(activation) => {
            let (_, kept) = activate(simd, activation, x);
            differentiate(simd, activation, kept, simd.splat(1.0))
        }
    };
    simd.store(y, values);
}

/// Replaces each x by tanh x.
///
/// # Accuracy
///
/// At most [`TANH_MAX_ULP`] over all inputs; odd to the bit, non-decreasing, |tanh x| ≤ 1, NaN stays NaN, subnormal x
/// gives x.
pub fn tanh(backend: Backend, values: &mut [f32]) {
    backend.run(Apply {
        function: Function::Tanh,
        values,
    });
}

/// Replaces each x ≤ 0 by e^x; zero where e^x is subnormal.
///
/// # Accuracy
///
/// At most [`EXP_MAX_ULP`] where e^x is normal, that is on [−87.33, 0]; zero below, so e^(−∞) = 0, NaN stays NaN. Unspecified for x > 0.
pub fn exp(backend: Backend, values: &mut [f32]) {
    backend.run(Apply {
        function: Function::Exp,
        values,
    });
}

/// Replaces each x in [1, 2¹⁶] by its natural logarithm.
///
/// # Accuracy
///
/// At most [`LN_MAX_ULP`] there. Unspecified for zero, subnormal and negative numbers, infinities and NaN.
pub fn ln(backend: Backend, values: &mut [f32]) {
    backend.run(Apply {
        function: Function::Ln,
        values,
    });
}

/// Replaces each z by the activation of it.
///
/// # Accuracy
///
/// At most [`Activation::max_ulp`] over all finite z, subnormal results included; NaN stays NaN.
pub fn activation(backend: Backend, activation: Activation, values: &mut [f32]) {
    backend.run(Apply {
        function: Function::Activation(activation.0),
        values,
    });
}

/// Replaces each z by the derivative of the activation there.
///
/// # Accuracy
///
/// At most [`DERIVATIVE_MAX_ERROR`] off over all finite z. At a kink it is PyTorch's; see [`Activation`].
pub fn derivative(backend: Backend, activation: Activation, values: &mut [f32]) {
    backend.run(Apply {
        function: Function::Derivative(activation.0),
        values,
    });
}
