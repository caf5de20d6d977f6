// Hand-vectorised C++ with the compilers' vector extensions and every size a constant: the peer to beat.
//
// Activations lie [feature][example], lanes over the batch. All six products are one contraction on a tile of
// rows x vectors held in registers, with the update or the activation applied before the tile is stored. Only the two
// weight gradients want lanes over classes and neurons; for them d_logits and d_z are transposed in registers.
#include "../c/tokens.h"

#include <algorithm>
#include <utility>

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
constexpr int BATCHES = vectors(BATCH), CLASSES = vectors(VOCAB), NEURONS = vectors(HIDDEN);
static_assert(BATCH % LANES == 0, "BATCH must fill whole vectors");

INLINE Vector splat(float x) { return x - Vector{}; }

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
    constexpr int WIDTH = COLUMNS % 2 ? 1 : 2;
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

// to[example][column of features] = from[feature][column of examples]. Rows of `from` past FEATURES are left out, and
// whatever stands in the padding lanes of `to` for them is zero.
template <int FEATURES>
INLINE void transpose(const Vector (*from)[BATCHES], Vector (*to)[vectors(FEATURES)]) {
    constexpr auto lanes = std::make_integer_sequence<int, LANES>();
    for (int f = 0; f < vectors(FEATURES); f++)
        for (int b = 0; b < BATCHES; b++) {
            Vector rows[LANES];
#pragma GCC unroll 16
            for (int r = 0; r < LANES; r++) {
                int feature = f * LANES + r;
                rows[r] = feature < FEATURES ? from[feature][b] : Vector{};
            }
            if constexpr (LANES == 16) swap_halves<8 % LANES>(rows, lanes);
            if constexpr (LANES >= 8) swap_halves<4 % LANES>(rows, lanes);
            swap_halves<2>(rows, lanes);
            swap_halves<1>(rows, lanes);
#pragma GCC unroll 16
            for (int r = 0; r < LANES; r++) to[b * LANES + r][f] = rows[r];
        }
}

// Parameters with whole vectors a row. b1 is the last row of W1, fed by an input that is always one.
struct Model {
    float C[VOCAB][EMBED];
    alignas(64) float W1[INPUTS + 1][NEURONS * LANES];
    alignas(64) float W2[HIDDEN][CLASSES * LANES];
    alignas(64) float b2[CLASSES * LANES];
};

struct Workspace {
    Vector x[INPUTS + 1][BATCHES], hidden[HIDDEN][BATCHES], d_z[HIDDEN][BATCHES], d_x[INPUTS][BATCHES];
    Vector logits[VOCAB][BATCHES];  // then their gradient
    Vector d_logits_by_example[BATCH][CLASSES], d_z_by_example[BATCH][NEURONS];
};

