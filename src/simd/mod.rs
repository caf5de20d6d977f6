//! The language the kernels are written in: sixteen `f32` lanes and about twenty operations on them.
//!
//! [`Simd`] is implemented four times. [`Scalar`](scalar::Scalar) is the specification: plain loops over an array.
//! The others must give its bits, each in its own instructions: AVX-512 and AVX2 with FMA through `core::arch`, chosen
//! while the program runs, and [`Portable`](portable::Portable) through the `wide` crate, which follows the compiler
//! flags (NEON, wasm, SSE2, or anything `target-cpu` names).
//!
//! Why sixteen lanes on every processor, even where a register holds four: a sum over lanes is then the same tree of
//! additions everywhere, and so has the same bits everywhere. A narrower processor holds a vector in several registers.
//!
//! Why values of a token type (`simd.add(a, b)`) and not operators: the token of a processor-specific backend can only
//! be made by detecting the processor, so holding one is the proof that its instructions exist.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
mod backend;
pub(crate) mod portable;
pub(crate) mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;

use core::f32::consts::SQRT_2;

pub use backend::Backend;
pub(crate) use backend::Kernel;

/// Lanes of every vector, on every processor.
pub(crate) const LANES: usize = 16;

/// Two vectors side by side.
pub(crate) type Pair = [[f32; LANES]; 2];

/// The bits of 2^(k/8), rounded, less k · 2²⁰, for k = 0 to 7: what k, shifted to the exponent with the integer in front
/// of it, adds to its fraction.
pub(crate) const EIGHTH_ROOTS_OF_TWO: [u32; 8] = {
    #[rustfmt::skip]
    let roots = [
        1.0, 1.090_507_7, 1.189_207_1, 1.296_839_6, SQRT_2, 1.542_210_8, 1.681_792_9, 1.834_008_1_f32,
    ];
    let mut bits = [0; 8];
    let mut k = 0_u32;
    while k < 8 {
        bits[k as usize] = roots[k as usize].to_bits() - (k << 20);
        k += 1;
    }
    bits
};

/// Adding this to an `f32` of magnitude below 2²² rounds it to an integer, ties to even, and leaves that integer in
/// the low bits of the sum: 1.5 · 2²³.
pub(crate) const ROUND_TO_INTEGER: f32 = 12_582_912.0;

/// Sixteen-lane arithmetic with one meaning on every processor.
///
/// Each operation rounds once, to nearest even, in each lane on its own. Comparisons are false for NaN.
pub(crate) trait Simd: Copy {
    /// Sixteen lanes of `f32`.
    type Vector: Copy;

    /// Whether [`mul_add`](Simd::mul_add) rounds once. A backend for processors without fused multiply-add rounds the
    /// product and the sum; it agrees with the others within a tolerance, not to the bit.
    const FUSED: bool;

    /// Most rows and vectors of one register tile of a contraction: as many accumulators as there are registers left
    /// beside one row of factors and one broadcast scalar.
    const TILE: (usize, usize);

    /// The token, if this processor has the instructions: whoever holds one may use them.
    fn detect() -> Option<Self>;

    /// Runs `kernel` with this backend's instructions: as a function of its own, if the caller is not compiled for them.
    fn enter<K: Kernel>(self, kernel: K) -> K::Output;

    /// Runs a part of a kernel as a function of its own.
    ///
    /// The compiler (1.95) inlines a function with target features into another in spite of `inline(never)`, but never into one
    /// without them, as this is.
    #[inline(never)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        self.enter(kernel)
    }

    /// `value` in every lane.
    fn splat(self, value: f32) -> Self::Vector;
    /// Reads sixteen values.
    fn load(self, from: &[f32; LANES]) -> Self::Vector;
    /// Writes sixteen values.
    fn store(self, vector: Self::Vector, to: &mut [f32; LANES]);

    /// a + b
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a − b
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a · b
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a / b
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// √a
    fn sqrt(self, a: Self::Vector) -> Self::Vector;
    /// a · b + c, rounded once if [`FUSED`](Simd::FUSED)
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// c − a · b, rounded once if [`FUSED`](Simd::FUSED)
    fn neg_mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// a > b ? a : b, so `b` where either is NaN
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a < b ? a : b, so `b` where either is NaN
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a < b ? less : otherwise
    fn select_lt(
        self,
        a: Self::Vector,
        b: Self::Vector,
        less: Self::Vector,
        otherwise: Self::Vector,
    ) -> Self::Vector;
    /// |a|, of NaN too
    fn abs(self, a: Self::Vector) -> Self::Vector;
    /// `magnitude`, which must not be negative, with the sign bit of `sign`
    fn with_sign(self, magnitude: Self::Vector, sign: Self::Vector) -> Self::Vector;

    /// 2^(k/8), rounded, for an integer k in −1008..=1023 given as k + [`ROUND_TO_INTEGER`]; anything for other inputs.
    fn power_of_eighth_root_of_two(self, shifted: Self::Vector) -> Self::Vector;
    /// 2ⁿ for an integer n in −126..=127 given as n + [`ROUND_TO_INTEGER`]; anything for other inputs.
    fn power_of_two(self, shifted: Self::Vector) -> Self::Vector;
    /// The exponent e and significand m of a positive normal number a = 2ᵉ · m with 1 ≤ m < 2; anything for others.
    fn exponent_and_significand(self, a: Self::Vector) -> (Self::Vector, Self::Vector);

    /// `columns[i][to][j] = rows[j][from][i]`: transposes one vector of each pair into one vector of each pair, and returns the
    /// sum of the columns. Each half of them is summed as a tree, i + i+4, then i+2, i+1, and the second added to the first.
    ///
    /// From memory to memory, because sixteen vectors are more than a narrow processor has registers for. The sum is taken
    /// on the way, while the columns are in registers; where it is not wanted, the compiler leaves it out.
    fn transpose(
        self,
        rows: &[Pair; LANES],
        from: usize,
        columns: &mut [Pair; LANES],
        to: usize,
    ) -> Self::Vector;

    /// Lane 0.
    #[inline(always)]
    fn first_lane(self, vector: Self::Vector) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(vector, &mut lanes);
        lanes[0]
    }

    /// The sum of all lanes, as a tree: lane i + lane i+8, then i+4, i+2, i+1.
    #[inline(always)]
    fn sum_lanes(self, vector: Self::Vector) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(vector, &mut lanes);
        tree_reduce(lanes, |a, b| a + b)
    }

    /// The largest lane, by the same tree of a > b ? a : b.
    #[inline(always)]
    fn max_lane(self, vector: Self::Vector) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(vector, &mut lanes);
        tree_reduce(lanes, |a, b| if a > b { a } else { b })
    }

    /// Lane i of the result is [`sum_lanes`](Simd::sum_lanes) of row i.
    #[inline(always)]
    fn sum_lanes_of_rows(self, rows: [Self::Vector; LANES]) -> Self::Vector {
        let mut lanes = [0.0; LANES];
        for i in 0..LANES {
            lanes[i] = self.sum_lanes(rows[i]);
        }
        self.load(&lanes)
    }
}

/// Combines value i with value i + N/2, then i + N/4, and so on, down to one. N is a power of two.
#[inline(always)]
pub(crate) fn tree_reduce<T: Copy, const N: usize>(
    mut values: [T; N],
    combine: impl Fn(T, T) -> T,
) -> T {
    let mut width = N / 2;
    while width > 0 {
        for i in 0..width {
            values[i] = combine(values[i], values[i + width]);
        }
        width /= 2;
    }
    values[0]
}
