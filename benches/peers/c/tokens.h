/* The name model's data for C and C++ peers. The shape is compiled in (-DHIDDEN=200 …; see ../build).
 *
 * A peer includes this, defines the function below that it supports, and calls serve_tokens() from main().
 */
#ifndef TOKENS_H
#define TOKENS_H

#include "protocol.h"

#include <float.h>
#include <math.h>

#ifndef VOCAB
#define VOCAB 27
#endif
#ifndef CONTEXT
#define CONTEXT 3
#endif
#ifndef EMBED
#define EMBED 2
#endif
#ifndef HIDDEN
#define HIDDEN 100
#endif
#ifndef BATCH
#define BATCH 32
#endif
#define INPUTS (CONTEXT * EMBED)

/* Member for member the layout of initial.f32. */
typedef struct {
    float C[VOCAB][EMBED], W1[INPUTS][HIDDEN], b1[HIDDEN], W2[HIDDEN][VOCAB], b2[VOCAB];
} Parameters;

typedef struct {
    const uint8_t (*contexts)[CONTEXT];
    const uint8_t *targets;
    const uint32_t *indices; /* steps x BATCH */
    const Parameters *initial;
    uint32_t examples;
    uint32_t steps;
    float learning_rate;
    int own_batches; /* drawn in the timed loop; the indices are ignored */
} Data;

/* Trains `parameters` in place, from what it finds there, and returns the seconds of the loop alone. */
typedef double Train(Parameters *parameters, const Data *data, uint32_t steps);

/* Answers `examples K` by printing a line. */
typedef void Examples(const Data *data, uint32_t count);

/* The peer's, for the functions below. */
static Data data;
static Parameters trained;
static Train *train_function;
static Examples *examples_function;

static void check_shape(const char *json, const char *key, int compiled) {
    int found = (int)shape_number(json, key);
    if (found != compiled) {
        fprintf(stderr, "shape.json: %s is %d, this peer was built for %d\n", key, found, compiled);
        exit(1);
    }
}

static void load(const char *folder, uint32_t steps, int own_batches) {
    const char *json = (const char *)read_file(folder, "shape.json", 2);
    check_shape(json, "vocab", VOCAB);
    check_shape(json, "context", CONTEXT);
    check_shape(json, "embed", EMBED);
    check_shape(json, "hidden", HIDDEN);
    check_shape(json, "batch", BATCH);
    data.examples = (uint32_t)shape_number(json, "examples");
    data.learning_rate = (float)shape_number(json, "learning_rate");
    data.steps = steps;
    data.own_batches = own_batches;
    data.contexts = (const uint8_t(*)[CONTEXT])read_file(folder, "contexts.u8", (size_t)data.examples * CONTEXT);
    data.targets = (const uint8_t *)read_file(folder, "targets.u8", data.examples);
    data.indices = (const uint32_t *)read_file(folder, "indices.u32", (size_t)steps * BATCH * sizeof(uint32_t));
    data.initial = (const Parameters *)read_file(folder, "initial.f32", sizeof(Parameters));
}

/* Mean cross-entropy of the whole train split: plain loops, outside the timed part. */
static double full_loss(void) {
    const Parameters *p = &trained;
    double total = 0;
    for (uint32_t e = 0; e < data.examples; e++) {
        float hidden[HIDDEN], logits[VOCAB], top = -FLT_MAX, sum = 0;
        memcpy(hidden, p->b1, sizeof hidden);
        for (int t = 0; t < CONTEXT; t++)
            for (int d = 0; d < EMBED; d++)
                for (int h = 0; h < HIDDEN; h++)
                    hidden[h] += p->C[data.contexts[e][t]][d] * p->W1[t * EMBED + d][h];
        for (int h = 0; h < HIDDEN; h++) hidden[h] = tanhf(hidden[h]);
        memcpy(logits, p->b2, sizeof logits);
        for (int h = 0; h < HIDDEN; h++)
            for (int v = 0; v < VOCAB; v++) logits[v] += hidden[h] * p->W2[h][v];
        for (int v = 0; v < VOCAB; v++) top = fmaxf(top, logits[v]);
        for (int v = 0; v < VOCAB; v++) sum += expf(logits[v] - top);
        total += (double)(logf(sum) + top - logits[data.targets[e]]);
    }
    return total / data.examples;
}

static double train_from_initial(uint32_t steps) {
    trained = *data.initial;
    return train_function(&trained, &data, steps);
}

static void examples_of_data(uint32_t count) { examples_function(&data, count); }

/* `train` or `examples` may be NULL. */
static int serve_tokens(int argc, char **argv, const char *name, const char *version, Train *train,
                        Examples *examples) {
    train_function = train;
    examples_function = examples;
    Peer peer = {load, NULL, full_loss, NULL};
    if (train) peer.train = train_from_initial;
    if (examples) peer.examples = examples_of_data;
    return serve(argc, argv, name, version, peer);
}
#endif
