//! ndarray with the backward pass written by hand; its products are matrixmultiply's.

#[path = "../../math.rs"]
mod math;
#[path = "../../protocol.rs"]
mod protocol;
#[path = "../../tokens.rs"]
mod tokens;

use std::time::Instant;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Axis, Zip};
use tokens::{Parameters, Tokens};

fn matrix(rows: usize, columns: usize, values: &[f32]) -> Array2<f32> {
    Array2::from_shape_vec((rows, columns), values.to_vec()).expect("protocol.rs checked the size")
}

fn train(data: &Tokens) -> (f64, Parameters) {
    let (batch, vocab, hidden_width, embed) = (data.batch, data.vocab, data.hidden, data.embed);
    let rate = data.learning_rate;
    let start = &data.initial;
    let mut c = matrix(vocab, embed, &start.c);
    let mut w1 = matrix(data.inputs(), hidden_width, &start.w1);
    let mut w2 = matrix(hidden_width, vocab, &start.w2);
    let (mut b1, mut b2) = (
        Array1::from(start.b1.clone()),
        Array1::from(start.b2.clone()),
    );

    // Every buffer is made once: an allocation costs as much as a small product.
    let mut x = Array2::<f32>::zeros((batch, data.inputs()));
    let mut d_x = x.clone();
    let mut hidden = Array2::<f32>::zeros((batch, hidden_width));
    let mut d_z = hidden.clone();
    let mut logits = Array2::<f32>::zeros((batch, vocab));

    let clock = Instant::now();
    for indices in data.batches() {
        for (mut row, &example) in x.rows_mut().into_iter().zip(indices) {
            let row = row.as_slice_mut().expect("rows are contiguous");
            for (slot, &token) in row.chunks_exact_mut(embed).zip(data.context_of(example)) {
                slot.copy_from_slice(
                    &c.as_slice().expect("contiguous")[token as usize * embed..][..embed],
                );
            }
        }
        hidden.assign(&b1);
        general_mat_mul(1.0, &x, &w1, 1.0, &mut hidden);
        hidden.mapv_inplace(math::tanh);
        logits.assign(&b2);
        general_mat_mul(1.0, &hidden, &w2, 1.0, &mut logits);

        // Softmax minus one-hot, over the batch..
        for mut row in logits.rows_mut() {
            let top = row.iter().copied().fold(f32::MIN, f32::max);
            row -= top;
        }
        logits.mapv_inplace(math::exp);
        for (mut row, &example) in logits.rows_mut().into_iter().zip(indices) {
            row *= 1.0 / (row.sum() * batch as f32);
            row[data.target_of(example)] -= 1.0 / batch as f32;
        }
        let d_logits = &logits;

        general_mat_mul(1.0, d_logits, &w2.t(), 0.0, &mut d_z);
        Zip::from(&mut d_z)
            .and(&hidden)
            .for_each(|d, h| *d *= 1.0 - h * h);
        general_mat_mul(1.0, &d_z, &w1.t(), 0.0, &mut d_x);

        general_mat_mul(-rate, &hidden.t(), d_logits, 1.0, &mut w2);
        general_mat_mul(-rate, &x.t(), &d_z, 1.0, &mut w1);
        b2.scaled_add(-rate, &d_logits.sum_axis(Axis(0)));
        b1.scaled_add(-rate, &d_z.sum_axis(Axis(0)));
        let table = c.as_slice_mut().expect("contiguous");
        for (row, &example) in d_x.rows().into_iter().zip(indices) {
            let row = row.to_slice().expect("rows are contiguous");
            for (d, &token) in row.chunks_exact(embed).zip(data.context_of(example)) {
                for (weight, d) in table[token as usize * embed..].iter_mut().zip(d) {
                    *weight -= rate * d;
                }
            }
        }
    }
    let seconds = clock.elapsed().as_secs_f64();

    let [c, w1, w2] = [c, w1, w2].map(|m| m.into_raw_vec_and_offset().0);
    let [b1, b2] = [b1, b2].map(|v| v.to_vec());
    (seconds, Parameters { c, w1, b1, w2, b2 })
}

fn main() {
    protocol::serve(
        "Rust ndarray, hand-written backward",
        "ndarray 0.17.2",
        train,
    );
}
