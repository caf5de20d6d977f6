//! The portable backend, on the `wide` crate: NEON, wasm, SSE2, or whatever the compiler flags name.
//!
//! `wide` chooses its instructions when it is compiled, so this backend is what the others are not: available
//! everywhere, but only as fast as the flags allow. Where those flags include no fused multiply-add it rounds twice, and
//! says so in [`Simd::FUSED`]. Only `wide`'s elementary operations are used; its own exp, ln and tanh have other bits on
//! other processors.

use wide::{f32x16, u32x16};

use super::scalar::Scalar;
use super::{EIGHTH_ROOTS_OF_TWO, Kernel, LANES, Pair, ROUND_TO_INTEGER, Simd};

/// The token of the portable backend; every processor can run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Portable;

#[inline(always)]
fn bits(a: f32x16) -> u32x16 {
    bytemuck::cast(a)
}

#[inline(always)]
fn from_bits(a: u32x16) -> f32x16 {
    bytemuck::cast(a)
}

impl Simd for Portable {
    type Vector = f32x16;

    const FUSED: bool = cfg!(any(
        target_feature = "fma",
        all(target_arch = "aarch64", target_feature = "neon")
    ));
    const TILE: (usize, usize) = if cfg!(target_feature = "avx512f") {
        (10, 2)
    } else if cfg!(any(target_feature = "avx", target_arch = "aarch64")) {
        (6, 1) // 16 registers of 8 lanes, or 32 of 4
    } else {
        (3, 1) // 16 registers of 4 lanes
    };

    fn detect() -> Option<Self> {
        Some(Self)
    }

    // A function of its own, as in the x86 backends.
    #[inline(never)]
    fn enter<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> f32x16 {
        f32x16::splat(value)
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> f32x16 {
        f32x16::new(*from)
    }

    #[inline(always)]
    fn store(self, vector: f32x16, to: &mut [f32; LANES]) {
        *to = vector.to_array();
    }

    #[inline(always)]
    fn add(self, a: f32x16, b: f32x16) -> f32x16 {
        a + b
    }

    #[inline(always)]
    fn sub(self, a: f32x16, b: f32x16) -> f32x16 {
        a - b
    }

    #[inline(always)]
    fn mul(self, a: f32x16, b: f32x16) -> f32x16 {
        a * b
    }

    #[inline(always)]
    fn div(self, a: f32x16, b: f32x16) -> f32x16 {
        a / b
    }

    #[inline(always)]
    fn sqrt(self, a: f32x16) -> f32x16 {
        a.sqrt()
    }

    #[inline(always)]
    fn mul_add(self, a: f32x16, b: f32x16, c: f32x16) -> f32x16 {
        a.mul_add(b, c)
    }

    #[inline(always)]
    fn neg_mul_add(self, a: f32x16, b: f32x16, c: f32x16) -> f32x16 {
        a.mul_neg_add(b, c)
    }

    #[inline(always)]
    fn max(self, a: f32x16, b: f32x16) -> f32x16 {
        a.simd_gt(b).bitselect(a, b)
    }

    #[inline(always)]
    fn min(self, a: f32x16, b: f32x16) -> f32x16 {
        a.simd_lt(b).bitselect(a, b)
    }

    #[inline(always)]
    fn select_lt(self, a: f32x16, b: f32x16, less: f32x16, otherwise: f32x16) -> f32x16 {
        a.simd_lt(b).bitselect(less, otherwise)
    }

    #[inline(always)]
    fn abs(self, a: f32x16) -> f32x16 {
        a.abs()
    }

    #[inline(always)]
    fn with_sign(self, magnitude: f32x16, sign: f32x16) -> f32x16 {
        magnitude | (sign & f32x16::splat(-0.0))
    }

    #[inline(always)]
    fn power_of_eighth_root_of_two(self, shifted: f32x16) -> f32x16 {
        // A table look-up by halves: each bit of k chooses between the two halves of what is left.
        let k = bits(shifted);
        let mut roots = EIGHTH_ROOTS_OF_TWO.map(u32x16::splat);
        let mut left = roots.len();
        for bit in [2_u32, 1, 0] {
            left /= 2;
            let is_set = u32x16::splat(0) - ((k >> bit) & u32x16::splat(1));
            for i in 0..left {
                roots[i] = roots[i] ^ (is_set & (roots[i] ^ roots[i + left]));
            }
        }
        from_bits((k << 20_u32) + roots[0])
    }

    #[inline(always)]
    fn power_of_two(self, shifted: f32x16) -> f32x16 {
        from_bits((bits(shifted) << 23_u32) + u32x16::splat(1.0_f32.to_bits()))
    }

    #[inline(always)]
    fn exponent_and_significand(self, a: f32x16) -> (f32x16, f32x16) {
        let biased = (bits(a) >> 23_u32) | u32x16::splat(ROUND_TO_INTEGER.to_bits());
        let significand = (bits(a) & u32x16::splat(0x007f_ffff)) | u32x16::splat(1.0_f32.to_bits());
        (
            from_bits(biased) - f32x16::splat(ROUND_TO_INTEGER + 127.0),
            from_bits(significand),
        )
    }

    #[inline(always)]
    fn transpose(
        self,
        rows: &[Pair; LANES],
        from: usize,
        columns: &mut [Pair; LANES],
        to: usize,
    ) -> f32x16 {
        // `wide` does this lane by lane too.
        f32x16::new(Scalar.transpose(rows, from, columns, to))
    }
}
