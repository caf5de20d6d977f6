//! The six products of a training step, each as the contraction that it is.
//!
//! Each is a kernel of its own, which benchmarks run by itself. A step has all of them inlined, but for the form for all shapes in a
//! debug build; as functions, those of a known shape would compile in three quarters of the time, and make the step 2 % slower.

use super::chunk::HALVES;
use super::contract::{ByColumn, ByRow, Epilogue, Out, by_example, contract};
use super::finish::Finish;
use super::math::tanh;
use super::shape::{Count, Features, Neurons, Outputs, Shape};
use crate::network::{ActivationKind, Network};
use crate::simd::{Kernel, LANES, Pair, Simd};

/// The padded parameters of a network.
#[derive(Clone, Copy)]
pub(crate) struct Layers<'a, N> {
    pub(crate) shape: N,
    /// `[token][dimension]`, not padded.
    pub(crate) embedding: &'a [[f32; LANES]],
    /// A row of weights for each input, then the bias.
    pub(crate) first: &'a [[f32; LANES]],
    /// A row of weights for each neuron, then the bias.
    pub(crate) second: &'a [[f32; LANES]],
}

impl<'a, N: Shape> Layers<'a, N> {
    #[inline(always)]
    pub(crate) fn of(shape: N, parameters: &'a [[f32; LANES]]) -> Self {
        let (embedding, rest) = parameters.split_at(shape.get().embedding_vectors());
        let (first, second) = rest.split_at(shape.get().first_layer_vectors());
        Self {
            shape,
            embedding,
            first,
            second,
        }
    }
}

/// The padded gradients of a network's parameters, tensor by tensor.
pub(crate) struct Gradients<'a> {
    pub(crate) d_embedding: &'a mut [[f32; LANES]],
    pub(crate) d_w1: &'a mut [[f32; LANES]],
    pub(crate) d_b1: &'a mut [[f32; LANES]],
    pub(crate) d_w2: &'a mut [[f32; LANES]],
    pub(crate) d_b2: &'a mut [[f32; LANES]],
}

impl<'a> Gradients<'a> {
    #[inline(always)]
    pub(crate) fn of(network: Network, gradients: &'a mut [[f32; LANES]]) -> Self {
        let (d_embedding, rest) = gradients.split_at_mut(network.embedding_vectors());
        let (d_first, d_second) = rest.split_at_mut(network.first_layer_vectors());
        let (d_w1, d_b1) = d_first.split_at_mut(network.inputs() * network.hidden_vectors());
        let (d_w2, d_b2) = d_second.split_at_mut(network.hidden * network.output_vectors());
        Self {
            d_embedding,
            d_w1,
            d_b1,
            d_w2,
            d_b2: &mut d_b2[..network.output_vectors()], // without what rounds all parameters up
        }
    }
}

/// `hidden = activation(b1 + W1ᵀ·x)`
pub(crate) struct Hidden<'a, N> {
    pub(crate) layers: Layers<'a, N>,
    /// Vectors of a row that have examples: one or two.
    pub(crate) halves: usize,
    pub(crate) x: &'a [Pair],
    pub(crate) hidden: &'a mut [[f32; LANES]],
}

impl<N: Shape> Kernel for Hidden<'_, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let network = self.layers.shape.get();
        let stride = network.hidden_vectors() * LANES;
        let (weights, bias) = self
            .layers
            .first
            .as_flattened()
            .split_at(network.inputs() * stride);
        contract(
            simd,
            Neurons(self.layers.shape),
            ByColumn {
                scalars: weights,
                stride,
            },
            &self.x[..network.inputs()],
            Out {
                vectors: self.hidden,
                stride: HALVES,
                cols: self.halves,
            },
            Activated {
                bias,
                activation: network.activation,
            },
        );
    }
}

/// `outputs = b2 + W2ᵀ·hidden`
pub(crate) struct OutputsOf<'a, N> {
    pub(crate) layers: Layers<'a, N>,
    pub(crate) halves: usize,
    pub(crate) hidden: &'a [Pair],
    pub(crate) outputs: &'a mut [[f32; LANES]],
}

impl<N: Shape> Kernel for OutputsOf<'_, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let network = self.layers.shape.get();
        let stride = network.output_vectors() * LANES;
        let (weights, bias) = self
            .layers
            .second
            .as_flattened()
            .split_at(network.hidden * stride);
        contract(
            simd,
            Outputs(self.layers.shape),
            ByColumn {
                scalars: weights,
                stride,
            },
            &self.hidden[..network.hidden],
            Out {
                vectors: self.outputs,
                stride: HALVES,
                cols: self.halves,
            },
            Biased(bias),
        );
    }
}

/// `hidden = (W2·d_outputs) ∘ activation'`, with the activation read from `hidden` itself.
pub(crate) struct DHidden<'a, N> {
    pub(crate) layers: Layers<'a, N>,
    pub(crate) halves: usize,
    pub(crate) d_outputs: &'a [Pair],
    pub(crate) hidden: &'a mut [[f32; LANES]],
}

impl<N: Shape> Kernel for DHidden<'_, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let network = self.layers.shape.get();
        let stride = network.output_vectors() * LANES;
        contract(
            simd,
            Neurons(self.layers.shape),
            ByRow {
                scalars: self.layers.second.as_flattened(),
                stride,
            },
            &self.d_outputs[..network.outputs],
            Out {
                vectors: self.hidden,
                stride: HALVES,
                cols: self.halves,
            },
            Differentiated {
                activation: network.activation,
            },
        );
    }
}

