"""The same with all the steps inside one compiled lax.scan."""

from protocol import serve

import jax
from jax_features import Jit


class Scan(Jit):
    def compile(self):
        step = lambda state, indices: (self.step(state, indices), None)
        self.all = jax.jit(lambda state, indices: jax.lax.scan(step, state, indices)[0])

    def run(self):
        return self.all(self.initial, self.indices)

    def first_step(self):
        # The compiled program is the whole run; there is no smaller one to try.
        jax.block_until_ready(self.run())


if __name__ == "__main__":
    serve("JAX jit(lax.scan), AdamW by hand", Scan)
