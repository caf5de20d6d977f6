//! The activations of hidden neurons and their derivatives, one file each.
//!
//! Most derivatives follow from the activation's value h, which is stored anyway. An activation whose derivative needs z computes
//! it on the way forward, beside the value, and it is stored as well ([`ActivationKind::stores_slope`]). What the way back reads is
//! called `kept`: h itself, or the slope.

use super::math::{Exp, exp_of_sum};
use crate::model::{ActivationKind, for_every_activation};
use crate::simd::Simd;

macro_rules! dispatch {
    ($($(#[$doc:meta])* $Type:ident, $CONSTANT:ident, $module:ident, $max_ulp:literal, $kept:ident;)*) => {
        $(mod $module;)*

        /// h = activation(z), and what [`differentiate`] needs of it.
        #[inline(always)]
        pub(crate) fn activate<S: Simd>(
            simd: S,
            activation: ActivationKind,
            z: S::Vector,
        ) -> (S::Vector, S::Vector) {
            match activation {
                $(ActivationKind::$Type => dispatch!(@activate $kept, $module, simd, z),)*
            }
        }

        /// d_z = d_h · activation'(z).
        #[inline(always)]
        pub(crate) fn differentiate<S: Simd>(
            simd: S,
            activation: ActivationKind,
            kept: S::Vector,
            d_h: S::Vector,
        ) -> S::Vector {
            match activation {
                $(ActivationKind::$Type => dispatch!(@differentiate $kept, $module, simd, kept, d_h),)*
            }
        }
    };
    (@activate value, $module:ident, $simd:ident, $z:ident) => {{
        let h = $module::value($simd, $z);
        (h, h)
    }};
    (@activate slope, $module:ident, $simd:ident, $z:ident) => {
        $module::value_and_slope($simd, $z)
    };
    (@differentiate value, $module:ident, $simd:ident, $kept:ident, $d_h:ident) => {
        $module::gradient($simd, $kept, $d_h)
    };
    (@differentiate slope, $module:ident, $simd:ident, $kept:ident, $d_h:ident) => {
        $simd.mul($kept, $d_h)
    };
}
for_every_activation!(dispatch);

/// Both tails of the logistic function, from y · scale = e^−|z|: p = σ(|z|) and, without the factor `scale`, q = σ(−|z|).
struct Logistic<V> {
    p: V,
    q: V,
    /// A power of two: 1 where e^−|z| ≥ 2⁻⁹⁹.
    scale: V,
}

/// σ(−120) and −120 · σ(−120) are zero in `f32`.
const LOGISTIC_LIMIT: f32 = 120.0;

#[inline(always)]
fn logistic<S: Simd>(simd: S, z: S::Vector) -> Logistic<S::Vector> {
    let (zero, one) = (simd.splat(0.0), simd.splat(1.0));
    let size = simd.min(simd.splat(LOGISTIC_LIMIT), simd.abs(z)); // NaN stays
    let Exp { u, power, scale } = exp_of_sum(simd, simd.sub(zero, size), zero);
    let y = simd.mul_add(u, power, power);
    // Where `scale` is not 1, y is too small to matter in this sum.
    let p = simd.div(one, simd.add(one, y));
    Logistic {
        p,
        q: simd.mul(y, p),
        scale,
    }
}
