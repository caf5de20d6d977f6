/* FANN, the embedders' classic, in incremental training: one example, one update. It answers `examples K` only.
 *
 * Not the same job. FANN has no embedding table and no softmax: it gets the three embeddings as fixed numbers, so it
 * neither learns nor scatters into the table, and minimises the squared error of sigmoids. Only the dense layers'
 * time compares, and its loss is therefore null.
 */
#include "../c/tokens.h"

#include <floatfann.h>

static void examples(const Data *data, uint32_t count) {
    const uint32_t available = data->steps * BATCH;
    struct fann *net = fann_create_standard(3, INPUTS, HIDDEN, VOCAB);
    if (!net) exit(1);
    fann_set_training_algorithm(net, FANN_TRAIN_INCREMENTAL);
    fann_set_learning_rate(net, data->learning_rate);
    /* Piecewise linear, as FANN chooses by itself: its fastest. */
    fann_set_activation_function_hidden(net, FANN_SIGMOID_SYMMETRIC_STEPWISE); /* its tanh */
    fann_set_activation_steepness_hidden(net, 1.0f);
    fann_set_activation_function_output(net, FANN_SIGMOID_STEPWISE);

    /* Inputs and wanted outputs are laid out beforehand: FANN takes them as it finds them. */
    fann_type(*inputs)[INPUTS] = malloc(count * sizeof *inputs), (*wanted)[VOCAB] = calloc(count, sizeof *wanted);
    if (!inputs || !wanted) exit(1);
    for (uint32_t k = 0; k < count; k++) {
        uint32_t e = data->indices[k % available];
        for (int t = 0; t < CONTEXT; t++) memcpy(&inputs[k][t * EMBED], data->initial->C[data->contexts[e][t]], EMBED * 4);
        wanted[k][data->targets[e]] = 1;
    }

    double start = now();
    for (uint32_t k = 0; k < count; k++) fann_train(net, inputs[k], wanted[k]);
    double trained = now();
    volatile fann_type sink; /* keeps the predictions alive */
    for (uint32_t k = 0; k < count; k++) sink = fann_run(net, inputs[k])[0];
    double predicted = now();
    (void)sink;

    printf("{\"train_ns\": %.1f, \"predict_ns\": %.1f, \"loss\": null}\n", (trained - start) / count * 1e9,
           (predicted - trained) / count * 1e9);
    free(inputs);
    free(wanted);
    fann_destroy(net);
}

int main(int argc, char **argv) { return serve_tokens(argc, argv, "FANN", "FANN 2.2, " COMPILER, NULL, examples); }
