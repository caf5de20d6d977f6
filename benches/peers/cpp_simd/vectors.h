// Vectors of the compilers' extensions, the product on register tiles, and transposition.
#ifndef VECTORS_H
#define VECTORS_H

#include <algorithm>
#include <cstdint>
#include <utility>
#if defined(__AVX__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
constexpr int LANES = 16, REGISTERS = 32;
#elif defined(__AVX__)
constexpr int LANES = 8, REGISTERS = 16;
#else
constexpr int LANES = 4, REGISTERS = 16;
#endif
typedef float Vector __attribute__((vector_size(LANES * 4)));
typedef int32_t Integers __attribute__((vector_size(LANES * 4)));
#define INLINE inline __attribute__((always_inline))

constexpr int vectors(int floats) { return (floats + LANES - 1) / LANES; }

INLINE Vector splat(float x) { return x - Vector{}; }

INLINE float sum_of_lanes(Vector x) {
    float sum = 0;
    for (int i = 0; i < LANES; i++) sum += x[i];
    return sum;
}

// acc[r][v] = start(r) + sum over k < SUM of a[r * A_ROW + k * A_SUM] * b[k * B_STRIDE + v], handed to finish(r, v, acc).
template <int ROWS, int VECTORS, int SUM, int A_ROW, int A_SUM, int B_STRIDE, class Start, class Finish>
INLINE void tile(const float *a, const Vector *b, Start start, Finish finish) {
    Vector acc[ROWS][VECTORS];
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < VECTORS; v++) acc[r][v] = start(r);
    for (int k = 0; k < SUM; k++)
#pragma GCC unroll 32
        for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; v++) acc[r][v] += a[r * A_ROW + k * A_SUM] * b[k * B_STRIDE + v];
#pragma GCC unroll 32
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++) finish(r, v, acc[r][v]);
}

// The tallest tile that leaves registers for one row of b and one broadcast, evened out over the rows. With 32 registers
// 14 rows would fit, but 10 are 3 % faster over the whole step.
constexpr int tile_rows(int rows, int width) {
    int most = std::min((REGISTERS - width - 2) / width, 10), tiles = (rows + most - 1) / most;
    return (rows + tiles - 1) / tiles;
}

// The whole contraction: tiles over ROWS x COLUMNS.
template <int ROWS, int COLUMNS, int SUM, int A_ROW, int A_SUM, class Start, class Finish>
INLINE void contract(const float *a, const Vector *b, Start start, Finish finish) {
    // Few rows want a wider tile, so that as many sums are under way.
    constexpr int WIDTH = COLUMNS % 2 ? 1 : COLUMNS % 4 || ROWS > 2 ? 2 : 4;
    constexpr int HEIGHT = tile_rows(ROWS, WIDTH), REST = ROWS % HEIGHT;
    for (int v0 = 0; v0 < COLUMNS; v0 += WIDTH) {
        int r0 = 0;
        for (; r0 + HEIGHT <= ROWS; r0 += HEIGHT)
            tile<HEIGHT, WIDTH, SUM, A_ROW, A_SUM, COLUMNS>(
                a + r0 * A_ROW, b + v0, [&](int r) { return start(r0 + r); },
                [&](int r, int v, Vector acc) { finish(r0 + r, v0 + v, acc); });
        if constexpr (REST != 0)
            tile<REST, WIDTH, SUM, A_ROW, A_SUM, COLUMNS>(
                a + r0 * A_ROW, b + v0, [&](int r) { return start(r0 + r); },
                [&](int r, int v, Vector acc) { finish(r0 + r, v0 + v, acc); });
    }
}

// One stage of a transposition: swaps the off-diagonal halves of every block of 2S x 2S lanes.
template <int S, int... L>
INLINE void swap_halves(Vector *rows, std::integer_sequence<int, L...>) {
#pragma GCC unroll 16
    for (int r = 0; r < LANES; r++) {
        if (r & S) continue;
        Vector a = rows[r], b = rows[r + S];
        rows[r] = __builtin_shufflevector(a, b, (L & S ? LANES + L - S : L)...);
        rows[r + S] = __builtin_shufflevector(a, b, (L & S ? LANES + L : L + S)...);
    }
}

// Transposes a block of LANES vectors.
INLINE void transpose_block(Vector *rows) {
    constexpr auto lanes = std::make_integer_sequence<int, LANES>();
    if constexpr (LANES == 16) swap_halves<8 % LANES>(rows, lanes);
    if constexpr (LANES >= 8) swap_halves<4 % LANES>(rows, lanes);
    swap_halves<2>(rows, lanes);
    swap_halves<1>(rows, lanes);
}

// to[example][column of features] = from[feature][column of examples]. Rows of `from` past FEATURES are left out, and
// whatever stands in the padding lanes of `to` for them is zero.
template <int FEATURES, int BATCHES>
INLINE void transpose(const Vector (*from)[BATCHES], Vector (*to)[vectors(FEATURES)]) {
    for (int f = 0; f < vectors(FEATURES); f++)
        for (int b = 0; b < BATCHES; b++) {
            Vector rows[LANES];
#pragma GCC unroll 16
            for (int r = 0; r < LANES; r++) {
                int feature = f * LANES + r;
                rows[r] = feature < FEATURES ? from[feature][b] : Vector{};
            }
            transpose_block(rows);
#pragma GCC unroll 16
            for (int r = 0; r < LANES; r++) to[b * LANES + r][f] = rows[r];
        }
}
#endif
