//! dfdx: shapes in the types, its own autograd and cross-entropy.

#[path = "../../protocol.rs"]
mod protocol;
#[path = "../../tokens.rs"]
mod tokens;

use std::time::Instant;

use dfdx::prelude::*;
use tokens::{Parameters, Tokens};

const VOCAB: usize = 27;
const CONTEXT: usize = 3;
const EMBED: usize = 2;
const INPUTS: usize = CONTEXT * EMBED;
const HIDDEN: usize = 100;
const BATCH: usize = 32;

fn run(data: &Tokens) -> (f64, Parameters) {
    data.expect_shape([VOCAB, CONTEXT, EMBED, HIDDEN, BATCH]);
    let cpu = Cpu::default();
    let start = &data.initial;
    let mut c: Tensor<Rank2<VOCAB, EMBED>, f32, _> = cpu.tensor(start.c.clone());
    let mut w1: Tensor<Rank2<INPUTS, HIDDEN>, f32, _> = cpu.tensor(start.w1.clone());
    let mut b1: Tensor<Rank1<HIDDEN>, f32, _> = cpu.tensor(start.b1.clone());
    let mut w2: Tensor<Rank2<HIDDEN, VOCAB>, f32, _> = cpu.tensor(start.w2.clone());
    let mut b2: Tensor<Rank1<VOCAB>, f32, _> = cpu.tensor(start.b2.clone());
    // `axpy`: p = p * 1 + d_p * -rate, in place.
    let rate = -data.learning_rate;
    let mut gradients = Gradients::leaky();

    let clock = Instant::now();
    for batch in data.batches() {
        let tokens = batch
            .iter()
            .flat_map(|&example| data.context_of(example))
            .map(|&token| token.into());
        let tokens: Tensor<Rank2<BATCH, CONTEXT>, usize, _> =
            cpu.tensor(tokens.collect::<Vec<usize>>());
        let mut one_hot = vec![0.0f32; BATCH * VOCAB];
        for (row, &example) in one_hot.chunks_exact_mut(VOCAB).zip(batch) {
            row[data.target_of(example)] = 1.0;
        }
        let one_hot: Tensor<Rank2<BATCH, VOCAB>, f32, _> = cpu.tensor(one_hot);

        let x: Tensor<Rank2<BATCH, INPUTS>, f32, _, _> =
            c.trace(gradients).gather(tokens).reshape();
        let hidden = (x.matmul(w1.clone()) + b1.clone().broadcast()).tanh();
        let logits = hidden.matmul(w2.clone()) + b2.clone().broadcast();
        gradients = cross_entropy_with_logits_loss(logits, one_hot).backward();

        c.axpy(1.0, &gradients.get(&c), rate);
        w1.axpy(1.0, &gradients.get(&w1), rate);
        b1.axpy(1.0, &gradients.get(&b1), rate);
        w2.axpy(1.0, &gradients.get(&w2), rate);
        b2.axpy(1.0, &gradients.get(&b2), rate);
        gradients = Gradients::leaky();
    }
    let seconds = clock.elapsed().as_secs_f64();

    let parameters = Parameters {
        c: c.as_vec(),
        w1: w1.as_vec(),
        b1: b1.as_vec(),
        w2: w2.as_vec(),
        b2: b2.as_vec(),
    };
    (seconds, parameters)
}

fn main() {
    protocol::serve("Rust dfdx", "dfdx 0.13.0", run);
}
