//! tanh and exp that vectorise when they are mapped over a slice. The standard library's tanh, a call for each element,
//! would cost these peers more than everything else they do.

/// Rational approximation of odd degree 13 over even degree 6, a few ulp off.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let x = x.clamp(-7.905_311, 7.905_311);
    let s = x * x;
    let p = [
        2.000_188e-13,
        -8.604_672e-11,
        5.122_297e-8,
        1.485_722_4e-5,
        6.372_619e-4,
        4.893_524_6e-3,
    ]
    .into_iter()
    .fold(-2.760_768_5e-16, |p: f32, c| p.mul_add(s, c));
    let q = [1.185_347_1e-4, 2.268_434_6e-3, 4.893_525e-3]
        .into_iter()
        .fold(1.198_258_4e-6, |q: f32, c| q.mul_add(s, c));
    x * p / q
}

/// e^x for x <= 0: 2^n by exponent bits times a polynomial of degree 6.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = x.max(-87.0);
    let n = (x * std::f32::consts::LOG2_E).round_ties_even();
    let r = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, x));
    let p = [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        0.166_666_65,
        0.5,
        1.0,
        1.0,
    ]
    .into_iter()
    .fold(1.987_569_1e-4, |p: f32, c| p.mul_add(r, c));
    p * f32::from_bits(((n as i32 + 127) << 23) as u32)
}
