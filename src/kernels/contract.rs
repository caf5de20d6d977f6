//! The one contraction that all matrix products of a training step are.
//!
//! ```text
//! out[row][lanes] = finish( init + Σ_k a(row, k) · b[k][lanes] )        k = 0, 1, …, depth − 1
//! ```
//!
//! a broadcast scalar times a row of lanes, summed in that order by one fused multiply-add each. The sum of one element
//! is the same sequence whatever the tile, so tiles can be chosen for speed without changing a bit.
//!
//! A register tile holds `ROWS × COLS` accumulators. At every k it loads COLS vectors of b and ROWS scalars of a and does
//! ROWS · COLS multiply-adds; the first and the last touch of `out` happen while the tile is in registers (bias, tanh,
//! 1 − h², adding to an earlier sum, or the step of gradient descent): see [`Epilogue`].
//!
//! | product | kernel           | rows   | summed over | a      | b                         |
//! |---------|------------------|--------|-------------|--------|---------------------------|
//! | outputs | `Forward`        | output | input       | W      | inputs                    |
//! | d_W     | `WeightGradient` | input  | example     | inputs | d_outputs, lanes over outputs |
//! | d_in    | `InputGradient`  | input  | output      | W      | d_outputs                 |
//!
//! (The gradient of the weights of a layer of few outputs is none of them: see `NarrowGradients`.)
//!
//! The rows b[k] are pairs of vectors: one feature of the 32 examples of a chunk, or 32 features of one example. Wider rows
//! are computed in panels of one pair, so that a tile reads them without a stride or a bound to check.
//!
//! The scalars lie in one of two orders, [`ByRow`] and [`ByColumn`].

use super::chunk::{CHUNK, CHUNKS, VECTORS};
use super::shape::Count;
use crate::simd::{LANES, Pair, Simd};

/// Scalars a(row, k) with the k of one row side by side: `scalars[row · stride + k]`.
#[derive(Clone, Copy)]
pub(crate) struct ByRow<'a> {
    pub(crate) scalars: &'a [f32],
    pub(crate) stride: usize,
}

/// Scalars a(row, k) with the rows of one k side by side: `scalars[k · stride + row]`.
#[derive(Clone, Copy)]
pub(crate) struct ByColumn<'a> {
    pub(crate) scalars: &'a [f32],
    pub(crate) stride: usize,
}

/// Either order of the scalars a(row, k).
pub(crate) trait Scalars: Copy {
    /// `tile[r][c] += Σ_k a(row + r, k) · b[k][col + c]`
    fn accumulate<S: Simd, const ROWS: usize, const COLS: usize>(
        self,
        simd: S,
        row: usize,
        b: &[Pair],
        col: usize,
        tile: &mut [[S::Vector; COLS]; ROWS],
    );
}

/// One k of a tile: `tile[r][c] += a[r] · b[col + c]`.
#[inline(always)]
fn multiply_add<S: Simd, const ROWS: usize, const COLS: usize>(
    simd: S,
    a: &[f32; ROWS],
    b: &Pair,
    col: usize,
    tile: &mut [[S::Vector; COLS]; ROWS],
) {
    let mut vectors = [simd.splat(0.0); COLS];
    for c in 0..COLS {
        // The remainder changes nothing; it tells the compiler that no bound needs a check.
        vectors[c] = simd.load(&b[(col + c) % VECTORS]);
    }
    for r in 0..ROWS {
        let a = simd.splat(a[r]);
        for c in 0..COLS {
            tile[r][c] = simd.mul_add(a, vectors[c], tile[r][c]);
        }
    }
}

impl Scalars for ByRow<'_> {
    #[inline(always)]
    fn accumulate<S: Simd, const ROWS: usize, const COLS: usize>(
        self,
        simd: S,
        row: usize,
        b: &[Pair],
        col: usize,
        tile: &mut [[S::Vector; COLS]; ROWS],
    ) {
        // A window holds the scalars of one k, at constant distances: the loop moves one pointer, and not one for each row.
        let last_row = (ROWS - 1) * self.stride;
        let scalars = &self.scalars[row * self.stride..][..last_row + b.len()];
        for (window, b) in scalars.windows(last_row + 1).zip(b) {
            let mut a = [0.0; ROWS];
            for r in 0..ROWS {
                a[r] = window[r * self.stride];
            }
            multiply_add(simd, &a, b, col, tile);
        }
    }
}

impl Scalars for ByColumn<'_> {
    #[inline(always)]
    fn accumulate<S: Simd, const ROWS: usize, const COLS: usize>(
        self,
        simd: S,
        row: usize,
        b: &[Pair],
        col: usize,
        tile: &mut [[S::Vector; COLS]; ROWS],
    ) {
        for (column, b) in self.scalars.chunks_exact(self.stride).zip(b) {
            if let Some(a) = column[row..].first_chunk::<ROWS>() {
                multiply_add(simd, a, b, col, tile);
            }
        }
    }
}

/// The scalars of activations: k runs over the examples of a block, chunk after chunk.
#[derive(Clone, Copy)]
pub(crate) struct ByExample<'a> {
    /// `[row][example]`
    pub(crate) chunks: [&'a [Pair]; CHUNKS],
}

