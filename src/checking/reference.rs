//! The oracle: loss and gradients in `f64`, loop by loop as in the formulas of [`Mlp`](crate::Mlp) and the heads of
//! [`model`](crate::model).
//!
//! It shares no code with the kernels: other shapes (nalgebra's dynamic matrices), other order of sums, another
//! precision, and the `libm` crate's functions. It is there to be right, and is itself held to central finite
//! differences. Nothing falls back to it.

use alloc::vec::Vec;

use nalgebra::{DMatrix, DVector};

use super::activations::activate;
use super::bounded::Bounded;
use crate::error::Error;
use crate::model::{
    Batch, ExampleOf, HeadKind, InputSpec, Inputs, LayerInput, Model, ModelSpec, Role, TargetOf,
    Targets, Tensor, checked_batch,
};

/// A model in `f64`.
///
/// ```
/// use fused_mlp::{NameModel, SeedableRng, Xoshiro256PlusPlus, reference::Reference};
///
/// let model = NameModel::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(1));
/// let (loss, gradients) = Reference::of(&model).gradients(&[[0, 5, 13]], &[13])?;
/// assert!((loss - f64::from(model.loss(&[[0, 5, 13]], &[13])?)).abs() < 1e-5); // nats
/// assert_eq!((gradients[0].tensor.name, gradients[0].values.shape()), ("embedding", (27, 2)));
/// # Ok::<(), fused_mlp::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Reference<M: Model> {
    /// The tensors, `[rows, columns]`, in storage order.
    tensors: Vec<(Tensor, DMatrix<f64>)>,
    model: core::marker::PhantomData<fn() -> M>,
}

/// The derivative of the loss with respect to one tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorGradient {
    /// The tensor.
    pub tensor: Tensor,
    /// The derivatives.
    pub values: DMatrix<f64>,
    /// The same sums taken over the absolute values of their terms: the scale of the rounding error that a sum in lower
    /// precision may have. With p − y counted as p + y, 1 − h² as 1 + h², and h and the error of a number with the terms of
    /// their own sums, it covers the cancellation in those too.
    pub magnitudes: DMatrix<f64>,
}

impl<M: Model> Reference<M> {
    /// The model's parameters, widened.
    #[must_use]
    pub fn of(model: &M) -> Self {
        let widened = |(tensor, values): (Tensor, &[f32])| {
            let values = values.iter().map(|&value| f64::from(value));
            let matrix = DMatrix::from_row_iterator(tensor.rows, tensor.columns, values);
            (tensor, matrix)
        };
        Self {
            tensors: model.tensors().map(widened).collect(),
            model: core::marker::PhantomData,
        }
    }

    /// The tensors in storage order.
    pub fn tensors(&self) -> impl Iterator<Item = (Tensor, &DMatrix<f64>)> {
        self.tensors
            .iter()
            .map(|(tensor, values)| (*tensor, values))
    }

    /// One element of a tensor, to be changed.
    ///
    /// # Panics
    ///
    /// If there is no such tensor or element.
    pub fn element_mut(&mut self, tensor: usize, row: usize, column: usize) -> &mut f64 {
        &mut self.tensors[tensor].1[(row, column)]
    }

    /// Mean loss of a batch, in the units of [`Mlp::loss`](crate::Mlp::loss).
    ///
    /// # Errors
    ///
    /// As [`Trainer::step`](crate::Trainer::step) for a bad batch.
    pub fn loss(&self, inputs: &[ExampleOf<M>], targets: &[TargetOf<M>]) -> Result<f64, Error> {
        let batch = checked_batch::<M>(inputs, targets)?;
        let losses = (0..batch.len).map(|b| self.forward(batch, b).loss);
        Ok(losses.sum::<f64>() / batch.len as f64)
    }

