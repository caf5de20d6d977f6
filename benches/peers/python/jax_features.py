"""JAX with AdamW by hand: one step under jit, called from a Python loop."""

from protocol import serve

from time import perf_counter

import jax
import jax.numpy as jnp


def loss_of(data, parameters, features, targets):
    outputs = features
    *hidden, (weights, bias) = zip(parameters[::2], parameters[1::2])
    for hidden_weights, hidden_bias in hidden:
        outputs = outputs @ hidden_weights + hidden_bias
        outputs = jnp.tanh(outputs) if data.activation == "tanh" else jax.nn.relu(outputs)
    outputs = outputs @ weights + bias
    if data.head == "regression":
        return ((outputs - targets) ** 2).mean()
    if data.head == "binary":
        return (jax.nn.softplus(outputs[:, 0]) - targets * outputs[:, 0]).mean()
    return -jnp.take_along_axis(jax.nn.log_softmax(outputs), targets[:, None], 1).mean()


def adam_w(data, steps, gradient, parameter, first, second):
    first = data.betas[0] * first + (1 - data.betas[0]) * gradient
    second = data.betas[1] * second + (1 - data.betas[1]) * gradient * gradient
    corrected = first / (1 - data.betas[0] ** steps)
    root = jnp.sqrt(second / (1 - data.betas[1] ** steps))
    parameter *= 1 - data.learning_rate * data.weight_decay
    return parameter - data.learning_rate * corrected / (root + data.epsilon), first, second


class Jit:
    version = f"jax {jax.__version__}"

    def __init__(self, data, _own_batches):
        zeros = [jnp.zeros(p.shape) for p in data.initial]
        self.initial = (jnp.float32(0), list(map(jnp.array, data.initial)), zeros, zeros)
        features, targets = jnp.array(data.features), jnp.array(data.targets)

        def step(state, indices):
            steps, parameters, firsts, seconds = state
            gradients = jax.grad(loss_of, 1)(data, parameters, features[indices], targets[indices])
            old = zip(gradients, parameters, firsts, seconds)
            new = [adam_w(data, steps + 1, *leaves) for leaves in old]
            return (steps + 1, *map(list, zip(*new)))

        self.step = step
        self.indices = jnp.array(data.indices)
        self.compile()

    def compile(self):
        self.one = jax.jit(self.step)
        self.indices = list(self.indices)

    def run(self):
        state = self.initial
        for indices in self.indices:
            state = self.one(state, indices)
        return state

    def first_step(self):
        jax.block_until_ready(self.one(self.initial, self.indices[0]))

    def train(self):
        start = perf_counter()
        _, parameters, *_ = jax.block_until_ready(self.run())
        return perf_counter() - start, parameters


if __name__ == "__main__":
    serve("JAX jit of one step, AdamW by hand", Jit)
