//! The tensors of a model: which there are, what they are called, and their shapes.

use super::spec::{InputSpec, ModelSpec};

/// What a tensor is in its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The table of embeddings, `[VOCAB, EMBED]`; it belongs to layer 0.
    Embedding,
    /// The weights of a dense layer, `[INPUTS, OUTPUTS]`.
    Weights,
    /// The bias of a dense layer, `[1, OUTPUTS]`.
    Bias,
}

/// One tensor of a model: `[rows, columns]`, row-major.
///
/// | name | layer | shape |
/// |---|---|---|
/// | `embedding`, of a model of [`Tokens`](crate::Tokens) alone | 0 | `[VOCAB, EMBED]` |
/// | `hidden_weights`, `hidden_bias` | 0 | `[INPUTS, HIDDEN]`, `[1, HIDDEN]` |
/// | `hidden2_weights`, `hidden2_bias`, and so on up to `hidden8_…` | 1 … | `[HIDDEN, HIDDEN2]`, `[1, HIDDEN2]` |
/// | `output_weights`, `output_bias` | number of hidden layers | `[HIDDEN of the last, OUTPUTS]`, `[1, OUTPUTS]` |
///
/// with INPUTS = `CONTEXT · EMBED`, or `FEATURES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tensor {
    /// Its name, unique in the model.
    pub name: &'static str,
    /// The dense layer that it belongs to, from 0.
    pub layer: usize,
    /// What it is there.
    pub role: Role,
    /// Rows: tokens, inputs of the layer, or 1 for a bias.
    pub rows: usize,
    /// Columns: dimensions of an embedding, or outputs of the layer.
    pub columns: usize,
}

impl Tensor {
    /// Number of elements.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a tensor is never empty")]
    pub const fn len(self) -> usize {
        self.rows * self.columns
    }
}

/// Names of weights and bias of each hidden layer.
const HIDDEN_NAMES: [[&str; 2]; 8] = [
    ["hidden_weights", "hidden_bias"],
    ["hidden2_weights", "hidden2_bias"],
    ["hidden3_weights", "hidden3_bias"],
    ["hidden4_weights", "hidden4_bias"],
    ["hidden5_weights", "hidden5_bias"],
    ["hidden6_weights", "hidden6_bias"],
    ["hidden7_weights", "hidden7_bias"],
    ["hidden8_weights", "hidden8_bias"],
];

const OUTPUT_NAMES: [&str; 2] = ["output_weights", "output_bias"];

impl ModelSpec {
    /// Number of parameters.
    pub(crate) fn parameter_count(self) -> usize {
        self.tensors().map(|tensor| tensor.len()).sum()
    }

    /// The tensors in storage order.
    pub(crate) fn tensors(self) -> impl Iterator<Item = Tensor> {
        let embedding = match self.input {
            InputSpec::Tokens { vocab, embed, .. } => Some(Tensor {
                name: "embedding",
                layer: 0,
                role: Role::Embedding,
                rows: vocab,
                columns: embed,
            }),
            InputSpec::Dense { .. } => None,
        };
        let layers = self.layers().enumerate().flat_map(move |(layer, spec)| {
            let names = if layer < self.hidden.len() {
                HIDDEN_NAMES[layer]
            } else {
                OUTPUT_NAMES
            };
            let tensor = |name, role, rows| Tensor {
                name,
                layer,
                role,
                rows,
                columns: spec.outputs,
            };
            [
                tensor(names[0], Role::Weights, spec.inputs),
                tensor(names[1], Role::Bias, 1),
            ]
        });
        embedding.into_iter().chain(layers)
    }
}
