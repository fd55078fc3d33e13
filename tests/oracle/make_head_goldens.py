"""Writes tests/golden/reward/heads/: tiny aesthetic heads as torch.save and safetensors write them, and golden.safetensors
with the affine map that each is: NAME.weight and NAME.bias in fp64.

    python tests/oracle/make_head_goldens.py [FOLDER]
"""

import pathlib
import sys

import torch
from safetensors.torch import save_file
from torch import nn

WIDTH = 6


def chain(activation):
    """improved-aesthetic-predictor's MLP, narrow; its published weights have no activation."""
    layers = []
    for inputs, outputs, dropout in ((WIDTH, 5, 0.2), (5, 4, 0.2), (4, 3, 0.1), (3, 2, 0), (2, 1, 0)):
        layers.append(nn.Linear(inputs, outputs))
        if activation and outputs > 1:
            layers.append(nn.ReLU())
        if dropout:
            layers.append(nn.Dropout(dropout))
    module = nn.Module()
    module.layers = nn.Sequential(*layers)
    return module


def affine(module):
    """The map of a module without activations, by its values at zero and at the unit vectors."""
    run = (module.layers if hasattr(module, "layers") else module).double().eval()
    bias = run(torch.zeros(1, WIDTH, dtype=torch.float64))[0]
    weight = run(torch.eye(WIDTH, dtype=torch.float64))[:, 0] - bias
    return weight.detach(), bias.detach()


def main():
    default = pathlib.Path(__file__).resolve().parents[1] / "golden" / "reward" / "heads"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(7)
    golden = {}
    for name, module, dtype in (("linear", nn.Linear(WIDTH, 1), torch.float32),
                                ("linear-fp16", nn.Linear(WIDTH, 1), torch.float16),
                                ("chain-bf16", chain(False), torch.bfloat16),
                                ("chain-fp16", chain(False), torch.float16),
                                ("chain-fp64", chain(False), torch.float64)):
        module = module.to(dtype)
        torch.save(module.state_dict(), folder / f"{name}.pth")
        save_file(module.state_dict(), folder / f"{name}.safetensors")
        golden[f"{name}.weight"], golden[f"{name}.bias"] = affine(module)
    save_file(golden, folder / "golden.safetensors")
    torch.save(chain(True).state_dict(), folder / "relu.pth")
    # A number without dimensions beside the weights, as a logit scale.
    torch.save({**nn.Linear(WIDTH, 1).state_dict(), "scale": torch.tensor(2.5)}, folder / "scalar.pth")
    # Two rows of one storage: tensors that begin where their storage does not.
    rows = torch.arange(2.0 * WIDTH).reshape(2, WIDTH)
    torch.save({"first": rows[0], "second": rows[1]}, folder / "rows.pth")


if __name__ == "__main__":
    main()
