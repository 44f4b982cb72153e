"""Attention over a pack: many questions that begin with the same part, which is computed once. Training only.

A token sees what it would see if its question stood alone: the shared part and its own before it, and in layers with a
sliding window only the newest of those. Each question is a product of its own, so that no time goes into pairs of
tokens that do not see each other.
"""

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from models.training.packs import Pack


class Masks:
    """Which rows of a pack see which columns, as what is added to scores: [rows, columns] of each of its blocks."""

    def __init__(self, pack: Pack, window: int) -> None:
        """`window`: of the layers that have one, in tokens."""
        blocks = list(pack.blocks())
        self.full = [_mask(rows, columns, None) for rows, columns in blocks]
        self.windowed = [_mask(rows, columns, window) for rows, columns in blocks]


def _mask(rows: npt.NDArray[Any], columns: npt.NDArray[Any], window: int | None) -> Tensor:
    """By positions: 0 where a row sees a column, else -inf."""
    distance = torch.from_numpy(rows)[:, None] - torch.from_numpy(columns)[None, :]
    hidden = distance < 0
    if window is not None:
        hidden |= distance >= window
    return torch.zeros(distance.shape).masked_fill_(hidden, float("-inf"))


def attend(query: Tensor, key: Tensor, value: Tensor, pack: Pack, masks: Sequence[Tensor]) -> Tensor:
    """[tokens, heads, size] of queries, [tokens, size] of the keys and values that all heads share -> as the queries.

    Each is cut into the pack's pieces at one go: the gradient of one slice by itself would be as large as the whole.
    """
    sizes = [piece.length for piece in pack.pieces]
    queries, keys, values = query.split(sizes), key.split(sizes), value.split(sizes)
    parts = []
    for at, (piece, mask) in enumerate(zip(pack.pieces, masks, strict=True)):
        seen = [at] if piece.behind is None else [piece.behind, at]
        k, v = (torch.cat([each[one] for one in seen]) for each in (keys, values))
        rows, heads, size = queries[at].shape
        scores = queries[at].reshape(rows * heads, size) @ k.T
        shares = _shares(scores.view(rows, heads, -1), mask, size**-0.5)
        parts.append((shares.view(rows * heads, -1) @ v).view(rows, heads, size))
    return torch.cat(parts)


@torch.compile(dynamic=True)
def _shares(scores: Tensor, mask: Tensor, scale: float) -> Tensor:
    """[rows, heads, columns]: how much of each column a row takes."""
    return torch.softmax(scores.float() * scale + mask[:, None], dim=-1).to(scores.dtype)
