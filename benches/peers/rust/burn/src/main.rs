//! burn on its pure-Rust CPU backend "flex", with its autodiff; single tensors rather than modules, which cost more.

#[path = "../../protocol.rs"]
mod protocol;
#[path = "../../tokens.rs"]
mod tokens;

use std::time::Instant;

use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use burn_flex as _; // named in Cargo.toml only to switch on its AVX-512 products
use tokens::{Parameters, Tokens};

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .into_data()
        .try_to_vec()
        .expect("the tensors hold f32")
}

/// A new leaf of the graph: the old value minus its gradient's share.
fn updated<const D: usize>(old: Tensor<D>, gradient: Option<Tensor<D>>, rate: f32) -> Tensor<D> {
    let gradient = gradient.expect("every parameter has a gradient");
    (old.inner() - gradient * rate).autodiff().require_grad()
}

fn run(data: &Tokens) -> (f64, Parameters) {
    let plain = Device::flex();
    let device = plain.clone().autodiff();
    let matrix = |values: &[f32], rows, columns| {
        Tensor::<2>::from_data(TensorData::new(values.to_vec(), [rows, columns]), &device)
            .require_grad()
    };
    let start = &data.initial;
    let mut c = matrix(&start.c, data.vocab, data.embed);
    let mut w1 = matrix(&start.w1, data.inputs(), data.hidden);
    let mut b1 = matrix(&start.b1, 1, data.hidden);
    let mut w2 = matrix(&start.w2, data.hidden, data.vocab);
    let mut b2 = matrix(&start.b2, 1, data.vocab);
    let rate = data.learning_rate;

    let clock = Instant::now();
    for batch in data.batches() {
        let tokens: Vec<i32> = batch
            .iter()
            .flat_map(|&e| data.context_of(e))
            .map(|&token| token.into())
            .collect();
        let targets: Vec<i32> = batch.iter().map(|&e| data.target_of(e) as i32).collect();
        let tokens = Tensor::<1, Int>::from_data(
            TensorData::new(tokens, [data.batch * data.context]),
            &device,
        );
        let targets =
            Tensor::<2, Int>::from_data(TensorData::new(targets, [data.batch, 1]), &device);

        let x = c
            .clone()
            .select(0, tokens)
            .reshape([data.batch, data.inputs()]);
        let hidden = (x.matmul(w1.clone()) + b1.clone()).tanh();
        let logits = hidden.matmul(w2.clone()) + b2.clone();
        let loss = activation::log_softmax(logits, 1)
            .gather(1, targets)
            .mean()
            .neg();

        let mut gradients = loss.backward();
        let [d_c, d_w1, d_b1, d_w2, d_b2] =
            [&c, &w1, &b1, &w2, &b2].map(|p| p.grad_remove(&mut gradients));
        c = updated(c, d_c, rate);
        w1 = updated(w1, d_w1, rate);
        b1 = updated(b1, d_b1, rate);
        w2 = updated(w2, d_w2, rate);
        b2 = updated(b2, d_b2, rate);
    }
    let seconds = clock.elapsed().as_secs_f64();

    let parameters = Parameters {
        c: values(c),
        w1: values(w1),
        b1: values(b1),
        w2: values(w2),
        b2: values(b2),
    };
    (seconds, parameters)
}

fn main() {
    protocol::serve("Rust burn (flex)", "burn 0.22.1", run);
}
