/* The protocol of ../README.md, once for every C and C++ peer. The shape is compiled in (-DHIDDEN=200 …; see ../build).
 *
 * A peer includes this, defines the function below that it supports, and calls serve() from main().
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

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
} Data;

/* Trains `parameters` in place, from what it finds there, and returns the seconds of the loop alone. */
typedef double Train(Parameters *parameters, const Data *data, uint32_t steps);

/* Answers `examples K` by printing a line; NULL where a peer has no such command. */
typedef void Examples(const Data *data, uint32_t count);

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *read_file(const char *folder, const char *name, size_t at_least) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "%s is missing\n", path);
        exit(1);
    }
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    if (size < at_least) {
        fprintf(stderr, "%s holds %zu bytes, %zu are wanted\n", path, size, at_least);
        exit(1);
    }
    rewind(file);
    char *bytes = (char *)calloc(size + 1, 1); /* one more: text ends in a zero */
    if (!bytes || fread(bytes, 1, size, file) != size) {
        fprintf(stderr, "%s cannot be read\n", path);
        exit(1);
    }
    fclose(file);
    return bytes;
}

static double shape_number(const char *json, const char *key) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\"", key);
    const char *at = strstr(json, quoted);
    at = at ? strchr(at + strlen(quoted), ':') : NULL;
    if (!at) {
        fprintf(stderr, "shape.json does not name %s\n", quoted);
        exit(1);
    }
    return strtod(at + 1, NULL);
}

static void check_shape(const char *json, const char *key, int compiled) {
    int found = (int)shape_number(json, key);
    if (found != compiled) {
        fprintf(stderr, "shape.json: %s is %d, this peer was built for %d\n", key, found, compiled);
        exit(1);
    }
}

static Data load(const char *folder, uint32_t steps) {
    const char *json = (const char *)read_file(folder, "shape.json", 2);
    check_shape(json, "vocab", VOCAB);
    check_shape(json, "context", CONTEXT);
    check_shape(json, "embed", EMBED);
    check_shape(json, "hidden", HIDDEN);
    check_shape(json, "batch", BATCH);
    Data data;
    data.examples = (uint32_t)shape_number(json, "examples");
    data.learning_rate = (float)shape_number(json, "learning_rate");
    data.steps = steps;
    data.contexts = (const uint8_t(*)[CONTEXT])read_file(folder, "contexts.u8", (size_t)data.examples * CONTEXT);
    data.targets = (const uint8_t *)read_file(folder, "targets.u8", data.examples);
    data.indices = (const uint32_t *)read_file(folder, "indices.u32", (size_t)steps * BATCH * sizeof(uint32_t));
    data.initial = (const Parameters *)read_file(folder, "initial.f32", sizeof(Parameters));
    return data;
}

/* Mean cross-entropy of the whole train split: plain loops, outside the timed part. */
static double full_loss(const Parameters *p, const Data *data) {
    double total = 0;
    for (uint32_t e = 0; e < data->examples; e++) {
        float hidden[HIDDEN], logits[VOCAB], top = -FLT_MAX, sum = 0;
        memcpy(hidden, p->b1, sizeof hidden);
        for (int t = 0; t < CONTEXT; t++)
            for (int d = 0; d < EMBED; d++)
                for (int h = 0; h < HIDDEN; h++)
                    hidden[h] += p->C[data->contexts[e][t]][d] * p->W1[t * EMBED + d][h];
        for (int h = 0; h < HIDDEN; h++) hidden[h] = tanhf(hidden[h]);
        memcpy(logits, p->b2, sizeof logits);
        for (int h = 0; h < HIDDEN; h++)
            for (int v = 0; v < VOCAB; v++) logits[v] += hidden[h] * p->W2[h][v];
        for (int v = 0; v < VOCAB; v++) top = fmaxf(top, logits[v]);
        for (int v = 0; v < VOCAB; v++) sum += expf(logits[v] - top);
        total += (double)(logf(sum) + top - logits[data->targets[e]]);
    }
    return total / data->examples;
}

/* `train` or `examples` may be NULL. */
static int serve(int argc, char **argv, const char *name, const char *version, Train *train, Examples *examples) {
    double started = now();
    const char *folder = NULL;
    long steps = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--data")) folder = argv[i + 1];
        if (!strcmp(argv[i], "--steps")) steps = atol(argv[i + 1]);
    }
    if (!folder || steps < 1) {
        fprintf(stderr, "usage: %s --data DIR --steps N\n", argv[0]);
        return 1;
    }
    Data data = load(folder, (uint32_t)steps);
    Parameters *parameters = (Parameters *)malloc(sizeof *parameters);
    if (!parameters) return 1;
    if (train) {
        *parameters = *data.initial;
        train(parameters, &data, 1);
    }
    printf("{\"ready\": true, \"name\": \"%s\", \"version\": \"%s\", \"startup_seconds\": %.6f}\n", name, version,
           now() - started);
    fflush(stdout);

    char line[256];
    unsigned count;
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\r\n")] = 0;
        if (!strcmp(line, "quit")) break;
        if (train && !strcmp(line, "train")) {
            *parameters = *data.initial;
            double seconds = train(parameters, &data, data.steps);
            printf("{\"seconds\": %.9f, \"loss\": %.9f}\n", seconds, full_loss(parameters, &data));
        } else if (examples && sscanf(line, "examples %u", &count) == 1 && count > 0) {
            examples(&data, count);
        } else {
            printf("{\"error\": \"unknown command; this peer knows%s%s quit\"}\n", train ? " train" : "",
                   examples ? " examples" : "");
        }
        fflush(stdout);
    }
    free(parameters);
    return 0;
}
#endif
