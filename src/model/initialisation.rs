//! Initial parameters.
//!
//! The draws are this crate's own (see [`random`](crate::random)), so a seed gives the same bits everywhere. To draw PyTorch's, bit for
//! bit, use [`replay::torch`](crate::replay::torch).

use rand_xoshiro::rand_core::Rng;

use super::activation::{Activation, ActivationKind};
use super::head::Head;
use super::hidden::HiddenLayers;
use super::input::Input;
use super::mlp::{Mlp, Model};
use super::tensor::{Role, Tensor};
use crate::float;
use crate::random::{StandardNormal, unit};

/// How the elements of a tensor are drawn, all with mean zero.
#[derive(Clone, Copy)]
enum Draw {
    Zero,
    Normal { variance: f32 },
    Uniform { variance: f32 },
}

const STANDARD_NORMAL: Draw = Draw::Normal { variance: 1.0 };

#[expect(clippy::cast_precision_loss, reason = "widths are far below 2²⁴")]
fn fan_in(weights: Tensor) -> f32 {
    weights.rows as f32
}

#[expect(clippy::cast_precision_loss, reason = "widths are far below 2²⁴")]
fn fan_sum(weights: Tensor) -> f32 {
    (weights.rows + weights.columns) as f32
}

impl<I: Input, L: HiddenLayers, O: Head> Mlp<I, L, O> {
    /// Every parameter, biases too, from N(0, 1), in storage order: the initialisation of makemore part 2.
    #[must_use]
    pub fn standard_normal(rng: &mut impl Rng) -> Self {
        Self::drawn(rng, |_, _| STANDARD_NORMAL)
    }

    /// Weights from N(0, 1 / fan-in), embeddings from N(0, 1), biases zero: sums that start near unit variance whatever
    /// the widths (LeCun et al., 1998, "Efficient BackProp"), which is what networks wider than a few dozen neurons want.
    #[must_use]
    pub fn fan_in_scaled(rng: &mut impl Rng) -> Self {
        Self::with_weights(rng, |weights, _| Draw::Normal {
            variance: 1.0 / fan_in(weights),
        })
    }

    /// Weights from N(0, gain² / fan-in), with each layer's own [gain](super::Activation::gain), and 1 in the last layer; embeddings from
    /// N(0, 1), biases zero. PyTorch's `kaiming_normal_` (He et al., 2015, "Delving Deep into Rectifiers").
    #[must_use]
    pub fn kaiming_normal(rng: &mut impl Rng) -> Self {
        Self::with_weights(rng, |weights, gain| Draw::Normal {
            variance: gain * gain / fan_in(weights),
        })
    }

    /// As [`kaiming_normal`](Self::kaiming_normal), uniform in ±gain · √(3 / fan-in): PyTorch's `kaiming_uniform_`.
    #[must_use]
    pub fn kaiming_uniform(rng: &mut impl Rng) -> Self {
        Self::with_weights(rng, |weights, gain| Draw::Uniform {
            variance: gain * gain / fan_in(weights),
        })
    }

    /// Weights from N(0, 2 / (fan-in + fan-out)), embeddings from N(0, 1), biases zero: PyTorch's `xavier_normal_` with its
    /// default gain of 1 (Glorot and Bengio, 2010, "Understanding the difficulty of training deep feedforward neural networks").
    #[must_use]
    pub fn xavier_normal(rng: &mut impl Rng) -> Self {
        Self::with_weights(rng, |weights, _| Draw::Normal {
            variance: 2.0 / fan_sum(weights),
        })
    }

    /// As [`xavier_normal`](Self::xavier_normal), uniform in ±√(6 / (fan-in + fan-out)): PyTorch's `xavier_uniform_`.
    #[must_use]
    pub fn xavier_uniform(rng: &mut impl Rng) -> Self {
        Self::with_weights(rng, |weights, _| Draw::Uniform {
            variance: 2.0 / fan_sum(weights),
        })
    }

    /// Weights and biases uniform in ±1 / √fan-in, embeddings from N(0, 1): the distributions that PyTorch's `nn.Linear` and
    /// `nn.Embedding` have by default.
    #[must_use]
    pub fn torch_default(rng: &mut impl Rng) -> Self {
        let mut width = 1.0;
        Self::drawn(rng, |tensor, _| match tensor.role {
            Role::Embedding => STANDARD_NORMAL,
            Role::Weights | Role::Bias => {
                if tensor.role == Role::Weights {
                    width = fan_in(tensor); // the bias comes after its weights
                }
                Draw::Uniform {
                    variance: 1.0 / (3.0 * width),
                }
            }
        })
    }

    /// Weights drawn as `draw` says of them and of the gain of their layer, embeddings from N(0, 1), biases zero.
    fn with_weights(rng: &mut impl Rng, draw: impl Fn(Tensor, f32) -> Draw) -> Self {
        Self::drawn(rng, |tensor, gain| match tensor.role {
            Role::Embedding => STANDARD_NORMAL,
            Role::Weights => draw(tensor, gain),
            Role::Bias => Draw::Zero,
        })
    }

    /// A model whose tensors are drawn, in storage order, as `draw` says of each and of the gain of its layer.
    fn drawn(rng: &mut impl Rng, mut draw: impl FnMut(Tensor, f32) -> Draw) -> Self {
        let mut normal = StandardNormal::default();
        let mut model = Self::zeroed();
        for (tensor, values) in model.tensors_mut() {
            let hidden = Self::SPEC.hidden.get(tensor.layer);
            match draw(tensor, hidden.map_or(1.0, |layer| layer.activation.gain())) {
                Draw::Zero => {}
                Draw::Normal { variance } => {
                    let deviation = float::sqrt(variance);
                    values.fill_with(|| deviation * normal.sample(rng));
                }
                Draw::Uniform { variance } => {
                    let bound = float::sqrt(3.0 * variance);
                    values.fill_with(|| bound * symmetric(rng));
                }
            }
        }
        model
    }
}

/// Uniform in [−1, 1), of 53 random bits, rounded to `f32`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding to f32 is the last operation"
)]
fn symmetric(rng: &mut impl Rng) -> f32 {
    (2.0 * unit(rng) - 1.0) as f32
}

impl Activation {
    /// The factor by which weights before this activation are drawn larger, so that the variance of the neurons stays the same from
    /// layer to layer: as PyTorch's `calculate_gain` has it, 5/3 for tanh, √2 for ReLU, √(2 / (1 + 0.01²)) for leaky ReLU, 1 for
    /// sigmoid. PyTorch has none for the others, which have ReLU's here.
    #[must_use]
    pub const fn gain(self) -> f32 {
        self.0.gain()
    }
}

impl ActivationKind {
    /// See [`Activation::gain`].
    const fn gain(self) -> f32 {
        match self {
            Self::Tanh => 5.0 / 3.0,
            Self::Sigmoid => 1.0,
            Self::LeakyRelu => 1.414_142_8,
            Self::Relu | Self::ClippedRelu | Self::Silu | Self::Gelu | Self::Softplus => {
                core::f32::consts::SQRT_2
            }
        }
    }
}
