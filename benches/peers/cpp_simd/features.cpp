// Models of features with AdamW, in the style of train.cpp: every size a constant, lanes over the
// batch, products on register tiles, and the update applied to a gradient before it leaves the
// registers.
//
// The shapes that it takes stand at the end.
#include "../c/protocol.h"

#include <cmath>
#include <vector>

#include "functions.h"

enum Activation { TANH, RELU };
enum Head { SOFTMAX, BINARY, REGRESSION };

// What shape.json says besides the sizes, and the files.
static struct {
    uint32_t examples;
    double learning_rate, weight_decay, beta1, beta2, epsilon;
    const float *features, *targets, *initial;
    const uint32_t *indices;
} data;

// AdamW with the bias corrections of one step, from 1 on.
struct AdamW {
    float decay, beta1, beta2, step_size, root_scale, epsilon;

    AdamW(uint32_t step)
        : decay(1 - data.learning_rate * data.weight_decay),
          beta1(data.beta1),
          beta2(data.beta2),
          step_size(data.learning_rate / (1 - std::pow(data.beta1, step))),
          root_scale(1 / std::sqrt(1 - std::pow(data.beta2, step))),
          epsilon(data.epsilon) {}
};

INLINE Vector square_root(Vector x) {
#if defined(__AVX512F__)
    return (Vector)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX__)
    return (Vector)_mm256_sqrt_ps((__m256)x);
#else
    for (int i = 0; i < LANES; i++) x[i] = std::sqrt(x[i]);
    return x;
#endif
}

// Lane r of what it returns is the sum of the lanes of rows[r], which are overwritten: a
// transposition that adds up what it has brought together.
INLINE Vector sums_of_rows(Vector *rows) {
    constexpr auto lanes = std::make_integer_sequence<int, LANES>();
    const auto halve = [&](auto stage) {
        constexpr int S = decltype(stage)::value;
        swap_halves<S>(rows, lanes);
#pragma GCC unroll 16
        for (int r = 0; r < S; r++) rows[r] += rows[r + S];
    };
    if constexpr (LANES == 16) halve(std::integral_constant<int, 8 % LANES>());
    if constexpr (LANES >= 8) halve(std::integral_constant<int, 4 % LANES>());
    halve(std::integral_constant<int, 2>());
    halve(std::integral_constant<int, 1>());
    return rows[0];
}

template <int BATCH, Activation ACTIVATION, Head HEAD, int INPUTS, int OUTPUTS, int... NEXT>
struct Layers {
    static constexpr int BATCHES = BATCH / LANES;
    static constexpr bool IS_LAST = sizeof...(NEXT) == 0;
    // Lanes of parameters run over the outputs, or, where these are few, over the inputs.
    static constexpr bool IS_NARROW = OUTPUTS <= 2;
    static constexpr int ROWS = IS_NARROW ? OUTPUTS : INPUTS + 1;
    static constexpr int COLUMNS = vectors(IS_NARROW ? INPUTS + 1 : OUTPUTS);
    // From the parameter of one input, or one output, to the next.
    static constexpr int OF_INPUT = IS_NARROW ? 1 : COLUMNS * LANES;
    static constexpr int OF_OUTPUT = IS_NARROW ? COLUMNS * LANES : 1;

    struct Nothing {
        void begin(const float *) {}
        void end(float *) const {}
    };
    template <bool, int...>
    struct After {
        typedef Nothing Type;
    };
    template <int... MORE>
    struct After<false, MORE...> {
        typedef Layers<BATCH, ACTIVATION, HEAD, OUTPUTS, MORE...> Type;
    };
    typename After<IS_LAST, NEXT...>::Type next;

    // The bias is the weight of a last input that is always one.
    Vector parameters[ROWS][COLUMNS], first[ROWS][COLUMNS], second[ROWS][COLUMNS];
    // One more for the next layer's bias.
    Vector outputs[OUTPUTS + 1][BATCHES], d_outputs[OUTPUTS][BATCHES], by_example[BATCH][COLUMNS];

    float &parameter(int input, int output) {
        return ((float *)parameters)[input * OF_INPUT + output * OF_OUTPUT];
    }

