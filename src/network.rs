//! A model's type as plain data: what the kernels know of it.
//!
//! The types of [`architecture`](crate::architecture) check shapes while a program is compiled; put together, they hand the
//! kernels a [`Network`], and batches as flat slices.

use core::ops::Range;

use crate::error::Error;
use crate::simd::LANES;

/// Padded parameters are a multiple of this many vectors, which an update takes together: independent chains for the test for
/// finite numbers, since one chain would be as slow as the latency of its additions.
pub(crate) const CHAINS: usize = 8;

/// The first layer's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// `context` tokens of a vocabulary, each looked up in a table of `embed` numbers.
    Tokens {
        vocab: usize,
        context: usize,
        embed: usize,
    },
    /// `features` numbers.
    Dense { features: usize },
}

/// The activation of the hidden layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivationKind {
    Tanh,
    Relu,
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

/// Shapes and functions of a model with one hidden layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub(crate) input: InputKind,
    pub(crate) hidden: usize,
    pub(crate) activation: ActivationKind,
    pub(crate) outputs: usize,
    pub(crate) head: HeadKind,
}

/// One tensor of a model: `rows × columns`, row-major, in the model's own exact shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub(crate) name: &'static str,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// First element in the padded storage.
    pub(crate) start: usize,
    /// Elements from row to row in the padded storage.
    pub(crate) stride: usize,
}

impl Tensor {
    /// Where a row stands in the padded storage.
    pub(crate) fn row(self, row: usize) -> Range<usize> {
        let start = self.start + row * self.stride;
        start..start + self.columns
    }
}

impl Network {
    /// Width of the first layer's input.
    pub(crate) const fn inputs(self) -> usize {
        match self.input {
            InputKind::Tokens { context, embed, .. } => context * embed,
            InputKind::Dense { features } => features,
        }
    }

    /// Tokens or numbers that one example's input has.
    pub(crate) const fn input_width(self) -> usize {
        match self.input {
            InputKind::Tokens { context, .. } => context,
            InputKind::Dense { features } => features,
        }
    }

    /// Classes that a target may be; 0 for a head of numbers.
    pub(crate) const fn classes(self) -> usize {
        match self.head {
            HeadKind::Softmax => self.outputs,
            HeadKind::Logistic => 2,
            HeadKind::SquaredError | HeadKind::Huber => 0,
        }
    }

    /// Tokens that the input knows; 0 for an input of numbers.
    pub(crate) const fn vocabulary(self) -> usize {
        match self.input {
            InputKind::Tokens { vocab, .. } => vocab,
            InputKind::Dense { .. } => 0,
        }
    }

    /// Vectors of a row of neurons.
    pub(crate) const fn hidden_vectors(self) -> usize {
        self.hidden.div_ceil(LANES)
    }

    /// Vectors of a row of outputs.
    pub(crate) const fn output_vectors(self) -> usize {
        self.outputs.div_ceil(LANES)
    }

    /// Vectors of the embedding table, which is not padded but at its end.
    pub(crate) const fn embedding_vectors(self) -> usize {
        match self.input {
            InputKind::Tokens { vocab, embed, .. } => (vocab * embed).div_ceil(LANES),
            InputKind::Dense { .. } => 0,
        }
    }

    /// Vectors of the first layer: a row of weights for each input, then the bias.
    pub(crate) const fn first_layer_vectors(self) -> usize {
        (self.inputs() + 1) * self.hidden_vectors()
    }

    /// Vectors of the second layer: a row of weights for each neuron, then the bias.
    pub(crate) const fn second_layer_vectors(self) -> usize {
        (self.hidden + 1) * self.output_vectors()
    }

    /// Vectors of all parameters in the padded storage: embedding, first layer, second layer, and what rounds them up to a
    /// multiple of [`CHAINS`].
    pub(crate) const fn parameter_vectors(self) -> usize {
        let vectors =
            self.embedding_vectors() + self.first_layer_vectors() + self.second_layer_vectors();
        vectors.next_multiple_of(CHAINS)
    }

