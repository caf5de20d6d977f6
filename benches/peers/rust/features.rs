//! The data of models of features.

use std::path::Path;

use super::protocol::{Data, fail, floats, indices, number, parsed, read, value};

#[derive(Clone)]
pub struct Features {
    pub widths: Vec<usize>,
    pub activation: String,
    pub head: String,
    pub batch: usize,
    pub adam_w: AdamW,
    /// Examples × features.
    pub features: Vec<f32>,
    /// Examples × outputs of a regression, or a class for each example.
    pub targets: Vec<f32>,
    pub indices: Vec<u32>,
    pub initial: Vec<Layer>,
}

#[derive(Clone, Copy)]
pub struct AdamW {
    pub learning_rate: f64,
    pub betas: [f64; 2],
    pub epsilon: f64,
    pub weight_decay: f64,
}

/// Weights [inputs, outputs], row-major, and a bias.
#[derive(Clone)]
pub struct Layer {
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Features {
    /// How many numbers a target is.
    pub fn target_width(&self) -> usize {
        match &*self.head {
            "regression" => self.widths[self.widths.len() - 1],
            _ => 1,
        }
    }
}

fn numbers(json: &str, key: &str) -> Vec<f64> {
    let list = value(json, key).split(['[', ']']).nth(1);
    let list = list.unwrap_or_default().split(',');
    list.map(|text| parsed(text, key)).collect()
}

fn text(json: &str, key: &str) -> String {
    let text = value(json, key).split('"').nth(1);
    text.unwrap_or_default().into()
}

impl Data for Features {
    type Parameters = Vec<Layer>;

    fn load(folder: &Path, steps: usize) -> Self {
        let json = String::from_utf8_lossy(&read(folder, "shape.json", 2)).into_owned();
        let numbers_of = |key| numbers(&json, key);
        let widths: Vec<usize> = numbers_of("widths")
            .iter()
            .map(|&width| width as usize)
            .collect();
        let betas = numbers_of("betas").try_into();
        let examples = number(&json, "examples") as usize;
        let batch = number(&json, "batch") as usize;
        let layers = widths.windows(2);
        let count = layers.clone().map(|pair| (pair[0] + 1) * pair[1]).sum();
        let mut values = floats(folder, "initial.f32", count).into_iter();
        let mut take = |count| values.by_ref().take(count).collect();
        let initial = layers.map(|pair| Layer {
            weights: take(pair[0] * pair[1]),
            bias: take(pair[1]),
        });
        let data = Self {
            activation: text(&json, "activation"),
            head: text(&json, "head"),
            batch,
            adam_w: AdamW {
                learning_rate: number(&json, "learning_rate"),
                betas: betas.unwrap_or_else(|_| fail("shape.json: betas are two".into())),
                epsilon: number(&json, "epsilon"),
                weight_decay: number(&json, "weight_decay"),
            },
            features: floats(folder, "features.f32", examples * widths[0]),
            targets: floats(folder, "targets.f32", examples),
            indices: indices(folder, steps * batch),
            initial: initial.collect(),
            widths,
        };
        let target_count = examples * data.target_width();
        match data.targets.len() == target_count {
            true => data,
            false => fail(format!("targets.f32 does not hold {target_count} numbers")),
        }
    }

    fn truncate(&mut self, steps: usize) {
        self.indices.truncate(steps * self.batch);
    }

    fn loss(&self, layers: &Vec<Layer>) -> f64 {
        let examples = self.features.chunks_exact(self.widths[0]);
        let targets = self.targets.chunks_exact(self.target_width());
        let count = targets.len();
        let total: f64 = examples
            .zip(targets)
            .map(|(features, target)| self.loss_of(self.outputs(layers, features), target))
            .sum();
        total / count as f64
    }
}

impl Features {
    fn outputs(&self, layers: &[Layer], features: &[f32]) -> Vec<f64> {
        let mut values: Vec<f64> = features.iter().copied().map(f64::from).collect();
        for (number, Layer { weights, bias }) in layers.iter().enumerate() {
            if number > 0 {
                for value in &mut values {
                    *value = match &*self.activation {
                        "tanh" => value.tanh(),
                        _ => value.max(0.0),
                    };
                }
            }
            let mut sums: Vec<f64> = bias.iter().copied().map(f64::from).collect();
            for (value, row) in values.iter().zip(weights.chunks_exact(bias.len())) {
                let terms = row.iter().map(|&weight| value * f64::from(weight));
                sums.iter_mut()
                    .zip(terms)
                    .for_each(|(sum, term)| *sum += term);
            }
            values = sums;
        }
        values
    }

    fn loss_of(&self, outputs: Vec<f64>, target: &[f32]) -> f64 {
        match &*self.head {
            "regression" => {
                let squares = outputs
                    .iter()
                    .zip(target)
                    .map(|(z, &y)| (z - f64::from(y)).powi(2));
                squares.sum::<f64>() / outputs.len() as f64
            }
            "binary" => {
                let z = outputs[0];
                z.max(0.0) - f64::from(target[0]) * z + (-z.abs()).exp().ln_1p()
            }
            _ => {
                let sum: f64 = outputs.iter().map(|z| z.exp()).sum();
                sum.ln() - outputs[target[0] as usize]
            }
        }
    }
}
