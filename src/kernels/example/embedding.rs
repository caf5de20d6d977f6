//! The first layer's input of one example, and its gradient's way back to the embedding.

use crate::kernels::gradient_use::GradientUse;
use crate::model::{InputSpec, Inputs, Symbols};
use crate::simd::{LANES, Simd};

/// The first layer's input: a row of numbers, or of embeddings that lie apart.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    Row(&'a [f32]),
    Embeddings {
        table: &'a [f32],
        width: usize,
        tokens: Symbols<'a>,
    },
}

impl<'a> Input<'a> {
    #[inline(always)]
    pub(super) fn of(input: InputSpec, inputs: Inputs<'a>, embedding: &'a [[f32; LANES]]) -> Self {
        match (input, inputs) {
            (
                InputSpec::Tokens {
                    context,
                    embed,
                    symbols,
                    ..
                },
                Inputs::Tokens(tokens),
            ) => Self::Embeddings {
                table: embedding.as_flattened(),
                width: embed,
                tokens: tokens.of_width(symbols).slice(0, context),
            },
            (InputSpec::Dense { features }, Inputs::Features(values)) => {
                Self::Row(&values[..features])
            }
            _ => unreachable!("an input type fixes its kind"),
        }
    }

    /// Number of pieces.
    #[inline(always)]
    pub(super) fn pieces(self) -> usize {
        match self {
            Self::Row(_) => 1,
            Self::Embeddings { tokens, .. } => tokens.len(),
        }
    }

    #[inline(always)]
    pub(super) fn piece(self, index: usize) -> &'a [f32] {
        match self {
            Self::Row(x) => x,
            Self::Embeddings {
                table,
                width,
                tokens,
            } => &table[tokens.at(index) * width..][..width],
        }
    }

    /// The whole input side by side, in `scratch` if it does not lie so.
    #[inline(always)]
    pub(super) fn in_a_row(self, input: InputSpec, scratch: &'a mut [f32]) -> &'a [f32] {
        match self {
            Self::Row(x) => x,
            Self::Embeddings { width, .. } => {
                let x = &mut scratch[..input.width()];
                for index in 0..self.pieces() {
                    x[index * width..][..width].copy_from_slice(self.piece(index));
                }
                x
            }
        }
    }
}

/// `out[token] = used(Σ d_x)`, the sum over the positions of the context that the token stands at, which is zero for most;
/// and the sum of all that was stored. `sums` is scratch for the gradient.
#[inline(always)]
pub(super) fn scatter<S: Simd>(
    simd: S,
    gradient_use: GradientUse,
    tokens: Symbols<'_>,
    d_x: &[f32],
    sums: &mut [f32],
    embedding: &[[f32; LANES]],
    out: &mut [[f32; LANES]],
) -> S::Vector {
    let width = d_x.len() / tokens.len();
    sums.fill(0.0);
    for (t, d_x) in d_x.chunks_exact(width).enumerate() {
        let sums = &mut sums[tokens.at(t) * width..][..width];
        for (sum, d_x) in sums.iter_mut().zip(d_x) {
            *sum += d_x;
        }
    }
    let zero = simd.splat(0.0);
    let mut total = zero;
    for (embedding, out) in embedding.iter().zip(&mut *out) {
        let result = gradient_use.select(simd, embedding, zero);
        total = simd.add(total, result);
        simd.store(result, out);
    }
    for t in 0..tokens.len() {
        for d in 0..width {
            let index = tokens.at(t) * width + d;
            let parameter = [embedding.as_flattened()[index]; LANES];
            let result = gradient_use.select(simd, &parameter, simd.splat(sums[index]));
            total = simd.add(total, result);
            out.as_flattened_mut()[index] = simd.first_lane(result);
        }
    }
    total
}