    // From and to the order of initial.f32.
    void begin(const float *from) {
        memset(parameters, 0, sizeof parameters);
        memset(first, 0, sizeof first);
        memset(second, 0, sizeof second);
        for (int i = 0; i <= INPUTS; i++)
            for (int o = 0; o < OUTPUTS; o++) parameter(i, o) = *from++;
        for (Vector &one : outputs[OUTPUTS]) one = splat(1.0f);
        next.begin(from);
    }

    void end(float *to) {
        for (int i = 0; i <= INPUTS; i++)
            for (int o = 0; o < OUTPUTS; o++) *to++ = parameter(i, o);
        next.end(to);
    }

    // A whole step, from the inputs to the gradients with respect to them, if not the features.
    template <bool IS_FIRST>
    INLINE void step(const Vector (*inputs)[BATCHES], Vector (*d_inputs)[BATCHES],
                     const float *targets, const AdamW &rule) {
        const auto zero = [](int) { return Vector{}; };
        const float *weights = (const float *)parameters;
        contract<OUTPUTS, BATCHES, INPUTS + 1, OF_OUTPUT, OF_INPUT>(
            weights, &inputs[0][0], zero, [&](int r, int v, Vector z) {
                if (!IS_LAST && ACTIVATION == TANH) z = tanh(z);
                if (!IS_LAST && ACTIVATION == RELU) z = z > 0.0f ? z : Vector{};
                outputs[r][v] = z;
            });
        if constexpr (IS_LAST)
            differentiate(targets);
        else
            next.template step<false>(outputs, d_outputs, targets, rule);
        if constexpr (!IS_FIRST)
            contract<INPUTS, BATCHES, OUTPUTS, OF_INPUT, OF_OUTPUT>(
                weights, &d_outputs[0][0], zero, [&](int r, int v, Vector d) {
                    Vector h = inputs[r][v];
                    if (ACTIVATION == TANH) d *= 1.0f - h * h;
                    else d = h > 0.0f ? d : Vector{};
                    d_inputs[r][v] = d;
                });
        const auto use = [&](int r, int v, Vector gradient) { update(r, v, gradient, rule); };
        if constexpr (IS_NARROW) {
            for (int o = 0; o < OUTPUTS; o++)
                for (int v = 0; v < COLUMNS; v++) {
                    Vector rows[LANES];
#pragma GCC unroll 16
                    for (int r = 0; r < LANES; r++) {
                        int input = v * LANES + r;
                        rows[r] = Vector{};
                        if (input > INPUTS) continue;
                        for (int b = 0; b < BATCHES; b++)
                            rows[r] += inputs[input][b] * d_outputs[o][b];
                    }
                    use(o, v, sums_of_rows(rows));
                }
        } else {
            transpose<OUTPUTS>(d_outputs, by_example);
            contract<INPUTS + 1, COLUMNS, BATCH, BATCH, 1>(
                (const float *)inputs, &by_example[0][0], zero, use);
        }
    }

    INLINE void update(int r, int v, Vector gradient, const AdamW &rule) {
        Vector m = rule.beta1 * first[r][v] + (1 - rule.beta1) * gradient;
        Vector s = rule.beta2 * second[r][v] + (1 - rule.beta2) * gradient * gradient;
        first[r][v] = m, second[r][v] = s;
        Vector step = rule.step_size * m / (square_root(s) * rule.root_scale + rule.epsilon);
        parameters[r][v] = parameters[r][v] * rule.decay - step;
    }

    // The gradients of the mean loss with respect to the outputs. Targets lie [target][example].
    INLINE void differentiate(const float *targets) {
        for (int b = 0; b < BATCHES; b++) {
            if constexpr (HEAD == SOFTMAX) {
                Vector top = outputs[0][b], sum = {};
                for (int o = 1; o < OUTPUTS; o++) top = outputs[o][b] > top ? outputs[o][b] : top;
                for (int o = 0; o < OUTPUTS; o++) sum += d_outputs[o][b] = exp(outputs[o][b] - top);
                sum = 1.0f / (sum * (float)BATCH);
                for (int o = 0; o < OUTPUTS; o++) d_outputs[o][b] *= sum;
            } else if constexpr (HEAD == BINARY) {
                Vector z = outputs[0][b], e = exp(-magnitude(z));
                Vector p = (z < 0.0f ? e : splat(1.0f)) / (1.0f + e);
                d_outputs[0][b] = (p - ((const Vector *)targets)[b]) * (1.0f / BATCH);
            } else {
                for (int o = 0; o < OUTPUTS; o++) {
                    Vector difference = outputs[o][b] - ((const Vector *)targets)[o * BATCHES + b];
                    d_outputs[o][b] = difference * (2.0f / (BATCH * OUTPUTS));
                }
            }
        }
        if constexpr (HEAD == SOFTMAX)
            for (int b = 0; b < BATCH; b++)
                ((float *)d_outputs)[(int)targets[b] * BATCH + b] -= 1.0f / BATCH;
    }
};

