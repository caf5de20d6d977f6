//! The first layer's input: laying it out feature by feature, and adding its gradient to the embedding.
//!
//! Between examples and features lie the columns, `[panel][example][feature]` with panels of 32 features: what is looked up
//! or added up there is side by side, and registers transpose it.

use super::chunk::{CHUNK, HALVES, PANEL};
use crate::network::{InputKind, Inputs, Network};
use crate::simd::{LANES, Pair, Simd};

/// Lays a chunk of inputs out as `x[feature][example]`, zero for the examples that are not there.
///
/// For tokens, x is the embeddings of the context one after another: `x[t · embed + d][b] = embedding[token(b, t)][d]`.
#[inline(always)]
pub(crate) fn gather<S: Simd>(
    simd: S,
    network: Network,
    inputs: Inputs<'_>,
    examples: usize,
    embedding: &[f32],
    columns: &mut [Pair],
    x: &mut [Pair],
) {
    for panel in columns.as_chunks_mut::<CHUNK>().0 {
        panel[examples..].fill([[0.0; LANES]; HALVES]);
    }
    let floats = columns.as_flattened_mut().as_flattened_mut();
    match (inputs, network.input) {
        (Inputs::Tokens(tokens), InputKind::Tokens { context, embed, .. }) => {
            for (b, tokens) in tokens.chunks_exact(context).enumerate() {
                for (t, &token) in tokens.iter().enumerate() {
                    let values = &embedding[usize::from(token) * embed..][..embed];
                    for (d, &value) in values.iter().enumerate() {
                        floats[column(t * embed + d, b)] = value;
                    }
                }
            }
        }
        (Inputs::Features(features), InputKind::Dense { features: width }) => {
            for (b, features) in features.chunks_exact(width).enumerate() {
                for (f, &feature) in features.iter().enumerate() {
                    floats[column(f, b)] = feature;
                }
            }
        }
        _ => unreachable!("an input type fixes its kind"),
    }
    for (x, panel) in x.chunks_mut(PANEL).zip(columns.as_chunks::<CHUNK>().0) {
        for (half, rows) in panel.as_chunks::<LANES>().0.iter().enumerate() {
            for (vector, x) in x.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                simd.transpose(rows, vector % HALVES, x, half % HALVES);
            }
        }
    }
}

/// Adds the gradient of each embedding that was looked up, in the order of examples and, within one, of positions:
/// `d_embedding[token(b, t)][d] += d_x[t · embed + d][b]`.
#[inline(always)]
pub(crate) fn scatter<S: Simd>(
    simd: S,
    network: Network,
    tokens: &[u8],
    d_x: &[Pair],
    columns: &mut [Pair],
    d_embedding: &mut [f32],
) {
    let InputKind::Tokens { context, embed, .. } = network.input else {
        return; // features have no embedding
    };
    for (d_x, panel) in d_x.chunks(PANEL).zip(columns.as_chunks_mut::<CHUNK>().0) {
        for (half, rows) in panel.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            for (vector, d_x) in d_x.as_chunks::<LANES>().0.iter().enumerate() {
                simd.transpose(d_x, half % HALVES, rows, vector % HALVES);
            }
        }
    }
    let columns = columns.as_flattened().as_flattened();
    for (b, tokens) in tokens.chunks_exact(context).enumerate() {
        for (t, &token) in tokens.iter().enumerate() {
            let sums = &mut d_embedding[usize::from(token) * embed..][..embed];
            for (d, sum) in sums.iter_mut().enumerate() {
                *sum += columns[column(t * embed + d, b)];
            }
        }
    }
}

/// Where a feature of an example stands in the columns.
#[inline(always)]
fn column(feature: usize, example: usize) -> usize {
    (feature / PANEL * CHUNK + example) * PANEL + feature % PANEL
}