    /// The tensors in storage order; a model of numbers has no embedding.
    pub(crate) fn tensors(self) -> impl Iterator<Item = Tensor> {
        let embedding = match self.input {
            InputKind::Tokens { vocab, embed, .. } => Some(Tensor {
                name: "embedding",
                rows: vocab,
                columns: embed,
                start: 0,
                stride: embed,
            }),
            InputKind::Dense { .. } => None,
        };
        let first = self.embedding_vectors() * LANES;
        let second = first + self.first_layer_vectors() * LANES;
        let layer = |names: [&'static str; 2], rows, columns: usize, start| {
            let stride = columns.next_multiple_of(LANES);
            [
                Tensor {
                    name: names[0],
                    rows,
                    columns,
                    start,
                    stride,
                },
                Tensor {
                    name: names[1],
                    rows: 1,
                    columns,
                    start: start + rows * stride,
                    stride,
                },
            ]
        };
        embedding
            .into_iter()
            .chain(layer(
                ["hidden_weights", "hidden_bias"],
                self.inputs(),
                self.hidden,
                first,
            ))
            .chain(layer(
                ["output_weights", "output_bias"],
                self.hidden,
                self.outputs,
                second,
            ))
    }

    /// Refuses a batch with a token, class or number that the model cannot take.
    #[inline]
    pub(crate) fn check(self, batch: Batch<'_>) -> Result<(), Error> {
        self.check_inputs(batch.inputs)?;
        match batch.targets {
            Targets::Classes(classes) => {
                match classes
                    .iter()
                    .position(|&c| usize::from(c) >= self.classes())
                {
                    Some(example) => Err(Error::ClassOutOfRange {
                        example,
                        class: classes[example],
                        classes: self.classes(),
                    }),
                    None => Ok(()),
                }
            }
            Targets::Values(values) => check_finite("target", values, self.outputs),
        }
    }

    /// The part of [`check`](Self::check) that concerns the inputs.
    #[inline]
    pub(crate) fn check_inputs(self, inputs: Inputs<'_>) -> Result<(), Error> {
        let width = self.input_width();
        match inputs {
            Inputs::Tokens(tokens) => {
                let vocabulary = self.vocabulary();
                match tokens.iter().position(|&t| usize::from(t) >= vocabulary) {
                    Some(place) => Err(Error::TokenOutOfRange {
                        example: place / width,
                        position: place % width,
                        token: tokens[place],
                        vocabulary,
                    }),
                    None => Ok(()),
                }
            }
            Inputs::Features(features) => check_finite("input", features, width),
        }
    }
}

/// Where the first NaN or infinity stands.
#[inline]
pub(crate) fn first_non_finite(values: &[f32]) -> Option<usize> {
    // Without a way out before the end, the usual test vectorises.
    if values
        .iter()
        .fold(true, |finite, value| finite & value.is_finite())
    {
        return None;
    }
    values.iter().position(|value| !value.is_finite())
}

#[inline]
fn check_finite(what: &'static str, values: &[f32], width: usize) -> Result<(), Error> {
    match first_non_finite(values) {
        Some(place) => Err(Error::NonFiniteData {
            what,
            example: place / width,
            position: place % width,
            value: values[place],
        }),
        None => Ok(()),
    }
}

/// Inputs of a batch, one example after another.
#[derive(Clone, Copy, Debug)]
pub enum Inputs<'a> {
    Tokens(&'a [u8]),
    Features(&'a [f32]),
}

/// Targets of a batch, one example after another.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    Classes(&'a [u8]),
    Values(&'a [f32]),
}

/// A batch of `len` examples, already checked against the network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) len: usize,
    pub(crate) inputs: Inputs<'a>,
    pub(crate) targets: Targets<'a>,
}

impl Batch<'_> {
    /// Refuses numbers that are not finite; for a data set, which does not know its model yet.
    pub(crate) fn check_finite(self) -> Result<(), Error> {
        if let Inputs::Features(features) = self.inputs {
            check_finite("input", features, features.len() / self.len)?;
        }
        if let Targets::Values(values) = self.targets {
            check_finite("target", values, values.len() / self.len)?;
        }
        Ok(())
    }
}

impl Inputs<'_> {
    /// Examples `start .. start + len`.
    #[inline(always)]
    pub(crate) fn slice(self, network: Network, start: usize, len: usize) -> Self {
        let width = network.input_width();
        match self {
            Self::Tokens(tokens) => Self::Tokens(&tokens[start * width..][..len * width]),
            Self::Features(features) => Self::Features(&features[start * width..][..len * width]),
        }
    }
}

impl Targets<'_> {
    /// Examples `start .. start + len`.
    #[inline(always)]
    pub(crate) fn slice(self, network: Network, start: usize, len: usize) -> Self {
        match self {
            Self::Classes(classes) => Self::Classes(&classes[start..][..len]),
            Self::Values(values) => {
                Self::Values(&values[start * network.outputs..][..len * network.outputs])
            }
        }
    }
}