static INLINE void step(Model &p, Workspace &w, const Data &data, const uint32_t *indices) {
    const float rate = data.learning_rate;
    const auto zero = [](int) { return Vector{}; };
    float *x = (float *)w.x, *logits = (float *)w.logits;
    const float *d_x = (const float *)w.d_x;

    for (int b = 0; b < BATCH; b++)
        for (int t = 0; t < CONTEXT; t++)
            for (int d = 0; d < EMBED; d++)
                x[(t * EMBED + d) * BATCH + b] = p.C[data.contexts[indices[b]][t]][d];

    contract<HIDDEN, BATCHES, INPUTS + 1, 1, NEURONS * LANES>(
        &p.W1[0][0], &w.x[0][0], zero, [&](int r, int v, Vector z) { w.hidden[r][v] = tanh(z); });
    contract<VOCAB, BATCHES, HIDDEN, 1, CLASSES * LANES>(
        &p.W2[0][0], &w.hidden[0][0], [&](int r) { return splat(p.b2[r]); },
        [&](int r, int v, Vector z) { w.logits[r][v] = z; });

    for (int b = 0; b < BATCHES; b++) {
        Vector top = w.logits[0][b], sum = {};
        for (int v = 1; v < VOCAB; v++) top = w.logits[v][b] > top ? w.logits[v][b] : top;
        for (int v = 0; v < VOCAB; v++) sum += w.logits[v][b] = exp(w.logits[v][b] - top);
        sum = 1.0f / (sum * (float)BATCH);
        for (int v = 0; v < VOCAB; v++) w.logits[v][b] *= sum;
    }
    for (int b = 0; b < BATCH; b++) logits[data.targets[indices[b]] * BATCH + b] -= 1.0f / BATCH;

    contract<HIDDEN, BATCHES, VOCAB, CLASSES * LANES, 1>(
        &p.W2[0][0], &w.logits[0][0], zero,
        [&](int r, int v, Vector d) { w.d_z[r][v] = d * (1.0f - w.hidden[r][v] * w.hidden[r][v]); });
    contract<INPUTS, BATCHES, HIDDEN, NEURONS * LANES, 1>(
        &p.W1[0][0], &w.d_z[0][0], zero, [&](int r, int v, Vector d) { w.d_x[r][v] = d; });

    transpose<VOCAB>(w.logits, w.d_logits_by_example);
    transpose<HIDDEN>(w.d_z, w.d_z_by_example);
    contract<HIDDEN, CLASSES, BATCH, BATCH, 1>(
        (const float *)w.hidden, &w.d_logits_by_example[0][0], zero,
        [&](int r, int v, Vector d) { ((Vector *)p.W2[r])[v] -= rate * d; });
    for (int v = 0; v < CLASSES; v++) {
        Vector d = {};
        for (int b = 0; b < BATCH; b++) d += w.d_logits_by_example[b][v];
        ((Vector *)p.b2)[v] -= rate * d;
    }
    contract<INPUTS + 1, NEURONS, BATCH, BATCH, 1>(
        x, &w.d_z_by_example[0][0], zero, [&](int r, int v, Vector d) { ((Vector *)p.W1[r])[v] -= rate * d; });

    for (int b = 0; b < BATCH; b++)
        for (int t = 0; t < CONTEXT; t++)
            for (int d = 0; d < EMBED; d++)
                p.C[data.contexts[indices[b]][t]][d] -= rate * d_x[(t * EMBED + d) * BATCH + b];
}

static double train(Parameters *parameters, const Data *data, uint32_t steps) {
    static Model model;
    static Workspace workspace;
    std::fill_n((float *)&model, sizeof model / sizeof(float), 0.0f);
    std::copy_n(&parameters->C[0][0], VOCAB * EMBED, &model.C[0][0]);
    for (int i = 0; i < INPUTS; i++) std::copy_n(parameters->W1[i], HIDDEN, model.W1[i]);
    std::copy_n(parameters->b1, HIDDEN, model.W1[INPUTS]);
    for (int h = 0; h < HIDDEN; h++) std::copy_n(parameters->W2[h], VOCAB, model.W2[h]);
    std::copy_n(parameters->b2, VOCAB, model.b2);
    for (Vector &one : workspace.x[INPUTS]) one = splat(1.0f);

    double start = now();
    for (uint32_t s = 0; s < steps; s++) step(model, workspace, *data, data->indices + (size_t)s * BATCH);
    double seconds = now() - start;

    std::copy_n(&model.C[0][0], VOCAB * EMBED, &parameters->C[0][0]);
    for (int i = 0; i < INPUTS; i++) std::copy_n(model.W1[i], HIDDEN, parameters->W1[i]);
    std::copy_n(model.W1[INPUTS], HIDDEN, parameters->b1);
    for (int h = 0; h < HIDDEN; h++) std::copy_n(model.W2[h], VOCAB, parameters->W2[h]);
    std::copy_n(model.b2, VOCAB, parameters->b2);
    return seconds;
}

int main(int argc, char **argv) {
    return serve_tokens(argc, argv, "C++, hand-vectorised", COMPILER, train, nullptr);
}
