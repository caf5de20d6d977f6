//! The specification: every operation as a loop over an array, in plain Rust.
//!
//! It is never chosen for speed. Every other backend is held to its bits.

use core::array::from_fn;

use super::{EIGHTH_ROOTS_OF_TWO, Kernel, LANES, Pair, ROUND_TO_INTEGER, Simd, tree_reduce};
use crate::float;

/// The token of the specification; every processor can run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scalar;

type Vector = [f32; LANES];

#[inline(always)]
fn each(a: Vector, f: impl Fn(f32) -> f32) -> Vector {
    from_fn(|i| f(a[i]))
}

#[inline(always)]
fn both(a: Vector, b: Vector, f: impl Fn(f32, f32) -> f32) -> Vector {
    from_fn(|i| f(a[i], b[i]))
}

impl Simd for Scalar {
    type Vector = Vector;

    const FUSED: bool = true;
    const TILE: (usize, usize) = (1, 1); // never chosen for speed, and soon compiled

    fn detect() -> Option<Self> {
        Some(Self)
    }

    // A function of its own, as in the x86 backends.
    #[inline(never)]
    fn enter<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Vector {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, from: &Vector) -> Vector {
        *from
    }

    #[inline(always)]
    fn store(self, vector: Vector, to: &mut Vector) {
        *to = vector;
    }

    #[inline(always)]
    fn add(self, a: Vector, b: Vector) -> Vector {
        both(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Vector, b: Vector) -> Vector {
        both(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Vector, b: Vector) -> Vector {
        both(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Vector, b: Vector) -> Vector {
        both(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn sqrt(self, a: Vector) -> Vector {
        each(a, float::sqrt)
    }

    #[inline(always)]
    fn mul_add(self, a: Vector, b: Vector, c: Vector) -> Vector {
        from_fn(|i| float::mul_add(a[i], b[i], c[i]))
    }

    #[inline(always)]
    fn neg_mul_add(self, a: Vector, b: Vector, c: Vector) -> Vector {
        from_fn(|i| float::mul_add(-a[i], b[i], c[i]))
    }

    #[inline(always)]
    fn max(self, a: Vector, b: Vector) -> Vector {
        both(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, a: Vector, b: Vector) -> Vector {
        both(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn select_lt(self, a: Vector, b: Vector, less: Vector, otherwise: Vector) -> Vector {
        from_fn(|i| if a[i] < b[i] { less[i] } else { otherwise[i] })
    }

    #[inline(always)]
    fn abs(self, a: Vector) -> Vector {
        each(a, f32::abs)
    }

    #[inline(always)]
    fn with_sign(self, magnitude: Vector, sign: Vector) -> Vector {
        both(magnitude, sign, f32::copysign)
    }

    #[inline(always)]
    fn power_of_eighth_root_of_two(self, shifted: Vector) -> Vector {
        each(shifted, |s| {
            let root = EIGHTH_ROOTS_OF_TWO[(s.to_bits() & 7) as usize];
            f32::from_bits((s.to_bits() << 20).wrapping_add(root))
        })
    }

    #[inline(always)]
    fn power_of_two(self, shifted: Vector) -> Vector {
        each(shifted, |s| {
            f32::from_bits((s.to_bits() << 23).wrapping_add(1.0_f32.to_bits()))
        })
    }

    #[inline(always)]
    fn exponent_and_significand(self, a: Vector) -> (Vector, Vector) {
        // The biased exponent, put in the low bits of ROUND_TO_INTEGER, becomes a float by one subtraction.
        let exponent = each(a, |a| {
            f32::from_bits((a.to_bits() >> 23) | ROUND_TO_INTEGER.to_bits())
                - (ROUND_TO_INTEGER + 127.0)
        });
        let significand = each(a, |a| {
            f32::from_bits((a.to_bits() & 0x007f_ffff) | 1.0_f32.to_bits())
        });
        (exponent, significand)
    }

    #[inline(always)]
    fn transpose(
        self,
        rows: &[Pair; LANES],
        from: usize,
        columns: &mut [Pair; LANES],
        to: usize,
    ) -> Vector {
        for (i, column) in columns.iter_mut().enumerate() {
            column[to] = from_fn(|j| rows[j][from][i]);
        }
        let (halves, _) = columns.as_chunks::<{ LANES / 2 }>();
        let [low, high] = [0, 1]
            .map(|half| tree_reduce(halves[half].map(|column| column[to]), |a, b| self.add(a, b)));
        self.add(low, high)
    }
}
