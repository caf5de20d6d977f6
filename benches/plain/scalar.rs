//! Loops over arrays of fixed size, and the standard library's tanh and exp.

use core::iter::zip;

use fused_mlp::NameModel;

use super::Plain;
use crate::support::{CONTEXT, EMBED, HIDDEN, INPUTS, VOCAB};

/// Two dense layers with tanh between them, or their gradient.
#[derive(Clone, Debug)]
pub(crate) struct Layers<const INPUTS: usize, const HIDDEN: usize, const OUTPUTS: usize> {
    pub(crate) hidden_weights: Box<[[f32; HIDDEN]; INPUTS]>,
    pub(crate) hidden_bias: [f32; HIDDEN],
    pub(crate) output_weights: Box<[[f32; OUTPUTS]; HIDDEN]>,
    pub(crate) output_bias: [f32; OUTPUTS],
}

impl<const INPUTS: usize, const HIDDEN: usize, const OUTPUTS: usize>
    Layers<INPUTS, HIDDEN, OUTPUTS>
{
    /// All zero.
    pub(crate) fn zeroed() -> Self {
        Self {
            hidden_weights: Box::new([[0.0; HIDDEN]; INPUTS]),
            hidden_bias: [0.0; HIDDEN],
            output_weights: Box::new([[0.0; OUTPUTS]; HIDDEN]),
            output_bias: [0.0; OUTPUTS],
        }
    }

    /// From tensors in storage order: hidden weights and bias, output weights and bias, each row-major.
    pub(crate) fn from_tensors(tensors: &[Vec<f32>]) -> Self {
        let mut layers = Self::zeroed();
        for (values, tensor) in zip(layers.tensors_mut(), tensors) {
            values.copy_from_slice(tensor);
        }
        layers
    }

    /// In storage order.
    pub(crate) fn tensors_mut(&mut self) -> [&mut [f32]; 4] {
        [
            self.hidden_weights.as_flattened_mut(),
            &mut self.hidden_bias,
            self.output_weights.as_flattened_mut(),
            &mut self.output_bias,
        ]
    }

    /// In storage order.
    pub(crate) fn tensors(&self) -> [&[f32]; 4] {
        [
            self.hidden_weights.as_flattened(),
            &self.hidden_bias,
            self.output_weights.as_flattened(),
            &self.output_bias,
        ]
    }

    /// The hidden neurons and the outputs.
    pub(crate) fn forward(&self, x: &[f32; INPUTS]) -> ([f32; HIDDEN], [f32; OUTPUTS]) {
        let mut hidden = self.hidden_bias;
        for (x, weights) in zip(x, &*self.hidden_weights) {
            add_scaled(&mut hidden, *x, weights);
        }
        let hidden = hidden.map(f32::tanh);
        let mut outputs = self.output_bias;
        for (h, weights) in zip(&hidden, &*self.output_weights) {
            add_scaled(&mut outputs, *h, weights);
        }
        (hidden, outputs)
    }

    /// The gradients before tanh and of the input, from that of the outputs.
    pub(crate) fn backward(
        &self,
        hidden: &[f32; HIDDEN],
        d_outputs: &[f32; OUTPUTS],
    ) -> ([f32; HIDDEN], [f32; INPUTS]) {
        let mut d_z = [0.0; HIDDEN];
        for ((d, weights), h) in zip(&mut d_z, &*self.output_weights).zip(hidden) {
            *d = dot(weights, d_outputs) * (1.0 - h * h);
        }
        let mut d_x = [0.0; INPUTS];
        for (d, weights) in zip(&mut d_x, &*self.hidden_weights) {
            *d = dot(weights, &d_z);
        }
        (d_z, d_x)
    }

    /// Adds `scale` times the gradient of one example.
    pub(crate) fn add(
        &mut self,
        scale: f32,
        x: &[f32; INPUTS],
        hidden: &[f32; HIDDEN],
        d_z: &[f32; HIDDEN],
        d_outputs: &[f32; OUTPUTS],
    ) {
        for (weights, x) in zip(&mut *self.hidden_weights, x) {
            add_scaled(weights, scale * x, d_z);
        }
        add_scaled(&mut self.hidden_bias, scale, d_z);
        for (weights, h) in zip(&mut *self.output_weights, hidden) {
            add_scaled(weights, scale * h, d_outputs);
        }
        add_scaled(&mut self.output_bias, scale, d_outputs);
    }

    /// One step on one example, whose loss and gradient of the outputs `head` computes from them; returns the loss and the
    /// gradient of the input.
    pub(crate) fn step_one(
        &mut self,
        x: &[f32; INPUTS],
        rate: f32,
        head: impl Fn([f32; OUTPUTS]) -> (f32, [f32; OUTPUTS]),
    ) -> (f32, [f32; INPUTS]) {
        let (hidden, outputs) = self.forward(x);
        let (loss, d_outputs) = head(outputs);
        let (d_z, d_x) = self.backward(&hidden, &d_outputs);
        self.add(-rate, x, &hidden, &d_z, &d_outputs);
        (loss, d_x)
    }
}

