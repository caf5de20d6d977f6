//! The model: parameters in their exact shapes.

use core::fmt;
use core::fmt::Debug;

use super::head::{Head, Softmax};
use super::hidden::{HiddenLayers, Tanh};
use super::input::{Input, Tokens};
use super::parameters::Parameters;
use super::sealed::Sealed;
use super::spec::ModelSpec;
use super::tensor::Tensor;

/// The name model of Bengio et al. (2003), as taught in makemore part 2: three characters of a vocabulary of 27, embedded
/// in two numbers each, 100 tanh neurons, a softmax over 27. It has 3,481 parameters.
pub type NameModel = Mlp<Tokens<27, 3, 2>, Tanh<100>, Softmax<27>>;

/// A model type: what a [`Trainer`](crate::Trainer) needs to know of an [`Mlp`]. Implemented by nothing else.
pub trait Model: Sealed + Clone + Debug + Send + Sync + 'static {
    /// What it takes in.
    type Input: Input;
    /// Its hidden layers.
    type Hidden: HiddenLayers;
    /// What it gives out.
    type Head: Head;

    #[doc(hidden)]
    const SPEC: ModelSpec;

    /// All parameters zero.
    #[must_use]
    fn zeroed() -> Self;

    /// Every [tensor](Tensor) with its elements, row-major, in storage order: the embedding if there is one, then weights
    /// and bias of each layer, first to last.
    fn tensors(&self) -> impl Iterator<Item = (Tensor, &[f32])>;

    /// As [`tensors`](Model::tensors), for writing.
    fn tensors_mut(&mut self) -> impl Iterator<Item = (Tensor, &mut [f32])>;
}

/// One example's input, for a model type.
pub type ExampleOf<M> = <<M as Model>::Input as Input>::Example;
/// One example's target, for a model type.
pub type TargetOf<M> = <<M as Model>::Head as Head>::Target;
/// One example's prediction, for a model type.
pub type PredictionOf<M> = <<M as Model>::Head as Head>::Prediction;
/// One example's outputs of the last layer, for a model type: logits, or numbers. The type is that of the prediction.
pub type OutputsOf<M> = PredictionOf<M>;

/// A multi-layer perceptron with one to eight hidden layers.
///
/// ```text
/// a₀ = input of the example            embeddings of the context one after another, or features
/// aₗ = activationₗ(bₗ + Wₗᵀ · aₗ₋₁)     [HIDDENₗ]       for each hidden layer l = 1 … L
/// z  = b + Wᵀ · a_L                    [OUTPUTS]       logits, or numbers
/// ```
///
/// with W₁ `[INPUTS, HIDDEN₁]`, Wₗ `[HIDDENₗ₋₁, HIDDENₗ]` and W `[HIDDEN_L, OUTPUTS]`. The parameters are nalgebra matrices of
/// exactly these shapes, on the heap. A [`Trainer`](crate::Trainer) keeps its own padded copy and gives the model back.
///
/// ```
/// use fused_mlp::{Dense, Mlp, NameModel, Regression, Relu, SeedableRng, Tanh, Xoshiro256PlusPlus};
///
/// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
/// let names = NameModel::standard_normal(&mut rng);
/// assert_eq!(names.parameter_count(), 3_481);
///
/// type Curve = Mlp<Dense<8>, (Relu<64>, Tanh<16>), Regression<1>>;
/// let curve = Curve::fan_in_scaled(&mut rng);
/// assert_eq!(curve.between.0.weights.shape(), (16, 64));
/// let [y] = curve.predict(&[0.5; 8])?;
/// assert!(y.is_finite());
/// # Ok::<(), fused_mlp::Error>(())
/// ```
pub struct Mlp<I: Input, L: HiddenLayers, O: Head> {
    /// Everything between the input and the first hidden layer.
    pub input: L::First<I>,
    /// The layers between each hidden layer and the next, a tuple of [`DenseLayer`](crate::model::DenseLayer)s: `between.0`,
    /// `between.1`, …; empty if there is one hidden layer.
    pub between: L::Between,
    /// Everything between the last hidden layer and the outputs.
    pub output: L::Last<O>,
}

impl<I: Input, L: HiddenLayers, O: Head> Sealed for Mlp<I, L, O> {}

impl<I: Input, L: HiddenLayers, O: Head> Model for Mlp<I, L, O> {
    type Input = I;
    type Hidden = L;
    type Head = O;

    const SPEC: ModelSpec = ModelSpec::new(I::SPEC, L::LAYERS, O::SPEC);

    fn zeroed() -> Self {
        Self {
            input: Parameters::zeroed(),
            between: Parameters::zeroed(),
            output: Parameters::zeroed(),
        }
    }

    fn tensors(&self) -> impl Iterator<Item = (Tensor, &[f32])> {
        let values = self.input.values().chain(self.between.values());
        Self::SPEC.tensors().zip(values.chain(self.output.values()))
    }

    fn tensors_mut(&mut self) -> impl Iterator<Item = (Tensor, &mut [f32])> {
        let values = self.input.values_mut().chain(self.between.values_mut());
        Self::SPEC
            .tensors()
            .zip(values.chain(self.output.values_mut()))
    }
}

impl<I: Input, L: HiddenLayers, O: Head> Mlp<I, L, O> {
    /// Number of parameters.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        Self::SPEC.parameter_count()
    }
}

impl<I: Input, L: HiddenLayers, O: Head> Clone for Mlp<I, L, O> {
    fn clone(&self) -> Self {
        Self {
            input: self.input.clone(),
            between: self.between.clone(),
            output: self.output.clone(),
        }
    }
}

impl<I: Input, L: HiddenLayers, O: Head> PartialEq for Mlp<I, L, O> {
    fn eq(&self, other: &Self) -> bool {
        self.input == other.input && self.between == other.between && self.output == other.output
    }
}

impl<I: Input, L: HiddenLayers, O: Head> Debug for Mlp<I, L, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mlp")
            .field("spec", &Self::SPEC)
            .finish_non_exhaustive()
    }
}