impl Scalars for ByExample<'_> {
    #[inline(always)]
    fn accumulate<S: Simd, const ROWS: usize, const COLS: usize>(
        self,
        simd: S,
        row: usize,
        b: &[Pair],
        col: usize,
        tile: &mut [[S::Vector; COLS]; ROWS],
    ) {
        let of_chunk = |chunk: usize| ByRow {
            scalars: self.chunks[chunk].as_flattened().as_flattened(),
            stride: CHUNK,
        };
        let (first, second) = b.split_at(b.len().min(CHUNK));
        of_chunk(0).accumulate(simd, row, first, col, tile);
        if !second.is_empty() {
            of_chunk(1).accumulate(simd, row, second, col, tile);
        }
    }
}

/// What happens to an element of `out` before and after its sum.
pub(crate) trait Epilogue: Copy {
    /// The value that the sum starts from.
    fn init<S: Simd>(self, simd: S, row: usize) -> S::Vector;
    /// Stores what becomes of the sum; `vector` is the place of `out` among all vectors of the contraction's results.
    fn finish<S: Simd>(self, simd: S, vector: usize, sum: S::Vector, out: &mut [f32; LANES]);
}

/// The place of a contraction's results.
pub(crate) struct Out<'a> {
    pub(crate) vectors: &'a mut [[f32; LANES]],
    /// Vectors from row to row.
    pub(crate) stride: usize,
    /// Vectors of each row that are computed: one or two.
    pub(crate) cols: usize,
}

/// Computes the first `rows` of `out` (see the [module](self)); each sum has as many terms as `b` has rows.
#[inline(always)]
pub(crate) fn contract<S: Simd, R: Count>(
    simd: S,
    rows: R,
    a: impl Scalars,
    b: &[Pair],
    out: Out<'_>,
    epilogue: impl Epilogue,
) {
    const {
        assert!(S::TILE.0 <= 10, "taller tiles are not written out below");
    }
    let mut row = 0;
    while row < rows.get() {
        let height = next_height::<R>(rows.get() - row, S::TILE.0);
        let place = &mut out.vectors[row * out.stride..];
        macro_rules! tile {
            ($($height:literal)*) => {
                match height {
                    $($height if const { is_height::<R>($height, S::TILE.0) } => {
                        if const { takes_pairs::<S>($height) } && out.cols == VECTORS {
                            tile::<S, $height, VECTORS>(simd, (row, 0), a, b, (place, out.stride), epilogue);
                        } else {
                            for col in 0..out.cols {
                                let place = &mut place[col..];
                                tile::<S, $height, 1>(simd, (row, col), a, b, (place, out.stride), epilogue);
                            }
                        }
                    })*
                    _ => unreachable!("`next_height` gives what `is_height` accepts"),
                }
            };
        }
        tile!(1 2 3 4 5 6 7 8 9 10);
        row += height;
    }
}

/// Whether the registers hold both vectors of each row of a tile of this height. Where a tile of the most rows has but one, they do
/// for a few rows: these would wait for the latency of their sums otherwise.
const fn takes_pairs<S: Simd>(height: usize) -> bool {
    let (most, vectors) = S::TILE;
    vectors == VECTORS || 3 * height * VECTORS <= 2 * most * vectors
}

/// How many of the rows that are left the next tile takes.
///
/// Rows whose number is known at compile time are split evenly into as few tiles as the registers allow: 100 rows are
/// 10 × 10, 27 are 3 × 9. Others are taken greedily by a few heights, which keeps the code for all shapes small.
#[inline(always)]
fn next_height<R: Count>(left: usize, most: usize) -> usize {
    match R::FIXED {
        Some(_) => left.div_ceil(left.div_ceil(most)),
        None if left >= most => most,
        None if left >= most.div_ceil(2) => most.div_ceil(2),
        None => left.min(2),
    }
}

/// Whether [`next_height`] gives this height. Tiles of other heights are not compiled.
const fn is_height<R: Count>(height: usize, most: usize) -> bool {
    match R::FIXED {
        Some(rows) => {
            let tiles = rows.div_ceil(most);
            height == rows.div_ceil(tiles) || height == rows / tiles
        }
        None => height == most || height == most.div_ceil(2) || height <= 2 && height < most,
    }
}

/// One register tile of a contraction, at this row and vector; `out` starts at its first element.
#[inline(always)]
fn tile<S: Simd, const ROWS: usize, const COLS: usize>(
    simd: S,
    (row, col): (usize, usize),
    a: impl Scalars,
    b: &[Pair],
    (out, out_stride): (&mut [[f32; LANES]], usize),
    epilogue: impl Epilogue,
) {
    let mut tile = [[simd.splat(0.0); COLS]; ROWS];
    for r in 0..ROWS {
        for c in 0..COLS {
            tile[r][c] = epilogue.init(simd, row + r);
        }
    }
    a.accumulate(simd, row, b, col, &mut tile);
    for r in 0..ROWS {
        for c in 0..COLS {
            let vector = (row + r) * out_stride + col + c;
            epilogue.finish(simd, vector, tile[r][c], &mut out[r * out_stride + c]);
        }
    }
}
