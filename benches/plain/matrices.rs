//! nalgebra: statically sized matrices, a column for each example, the backward pass by hand.

use fused_mlp::NameModel;
use nalgebra::{SMatrix, SVector};

use super::Plain;
use crate::support::{CONTEXT, EMBED, HIDDEN, INPUTS, VOCAB};

/// The name model for batches of `BATCH`.
#[derive(Clone, Debug)]
pub(crate) struct Matrices<const BATCH: usize> {
    embedding: SMatrix<f32, EMBED, VOCAB>,
    hidden_weights: SMatrix<f32, HIDDEN, INPUTS>,
    hidden_bias: SVector<f32, HIDDEN>,
    output_weights: SMatrix<f32, VOCAB, HIDDEN>,
    output_bias: SVector<f32, VOCAB>,
}

impl<const BATCH: usize> Matrices<BATCH> {
    /// The embeddings of each example's context, one under the other.
    fn look_up(&self, contexts: &[[u8; CONTEXT]]) -> SMatrix<f32, INPUTS, BATCH> {
        let mut x = SMatrix::<f32, INPUTS, BATCH>::zeros();
        for (example, context) in contexts.iter().enumerate() {
            for (place, &token) in context.iter().enumerate() {
                x.fixed_view_mut::<EMBED, 1>(place * EMBED, example)
                    .copy_from(&self.embedding.column(token.into()));
            }
        }
        x
    }
}

impl<const BATCH: usize> Plain for Matrices<BATCH> {
    const ID: &'static str = "plain-nalgebra";
    const DESCRIPTION: &'static str =
        "Rust, nalgebra SMatrix, backward pass by hand, the standard library's tanh";

    fn new(initial: &NameModel) -> Self {
        // Row-major tensors read as column-major matrices are their transposes, which is what columns of examples want.
        let tensors = super::tensors_of(initial);
        Self {
            embedding: SMatrix::from_column_slice(&tensors[0]),
            hidden_weights: SMatrix::from_column_slice(&tensors[1]),
            hidden_bias: SVector::from_column_slice(&tensors[2]),
            output_weights: SMatrix::from_column_slice(&tensors[3]),
            output_bias: SVector::from_column_slice(&tensors[4]),
        }
    }

    fn step(&mut self, contexts: &[[u8; CONTEXT]], targets: &[u8], rate: f32) -> f32 {
        assert_eq!(contexts.len(), BATCH);
        let x = self.look_up(contexts);
        let mut hidden = self.hidden_weights * x;
        for mut column in hidden.column_iter_mut() {
            column += &self.hidden_bias;
        }
        hidden.apply(|z| *z = z.tanh());
        let mut logits = self.output_weights * hidden;
        for mut column in logits.column_iter_mut() {
            column += &self.output_bias;
        }

        let (loss, d_logits) = softmax(logits, targets);

        let mut d_z = self.output_weights.tr_mul(&d_logits);
        d_z.zip_apply(&hidden, |d, h| *d *= 1.0 - h * h);
        let d_x = self.hidden_weights.tr_mul(&d_z);

        self.output_weights
            .gemm(-rate, &d_logits, &hidden.transpose(), 1.0);
        self.output_bias.axpy(-rate, &d_logits.column_sum(), 1.0);
        self.hidden_weights.gemm(-rate, &d_z, &x.transpose(), 1.0);
        self.hidden_bias.axpy(-rate, &d_z.column_sum(), 1.0);
        for (context, d_x) in contexts.iter().zip(d_x.column_iter()) {
            for (place, &token) in context.iter().enumerate() {
                let d_embedding = d_x.fixed_rows::<EMBED>(place * EMBED);
                self.embedding
                    .column_mut(token.into())
                    .axpy(-rate, &d_embedding, 1.0);
            }
        }
        loss
    }

    fn model(&self) -> NameModel {
        let tensors = [
            self.embedding.as_slice(),
            self.hidden_weights.as_slice(),
            self.hidden_bias.as_slice(),
            self.output_weights.as_slice(),
            self.output_bias.as_slice(),
        ];
        super::model_of(tensors)
    }
}

/// Mean cross-entropy, and its gradient with respect to the logits.
fn softmax<const BATCH: usize>(
    mut logits: SMatrix<f32, VOCAB, BATCH>,
    targets: &[u8],
) -> (f32, SMatrix<f32, VOCAB, BATCH>) {
    let scale = 1.0 / BATCH as f32;
    let mut loss = 0.0;
    for (mut column, &target) in logits.column_iter_mut().zip(targets) {
        let target = usize::from(target);
        let max = column.max();
        let score = column[target] - max;
        column.apply(|z| *z = (*z - max).exp());
        let sum = column.sum();
        loss += scale * (sum.ln() - score);
        column *= scale / sum;
        column[target] -= scale;
    }
    (loss, logits)
}
