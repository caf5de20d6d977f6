//! A model's type as plain data: its shape, and the functions it applies.
//!
//! The types check shapes while a program is compiled; put together, they hand everything else a [`ModelSpec`].

use super::activation::ActivationKind;
use crate::simd::LANES;

/// Padded parameters are a multiple of this many vectors, which an update takes together: independent accumulators for the
/// test for finite numbers, since a single one would be bound by the latency of its additions.
pub(crate) const ACCUMULATORS: usize = 8;

/// Most outputs of a [narrow](LayerSpec::is_narrow) layer.
pub(crate) const NARROW_OUTPUTS: usize = 4;

/// What a model takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputSpec {
    /// `context` tokens of a vocabulary, each looked up in a table of `embed` numbers.
    Tokens {
        vocab: usize,
        context: usize,
        embed: usize,
        /// [`COUNT`](super::Symbol::COUNT) of what a token is.
        symbols: usize,
    },
    /// `features` numbers.
    Dense { features: usize },
}

/// A hidden layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HiddenSpec {
    pub(crate) width: usize,
    pub(crate) activation: ActivationKind,
}

/// What the outputs mean, and the loss that follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadKind {
    /// Classes; cross-entropy of the softmax.
    Softmax,
    /// Numbers; mean squared error.
    SquaredError,
    /// Numbers; mean of Huber's loss.
    Huber,
    /// One logit; cross-entropy of the logistic function.
    Logistic,
}

/// The head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadSpec {
    pub(crate) kind: HeadKind,
    pub(crate) outputs: usize,
    /// [`COUNT`](super::Symbol::COUNT) of what a class is; of no meaning for a head of numbers.
    pub(crate) symbols: usize,
}

/// Shape and functions of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelSpec {
    pub(crate) input: InputSpec,
    /// The hidden layers, at least one, first to last.
    pub(crate) hidden: &'static [HiddenSpec],
    pub(crate) head: HeadSpec,
    /// Vectors of all parameters in the padded storage: the embedding, then the layers. Kept, because kernels want it as a
    /// constant.
    pub(crate) used_vectors: usize,
}

/// What the inputs of a dense layer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayerInput {
    /// Embeddings, which are parameters themselves.
    Embeddings,
    /// Features of the data.
    Features,
    /// Neurons with this activation.
    Hidden(ActivationKind),
}

impl LayerInput {
    /// Whether the slope of their activation is stored.
    pub(crate) const fn stores_slope(self) -> bool {
        match self {
            Self::Hidden(activation) => activation.stores_slope(),
            Self::Embeddings | Self::Features => false,
        }
    }
}

/// A dense layer: `inputs × outputs` weights, and a bias for each output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerSpec {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) input: LayerInput,
    /// What is applied to the outputs; nothing in the last layer, whose outputs are the head's.
    pub(crate) activation: Option<ActivationKind>,
}

impl InputSpec {
    /// Width of the first layer's input.
    pub(crate) const fn width(self) -> usize {
        match self {
            Self::Tokens { context, embed, .. } => context * embed,
            Self::Dense { features } => features,
        }
    }

    /// Tokens or features of one example.
    pub(crate) const fn example_len(self) -> usize {
        match self {
            Self::Tokens { context, .. } => context,
            Self::Dense { features } => features,
        }
    }

    /// Tokens that the input knows; 0 for an input of features.
    pub(crate) const fn vocabulary(self) -> usize {
        match self {
            Self::Tokens { vocab, .. } => vocab,
            Self::Dense { .. } => 0,
        }
    }

    /// Vectors of the embedding table, which is padded at its end only.
    pub(crate) const fn embedding_vectors(self) -> usize {
        match self {
            Self::Tokens { vocab, embed, .. } => (vocab * embed).div_ceil(LANES),
            Self::Dense { .. } => 0,
        }
    }
}

impl HeadSpec {
    /// Classes that a target may be; 0 for a head of numbers.
    pub(crate) const fn classes(self) -> usize {
        match self.kind {
            HeadKind::Softmax => self.outputs,
            HeadKind::Logistic => 2,
            HeadKind::SquaredError | HeadKind::Huber => 0,
        }
    }
}

