//! The first layer's input: gathering it feature by feature, and scattering its gradient into the embedding.

use super::batch_step::CHUNK;
use crate::network::Inputs;

/// Lays a chunk of inputs out as `x[input][example]`.
///
/// For tokens, x is the embeddings of the context one after another: `x[t · embed + d][b] = embedding[token(b, t)][d]`.
#[inline(always)]
pub(crate) fn gather(
    inputs: Inputs<'_>,
    width: usize,
    embedding: &[f32],
    embed: usize,
    x: &mut [f32],
) {
    match inputs {
        Inputs::Tokens(tokens) => {
            for (b, context) in tokens.chunks_exact(width).enumerate() {
                for (&token, x) in context.iter().zip(x.chunks_exact_mut(embed * CHUNK)) {
                    let vector = &embedding[usize::from(token) * embed..][..embed];
                    for (d, &value) in vector.iter().enumerate() {
                        x[d * CHUNK + b] = value;
                    }
                }
            }
        }
        Inputs::Features(features) => {
            for (b, features) in features.chunks_exact(width).enumerate() {
                for (i, &value) in features.iter().enumerate() {
                    x[i * CHUNK + b] = value;
                }
            }
        }
    }
}

/// Adds the gradient of each embedding that was looked up, in the order of examples and, within one, of positions:
/// `d_embedding[token(b, t)][d] += d_x[t · embed + d][b]`.
#[inline(always)]
pub(crate) fn scatter(
    tokens: &[u8],
    context: usize,
    embed: usize,
    d_x: &[f32],
    d_embedding: &mut [f32],
) {
    for (b, tokens) in tokens.chunks_exact(context).enumerate() {
        for (&token, d_x) in tokens.iter().zip(d_x.chunks_exact(embed * CHUNK)) {
            let vector = &mut d_embedding[usize::from(token) * embed..][..embed];
            for (d, sum) in vector.iter_mut().enumerate() {
                *sum += d_x[d * CHUNK + b];
            }
        }
    }
}
