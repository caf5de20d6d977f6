//! From lanes over examples to lanes over features, with the sum over examples on the way.

use super::batch_step::{CHUNK, HALVES};
use super::contract::Pair;
use crate::simd::{LANES, Simd};

/// Transposes a chunk and adds up its examples:
///
/// ```text
/// columns[example][feature] = rows[feature][example]      in panels of 32 features
/// sums[feature] += Σ_example rows[feature][example]       over the first `examples`, in their order
/// ```
///
/// `sums` is a row of vectors, and `rows` has a row for each of its lanes. The sum is the gradient of a bias; here, where
/// its terms are in registers, it costs one addition a vector and no loads.
#[inline(always)]
pub(crate) fn transpose<S: Simd>(
    simd: S,
    rows: &[Pair],
    examples: usize,
    columns: &mut [Pair],
    sums: &mut [[f32; LANES]],
) {
    let blocks = rows.as_chunks::<LANES>().0.iter().zip(sums);
    for (vector, (block, total)) in blocks.enumerate() {
        let panel = &mut columns[vector / HALVES * CHUNK..][..CHUNK];
        let mut sum = simd.load(total);
        for (half, panel) in panel.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let live = examples.saturating_sub(half * LANES).min(LANES);
            if live == 0 {
                break;
            }
            let mut lines = [simd.splat(0.0); LANES];
            for i in 0..LANES {
                lines[i] = simd.load(&block[i][half]);
            }
            let lines = simd.transpose(lines);
            for i in 0..LANES {
                simd.store(lines[i], &mut panel[i][vector % HALVES]);
            }
            if live == LANES {
                for i in 0..LANES {
                    sum = simd.add(sum, lines[i]);
                }
            } else {
                for line in &panel[..live] {
                    sum = simd.add(sum, simd.load(&line[vector % HALVES]));
                }
            }
        }
        simd.store(sum, total);
    }
}
