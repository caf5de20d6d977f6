//! tanh, exp, ln and what activations need of them, on sixteen lanes: polynomials of this crate's own, the same operations on every processor.
//!
//! The coefficients are minimax polynomials with `f32` coefficients found by Sollya's `fpminimax`; the command stands at
//! each table. The largest errors stand in [`math`](crate::math), and `tests/math` holds the functions to them.

use crate::simd::{ROUND_TO_INTEGER, Simd};

/// c₀ + c₁·x + c₂·x² + …, by Horner's rule.
#[inline(always)]
pub(super) fn polynomial<S: Simd, const N: usize>(
    simd: S,
    coefficients: [f32; N],
    x: S::Vector,
) -> S::Vector {
    let mut sum = simd.splat(coefficients[N - 1]);
    for i in (0..N - 1).rev() {
        sum = simd.mul_add(sum, x, simd.splat(coefficients[i]));
    }
    sum
}

/// x rounded to an integer n, and n + [`ROUND_TO_INTEGER`], for |x| < 2²².
#[inline(always)]
fn round<S: Simd>(simd: S, x: S::Vector, factor: f32) -> (S::Vector, S::Vector) {
    let shifter = simd.splat(ROUND_TO_INTEGER);
    let shifted = simd.mul_add(x, simd.splat(factor), shifter);
    (simd.sub(shifted, shifter), shifted)
}

/// Below this magnitude tanh is x − x · x² / D(x²), from it on 1 − 2 / (e^2x + 1).
const TANH_BRANCH: f32 = 0.625;

/// From here on tanh rounds to 1: 1 − tanh(9.02) = 2.9e-8 is less than half the distance of 1 to its neighbour below.
const TANH_ONE: f32 = 9.02;

/// D(y) = y / (1 − tanh(√y) / √y), nearly a straight line, on [0, 0.625²], error of tanh 8.2e-9 relative. Errors of D are
/// weighed by what they do to tanh, hardly anything near zero:
/// `f = x/(1-tanh(sqrt(x))/sqrt(x)); w = x/f^2/(tanh(sqrt(x))/sqrt(x)); remez(f*w, 2, [2^-20;0.625^2], w)`, rounded.
#[rustfmt::skip]
const TANH_SMALL: [f32; 3] = [
    3.000_002_6, 1.199_959_4, -5.530_466e-3,
];

/// e^2r on |r| ≤ ln 2 / 32, error 2.7e-8 relative:
/// `fpminimax(exp(2*x), 3, [|1,SG...|], [-0.02167;0.02167], relative)`.
#[rustfmt::skip]
const EXP_OF_DOUBLE: [f32; 4] = [
    1.0, 2.000_000_2, 2.000_260_8, 1.332_782_4,
];

/// tanh x = x − x³ / D(x²) = 1 − 2 / (e^2x + 1).
///
/// # Accuracy
///
/// At most [`TANH_MAX_ULP`](crate::math::TANH_MAX_ULP) over all inputs; odd to the bit, monotone, |tanh x| ≤ 1, NaN stays NaN, subnormals are
/// returned as they are.
///
/// Both branches end in the same operations, base − base · (numerator / denominator), so that one division serves them. A
/// quotient (e^2x − 1) / (e^2x + 1) would do with one branch, but the rounding of its denominator makes it fall here and
/// there as x grows; each of these branches is a small correction to an exact term, and rises.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    // On |x|, and the sign put on at the end: −0 would come out of a sum as +0.
    let m = simd.min(simd.splat(TANH_ONE), simd.abs(x));
    let choose = |small, large| simd.select_lt(m, simd.splat(TANH_BRANCH), small, large);
    let one = simd.splat(1.0);

    // Where the other branch is chosen, this polynomial has nothing to say.
    let numerator = choose(simd.mul(m, m), simd.splat(2.0));
    let small = polynomial(simd, TANH_SMALL, numerator);

    // e^2m = 2^(k/8) · e^2r with m = k · ln 2 / 16 + r. Eighths of an octave make r small enough for degree 3. One constant
    // for ln 2 / 16 is enough: its error of 1e-10 · k matters less the larger k, since 2 / (e^2m + 1) shrinks faster.
    let (k, shifted) = round(simd, m, 16.0 * core::f32::consts::LOG2_E);
    let r = simd.neg_mul_add(k, simd.splat(core::f32::consts::LN_2 / 16.0), m);
    let exp_2r = polynomial(simd, EXP_OF_DOUBLE, r);
    let large = simd.mul_add(exp_2r, simd.power_of_eighth_root_of_two(shifted), one);

    let base = choose(m, one);
    let quotient = simd.div(numerator, choose(small, large));
    simd.with_sign(simd.neg_mul_add(base, quotient, base), x)
}

/// ln 2⁻¹²⁶ rounded up: below, e^x is subnormal, and [`exp`] gives zero.
const EXP_UNDERFLOW: f32 = -87.336_54;

/// ln 2 in two parts; n times the first is exact for |n| < 2⁹.
const LN_2_HIGH: f32 = 0.693_145_75;
const LN_2_LOW: f32 = 1.428_606_8e-6;