impl LayerSpec {
    /// The layer between the input and the first hidden neurons.
    pub(crate) const fn first(input: InputSpec, hidden: HiddenSpec) -> Self {
        Self {
            inputs: input.width(),
            outputs: hidden.width,
            input: match input {
                InputSpec::Tokens { .. } => LayerInput::Embeddings,
                InputSpec::Dense { .. } => LayerInput::Features,
            },
            activation: Some(hidden.activation),
        }
    }

    /// The layer between two rows of hidden neurons.
    pub(crate) const fn between(before: HiddenSpec, after: HiddenSpec) -> Self {
        Self {
            inputs: before.width,
            outputs: after.width,
            input: LayerInput::Hidden(before.activation),
            activation: Some(after.activation),
        }
    }

    /// The layer between the last hidden neurons and the outputs.
    pub(crate) const fn last(hidden: HiddenSpec, head: HeadSpec) -> Self {
        Self {
            inputs: hidden.width,
            outputs: head.outputs,
            input: LayerInput::Hidden(hidden.activation),
            activation: None,
        }
    }

    /// Whether the slope of its activation is stored.
    pub(crate) const fn stores_slope(self) -> bool {
        match self.activation {
            Some(activation) => activation.stores_slope(),
            None => false,
        }
    }

    /// Whether it is the last layer and has so few outputs that vectors of them would be all but empty. Its weights are
    /// stored `[output][input]`, those of others `[input][output]`.
    #[inline(always)]
    pub(crate) const fn is_narrow(self) -> bool {
        self.outputs <= NARROW_OUTPUTS && self.activation.is_none()
    }

    /// Rows of the stored weights: one for each input, or for each output of a narrow layer.
    #[inline(always)]
    pub(crate) const fn weight_rows(self) -> usize {
        if self.is_narrow() {
            self.outputs
        } else {
            self.inputs
        }
    }

    /// Vectors of a row of the stored weights.
    #[inline(always)]
    pub(crate) const fn row_vectors(self) -> usize {
        if self.is_narrow() {
            self.inputs.div_ceil(LANES)
        } else {
            self.outputs.div_ceil(LANES)
        }
    }

    /// Vectors of the weights.
    #[inline(always)]
    pub(crate) const fn weight_vectors(self) -> usize {
        self.weight_rows() * self.row_vectors()
    }

    /// Vectors of the bias, and of anything else that has a number for each output.
    #[inline(always)]
    pub(crate) const fn output_vectors(self) -> usize {
        self.outputs.div_ceil(LANES)
    }

    /// Vectors of the parameters: the weights, then the bias.
    #[inline(always)]
    pub(crate) const fn vectors(self) -> usize {
        self.weight_vectors() + self.output_vectors()
    }
}

impl ModelSpec {
    /// A model of these parts.
    pub(crate) const fn new(
        input: InputSpec,
        hidden: &'static [HiddenSpec],
        head: HeadSpec,
    ) -> Self {
        let mut spec = Self {
            input,
            hidden,
            head,
            used_vectors: input.embedding_vectors(),
        };
        let mut index = 0;
        while index <= hidden.len() {
            spec.used_vectors += spec.layer(index).vectors();
            index += 1;
        }
        spec
    }

    /// The dense layers, first to last: one more than there are hidden ones.
    pub(crate) fn layers(self) -> impl DoubleEndedIterator<Item = LayerSpec> + ExactSizeIterator {
        (0..self.hidden.len() + 1).map(move |index| self.layer(index))
    }

    const fn layer(self, index: usize) -> LayerSpec {
        if index == 0 {
            LayerSpec::first(self.input, self.hidden[0])
        } else if index < self.hidden.len() {
            LayerSpec::between(self.hidden[index - 1], self.hidden[index])
        } else {
            LayerSpec::last(self.hidden[index - 1], self.head)
        }
    }

    /// Vectors of the padded storage of all parameters: rounded up to a multiple of [`ACCUMULATORS`].
    pub(crate) const fn parameter_vectors(self) -> usize {
        self.used_vectors.next_multiple_of(ACCUMULATORS)
    }
}
