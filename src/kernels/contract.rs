//! The one contraction that all six matrix products of a training step are.
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
//! 1 − h², or adding to an earlier sum).
//!
//! | product        | rows   | summed over | a   | b                               |
//! |----------------|--------|-------------|-----|---------------------------------|
//! | pre-activation | neuron | input       | W1  | x                               |
//! | logits         | output | neuron      | W2  | h                               |
//! | d_W2           | neuron | example     | h   | d_logits, lanes over outputs    |
//! | d_hidden       | neuron | output      | W2  | d_logits                        |
//! | d_W1           | input  | example     | x   | d_z, lanes over neurons         |
//! | d_x            | input  | neuron      | W1  | d_z                             |
//!
//! The scalars lie in one of two orders, [`ByRow`] and [`ByColumn`].

use crate::simd::{LANES, Simd};

/// Vectors of one row after another, `stride` vectors from row to row.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) vectors: &'a [[f32; LANES]],
    pub(crate) stride: usize,
}

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
    /// Adds Σ_k a(row + r, k) · b[k][col + c] to `tile[r][c]`.
    fn accumulate<S: Simd, const ROWS: usize, const COLS: usize>(
        self,
        simd: S,
        row: usize,
        b: Rows<'_>,
        col: usize,
        depth: usize,
        tile: &mut [[S::Vector; COLS]; ROWS],
    );
}

/// One k of a tile: `tile[r][c] += a[r] · b[c]`.
#[inline(always)]
fn multiply_add<S: Simd, const ROWS: usize, const COLS: usize>(
    simd: S,
    a: &[f32; ROWS],
    b: &[[f32; LANES]],
    tile: &mut [[S::Vector; COLS]; ROWS],
) {
    let b = &b[..COLS];
    let mut vectors = [simd.splat(0.0); COLS];
    for c in 0..COLS {
        vectors[c] = simd.load(&b[c]);
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
        b: Rows<'_>,
        col: usize,
        depth: usize,
        tile: &mut [[S::Vector; COLS]; ROWS],
    ) {
        let mut rows: [&[f32]; ROWS] = [&[]; ROWS];
        for r in 0..ROWS {
            rows[r] = &self.scalars[(row + r) * self.stride..][..depth];
        }
        for (k, b) in b.vectors[col..].chunks(b.stride).enumerate().take(depth) {
            let mut a = [0.0; ROWS];
            for r in 0..ROWS {
                a[r] = rows[r][k];
            }
            multiply_add(simd, &a, b, tile);
        }
    }
}

impl Scalars for ByColumn<'_> {
    #[inline(always)]
    fn accumulate<S: Simd, const ROWS: usize, const COLS: usize>(
        self,
        simd: S,
        row: usize,
        b: Rows<'_>,
        col: usize,
        depth: usize,
        tile: &mut [[S::Vector; COLS]; ROWS],
    ) {
        let columns = self.scalars[row..].chunks(self.stride);
        for (a, b) in columns.zip(b.vectors[col..].chunks(b.stride)).take(depth) {
            if let Some(a) = a.first_chunk::<ROWS>() {
                multiply_add(simd, a, b, tile);
            }
        }
    }
}

/// What happens to an element of `out` before and after its sum.
pub(crate) trait Epilogue: Copy {
    /// The value that the sum starts from.
    fn init<S: Simd>(self, simd: S, row: usize, out: &[f32; LANES]) -> S::Vector;
    /// Stores the sum.
    fn finish<S: Simd>(self, simd: S, sum: S::Vector, out: &mut [f32; LANES]);
}

/// `out = Σ`
#[derive(Clone, Copy)]
pub(crate) struct Plain;

impl Epilogue for Plain {
    #[inline(always)]
    fn init<S: Simd>(self, simd: S, _row: usize, _out: &[f32; LANES]) -> S::Vector {
        simd.splat(0.0)
    }

    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, sum: S::Vector, out: &mut [f32; LANES]) {
        simd.store(sum, out);
    }
}

/// `out = out + Σ`, the earlier value first in the sum.
#[derive(Clone, Copy)]
pub(crate) struct Added;

impl Epilogue for Added {
    #[inline(always)]
    fn init<S: Simd>(self, simd: S, _row: usize, out: &[f32; LANES]) -> S::Vector {
        simd.load(out)
    }

    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, sum: S::Vector, out: &mut [f32; LANES]) {
        simd.store(sum, out);
    }
}

/// `out = bias[row] + Σ`, the bias first in the sum.
#[derive(Clone, Copy)]
pub(crate) struct Biased<'a>(pub(crate) &'a [f32]);

impl Epilogue for Biased<'_> {
    #[inline(always)]
    fn init<S: Simd>(self, simd: S, row: usize, _out: &[f32; LANES]) -> S::Vector {
        simd.splat(self.0[row])
    }

    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, sum: S::Vector, out: &mut [f32; LANES]) {
        simd.store(sum, out);
    }
}

/// The extent of a contraction: rows, vectors of lanes in each, and terms of each sum.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) depth: usize,
}

/// Computes `out` (see the [module](self)), `out_stride` vectors from row to row.
#[inline(always)]
pub(crate) fn contract<S: Simd>(
    simd: S,
    extent: Extent,
    a: impl Scalars,
    b: Rows<'_>,
    (out, out_stride): (&mut [[f32; LANES]], usize),
    epilogue: impl Epilogue,
) {
    let mut col = 0;
    while col < extent.cols {
        // Rows are split evenly into as few tiles as the registers allow: 100 rows are 10 × 10, 27 are 3 × 9.
        let wide = S::TILE.1 == 2 && col + 2 <= extent.cols;
        let mut tiles = extent.rows.div_ceil(S::TILE.0);
        let mut row = 0;
        while row < extent.rows {
            let rows = (extent.rows - row).div_ceil(tiles);
            let out = (&mut out[row * out_stride + col..], out_stride);
            let place = Place {
                row,
                col,
                depth: extent.depth,
            };
            macro_rules! tile {
                ($($height:literal)*) => {
                    match rows {
                        $($height if $height <= S::TILE.0 => {
                            if wide {
                                tile::<S, $height, 2>(simd, place, a, b, out, epilogue);
                            } else {
                                tile::<S, $height, 1>(simd, place, a, b, out, epilogue);
                            }
                        })*
                        _ => unreachable!("no tile is higher than S::TILE"),
                    }
                };
            }
            tile!(1 2 3 4 5 6 7 8 9 10);
            row += rows;
            tiles -= 1;
        }
        col += if wide { 2 } else { 1 };
    }
}

/// Where a tile starts, and how long its sums are.
#[derive(Clone, Copy)]
struct Place {
    row: usize,
    col: usize,
    depth: usize,
}

/// One register tile of [`contract`]; `out` starts at its first element.
#[inline(always)]
fn tile<S: Simd, const ROWS: usize, const COLS: usize>(
    simd: S,
    place: Place,
    a: impl Scalars,
    b: Rows<'_>,
    (out, out_stride): (&mut [[f32; LANES]], usize),
    epilogue: impl Epilogue,
) {
    let mut tile = [[simd.splat(0.0); COLS]; ROWS];
    for r in 0..ROWS {
        for c in 0..COLS {
            tile[r][c] = epilogue.init(simd, place.row + r, &out[r * out_stride + c]);
        }
    }
    a.accumulate(simd, place.row, b, place.col, place.depth, &mut tile);
    for r in 0..ROWS {
        for c in 0..COLS {
            epilogue.finish(simd, tile[r][c], &mut out[r * out_stride + c]);
        }
    }
}
