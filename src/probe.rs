//! The parts of a training step one by one, and the physical limit, for the `roofline` benchmark.
//!
//! Not for use outside this crate's benchmarks; anything here may change at any time.

use alloc::vec::Vec;
use core::hint::black_box;
use core::marker::PhantomData;
use core::mem::take;

use crate::kernels::buffer::Buffer;
use crate::kernels::chunk::{
    CHUNK, PANEL, VECTORS, Workspace, activation_vectors, pairs, pairs_mut, slope_vectors,
};
use crate::kernels::contract::Out;
use crate::kernels::dense::{Forward, InputGradient, WeightGradient};
use crate::kernels::embedding::{gather, scatter};
use crate::kernels::finite::Sum;
use crate::kernels::gradient_use::GradientUse;
use crate::kernels::heads::loss;
use crate::kernels::math::tanh;
use crate::kernels::shape::{Fixed, Shape};
use crate::kernels::transpose::{add_sums, transpose};
use crate::model::{
    Batch, Inputs, Layer, LayerSpec, Model, ModelSpec, Pass, Symbols, Targets, Weights,
};
use crate::simd::{Backend, Kernel, LANES, Pair, Simd};

/// One part of a training step on a chunk of 32 examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// the embeddings of the tokens, feature by feature
    Gather,
    /// h = tanh(b1 + W1ᵀ·x)
    Hidden,
    /// tanh alone, of as many vectors as `Hidden` has
    Tanh,
    /// b2 + W2ᵀ·h
    Outputs,
    /// softmax, loss and the gradient of the logits
    Softmax,
    /// both transposes, with d_b1 and d_b2
    Transposes,
    /// d_W2
    DOutputWeights,
    /// `(W2·d_logits) ∘ (1 − h²)`
    DHidden,
    /// d_W1
    DHiddenWeights,
    /// `W1·d_z`
    DInput,
    /// the gradient of the embedding, from that of the inputs
    Scatter,
    /// the test that all new parameters are finite
    Check,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 12] = [
        Self::Gather,
        Self::Hidden,
        Self::Tanh,
        Self::Outputs,
        Self::Softmax,
        Self::Transposes,
        Self::DOutputWeights,
        Self::DHidden,
        Self::DHiddenWeights,
        Self::DInput,
        Self::Scatter,
        Self::Check,
    ];

    /// Multiply-adds of the products in it, for one chunk of an `M`.
    #[must_use]
    pub fn multiply_adds<M: Model>(self) -> usize {
        let mut layers = M::SPEC.layers();
        let layer = self.product().and_then(|(_, layer)| layers.nth(layer));
        layer.map_or(0, |layer| layer.inputs * layer.outputs * CHUNK)
    }

    /// The product that it is, and the layer, for a model with one hidden layer.
    fn product(self) -> Option<(Product, usize)> {
        match self {
            Self::Hidden => Some((Product::Forward, 0)),
            Self::Outputs => Some((Product::Forward, 1)),
            Self::DHiddenWeights => Some((Product::WeightGradient, 0)),
            Self::DOutputWeights => Some((Product::WeightGradient, 1)),
            Self::DInput => Some((Product::InputGradient, 0)),
            Self::DHidden => Some((Product::InputGradient, 1)),
            _ => None,
        }
    }
}

/// One of the products of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Product {
    Forward,
    WeightGradient,
    InputGradient,
}

/// Storage to run the parts of a step of an `M` on.
#[derive(Clone, Debug)]
pub struct Probe<M> {
    parameters: Buffer,
    gradients: Buffer,
    workspace: Workspace,
    tokens: Vec<u8>,
    model: PhantomData<fn() -> M>,
}

impl<M: Model> Default for Probe<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Model> Probe<M> {
    /// With small numbers everywhere.
    ///
    /// # Panics
    ///
    /// For a model of up to four outputs, whose last layer is laid out in another way.
    #[must_use]
    pub fn new() -> Self {
        let is_narrow = M::SPEC.layers().any(LayerSpec::is_narrow);
        assert!(
            !is_narrow,
            "the parts are those of a model with more outputs"
        );
        let mut probe = Self {
            parameters: Buffer::zeroed(M::SPEC.parameter_vectors()),
            gradients: Buffer::zeroed(M::SPEC.parameter_vectors()),
            workspace: Workspace::new(M::SPEC),
            tokens: tokens(M::SPEC),
            model: PhantomData,
        };
        let Workspace {
            activations,
            columns,
            ..
        } = &mut probe.workspace;
        let (parameters, gradients) = (&mut probe.parameters, &mut probe.gradients);
        let [first, second] = activations;
        for buffer in [first, second, columns, parameters, gradients] {
            for (i, value) in buffer.floats_mut().iter_mut().enumerate() {
                *value = ((i * 37) % 101) as f32 / 101.0 - 0.5;
            }
        }
        probe
    }

