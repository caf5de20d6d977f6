//! The activations that there are, declared once.

/// Hands the list of activations to a macro: documentation and name of the type, and the name that its kernel's file in
/// `kernels/activation/` and weight files have.
macro_rules! for_every_activation {
    ($declare:ident) => {
        $declare! {
            /// `NEURONS` neurons with the hyperbolic tangent, h = tanh z, and derivative 1 − h²; see
            /// [`math::tanh`](crate::math::tanh) for its accuracy.
            Tanh, tanh;
            /// `NEURONS` neurons with h = max(0, z), and derivative 1 where h > 0, else 0, so 0 at z = 0.
            Relu, relu;
        }
    };
}
pub(crate) use for_every_activation;

macro_rules! kinds {
    ($($(#[$doc:meta])* $Type:ident, $name:ident;)*) => {
        /// The activation of a hidden layer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum ActivationKind {
            $($Type),*
        }

        impl ActivationKind {
            /// Its name in weight files.
            #[cfg(feature = "safetensors")]
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$Type => stringify!($name)),*
                }
            }
        }
    };
}
for_every_activation!(kinds);
