//! The model: parameters in their exact shapes, and the plain face of everything one can do with them.

use core::fmt;
use core::marker::PhantomData;

use rand_xoshiro::rand_core::Rng;

use crate::architecture::sealed::Sealed;
use crate::architecture::{Activation, Head, Input, Layer, Softmax, Tanh, Tokens};
use crate::engine::Engine;
use crate::error::Error;
use crate::model::{Model, checked_batch};
use crate::network::Network;
use crate::predictor::Predictor;
use crate::random::StandardNormal;
use crate::simd::Backend;

/// The name model of Bengio et al. (2003), as taught in makemore part 2: three characters of a vocabulary of 27, embedded
/// in two numbers each, 100 tanh neurons, a softmax over 27. It has 3,481 parameters.
pub type NameModel = Mlp<Tokens<27, 3, 2>, 100, Softmax<27>>;

/// A multi-layer perceptron with one hidden layer of `HIDDEN` neurons.
///
/// ```text
/// x = input of the example            embeddings of the context one after another, or features     [INPUTS]
/// h = activation(b1 + W1ᵀ · x)                                                                      [HIDDEN]
/// z = b2 + W2ᵀ · h                    logits, or numbers                                            [OUTPUTS]
/// ```
///
/// with W1 `[INPUTS, HIDDEN]` and W2 `[HIDDEN, OUTPUTS]`. The parameters are nalgebra matrices of exactly these shapes, on
/// the heap. A [`Trainer`](crate::Trainer) keeps its own
/// padded copy and gives the model back.
///
/// ```
/// use fused_mlp::{Dense, Mlp, NameModel, Regression, Relu, Xoshiro256PlusPlus, SeedableRng};
///
/// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
/// let names = NameModel::standard_normal(&mut rng);
/// assert_eq!(names.parameter_count(), 3_481);
///
/// type Curve = Mlp<Dense<8>, 64, Regression<1>, Relu>;
/// let curve = Curve::fan_in_scaled(&mut rng);
/// let [y] = curve.predict(&[0.5; 8])?;
/// assert!(y.is_finite());
/// # Ok::<(), fused_mlp::Error>(())
/// ```
pub struct Mlp<I: Input, const HIDDEN: usize, O: Head, A: Activation = Tanh> {
    /// Everything between the input and the neurons.
    pub input: I::Layer<HIDDEN>,
    /// Everything between the neurons and the outputs.
    pub output: O::Layer<HIDDEN>,
    activation: PhantomData<A>,
}

impl<I: Input, const HIDDEN: usize, O: Head, A: Activation> Sealed for Mlp<I, HIDDEN, O, A> {}

impl<I: Input, const HIDDEN: usize, O: Head, A: Activation> Model for Mlp<I, HIDDEN, O, A> {
    type Input = I;
    type Head = O;

    const NETWORK: Network = {
        assert!(HIDDEN > 0, "a model needs at least one hidden neuron");
        Network {
            input: I::KIND,
            hidden: HIDDEN,
            activation: A::KIND,
            outputs: O::KIND.1,
            head: O::KIND.0,
        }
    };

    fn zeroed() -> Self {
        Self {
            input: Layer::zeroed(),
            output: Layer::zeroed(),
            activation: PhantomData,
        }
    }