    /// Runs one part `times` times, and returns a number that depends on the results; `None` on a backend without
    /// instructions of its own.
    #[must_use]
    pub fn run(&mut self, backend: Backend, part: Part, times: usize) -> Option<f32> {
        for _ in 0..times {
            backend.run_if_native(Run { probe: self, part }).ok()?;
        }
        Some(
            self.workspace.activations[0].floats().iter().sum::<f32>() + self.gradients.floats()[0],
        )
    }
}

/// Contexts of a chunk, a third of their tokens the same, as in names.
fn tokens(spec: ModelSpec) -> Vec<u8> {
    let most = spec.input.vocabulary().max(1);
    let token = |i: usize| if i.is_multiple_of(3) { 0 } else { i * 7 % most };
    (0..CHUNK * spec.input.example_len())
        .map(|i| u8::try_from(token(i)).unwrap_or(u8::MAX))
        .collect()
}

struct Run<'a, M> {
    probe: &'a mut Probe<M>,
    part: Part,
}

impl<M: Model> Kernel for Run<'_, M> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Probe {
            parameters,
            gradients,
            workspace,
            tokens,
            ..
        } = self.probe;
        let shape = Fixed::<M>::SHAPE;
        let spec = shape.get();
        let (table, parameters) = parameters
            .vectors()
            .split_at(spec.input.embedding_vectors());
        let gradients = gradients.vectors_mut();
        let Workspace {
            activations,
            columns,
            embedding,
        } = workspace;
        let (activations, columns) = (activations[0].vectors_mut(), columns.pairs_mut());
        if let Some((product, layer)) = self.part.product() {
            let mut pass = ProductOf {
                simd,
                product,
                layers_before: layer,
                parameters,
                gradients,
                slopes: &[],
                activations,
                columns,
            };
            return shape.forward(&mut pass);
        }
        let (x, rest) = activations.split_at_mut(activation_vectors(spec.input.width()));
        let outputs_start = rest.len() - activation_vectors(spec.head.outputs);
        let (hidden, outputs) = rest.split_at_mut(outputs_start);
        match self.part {
            Part::Gather => {
                let inputs = Inputs::Tokens(Symbols::Bytes(tokens));
                gather(
                    simd,
                    spec.input,
                    inputs,
                    CHUNK,
                    table,
                    columns,
                    pairs_mut(x),
                );
            }
            Part::Tanh => {
                for vector in hidden {
                    let h = tanh(simd, simd.load(vector));
                    simd.store(h, vector);
                }
            }
            Part::Softmax => {
                let chunk = Batch {
                    len: CHUNK,
                    inputs: Inputs::Tokens(Symbols::Bytes(tokens)),
                    targets: Targets::Classes(Symbols::Bytes(&[1; CHUNK])),
                    weights: Weights::even(10),
                };
                loss(simd, spec.head, chunk, outputs);
            }
            Part::Transposes => {
                for rows in [hidden, outputs] {
                    let panels = gradients.chunks_mut(VECTORS);
                    for (rows, totals) in pairs(rows).chunks(PANEL).zip(panels) {
                        let sums = transpose(simd, rows, VECTORS, columns);
                        add_sums(simd, sums, totals);
                    }
                }
            }
            Part::Scatter => {
                let sums = &mut gradients[..spec.input.embedding_vectors()];
                let second = embedding.vectors_mut();
                let tokens = Symbols::Bytes(tokens);
                scatter(simd, spec.input, tokens, pairs(x), columns, sums, second);
            }
            Part::Check => {
                black_box(simd.call(Sum(gradients)));
            }
            _ => unreachable!("products are run above"),
        }
    }
}

