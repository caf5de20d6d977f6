//! From lanes over examples to lanes over features, with the sum over examples on the way.

use super::chunk::HALVES;
use crate::simd::{LANES, Pair, Simd};

/// Transposes a panel of up to 32 features of a chunk, and adds up its examples:
///
/// ```text
/// columns[example][feature] = rows[feature][example]
/// sums[feature] += Σ_example rows[feature][example]
/// ```
///
/// over the first or over both halves of the chunk. `sums` is one vector or two, and `rows` has a row for each of their
/// lanes. The sum is the gradient of a bias; each half is summed as the tree of [`Simd::sum_lanes`].
#[inline(always)]
pub(crate) fn transpose<S: Simd>(
    simd: S,
    rows: &[Pair],
    halves: usize,
    columns: &mut [Pair],
    sums: &mut [[f32; LANES]],
) {
    let blocks = rows.as_chunks::<LANES>().0.iter().zip(sums);
    for (vector, (block, total)) in blocks.enumerate() {
        let vector = vector % HALVES; // never more; it tells the compiler so
        let columns = columns.as_chunks_mut::<LANES>().0.iter_mut().enumerate();
        for (half, columns) in columns.take(halves) {
            simd.transpose(block, half, columns, vector);
            let mut sums = [simd.splat(0.0); LANES];
            for i in 0..LANES {
                sums[i] = simd.load(&columns[i][vector]);
            }
            let mut width = LANES / 2;
            while width > 0 {
                for i in 0..width {
                    sums[i] = simd.add(sums[i], sums[i + width]);
                }
                width /= 2;
            }
            simd.store(simd.add(simd.load(total), sums[0]), total);
        }
    }
}
