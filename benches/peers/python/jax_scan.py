"""JAX at its best: all the steps inside one compiled lax.scan."""

from protocol import serve

from time import perf_counter

import jax
import jax.numpy as jnp
from jax_model import VERSION, on_device, step


class Scan:
    version = VERSION

    def __init__(self, data, own_batches):
        self.data = data
        self.initial, contexts, targets = on_device(data)
        rate = data.learning_rate
        self.indices = jnp.array(data.indices)

        def given(parameters, indices):
            return step(parameters, contexts[indices], targets[indices], rate), None

        def drawn(state, _):
            parameters, key = state
            key, subkey = jax.random.split(key)
            indices = jax.random.randint(subkey, (data.batch,), minval=0, maxval=data.examples)
            return (given(parameters, indices)[0], key), None

        if own_batches:
            key = jax.random.PRNGKey(0)
            self.run = jax.jit(lambda p, _: jax.lax.scan(drawn, (p, key), length=data.steps)[0][0])
        else:
            self.run = jax.jit(lambda p, indices: jax.lax.scan(given, p, indices)[0])

    def first_step(self):
        # The compiled program is the whole run; there is no smaller one to try.
        jax.block_until_ready(self.run(self.initial, self.indices))

    def train(self):
        start = perf_counter()
        parameters = jax.block_until_ready(self.run(self.initial, self.indices))
        return perf_counter() - start, parameters


if __name__ == "__main__":
    serve("JAX jit(lax.scan)", Scan, own_batches=True)
