//! The activations of hidden neurons and their derivatives, a file each.

use crate::model::{ActivationKind, for_every_activation};
use crate::simd::Simd;

macro_rules! dispatch {
    ($($(#[$doc:meta])* $Type:ident, $module:ident;)*) => {
        $(mod $module;)*

        /// h = activation(z).
        #[inline(always)]
        pub(crate) fn activate<S: Simd>(
            simd: S,
            activation: ActivationKind,
            z: S::Vector,
        ) -> S::Vector {
            match activation {
                $(ActivationKind::$Type => $module::value(simd, z),)*
            }
        }

        /// d_z = d_h · activation'(z), from h = activation(z).
        #[inline(always)]
        pub(crate) fn differentiate<S: Simd>(
            simd: S,
            activation: ActivationKind,
            h: S::Vector,
            d_h: S::Vector,
        ) -> S::Vector {
            match activation {
                $(ActivationKind::$Type => $module::gradient(simd, h, d_h),)*
            }
        }
    };
}
for_every_activation!(dispatch);
