//! PyTorch's CPU generator: `torch.Generator().manual_seed(…)` and what `randn`, `rand`, `randint`,
//! `uniform_`, `exponential_`, `multinomial` and the layers of an `nn.Sequential` draw from it.
//!
//! Source: the behaviour of PyTorch 2.15.0 on x86-64 Linux, and for [`ExponentialPath::Mkl`] that
//! of the MKL builds of early 2023. The generator is MT19937; G. E. P. Box and M. E. Muller, "A
//! note on the generation of random normal deviates" (1958), give the normal variates.
//!
//! Exact: everything that was compared, which is 2²⁷ normal variates of each path, 3 million of
//! arrays of fewer than 16, 2²⁰ plain exponentials and 5 million of MKL 2023.1. The f64 functions
//! among them are the `libm` crate's, not the platform's: their last bits may differ from
//! PyTorch's, but that seldom survives the rounding to f32 (never in those samples).

use alloc::vec;
use core::f64::consts::TAU;

use super::mersenne_twister::MersenneTwister;
use super::{Argmax, glibc, polynomials};
use crate::float;
use crate::model::{Model, Role};

/// Normal variates are made in blocks of this many.
const BLOCK: usize = 16;

/// Which of PyTorch's two kernels makes 16 or more normal variates, or uniform ones between limits; the bits differ.
///
/// Over many draws 38 % of the normal values differ between the two, at most by 2.1e-6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormalPath {
    /// The vector kernel of x86-64 processors with AVX2 or more.
    Simd,
    /// The kernel elsewhere, and on x86-64 where `ATEN_CPU_CAPABILITY=default` is set.
    ///
    /// It calls the C library's `logf`, `sinf` and `cosf`: these are the bits of glibc 2.36; other
    /// libraries have other last bits.
    Scalar,
}

/// Which of PyTorch's two ways makes exponential variates, and with them samples of a category; the
/// results differ altogether.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExponentialPath {
    /// Intel's MKL: PyTorch builds of early 2023 that contain it, on Intel processors.
    ///
    /// One word seeds MKL's multiplicative congruential generator, which makes the whole array.
    Mkl,
    /// PyTorch's own: two words for each variate.
    Plain,
}

/// A PyTorch CPU generator.
///
/// ```
/// use fused_mlp::replay::torch::{Generator, NormalPath};
///
/// // torch.randn(27, 2, generator=torch.Generator().manual_seed(2147483647))
/// let mut embedding = [[0.0; 2]; 27];
/// Generator::manual_seed(2147483647).randn(embedding.as_flattened_mut(), NormalPath::Simd);
/// assert_eq!(embedding[0], [1.567362, -0.23729232]);
/// ```
#[derive(Clone, Debug)]
pub struct Generator {
    words: MersenneTwister,
    /// The second half of a pair of normal variates begun by a small [`randn`](Self::randn).
    spare_normal: Option<f64>,
}

impl Generator {
    /// `torch.Generator().manual_seed(seed)`: only the low 32 bits of the seed count.
    #[must_use]
    pub fn manual_seed(seed: u64) -> Self {
        let [_, low] = super::halves(seed);
        Self {
            words: MersenneTwister::from_word(low),
            spare_normal: None,
        }
    }

