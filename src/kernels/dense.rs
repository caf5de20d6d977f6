//! The three products of a dense layer, each as the contraction that it is.
//!
//! ```text
//! outputs = activation(b + Wᵀ·a)        d_a = (W·d) ∘ activation'        d_W = Σ_examples a ⊗ d
//! ```
//!
//! with a the layer's inputs and d the gradient of its sums b + Wᵀ·a. Each is a kernel of its own, which benchmarks run by
//! itself.

use super::activation::{activate, differentiate};
use super::chunk::{CHUNK, CHUNKS, PANEL, VECTORS};
use super::contract::{ByColumn, ByExample, ByRow, Epilogue, Out, contract};
use super::gradient_use::GradientUse;
use super::shape::{FanIn, FanOut, Shape};
use super::transpose::transpose;
use crate::model::{ActivationKind, Layer, LayerInput};
use crate::simd::{Kernel, LANES, Pair, Simd};

/// Runs a product inlined; but as a function of its own in the form for all shapes of a debug build, whose checks would
/// otherwise cost registers in the midst of a tile, and a third of the step.
#[inline(always)]
pub(crate) fn product<S: Simd, L: Layer, K: Kernel>(simd: S, kernel: K) -> K::Output {
    if const { L::FIXED.is_none() && cfg!(debug_assertions) } {
        simd.call(kernel)
    } else {
        kernel.run(simd)
    }
}

/// Runs a layer that is one product, inlined or as a function of its own: see [`Shape::INLINES_LAYERS`].
#[inline(always)]
pub(crate) fn run_product<S: Simd, N: Shape, L: Layer, K: Kernel>(simd: S, kernel: K) -> K::Output {
    if const { N::INLINES_LAYERS } {
        product::<S, L, _>(simd, kernel)
    } else {
        simd.call(kernel)
    }
}

/// `outputs = activation(b + Wᵀ·inputs)`, or without an activation in the last layer.
pub(crate) struct Forward<'a, L> {
    pub(crate) layer: L,
    /// Vectors of a row that have examples: one or two.
    pub(crate) vectors: usize,
    /// The layer's weights, then its bias.
    pub(crate) parameters: &'a [[f32; LANES]],
    pub(crate) inputs: &'a [Pair],
    /// The slopes of the activation, if they are stored.
    pub(crate) slopes: &'a mut [[f32; LANES]],
    pub(crate) outputs: &'a mut [[f32; LANES]],
}

impl<L: Layer> Kernel for Forward<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let layer = self.layer.get();
        let stride = layer.row_vectors() * LANES;
        let (weights, bias) = self
            .parameters
            .as_flattened()
            .split_at(layer.inputs * stride);
        let stores_slope = layer.stores_slope();
        let (sums, activation) = if stores_slope {
            (&mut *self.slopes, None)
        } else {
            (&mut *self.outputs, layer.activation)
        };
        contract(
            simd,
            FanOut(self.layer),
            ByColumn {
                scalars: weights,
                stride,
            },
            &self.inputs[..layer.inputs],
            Out {
                vectors: sums,
                stride: VECTORS,
                cols: self.vectors,
            },
            Activated { bias, activation },
        );
        if let Some(activation) = layer.activation
            && stores_slope
        {
            let count = layer.outputs * VECTORS;
            let sums = self.slopes[..count].iter_mut();
            for (z, h) in sums.zip(&mut self.outputs[..count]) {
                let (value, slope) = activate(simd, activation, simd.load(z));
                simd.store(value, h);
                simd.store(slope, z);
            }
        }
    }
}

/// Replaces the inputs by the gradient with respect to what they came from: `(W·d_outputs) ∘ activation'` for neurons, with
/// the derivative from `inputs` itself or from their slopes, and `W·d_outputs` for embeddings and features.
pub(crate) struct InputGradient<'a, L> {
    pub(crate) layer: L,
    pub(crate) vectors: usize,
    pub(crate) parameters: &'a [[f32; LANES]],
    pub(crate) d_outputs: &'a [Pair],
    /// The slopes of the inputs' activation, if they are stored.
    pub(crate) slopes: &'a [[f32; LANES]],
    pub(crate) inputs: &'a mut [[f32; LANES]],
}

impl<L: Layer> Kernel for InputGradient<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let layer = self.layer.get();
        contract(
            simd,
            FanIn(self.layer),
            ByRow {
                scalars: self.parameters.as_flattened(),
                stride: layer.row_vectors() * LANES,
            },
            &self.d_outputs[..layer.outputs],
            Out {
                vectors: self.inputs,
                stride: VECTORS,
                cols: self.vectors,
            },
            Differentiated {
                activation: match layer.input {
                    LayerInput::Hidden(activation) => Some(activation),
                    LayerInput::Embeddings | LayerInput::Features => None,
                },
                slopes: self.slopes,
            },
        );
    }
}

/// The gradient of a panel of a layer's weights, from the layer's inputs `inputs[row][example]` and the gradient `d[example]`
/// of its sums: `weights[row] = Σ_b inputs[row][b] · d[b]` over the examples of a block, and then what it is used for.
pub(crate) struct WeightGradient<'a, L> {
    pub(crate) layer: L,
    /// Of each chunk.
    pub(crate) inputs: [&'a [Pair]; CHUNKS],
    pub(crate) d: &'a [Pair],
    pub(crate) gradient_use: GradientUse,
    /// Those of [`GradientUse`], laid out as `weights` is.
    pub(crate) operands: &'a [[f32; LANES]],
    pub(crate) weights: Out<'a>,
}

