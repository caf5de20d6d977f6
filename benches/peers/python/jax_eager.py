"""The post's slow JAX: the same loop without jit. Some 15 ms a step: ask for few steps and scale."""

from protocol import serve

from jax_jit import Jit
from jax_model import step


class Eager(Jit):
    def __init__(self, data, own_batches):
        super().__init__(data, own_batches)
        self.step = step


if __name__ == "__main__":
    serve("JAX without jit", Eager, own_batches=True)
