//! What the tensors of a model are called in a file, and which way round they lie there.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{named, refuse};
use crate::error::Error;
use crate::network::{Network, Tensor};

/// One tensor's place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name there.
    pub name: String,
    /// Whether its rows are this crate's columns. A bias has one dimension in a file, so this changes nothing for it.
    pub is_transposed: bool,
}

/// The names and layouts of a model's tensors in a file.
///
/// | tensor | shape in the model | [`makemore`](Keys::makemore) | [`linear`](Keys::linear) |
/// |---|---|---|---|
/// | embedding | `[VOCAB, EMBED]` | `C` | `….weight` |
/// | hidden weights | `[INPUTS, HIDDEN]` | `W1` | `….weight`, transposed |
/// | hidden bias | `[HIDDEN]` | `b1` | `….bias` |
/// | output weights | `[HIDDEN, OUTPUTS]` | `W2` | `….weight`, transposed |
/// | output bias | `[OUTPUTS]` | `b2` | `….bias` |
///
/// INPUTS is `CONTEXT · EMBED`, or the number of features. A model of [`Dense`](crate::Dense) inputs has no embedding, and
/// that key is not looked at. The shape of a square matrix does not tell which way round it lies: there the keys alone say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The embedding table.
    pub embedding: Key,
    /// Weights from the inputs to the neurons.
    pub hidden_weights: Key,
    /// The neurons' biases.
    pub hidden_bias: Key,
    /// Weights from the neurons to the outputs.
    pub output_weights: Key,
    /// The outputs' biases.
    pub output_bias: Key,
    /// Whether a file may have tensors that the model has not. They are not read.
    pub ignores_others: bool,
}

impl Keys {
    /// `C, W1, b1, W2, b2`, as in makemore part 2.
    #[must_use]
    pub fn makemore() -> Self {
        Self::plain(["C", "W1", "b1", "W2", "b2"].map(String::from))
    }

    /// The `state_dict` of a PyTorch module with one `nn.Embedding` and two `nn.Linear` of these names. `nn.Linear` keeps its
    /// weights `[out, in]`. Those of an `nn.Sequential` are called `"0"`, `"1"` and so on.
    #[must_use]
    pub fn linear(embedding: &str, hidden: &str, output: &str) -> Self {
        let mut keys = Self::plain([
            format!("{embedding}.weight"),
            format!("{hidden}.weight"),
            format!("{hidden}.bias"),
            format!("{output}.weight"),
            format!("{output}.bias"),
        ]);
        keys.hidden_weights.is_transposed = true;
        keys.output_weights.is_transposed = true;
        keys
    }

    /// The same with something before every name: `"model."`, say.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        for key in [
            &mut self.embedding,
            &mut self.hidden_weights,
            &mut self.hidden_bias,
            &mut self.output_weights,
            &mut self.output_bias,
        ] {
            key.name.insert_str(0, prefix);
        }
        self
    }

    /// The same, for files that have other tensors too.
    #[must_use]
    pub fn ignoring_others(mut self) -> Self {
        self.ignores_others = true;
        self
    }

    /// None of them transposed.
    fn plain(names: [String; 5]) -> Self {
        let [
            embedding,
            hidden_weights,
            hidden_bias,
            output_weights,
            output_bias,
        ] = names.map(|name| Key {
            name,
            is_transposed: false,
        });
        Self {
            embedding,
            hidden_weights,
            hidden_bias,
            output_weights,
            output_bias,
            ignores_others: false,
        }
    }

    /// The tensors of a model with their keys, in storage order.
    pub(super) fn of(&self, network: Network) -> impl Iterator<Item = Keyed<'_>> {
        let all = [
            &self.embedding,
            &self.hidden_weights,
            &self.hidden_bias,
            &self.output_weights,
            &self.output_bias,
        ];
        // A model of numbers lacks the first.
        let absent = all.len() - network.tensors().count();
        let present = all.into_iter().skip(absent);
        network
            .tensors()
            .zip(present)
            .map(|(tensor, key)| Keyed { tensor, key })
    }
}

/// A tensor of a model with its place in a file.
#[derive(Clone, Copy)]
pub(super) struct Keyed<'a> {
    tensor: Tensor,
    pub(super) key: &'a Key,
}

impl Keyed<'_> {
    /// Its shape in the file.
    pub(super) fn shape(self) -> Vec<usize> {
        let Tensor {
            name,
            rows,
            columns,
            ..
        } = self.tensor;
        if name.ends_with("_bias") {
            vec![columns]
        } else if self.key.is_transposed {
            vec![columns, rows]
        } else {
            vec![rows, columns]
        }
    }

    /// Which element of the model's tensor the element at this place of the file's is.
    pub(super) fn in_model(self, place: usize) -> usize {
        let Tensor { rows, columns, .. } = self.tensor;
        if self.key.is_transposed {
            place % rows * columns + place / rows
        } else {
            place
        }
    }

    /// Refuses an element at this place of the file's tensor that is not a finite number.
    pub(super) fn check_finite(self, place: usize, value: f32) -> Result<(), Error> {
        if value.is_finite() {
            return Ok(());
        }
        let index = match self.shape()[..] {
            [_, columns] => vec![place / columns, place % columns],
            _ => vec![place],
        };
        let what = format!("{} at {index:?}", named(&self.key.name));
        Err(refuse(what, "a finite number", value))
    }
}
