// tanh, exp and ln. With -DEQUAL_WORK they are the formulas of this crate (src/kernels/math.rs), on
// condition that the compiler keeps the order of operations: -fno-fast-math.
#ifndef FUNCTIONS_H
#define FUNCTIONS_H

#include "vectors.h"

INLINE Vector magnitude(Vector x) { return (Vector)((Integers)x & 0x7fffffff); }

constexpr float LN_2_HIGH = 0.69314575f, LN_2_LOW = 1.4286068e-6f;

template <size_t N>
INLINE Vector polynomial(const float (&coefficients)[N], Vector x) {
    Vector sum = splat(coefficients[N - 1]);
#pragma GCC unroll 16
    for (int i = N - 2; i >= 0; i--) sum = sum * x + coefficients[i];
    return sum;
}

// ln x for normal x > 0: the exponent, and a polynomial of a significand around one.
INLINE Vector ln(Vector x) {
    Integers bits = (Integers)x;
    Vector e = __builtin_convertvector((bits >> 23) - 127, Vector);
    Vector significand = (Vector)((bits & 0x007fffff) | 0x3f800000);
    auto is_low = significand < 1.41421354f;
    e = is_low ? e : e + 1.0f;
    Vector f = (is_low ? significand : significand * 0.5f) - 1.0f;
    const float coefficients[] = {
        -4.9999997e-1f, 3.3333325e-1f,  -2.500083e-1f, 2.0001669e-1f,  -1.6625938e-1f,
        1.4194873e-1f,  -1.3121785e-1f, 1.2788072e-1f, -7.7730775e-2f,
    };
    Vector rest = f * f * polynomial(coefficients, f);
    return e * LN_2_HIGH + (f + (e * LN_2_LOW + rest));
}

#ifndef EQUAL_WORK
constexpr bool IS_EQUAL = false;

// Rational approximation of odd degree 13 over even degree 6, a few ulp off.
INLINE Vector tanh(Vector x) {
    const Vector bound = splat(7.90531110763549805f);
    x = x < -bound ? -bound : x;
    x = x > bound ? bound : x;
    Vector s = x * x;
    Vector p = s * -2.76076847742355e-16f + 2.00018790482477e-13f;
    p = p * s + -8.60467152213735e-11f;
    p = p * s + 5.12229709037114e-08f;
    p = p * s + 1.48572235717979e-05f;
    p = p * s + 6.37261928875436e-04f;
    p = p * s + 4.89352455891786e-03f;
    Vector q = s * 1.19825839466702e-06f + 1.18534705686654e-04f;
    q = q * s + 2.26843463243900e-03f;
    q = q * s + 4.89352518554385e-03f;
    return x * p / q;
}

// e^x for x <= 0: 2^n by exponent bits times a polynomial of degree 6.
INLINE Vector exp(Vector x) {
    x = x < splat(-87.0f) ? splat(-87.0f) : x;
    Integers n = __builtin_convertvector(x * 1.44269504f - 0.5f, Integers);
    Vector whole = __builtin_convertvector(n, Vector);
    Vector r = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    Vector p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return p * (Vector)((n + 127) << 23);
}
#else
constexpr bool IS_EQUAL = true;

// Added to a number below 2^22 it rounds it to an integer, which is left in the lowest bits.
constexpr float TO_INTEGER = 12582912.0f;
constexpr float LOG2_E = 1.44269504f, LN_2 = 0.693147182f;

// 2^(k / 8) for k + TO_INTEGER: the exponent's bits, and one of eight roots less what k adds.
INLINE Vector power_of_eighth_root_of_two(Vector shifted) {
    alignas(64) static constexpr int32_t ROOTS[16] = {
        0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7,  // eight of them, twice
        0x3f7504f3, 0x3f75672a, 0x3f7744fd, 0x3f7ac0c7,
        0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7,
        0x3f7504f3, 0x3f75672a, 0x3f7744fd, 0x3f7ac0c7,
    };
    Integers k = (Integers)shifted, root;
#if defined(__AVX512F__)
    root = (Integers)_mm512_permutexvar_epi32((__m512i)k, _mm512_load_si512(ROOTS));
#elif defined(__AVX2__)
    const __m256i eight = _mm256_load_si256((const __m256i *)ROOTS);
    root = (Integers)_mm256_permutevar8x32_epi32(eight, (__m256i)k);
#else
    for (int i = 0; i < LANES; i++) root[i] = ROOTS[k[i] & 7];
#endif
    return (Vector)((k << 20) + root);
}

// b if that is NaN. Of the comparison and the choice, GCC 12 does not make the one instruction.
INLINE Vector lesser(Vector a, Vector b) {
#if defined(__AVX512F__)
    return (Vector)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX__)
    return (Vector)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return a < b ? a : b;
#endif
}

// x - x * x^2 / D(x^2) near zero and 1 - 2 / (e^2x + 1) from 0.625 on, by one division.
INLINE Vector tanh(Vector x) {
    Vector m = lesser(splat(9.02f), magnitude(x));
    auto is_small = m < 0.625f;
    Vector numerator = is_small ? m * m : splat(2.0f);
    Vector small = polynomial({3.0000026f, 1.1999594f, -5.530466e-3f}, numerator);
    Vector shifted = m * (16.0f * LOG2_E) + TO_INTEGER;
    Vector r = m - (shifted - TO_INTEGER) * (LN_2 / 16.0f);
    Vector exp_2r = polynomial({1.0f, 2.0000002f, 2.0002608f, 1.3327824f}, r);
    Vector large = exp_2r * power_of_eighth_root_of_two(shifted) + 1.0f;
    Vector base = is_small ? m : splat(1.0f);
    Vector y = base - base * (numerator / (is_small ? small : large));
    return (Vector)((Integers)y | ((Integers)x & INT32_MIN));
}

// e^x for x <= 0, zero where it is subnormal.
INLINE Vector exp(Vector x) {
    Vector shifted = x * LOG2_E + TO_INTEGER;
    Vector n = shifted - TO_INTEGER, r = x - n * LN_2_HIGH - n * LN_2_LOW;
    const float coefficients[] = {
        0.5f, 1.6666667e-1f, 4.166651e-2f, 8.333201e-3f, 1.3930508e-3f, 1.9950175e-4f,
    };
    Vector u = r * r * polynomial(coefficients, r) + r;
    Vector power = (Vector)(((Integers)shifted << 23) + 0x3f800000);
    return x < -87.33654f ? Vector{} : u * power + power;
}
#endif
#endif
