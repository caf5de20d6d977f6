//! What a model gives out, and the loss that it is trained with.

use core::fmt::Debug;
use core::marker::PhantomData;

use super::batch::Target;
use super::parameters::{DenseLayer, Parameters};
use super::sealed::Sealed;
use super::spec::{HeadKind, HeadSpec};
use super::symbol::Symbol;

/// What a model gives out, and the loss that it is trained with: [`Softmax`], [`Regression`] or [`Binary`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a head of a model",
    note = "the third parameter of `Mlp` is `Softmax<CLASSES>`, `Regression<OUTPUTS>` or `Binary`"
)]
pub trait Head: Sealed + Debug + Clone + Copy + Send + Sync + 'static {
    /// One example's target.
    type Target: Target;

    /// One example's prediction: class probabilities, the probability of yes, or numbers.
    type Prediction: AsRef<[f32]> + AsMut<[f32]> + Copy + Debug + PartialEq + Send + Sync;

    /// The parameters between `HIDDEN` neurons and the outputs.
    type Layer<const HIDDEN: usize>: Parameters;

    /// A prediction of zeros, to be written to.
    #[doc(hidden)]
    fn blank() -> Self::Prediction;

    /// Their numbers, one prediction after another.
    #[doc(hidden)]
    fn flatten(predictions: &mut [Self::Prediction]) -> &mut [f32];

    #[doc(hidden)]
    const SPEC: HeadSpec;
}

/// `CLASSES` classes; the loss is the cross-entropy of the softmax, in nats:
/// `ln Σ_v e^(z_v) − z_y`, averaged over the batch. The prediction is the probability of each class, `[CLASSES]`.
///
/// A class is a `u8`, so there are at most 256; with `Softmax<CLASSES, u16>` there may be 65,536.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Softmax<const CLASSES: usize, Class: Symbol = u8>(PhantomData<Class>);

/// `OUTPUTS` numbers; the loss is [`SquaredError`], or [`Huber`]'s if named, averaged over outputs and batch. The prediction is
/// the numbers z themselves, `[OUTPUTS]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Regression<const OUTPUTS: usize, L: RegressionLoss = SquaredError>(PhantomData<L>);

/// One yes or no; the loss is the cross-entropy of the logistic function, in nats: `ln(1 + e^z) − y·z`, averaged over the
/// batch. The prediction is the probability of yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binary;

/// `(z − y)²`, PyTorch's `mse_loss`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SquaredError;

/// Huber's loss with δ = 1, PyTorch's `huber_loss`: `½(z − y)²` where |z − y| ≤ 1, and `|z − y| − ½` beyond, so that an
/// outlier pulls no harder than a unit error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Huber;

/// What a [`Regression`] minimises: [`SquaredError`] or [`Huber`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a loss of a regression",
    note = "the second parameter of `Regression` is `SquaredError` (the default) or `Huber`"
)]
pub trait RegressionLoss:
    Sealed + Debug + Clone + Copy + PartialEq + Send + Sync + 'static
{
    #[doc(hidden)]
    const KIND: HeadKind;
}

/// A head of classes: [`Softmax`] or [`Binary`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not predict classes",
    note = "a head of classes is `Softmax<CLASSES>` or `Binary`"
)]
pub trait Classifier: Head {
    /// Number of classes; 2 for yes or no.
    const CLASSES: usize;

    /// The class with the largest logit, the first of them if several are equal.
    #[doc(hidden)]
    fn likeliest(logits: &Self::Prediction) -> usize;
    #[doc(hidden)]
    fn class_of(target: &Self::Target) -> usize;
}

impl<const CLASSES: usize, Class: Symbol + Target> Classifier for Softmax<CLASSES, Class> {
    const CLASSES: usize = CLASSES;

    fn likeliest(logits: &[f32; CLASSES]) -> usize {
        largest(logits)
    }

    fn class_of(&target: &Class) -> usize {
        target.into()
    }
}

impl Classifier for Binary {
    const CLASSES: usize = 2;

    fn likeliest(&[logit]: &[f32; 1]) -> usize {
        usize::from(logit > 0.0)
    }

    fn class_of(&target: &bool) -> usize {
        usize::from(target)
    }
}

/// The index of the largest value, the first of them if several are equal.
pub(crate) fn largest(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, &value) in values.iter().enumerate() {
        if value > values[best] {
            best = index;
        }
    }
    best
}

impl Sealed for SquaredError {}
impl RegressionLoss for SquaredError {
    const KIND: HeadKind = HeadKind::SquaredError;
}

impl Sealed for Huber {}
impl RegressionLoss for Huber {
    const KIND: HeadKind = HeadKind::Huber;
}

impl<const CLASSES: usize, Class: Symbol> Sealed for Softmax<CLASSES, Class> {}
impl<const CLASSES: usize, Class: Symbol + Target> Head for Softmax<CLASSES, Class> {
    type Target = Class;
    type Prediction = [f32; CLASSES];
    type Layer<const HIDDEN: usize> = DenseLayer<HIDDEN, CLASSES>;

    fn blank() -> [f32; CLASSES] {
        [0.0; CLASSES]
    }

    fn flatten(predictions: &mut [[f32; CLASSES]]) -> &mut [f32] {
        predictions.as_flattened_mut()
    }

    const SPEC: HeadSpec = {
        assert!(CLASSES > 1, "a softmax needs at least two classes");
        assert!(
            CLASSES <= Class::COUNT,
            "a softmax has at most 256 classes of type u8, or 65,536 of type u16"
        );
        HeadSpec {
            kind: HeadKind::Softmax,
            outputs: CLASSES,
            symbols: Class::COUNT,
        }
    };
}

impl<const OUTPUTS: usize, L: RegressionLoss> Sealed for Regression<OUTPUTS, L> {}
impl<const OUTPUTS: usize, L: RegressionLoss> Head for Regression<OUTPUTS, L> {
    type Target = [f32; OUTPUTS];
    type Prediction = [f32; OUTPUTS];
    type Layer<const HIDDEN: usize> = DenseLayer<HIDDEN, OUTPUTS>;

    fn blank() -> [f32; OUTPUTS] {
        [0.0; OUTPUTS]
    }

    fn flatten(predictions: &mut [[f32; OUTPUTS]]) -> &mut [f32] {
        predictions.as_flattened_mut()
    }

    const SPEC: HeadSpec = {
        assert!(OUTPUTS > 0, "a regression needs at least one output");
        HeadSpec {
            kind: L::KIND,
            outputs: OUTPUTS,
            symbols: 0,
        }
    };
}

impl Sealed for Binary {}
impl Head for Binary {
    type Target = bool;
    type Prediction = [f32; 1];
    type Layer<const HIDDEN: usize> = DenseLayer<HIDDEN, 1>;

    fn blank() -> [f32; 1] {
        [0.0]
    }

    fn flatten(predictions: &mut [[f32; 1]]) -> &mut [f32] {
        predictions.as_flattened_mut()
    }

    const SPEC: HeadSpec = HeadSpec {
        kind: HeadKind::Logistic,
        outputs: 1,
        symbols: u8::COUNT,
    };
}