    /// The next 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        self.words.next_u32()
    }

    /// The next 64 random bits: two words, the high one first.
    pub fn next_u64(&mut self) -> u64 {
        let high = u64::from(self.next_u32());
        high << 32 | u64::from(self.next_u32())
    }

    /// A uniform f32 in [0, 1): 24 bits of one word.
    fn uniform_f32(&mut self) -> f32 {
        (self.next_u32() % (1 << 24)) as f32 / (1 << 24) as f32
    }

    /// A uniform f64 in [0, 1): 53 bits of two words.
    fn uniform_f64(&mut self) -> f64 {
        (self.next_u64() % (1 << 53)) as f64 / (1_u64 << 53) as f64
    }

    /// `torch.rand(…)`: uniform in [0, 1), multiples of 2⁻²⁴, one word each.
    pub fn rand(&mut self, out: &mut [f32]) {
        out.fill_with(|| self.uniform_f32());
    }

    /// `tensor.uniform_(from, to)`: from + (to − from)·u with u as [`rand`](Self::rand) makes it, rounded once on the vector
    /// path and twice on the scalar path.
    pub fn uniform(&mut self, out: &mut [f32], from: f64, to: f64, path: NormalPath) {
        let (from, to) = (round(from), round(to));
        let width = to - from;
        out.fill_with(|| {
            let u = self.uniform_f32();
            match path {
                NormalPath::Simd => float::mul_add(u, width, from),
                NormalPath::Scalar => u * width + from,
            }
        });
    }

    /// The parameters that PyTorch gives a new `nn.Sequential` of a model's layers.
    ///
    /// ```text
    /// torch.manual_seed(seed)
    /// nn.Sequential(nn.Embedding(V, E), nn.Flatten(), nn.Linear(T·E, H₁), …, nn.Linear(H_L, K))
    /// ```
    ///
    /// or without the first two for a `Dense` input. In the order of the modules: an embedding from N(0, 1); of each `nn.Linear`
    /// its weights `[outputs, inputs]` by `kaiming_uniform_(a=√5)`, then its bias uniform in ±1 / √inputs.
    ///
    /// ```
    /// use fused_mlp::replay::torch::{Generator, NormalPath};
    /// use fused_mlp::{Dense, Mlp, Regression, Tanh};
    ///
    /// // torch.manual_seed(0); nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    /// let model: Mlp<Dense<2>, Tanh<3>, Regression<1>> =
    ///     Generator::manual_seed(0).sequential(NormalPath::Simd);
    /// assert_eq!(model.input.weights[(0, 0)], -0.005_293_981);
    /// ```
    #[must_use]
    pub fn sequential<M: Model>(&mut self, path: NormalPath) -> M {
        let mut model = M::zeroed();
        let mut inputs = 0;
        for (tensor, values) in model.tensors_mut() {
            match tensor.role {
                Role::Embedding => self.randn(values, path),
                Role::Weights => {
                    inputs = tensor.rows;
                    // In PyTorch's order of operations; a·a is not quite 5.
                    let a = libm::sqrt(5.0);
                    let gain = libm::sqrt(2.0 / (1.0 + a * a));
                    let bound = libm::sqrt(3.0) * (gain / libm::sqrt(inputs as f64));
                    let mut transposed = vec![0.0; values.len()];
                    self.uniform(&mut transposed, -bound, bound, path);
                    for (output, weights) in transposed.chunks_exact(inputs).enumerate() {
                        for (input, &weight) in weights.iter().enumerate() {
                            values[input * tensor.columns + output] = weight;
                        }
                    }
                }
                Role::Bias => {
                    let bound = 1.0 / libm::sqrt(inputs as f64);
                    self.uniform(values, -bound, bound, path);
                }
            }
        }
        model
    }

    /// `torch.randint(0, n, …)`, one integer: uniform in [0, n) but for the bias of the remainder.
    ///
    /// One word mod n, or [64 bits](Self::next_u64) mod n from n = 2²⁸ on. (PyTorch of 2023 changed
    /// over at 2³².)
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn randint(&mut self, n: u64) -> u64 {
        assert_ne!(n, 0, "no integer is below 0");
        if n < 1 << 28 {
            u64::from(self.next_u32()) % n
        } else {
            self.next_u64() % n
        }
    }

    /// `torch.randn(…)`: standard normal variates, for a contiguous f32 tensor of `out.len()`
    /// elements.
    ///
    /// Sixteen or more: `out` is filled with uniforms, which are transformed in blocks of 16; if
    /// the length is no multiple of 16, the last 16 elements are then overwritten from 16 new
    /// words.
    ///
    /// Fewer than 16: pairs in f64, whatever the `path`; the half of a pair that is left over waits
    /// in the generator for the next such call.
    pub fn randn(&mut self, out: &mut [f32], path: NormalPath) {
        if out.len() < BLOCK {
            return out.fill_with(|| self.single_normal());
        }
        self.rand(out);
        let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
        for block in blocks {
            box_muller(block, path);
        }
        if !rest.is_empty()
            && let Some(block) = out.last_chunk_mut::<BLOCK>()
        {
            self.rand(block);
            box_muller(block, path);
        }
    }

    /// One normal variate of an array that is too small for blocks.
    fn single_normal(&mut self) -> f32 {
        let normal = self.spare_normal.take().unwrap_or_else(|| {
            let angle = TAU * self.uniform_f64();
            let radius = libm::sqrt(-2.0 * libm::log1p(-self.uniform_f64()));
            self.spare_normal = Some(radius * libm::sin(angle));
            radius * libm::cos(angle)
        });
        round(normal + 0.0) // PyTorch adds the mean, which makes −0 positive
    }

    /// `tensor.exponential_(1)`: exponential variates of rate 1, for a contiguous f32 tensor of
    /// `out.len()` elements.
    ///
    /// In f64, then rounded. MKL: −ln(x/m) with x ← 1132489760·x mod m, m = 2³¹ − 1, from x = one
    /// word mod m, or 1 for 0. Plain: −ln(1 − u) with a 53-bit uniform u.
    pub fn exponential(&mut self, out: &mut [f32], path: ExponentialPath) {
        self.exponentials(out.len(), path, |index, variate| out[index] = variate);
    }

    /// Shows `visit` the indices below `count` in order, each with its exponential variate.
    fn exponentials(
        &mut self,
        count: usize,
        path: ExponentialPath,
        mut visit: impl FnMut(usize, f32),
    ) {
        /// MKL's generator `MCG31m1`: modulus and multiplier.
        const MODULUS: u64 = (1 << 31) - 1;
        const MULTIPLIER: u64 = 1_132_489_760;
        match path {
            // PyTorch leaves an empty array before it draws the seed.
            _ if count == 0 => {}
            ExponentialPath::Mkl => {
                let mut x = (u64::from(self.next_u32()) % MODULUS).max(1);
                for index in 0..count {
                    visit(index, round(-libm::log(x as f64 / MODULUS as f64)));
                    x = x * MULTIPLIER % MODULUS;
                }
            }
            ExponentialPath::Plain => {
                for index in 0..count {
                    visit(index, round(-libm::log1p(-self.uniform_f64())));
                }
            }
        }
    }

    /// `torch.multinomial(probabilities, 1)`: one index, drawn with probability proportional to its
    /// entry.
    ///
    /// The first maximum of `probabilities[i]` / qᵢ, with one [`exponential`](Self::exponential)
    /// variate qᵢ each. The entries need not sum to 1, but must be as PyTorch demands: finite, not
    /// negative, not all zero.
    ///
    /// # Panics
    /// If `probabilities` is empty.
    pub fn multinomial(&mut self, probabilities: &[f32], path: ExponentialPath) -> usize {
        assert!(!probabilities.is_empty(), "there is no category to draw");
        let mut winner = Argmax::new();
        self.exponentials(probabilities.len(), path, |index, variate| {
            winner.offer(index, probabilities[index] / variate);
        });
        winner.index
    }
}