    fn visit(&self, visit: &mut dyn FnMut(&'static str, &[f32])) {
        let mut tensors = Self::NETWORK.tensors();
        let mut name = |values: &[f32]| {
            if let Some(tensor) = tensors.next() {
                visit(tensor.name, values);
            }
        };
        self.input.visit(&mut name);
        self.output.visit(&mut name);
    }

    fn visit_mut(&mut self, visit: &mut dyn FnMut(&'static str, &mut [f32])) {
        let mut tensors = Self::NETWORK.tensors();
        let mut name = |values: &mut [f32]| {
            if let Some(tensor) = tensors.next() {
                visit(tensor.name, values);
            }
        };
        self.input.visit_mut(&mut name);
        self.output.visit_mut(&mut name);
    }
}

impl<I: Input, const HIDDEN: usize, O: Head, A: Activation> Mlp<I, HIDDEN, O, A> {
    /// Every parameter, biases too, from N(0, 1), in storage order: the initialisation of makemore part 2.
    ///
    /// The draws are the crate's own (see [`random`](crate::random)), so a seed gives the same bits everywhere.
    #[must_use]
    pub fn standard_normal(rng: &mut impl Rng) -> Self {
        let mut normal = StandardNormal::default();
        let mut model = Self::zeroed();
        model.visit_mut(&mut |_, values| values.fill_with(|| normal.sample(rng)));
        model
    }

    /// Weights from N(0, 1 / fan-in), embeddings from N(0, 1), biases zero: sums that start near unit variance whatever
    /// the widths (LeCun et al., 1998, "Efficient BackProp"), which is what networks wider than a few dozen neurons want.
    #[must_use]
    pub fn fan_in_scaled(rng: &mut impl Rng) -> Self {
        let mut normal = StandardNormal::default();
        let mut model = Self::zeroed();
        model.visit_mut(&mut |name, values| {
            let fan_in = match name {
                "embedding" => 1,
                "hidden_weights" => Self::NETWORK.inputs(),
                "output_weights" => Self::NETWORK.hidden,
                _ => return,
            };
            #[expect(clippy::cast_precision_loss, reason = "widths are far below 2²⁴")]
            let deviation = crate::float::sqrt(1.0 / fan_in as f32);
            values.fill_with(|| deviation * normal.sample(rng));
        });
        model
    }

    /// Number of parameters.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        let mut count = 0;
        self.visit(&mut |_, values| count += values.len());
        count
    }

    /// Class probabilities, the probability of yes, or numbers, for one input.
    ///
    /// This and the other methods here set up working storage at every call: right for a look at a model, slow in a loop.
    /// A [`Trainer`](crate::Trainer) and a [`Predictor`] keep theirs.
    ///
    /// # Errors
    ///
    /// [`Error::TokenOutOfRange`] or [`Error::NonFiniteData`] for a bad input, [`Error::NonFiniteParameter`] for a bad
    /// model, [`Error::NonFinitePrediction`] for outputs that overflow.
    pub fn predict(&self, input: &I::Example) -> Result<O::Prediction, Error> {
        Predictor::new(self)?.predict(input)
    }

    /// Mean loss of a batch, of the kind and in the units that the [head](Head) says: nats for [`Softmax`] and
    /// [`Binary`](crate::Binary). It may be infinite or NaN where outputs overflow.
    ///
    /// # Errors
    ///
    /// As [`Trainer::step`](crate::Trainer::step) for a bad batch, and [`Error::NonFiniteParameter`] for a bad model.
    pub fn loss(&self, inputs: &[I::Example], targets: &[O::Target]) -> Result<f32, Error> {
        let batch = checked_batch::<Self>(inputs, targets)?;
        Ok(Engine::new(self, Backend::detect())?.loss::<Self>(batch))
    }

    /// Mean loss of a batch and its gradient with respect to every parameter, in a model's shape. They may be infinite
    /// or NaN where outputs overflow.
    ///
    /// # Accuracy
    ///
    /// Each coordinate is within [`KERNEL_TOLERANCE`](crate::gradcheck::KERNEL_TOLERANCE) times the sum of the absolute values
    /// of its terms of the [reference](crate::reference).
    ///
    /// # Errors
    ///
    /// As [`loss`](Mlp::loss).
    pub fn gradients(
        &self,
        inputs: &[I::Example],
        targets: &[O::Target],
    ) -> Result<(f32, Self), Error> {
        self.gradients_on(Backend::detect(), inputs, targets)
    }

    /// As [`gradients`](Mlp::gradients), on a backend of choice.
    ///
    /// # Errors
    ///
    /// As [`loss`](Mlp::loss).
    pub fn gradients_on(
        &self,
        backend: Backend,
        inputs: &[I::Example],
        targets: &[O::Target],
    ) -> Result<(f32, Self), Error> {
        let batch = checked_batch::<Self>(inputs, targets)?;
        let mut engine = Engine::new(self, backend)?;
        let loss = engine.gradients::<Self>(batch);
        Ok((loss, engine.last_gradients()))
    }
}

impl<I: Input, const HIDDEN: usize, O: Head, A: Activation> Clone for Mlp<I, HIDDEN, O, A> {
    fn clone(&self) -> Self {
        Self {
            input: self.input.clone(),
            output: self.output.clone(),
            activation: PhantomData,
        }
    }
}

impl<I: Input, const HIDDEN: usize, O: Head, A: Activation> PartialEq for Mlp<I, HIDDEN, O, A> {
    fn eq(&self, other: &Self) -> bool {
        self.input == other.input && self.output == other.output
    }
}

impl<I: Input, const HIDDEN: usize, O: Head, A: Activation> fmt::Debug for Mlp<I, HIDDEN, O, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mlp")
            .field("network", &Self::NETWORK)
            .finish_non_exhaustive()
    }
}