/// The name model.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    embedding: [[f32; EMBED]; VOCAB],
    layers: Layers<INPUTS, HIDDEN, VOCAB>,
}

impl Scalar {
    fn look_up(&self, context: &[u8; CONTEXT]) -> [f32; INPUTS] {
        let mut x = [0.0; INPUTS];
        for (x, &token) in zip(x.as_chunks_mut::<EMBED>().0, context) {
            *x = self.embedding[usize::from(token)];
        }
        x
    }

    /// One example, without a detour over a buffer of gradients.
    fn step_one(&mut self, context: &[u8; CONTEXT], target: u8, rate: f32) -> f32 {
        let x = self.look_up(context);
        let (loss, d_x) = self
            .layers
            .step_one(&x, rate, |logits| softmax(logits, target));
        scatter(&mut self.embedding, context, -rate, &d_x);
        loss
    }

    /// Class probabilities.
    pub(crate) fn predict(&self, context: &[u8; CONTEXT]) -> [f32; VOCAB] {
        let (_, logits) = self.layers.forward(&self.look_up(context));
        probabilities(logits).1
    }
}

impl Plain for Scalar {
    const ID: &'static str = "plain-scalar";
    const DESCRIPTION: &'static str =
        "Rust, loops over arrays, the standard library's tanh and exp";

    fn new(initial: &NameModel) -> Self {
        let [embedding, layers @ ..] = &super::tensors_of(initial)[..] else {
            unreachable!("the name model has an embedding");
        };
        let mut scalar = Self {
            embedding: [[0.0; EMBED]; VOCAB],
            layers: Layers::from_tensors(layers),
        };
        scalar
            .embedding
            .as_flattened_mut()
            .copy_from_slice(embedding);
        scalar
    }

    fn step(&mut self, contexts: &[[u8; CONTEXT]], targets: &[u8], rate: f32) -> f32 {
        if let ([context], [target]) = (contexts, targets) {
            return self.step_one(context, *target, rate);
        }
        let mut d_embedding = [[0.0; EMBED]; VOCAB];
        let mut gradients = Layers::zeroed();
        let mut loss = 0.0;
        for (context, &target) in zip(contexts, targets) {
            let x = self.look_up(context);
            let (hidden, logits) = self.layers.forward(&x);
            let (example_loss, d_logits) = softmax(logits, target);
            let (d_z, d_x) = self.layers.backward(&hidden, &d_logits);
            gradients.add(1.0, &x, &hidden, &d_z, &d_logits);
            scatter(&mut d_embedding, context, 1.0, &d_x);
            loss += example_loss;
        }
        let scale = 1.0 / contexts.len() as f32;
        for (values, gradients) in zip(self.layers.tensors_mut(), gradients.tensors()) {
            add_scaled(values, -rate * scale, gradients);
        }
        let embedding = self.embedding.as_flattened_mut();
        add_scaled(embedding, -rate * scale, d_embedding.as_flattened());
        loss * scale
    }

    fn model(&self) -> NameModel {
        let [w1, b1, w2, b2] = self.layers.tensors();
        super::model_of([self.embedding.as_flattened(), w1, b1, w2, b2])
    }
}

/// `sum += scale · values`
fn add_scaled(sum: &mut [f32], scale: f32, values: &[f32]) {
    for (sum, value) in zip(sum, values) {
        *sum += scale * value;
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    zip(a, b).map(|(a, b)| a * b).sum()
}

/// Adds `scale · d_x` to the rows of an embedding that a context looked up.
fn scatter(
    embedding: &mut [[f32; EMBED]; VOCAB],
    context: &[u8; CONTEXT],
    scale: f32,
    d_x: &[f32; INPUTS],
) {
    for (&token, d_x) in zip(context, d_x.as_chunks::<EMBED>().0) {
        add_scaled(&mut embedding[usize::from(token)], scale, d_x);
    }
}

/// The logarithm of the sum of e to the logits, and the softmax.
fn probabilities<const N: usize>(logits: [f32; N]) -> (f32, [f32; N]) {
    let max = logits.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let exponentials = logits.map(|logit| (logit - max).exp());
    let sum: f32 = exponentials.iter().sum();
    (max + sum.ln(), exponentials.map(|e| e / sum))
}

/// Cross-entropy, and its gradient with respect to the logits.
fn softmax<const N: usize>(logits: [f32; N], target: u8) -> (f32, [f32; N]) {
    let target = usize::from(target);
    let (log_sum, mut d_logits) = probabilities(logits);
    d_logits[target] -= 1.0;
    (log_sum - logits[target], d_logits)
}

/// Mean squared error, and its gradient.
pub(crate) fn squared_error<const N: usize>(
    outputs: [f32; N],
    target: &[f32; N],
) -> (f32, [f32; N]) {
    let mut d_outputs = outputs;
    add_scaled(&mut d_outputs, -1.0, target);
    let loss = dot(&d_outputs, &d_outputs) / N as f32;
    (loss, d_outputs.map(|d| 2.0 * d / N as f32))
}
