//! How gradients become new parameters.

use crate::error::Error;

/// Stochastic gradient descent: `parameter − learning_rate · gradient`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// Finite, and not negative.
    pub learning_rate: f32,
}

impl Sgd {
    /// With a constant rate. [`Trainer::new`](crate::Trainer::new) checks it.
    #[must_use]
    pub const fn new(learning_rate: f32) -> Self {
        Self { learning_rate }
    }

    pub(crate) fn check(self) -> Result<(), Error> {
        if self.learning_rate.is_finite() && self.learning_rate >= 0.0 {
            Ok(())
        } else {
            Err(Error::Setting {
                name: "learning_rate",
                expected: "finite and at least 0",
                found: f64::from(self.learning_rate),
            })
        }
    }
}