/// (e^r − 1 − r) / r² on |r| ≤ ln 2 / 2, error of e^r 2.8e-10 relative (with one degree less the result can be 1.004 ulp
/// off): `fpminimax((exp(x)-1-x)/x^2, 5, [|SG...|], [-0.3467;0.3467])`.
#[rustfmt::skip]
const EXP_REST: [f32; 6] = [
    0.5, 1.666_666_7e-1, 4.166_651e-2, 8.333_201e-3, 1.393_050_8e-3, 1.995_017_5e-4,
];

/// e^x for x ≤ 0; zero where the true value is subnormal.
///
/// # Accuracy
///
/// At most [`EXP_MAX_ULP`](crate::math::EXP_MAX_ULP) where e^x is normal; zero below, so exp(−∞) = 0. NaN stays NaN.
/// Unspecified for x > 0.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let (n, shifted) = round(simd, x, core::f32::consts::LOG2_E);
    let r = simd.neg_mul_add(n, simd.splat(LN_2_HIGH), x);
    let r = simd.neg_mul_add(n, simd.splat(LN_2_LOW), r);
    // 2ⁿ · (1 + u) with u = e^r − 1, rounded once at the end.
    let u = exp_minus_one(simd, r);
    let power = simd.power_of_two(shifted);
    let y = simd.mul_add(u, power, power);
    simd.select_lt(x, simd.splat(EXP_UNDERFLOW), simd.splat(0.0), y)
}

/// eʳ − 1 for |r| ≤ 0.38.
#[inline(always)]
fn exp_minus_one<S: Simd>(simd: S, r: S::Vector) -> S::Vector {
    let rest = polynomial(simd, EXP_REST, r);
    simd.mul_add(simd.mul(r, r), rest, r)
}

/// e^x = (1 + u) · power · scale with powers of two, each of which is a normal number.
pub(super) struct Exp<V> {
    pub(super) u: V,
    pub(super) power: V,
    /// 1 where e^x ≥ 2⁻⁹⁹. Multiplied last it lets a product with e^x that is subnormal keep all its bits until then.
    pub(super) scale: V,
}

/// The least exponent of [`Exp::power`].
const LEAST_EXPONENT: f32 = -100.0;

/// e^(x + tail) for −150 ≤ x ≤ 0 and |tail| ≤ 0.03. NaN stays NaN in u.
#[inline(always)]
pub(super) fn exp_of_sum<S: Simd>(simd: S, x: S::Vector, tail: S::Vector) -> Exp<S::Vector> {
    let (n, shifted) = round(simd, x, core::f32::consts::LOG2_E);
    // What is small comes first, so that the sum is rounded once.
    let small = simd.neg_mul_add(n, simd.splat(LN_2_LOW), tail);
    let r = simd.add(simd.neg_mul_add(n, simd.splat(LN_2_HIGH), x), small);
    let least = simd.splat(ROUND_TO_INTEGER + LEAST_EXPONENT);
    let shifted_power = simd.max(least, shifted);
    let rest = simd.sub(shifted, shifted_power);
    Exp {
        u: exp_minus_one(simd, r),
        power: simd.power_of_two(shifted_power),
        scale: simd.power_of_two(simd.add(rest, simd.splat(ROUND_TO_INTEGER))),
    }
}

/// (ln(1 + f) − f) / f² on [√½ − 1, √2 − 1], error of ln 9.0e-9 relative:
/// `fpminimax((log(1+x)-x)/x^2, 8, [|SG...|], [sqrt(0.5)-1;sqrt(2)-1])`.
#[rustfmt::skip]
const LN_REST: [f32; 9] = [
    -4.999_999_7e-1, 3.333_332_5e-1, -2.500_083e-1, 2.000_166_9e-1, -1.662_593_8e-1,
    1.419_487_3e-1, -1.312_178_5e-1, 1.278_807_2e-1, -7.773_077_5e-2,
];

/// ln x for normal x > 0.
///
/// # Accuracy
///
/// At most [`LN_MAX_ULP`](crate::math::LN_MAX_ULP) on [1, 2¹⁶], the range of a sum of up to 2¹⁶ exponentials the largest of which is 1.
/// Unspecified for zero, subnormal and negative numbers, infinities and NaN.
#[inline(always)]
pub(crate) fn ln<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let one = simd.splat(1.0);
    let (exponent, significand) = simd.exponent_and_significand(x);
    // A significand above √2 is halved, so that f is centred on zero.
    let sqrt_2 = simd.splat(core::f32::consts::SQRT_2);
    let halved = simd.mul(significand, simd.splat(0.5));
    let e = simd.select_lt(significand, sqrt_2, exponent, simd.add(exponent, one));
    let f = simd.sub(
        simd.select_lt(significand, sqrt_2, significand, halved),
        one,
    );

    let rest = simd.mul(simd.mul(f, f), polynomial(simd, LN_REST, f));
    let low = simd.mul_add(e, simd.splat(LN_2_LOW), rest);
    simd.mul_add(e, simd.splat(LN_2_HIGH), simd.add(f, low))
}
