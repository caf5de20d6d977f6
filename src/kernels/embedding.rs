//! The first layer's input: laying it out feature by feature, and adding its gradient to the embedding.
//!
//! Between examples and features lie the columns, `[panel][example][feature]` with panels of 32 features: what is looked up
//! or added up there is side by side, and registers transpose it.

use core::ops::Range;

use super::chunk::{CHUNK, PANEL, VECTORS};
use super::transpose::transpose;
use crate::model::{InputSpec, Inputs, Symbols};
use crate::simd::{LANES, Pair, Simd};

/// Lays a chunk of inputs out as `x[feature][example]`, zero for the examples that are not there.
///
/// For tokens, x is the embeddings of the context one after another: `x[t · embed + d][b] = embedding[token(b, t)][d]`.
#[inline(always)]
pub(crate) fn gather<S: Simd>(
    simd: S,
    input: InputSpec,
    inputs: Inputs<'_>,
    examples: usize,
    embedding: &[[f32; LANES]],
    columns: &mut [Pair],
    x: &mut [Pair],
) {
    for panel in 0..input.width().div_ceil(PANEL) {
        let rows = &mut columns[panel * CHUNK..][..CHUNK];
        rows[examples..].fill([[0.0; LANES]; VECTORS]);
        for b in 0..examples {
            let row = rows[b].as_flattened_mut();
            match (inputs, input) {
                (
                    Inputs::Tokens(tokens),
                    InputSpec::Tokens {
                        context,
                        embed,
                        symbols,
                        ..
                    },
                ) => {
                    let tokens = tokens.of_width(symbols).slice(b * context, context);
                    for t in 0..context {
                        if let Some((in_row, in_embedding)) = piece(position(t, embed), panel) {
                            let token = tokens.at(t);
                            let values = &embedding.as_flattened()[position(token, embed)];
                            row[in_row].copy_from_slice(&values[in_embedding]);
                        }
                    }
                }
                (Inputs::Features(features), InputSpec::Dense { features: width }) => {
                    if let Some((in_row, in_features)) = piece(0..width, panel) {
                        let values = &features[position(b, width)][in_features];
                        row[in_row].copy_from_slice(values);
                    }
                }
                _ => unreachable!("an input type fixes its kind"),
            }
        }
        transpose(simd, rows, VECTORS, &mut x[panel * PANEL..]);
    }
}

/// Adds the gradient of each embedding that was looked up: `d_embedding[token(b, t)][d] += d_x[t · embed + d][b]`.
///
/// In the order of examples and, within one, of positions; those of the second half of a chunk in `second`, which is added at
/// the end. A token that many contexts have, as names begin with three times the same, is a chain of additions, each of
/// which waits for the one before, and two chains take half the time.
#[inline(always)]
pub(crate) fn scatter<S: Simd>(
    simd: S,
    input: InputSpec,
    tokens: Symbols<'_>,
    d_x: &[Pair],
    columns: &mut [Pair],
    d_embedding: &mut [[f32; LANES]],
    second: &mut [[f32; LANES]],
) {
    let InputSpec::Tokens {
        context,
        embed,
        symbols,
        ..
    } = input
    else {
        return; // features have no embedding
    };
    let tokens = tokens.of_width(symbols);
    second.as_flattened_mut().fill(0.0);
    let examples = tokens.len() / context;
    for panel in 0..input.width().div_ceil(PANEL) {
        let rows = &mut columns[panel * CHUNK..][..CHUNK];
        transpose(simd, &d_x[panel * PANEL..], VECTORS, rows);
        for b in 0..examples.min(LANES) {
            let tokens_of = tokens.slice(b * context, context);
            add(
                d_embedding.as_flattened_mut(),
                embed,
                tokens_of,
                &rows[b],
                panel,
            );
            let b = b + LANES;
            if b < examples {
                let tokens_of = tokens.slice(b * context, context);
                add(second.as_flattened_mut(), embed, tokens_of, &rows[b], panel);
            }
        }
    }
    for (sums, second) in d_embedding.iter_mut().zip(second) {
        simd.store(simd.add(simd.load(sums), simd.load(second)), sums);
    }
}

/// Adds what lies in this panel of an example's d_x to the sums of the example's tokens.
#[inline(always)]
fn add(sums: &mut [f32], embed: usize, tokens: Symbols<'_>, row: &Pair, panel: usize) {
    for t in 0..tokens.len() {
        if let Some((in_row, in_embedding)) = piece(position(t, embed), panel) {
            let sums = &mut sums[position(tokens.at(t), embed)][in_embedding];
            for (sum, term) in sums.iter_mut().zip(&row.as_flattened()[in_row]) {
                *sum += term;
            }
        }
    }
}

/// Where the i-th of things of this width lies.
#[inline(always)]
fn position(i: usize, width: usize) -> Range<usize> {
    i * width..(i + 1) * width
}

/// The part of these features that lies in a panel, if there is one: where in a row of the panel, and where among the features.
#[inline(always)]
fn piece(features: Range<usize>, panel: usize) -> Option<(Range<usize>, Range<usize>)> {
    let start = features.start.max(panel * PANEL);
    let end = features.end.min((panel + 1) * PANEL);
    if start >= end {
        return None;
    }
    let in_row = start - panel * PANEL..end - panel * PANEL;
    Some((in_row, start - features.start..end - features.start))
}
