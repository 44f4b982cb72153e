"""Questions packed for one step of training: those about one surgery stand behind one copy of what they share.

A dictionary has several times the tokens of a question, so most of a step would go into computing it again.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.training.encode import Example

Ids = npt.NDArray[np.int64]


class _Group(NamedTuple):
    shared: tuple[int, ...]
    examples: list[Example]

    @property
    def size(self) -> int:
        return len(self.shared) + sum(len(example.own) for example in self.examples)


class Piece(NamedTuple):
    """A run of tokens: a shared part, or a question, which stands `behind` the shared part of that number."""

    length: int
    behind: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """Tokens with their positions, as if each question stood alone; `rows` are those from which a token is chosen.

    `tokens`, `positions`: [tokens]; `rows`, `targets`: [rows], the row and what is to be chosen there; `owners`:
    [rows], the place of the row's example in `examples`.
    """

    examples: tuple[Example, ...]
    pieces: tuple[Piece, ...]
    tokens: Ids
    positions: Ids
    rows: Ids
    targets: Ids
    owners: Ids

    def blocks(self) -> Iterator[tuple[Ids, Ids]]:
        """For each piece: the positions of its rows, and of the columns that it may see."""
        ends = np.cumsum([piece.length for piece in self.pieces])
        positions = [self.positions[end - piece.length : end] for end, piece in zip(ends, self.pieces, strict=True)]
        for own, piece in zip(positions, self.pieces, strict=True):
            yield own, own if piece.behind is None else np.concatenate([positions[piece.behind], own])


def pack_all(examples: Sequence[Example], most_tokens: int, together: int, seed: str) -> list[Pack]:
    """All examples in packs of about `most_tokens`, in an order by chance of that seed.

    At most `together` of a pack share one dictionary, for a step is to be about more than one.
    """
    draw = random.Random(seed)
    by_shared: dict[tuple[int, ...], list[Example]] = {}
    for example in examples:
        by_shared.setdefault(example.shared, []).append(example)
    groups: list[_Group] = []
    for shared, of_one in by_shared.items():
        draw.shuffle(of_one)
        pieces = [of_one[at : at + together] for at in range(0, len(of_one), together)]
        groups += [_Group(shared, piece) for piece in pieces]
    draw.shuffle(groups)
    packs: list[Pack] = []
    waiting: list[_Group] = []
    for group in groups:
        if waiting and sum(each.size for each in waiting) + group.size > most_tokens:
            packs.append(_pack(waiting))
            waiting = []
        waiting.append(group)
    return [*packs, _pack(waiting)] if waiting else packs


def _pack(groups: Sequence[_Group]) -> Pack:
    tokens: list[int] = []
    positions: list[int] = []
    rows: list[int] = []
    pieces: list[Piece] = []
    for group in groups:
        shared = len(pieces)
        pieces.append(Piece(len(group.shared)))
        tokens += group.shared
        positions += range(len(group.shared))
        for example in group.examples:
            pieces.append(Piece(len(example.own), shared))
            rows += [len(tokens) + at for at in example.rows]
            tokens += example.own
            positions += range(len(group.shared), len(group.shared) + len(example.own))
    examples = tuple(example for group in groups for example in group.examples)
    return Pack(
        examples=examples,
        pieces=tuple(pieces),
        tokens=np.asarray(tokens),
        positions=np.asarray(positions),
        rows=np.asarray(rows),
        targets=np.asarray([target for example in examples for target in example.targets]),
        owners=np.repeat(np.arange(len(examples)), [len(example.rows) for example in examples]),
    )