template <int BATCH, Activation ACTIVATION, Head HEAD, int... WIDTHS>
struct Model {
    static constexpr int DEPTH = sizeof...(WIDTHS) - 1, SIZES[DEPTH + 1] = {WIDTHS...};
    static constexpr int FEATURES = SIZES[0], OUTPUTS = SIZES[DEPTH];
    static constexpr int TARGETS = HEAD == REGRESSION ? OUTPUTS : 1;
    static constexpr int BATCHES = BATCH / LANES, COLUMNS = vectors(FEATURES + 1);
    static_assert(BATCH % LANES == 0, "a batch must fill whole vectors");

    static inline Layers<BATCH, ACTIVATION, HEAD, WIDTHS...> layers;
    static inline Vector inputs[COLUMNS * LANES][BATCHES];
    static inline Vector targets[TARGETS][BATCHES];
    // The features of an example in whole vectors, with a one after them for the bias.
    static inline Vector *rows;

    static void load() {
        rows = new Vector[(size_t)data.examples * COLUMNS]{};
        for (uint32_t e = 0; e < data.examples; e++) {
            float *row = (float *)&rows[(size_t)e * COLUMNS];
            std::copy_n(data.features + (size_t)e * FEATURES, FEATURES, row);
            row[FEATURES] = 1;
        }
    }

    static INLINE void step(const uint32_t *indices, const AdamW &rule) {
        for (int b = 0; b < BATCHES; b++)
            for (int f = 0; f < COLUMNS; f++) {
                Vector block[LANES];
#pragma GCC unroll 16
                for (int r = 0; r < LANES; r++)
                    block[r] = rows[(size_t)indices[b * LANES + r] * COLUMNS + f];
                transpose_block(block);
#pragma GCC unroll 16
                for (int r = 0; r < LANES; r++) inputs[f * LANES + r][b] = block[r];
            }
        for (int b = 0; b < BATCH; b++)
            for (int t = 0; t < TARGETS; t++)
                ((float *)targets)[t * BATCH + b] = data.targets[(size_t)indices[b] * TARGETS + t];
        layers.template step<true>(inputs, nullptr, (const float *)targets, rule);
    }

    static double train(uint32_t steps) {
        layers.begin(data.initial);
        double start = now();
        for (uint32_t s = 0; s < steps; s++) step(data.indices + (size_t)s * BATCH, AdamW(s + 1));
        return now() - start;
    }

    // The mean over all examples, by plain loops.
    static double loss() {
        std::vector<float> parameters(parameter_count());
        layers.end(parameters.data());
        double total = 0;
        for (uint32_t e = 0; e < data.examples; e++) {
            const float *from = parameters.data(), *y = data.targets + (size_t)e * TARGETS;
            const float *x = data.features + (size_t)e * FEATURES;
            std::vector<double> a(x, x + FEATURES);
            for (int l = 0; l < DEPTH; l++) {
                std::vector<double> z(SIZES[l + 1]);
                a.push_back(1);
                for (double input : a)
                    for (double &sum : z) sum += input * *from++;
                if (l + 1 < DEPTH)
                    for (double &h : z) h = ACTIVATION == TANH ? std::tanh(h) : std::max(h, 0.0);
                a = z;
            }
            if (HEAD == REGRESSION) {
                for (int o = 0; o < OUTPUTS; o++) total += (a[o] - y[o]) * (a[o] - y[o]) / OUTPUTS;
            } else if (HEAD == BINARY) {
                total += std::max(a[0], 0.0) - y[0] * a[0] + std::log1p(std::exp(-std::fabs(a[0])));
            } else {
                double sum = 0;
                for (double logit : a) sum += std::exp(logit);
                total += std::log(sum) - a[(int)y[0]];
            }
        }
        return total / data.examples;
    }

