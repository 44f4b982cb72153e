"""What a network's choices cost, and which it would make: the product with a row for every token. Training only.

The rows are frozen, so the gradient of what comes in is known as soon as the scores are: those of a few rows at a time
are made and forgotten, where all of them together would take hundreds of megabytes.
"""

from typing import Any, Final

import torch
from torch import Tensor

_ROWS: Final = 128  # of scores that are held at one time
_LEAST: Final = 1e-37  # share whose logarithm is taken


class _Cost(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, embedding: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        costs, slopes = [], []
        for at in range(0, len(hidden), _ROWS):
            here = slice(at, at + _ROWS)
            scores = (hidden[here].to(embedding.dtype) @ embedding.T).float()
            right = targets[here, None]
            shares = scores.softmax(1)
            costs.append(-shares.gather(1, right)[:, 0].clamp_min(_LEAST).log())
            shares.scatter_add_(1, right, -torch.ones_like(right, dtype=shares.dtype))
            slopes.append((shares.to(embedding.dtype) @ embedding).float() * weights[here, None])
        ctx.save_for_backward(torch.cat(slopes))
        return (torch.cat(costs) * weights).sum()

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None, None, None]:
        (slopes,) = ctx.saved_tensors
        return slopes * grad[0], None, None, None


def cost(hidden: Tensor, embedding: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """The sum over rows of weight times -log of the target's probability.

    `hidden`: [rows, width]; `embedding`: [tokens, width], frozen; `targets`, `weights`: [rows].
    """
    total: Tensor = _Cost.apply(hidden, embedding, targets, weights)  # type: ignore[no-untyped-call]
    return total


def choices(hidden: Tensor, embedding: Tensor, allowed: Tensor) -> Tensor:
    """The best token of each row among those whose bit is set. `allowed`: [rows, words of 32 bits, lowest first]."""
    found = []
    bits = torch.arange(32, dtype=torch.int32)
    for at in range(0, len(hidden), _ROWS):
        here = slice(at, at + _ROWS)
        scores = (hidden[here].to(embedding.dtype) @ embedding.T).float()
        open_ = (allowed[here, :, None] >> bits & 1).flatten(1)[:, : scores.shape[1]] == 1
        found.append(scores.masked_fill_(~open_, float("-inf")).argmax(1))
    return torch.cat(found)
