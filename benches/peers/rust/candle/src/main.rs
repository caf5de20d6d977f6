//! candle with its own autograd and its own cross-entropy; the weights are updated by its SGD.

#[path = "../../protocol.rs"]
mod protocol;
#[path = "../../tokens.rs"]
mod tokens;

use std::time::Instant;

use candle_core::{Device, Result, Tensor, Var};
use candle_nn::{Optimizer, SGD, loss::cross_entropy};
use tokens::{Parameters, Tokens};

fn run(data: &Tokens) -> Result<(f64, Parameters)> {
    let cpu = Device::Cpu;
    let examples = data.targets.len();
    let as_u32 = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|&byte| u32::from(byte))
            .collect::<Vec<_>>()
    };
    let contexts = Tensor::from_vec(as_u32(&data.contexts), (examples, data.context), &cpu)?;
    let targets = Tensor::from_vec(as_u32(&data.targets), examples, &cpu)?;
    let batches = data
        .batches()
        .map(|batch| Tensor::new(batch, &cpu))
        .collect::<Result<Vec<_>>>()?;

    let start = &data.initial;
    let c = Var::from_slice(&start.c, (data.vocab, data.embed), &cpu)?;
    let w1 = Var::from_slice(&start.w1, (data.inputs(), data.hidden), &cpu)?;
    let b1 = Var::from_slice(&start.b1, data.hidden, &cpu)?;
    let w2 = Var::from_slice(&start.w2, (data.hidden, data.vocab), &cpu)?;
    let b2 = Var::from_slice(&start.b2, data.vocab, &cpu)?;
    let variables = [&c, &w1, &b1, &w2, &b2].map(Var::clone);
    let mut sgd = SGD::new(variables.to_vec(), data.learning_rate.into())?;

    let clock = Instant::now();
    for batch in &batches {
        let tokens = contexts.index_select(batch, 0)?.flatten_all()?;
        let x = c
            .index_select(&tokens, 0)?
            .reshape((data.batch, data.inputs()))?;
        let hidden = x.matmul(&w1)?.broadcast_add(&b1)?.tanh()?;
        let logits = hidden.matmul(&w2)?.broadcast_add(&b2)?;
        sgd.backward_step(&cross_entropy(&logits, &targets.index_select(batch, 0)?)?)?;
    }
    let seconds = clock.elapsed().as_secs_f64();

    let values = |variable: &Var| variable.flatten_all()?.to_vec1::<f32>();
    let parameters = Parameters {
        c: values(&c)?,
        w1: values(&w1)?,
        b1: values(&b1)?,
        w2: values(&w2)?,
        b2: values(&b2)?,
    };
    Ok((seconds, parameters))
}

fn main() {
    protocol::serve("Rust candle", "candle 0.11.1", |data: &Tokens| {
        run(data).expect("candle accepts these shapes")
    });
}
