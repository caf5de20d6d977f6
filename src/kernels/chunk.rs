//! The examples that are worked on together, and working storage for them.

use super::buffer::Buffer;
use crate::model::ModelSpec;
use crate::simd::{LANES, Pair};

/// Examples of a chunk.
pub(crate) const CHUNK: usize = VECTORS * LANES;

/// Chunks of a block.
pub(crate) const CHUNKS: usize = 2;

/// Vectors of a row of one feature, a [`Pair`].
pub(crate) const VECTORS: usize = 2;

/// Features of a panel: what is transposed at a time is a chunk of examples of so many features.
pub(crate) const PANEL: usize = VECTORS * LANES;

/// Vectors of the activations of a chunk in one layer, `[neuron][example]`.
pub(crate) const fn activation_vectors(width: usize) -> usize {
    width.next_multiple_of(LANES) * VECTORS
}

/// Vectors of the slopes of the activation in one layer, if they are stored.
pub(crate) const fn slope_vectors(width: usize, are_stored: bool) -> usize {
    if are_stored {
        activation_vectors(width)
    } else {
        0
    }
}

/// Rows of two vectors.
#[inline(always)]
pub(crate) fn pairs(vectors: &[[f32; LANES]]) -> &[Pair] {
    vectors.as_chunks().0
}

/// As [`pairs`], for writing.
#[inline(always)]
pub(crate) fn pairs_mut(vectors: &mut [[f32; LANES]]) -> &mut [Pair] {
    vectors.as_chunks_mut().0
}

/// Storage for the activations of a block and their gradients; in brackets what one example has there.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    /// Of each chunk the input, the neurons of each hidden layer, and the outputs, one after another, each `[feature][example]` in
    /// [`activation_vectors`]; before the neurons the slopes of their activation, if they are stored, in as many. On the way back
    /// each is replaced by the gradient with respect to it. [The same, `[feature]`, without the outputs and without gradients.]
    pub(crate) activations: [Buffer; CHUNKS],
    /// `[example][feature]`: the inputs or their gradient in panels, or a panel of the gradient of a layer's outputs
    /// [the gradient of the inputs].
    pub(crate) columns: Buffer,
    /// `[token][dimension]`: the gradient of the embedding, of the second half of the examples [of the one].
    pub(crate) embedding: Buffer,
}

impl Workspace {
    pub(crate) fn new(spec: ModelSpec) -> Self {
        let inputs = spec.input.width();
        let of_layers = spec.layers().map(|layer| {
            slope_vectors(layer.outputs, layer.stores_slope()) + activation_vectors(layer.outputs)
        });
        let activations = activation_vectors(inputs) + of_layers.sum::<usize>();
        Self {
            activations: [Buffer::zeroed(activations), Buffer::zeroed(activations)],
            columns: Buffer::zeroed(inputs.div_ceil(PANEL).max(CHUNKS) * CHUNK * VECTORS),
            embedding: Buffer::zeroed(spec.input.embedding_vectors()),
        }
    }
}
