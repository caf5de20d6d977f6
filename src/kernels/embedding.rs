//! The first layer's input: gathering it feature by feature, and scattering its gradient into the embedding.

use super::batch_step::CHUNK;
use crate::network::{InputKind, Inputs, Network};

/// Lays a chunk of inputs out as `x[input][example]`.
///
/// For tokens, x is the embeddings of the context one after another: `x[t · embed + d][b] = embedding[token(b, t)][d]`.
#[inline(always)]
pub(crate) fn gather(
    network: Network,
    inputs: Inputs<'_>,
    embedding: &[f32],
    x: &mut [[f32; CHUNK]],
) {
    match (inputs, network.input) {
        (Inputs::Tokens(tokens), InputKind::Tokens { context, embed, .. }) => {
            for (t, x) in x.chunks_exact_mut(embed).enumerate() {
                // Where the embedding of each example's token starts; row after row of x is then read from there.
                let mut starts = [0; CHUNK];
                for (start, tokens) in starts.iter_mut().zip(tokens.chunks_exact(context)) {
                    *start = usize::from(tokens[t]) * embed;
                }
                for (d, x) in x.iter_mut().enumerate() {
                    for b in 0..CHUNK {
                        x[b] = embedding[starts[b] + d];
                    }
                }
            }
        }
        (Inputs::Features(features), InputKind::Dense { features: width }) => {
            for (b, features) in features.chunks_exact(width).enumerate() {
                for (x, &feature) in x.iter_mut().zip(features) {
                    x[b] = feature;
                }
            }
        }
        _ => unreachable!("an input type fixes its kind"),
    }
}

/// Adds the gradient of each embedding that was looked up, in the order of examples and, within one, of positions:
/// `d_embedding[token(b, t)][d] += d_x[t · embed + d][b]`.
#[inline(always)]
pub(crate) fn scatter(
    tokens: &[u8],
    context: usize,
    embed: usize,
    d_x: &[[f32; CHUNK]],
    d_embedding: &mut [f32],
) {
    for (b, tokens) in tokens.chunks_exact(context).enumerate() {
        for (&token, d_x) in tokens.iter().zip(d_x.chunks_exact(embed)) {
            let start = usize::from(token) * embed;
            for (sum, d_x) in d_embedding[start..start + embed].iter_mut().zip(d_x) {
                *sum += d_x[b];
            }
        }
    }
}