    /// Mean loss of a batch and its derivative with respect to every parameter, tensor by tensor in storage order.
    ///
    /// # Accuracy
    ///
    /// Every derivative is within [`DIFFERENCE_RTOL`](crate::gradcheck::DIFFERENCE_RTOL) of itself, plus
    /// [`DIFFERENCE_ATOL`](crate::gradcheck::DIFFERENCE_ATOL), of the central difference of the loss.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn gradients(
        &self,
        inputs: &[ExampleOf<M>],
        targets: &[TargetOf<M>],
    ) -> Result<(f64, Vec<TensorGradient>), Error> {
        let batch = checked_batch::<M>(inputs, targets)?;
        let zero = |(tensor, values): (Tensor, &DMatrix<f64>)| TensorGradient {
            tensor,
            values: DMatrix::zeros(values.nrows(), values.ncols()),
            magnitudes: DMatrix::zeros(values.nrows(), values.ncols()),
        };
        let mut gradients: Vec<TensorGradient> = self.tensors().map(zero).collect();
        let mut loss = 0.0;
        for b in 0..batch.len {
            let forward = self.forward(batch, b);
            loss += forward.loss;
            self.add_gradients(batch, b, forward, &mut gradients);
        }
        for gradient in &mut gradients {
            gradient.values /= batch.len as f64;
            gradient.magnitudes /= batch.len as f64;
        }
        Ok((loss / batch.len as f64, gradients))
    }

    /// Adds the gradients of example b's own loss, layer after layer from the last.
    fn add_gradients(
        &self,
        batch: Batch<'_>,
        b: usize,
        forward: Forward,
        gradients: &mut [TensorGradient],
    ) {
        let mut d = forward.d_outputs;
        for (index, layer) in M::SPEC.layers().enumerate().rev() {
            let inputs = &forward.activations[index];
            let weights = self.tensor(index, Role::Weights);
            let d_bias = gradient_mut(gradients, index, Role::Bias);
            for (k, &d) in d.iter().enumerate() {
                d_bias.add(0, k, d);
            }
            let d_weights = gradient_mut(gradients, index, Role::Weights);
            for (i, &input) in inputs.iter().enumerate() {
                for (k, &d) in d.iter().enumerate() {
                    d_weights.add(i, k, input.times(d));
                }
            }
            let d_inputs = (0..layer.inputs).map(|i| {
                let terms = d.iter().enumerate();
                let terms = terms.map(|(k, &d)| Bounded::exact(weights[(i, k)]).times(d));
                terms.fold(Bounded::exact(0.0), Bounded::plus)
            });
            d = match layer.input {
                LayerInput::Hidden(_) => d_inputs
                    .zip(&forward.slopes[index - 1])
                    .map(|(d_h, &slope)| d_h.times(slope))
                    .collect(),
                LayerInput::Embeddings | LayerInput::Features => d_inputs.collect(),
            };
        }
        for (i, &d_x) in d.iter().enumerate() {
            if let Some((token, dimension)) = looked_up(M::SPEC, batch.inputs, b, i) {
                gradient_mut(gradients, 0, Role::Embedding).add(token, dimension, d_x);
            }
        }
    }

    fn tensor(&self, layer: usize, role: Role) -> &DMatrix<f64> {
        let mut tensors = self.tensors();
        let found = tensors.find(|(tensor, _)| (tensor.layer, tensor.role) == (layer, role));
        found.expect("every layer has weights and a bias").1
    }

    /// Example b of the batch.
    fn forward(&self, batch: Batch<'_>, b: usize) -> Forward {
        let spec = M::SPEC;
        let x = DVector::from_fn(spec.input.width(), |i, _| match batch.inputs {
            Inputs::Features(features) => f64::from(features[b * spec.input.width() + i]),
            Inputs::Tokens(_) => looked_up(spec, batch.inputs, b, i).map_or(0.0, |(token, d)| {
                self.tensor(0, Role::Embedding)[(token, d)]
            }),
        });
        let (mut activations, mut slopes) = (Vec::new(), Vec::new());
        let mut next: Vec<Bounded> = x.iter().map(|&x| Bounded::exact(x)).collect();
        for (index, layer) in spec.layers().enumerate() {
            let weights = self.tensor(index, Role::Weights);
            let bias = self.tensor(index, Role::Bias);
            let sums = (0..layer.outputs).map(|n| {
                let terms = next.iter().enumerate();
                let terms = terms.map(|(i, &input)| Bounded::exact(weights[(i, n)]).times(input));
                terms.fold(Bounded::exact(bias[n]), Bounded::plus)
            });
            let outputs = match layer.activation {
                Some(activation) => {
                    let (outputs, of_layer) = sums.map(|z| activate(activation, z)).unzip();
                    slopes.push(of_layer);
                    outputs
                }
                None => sums.collect(),
            };
            activations.push(next);
            next = outputs;
        }
        let outputs = next;
        let (loss, d_outputs) = match (spec.head.kind, batch.targets) {
            (HeadKind::Softmax, Targets::Classes(classes)) => {
                let logits: Vec<f64> = outputs.iter().map(|z| z.value).collect();
                cross_entropy(&logits, classes.at(b))
            }
            (HeadKind::Logistic, Targets::Classes(classes)) => {
                logistic(outputs[0].value, classes.at(b))
            }
            (HeadKind::SquaredError, Targets::Values(values)) => {
                squared_error(&outputs, &values[b * spec.head.outputs..])
            }
            (HeadKind::Huber, Targets::Values(values)) => {
                huber(&outputs, &values[b * spec.head.outputs..])
            }
            _ => unreachable!("a head type fixes its targets"),
        };
        Forward {
            activations,
            slopes,
            d_outputs,
            loss,
        }
    }
}

