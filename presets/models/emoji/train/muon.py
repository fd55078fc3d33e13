"""Muon: momentum whose matrix is brought near the closest orthogonal one before each step.

All directions of a weight matrix then learn at the same pace, which for these short
trainings is worth more than twice the steps.  Updates are scaled to the size AdamW's
have, so learning rates carry over; what is not a matrix (biases, norms, embeddings,
the first and last layers' few rows) stays with AdamW.
"""

import torch


def orthogonalise(matrix, rounds=5):
    """Newton-Schulz iteration on the singular values, the quintic of Jordan et al. 2024; bf16 is exact enough for it."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.t() if tall else matrix
    x = (x / (x.norm() + 1e-7)).bfloat16()
    for _ in range(rounds):
        square = x @ x.t()
        x = a * x + (b * square + c * square @ square) @ x
    return (x.t() if tall else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    def __init__(self, named_parameters, lr=1e-3, momentum=0.95, weight_decay=1e-2, betas=(0.9, 0.99)):
        matrices, others = [], []
        for name, parameter in named_parameters:
            matrix = parameter.dim() >= 2 and min(len(parameter), parameter[0].numel()) >= 16
            # An embedding table is no map: most of its rows have no gradient in a step.
            (matrices if matrix and "embedding." not in name else others).append(parameter)
        super().__init__([{"params": matrices, "matrix": True}, {"params": others, "matrix": False}],
                         dict(lr=lr, momentum=momentum, weight_decay=weight_decay, betas=betas))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                gradient = parameter.grad
                if group["matrix"]:
                    if not state:
                        state["momentum"] = torch.zeros_like(gradient)
                    state["momentum"].lerp_(gradient, 1 - group["momentum"])
                    flat = gradient.lerp(state["momentum"], group["momentum"]).reshape(len(gradient), -1)
                    update = orthogonalise(flat).reshape(gradient.shape) * (0.2 * max(flat.shape) ** 0.5)
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                else:
                    if not state:
                        state["step"] = torch.zeros(())
                        state["first"], state["second"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
                    state["step"] += 1
                    first, second = group["betas"]
                    state["first"].lerp_(gradient, 1 - first)
                    state["second"].lerp_(gradient.square(), 1 - second)
                    corrected = state["first"] / (1 - first ** state["step"].item())
                    spread = (state["second"] / (1 - second ** state["step"].item())).sqrt_()
                    update = corrected / (spread + 1e-8)
                parameter.add_(update, alpha=-group["lr"])
