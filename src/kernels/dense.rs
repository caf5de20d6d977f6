//! The three products of a dense layer, each as the contraction that it is.
//!
//! ```text
//! outputs = activation(b + Wᵀ·a)        d_a = (W·d) ∘ activation'        d_W = Σ_examples a ⊗ d
//! ```
//!
//! with a the layer's inputs and d the gradient of its sums b + Wᵀ·a. Each is a kernel of its own, which benchmarks run by
//! itself.

use super::activation::{activate, differentiate};
use super::chunk::{CHUNKS, VECTORS};
use super::contract::{ByColumn, ByExample, ByRow, Epilogue, Out, contract};
use super::gradient_use::GradientUse;
use super::shape::{FanIn, FanOut, Shape};
use crate::model::{ActivationKind, Layer, LayerInput, NARROW_OUTPUTS};
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
        let parameters = self.parameters.as_flattened();
        let (scalars, bias) = parameters.split_at(layer.weight_rows() * stride);
        let stores_slope = layer.stores_slope();
        let (sums, activation) = if stores_slope {
            (&mut *self.slopes, None)
        } else {
            (&mut *self.outputs, layer.activation)
        };
        let (rows, inputs) = (FanOut(self.layer), &self.inputs[..layer.inputs]);
        let out = Out {
            vectors: sums,
            stride: VECTORS,
            cols: self.vectors,
        };
        let activated = Activated { bias, activation };
        if const { L::MAY_BE_NARROW } && layer.is_narrow() {
            let weights = ByRow { scalars, stride };
            contract(simd, rows, weights, inputs, out, activated);
        } else if const { L::MAY_BE_WIDE } {
            let weights = ByColumn { scalars, stride };
            contract(simd, rows, weights, inputs, out, activated);
        }
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
        let (rows, d_outputs) = (FanIn(self.layer), &self.d_outputs[..layer.outputs]);
        let out = Out {
            vectors: self.inputs,
            stride: VECTORS,
            cols: self.vectors,
        };
        let differentiated = Differentiated {
            activation: match layer.input {
                LayerInput::Hidden(activation) => Some(activation),
                LayerInput::Embeddings | LayerInput::Features => None,
            },
            slopes: self.slopes,
        };
        let scalars = &self.parameters.as_flattened()[..layer.weight_vectors() * LANES];
        let stride = layer.row_vectors() * LANES;
        if const { L::MAY_BE_NARROW } && layer.is_narrow() {
            let weights = ByColumn { scalars, stride };
            contract(simd, rows, weights, d_outputs, out, differentiated);
        } else if const { L::MAY_BE_WIDE } {
            let weights = ByRow { scalars, stride };
            contract(simd, rows, weights, d_outputs, out, differentiated);
        }
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
        let rows = FanIn(self.layer);
        let inputs = ByExample {
            chunks: self.inputs,
        };
        let used = Used {
            gradient_use: self.gradient_use,
            operands: self.operands,
        };
        contract(simd, rows, inputs, self.d, self.weights, used);
    }
}

/// The gradients of the weights and the bias of a [narrow](crate::model::LayerSpec::is_narrow) layer, over whose outputs most lanes
/// would be idle. Here lanes run over examples, and are added up in the end:
///
/// ```text
/// weights[output][input] = Σ_b d[output][b] · inputs[input][b]     bias[output] = Σ_b d[output][b]
/// ```
pub(crate) struct NarrowGradients<'a, L> {
    pub(crate) layer: L,
    /// Vectors of each chunk that have examples.
    pub(crate) vectors: [usize; CHUNKS],
    /// Of each chunk, as the gradient `d[output]` of the layer's sums.
    pub(crate) inputs: [&'a [Pair]; CHUNKS],
    pub(crate) d: [&'a [Pair]; CHUNKS],
    pub(crate) gradient_use: GradientUse,
    /// Of the weights.
    pub(crate) operands: &'a [[f32; LANES]],
    pub(crate) weights: &'a mut [[f32; LANES]],
    /// Stored, not used.
    pub(crate) bias: &'a mut [f32; LANES],
}

impl<L: Layer> Kernel for NarrowGradients<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (stride, zero) = (self.layer.get().row_vectors(), simd.splat(0.0));
        let mut sums = [zero; LANES];
        for output in 0..NARROW_OUTPUTS {
            if output >= self.layer.get().outputs {
                continue;
            }
            let mut d = [zero; CHUNKS * VECTORS];
            for chunk in 0..CHUNKS {
                for v in 0..self.vectors[chunk] {
                    d[chunk * VECTORS + v] = simd.load(&self.d[chunk][output][v]);
                }
            }
            for d in d {
                sums[output] = simd.add(sums[output], d);
            }
            let first = output * stride;
            for group in 0..stride {
                let mut products = [zero; LANES];
                for chunk in 0..CHUNKS {
                    if self.vectors[chunk] > 0 {
                        let rows = &self.inputs[chunk][group * LANES..][..LANES];
                        for row in 0..LANES {
                            for v in 0..VECTORS {
                                let a = simd.load(&rows[row][v]);
                                let d = d[chunk * VECTORS + v];
                                products[row] = simd.mul_add(a, d, products[row]);
                            }
                        }
                    }
                }
                let gradient = simd.sum_lanes_of_rows(products);
                let operand = &self.operands[first + group];
                let result = self.gradient_use.apply(simd, operand, gradient);
                simd.store(result, &mut self.weights[first + group]);
            }
        }
        simd.store(simd.sum_lanes_of_rows(sums), self.bias);
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
