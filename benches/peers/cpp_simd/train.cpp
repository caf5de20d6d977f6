// Hand-vectorised C++ with the compilers' vector extensions and every size a constant: the peer to beat.
//
// Activations lie [feature][example], lanes over the batch. All six products are one contraction on a tile of
// rows x vectors held in registers, with the update or the activation applied before the tile is stored. Only the two
// weight gradients want lanes over classes and neurons; for them d_logits and d_z are transposed in registers.
//
// By itself it does what training needs and no more. With -DEQUAL_WORK a step does what this crate's
// does: the same tanh and exp, the loss, and new parameters beside the old, which replace them only if
// all are finite.
#include "../c/tokens.h"

#include "functions.h"

constexpr int BATCHES = vectors(BATCH), CLASSES = vectors(VOCAB), NEURONS = vectors(HIDDEN);
static_assert(BATCH % LANES == 0, "BATCH must fill whole vectors");

// Parameters with whole vectors a row. b1 is the last row of W1, fed by an input that is always one.
struct Model {
    alignas(64) float C[VOCAB][EMBED];
    alignas(64) float W1[INPUTS + 1][NEURONS * LANES];
    alignas(64) float W2[HIDDEN][CLASSES * LANES];
    alignas(64) float b2[CLASSES * LANES];
};

struct Workspace {
    Vector x[INPUTS + 1][BATCHES], hidden[HIDDEN][BATCHES], d_z[HIDDEN][BATCHES], d_x[INPUTS][BATCHES];
    Vector logits[VOCAB][BATCHES];  // then their gradient
    Vector d_logits_by_example[BATCH][CLASSES], d_z_by_example[BATCH][NEURONS];
};

// Zero unless the work is to be equal.
struct Outcome {
    float loss, sum;  // of the new parameters: finite only if they all are
};

// From the parameters p to the next, which are p itself unless the work is to be equal.
static INLINE Outcome step(const Model &p, Model &next, Workspace &w, const Data &data,
                           const uint32_t *indices) {
    const float rate = data.learning_rate;
    Vector sum_of_parameters = {};
    const auto update = [&](const float *from, float *to, int v, Vector d) {
        Vector value = ((const Vector *)from)[v] - rate * d;
        ((Vector *)to)[v] = value;
        if (IS_EQUAL) sum_of_parameters += value;
    };
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

    float loss = 0;
    Vector of_targets[BATCHES] = {};
    if (IS_EQUAL)
        for (int b = 0; b < BATCH; b++)
            ((float *)of_targets)[b] = logits[data.targets[indices[b]] * BATCH + b];
    for (int b = 0; b < BATCHES; b++) {
        Vector top = w.logits[0][b], sum = {};
        for (int v = 1; v < VOCAB; v++) top = w.logits[v][b] > top ? w.logits[v][b] : top;
        for (int v = 0; v < VOCAB; v++) sum += w.logits[v][b] = exp(w.logits[v][b] - top);
        if (IS_EQUAL) loss += sum_of_lanes(ln(sum) - (of_targets[b] - top)) / BATCH;
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
        [&](int r, int v, Vector d) { update(p.W2[r], next.W2[r], v, d); });
    for (int v = 0; v < CLASSES; v++) {
        Vector d = {};
        for (int b = 0; b < BATCH; b++) d += w.d_logits_by_example[b][v];
        update(p.b2, next.b2, v, d);
    }
    contract<INPUTS + 1, NEURONS, BATCH, BATCH, 1>(
        x, &w.d_z_by_example[0][0], zero,
        [&](int r, int v, Vector d) { update(p.W1[r], next.W1[r], v, d); });

    if (IS_EQUAL) memcpy(next.C, p.C, sizeof p.C);
    for (int b = 0; b < BATCH; b++)
        for (int t = 0; t < CONTEXT; t++)
            for (int d = 0; d < EMBED; d++)
                next.C[data.contexts[indices[b]][t]][d] -= rate * d_x[(t * EMBED + d) * BATCH + b];
    if (IS_EQUAL)
        for (int v = 0; v < vectors(VOCAB * EMBED); v++)
            sum_of_parameters += ((const Vector *)&next)[v];  // C, which is the first
    return {loss, sum_of_lanes(sum_of_parameters)};
}

