"""PyTorch as its users write it: nn.Sequential, a loss of torch.nn, and AdamW.

Fused is its fastest AdamW here: with foreach, or without either, a step takes 1.3 times as long.
"""

from protocol import serve

from time import perf_counter

import torch
from torch import nn

torch.set_num_threads(1)

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}
LOSSES = {"softmax": nn.CrossEntropyLoss, "binary": nn.BCEWithLogitsLoss, "regression": nn.MSELoss}


class Torch:
    version = f"torch {torch.__version__.partition('+')[0]}"

    def __init__(self, data, _own_batches):
        self.data = data
        self.features = torch.from_numpy(data.features)
        self.targets = torch.from_numpy(data.targets)
        if data.head == "binary":
            self.targets = self.targets[:, None].float()
        self.loss = LOSSES[data.head]()
        self.indices = list(torch.from_numpy(data.indices))

    def start(self):
        """The model as it begins, and its optimizer."""
        data = self.data
        layers = []
        for weights, bias in zip(data.initial[::2], data.initial[1::2]):
            layer = nn.Linear(*weights.shape)
            layer.weight.data = torch.from_numpy(weights.T.copy())
            layer.bias.data = torch.from_numpy(bias.copy())
            layers += [layer, ACTIVATIONS[data.activation]()]
        model = nn.Sequential(*layers[:-1])
        optimizer = torch.optim.AdamW(
            model.parameters(),
            data.learning_rate,
            data.betas,
            data.epsilon,
            data.weight_decay,
            fused=True,
        )
        return model, optimizer

    def step(self, model, optimizer, indices):
        loss = self.loss(model(self.features[indices]), self.targets[indices])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def first_step(self):
        self.step(*self.start(), self.indices[0])

    def train(self):
        model, optimizer = self.start()
        start = perf_counter()
        for indices in self.indices:
            self.step(model, optimizer, indices)
        seconds = perf_counter() - start
        return seconds, [p.detach().numpy().T for p in model.parameters()]


if __name__ == "__main__":
    serve("PyTorch eager, nn.Sequential and AdamW", Torch)
