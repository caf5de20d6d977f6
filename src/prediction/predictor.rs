//! A trained model for predicting and nothing else.

use core::marker::PhantomData;

use rand_xoshiro::rand_core::Rng;

use super::sample;
use crate::engine::{self, BatchPrediction, checked_and_padded};
use crate::error::Error;
use crate::kernels::buffer::Buffer;
use crate::kernels::chunk::Workspace;
use crate::model::{ExampleOf, Model, OutputsOf, PredictionOf, Softmax, largest};
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

/// Working storage for predictions of batches, made once: one for each thread that predicts.
#[derive(Clone, Debug)]
pub struct Scratch<M> {
    workspace: Workspace,
    model: PhantomData<fn() -> M>,
}

impl<M: Model> Scratch<M> {
    /// For a model of this type.
    #[must_use]
    pub fn new() -> Self {
        Self {
            workspace: Workspace::new(M::SPEC),
            model: PhantomData,
        }
    }
}

impl<M: Model> Default for Scratch<M> {
    fn default() -> Self {
        Self::new()
    }
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

    /// [`predict`](Predictor::predict) for a whole batch, on the path for batches: the same mathematics in another order of sums,
    /// and several times as fast for each input. `predictions` is overwritten; nothing is allocated.
    ///
    /// ```
    /// use fused_mlp::{Dense, Mlp, Predictor, Regression, Scratch, SeedableRng, Tanh, Xoshiro256PlusPlus};
    ///
    /// type Model = Mlp<Dense<8>, (Tanh<64>, Tanh<64>), Regression<2>>;
    /// let model = Model::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(1));
    /// let predictor = Predictor::new(&model)?;
    /// let mut scratch = Scratch::new(); // one for each thread
    /// let inputs = [[0.5; 8]; 100];
    /// let mut predictions = [[0.0; 2]; 100];
    /// predictor.predict_batch(&inputs, &mut scratch, &mut predictions)?;
    /// let [y, _] = predictor.predict(&inputs[7])?;
    /// assert!((predictions[7][0] - y).abs() < 1e-5);
    /// # Ok::<(), fused_mlp::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`predict`](Predictor::predict); [`Error::LengthMismatch`] for more or fewer predictions than inputs.
    pub fn predict_batch(
        &self,
        inputs: &[ExampleOf<M>],
        scratch: &mut Scratch<M>,
        predictions: &mut [PredictionOf<M>],
    ) -> Result<(), Error> {
        self.batch_outputs(inputs, true, scratch, predictions)
    }

    /// [`logits`](Predictor::logits) for a whole batch, as [`predict_batch`](Predictor::predict_batch).
    ///
    /// # Errors
    ///
    /// As [`predict_batch`](Predictor::predict_batch).
    pub fn logits_batch(
        &self,
        inputs: &[ExampleOf<M>],
        scratch: &mut Scratch<M>,
        outputs: &mut [OutputsOf<M>],
    ) -> Result<(), Error> {
        self.batch_outputs(inputs, false, scratch, outputs)
    }

    fn batch_outputs(
        &self,
        inputs: &[ExampleOf<M>],
        normalise: bool,
        scratch: &mut Scratch<M>,
        outputs: &mut [OutputsOf<M>],
    ) -> Result<(), Error> {
        let prediction = BatchPrediction {
            backend: self.backend,
            parameters: self.parameters.vectors(),
            normalise,
        };
        engine::predict_batch::<M>(inputs, outputs, |outputs| {
            prediction.run::<M>(inputs, &mut scratch.workspace, outputs);
        })
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
        Ok(largest(&self.logits(input)?))
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