/// Turns 16 uniforms into 16 normal variates, elements j and j + 8 together:
/// u and u′ become r·cos θ and r·sin θ with r² = −2 ln(1 − u), θ = 2π u′.
fn box_muller(block: &mut [f32; BLOCK], path: NormalPath) {
    let (firsts, seconds) = block.split_at_mut(BLOCK / 2);
    for (first, second) in firsts.iter_mut().zip(seconds) {
        let (ln, (sin, cos)) = match path {
            NormalPath::Simd => (
                polynomials::ln_torch(1.0 - *first),
                polynomials::sin_cos_torch(core::f32::consts::TAU * *second),
            ),
            // The angle is multiplied in f64 here: the main cause of the differences.
            NormalPath::Scalar => (
                glibc::ln(1.0 - *first),
                glibc::sin_cos(round(TAU * f64::from(*second))),
            ),
        };
        let radius = float::sqrt(-2.0 * ln);
        // PyTorch adds the mean, which makes −0 positive.
        *first = radius * cos + 0.0;
        *second = radius * sin + 0.0;
    }
}

/// To single precision.
#[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
fn round(x: f64) -> f32 {
    x as f32
}

/// The batches of the post's PyTorch run: in each step
/// `torch.randint(0, examples, (BATCH,), generator=g)`.
///
/// An endless iterator over arrays of example indices, drawn with replacement, as
/// [`Dataset::select`](crate::Dataset::select) takes them.
///
/// ```
/// use fused_mlp::replay::torch::{Batches, Generator};
///
/// let mut batches = Batches::<4>::new(Generator::manual_seed(2147483647), 182_625);
/// assert_eq!(batches.next(), Some([138156, 41144, 63274, 75447]));
/// ```
#[derive(Clone, Debug)]
pub struct Batches<const BATCH: usize> {
    generator: Generator,
    examples: u32,
}

impl<const BATCH: usize> Batches<BATCH> {
    /// Batches of indices below `examples` from `generator`, which the post seeds anew for them.
    ///
    /// # Panics
    /// If `examples` is 0 or does not fit a `u32`, as the indices must.
    #[must_use]
    pub fn new(generator: Generator, examples: usize) -> Self {
        assert_ne!(examples, 0, "there is no example to draw");
        let examples = u32::try_from(examples).expect("example indices have 32 bits");
        Self {
            generator,
            examples,
        }
    }
}

impl<const BATCH: usize> Iterator for Batches<BATCH> {
    type Item = [u32; BATCH];

    fn next(&mut self) -> Option<Self::Item> {
        let examples = u64::from(self.examples);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "below `examples`, which is a u32"
        )]
        Some([(); BATCH].map(|()| self.generator.randint(examples) as u32))
    }
}
