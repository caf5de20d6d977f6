//! nalgebra's SMatrix with the backward pass written by hand: sizes fixed at compile time, one column an example.

#[path = "../../math.rs"]
mod math;
#[path = "../../protocol.rs"]
mod protocol;
#[path = "../../tokens.rs"]
mod tokens;

use std::time::Instant;

use nalgebra::{SMatrix, SVector};
use tokens::{Parameters, Tokens};

const VOCAB: usize = 27;
const CONTEXT: usize = 3;
const EMBED: usize = 2;
const INPUTS: usize = CONTEXT * EMBED;
const HIDDEN: usize = 100;
const BATCH: usize = 32;

fn train(data: &Tokens) -> (f64, Parameters) {
    data.expect_shape([VOCAB, CONTEXT, EMBED, HIDDEN, BATCH]);
    let rate = data.learning_rate;
    // Row-major files read as column-major are the transposes, which is what columns of examples want.
    let start = &data.initial;
    let mut c = SMatrix::<f32, EMBED, VOCAB>::from_column_slice(&start.c);
    let mut w1 = SMatrix::<f32, HIDDEN, INPUTS>::from_column_slice(&start.w1);
    let mut b1 = SVector::<f32, HIDDEN>::from_column_slice(&start.b1);
    let mut w2 = SMatrix::<f32, VOCAB, HIDDEN>::from_column_slice(&start.w2);
    let mut b2 = SVector::<f32, VOCAB>::from_column_slice(&start.b2);

    let mut x = SMatrix::<f32, INPUTS, BATCH>::zeros();
    let mut d_x = SMatrix::<f32, INPUTS, BATCH>::zeros();
    let mut hidden = SMatrix::<f32, HIDDEN, BATCH>::zeros();
    let mut d_z = SMatrix::<f32, HIDDEN, BATCH>::zeros();
    let mut logits = SMatrix::<f32, VOCAB, BATCH>::zeros();

    let clock = Instant::now();
    for indices in data.batches() {
        for (mut column, &example) in x.column_iter_mut().zip(indices) {
            for (t, &token) in data.context_of(example).iter().enumerate() {
                column
                    .fixed_rows_mut::<EMBED>(t * EMBED)
                    .copy_from(&c.column(token.into()));
            }
        }
        hidden
            .column_iter_mut()
            .for_each(|mut column| column.copy_from(&b1));
        hidden.gemm(1.0, &w1, &x, 1.0);
        hidden
            .as_mut_slice()
            .iter_mut()
            .for_each(|z| *z = math::tanh(*z));
        logits
            .column_iter_mut()
            .for_each(|mut column| column.copy_from(&b2));
        logits.gemm(1.0, &w2, &hidden, 1.0);

        // Softmax minus one-hot, over the batch.
        for mut column in logits.column_iter_mut() {
            let top = column.max();
            column.add_scalar_mut(-top);
        }
        logits
            .as_mut_slice()
            .iter_mut()
            .for_each(|z| *z = math::exp(*z));
        for (mut column, &example) in logits.column_iter_mut().zip(indices) {
            column *= 1.0 / (column.sum() * BATCH as f32);
            column[data.target_of(example)] -= 1.0 / BATCH as f32;
        }
        let d_logits = &logits;

        d_z.gemm(1.0, &w2.transpose(), d_logits, 0.0);
        d_z.zip_apply(&hidden, |d, h| *d *= 1.0 - h * h);
        d_x.gemm(1.0, &w1.transpose(), &d_z, 0.0);

        w2.gemm(-rate, d_logits, &hidden.transpose(), 1.0);
        w1.gemm(-rate, &d_z, &x.transpose(), 1.0);
        for column in d_logits.column_iter() {
            b2.axpy(-rate, &column, 1.0);
        }
        for column in d_z.column_iter() {
            b1.axpy(-rate, &column, 1.0);
        }
        for (column, &example) in d_x.column_iter().zip(indices) {
            for (t, &token) in data.context_of(example).iter().enumerate() {
                c.column_mut(token.into())
                    .axpy(-rate, &column.fixed_rows::<EMBED>(t * EMBED), 1.0);
            }
        }
    }
    let seconds = clock.elapsed().as_secs_f64();

    let parameters = Parameters {
        c: c.as_slice().to_vec(),
        w1: w1.as_slice().to_vec(),
        b1: b1.as_slice().to_vec(),
        w2: w2.as_slice().to_vec(),
        b2: b2.as_slice().to_vec(),
    };
    (seconds, parameters)
}

fn main() {
    protocol::serve(
        "Rust nalgebra SMatrix, hand-written backward",
        "nalgebra 0.35.0",
        train,
    );
}
