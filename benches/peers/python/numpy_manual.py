"""NumPy with the backward pass written by hand, in f32."""

from protocol import serve

from time import perf_counter

import numpy as np


class Numpy:
    version = f"numpy {np.__version__}"

    def __init__(self, data, _own_batches):
        self.data = data
        self.rows = np.arange(data.batch)

    def step(self, parameters, indices):
        C, W1, b1, W2, b2 = parameters
        data = self.data
        contexts, targets = data.contexts[indices], data.targets[indices]

        x = C[contexts].reshape(data.batch, -1)
        hidden = np.tanh(x @ W1 + b1)
        logits = hidden @ W2 + b2
        # The loss itself is not wanted, only its gradient: softmax minus one-hot, over the batch.
        d_logits = np.exp(logits - logits.max(1, keepdims=True))
        d_logits /= d_logits.sum(1, keepdims=True)
        d_logits[self.rows, targets] -= 1
        d_logits /= np.float32(data.batch)

        d_z = (d_logits @ W2.T) * (1 - hidden * hidden)
        d_x = (d_z @ W1.T).reshape(-1, data.embed)
        # A product with a one-hot matrix scatters faster than np.add.at at this size.
        one_hot = np.zeros((data.vocab, d_x.shape[0]), np.float32)
        one_hot[contexts.ravel(), np.arange(d_x.shape[0])] = 1

        rate = np.float32(data.learning_rate)
        W2 -= rate * (hidden.T @ d_logits)
        b2 -= rate * d_logits.sum(0)
        W1 -= rate * (x.T @ d_z)
        b1 -= rate * d_z.sum(0)
        C -= rate * (one_hot @ d_x)

    def first_step(self):
        self.step([p.copy() for p in self.data.initial], self.data.indices[0])

    def train(self):
        parameters = [p.copy() for p in self.data.initial]
        indices = list(self.data.indices)
        start = perf_counter()
        for batch in indices:
            self.step(parameters, batch)
        return perf_counter() - start, parameters


if __name__ == "__main__":
    serve("NumPy, hand-written backward", Numpy)
