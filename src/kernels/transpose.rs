//! From lanes over examples to lanes over features, and back, with the sum over the former lanes on the way.

use super::chunk::{CHUNK, PANEL, VECTORS};
use crate::simd::{LANES, Pair, Simd};

/// Transposes the first panel of `rows`, up to 32 of them, of which the first or both vectors count:
///
/// ```text
/// columns[i][j] = rows[j][i]      sums[j] = Σ_i rows[j][i]
/// ```
///
/// where there are columns to write to, blocks of sixteen rows and sixteen columns at a time. Each vector of a row is summed as
/// [`Simd::transpose`] does. Returns the sums of two blocks of rows; those of a block that is not there are zero.
#[inline(always)]
pub(crate) fn transpose<S: Simd>(
    simd: S,
    rows: &[Pair],
    vectors: usize,
    columns: &mut [Pair],
) -> [S::Vector; VECTORS] {
    let mut sums = [simd.splat(0.0); VECTORS];
    for block in 0..VECTORS {
        for vector in 0..VECTORS.min(vectors) {
            let rows = rows.get(block * LANES..).and_then(<[_]>::first_chunk);
            let columns = columns.get_mut(vector * LANES..);
            if let (Some(rows), Some(columns)) = (rows, columns.and_then(<[_]>::first_chunk_mut)) {
                let sum = simd.transpose(rows, vector, columns, block);
                sums[block] = simd.add(sums[block], sum);
            }
        }
    }
    sums
}

/// Writes features of a chunk of examples to where the caller wants them, `out[example][feature]`: `width` of each example, for as
/// many examples as there is room for. `columns` is scratch for a panel.
#[inline(always)]
pub(crate) fn write_examples<S: Simd>(
    simd: S,
    features: &[Pair],
    width: usize,
    columns: &mut [Pair],
    out: &mut [f32],
) {
    let columns = &mut columns[..CHUNK];
    for panel in 0..width.div_ceil(PANEL) {
        transpose(simd, &features[panel * PANEL..], VECTORS, columns);
        let range = panel * PANEL..width.min((panel + 1) * PANEL);
        for (out, column) in out.chunks_exact_mut(width).zip(&*columns) {
            let values = &column.as_flattened()[..range.len()];
            out[range.clone()].copy_from_slice(values);
        }
    }
}

/// `totals += sums`, of as many blocks as there are totals.
#[inline(always)]
pub(crate) fn add_sums<S: Simd>(simd: S, sums: [S::Vector; VECTORS], totals: &mut [[f32; LANES]]) {
    for (sum, total) in sums.into_iter().zip(totals) {
        simd.store(simd.add(simd.load(total), sum), total);
    }
}
