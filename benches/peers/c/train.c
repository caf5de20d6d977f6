/* Plain C left to the auto-vectoriser, in the layout that suits it: activations [feature][example], so that every inner
 * loop runs over a constant number of neighbouring floats and nothing is summed across lanes.
 *
 * clang does best at -O2; its -O3 unrolls these loops into gathers and is several times slower.
 */
#include "tokens.h"

#define PADDED ((VOCAB + 15) / 16 * 16) /* classes in whole vectors; the padding holds zeros */

/* Rational approximation of odd degree 13 over even degree 6; exact enough for f32 (a few ulp), and it vectorises,
 * which a call to the library's tanhf does not everywhere. */
static inline float tanh_fast(float x) {
    x = x < -7.90531110763549805f ? -7.90531110763549805f : x;
    x = x > 7.90531110763549805f ? 7.90531110763549805f : x;
    float s = x * x;
    float p = -2.76076847742355e-16f;
    p = p * s + 2.00018790482477e-13f;
    p = p * s + -8.60467152213735e-11f;
    p = p * s + 5.12229709037114e-08f;
    p = p * s + 1.48572235717979e-05f;
    p = p * s + 6.37261928875436e-04f;
    p = p * s + 4.89352455891786e-03f;
    float q = 1.19825839466702e-06f;
    q = q * s + 1.18534705686654e-04f;
    q = q * s + 2.26843463243900e-03f;
    q = q * s + 4.89352518554385e-03f;
    return x * p / q;
}

/* e^x for x <= 0: 2^n by exponent bits times a polynomial of degree 6. */
static inline float exp_fast(float x) {
    x = x < -87.0f ? -87.0f : x;
    int32_t n = (int32_t)(x * 1.44269504f - 0.5f);
    float r = x - (float)n * 0.693359375f + (float)n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits = (n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

typedef struct {
    float x[INPUTS][BATCH], hidden[HIDDEN][BATCH], d_z[HIDDEN][BATCH], d_x[INPUTS][BATCH];
    float logits[VOCAB][BATCH];       /* then their gradient */
    float by_example[BATCH][PADDED];  /* the same gradient, transposed */
} Workspace;

static void step(Parameters *restrict p, Workspace *restrict w, const Data *data, const uint32_t *indices) {
    const float rate = data->learning_rate;

    for (int b = 0; b < BATCH; b++)
        for (int t = 0; t < CONTEXT; t++)
            for (int d = 0; d < EMBED; d++) w->x[t * EMBED + d][b] = p->C[data->contexts[indices[b]][t]][d];

    for (int h = 0; h < HIDDEN; h++) {
        float z[BATCH];
        for (int b = 0; b < BATCH; b++) z[b] = p->b1[h];
        for (int i = 0; i < INPUTS; i++)
            for (int b = 0; b < BATCH; b++) z[b] += p->W1[i][h] * w->x[i][b];
        for (int b = 0; b < BATCH; b++) w->hidden[h][b] = tanh_fast(z[b]);
    }

    float top[BATCH], sum[BATCH];
    for (int b = 0; b < BATCH; b++) top[b] = -FLT_MAX, sum[b] = 0;
    for (int v = 0; v < VOCAB; v++) {
        float z[BATCH];
        for (int b = 0; b < BATCH; b++) z[b] = p->b2[v];
        for (int h = 0; h < HIDDEN; h++)
            for (int b = 0; b < BATCH; b++) z[b] += p->W2[h][v] * w->hidden[h][b];
        for (int b = 0; b < BATCH; b++) w->logits[v][b] = z[b];
        for (int b = 0; b < BATCH; b++) top[b] = top[b] > z[b] ? top[b] : z[b];
    }
    for (int v = 0; v < VOCAB; v++)
        for (int b = 0; b < BATCH; b++) sum[b] += w->logits[v][b] = exp_fast(w->logits[v][b] - top[b]);
    for (int b = 0; b < BATCH; b++) sum[b] = 1.0f / (sum[b] * BATCH);
    for (int v = 0; v < VOCAB; v++)
        for (int b = 0; b < BATCH; b++) w->logits[v][b] *= sum[b];
    for (int b = 0; b < BATCH; b++) w->logits[data->targets[indices[b]]][b] -= 1.0f / BATCH;
    for (int v = 0; v < VOCAB; v++)
        for (int b = 0; b < BATCH; b++) w->by_example[b][v] = w->logits[v][b];

    for (int h = 0; h < HIDDEN; h++) {
        float d[BATCH];
        for (int b = 0; b < BATCH; b++) d[b] = 0;
        for (int v = 0; v < VOCAB; v++)
            for (int b = 0; b < BATCH; b++) d[b] += p->W2[h][v] * w->logits[v][b];
        for (int b = 0; b < BATCH; b++) w->d_z[h][b] = d[b] * (1.0f - w->hidden[h][b] * w->hidden[h][b]);
    }

    /* W1 is still the old one here, as d_x wants it. */
    for (int i = 0; i < INPUTS; i++) {
        float d[BATCH];
        for (int b = 0; b < BATCH; b++) d[b] = 0;
        for (int h = 0; h < HIDDEN; h++)
            for (int b = 0; b < BATCH; b++) d[b] += p->W1[i][h] * w->d_z[h][b];
        for (int b = 0; b < BATCH; b++) w->d_x[i][b] = d[b];
    }

    for (int h = 0; h < HIDDEN; h++) {
        float d[PADDED];
        for (int v = 0; v < PADDED; v++) d[v] = 0;
        for (int b = 0; b < BATCH; b++)
            for (int v = 0; v < PADDED; v++) d[v] += w->hidden[h][b] * w->by_example[b][v];
        for (int v = 0; v < VOCAB; v++) p->W2[h][v] -= rate * d[v];
    }
    for (int v = 0; v < VOCAB; v++) {
        float d = 0;
        for (int b = 0; b < BATCH; b++) d += w->logits[v][b];
        p->b2[v] -= rate * d;
    }
    for (int h = 0; h < HIDDEN; h++) {
        float d = 0;
        for (int b = 0; b < BATCH; b++) d += w->d_z[h][b];
        p->b1[h] -= rate * d;
    }
    for (int i = 0; i < INPUTS; i++)
        for (int h = 0; h < HIDDEN; h++) {
            float d = 0;
            for (int b = 0; b < BATCH; b++) d += w->x[i][b] * w->d_z[h][b];
            p->W1[i][h] -= rate * d;
        }
    for (int b = 0; b < BATCH; b++)
        for (int t = 0; t < CONTEXT; t++)
            for (int d = 0; d < EMBED; d++)
                p->C[data->contexts[indices[b]][t]][d] -= rate * w->d_x[t * EMBED + d][b];
}

static double train(Parameters *parameters, const Data *data, uint32_t steps) {
    static Workspace workspace __attribute__((aligned(64)));
    double start = now();
    for (uint32_t s = 0; s < steps; s++) step(parameters, &workspace, data, data->indices + (size_t)s * BATCH);
    return now() - start;
}

int main(int argc, char **argv) { return serve_tokens(argc, argv, "C, auto-vectorised", COMPILER, train, NULL); }
