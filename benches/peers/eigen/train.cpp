// Eigen with every size fixed at compile time, one column an example; Eigen's own vectorised tanh and exp.
#include "../c/tokens.h"

#include <Eigen/Core>

template <int ROWS, int COLUMNS>
using Matrix = Eigen::Matrix<float, ROWS, COLUMNS, Eigen::ColMajor>;
// The files are row-major: their transposes, as they lie.
template <int ROWS, int COLUMNS>
using FileMatrix = Eigen::Map<Matrix<COLUMNS, ROWS>>;

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define EIGEN_VERSION TEXT(EIGEN_WORLD_VERSION) "." TEXT(EIGEN_MAJOR_VERSION) "." TEXT(EIGEN_MINOR_VERSION)

struct Workspace {
    Matrix<EMBED, VOCAB> C;
    Matrix<HIDDEN, INPUTS> W1;
    Matrix<HIDDEN, 1> b1;
    Matrix<VOCAB, HIDDEN> W2;
    Matrix<VOCAB, 1> b2;
    Matrix<INPUTS, BATCH> x, d_x;
    Matrix<HIDDEN, BATCH> hidden, d_z;
    Matrix<VOCAB, BATCH> logits;  // then their gradient
};

static void step(Workspace &w, const Data &data, const uint32_t *indices) {
    const float rate = data.learning_rate;
    for (int b = 0; b < BATCH; b++)
        for (int t = 0; t < CONTEXT; t++)
            w.x.col(b).segment<EMBED>(t * EMBED) = w.C.col(data.contexts[indices[b]][t]);

    // Biases and elementwise functions apart: only a whole matrix, taken as one long vector, fills Eigen's widest packets.
    w.hidden.noalias() = w.W1 * w.x;
    w.hidden.colwise() += w.b1;
    w.hidden = w.hidden.array().tanh();
    w.logits.noalias() = w.W2 * w.hidden;
    w.logits.colwise() += w.b2;
    w.logits.rowwise() -= w.logits.colwise().maxCoeff().eval();
    w.logits = w.logits.array().exp();
    for (int b = 0; b < BATCH; b++) {
        w.logits.col(b) *= 1.0f / (w.logits.col(b).sum() * BATCH);
        w.logits(data.targets[indices[b]], b) -= 1.0f / BATCH;
    }

    w.d_z.noalias() = w.W2.transpose() * w.logits;
    w.d_z.array() *= 1.0f - w.hidden.array().square();
    w.d_x.noalias() = w.W1.transpose() * w.d_z;

    w.W2.noalias() -= (rate * w.logits) * w.hidden.transpose();
    w.b2 -= rate * w.logits.rowwise().sum();
    w.W1.noalias() -= (rate * w.d_z) * w.x.transpose();
    w.b1 -= rate * w.d_z.rowwise().sum();
    for (int b = 0; b < BATCH; b++)
        for (int t = 0; t < CONTEXT; t++)
            w.C.col(data.contexts[indices[b]][t]) -= rate * w.d_x.col(b).segment<EMBED>(t * EMBED);
}

static double train(Parameters *p, const Data *data, uint32_t steps) {
    static Workspace w;
    FileMatrix<VOCAB, EMBED> C(&p->C[0][0]);
    FileMatrix<INPUTS, HIDDEN> W1(&p->W1[0][0]);
    FileMatrix<1, HIDDEN> b1(p->b1);
    FileMatrix<HIDDEN, VOCAB> W2(&p->W2[0][0]);
    FileMatrix<1, VOCAB> b2(p->b2);
    w.C = C, w.W1 = W1, w.b1 = b1, w.W2 = W2, w.b2 = b2;

    double start = now();
    for (uint32_t s = 0; s < steps; s++) step(w, *data, data->indices + (size_t)s * BATCH);
    double seconds = now() - start;

    C = w.C, W1 = w.W1, b1 = w.b1, W2 = w.W2, b2 = w.b2;
    return seconds;
}

int main(int argc, char **argv) {
    return serve_tokens(argc, argv, "C++ with Eigen, fixed sizes", "Eigen " EIGEN_VERSION ", " COMPILER, train, NULL);
}
