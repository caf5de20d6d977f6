//! Two correctly rounded `f32` functions that `core` does not have yet.

/// a · b + c with one rounding, on every target.
///
/// It does not come from a mathematical library: musl's `fmaf`, and that of the crate `libm` after it, round twice where the result
/// is subnormal (rust-lang/compiler-builtins#1262). The product of two `f32` is exact in `f64`. The sum is rounded to odd there: of
/// the two `f64` beside it, the one whose last bit is 1. That bit keeps the sum on its side of every midpoint between two `f32`, so
/// that the rounding to `f32` is the only one (Boldo and Melquiond, 2008, "Emulation of a FMA and correctly rounded sums").
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
pub(crate) fn mul_add(a: f32, b: f32, c: f32) -> f32 {
    let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + c;
    // The error of the sum: exact (Knuth, "The Art of Computer Programming", volume 2, section 4.2.2), or NaN if it is not finite.
    let of_c = sum - product;
    let error = (product - (sum - of_c)) + (c - of_c);
    let is_inexact = error.abs() > 0.0; // not of NaN
    // A sum that was rounded away from zero is taken back by one before its last bit is set.
    let is_too_large = is_inexact && (error > 0.0) != (sum > 0.0);
    let truncated = sum.to_bits() - u64::from(is_too_large);
    f64::from_bits(truncated | u64::from(is_inexact)) as f32
}

/// √a.
#[inline(always)]
pub(crate) fn sqrt(a: f32) -> f32 {
    #[cfg(feature = "std")]
    return a.sqrt();
    #[cfg(not(feature = "std"))]
    return libm::sqrtf(a);
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// a, b, c and the correctly rounded a · b + c, all as bits: exact fractions in Python, tests/math/fma.py.
    pub(crate) const VECTORS: [[u32; 4]; 24] = [
        [0x1700_0800, 0x9cff_f001, 0x0001_0002, 0x0001_0001],
        [0x1700_0800, 0x1cff_f001, 0x8001_0002, 0x8001_0001],
        [0x3b17_fa85, 0x29d7_9bfc, 0xb1c4_57af, 0xb1c4_57af],
        [0x2892_786c, 0x8b5f_b7b2, 0x8063_5ed0, 0x8063_5ed1],
        [0x2f1f_6ee5, 0xc2cd_8732, 0xbebf_e095, 0xbebf_e095],
        [0x300e_faf2, 0x03e5_2db2, 0x0040_cdca, 0x0040_cdcb],
        [0x2c22_4bd6, 0x3ec9_e704, 0x37dc_8ded, 0x37dc_8ded],
        [0x296d_5c8c, 0x8a8a_0d10, 0x8079_3dd2, 0x8079_3dd3],
        [0x22fa_1f01, 0x4144_8347, 0xb05b_b72f, 0xb05b_b72d],
        [0x2627_9d42, 0x8dc3_7f18, 0x805e_c6b6, 0x805e_c6b7],
        [0x2ac5_2f84, 0xc0f9_4487, 0x37f1_05fa, 0x37f1_05f9],
        [0x2eb9_fc5f, 0x8530_2f7b, 0x8069_42f8, 0x8069_42f9],
        [0x3ac4_db02, 0xaa26_7506, 0x318a_25b4, 0x318a_25b3],
        [0x274c_6ee6, 0x8ca0_497e, 0x006c_a647, 0x006c_a647],
        [0x2756_5e28, 0x3f98_dbd9, 0x33b6_f334, 0x33b6_f335],
        [0x2bc4_fe03, 0x8826_5772, 0x0073_bc59, 0x0073_bc59],
        [0x28db_7eb9, 0x4515_49c3, 0xba88_2e86, 0xba88_2e85],
        [0x2549_c859, 0x8f73_96c1, 0x005e_14fc, 0x005e_14fb],
        [0x39c7_fafb, 0xab23_db27, 0xb1a6_821f, 0xb1a6_821f],
        [0x3027_6b87, 0x03c3_b92a, 0x8070_ae16, 0x8070_ae15],
        [0x24a6_5ff5, 0xc944_f3ef, 0x3afa_658f, 0x3afa_658f],
        [0x2ec0_fc2b, 0x05fe_b17e, 0x8078_f0fa, 0x8078_f0f9],
        [0x2466_9d41, 0xcc55_2297, 0x3cc4_ee9e, 0x3cc4_ee9d],
        [0x246b_ada3, 0x8f8b_0979, 0x8050_19f4, 0x8050_19f5],
    ];

    #[test]
    fn multiply_add_is_rounded_once_also_where_it_is_subnormal() {
        for [a, b, c, expected] in VECTORS {
            let [x, y, z] = [a, b, c].map(f32::from_bits);
            let found = mul_add(x, y, z).to_bits();
            assert_eq!(found, expected, "{a:#x} * {b:#x} + {c:#x}");
        }
    }

    #[test]
    fn multiply_add_of_infinities_and_nan_is_that_of_ieee_754() {
        const INFINITY: f32 = f32::INFINITY;
        assert_eq!(mul_add(INFINITY, 2.0, 1.0), INFINITY);
        assert_eq!(mul_add(1.0, 2.0, -INFINITY), -INFINITY);
        assert_eq!(mul_add(f32::MAX, 2.0, 1.0), INFINITY);
        assert!(mul_add(INFINITY, 2.0, -INFINITY).is_nan());
        assert!(mul_add(INFINITY, 0.0, 1.0).is_nan());
        assert!(mul_add(1.0, 1.0, f32::NAN).is_nan());
        for (a, c, expected) in [(-0.0, 0.0, 0.0_f32), (-0.0, -0.0, -0.0), (0.0, -0.0, 0.0)] {
            assert_eq!(mul_add(a, 1.0, c).to_bits(), expected.to_bits());
        }
        assert_eq!(mul_add(1.5, 2.0, -3.0).to_bits(), 0);
    }

    /// Any bits; and sums whose terms nearly cancel, or lie near a midpoint.
    fn triple() -> impl Strategy<Value = [f32; 3]> {
        let unrelated = any::<[u32; 3]>().prop_map(|bits| bits.map(f32::from_bits));
        let near = (any::<[u32; 2]>(), -3..=3_i32).prop_map(|(bits, ulps)| {
            let [a, b] = bits.map(f32::from_bits);
            let c = -(a * b);
            [a, b, f32::from_bits(c.to_bits().wrapping_add_signed(ulps))]
        });
        prop_oneof![unrelated, near]
    }

    // musl's own would be wrong.
    #[cfg(not(target_env = "musl"))]
    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn multiply_add_has_the_bits_of_the_instruction([a, b, c] in triple()) {
            let (found, expected) = (mul_add(a, b, c), a.mul_add(b, c));
            prop_assert!(found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan());
        }
    }
}
