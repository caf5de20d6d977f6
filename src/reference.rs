//! The oracle: loss and gradients in `f64`, loop by loop as in the formulas of [`Mlp`](crate::Mlp) and the heads of
//! [`architecture`](crate::architecture).
//!
//! It shares no code with the kernels: other shapes (nalgebra's dynamic matrices), other order of sums, another
//! precision, and the `libm` crate's functions. It is there to be right, and is itself held to central finite
//! differences. Nothing falls back to it.

use alloc::vec::Vec;

use nalgebra::{DMatrix, DVector};

use crate::error::Error;
use crate::model::{ExampleOf, Model, TargetOf, checked_batch};
use crate::network::{ActivationKind, Batch, HeadKind, InputKind, Inputs, Network, Targets};

/// A model in `f64`.
///
/// ```
/// use fused_mlp::{NameModel, SeedableRng, Xoshiro256PlusPlus, reference::Reference};
///
/// let model = NameModel::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(1));
/// let (loss, gradients) = Reference::of(&model).gradients(&[[0, 5, 13]], &[13])?;
/// assert!((loss - f64::from(model.loss(&[[0, 5, 13]], &[13])?)).abs() < 1e-5); // nats
/// assert_eq!((gradients[0].name, gradients[0].values.shape()), ("embedding", (27, 2)));
/// # Ok::<(), fused_mlp::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Reference<M: Model> {
    /// Tensors by name, `[rows, columns]`, in storage order.
    tensors: Vec<(&'static str, DMatrix<f64>)>,
    model: core::marker::PhantomData<fn() -> M>,
}

/// The derivative of the loss with respect to one tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorGradient {
    /// The tensor's name.
    pub name: &'static str,
    /// The derivatives.
    pub values: DMatrix<f64>,
    /// The same sums taken over the absolute values of their terms: the scale of the rounding error that a sum in lower
    /// precision may have. With p − y counted as p + y, 1 − h² as 1 + h², and h and the error of a number with the terms of
    /// their own sums, it covers the cancellation in those too.
    pub magnitudes: DMatrix<f64>,
}

/// A value and the sum of the absolute values that it came from.
#[derive(Clone, Copy)]
struct Bounded {
    value: f64,
    magnitude: f64,
}

impl<M: Model> Reference<M> {
    /// The model's parameters, widened.
    #[must_use]
    pub fn of(model: &M) -> Self {
        let mut shapes = M::NETWORK.tensors();
        let mut tensors = Vec::new();
        model.visit(&mut |name, values| {
            if let Some(shape) = shapes.next() {
                let values = values.iter().map(|&value| f64::from(value));
                tensors.push((
                    name,
                    DMatrix::from_row_iterator(shape.rows, shape.columns, values),
                ));
            }
        });
        Self {
            tensors,
            model: core::marker::PhantomData,
        }
    }

