//! The parts of a training step one by one, and the physical limit, for the `roofline` benchmark.
//!
//! Not for use outside this crate's benchmarks; anything here may change at any time.

use alloc::vec::Vec;
use core::hint::black_box;
use core::marker::PhantomData;

use crate::kernels::buffer::Buffer;
use crate::kernels::chunk::{CHUNK, HALVES, PANEL, Workspace};
use crate::kernels::contract::Out;
use crate::kernels::embedding::{gather, scatter};
use crate::kernels::finish::{Finish, Sum};
use crate::kernels::heads::loss;
use crate::kernels::math::tanh;
use crate::kernels::products::{DHidden, DX, Hidden, Layers, OuterProducts, OutputsOf};
use crate::kernels::shape::{Features, Fixed, Neurons, Shape};
use crate::kernels::transpose::{add_sums, transpose};
use crate::model::Model;
use crate::network::{Inputs, Network, Targets};
use crate::simd::{Backend, Kernel, LANES, Simd};

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

    /// Multiply-adds of the products in it, for one chunk.
    #[must_use]
    pub fn multiply_adds(self, network: Network) -> usize {
        let first = network.hidden * network.inputs() * CHUNK;
        let second = network.hidden * network.outputs * CHUNK;
        match self {
            Self::Hidden | Self::DHiddenWeights | Self::DInput => first,
            Self::Outputs | Self::DOutputWeights | Self::DHidden => second,
            _ => 0,
        }
    }
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
    #[must_use]
    pub fn new() -> Self {
        let mut probe = Self {
            parameters: Buffer::zeroed(M::NETWORK.parameter_vectors()),
            gradients: Buffer::zeroed(M::NETWORK.parameter_vectors()),
            workspace: Workspace::new(M::NETWORK),
            tokens: tokens(M::NETWORK),
            model: PhantomData,
        };
        let Workspace {
            x,
            hidden,
            outputs,
            columns,
            ..
        } = &mut probe.workspace;
        let activations = [x, hidden, outputs, columns];
        for buffer in activations
            .into_iter()
            .chain([&mut probe.parameters, &mut probe.gradients])
        {
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
        let Workspace {
            hidden, outputs, ..
        } = &self.workspace;
        Some(hidden.floats()[0] + outputs.floats()[0] + self.gradients.floats()[0])
    }
}

/// Contexts of a chunk, a third of their tokens the same, as in names.
fn tokens(network: Network) -> Vec<u8> {
    let most = network.vocabulary().max(1);
    let token = |i: usize| if i.is_multiple_of(3) { 0 } else { i * 7 % most };
    (0..CHUNK * network.input_width())
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
        let network = shape.get();
        let layers = Layers::of(shape, parameters.vectors());
        let gradients = gradients.vectors_mut();
        let Workspace {
            x,
            hidden,
            outputs,
            columns,
            embedding,
        } = workspace;
        let (neurons, classes) = (network.hidden_vectors(), network.output_vectors());
        let halves = HALVES;
        match self.part {
            Part::Gather => {
                let (inputs, embedding) = (Inputs::Tokens(tokens), layers.embedding);
                let (columns, x) = (columns.pairs_mut(), x.pairs_mut());
                gather(simd, network, inputs, CHUNK, embedding, columns, x);
            }
            Part::Hidden => {
                simd.call(Hidden {
                    layers,
                    halves,
                    x: x.pairs(),
                    hidden: hidden.vectors_mut(),
                });
            }
            Part::Tanh => {
                for vector in hidden.vectors_mut() {
                    let h = tanh(simd, simd.load(vector));
                    simd.store(h, vector);
                }
            }
            Part::Outputs => simd.call(OutputsOf {
                layers,
                halves,
                hidden: hidden.pairs(),
                outputs: outputs.vectors_mut(),
            }),
            Part::Softmax => {
                let targets = Targets::Classes(&[1; CHUNK]);
                loss(simd, network, targets, CHUNK, 0.1, outputs.vectors_mut());
            }
            Part::Transposes => {
                let columns = columns.pairs_mut();
                for (rows, sums) in [(hidden.pairs(), neurons), (outputs.pairs(), classes)] {
                    let panels = gradients[..sums].chunks_mut(HALVES);
                    for (rows, totals) in rows.chunks(PANEL).zip(panels) {
                        let sums = transpose(simd, rows, HALVES, columns);
                        add_sums(simd, sums, totals);
                    }
                }
            }
            Part::DOutputWeights => {
                let (rows, a, d) = (Neurons(shape), hidden.pairs(), columns.pairs());
                for panel in 0..classes.div_ceil(HALVES) {
                    let weights = weights(gradients, classes, panel);
                    let parameters = &layers.second[panel * HALVES..];
                    simd.call(OuterProducts {
                        rows,
                        a,
                        d,
                        is_first: true,
                        finish: Finish::Gradient,
                        parameters,
                        weights,
                    });
                }
            }
            Part::DHidden => simd.call(DHidden {
                layers,
                halves,
                d_outputs: outputs.pairs(),
                hidden: hidden.vectors_mut(),
            }),
            Part::DHiddenWeights => {
                let (rows, a, d) = (Features(shape), x.pairs(), columns.pairs());
                for panel in 0..neurons.div_ceil(HALVES) {
                    let weights = weights(gradients, neurons, panel);
                    let parameters = &layers.first[panel * HALVES..];
                    simd.call(OuterProducts {
                        rows,
                        a,
                        d,
                        is_first: true,
                        finish: Finish::Gradient,
                        parameters,
                        weights,
                    });
                }
            }
            Part::DInput => {
                simd.call(DX {
                    layers,
                    halves,
                    d_z: hidden.pairs(),
                    d_x: x.vectors_mut(),
                });
            }
            Part::Scatter => {
                let sums = &mut gradients[..network.embedding_vectors()];
                let second = embedding.vectors_mut();
                scatter(
                    simd,
                    network,
                    tokens,
                    x.pairs(),
                    columns.pairs_mut(),
                    sums,
                    second,
                );
            }
            Part::Check => {
                black_box(simd.call(Sum(gradients)));
            }
        }
    }
}

/// A panel of a layer's weights.
fn weights(vectors: &mut [[f32; LANES]], stride: usize, panel: usize) -> Out<'_> {
    let cols = HALVES.min(stride - panel * HALVES);
    Out {
        vectors: &mut vectors[panel * HALVES..],
        stride,
        cols,
    }
}

/// Does nothing but multiply-adds in registers, `times` of them on each of as many independent accumulators as a tile of the
/// contraction has, and returns their number: what this instruction set can do at most.
#[must_use]
#[inline]
pub fn fma_peak(backend: Backend, times: usize) -> usize {
    backend.run(Peak(times))
}

struct Peak(usize);

impl Kernel for Peak {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> usize {
        const MOST: usize = 20;
        let chains = S::TILE.0 * S::TILE.1;
        let factor = simd.splat(black_box(0.999));
        let term = simd.splat(black_box(0.001));
        let mut sums = [simd.splat(0.5); MOST];
        for _ in 0..self.0 {
            for chain in 0..MOST {
                if chain < chains {
                    sums[chain] = simd.mul_add(sums[chain], factor, term);
                }
            }
        }
        let mut total = simd.splat(0.0);
        for sum in sums {
            total = simd.add(total, sum);
        }
        black_box(simd.sum_lanes(total));
        self.0 * chains * LANES
    }
}
