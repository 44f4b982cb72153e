"""A sampler that remembers what it chose and by how much: two runs may part only where that was next to nothing.

llama.cpp rounds otherwise when other rows are computed in the same step, and a model goes on from what it chose.
"""

from typing import ClassVar

import numpy as np
import pytest

from stages.inference import llama
from stages.inference.native import Logits
from stages.inference.sampling import Choice, Sampler, Sampling, Words

ROUNDING = 0.3  # of a logit; another prompt makes a difference of more than 1


class WatchedSampler(Sampler):
    """Each answer has its own; `made` lists them in the order the jobs were admitted."""

    made: ClassVar[list["WatchedSampler"]] = []

    def __init__(self, sampling: Sampling) -> None:
        super().__init__(sampling)
        self.chosen: list[tuple[int, float]] = []  # and how far ahead of the next one it was
        self.made.append(self)

    def choose(self, logits: Logits, allowed: Words) -> Choice:
        choice = super().choose(logits, allowed)
        bits = np.unpackbits(allowed.view(np.uint8), bitorder="little")[: len(logits)] == 1
        first, second = np.sort(np.append(logits[bits], -np.inf))[::-1][:2]
        self.chosen.append((choice.token, float(first - second)))
        return choice


def watch(monkeypatch: pytest.MonkeyPatch) -> list[WatchedSampler]:
    """The samplers of all answers from now on."""
    made: list[WatchedSampler] = []
    monkeypatch.setattr(WatchedSampler, "made", made)
    monkeypatch.setattr(llama, "Sampler", WatchedSampler)
    return made


def common_choices(first: WatchedSampler, second: WatchedSampler) -> int:
    """How many choices two greedy answers share before they part, if they do, at a near tie."""
    for at, ((token, lead), (other, other_lead)) in enumerate(zip(first.chosen, second.chosen, strict=False)):
        if token != other:
            assert min(lead, other_lead) < ROUNDING, f"choice {at}: {token} or {other}, by {lead:.2f}"
            return at
    assert len(first.chosen) == len(second.chosen)
    return len(first.chosen)