    /// The tensors by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&'static str, &DMatrix<f64>)> {
        self.tensors.iter().map(|(name, tensor)| (*name, tensor))
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
        let network = M::NETWORK;
        let mut gradients: Vec<TensorGradient> = self
            .tensors()
            .map(|(name, tensor)| TensorGradient {
                name,
                values: DMatrix::zeros(tensor.nrows(), tensor.ncols()),
                magnitudes: DMatrix::zeros(tensor.nrows(), tensor.ncols()),
            })
            .collect();
        let mut add = |tensor: &str, row, column, term: f64, magnitude: f64| {
            for gradient in gradients
                .iter_mut()
                .filter(|gradient| gradient.name == tensor)
            {
                gradient.values[(row, column)] += term;
                gradient.magnitudes[(row, column)] += magnitude;
            }
        };
        let mut loss = 0.0;
        for b in 0..batch.len {
            let Forward {
                x,
                h,
                d_outputs,
                loss: example_loss,
            } = self.forward(batch, b);
            loss += example_loss;
            for (k, d) in d_outputs.iter().enumerate() {
                add("output_bias", 0, k, d.value, d.magnitude);
                for n in 0..network.hidden {
                    add(
                        "output_weights",
                        n,
                        k,
                        h[n].value * d.value,
                        h[n].magnitude * d.magnitude,
                    );
                }
            }
            let w2 = self.tensor("output_weights");
            let w1 = self.tensor("hidden_weights");
            for n in 0..network.hidden {
                let (mut d_h, mut m_h) = (0.0, 0.0);
                for (k, d) in d_outputs.iter().enumerate() {
                    d_h += w2[(n, k)] * d.value;
                    m_h += w2[(n, k)].abs() * d.magnitude;
                }
                let slope = slope(network.activation, h[n].value);
                let (d_z, m_z) = (d_h * slope.value, m_h * slope.magnitude);
                add("hidden_bias", 0, n, d_z, m_z);
                for i in 0..network.inputs() {
                    add("hidden_weights", i, n, x[i] * d_z, x[i].abs() * m_z);
                    if let Some((token, d)) = looked_up(network, batch.inputs, b, i) {
                        add(
                            "embedding",
                            token,
                            d,
                            w1[(i, n)] * d_z,
                            w1[(i, n)].abs() * m_z,
                        );
                    }
                }
            }
        }
        for gradient in &mut gradients {
            gradient.values /= batch.len as f64;
            gradient.magnitudes /= batch.len as f64;
        }
        Ok((loss / batch.len as f64, gradients))
    }

    fn tensor(&self, name: &str) -> &DMatrix<f64> {
        let found = self.tensors.iter().find(|(tensor, _)| *tensor == name);
        &found.expect("every model has weights and biases").1
    }

    /// Example b of the batch.
    fn forward(&self, batch: Batch<'_>, b: usize) -> Forward {
        let network = M::NETWORK;
        let x = DVector::from_fn(network.inputs(), |i, _| match batch.inputs {
            Inputs::Features(features) => f64::from(features[b * network.inputs() + i]),
            Inputs::Tokens(_) => looked_up(network, batch.inputs, b, i)
                .map_or(0.0, |(token, d)| self.tensor("embedding")[(token, d)]),
        });
        let (weights, bias) = (self.tensor("hidden_weights"), self.tensor("hidden_bias"));
        let h: Vec<Bounded> = (0..network.hidden)
            .map(|n| {
                let mut z = Bounded {
                    value: bias[n],
                    magnitude: bias[n].abs(),
                };
                for (i, x) in x.iter().enumerate() {
                    z.value += weights[(i, n)] * x;
                    z.magnitude += (weights[(i, n)] * x).abs();
                }
                activate(network.activation, z)
            })
            .collect();
        let (weights, bias) = (self.tensor("output_weights"), self.tensor("output_bias"));
        let outputs: Vec<Bounded> = (0..network.outputs)
            .map(|k| {
                let mut z = Bounded {
                    value: bias[k],
                    magnitude: bias[k].abs(),
                };
                for (n, h) in h.iter().enumerate() {
                    z.value += weights[(n, k)] * h.value;
                    z.magnitude += weights[(n, k)].abs() * h.magnitude;
                }
                z
            })
            .collect();
        let (loss, d_outputs) = match (network.head, batch.targets) {
            (HeadKind::Softmax, Targets::Classes(classes)) => {
                let logits: Vec<f64> = outputs.iter().map(|z| z.value).collect();
                cross_entropy(&logits, usize::from(classes[b]))
            }
            (HeadKind::Logistic, Targets::Classes(classes)) => {
                logistic(outputs[0].value, classes[b])
            }
            (HeadKind::SquaredError, Targets::Values(values)) => {
                squared_error(&outputs, &values[b * network.outputs..])
            }
            (HeadKind::Huber, Targets::Values(values)) => {
                huber(&outputs, &values[b * network.outputs..])
            }
            _ => unreachable!("a head type fixes its targets"),
        };
        Forward {
            x,
            h,
            d_outputs,
            loss,
        }
    }
}

/// What one example leaves behind for its gradient.
struct Forward {
    x: DVector<f64>,
    h: Vec<Bounded>,
    /// Derivative of the example's own loss with respect to the outputs.
    d_outputs: Vec<Bounded>,
    loss: f64,
}

/// The embedding element that input i of example b is a copy of.
fn looked_up(network: Network, inputs: Inputs<'_>, b: usize, i: usize) -> Option<(usize, usize)> {
    match (network.input, inputs) {
        (InputKind::Tokens { context, embed, .. }, Inputs::Tokens(tokens)) => {
            Some((usize::from(tokens[b * context + i / embed]), i % embed))
        }
        _ => None,
    }
}

/// The activation. Its magnitude counts what rounding of the terms of z does to it: little where it saturates, and more
/// than its value where they cancel.
fn activate(activation: ActivationKind, z: Bounded) -> Bounded {
    let value = match activation {
        ActivationKind::Tanh => libm::tanh(z.value),
        ActivationKind::Relu => z.value.max(0.0),
    };
    let through_z = slope(activation, value).value * z.magnitude;
    Bounded {
        value,
        magnitude: value.abs() + through_z,
    }
}

/// Derivative of the activation, from its value.
fn slope(activation: ActivationKind, h: f64) -> Bounded {
    match activation {
        ActivationKind::Tanh => Bounded {
            value: 1.0 - h * h,
            magnitude: 1.0 + h * h,
        },
        ActivationKind::Relu if h > 0.0 => Bounded {
            value: 1.0,
            magnitude: 1.0,
        },
        ActivationKind::Relu => Bounded {
            value: 0.0,
            magnitude: 0.0,
        },
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
fn logistic(z: f64, class: u8) -> (f64, Vec<Bounded>) {
    let y = f64::from(class);
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