impl TensorGradient {
    fn add(&mut self, row: usize, column: usize, term: Bounded) {
        self.values[(row, column)] += term.value;
        self.magnitudes[(row, column)] += term.magnitude;
    }
}

fn gradient_mut(gradients: &mut [TensorGradient], layer: usize, role: Role) -> &mut TensorGradient {
    let mut gradients = gradients.iter_mut();
    let found =
        gradients.find(|gradient| (gradient.tensor.layer, gradient.tensor.role) == (layer, role));
    found.expect("there is a gradient for each tensor")
}

/// What one example leaves behind for its gradient.
struct Forward {
    /// The inputs of each layer: x, then the neurons of each hidden layer.
    activations: Vec<Vec<Bounded>>,
    /// The derivative of the activation of each hidden layer.
    slopes: Vec<Vec<Bounded>>,
    /// Derivative of the example's own loss with respect to the outputs.
    d_outputs: Vec<Bounded>,
    loss: f64,
}

/// The embedding element that input i of example b is a copy of.
fn looked_up(spec: ModelSpec, inputs: Inputs<'_>, b: usize, i: usize) -> Option<(usize, usize)> {
    match (spec.input, inputs) {
        (InputSpec::Tokens { context, embed, .. }, Inputs::Tokens(tokens)) => {
            Some((tokens.at(b * context + i / embed), i % embed))
        }
        _ => None,
    }
}

/// `ln Σ e^z − z_y` and its derivative p − y.
fn cross_entropy(z: &[f64], class: usize) -> (f64, Vec<Bounded>) {
    let max = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = z.iter().map(|z| libm::exp(z - max)).sum();
    let d_outputs = z.iter().enumerate().map(|(k, z)| {
        let p = libm::exp(z - max) / total;
        let y = if k == class { 1.0 } else { 0.0 };
        Bounded {
            value: p - y,
            magnitude: p + y,
        }
    });
    (libm::log(total) - (z[class] - max), d_outputs.collect())
}

/// Mean over the outputs of (z − y)², and its derivative.
fn squared_error(z: &[Bounded], y: &[f32]) -> (f64, Vec<Bounded>) {
    let count = z.len() as f64;
    let pairs = || z.iter().zip(y).map(|(&z, &y)| (z, f64::from(y)));
    let loss = pairs()
        .map(|(z, y)| (z.value - y) * (z.value - y))
        .sum::<f64>()
        / count;
    let d_outputs = pairs().map(|(z, y)| Bounded {
        value: 2.0 * (z.value - y) / count,
        magnitude: 2.0 * (z.magnitude + y.abs()) / count,
    });
    (loss, d_outputs.collect())
}

/// Mean over the outputs of Huber's loss with δ = 1, and its derivative.
fn huber(z: &[Bounded], y: &[f32]) -> (f64, Vec<Bounded>) {
    let count = z.len() as f64;
    let pairs = || z.iter().zip(y).map(|(&z, &y)| (z, f64::from(y)));
    let loss = |d: f64| {
        if d.abs() <= 1.0 {
            0.5 * d * d
        } else {
            d.abs() - 0.5
        }
    };
    let d_outputs = pairs().map(|(z, y)| Bounded {
        value: (z.value - y).clamp(-1.0, 1.0) / count,
        magnitude: (z.magnitude + y.abs()) / count,
    });
    (
        pairs().map(|(z, y)| loss(z.value - y)).sum::<f64>() / count,
        d_outputs.collect(),
    )
}

/// ln(1 + e^z) − y·z, and its derivative σ(z) − y.
fn logistic(z: f64, class: usize) -> (f64, Vec<Bounded>) {
    let y = class as f64;
    let p = 1.0 / (1.0 + libm::exp(-z));
    let softplus = z.max(0.0) + libm::log1p(libm::exp(-z.abs()));
    (
        softplus - y * z,
        [Bounded {
            value: p - y,
            magnitude: p + y,
        }]
        .into(),
    )
}
