//! A trained model for predicting and nothing else.

use core::marker::PhantomData;
use core::slice::from_ref;

use crate::architecture::{Example, Head};
use crate::engine;
use crate::error::Error;
use crate::kernels::buffer::Buffer;
use crate::mlp::{ExampleOf, Model, PredictionOf};
use crate::padding::checked_and_padded;
use crate::simd::Backend;

/// A model's padded weights, and a backend: predicts through `&self`, from any number of threads, and allocates nothing.
///
/// ```
/// use fused_mlp::{NameModel, Predictor, SeedableRng, Xoshiro256PlusPlus};
///
/// let model = NameModel::standard_normal(&mut Xoshiro256PlusPlus::seed_from_u64(1));
/// let predictor = Predictor::new(&model)?;
/// let probabilities = predictor.predict(&[0, 5, 13])?;
/// assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 2e-6);
/// assert_eq!(predictor.top(&[0, 5, 13])?, predictor.top(&[0, 5, 13])?);
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

    /// Class probabilities, the probability of yes, or numbers.
    ///
    /// # Errors
    ///
    /// [`Error::TokenOutOfRange`] or [`Error::NonFiniteData`] for a bad input.
    pub fn predict(&self, input: &ExampleOf<M>) -> Result<PredictionOf<M>, Error> {
        self.outputs(input, true)
    }

    /// Outputs of the second layer: logits, or numbers.
    ///
    /// # Errors
    ///
    /// As [`predict`](Predictor::predict).
    pub fn logits(&self, input: &ExampleOf<M>) -> Result<PredictionOf<M>, Error> {
        self.outputs(input, false)
    }

    /// The output with the largest value, the first of them if several are equal: the likeliest class.
    ///
    /// # Errors
    ///
    /// As [`predict`](Predictor::predict).
    pub fn top(&self, input: &ExampleOf<M>) -> Result<usize, Error> {
        let logits = self.logits(input)?;
        Ok(crate::sample::largest(logits.as_ref()))
    }

    fn outputs(&self, input: &ExampleOf<M>, normalise: bool) -> Result<PredictionOf<M>, Error> {
        let inputs = ExampleOf::<M>::flatten(from_ref(input));
        M::NETWORK.check_inputs(inputs)?;
        let mut outputs = M::Head::blank();
        let parameters = self.parameters.vectors();
        engine::predict::<M>(
            self.backend,
            parameters,
            inputs,
            normalise,
            outputs.as_mut(),
        );
        Ok(outputs)
    }
}