impl<L: Layer> Kernel for WeightGradient<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let epilogue = Used {
            gradient_use: self.gradient_use,
            operands: self.operands,
        };
        contract(
            simd,
            FanIn(self.layer),
            ByExample {
                chunks: self.inputs,
            },
            self.d,
            self.weights,
            epilogue,
        );
    }
}

/// What [`WeightGradient`] computes, with the same bits, for all weights of a [narrow](crate::model::LayerSpec::is_narrow) layer, over
/// whose outputs most lanes would be idle. Here lanes run over the inputs, which are transposed for it:
///
/// ```text
/// sums[output][input] = Σ_b d[output][b] · inputs[b][input]
/// ```
pub(crate) struct NarrowWeightGradient<'a, L> {
    pub(crate) layer: L,
    /// Of the block.
    pub(crate) examples: usize,
    /// Of each chunk, as the gradient `d[output]` of the layer's sums.
    pub(crate) inputs: [&'a [Pair]; CHUNKS],
    pub(crate) d: [&'a [Pair]; CHUNKS],
    /// Scratch for a panel of the inputs, transposed.
    pub(crate) columns: &'a mut [Pair],
    pub(crate) gradient_use: GradientUse,
    pub(crate) operands: &'a [[f32; LANES]],
    pub(crate) weights: &'a mut [[f32; LANES]],
}

impl<L: Layer> Kernel for NarrowWeightGradient<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            layer,
            examples,
            inputs,
            d,
            columns,
            gradient_use,
            operands,
            weights,
        } = self;
        let width = layer.get().inputs;
        for start in (0..width).step_by(PANEL) {
            let blocks = PANEL.min(width - start).div_ceil(LANES);
            for chunk in 0..examples.div_ceil(CHUNK) {
                let vectors = CHUNK.min(examples - chunk * CHUNK).div_ceil(LANES);
                let columns = &mut columns[chunk * CHUNK..][..CHUNK];
                transpose(simd, &inputs[chunk][start..], vectors, columns);
            }
            let mut sums = [[[0.0; LANES]; VECTORS]; LANES];
            let plain = Differentiated {
                activation: None,
                slopes: &[],
            };
            contract(
                simd,
                FanOut(layer),
                ByExample { chunks: d },
                &columns[..examples],
                Out {
                    vectors: sums.as_flattened_mut(),
                    stride: VECTORS,
                    cols: blocks,
                },
                plain,
            );
            let mut by_input = [[[0.0; LANES]; VECTORS]; LANES];
            for block in 0..blocks {
                simd.transpose(&sums, block, &mut by_input, 0);
                let first = start + block * LANES;
                for i in 0..LANES.min(width - first) {
                    let sum = simd.load(&by_input[i][0]);
                    let result = gradient_use.apply(simd, &operands[first + i], sum);
                    simd.store(result, &mut weights[first + i]);
                }
            }
        }
    }
}

/// `out = used(Σ)`
#[derive(Clone, Copy)]
struct Used<'a> {
    gradient_use: GradientUse,
    /// As `out`.
    operands: &'a [[f32; LANES]],
}

impl Epilogue for Used<'_> {
    #[inline(always)]
    fn init<S: Simd>(self, simd: S, _row: usize) -> S::Vector {
        simd.splat(0.0)
    }

    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, vector: usize, sum: S::Vector, out: &mut [f32; LANES]) {
        let operand = &self.operands[vector];
        simd.store(self.gradient_use.apply(simd, operand, sum), out);
    }
}

/// `out = activation(bias[row] + Σ)`, the bias first in the sum.
#[derive(Clone, Copy)]
struct Activated<'a> {
    bias: &'a [f32],
    activation: Option<ActivationKind>,
}

impl Epilogue for Activated<'_> {
    #[inline(always)]
    fn init<S: Simd>(self, simd: S, row: usize) -> S::Vector {
        simd.splat(self.bias[row])
    }

    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, _vector: usize, sum: S::Vector, out: &mut [f32; LANES]) {
        let result = match self.activation {
            Some(activation) => activate(simd, activation, sum).0,
            None => sum,
        };
        simd.store(result, out);
    }
}

/// `out = Σ · activation'`, the derivative taken from the h that `out` held, or from the slopes; or `out = Σ`.
#[derive(Clone, Copy)]
struct Differentiated<'a> {
    activation: Option<ActivationKind>,
    /// As `out`, if they are stored.
    slopes: &'a [[f32; LANES]],
}

impl Epilogue for Differentiated<'_> {
    #[inline(always)]
    fn init<S: Simd>(self, simd: S, _row: usize) -> S::Vector {
        simd.splat(0.0)
    }

    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, vector: usize, sum: S::Vector, out: &mut [f32; LANES]) {
        let result = match self.activation {
            Some(activation) => {
                let kept = if activation.stores_slope() {
                    &self.slopes[vector]
                } else {
                    &*out
                };
                differentiate(simd, activation, simd.load(kept), sum)
            }
            None => sum,
        };
        simd.store(result, out);
    }
}
