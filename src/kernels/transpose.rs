//! From lanes over examples to lanes over features.

use super::batch_step::HALVES;
use crate::simd::{LANES, Simd};

/// `columns[example][feature] = rows[feature][example]`, for a chunk of examples.
///
/// `vectors` is the width of a row of `columns`; `rows` has a row for each of its lanes.
#[inline(always)]
pub(crate) fn transpose<S: Simd>(
    simd: S,
    rows: &[[f32; LANES]],
    vectors: usize,
    columns: &mut [[f32; LANES]],
    halves: usize,
) {
    for vector in 0..vectors {
        for half in 0..halves {
            let block = &rows[vector * LANES * HALVES + half..];
            let mut lines = [simd.splat(0.0); LANES];
            for i in 0..LANES {
                lines[i] = simd.load(&block[i * HALVES]);
            }
            let lines = simd.transpose(lines);
            for i in 0..LANES {
                simd.store(
                    lines[i],
                    &mut columns[(half * LANES + i) * vectors + vector],
                );
            }
        }
    }
}

/// `sums[lane] += Σ_example columns[example][lane]`, over the first `examples`, in their order.
#[inline(always)]
pub(crate) fn add_columns<S: Simd>(
    simd: S,
    columns: &[[f32; LANES]],
    vectors: usize,
    examples: usize,
    sums: &mut [[f32; LANES]],
) {
    for (v, total) in sums.iter_mut().enumerate().take(vectors) {
        let mut sum = simd.load(total);
        for column in columns[v..].chunks(vectors).take(examples) {
            sum = simd.add(sum, simd.load(&column[0]));
        }
        simd.store(sum, total);
    }
}
