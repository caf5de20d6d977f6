//! How gradients become new parameters: the update rules, to the letter of PyTorch's optimizers of the same names.

use crate::error::Error;

/// Stochastic gradient descent:
///
/// ```text
/// p ← p − learning_rate · g
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, remote = "Self")
)]
pub struct Sgd {
    /// Finite, and not negative.
    pub learning_rate: f32,
}

/// Gradient descent with momentum, PyTorch's `SGD(momentum=…, nesterov=…, weight_decay=…)`:
///
/// ```text
/// g ← g + weight_decay · p
/// v ← momentum · v + g
/// p ← p − learning_rate · (v, or g + momentum · v with Nesterov's)
/// ```
///
/// After the step, v below the smallest normal number (1.2e-38 in magnitude) becomes zero: see [`AdamW`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, remote = "Self")
)]
pub struct Momentum {
    /// Finite, and not negative.
    pub learning_rate: f32,
    /// In [0, 1).
    pub momentum: f32,
    /// Whether to look one step ahead (Nesterov, 1983).
    pub nesterov: bool,
    /// Finite, and not negative.
    pub weight_decay: f32,
}

/// Adam with decoupled weight decay (Loshchilov and Hutter, 2019), PyTorch's `AdamW`; step t counts from 1:
///
/// ```text
/// p ← p · (1 − learning_rate · weight_decay)
/// m ← β₁ · m + (1 − β₁) · g
/// v ← β₂ · v + (1 − β₂) · g²
/// p ← p − learning_rate / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
/// ```
///
/// After the step, moments below the smallest normal number (1.2e-38 in magnitude) become zero. A parameter whose gradients have ended,
/// as those of a feature that is always zero, would otherwise keep a subnormal m for ever, and processors are slow with these.
/// Parameters and activations are not flushed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, remote = "Self")
)]
pub struct AdamW {
    /// Finite, and not negative.
    pub learning_rate: f32,
    /// β₁ and β₂, each in [0, 1).
    pub betas: [f32; 2],
    /// ε, positive and finite.
    pub epsilon: f32,
    /// Finite, and not negative.
    pub weight_decay: f32,
}

impl Sgd {
    /// With a constant rate. [`Trainer::new`](crate::Trainer::new) checks it.
    #[must_use]
    pub const fn new(learning_rate: f32) -> Self {
        Self { learning_rate }
    }
}

impl Momentum {
    /// Without Nesterov's look ahead and without weight decay.
    #[must_use]
    pub const fn new(learning_rate: f32, momentum: f32) -> Self {
        Self {
            learning_rate,
            momentum,
            nesterov: false,
            weight_decay: 0.0,
        }
    }
}

impl AdamW {
    /// With PyTorch's defaults: β = (0.9, 0.999), ε = 1e-8, weight decay 0.01.
    #[must_use]
    pub const fn new(learning_rate: f32) -> Self {
        Self {
            learning_rate,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            weight_decay: 0.01,
        }
    }
}

/// Any of the optimizers.
///
/// ```
/// use fused_mlp::{AdamW, Momentum, Optimizer};
///
/// let nesterov = Momentum { nesterov: true, weight_decay: 1e-4, ..Momentum::new(0.05, 0.9) };
/// let without_decay = AdamW { weight_decay: 0.0, ..AdamW::new(0.001) };
/// let choices: [Optimizer; 2] = [nesterov.into(), without_decay.into()];
/// assert_eq!(choices.map(Optimizer::learning_rate), [0.05, 0.001]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case", remote = "Self")
)]
pub enum Optimizer {
    /// See [`Sgd`].
    Sgd(Sgd),
    /// See [`Momentum`].
    Momentum(Momentum),
    /// See [`AdamW`].
    AdamW(AdamW),
}

impl From<Sgd> for Optimizer {
    fn from(sgd: Sgd) -> Self {
        Self::Sgd(sgd)
    }
}

impl From<Momentum> for Optimizer {
    fn from(momentum: Momentum) -> Self {
        Self::Momentum(momentum)
    }
}

impl From<AdamW> for Optimizer {
    fn from(adam_w: AdamW) -> Self {
        Self::AdamW(adam_w)
    }
}

impl Optimizer {
    /// The learning rate.
    #[must_use]
    pub fn learning_rate(self) -> f32 {
        match self {
            Self::Sgd(sgd) => sgd.learning_rate,
            Self::Momentum(momentum) => momentum.learning_rate,
            Self::AdamW(adam_w) => adam_w.learning_rate,
        }
    }

    /// The same optimizer with another rate.
    #[must_use]
    pub fn with_learning_rate(mut self, rate: f32) -> Self {
        match &mut self {
            Self::Sgd(sgd) => sgd.learning_rate = rate,
            Self::Momentum(momentum) => momentum.learning_rate = rate,
            Self::AdamW(adam_w) => adam_w.learning_rate = rate,
        }
        self
    }

    /// The same optimizer with its rate multiplied, if that is a rate.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the product is rounded once"
    )]
    pub(crate) fn scaled(self, factor: f64) -> Result<Self, Error> {
        let rate = f64::from(self.learning_rate()) * factor;
        let scaled = self.with_learning_rate(rate as f32);
        scaled.check()?;
        Ok(scaled)
    }

    /// Numbers that it keeps for each parameter.
    pub(crate) fn moments(self) -> usize {
        match self {
            Self::Sgd(_) => 0,
            Self::Momentum(_) => 1,
            Self::AdamW(_) => 2,
        }
    }

    /// Refuses settings outside their ranges.
    pub(crate) fn check(self) -> Result<(), Error> {
        not_negative("learning_rate", self.learning_rate())?;
        match self {
            Self::Sgd(_) => Ok(()),
            Self::Momentum(Momentum {
                momentum,
                weight_decay,
                ..
            }) => {
                share("momentum", momentum)?;
                not_negative("weight_decay", weight_decay)
            }
            Self::AdamW(AdamW {
                betas: [first, second],
                epsilon,
                weight_decay,
                ..
            }) => {
                share("betas[0]", first)?;
                share("betas[1]", second)?;
                not_negative("weight_decay", weight_decay)?;
                check(
                    "epsilon",
                    "finite and above 0",
                    epsilon,
                    epsilon.is_finite() && epsilon > 0.0,
                )
            }
        }
    }
}

/// Refuses a norm that gradients cannot be clipped to.
pub(crate) fn check_clipping(norm: f32) -> Result<(), Error> {
    not_negative("norm", norm)
}

pub(crate) fn not_negative(name: &'static str, value: f32) -> Result<(), Error> {
    check(
        name,
        "finite and at least 0",
        value,
        value.is_finite() && value >= 0.0,
    )
}

fn share(name: &'static str, value: f32) -> Result<(), Error> {
    check(
        name,
        "at least 0 and below 1",
        value,
        (0.0..1.0).contains(&value),
    )
}

fn check(name: &'static str, expected: &'static str, value: f32, holds: bool) -> Result<(), Error> {
    if holds {
        Ok(())
    } else {
        Err(Error::Setting {
            name,
            expected,
            found: f64::from(value),
        })
    }
}
