"""The post's PyTorch code: its own softmax, autograd, SGD by hand, one Python loop."""

from protocol import serve

from time import perf_counter

import torch

torch.set_num_threads(1)


def loss_of(parameters, contexts, targets):
    C, W1, b1, W2, b2 = parameters
    hidden = torch.tanh(C[contexts].view(-1, W1.shape[0]) @ W1 + b1)
    logits = hidden @ W2 + b2
    logits = logits - logits.max(1, keepdim=True).values
    counts = torch.exp(logits)
    probabilities = counts / counts.sum(1, keepdim=True)
    return -torch.log(probabilities[torch.arange(contexts.shape[0]), targets]).mean()


class Torch:
    version = f"torch {torch.__version__.partition('+')[0]}"
    loss_of = staticmethod(loss_of)

    def __init__(self, data, own_batches):
        self.data = data
        self.own_batches = own_batches
        self.contexts = torch.from_numpy(data.contexts)
        self.targets = torch.from_numpy(data.targets)
        self.indices = list(torch.from_numpy(data.indices))

    def parameters(self):
        return [torch.tensor(p, requires_grad=True) for p in self.data.initial]

    def step(self, parameters, indices):
        loss = self.loss_of(parameters, self.contexts[indices], self.targets[indices])
        for p in parameters:
            p.grad = None
        loss.backward()
        for p in parameters:
            p.data -= self.data.learning_rate * p.grad

    def first_step(self):
        self.step(self.parameters(), self.indices[0])

    def train(self):
        data = self.data
        parameters = self.parameters()
        generator = torch.Generator().manual_seed(2147483647)
        start = perf_counter()
        if self.own_batches:
            for _ in range(data.steps):
                self.step(parameters, torch.randint(0, data.examples, (data.batch,), generator=generator))
        else:
            for indices in self.indices:
                self.step(parameters, indices)
        return perf_counter() - start, [p.detach().numpy() for p in parameters]


if __name__ == "__main__":
    serve("PyTorch eager", Torch, own_batches=True)