// By its bits, because -ffast-math takes every number for finite.
static bool is_finite(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits & 0x7f800000) != 0x7f800000;
}

// Draws the numbers of examples as this crate does: xoshiro256++, two numbers of a word, by
// multiplication without bias (Lemire 2019).
struct Generator {
    uint64_t s[4];
    uint32_t examples, threshold;

    Generator(uint32_t examples) : examples(examples), threshold(-examples % examples) {
        uint64_t seed = 1;
        for (uint64_t &word : s) {  // splitmix64
            uint64_t z = seed += 0x9e3779b97f4a7c15;
            z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
            z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
            word = z ^ (z >> 31);
        }
    }

    static uint64_t rotated(uint64_t x, int left) { return x << left | x >> (64 - left); }

    uint64_t next() {
        uint64_t word = rotated(s[0] + s[3], 23) + s[0], t = s[1] << 17;
        s[2] ^= s[0], s[3] ^= s[1], s[1] ^= s[2], s[0] ^= s[3], s[2] ^= t, s[3] = rotated(s[3], 45);
        return word;
    }

    uint32_t scaled(uint32_t random) {
        uint64_t product = (uint64_t)random * examples;
        while ((uint32_t)product < threshold) product = (next() >> 32) * examples;
        return product >> 32;
    }

    void draw(uint32_t *indices) {
        for (int b = 0; b < BATCH; b += 2) {
            uint64_t word = next();
            indices[b] = scaled((uint32_t)word);
            indices[b + 1] = scaled(word >> 32);
        }
    }
};

static double train(Parameters *parameters, const Data *data, uint32_t steps) {
    static Model models[1 + IS_EQUAL];
    static Workspace workspace;
    Model &model = models[0];
    memset(models, 0, sizeof models);
    std::copy_n(&parameters->C[0][0], VOCAB * EMBED, &model.C[0][0]);
    for (int i = 0; i < INPUTS; i++) std::copy_n(parameters->W1[i], HIDDEN, model.W1[i]);
    std::copy_n(parameters->b1, HIDDEN, model.W1[INPUTS]);
    for (int h = 0; h < HIDDEN; h++) std::copy_n(parameters->W2[h], VOCAB, model.W2[h]);
    std::copy_n(parameters->b2, VOCAB, model.b2);
    for (Vector &one : workspace.x[INPUTS]) one = splat(1.0f);

    Generator generator(data->examples);
    uint32_t drawn[BATCH];
    int old = 0;
    double start = now();
    for (uint32_t s = 0; s < steps; s++) {
        if (data->own_batches) generator.draw(drawn);
        const uint32_t *indices = data->own_batches ? drawn : data->indices + (size_t)s * BATCH;
        Outcome outcome = step(models[old], models[old ^ IS_EQUAL], workspace, *data, indices);
        if (IS_EQUAL && !(is_finite(outcome.loss) && is_finite(outcome.sum))) {
            fprintf(stderr, "step %u: the loss or a new parameter is not finite\n", s);
            exit(1);
        }
        old ^= IS_EQUAL;
    }
    double seconds = now() - start;
    model = models[old];

    std::copy_n(&model.C[0][0], VOCAB * EMBED, &parameters->C[0][0]);
    for (int i = 0; i < INPUTS; i++) std::copy_n(model.W1[i], HIDDEN, parameters->W1[i]);
    std::copy_n(model.W1[INPUTS], HIDDEN, parameters->b1);
    for (int h = 0; h < HIDDEN; h++) std::copy_n(model.W2[h], VOCAB, parameters->W2[h]);
    std::copy_n(model.b2, VOCAB, parameters->b2);
    return seconds;
}

int main(int argc, char **argv) {
    const char *name = IS_EQUAL ? "C++, hand-vectorised, equal work" : "C++, hand-vectorised";
    return serve_tokens(argc, argv, name, COMPILER, train, nullptr);
}