    static constexpr int parameter_count() {
        int size = 0;
        for (int l = 0; l < DEPTH; l++) size += (SIZES[l] + 1) * SIZES[l + 1];
        return size;
    }
};

// A model that is compiled in, as shape.json describes it.
struct Shape {
    const char *activation, *head;
    int batch, targets, parameters;
    std::vector<double> widths;
    void (*load)();
    double (*train)(uint32_t), (*loss)();
};

template <int BATCH, Activation ACTIVATION, Head HEAD, int... WIDTHS>
Shape shape() {
    typedef Model<BATCH, ACTIVATION, HEAD, WIDTHS...> Of;
    const char *heads[] = {"softmax", "binary", "regression"};
    return {ACTIVATION == TANH ? "tanh" : "relu",
            heads[HEAD],
            BATCH,
            Of::TARGETS,
            Of::parameter_count(),
            {WIDTHS...},
            Of::load,
            Of::train,
            Of::loss};
}

static const Shape SHAPES[] = {
    shape<64, TANH, SOFTMAX, 4, 64, 64, 2>(),     shape<256, TANH, SOFTMAX, 4, 64, 64, 2>(),
    shape<64, TANH, REGRESSION, 8, 64, 64, 1>(),  shape<256, TANH, REGRESSION, 8, 64, 64, 1>(),
    shape<32, TANH, REGRESSION, 8, 64, 2>(),      shape<64, TANH, REGRESSION, 8, 64, 2>(),
    shape<32, TANH, REGRESSION, 8, 256, 1>(),     shape<64, TANH, REGRESSION, 8, 256, 1>(),
    shape<64, TANH, BINARY, 21, 32, 1>(),         shape<64, RELU, SOFTMAX, 30, 128, 128, 27>(),
    shape<64, RELU, REGRESSION, 768, 32, 1>(),
};
static const Shape *chosen;

static const char *shape_value(const char *json, const char *key) {
    const char *at = strstr(json, key);
    return at ? strchr(at, ':') + 1 : "";
}

// The numbers of a list.
static std::vector<double> shape_numbers(const char *json, const char *key) {
    std::vector<double> numbers;
    const char *at = strchr(shape_value(json, key), '[');
    while (at && *at && *at != ']') {
        char *end;
        numbers.push_back(strtod(at + 1, &end));
        at = end + strspn(end, " \n");
    }
    return numbers;
}

static bool shape_text_is(const char *json, const char *key, const char *text) {
    const char *at = strchr(shape_value(json, key), '"');
    return at && !strncmp(at + 1, text, strlen(text));
}

static void load(const char *folder, uint32_t steps, int) {
    const char *json = (const char *)read_file(folder, "shape.json", 2);
    const auto betas = shape_numbers(json, "\"betas\"");
    for (const Shape &shape : SHAPES)
        if (shape_numbers(json, "\"widths\"") == shape.widths &&
            shape_number(json, "batch") == shape.batch &&
            shape_text_is(json, "\"activation\"", shape.activation) &&
            shape_text_is(json, "\"head\"", shape.head))
            chosen = &shape;
    if (!chosen || betas.size() != 2) {
        fprintf(stderr, "this peer was not built for this shape\n");
        exit(1);
    }
    data.examples = (uint32_t)shape_number(json, "examples");
    data.learning_rate = shape_number(json, "learning_rate");
    data.weight_decay = shape_number(json, "weight_decay");
    data.epsilon = shape_number(json, "epsilon");
    data.beta1 = betas[0], data.beta2 = betas[1];
    const auto floats = [&](const char *name, size_t count) {
        return (const float *)read_file(folder, name, count * sizeof(float));
    };
    data.features = floats("features.f32", (size_t)data.examples * chosen->widths[0]);
    data.targets = floats("targets.f32", (size_t)data.examples * chosen->targets);
    data.initial = floats("initial.f32", chosen->parameters);
    data.indices = (const uint32_t *)floats("indices.u32", (size_t)steps * chosen->batch);
    chosen->load();
}

int main(int argc, char **argv) {
    const auto train = [](uint32_t steps) { return chosen->train(steps); };
    const auto loss = [] { return chosen->loss(); };
    Peer peer = {load, train, loss, nullptr};
    return serve(argc, argv, "C++, hand-vectorised", COMPILER, peer);
}
