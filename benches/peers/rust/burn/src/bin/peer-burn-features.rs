//! burn as in `../main.rs`, with models of features and AdamW by hand.

#[path = "../../../features.rs"]
mod features;
#[path = "../../../protocol.rs"]
mod protocol;

use std::time::Instant;

use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use burn_flex as _; // named in Cargo.toml only to switch on its AVX-512 products
use features::{AdamW, Features, Layer};

/// Weights or a bias of one row, and its moments.
struct Parameter {
    value: Tensor<2>,
    first: Tensor<2>,
    second: Tensor<2>,
}

impl Parameter {
    fn new(values: &[f32], rows: usize, device: &Device) -> Self {
        let shape = [rows, values.len() / rows];
        let value = Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), device);
        let zeros = value.clone().inner().zeros_like();
        Self {
            value: value.require_grad(),
            first: zeros.clone(),
            second: zeros,
        }
    }

    /// A new leaf of the graph; `corrections` are one less the powers of the betas.
    fn update(self, rule: AdamW, corrections: [f64; 2], gradient: Option<Tensor<2>>) -> Self {
        let gradient = gradient.expect("every parameter has a gradient");
        let [beta1, beta2] = rule.betas;
        let square = gradient.clone() * gradient.clone();
        let first = self.first * beta1 + gradient * (1.0 - beta1);
        let second = self.second * beta2 + square * (1.0 - beta2);
        let root = second.clone().sqrt() / corrections[1].sqrt() + rule.epsilon;
        let step = first.clone() / root * (rule.learning_rate / corrections[0]);
        let decayed = self.value.inner() * (1.0 - rule.learning_rate * rule.weight_decay);
        Self {
            value: (decayed - step).autodiff().require_grad(),
            first,
            second,
        }
    }

    fn values(self) -> Vec<f32> {
        let data = self.value.into_data();
        data.try_to_vec().expect("the tensors hold f32")
    }
}

fn loss(data: &Features, outputs: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    match &*data.head {
        "regression" => (outputs - targets).square().mean(),
        "binary" => {
            let softplus = ((-outputs.clone().abs()).exp() + 1.0).log();
            (activation::relu(outputs.clone()) - targets * outputs + softplus).mean()
        }
        _ => activation::log_softmax(outputs, 1)
            .gather(1, targets.int())
            .mean()
            .neg(),
    }
}

fn run(data: &Features) -> (f64, Vec<Layer>) {
    let device = Device::flex().autodiff();
    let table = |values: &[f32], width: usize| {
        let shape = [values.len() / width, width];
        Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &device)
    };
    let features = table(&data.features, data.widths[0]);
    let targets = table(&data.targets, data.target_width());
    let mut layers: Vec<[Parameter; 2]> = data
        .initial
        .iter()
        .zip(&data.widths)
        .map(|(Layer { weights, bias }, &inputs)| {
            [
                Parameter::new(weights, inputs, &device),
                Parameter::new(bias, 1, &device),
            ]
        })
        .collect();
    let last = layers.len() - 1;

    let clock = Instant::now();
    for (step, batch) in (1..).zip(data.indices.chunks_exact(data.batch)) {
        let indices: Vec<i32> = batch.iter().map(|&example| example as i32).collect();
        let indices = TensorData::new(indices, [data.batch]);
        let indices = Tensor::<1, Int>::from_data(indices, &device);
        let mut outputs = features.clone().select(0, indices.clone());
        for (number, [weights, bias]) in layers.iter().enumerate() {
            outputs = outputs.matmul(weights.value.clone()) + bias.value.clone();
            if number < last {
                outputs = match &*data.activation {
                    "tanh" => outputs.tanh(),
                    _ => activation::relu(outputs),
                };
            }
        }
        let loss = loss(data, outputs, targets.clone().select(0, indices));

        let mut gradients = loss.backward();
        let corrections = data.adam_w.betas.map(|beta| 1.0 - beta.powi(step));
        let updated = layers.into_iter().map(|layer| {
            layer.map(|parameter| {
                let gradient = parameter.value.grad_remove(&mut gradients);
                parameter.update(data.adam_w, corrections, gradient)
            })
        });
        layers = updated.collect();
    }
    let seconds = clock.elapsed().as_secs_f64();

    let layers = layers.into_iter().map(|[weights, bias]| Layer {
        weights: weights.values(),
        bias: bias.values(),
    });
    (seconds, layers.collect())
}

fn main() {
    protocol::serve("Rust burn (flex), AdamW by hand", "burn 0.22.1", run);
}
