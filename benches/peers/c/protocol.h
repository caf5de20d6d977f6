/* The protocol of ../README.md, once for every C and C++ peer: files, the clock, answers to commands.
 *
 * What it does with its data a peer says by the functions of a Peer; the name model's are in tokens.h.
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* The functions of a peer. `train` or `examples` is NULL where it has no such command. */
typedef struct {
    /* Reads a folder and keeps what it read; --own-batches is ignored by those who do not draw. */
    void (*load)(const char *folder, uint32_t steps, int own_batches);
    /* Trains from the initial parameters, and returns the seconds of the loop alone. */
    double (*train)(uint32_t steps);
    /* The mean loss of all examples after it, by plain loops. */
    double (*loss)(void);
    /* Answers `examples K` by printing a line. */
    void (*examples)(uint32_t count);
} Peer;

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

static int serve(int argc, char **argv, const char *name, const char *version, Peer peer) {
    double started = now();
    const char *folder = NULL;
    long steps = 0;
    int own_batches = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--own-batches")) own_batches = 1;
        if (i + 1 == argc) break;
        if (!strcmp(argv[i], "--data")) folder = argv[i + 1];
        if (!strcmp(argv[i], "--steps")) steps = atol(argv[i + 1]);
    }
    if (!folder || steps < 1) {
        fprintf(stderr, "usage: %s --data DIR --steps N\n", argv[0]);
        return 1;
    }
    peer.load(folder, (uint32_t)steps, own_batches);
    if (peer.train) peer.train(1);
    printf("{\"ready\": true, \"name\": \"%s\", \"version\": \"%s\", \"startup_seconds\": %.6f}\n", name, version,
           now() - started);
    fflush(stdout);

    char line[256];
    unsigned count;
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\r\n")] = 0;
        if (!strcmp(line, "quit")) break;
        if (peer.train && !strcmp(line, "train")) {
            double seconds = peer.train((uint32_t)steps);
            printf("{\"seconds\": %.9f, \"loss\": %.9f}\n", seconds, peer.loss());
        } else if (peer.examples && sscanf(line, "examples %u", &count) == 1 && count > 0) {
            peer.examples(count);
        } else {
            printf("{\"error\": \"unknown command; this peer knows%s%s quit\"}\n", peer.train ? " train" : "",
                   peer.examples ? " examples" : "");
        }
        fflush(stdout);
    }
    return 0;
}
#endif
