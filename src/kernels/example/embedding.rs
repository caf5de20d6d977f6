//! The first layer's input of one example, and its gradient's way back to the embedding.

use crate::kernels::finish::Finish;
use crate::network::{InputKind, Inputs, Network};
use crate::simd::{LANES, Simd};

/// The first layer's input: a row of numbers, or of embeddings that lie apart.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    Row(&'a [f32]),
    Embeddings {
        table: &'a [f32],
        width: usize,
        tokens: &'a [u8],
    },
}

impl<'a> Input<'a> {
    #[inline(always)]
    pub(super) fn of(network: Network, inputs: Inputs<'a>, embedding: &'a [[f32; LANES]]) -> Self {
        match (network.input, inputs) {
            (InputKind::Tokens { context, embed, .. }, Inputs::Tokens(tokens)) => {
                Self::Embeddings {
                    table: embedding.as_flattened(),
                    width: embed,
                    tokens: &tokens[..context],
                }
            }
            (InputKind::Dense { features }, Inputs::Features(values)) => {
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
    pub(super) fn piece(self, place: usize) -> &'a [f32] {
        match self {
            Self::Row(x) => x,
            Self::Embeddings {
                table,
                width,
                tokens,
            } => &table[usize::from(tokens[place]) * width..][..width],
        }
    }

    /// The whole input side by side, in `room` if it does not lie so.
    #[inline(always)]
    pub(super) fn in_a_row(self, network: Network, room: &'a mut [f32]) -> &'a [f32] {
        match self {
            Self::Row(x) => x,
            Self::Embeddings { width, .. } => {
                let x = &mut room[..network.inputs()];
                for place in 0..self.pieces() {
                    x[place * width..][..width].copy_from_slice(self.piece(place));
                }
                x
            }
        }
    }
}

/// `out[token] = finish(Σ d_x)`, the sum over the places of the context that the token stands at, which is zero for most; and
/// the sum of all that was stored. `sums` is room for the gradient.
#[inline(always)]
pub(super) fn scatter<S: Simd>(
    simd: S,
    finish: Finish,
    tokens: &[u8],
    d_x: &[f32],
    sums: &mut [f32],
    embedding: &[[f32; LANES]],
    out: &mut [[f32; LANES]],
) -> S::Vector {
    let width = d_x.len() / tokens.len();
    sums.fill(0.0);
    for (&token, d_x) in tokens.iter().zip(d_x.chunks_exact(width)) {
        let sums = &mut sums[usize::from(token) * width..][..width];
        for (sum, d_x) in sums.iter_mut().zip(d_x) {
            *sum += d_x;
        }
    }
    let zero = simd.splat(0.0);
    let mut total = zero;
    for (embedding, out) in embedding.iter().zip(&mut *out) {
        let result = finish.select(simd, embedding, zero);
        total = simd.add(total, result);
        simd.store(result, out);
    }
    for &token in tokens {
        for d in 0..width {
            let place = usize::from(token) * width + d;
            let parameter = [embedding.as_flattened()[place]; LANES];
            let result = finish.select(simd, &parameter, simd.splat(sums[place]));
            total = simd.add(total, result);
            out.as_flattened_mut()[place] = simd.first_lane(result);
        }
    }
    total
}