/// A product of one layer, as a function of its own.
struct ProductOf<'a, S> {
    simd: S,
    product: Product,
    /// Layers that are passed over.
    layers_before: usize,
    parameters: &'a [[f32; LANES]],
    gradients: &'a mut [[f32; LANES]],
    /// Of the activation before the next layer, if they are stored.
    slopes: &'a [[f32; LANES]],
    activations: &'a mut [[f32; LANES]],
    columns: &'a mut [Pair],
}

impl<S: Simd> Pass for ProductOf<'_, S> {
    #[inline(always)]
    fn layer<L: Layer>(&mut self, layer: L) {
        let spec = layer.get();
        let (parameters, later) = self.parameters.split_at(spec.vectors());
        let (inputs, outputs) =
            take(&mut self.activations).split_at_mut(activation_vectors(spec.inputs));
        let (slopes, outputs) =
            outputs.split_at_mut(slope_vectors(spec.outputs, spec.stores_slope()));
        if self.layers_before == 0 {
            match self.product {
                Product::Forward => self.simd.call(Forward {
                    layer,
                    vectors: VECTORS,
                    parameters,
                    inputs: pairs(inputs),
                    slopes,
                    outputs,
                }),
                Product::WeightGradient => {
                    let stride = spec.row_vectors();
                    for panel in 0..stride.div_ceil(VECTORS) {
                        self.simd.call(WeightGradient {
                            layer,
                            inputs: [pairs(inputs), &[]],
                            d: &self.columns[..CHUNK],
                            gradient_use: GradientUse::Store,
                            operands: &parameters[panel * VECTORS..],
                            weights: Out {
                                vectors: &mut self.gradients[panel * VECTORS..],
                                stride,
                                cols: VECTORS.min(stride - panel * VECTORS),
                            },
                        });
                    }
                }
                Product::InputGradient => self.simd.call(InputGradient {
                    layer,
                    vectors: VECTORS,
                    parameters,
                    d_outputs: pairs(outputs),
                    slopes: self.slopes,
                    inputs,
                }),
            }
        }
        self.layers_before = self.layers_before.wrapping_sub(1);
        self.parameters = later;
        self.slopes = slopes;
        self.activations = outputs;
    }
}

/// Does nothing but multiply-adds in registers, so many or a few more, on this number of independent vectors of sixteen lanes, and
/// returns how many it did: with the best of [`FMA_CHAINS`] it is what this instruction set can do at most.
///
/// # Panics
///
/// For another number of chains.
#[must_use]
#[inline]
pub fn fma_peak(backend: Backend, chains: usize, multiply_adds: usize) -> usize {
    backend.run(Peak {
        chains,
        multiply_adds,
    })
}

struct Peak {
    chains: usize,
    multiply_adds: usize,
}

/// Declares the numbers of chains, each with a loop of its own.
macro_rules! chains {
    ($($chains:literal)*) => {
        /// Numbers of chains that [`fma_peak`] can be asked for. Which is the fastest depends on the processor: as few leave its pipes
        /// waiting as are too many for its registers.
        pub const FMA_CHAINS: &[usize] = &[$($chains),*];

        impl Kernel for Peak {
            type Output = usize;

            #[inline(always)]
            fn run<S: Simd>(self, simd: S) -> usize {
                match self.chains {
                    $($chains => multiply_add::<S, $chains>(simd, self.multiply_adds),)*
                    other => panic!("there is no loop of {other} chains"),
                }
            }
        }
    };
}
chains! { 4 5 6 7 8 12 16 24 }

#[inline(always)]
fn multiply_add<S: Simd, const CHAINS: usize>(simd: S, multiply_adds: usize) -> usize {
    /// Of each turn of the loop, so that its own instructions do not count.
    const UNROLLED: usize = 8;
    let factor = simd.splat(black_box(0.999));
    let term = simd.splat(black_box(0.001));
    let mut sums = [simd.splat(0.5); CHAINS];
    let of_turn = UNROLLED * CHAINS * LANES;
    let turns = multiply_adds.div_ceil(of_turn);
    for _ in 0..turns {
        for _ in 0..UNROLLED {
            for chain in 0..CHAINS {
                sums[chain] = simd.mul_add(sums[chain], factor, term);
            }
        }
    }
    let mut total = simd.splat(0.0);
    for chain in 0..CHAINS {
        total = simd.add(total, sums[chain]);
    }
    black_box(simd.sum_lanes(total));
    turns * of_turn
}
