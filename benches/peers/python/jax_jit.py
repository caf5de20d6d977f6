"""The post's fast JAX: one step under jit, called from a Python loop."""

from protocol import serve

from time import perf_counter

import jax
from jax_model import VERSION, on_device, step


class Jit:
    version = VERSION

    def __init__(self, data, own_batches):
        self.data = data
        self.own_batches = own_batches
        self.initial, self.contexts, self.targets = on_device(data)
        self.indices = list(jax.numpy.array(data.indices))
        self.step = jax.jit(step)

    def one(self, parameters, indices):
        return self.step(parameters, self.contexts[indices], self.targets[indices], self.data.learning_rate)

    def draw(self, key):
        key, subkey = jax.random.split(key)
        return key, jax.random.randint(subkey, (self.data.batch,), minval=0, maxval=self.data.examples)

    def first_step(self):
        indices = self.draw(jax.random.PRNGKey(0))[1] if self.own_batches else self.indices[0]
        jax.block_until_ready(self.one(self.initial, indices))

    def train(self):
        parameters = self.initial
        key = jax.random.PRNGKey(0)
        start = perf_counter()
        if self.own_batches:
            for _ in range(self.data.steps):
                key, indices = self.draw(key)
                parameters = self.one(parameters, indices)
        else:
            for indices in self.indices:
                parameters = self.one(parameters, indices)
        jax.block_until_ready(parameters)
        return perf_counter() - start, parameters


if __name__ == "__main__":
    serve("JAX jit of one step", Jit, own_batches=True)
