//! A trained model for predicting and nothing else.

use core::marker::PhantomData;

use rand_xoshiro::rand_core::Rng;

use super::sample;
use crate::engine::{self, checked_and_padded};
use crate::error::Error;
use crate::kernels::buffer::Buffer;
use crate::model::{ExampleOf, Model, PredictionOf, Softmax};
use crate::simd::Backend;

/// A model's padded weights, and a backend: predicts through `&self`, from any number of threads, and allocates nothing.
///
/// ```
/// use fused_mlp::{NameModel, Predictor, SeedableRng, Xoshiro256PlusPlus};
///
/// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
/// let model = NameModel::standard_normal(&mut rng);
/// let predictor = Predictor::new(&model)?;
/// let probabilities = predictor.predict(&[0, 5, 13])?;
/// assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 2e-6);
/// let likeliest = predictor.top(&[0, 5, 13])?;
/// assert!(probabilities.iter().all(|&p| p <= probabilities[likeliest]));
/// assert!(predictor.sample(&[0, 5, 13], 0.8, &mut rng)? < 27);
/// # Ok::<(), fused_mlp::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Predictor<M> {
    parameters: Buffer,
    backend: Backend,
    model: PhantomData<fn() -> M>,
}

impl<M: Model> Predictor<M> {
    /// On the fastest [`Backend`] of this processor.
    ///
    /// # Errors
    ///
    /// [`Error::NonFiniteParameter`].
    pub fn new(model: &M) -> Result<Self, Error> {
        let (parameters, backend) = (checked_and_padded(model)?, Backend::detect());
        Ok(Self {
            parameters,
            backend,
            model: PhantomData,
        })
    }

    /// The same predictor on another backend. With [fused](Backend::is_fused) ones it changes no bit.
    #[must_use]
    pub fn with_backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// Class probabilities, the probability of yes, or numbers, for one input.
    ///
    /// # Errors
    ///
    /// [`Error::TokenOutOfRange`] or [`Error::NonFiniteData`] for a bad input, [`Error::NonFinitePrediction`] for outputs
    /// that overflow.
    pub fn predict(&self, input: &ExampleOf<M>) -> Result<PredictionOf<M>, Error> {
        self.outputs(input, true)
    }

    /// Outputs of the last layer for one input: logits, or numbers.
    ///
    /// # Errors
    ///
    /// As [`predict`](Predictor::predict).
    pub fn logits(&self, input: &ExampleOf<M>) -> Result<PredictionOf<M>, Error> {
        self.outputs(input, false)
    }

    fn outputs(&self, input: &ExampleOf<M>, normalise: bool) -> Result<PredictionOf<M>, Error> {
        engine::predict::<M>(self.backend, self.parameters.vectors(), input, normalise)
    }
}

/// For a model of classes.
impl<M: Model<Head = Softmax<CLASSES>>, const CLASSES: usize> Predictor<M> {
    /// The likeliest class, the first of them if several are equal.
    ///
    /// # Errors
    ///
    /// As [`predict`](Predictor::predict).
    pub fn top(&self, input: &ExampleOf<M>) -> Result<usize, Error> {
        Ok(sample::largest(&self.logits(input)?))
    }

    /// A class drawn from the softmax of `logits / temperature`, as [`categorical`](sample::categorical) draws it.
    ///
    /// # Errors
    ///
    /// As [`predict`](Predictor::predict), and [`Error::Setting`] for a temperature that is negative or not finite.
    pub fn sample(
        &self,
        input: &ExampleOf<M>,
        temperature: f32,
        rng: &mut impl Rng,
    ) -> Result<usize, Error> {
        sample::categorical(&self.logits(input)?, temperature, rng)
    }
}