/// `d_x = W1·d_z`
pub(crate) struct DX<'a, N> {
    pub(crate) layers: Layers<'a, N>,
    pub(crate) halves: usize,
    pub(crate) d_z: &'a [Pair],
    pub(crate) d_x: &'a mut [[f32; LANES]],
}

impl<N: Shape> Kernel for DX<'_, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let network = self.layers.shape.get();
        let stride = network.hidden_vectors() * LANES;
        contract(
            simd,
            Features(self.layers.shape),
            ByRow {
                scalars: self.layers.first.as_flattened(),
                stride,
            },
            &self.d_z[..network.hidden],
            Out {
                vectors: self.d_x,
                stride: HALVES,
                cols: self.halves,
            },
            Plain,
        );
    }
}

/// The gradient of a panel of a layer's weights, from the layer's inputs `a[row][example]` and the gradient `d[example]` of
/// its sums: `weights[row] += Σ_b a[row][b] · d[b]`, or `=` for the first examples of a batch, and then what it becomes.
pub(crate) struct OuterProducts<'a, R> {
    pub(crate) rows: R,
    pub(crate) a: &'a [Pair],
    pub(crate) d: &'a [Pair],
    pub(crate) is_first: bool,
    pub(crate) finish: Finish,
    /// The weights whose gradient it is, as `weights` is laid out.
    pub(crate) parameters: &'a [[f32; LANES]],
    pub(crate) weights: Out<'a>,
}

impl<R: Count> Kernel for OuterProducts<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let epilogue = Added {
            is_first: self.is_first,
            finish: self.finish,
            parameters: self.parameters,
        };
        contract(
            simd,
            self.rows,
            by_example(self.a),
            self.d,
            self.weights,
            epilogue,
        );
    }
}

/// `out = Σ`
#[derive(Clone, Copy)]
struct Plain;

impl Epilogue for Plain {
    #[inline(always)]
    fn init<S: Simd>(self, simd: S, _row: usize, _out: &[f32; LANES]) -> S::Vector {
        simd.splat(0.0)
    }

    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, _vector: usize, sum: S::Vector, out: &mut [f32; LANES]) {
        simd.store(sum, out);
    }
}

/// `out = finish(out + Σ)`, the earlier value first in the sum; or `out = finish(Σ)`.
#[derive(Clone, Copy)]
struct Added<'a> {
    /// Whether there is no earlier value.
    is_first: bool,
    finish: Finish,
    /// As `out`.
    parameters: &'a [[f32; LANES]],
}

impl Epilogue for Added<'_> {
    #[inline(always)]
    fn init<S: Simd>(self, simd: S, _row: usize, out: &[f32; LANES]) -> S::Vector {
        if self.is_first {
            simd.splat(0.0)
        } else {
            simd.load(out)
        }
    }

    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, vector: usize, sum: S::Vector, out: &mut [f32; LANES]) {
        let parameter = &self.parameters[vector];
        simd.store(self.finish.apply(simd, parameter, sum), out);
    }
}

/// `out = bias[row] + Σ`, the bias first in the sum.
#[derive(Clone, Copy)]
struct Biased<'a>(&'a [f32]);

impl Epilogue for Biased<'_> {
    #[inline(always)]
    fn init<S: Simd>(self, simd: S, row: usize, _out: &[f32; LANES]) -> S::Vector {
        simd.splat(self.0[row])
    }

    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, _vector: usize, sum: S::Vector, out: &mut [f32; LANES]) {
        simd.store(sum, out);
    }
}

/// `out = activation(bias[row] + Σ)`
#[derive(Clone, Copy)]
struct Activated<'a> {
    bias: &'a [f32],
    activation: ActivationKind,
}

impl Epilogue for Activated<'_> {
    #[inline(always)]
    fn init<S: Simd>(self, simd: S, row: usize, _out: &[f32; LANES]) -> S::Vector {
        simd.splat(self.bias[row])
    }

    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, _vector: usize, sum: S::Vector, out: &mut [f32; LANES]) {
        let h = activate(simd, self.activation, sum);
        simd.store(h, out);
    }
}

/// `out = Σ · activation'`, the derivative taken from the h that `out` held: 1 − h² for tanh, 1 where h > 0 for ReLU.
#[derive(Clone, Copy)]
struct Differentiated {
    activation: ActivationKind,
}

impl Epilogue for Differentiated {
    #[inline(always)]
    fn init<S: Simd>(self, simd: S, _row: usize, _out: &[f32; LANES]) -> S::Vector {
        simd.splat(0.0)
    }

    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, _vector: usize, sum: S::Vector, out: &mut [f32; LANES]) {
        let d_z = differentiate(simd, self.activation, simd.load(out), sum);
        simd.store(d_z, out);
    }
}

/// h = activation(z).
#[inline(always)]
pub(crate) fn activate<S: Simd>(simd: S, activation: ActivationKind, z: S::Vector) -> S::Vector {
    match activation {
        ActivationKind::Tanh => tanh(simd, z),
        // The order of the operands keeps NaN.
        ActivationKind::Relu => simd.max(simd.splat(0.0), z),
    }
}

/// d_z = d_h · activation'(z), from h = activation(z): 1 − h² for tanh, 1 where h > 0 and else 0 for ReLU.
#[inline(always)]
pub(crate) fn differentiate<S: Simd>(
    simd: S,
    activation: ActivationKind,
    h: S::Vector,
    d_h: S::Vector,
) -> S::Vector {
    let zero = simd.splat(0.0);
    match activation {
        ActivationKind::Tanh => simd.mul(d_h, simd.neg_mul_add(h, h, simd.splat(1.0))),
        ActivationKind::Relu => simd.select_lt(zero, h, d_h, zero),
    }
}
