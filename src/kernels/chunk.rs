//! The examples that are worked on together, and working storage for them.

use super::buffer::Buffer;
use crate::network::Network;
use crate::simd::LANES;

/// Examples of a chunk.
pub(crate) const CHUNK: usize = HALVES * LANES;

/// Vectors of a row of one feature, a [`Pair`](crate::simd::Pair).
pub(crate) const HALVES: usize = 2;

/// Features of a panel: what is transposed at a time is a chunk of examples of so many features.
pub(crate) const PANEL: usize = HALVES * LANES;

/// Room for the activations of one chunk and their gradients; in brackets what one example has there.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    /// `[input][example]`: x, later d_x [x, of tokens].
    pub(crate) x: Buffer,
    /// `[neuron][example]`: h, later d_z [h].
    pub(crate) hidden: Buffer,
    /// `[output][example]`: logits, later their gradient [nothing].
    pub(crate) outputs: Buffer,
    /// `[example][feature]`: the inputs or their gradient in panels, or a panel of the gradient of outputs or neurons [d_x].
    pub(crate) columns: Buffer,
    /// `[token][dimension]`: the gradient of the embedding, of the second half of the examples [of the one].
    pub(crate) embedding: Buffer,
}

impl Workspace {
    pub(crate) fn new(network: Network) -> Self {
        Self {
            x: Buffer::zeroed(network.inputs().next_multiple_of(LANES) * HALVES),
            hidden: Buffer::zeroed(network.hidden_vectors() * LANES * HALVES),
            outputs: Buffer::zeroed(network.output_vectors() * LANES * HALVES),
            columns: Buffer::zeroed(network.inputs().div_ceil(PANEL) * CHUNK * HALVES),
            embedding: Buffer::zeroed(network.embedding_vectors()),
        }
    }
}
