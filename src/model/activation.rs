//! The activations that there are, declared once.

use core::fmt;

/// Hands the list of activations to a macro. Of each: documentation; the names of its type and of its constant; the name that its
/// kernel's file in `kernels/activation/` and weight files have; the largest error of its value in units in the last place; and
/// what the way back reads, its `value` or a `slope` that is stored beside it.
macro_rules! for_every_activation {
    ($declare:ident) => {
        $declare! {
            /// Hyperbolic tangent: h = tanh z, with derivative 1 − h².
            Tanh, TANH, tanh, 2.0, value;
            /// Rectified linear unit: h = max(0, z), with derivative 1 where z > 0, else 0.
            Relu, RELU, relu, 0.5, value;
            /// Leaky rectified linear unit: h = z where z > 0, else 0.01 · z; derivative 1 and 0.01, and 0.01 at z = 0.
            LeakyRelu, LEAKY_RELU, leaky_relu, 0.5, value;
            /// Clipped rectified linear unit, as NNUE's networks have it: h = min(1, max(0, z)), with derivative 1 where
            /// 0 < z < 1, else 0; PyTorch's `Hardtanh(0, 1)`.
            ClippedRelu, CLIPPED_RELU, clipped_relu, 0.5, value;
            /// Logistic function: h = σ(z) = 1 / (1 + e^−z), with derivative h · (1 − h).
            Sigmoid, SIGMOID, sigmoid, 4.0, value;
            /// Sigmoid linear unit, or swish: h = z · σ(z), with derivative σ(z) + z · σ(z) · σ(−z).
            Silu, SILU, silu, 4.0, slope;
            /// Gaussian error linear unit: h = z · Φ(z) with Φ(z) = (1 + erf(z / √2)) / 2, the exact form and PyTorch's default; its
            /// derivative is Φ(z) + z · e^(−z²/2) / √(2π).
            Gelu, GELU, gelu, 4.0, slope;
            /// Smooth rectified linear unit: h = ln(1 + e^z), with derivative σ(z).
            Softplus, SOFTPLUS, softplus, 4.0, value;
        }
    };
}
pub(crate) use for_every_activation;

macro_rules! kinds {
    ($($(#[$doc:meta])* $Type:ident, $CONSTANT:ident, $name:ident, $max_ulp:literal, $kept:ident;)*) => {
        /// The activation of a hidden layer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum ActivationKind {
            $($Type),*
        }

        impl ActivationKind {
            /// Whether the derivative is computed from z, and stored until the way back, because it does not follow from h.
            pub(crate) const fn stores_slope(self) -> bool {
                match self {
                    $(Self::$Type => kinds!(@stores $kept)),*
                }
            }

            /// Its name in weight files.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$Type => stringify!($name)),*
                }
            }
        }

        /// An activation, without a width: what a [`HiddenLayer`](super::HiddenLayer) applies to its sums.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct Activation(pub(crate) ActivationKind);

        impl Activation {
            $($(#[$doc])* pub const $CONSTANT: Self = Self(ActivationKind::$Type);)*

            /// All activations.
            pub const ALL: &'static [Self] = &[$(Self::$CONSTANT),*];

            /// Its name in weight files: `tanh`, `leaky_relu`, …
            #[must_use]
            pub const fn name(self) -> &'static str {
                self.0.name()
            }

            /// Largest error of the value in units in the last place, over all finite z, on a [fused](crate::Backend::is_fused)
            /// backend. On others it is at most [`UNFUSED_EXTRA_ULP`](Self::UNFUSED_EXTRA_ULP) more.
            #[must_use]
            pub const fn max_ulp(self) -> f64 {
                match self.0 {
                    $(ActivationKind::$Type => $max_ulp),*
                }
            }

            /// See [`max_ulp`](Self::max_ulp).
            pub const UNFUSED_EXTRA_ULP: f64 = 1.5;
        }
    };
    (@stores value) => { false };
    (@stores slope) => { true };
}
for_every_activation!(kinds);

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
