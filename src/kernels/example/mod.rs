//! Forward and backward for one example: what an online learner or a search calls, where latency counts.
//!
//! Lanes run over neurons in the first layer and over outputs in the second, in the layouts that the parameters have
//! anyway; nothing is transposed and no lane is wasted on examples that are not there.
//!
//! Sums over neurons run in blocks of 256 and within one as four interleaved chains, so the rounding is not that of a batch
//! of one; but it is the same on every backend.
//!
//! A step waits for the one before, whose weights it reads. So what is stored number by number is read back number by number:
//! a vector read across such stores would wait until they have left the pipeline, and with it all that follows. (The embedding
//! is the exception: a step lies between.)

mod embedding;
mod heads;
mod layers;

use self::embedding::{Input, scatter};
use self::heads::{loss, normalise};
use self::layers::{activations, add_products, layer_backward};
use super::chunk::Workspace;
use super::finish::Finish;
use super::products::{Gradients, Layers, differentiate};
use super::shape::{Shape, Shaped, ShapedKernel};
use crate::network::{InputKind, Inputs, Network, Targets};
use crate::simd::{Backend, LANES, Simd};

/// Vectors of neurons whose sums are formed together: 256 neurons.
const BLOCK: usize = 256 / LANES;

/// Vectors of outputs that are computed together: 256 outputs, the most that a softmax has.
const MOST: usize = 256 / LANES;

/// The outputs of one example as the second layer gives them.
pub(crate) struct ExampleOutputs<'a> {
    pub(crate) parameters: &'a [[f32; LANES]],
    pub(crate) inputs: Inputs<'a>,
    /// Whether logits become probabilities.
    pub(crate) normalise: bool,
    pub(crate) outputs: &'a mut [f32],
}

impl ShapedKernel for ExampleOutputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, N: Shape>(self, simd: S, shape: N) {
        let network = shape.get();
        let layers = Layers::of(shape, self.parameters);
        let x = Input::of(network, self.inputs, layers.embedding);
        for start in (0..network.output_vectors()).step_by(MOST) {
            let vectors = MOST.min(network.output_vectors() - start);
            let mut z = [[0.0; LANES]; MOST];
            forward(simd, layers, x, start, &mut z[..vectors], None);
            if self.normalise {
                normalise(simd, network, &mut z[..vectors]);
            }
            let outputs = self.outputs[start * LANES..].iter_mut();
            for (output, z) in outputs.zip(z.as_flattened()) {
                *output = *z;
            }
        }
    }

    fn run_any(self, backend: Backend, shape: Network) {
        backend.run_general(Shaped {
            kernel: self,
            shape,
        });
    }
}

/// The loss and all gradients of one example.
pub(crate) struct ExampleGradients<'a> {
    pub(crate) parameters: &'a [[f32; LANES]],
    pub(crate) inputs: Inputs<'a>,
    pub(crate) targets: Targets<'a>,
    pub(crate) workspace: &'a mut Workspace,
    pub(crate) finish: Finish,
    /// Overwritten by the gradients, or by what they become.
    pub(crate) gradients: &'a mut [[f32; LANES]],
}

impl ShapedKernel for ExampleGradients<'_> {
    /// The loss, [checked](Finish::checked).
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd, N: Shape>(self, simd: S, shape: N) -> f32 {
        let network = shape.get();
        let finish = self.finish;
        let layers = Layers::of(shape, self.parameters);
        let (w1, b1) = layers
            .first
            .split_at(network.inputs() * network.hidden_vectors());
        let (w2, b2) = layers
            .second
            .split_at(network.hidden * network.output_vectors());
        let Gradients {
            d_embedding,
            d_w1,
            d_b1: d_z, // of one example it is the same
            d_w2,
            d_b2: d_outputs, // likewise
        } = Gradients::of(network, self.gradients);
        let Workspace {
            x,
            hidden,
            columns: d_x,
            embedding: sums,
            ..
        } = self.workspace;
        let hidden = &mut hidden.vectors_mut()[..network.hidden_vectors()];
        let x = Input::of(network, self.inputs, layers.embedding).in_a_row(network, x.floats_mut());

        forward(simd, layers, Input::Row(x), 0, d_outputs, Some(hidden));
        let loss = loss(simd, network, self.targets, d_outputs);

        let h = &hidden.as_flattened()[..network.hidden];
        let mut sum = layer_backward(simd, finish, h, d_outputs, w2, d_w2, Some(d_z));
        for (d_z, h) in d_z.iter_mut().zip(&*hidden) {
            let (h, d_h) = (simd.load(h), simd.load(d_z));
            simd.store(differentiate(simd, network.activation, h, d_h), d_z);
        }
        let mut d_x = match network.input {
            InputKind::Tokens { .. } => Some(d_x.vectors_mut()),
            InputKind::Dense { .. } => None,
        };
        let of_w1 = layer_backward(simd, finish, x, d_z, w1, d_w1, d_x.as_deref_mut());
        sum = simd.add(sum, of_w1);
        if let (Inputs::Tokens(tokens), Some(d_x)) = (self.inputs, d_x) {
            let d_x = &d_x.as_flattened()[..network.inputs()];
            let sums = &mut sums.floats_mut()[..d_embedding.len() * LANES];
            let table = layers.embedding;
            let of_table = scatter(simd, finish, tokens, d_x, sums, table, d_embedding);
            sum = simd.add(sum, of_table);
        }
        sum = simd.add(sum, finish.replace(simd, b1, d_z));
        sum = simd.add(sum, finish.replace(simd, &b2[..d_outputs.len()], d_outputs));
        finish.checked(loss, simd.sum_lanes(sum))
    }

    fn run_any(self, backend: Backend, shape: Network) -> f32 {
        backend.run_general(Shaped {
            kernel: self,
            shape,
        })
    }
}

/// Output vectors `start ..` of one example, and if there is room its activations.
#[inline(always)]
fn forward<S: Simd, N: Shape>(
    simd: S,
    layers: Layers<'_, N>,
    x: Input<'_>,
    start: usize,
    outputs: &mut [[f32; LANES]],
    mut hidden: Option<&mut [[f32; LANES]]>,
) {
    let network = layers.shape.get();
    let stride = network.output_vectors();
    let bias = &layers.second[network.hidden * stride + start..][..outputs.len()];
    outputs.copy_from_slice(bias);
    let mut room = [[0.0; LANES]; BLOCK];
    for group in (0..network.hidden_vectors()).step_by(BLOCK) {
        let groups = BLOCK.min(network.hidden_vectors() - group);
        let h = match &mut hidden {
            Some(hidden) => &mut hidden[group..group + groups],
            None => &mut room[..groups],
        };
        activations(simd, layers, x, group, h);
        let neurons = (groups * LANES).min(network.hidden - group * LANES);
        let h = &h.as_flattened()[..neurons];
        let rows = &layers.second[group * LANES * stride..][..neurons * stride];
        add_products(simd, h, rows, stride, start, outputs);
    }
}
