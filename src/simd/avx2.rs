//! AVX2 with FMA: two registers a vector.

#![expect(
    unsafe_code,
    reason = "entering functions compiled for AVX2 and FMA; each rests on a token that only detection makes"
)]

use core::arch::x86_64::*;

use super::{EIGHTH_ROOTS_OF_TWO, LANES, Pair, ROUND_TO_INTEGER, tree_reduce, x86};

/// Lanes 0..8 and 8..16.
type Halves = [__m256; 2];

#[target_feature(enable = "avx2")]
#[inline]
fn power_of_eighth_root_of_two(shifted: __m256) -> __m256 {
    let k = _mm256_castps_si256(shifted);
    let roots = bytemuck::cast(EIGHTH_ROOTS_OF_TWO);
    let root = _mm256_permutevar8x32_epi32(roots, k);
    _mm256_castsi256_ps(_mm256_add_epi32(_mm256_slli_epi32::<20>(k), root))
}

#[target_feature(enable = "avx2")]
#[inline]
fn power_of_two(shifted: __m256) -> __m256 {
    let exponent = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted));
    let one = _mm256_castps_si256(_mm256_set1_ps(1.0));
    _mm256_castsi256_ps(_mm256_add_epi32(exponent, one))
}

#[target_feature(enable = "avx2")]
#[inline]
fn exponent_and_significand(a: __m256) -> (__m256, __m256) {
    let bits = _mm256_castps_si256(a);
    let shifter = _mm256_castps_si256(_mm256_set1_ps(ROUND_TO_INTEGER));
    let shifted = _mm256_or_si256(_mm256_srli_epi32::<23>(bits), shifter);
    let exponent = _mm256_sub_ps(
        _mm256_castsi256_ps(shifted),
        _mm256_set1_ps(ROUND_TO_INTEGER + 127.0),
    );
    let fraction = _mm256_and_si256(bits, _mm256_set1_epi32(0x007f_ffff));
    let significand = _mm256_or_ps(_mm256_castsi256_ps(fraction), _mm256_set1_ps(1.0));
    (exponent, significand)
}

/// Lane i of the result is the sum of the lanes of row i, as a tree: i + i+4, then i+2, i+1.
///
/// Each level adds the halves of two vectors at a time, a's in the lower places and b's in the upper ones: in one term they
/// stay where they are, in the other they change places. So a shuffle serves two rows, and the sums come out in order.
#[target_feature(enable = "avx2")]
#[inline]
fn sum_eight_rows(rows: &[__m256]) -> __m256 {
    let mut fours = [rows[0]; 4];
    for i in 0..4 {
        let (a, b) = (rows[i], rows[i + 4]);
        fours[i] = _mm256_add_ps(
            _mm256_blend_ps::<0b1111_0000>(a, b),
            _mm256_permute2f128_ps::<0x21>(a, b),
        );
    }
    let mut twos = [rows[0]; 2];
    for i in 0..2 {
        let (a, b) = (fours[i], fours[i + 2]);
        twos[i] = _mm256_add_ps(
            _mm256_blend_ps::<0b1100_1100>(a, b),
            _mm256_shuffle_ps::<0b01_00_11_10>(a, b),
        );
    }
    let [a, b] = twos;
    let swapped = _mm256_blend_ps::<0b1010_1010>(b, a);
    _mm256_add_ps(
        _mm256_blend_ps::<0b1010_1010>(a, b),
        _mm256_permute_ps::<0b10_11_00_01>(swapped),
    )
}

/// Rows become columns, of an 8×8 block.
#[target_feature(enable = "avx2")]
#[inline]
fn transpose_8x8(rows: [__m256; 8]) -> [__m256; 8] {
    // Transposes the 4×4 blocks inside each half of each group of four rows, then swaps the off-diagonal halves.
    let mut blocks = rows;
    for group in 0..2 {
        let r = &rows[4 * group..4 * group + 4];
        let low01 = _mm256_castps_pd(_mm256_unpacklo_ps(r[0], r[1]));
        let high01 = _mm256_castps_pd(_mm256_unpackhi_ps(r[0], r[1]));
        let low23 = _mm256_castps_pd(_mm256_unpacklo_ps(r[2], r[3]));
        let high23 = _mm256_castps_pd(_mm256_unpackhi_ps(r[2], r[3]));
        blocks[4 * group] = _mm256_castpd_ps(_mm256_unpacklo_pd(low01, low23));
        blocks[4 * group + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low01, low23));
        blocks[4 * group + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(high01, high23));
        blocks[4 * group + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(high01, high23));
    }
    let mut columns = blocks;
    for i in 0..4 {
        columns[i] = _mm256_permute2f128_ps::<0x20>(blocks[i], blocks[i + 4]);
        columns[i + 4] = _mm256_permute2f128_ps::<0x31>(blocks[i], blocks[i + 4]);
    }
    columns
}

