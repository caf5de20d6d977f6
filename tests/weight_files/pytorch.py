"""What PyTorch makes of weight files: run by tests/weight_files/pytorch.rs, or by hand.

    python pytorch.py FOLDER

Reads `makemore.safetensors` and `linear.safetensors` in the folder, two files of one name model, by the names of makemore
and as the state of a module. Both must compute the same; what they compute for every context of the first and last letters
goes to `probabilities.safetensors`, and the module's state to `pytorch.safetensors`. The parameters divided by three go to
`F16.safetensors`, `BF16.safetensors` and `F64.safetensors` in these types, and to `F16_as_F32.safetensors` and so on as
PyTorch converts them from there.
"""

import itertools
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

TYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}
CONTEXTS = torch.tensor(list(itertools.product([0, 1, 13, 26], repeat=3)))


class NameModel(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(27, 2)
        self.hidden = torch.nn.Linear(6, 100)
        self.output = torch.nn.Linear(100, 27)

    def forward(self, contexts):
        return self.output(torch.tanh(self.hidden(self.embedding(contexts).flatten(1))))


def main():
    folder = Path(sys.argv[1])
    tensors = load_file(folder / "makemore.safetensors")
    hidden = torch.tanh(tensors["C"][CONTEXTS].flatten(1) @ tensors["W1"] + tensors["b1"])
    logits = hidden @ tensors["W2"] + tensors["b2"]

    module = NameModel()
    module.load_state_dict(load_file(folder / "linear.safetensors"))
    with torch.no_grad():
        torch.testing.assert_close(module(CONTEXTS), logits)
    with safe_open(folder / "makemore.safetensors", framework="pt") as file:
        print(file.metadata()["fused_mlp"])
    save_file({"probabilities": logits.softmax(1)}, folder / "probabilities.safetensors")
    save_file(module.state_dict(), folder / "pytorch.safetensors", metadata={"format": "pt"})
    for name, dtype in TYPES.items():
        state = {key: (tensor.double() / 3).to(dtype) for key, tensor in module.state_dict().items()}
        save_file(state, folder / f"{name}.safetensors")
        state = {key: tensor.float() for key, tensor in state.items()}
        save_file(state, folder / f"{name}_as_F32.safetensors")


if __name__ == "__main__":
    main()
