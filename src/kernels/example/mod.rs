//! Forward and backward for one example: what an online learner or a search calls, where latency counts.
//!
//! Lanes run over the outputs of each layer, in the layouts that the parameters have anyway; nothing is transposed and no lane
//! is wasted on examples that are not there.
//!
//! A neuron's sum runs over its inputs in their order. The outputs' run over neurons in blocks of 256, and within one as four
//! interleaved chains; or with lanes over neurons, where there are few outputs. So the rounding is not that of a batch of one;
//! but it is the same on every backend.
//!
//! A step waits for the one before, whose weights it reads. Scalar stores would defeat store-to-load forwarding for vector
//! loads, so what is stored as scalars is loaded as scalars. (The embedding is the exception: a step lies between.)

mod embedding;
mod gradients;
mod heads;
mod layers;
mod narrow;
mod outputs;

use self::embedding::Input;
use self::layers::{activations, add_products};
use crate::model::Layer;
use crate::simd::{Kernel, LANES, Simd};

pub(crate) use self::gradients::ExampleGradients;
pub(crate) use self::outputs::ExampleOutputs;

/// Neurons whose products are summed together.
const BLOCK: usize = 256;

/// `h = activation(b + Wᵀ·inputs)`, of as many neurons as `h` has: those of the layer, or those and the padding.
struct HiddenLayer<'a, L> {
    layer: L,
    parameters: &'a [[f32; LANES]],
    inputs: Input<'a>,
    h: &'a mut [f32],
    /// The slopes of the activation, if they are stored and wanted; else none.
    slopes: &'a mut [[f32; LANES]],
}

impl<L: Layer> Kernel for HiddenLayer<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            layer,
            parameters,
            inputs,
            h,
            slopes,
        } = self;
        let spec = layer.get();
        let (vectors, tail) = h.as_chunks_mut();
        activations(simd, spec, parameters, inputs, 0, vectors, slopes);
        if !tail.is_empty() {
            let mut last = [[0.0; LANES]];
            let group = vectors.len();
            activations(simd, spec, parameters, inputs, group, &mut last, &mut []);
            for lane in 0..LANES {
                if lane < tail.len() {
                    tail[lane] = last[0][lane];
                }
            }
        }
    }
}

/// `z = b + Wᵀ·h`, of the vectors of outputs from `start` on.
struct OutputLayer<'a, L> {
    layer: L,
    parameters: &'a [[f32; LANES]],
    h: &'a [f32],
    start: usize,
    z: &'a mut [[f32; LANES]],
}

impl<L: Layer> Kernel for OutputLayer<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            layer,
            parameters,
            h,
            start,
            z,
        } = self;
        let stride = layer.get().row_vectors();
        let (rows, bias) = parameters.split_at(layer.get().weight_vectors());
        if const { L::MAY_BE_NARROW } && layer.get().is_narrow() {
            let sum = narrow::products(simd, h, rows);
            simd.store(simd.add(simd.load(&bias[0]), sum), &mut z[0]);
            return;
        }
        for (z, bias) in z.iter_mut().zip(&bias[start..]) {
            simd.store(simd.load(bias), z);
        }
        for (h, rows) in h.chunks(BLOCK).zip(rows.chunks(BLOCK * stride)) {
            add_products(simd, h, rows, stride, start, z);
        }
    }
}
