"""The same PyTorch model with the whole step (loss, gradient, update) compiled by torch.compile.

Compiling needs a C++ compiler and takes seconds: they count as start-up, for a user waits for them too.
"""

from protocol import serve

import torch
from torch_eager import Torch, loss_of


def step(parameters, contexts, targets, indices, learning_rate):
    gradients = torch.func.grad(loss_of)(parameters, contexts[indices], targets[indices])
    for p, gradient in zip(parameters, gradients):
        p -= learning_rate * gradient


class Compiled(Torch):
    def __init__(self, data, own_batches):
        super().__init__(data, own_batches)
        self.compiled = torch.compile(step)

    def parameters(self):
        return [torch.tensor(p) for p in self.data.initial]

    def step(self, parameters, indices):
        self.compiled(parameters, self.contexts, self.targets, indices, self.data.learning_rate)


if __name__ == "__main__":
    serve("PyTorch torch.compile of the step", Compiled)
