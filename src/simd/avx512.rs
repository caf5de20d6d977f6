//! AVX-512F: one register a vector.

#![expect(
    unsafe_code,
    reason = "entering functions compiled for AVX-512F; each rests on a token that only detection makes"
)]

use core::arch::x86_64::*;

use super::{EIGHTH_ROOTS_OF_TWO, LANES, Pair, ROUND_TO_INTEGER, tree_reduce, x86};

x86::backend! {
    /// Proof that this processor has AVX-512F.
    Avx512, entered by run_with_avx512 with "avx512f",
    // Of 32 registers 20 are accumulators. More would fit, and were no faster: 100 neurons are 10 tiles of 10 rows and 27
    // classes 3 of 9, without a remainder.
    __m512, tile (10, 2);

    fn splat(value: f32) -> __m512 {
        _mm512_set1_ps(value)
    }

    fn load(from: &[f32; LANES]) -> __m512 {
        bytemuck::cast(*from)
    }

    fn store(vector: __m512, to: &mut [f32; LANES]) -> () {
        *to = bytemuck::cast(vector);
    }

    fn add(a: __m512, b: __m512) -> __m512 {
        _mm512_add_ps(a, b)
    }

    fn sub(a: __m512, b: __m512) -> __m512 {
        _mm512_sub_ps(a, b)
    }

    fn mul(a: __m512, b: __m512) -> __m512 {
        _mm512_mul_ps(a, b)
    }

    fn div(a: __m512, b: __m512) -> __m512 {
        _mm512_div_ps(a, b)
    }

    fn sqrt(a: __m512) -> __m512 {
        _mm512_sqrt_ps(a)
    }

    fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fmadd_ps(a, b, c)
    }

    fn neg_mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fnmadd_ps(a, b, c)
    }

    fn max(a: __m512, b: __m512) -> __m512 {
        _mm512_max_ps(a, b)
    }

    fn min(a: __m512, b: __m512) -> __m512 {
        _mm512_min_ps(a, b)
    }

    fn select_lt(a: __m512, b: __m512, less: __m512, otherwise: __m512) -> __m512 {
        _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), otherwise, less)
    }

    fn abs(a: __m512) -> __m512 {
        _mm512_abs_ps(a)
    }

    fn with_sign(magnitude: __m512, sign: __m512) -> __m512 {
        // magnitude | (sign & mask), as one truth table over the bits of the three operands.
        const OR_OF_AND: i32 = 0xf8;
        _mm512_castsi512_ps(_mm512_ternarylogic_epi32::<OR_OF_AND>(
            _mm512_castps_si512(magnitude),
            _mm512_castps_si512(sign),
            _mm512_castps_si512(_mm512_set1_ps(-0.0)),
        ))
    }

    fn power_of_eighth_root_of_two(shifted: __m512) -> __m512 {
        let k = _mm512_castps_si512(shifted);
        // Four bits of k choose a lane, so the eight roots stand there twice.
        let roots = bytemuck::cast([EIGHTH_ROOTS_OF_TWO; 2]);
        let root = _mm512_permutexvar_epi32(k, roots);
        _mm512_castsi512_ps(_mm512_add_epi32(_mm512_slli_epi32::<20>(k), root))
    }

    fn power_of_two(shifted: __m512) -> __m512 {
        let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
        _mm512_castsi512_ps(_mm512_add_epi32(exponent, _mm512_castps_si512(_mm512_set1_ps(1.0))))
    }

    fn exponent_and_significand(a: __m512) -> (__m512, __m512) {
        let bits = _mm512_castps_si512(a);
        let biased = _mm512_or_si512(
            _mm512_srli_epi32::<23>(bits),
            _mm512_castps_si512(_mm512_set1_ps(ROUND_TO_INTEGER)),
        );
        let significand = _mm512_or_si512(
            _mm512_and_si512(bits, _mm512_set1_epi32(0x007f_ffff)),
            _mm512_castps_si512(_mm512_set1_ps(1.0)),
        );
        (
            _mm512_sub_ps(_mm512_castsi512_ps(biased), _mm512_set1_ps(ROUND_TO_INTEGER + 127.0)),
            _mm512_castsi512_ps(significand),
        )
    }

    fn transpose(rows: &[Pair; LANES], from: usize, columns: &mut [Pair; LANES], to: usize) -> __m512 {
        // Transposes the 4×4 blocks inside each group of four rows, then the 4×4 arrangement of the blocks.
        let mut blocks = [_mm512_setzero_ps(); LANES];
        for group in 0..4 {
            let mut r = [_mm512_setzero_ps(); 4];
            for i in 0..4 {
                r[i] = bytemuck::cast(rows[4 * group + i][from]);
            }
            let low01 = _mm512_castps_pd(_mm512_unpacklo_ps(r[0], r[1]));
            let high01 = _mm512_castps_pd(_mm512_unpackhi_ps(r[0], r[1]));
            let low23 = _mm512_castps_pd(_mm512_unpacklo_ps(r[2], r[3]));
            let high23 = _mm512_castps_pd(_mm512_unpackhi_ps(r[2], r[3]));
            blocks[4 * group] = _mm512_castpd_ps(_mm512_unpacklo_pd(low01, low23));
            blocks[4 * group + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low01, low23));
            blocks[4 * group + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high01, high23));
            blocks[4 * group + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high01, high23));
        }
        let mut low = [_mm512_setzero_ps(); 4];
        let mut high = low;
        for i in 0..4 {
            let (a, b, c, d) = (blocks[i], blocks[i + 4], blocks[i + 8], blocks[i + 12]);
            let even_ab = _mm512_shuffle_f32x4::<0b10_00_10_00>(a, b);
            let odd_ab = _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b);
            let even_cd = _mm512_shuffle_f32x4::<0b10_00_10_00>(c, d);
            let odd_cd = _mm512_shuffle_f32x4::<0b11_01_11_01>(c, d);
            let column = [
                _mm512_shuffle_f32x4::<0b10_00_10_00>(even_ab, even_cd),
                _mm512_shuffle_f32x4::<0b10_00_10_00>(odd_ab, odd_cd),
                _mm512_shuffle_f32x4::<0b11_01_11_01>(even_ab, even_cd),
                _mm512_shuffle_f32x4::<0b11_01_11_01>(odd_ab, odd_cd),
            ];
            for j in 0..4 {
                columns[i + 4 * j][to] = bytemuck::cast(column[j]);
            }
            low[i] = _mm512_add_ps(column[0], column[1]);
            high[i] = _mm512_add_ps(column[2], column[3]);
        }
        _mm512_add_ps(tree_reduce(low, |a, b| _mm512_add_ps(a, b)), tree_reduce(high, |a, b| _mm512_add_ps(a, b)))
    }

    fn sum_lanes(vector: __m512) -> f32 {
        let eight = _mm512_add_ps(vector, _mm512_shuffle_f32x4::<0b00_00_11_10>(vector, vector));
        let four = _mm512_add_ps(eight, _mm512_shuffle_f32x4::<0b00_00_00_01>(eight, eight));
        let two = _mm512_add_ps(four, _mm512_permute_ps::<0b00_00_11_10>(four));
        let one = _mm512_add_ps(two, _mm512_permute_ps::<0b00_00_00_01>(two));
        _mm512_cvtss_f32(one)
    }

    fn max_lane(vector: __m512) -> f32 {
        let eight = _mm512_max_ps(vector, _mm512_shuffle_f32x4::<0b00_00_11_10>(vector, vector));
        let four = _mm512_max_ps(eight, _mm512_shuffle_f32x4::<0b00_00_00_01>(eight, eight));
        let two = _mm512_max_ps(four, _mm512_permute_ps::<0b00_00_11_10>(four));
        let one = _mm512_max_ps(two, _mm512_permute_ps::<0b00_00_00_01>(two));
        _mm512_cvtss_f32(one)
    }

    fn sum_lanes_of_rows(rows: [__m512; LANES]) -> __m512 {
        // Each level of the tree adds the halves of two vectors at a time, a's in the lower places and b's in the upper ones: in
        // one term they stay where they are, in the other they change places. So a shuffle serves two rows, and the sums come out in
        // order.
        let mut eights = [rows[0]; 8];
        for i in 0..8 {
            let (a, b) = (rows[i], rows[i + 8]);
            eights[i] = _mm512_add_ps(
                _mm512_mask_blend_ps(0b1111_1111_0000_0000, a, b),
                _mm512_shuffle_f32x4::<0b01_00_11_10>(a, b),
            );
        }
        let mut fours = [rows[0]; 4];
        for i in 0..4 {
            let (a, b) = (eights[i], eights[i + 4]);
            let swapped = _mm512_mask_blend_ps(0b1111_0000_1111_0000, b, a);
            fours[i] = _mm512_add_ps(
                _mm512_mask_blend_ps(0b1111_0000_1111_0000, a, b),
                _mm512_shuffle_f32x4::<0b10_11_00_01>(swapped, swapped),
            );
        }
        let mut twos = [rows[0]; 2];
        for i in 0..2 {
            let (a, b) = (fours[i], fours[i + 2]);
            twos[i] = _mm512_add_ps(
                _mm512_mask_blend_ps(0b1100_1100_1100_1100, a, b),
                _mm512_shuffle_ps::<0b01_00_11_10>(a, b),
            );
        }
        let [a, b] = twos;
        let swapped = _mm512_mask_blend_ps(0b1010_1010_1010_1010, b, a);
        _mm512_add_ps(
            _mm512_mask_blend_ps(0b1010_1010_1010_1010, a, b),
            _mm512_permute_ps::<0b10_11_00_01>(swapped),
        )
    }
}