x86::backend! {
    /// Proof that this processor has AVX2 and FMA.
    Avx2, entered by run_with_avx2 with "avx2,fma",
    // Of 16 registers 12 are accumulators, two hold a row and one a scalar.
    Halves, tile (6, 1);

    fn splat(value: f32) -> Halves {
        [_mm256_set1_ps(value); 2]
    }

    fn load(from: &[f32; LANES]) -> Halves {
        bytemuck::cast(*from)
    }

    fn store(vector: Halves, to: &mut [f32; LANES]) -> () {
        *to = bytemuck::cast(vector);
    }

    fn add(a: Halves, b: Halves) -> Halves {
        [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])]
    }

    fn sub(a: Halves, b: Halves) -> Halves {
        [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])]
    }

    fn mul(a: Halves, b: Halves) -> Halves {
        [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])]
    }

    fn div(a: Halves, b: Halves) -> Halves {
        [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])]
    }

    fn sqrt(a: Halves) -> Halves {
        [_mm256_sqrt_ps(a[0]), _mm256_sqrt_ps(a[1])]
    }

    fn mul_add(a: Halves, b: Halves, c: Halves) -> Halves {
        [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])]
    }

    fn neg_mul_add(a: Halves, b: Halves, c: Halves) -> Halves {
        [_mm256_fnmadd_ps(a[0], b[0], c[0]), _mm256_fnmadd_ps(a[1], b[1], c[1])]
    }

    fn max(a: Halves, b: Halves) -> Halves {
        [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])]
    }

    fn min(a: Halves, b: Halves) -> Halves {
        [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])]
    }

    fn select_lt(a: Halves, b: Halves, less: Halves, otherwise: Halves) -> Halves {
        [
            _mm256_blendv_ps(otherwise[0], less[0], _mm256_cmp_ps::<_CMP_LT_OQ>(a[0], b[0])),
            _mm256_blendv_ps(otherwise[1], less[1], _mm256_cmp_ps::<_CMP_LT_OQ>(a[1], b[1])),
        ]
    }

    fn abs(a: Halves) -> Halves {
        let sign = _mm256_set1_ps(-0.0);
        [_mm256_andnot_ps(sign, a[0]), _mm256_andnot_ps(sign, a[1])]
    }

    fn with_sign(magnitude: Halves, sign: Halves) -> Halves {
        let mask = _mm256_set1_ps(-0.0);
        [
            _mm256_or_ps(magnitude[0], _mm256_and_ps(sign[0], mask)),
            _mm256_or_ps(magnitude[1], _mm256_and_ps(sign[1], mask)),
        ]
    }

    fn power_of_eighth_root_of_two(shifted: Halves) -> Halves {
        [power_of_eighth_root_of_two(shifted[0]), power_of_eighth_root_of_two(shifted[1])]
    }

    fn power_of_two(shifted: Halves) -> Halves {
        [power_of_two(shifted[0]), power_of_two(shifted[1])]
    }

    fn exponent_and_significand(a: Halves) -> (Halves, Halves) {
        let (e0, s0) = exponent_and_significand(a[0]);
        let (e1, s1) = exponent_and_significand(a[1]);
        ([e0, e1], [s0, s1])
    }

    fn transpose(rows: &[Pair; LANES], from: usize, columns: &mut [Pair; LANES], to: usize) -> Halves {
        // A pair is four eights, and sixteen pairs are two blocks of eight.
        let rows: &[[[[f32; 8]; 4]; 8]; 2] = bytemuck::cast_ref(rows);
        let columns: &mut [[[[f32; 8]; 4]; 8]; 2] = bytemuck::cast_mut(columns);
        let mut sums = [_mm256_setzero_ps(); 2];
        for i in 0..2 {
            for j in 0..2 {
                let mut block = [_mm256_setzero_ps(); 8];
                for k in 0..8 {
                    block[k] = bytemuck::cast(rows[i][k][(2 * from + j) % 4]);
                }
                let block = transpose_8x8(block);
                for k in 0..8 {
                    columns[j][k][(2 * to + i) % 4] = bytemuck::cast(block[k]);
                }
                let sum = tree_reduce(block, |a, b| _mm256_add_ps(a, b));
                sums[i] = if j == 0 { sum } else { _mm256_add_ps(sums[i], sum) };
            }
        }
        sums
    }

    fn sum_lanes(vector: Halves) -> f32 {
        let eight = _mm256_add_ps(vector[0], vector[1]);
        let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }

    fn max_lane(vector: Halves) -> f32 {
        let eight = _mm256_max_ps(vector[0], vector[1]);
        let four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
        let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }

    fn sum_lanes_of_rows(rows: [Halves; LANES]) -> Halves {
        let mut eights = [rows[0][0]; LANES];
        for i in 0..LANES {
            eights[i] = _mm256_add_ps(rows[i][0], rows[i][1]);
        }
        [sum_eight_rows(&eights[..8]), sum_eight_rows(&eights[8..])]
    }
}
