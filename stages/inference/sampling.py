"""Which token comes next: the most likely one, or one by chance, among those that the grammar allows.
Used by the inference process.
"""

from dataclasses import dataclass
from math import log
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from stages.inference.native import Logits

Ids = npt.NDArray[np.intp]
Words = npt.NDArray[np.int32]  # 32 tokens each, the lowest bit first

FEW_WORDS: Final = 256  # with a bit set: up to here all that is allowed is looked at
FEW_RIVALS: Final = 256  # up to here those that were not chosen are told: ids and phases, not words
NEGLIGIBLE: Final = 20.0  # below the best by so much: all 262,144 such tokens together weigh 0.0005 of it
_BITS: Final = np.arange(32)


class Choice(NamedTuple):
    """A chosen token, and its logarithmic probability (natural, at temperature 1) among the allowed ones.

    `rivals`: the others that were allowed with theirs, where there were few.
    """

    token: int
    logprob: float
    rivals: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to choose. `temperature` 0 is greedy. `top_p`: the likeliest tokens that weigh so much together."""

    temperature: float
    top_p: float
    seed: int


class Sampler:
    """Chooses the tokens of one answer. The same logits give the same choices, whatever else is computed."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._chance = np.random.Generator(np.random.PCG64(sampling.seed))

    def choose(self, logits: Logits, allowed: Words) -> Choice:
        """`logits`: shape (vocabulary,). `allowed`: shape (at least vocabulary / 32,); at least one bit is set.

        Raises ValueError if nothing is allowed, or no allowed logit is a number.
        """
        tokens = _candidates(logits, allowed, NEGLIGIBLE * max(1.0, self._sampling.temperature))
        scores = logits[tokens].astype(np.float64)
        scores[np.isnan(scores)] = -np.inf
        best = int(np.argmax(scores)) if len(scores) else 0
        if not len(scores) or not np.isfinite(scores[best]):
            raise ValueError(f"{len(scores)} tokens are allowed and none of them has a finite logit")
        scores -= scores[best]
        total = float(np.exp(scores).sum())
        chosen = best if self._sampling.temperature == 0.0 else self._draw(scores)
        return Choice(int(tokens[chosen]), float(scores[chosen]) - log(total), _rivals(tokens, scores, chosen, total))

    def _draw(self, scores: npt.NDArray[np.float64]) -> int:
        weights = np.exp(scores / self._sampling.temperature)
        order = np.argsort(-weights, kind="stable")
        sums = np.cumsum(weights[order])
        kept = int(np.searchsorted(sums, self._sampling.top_p * sums[-1])) + 1
        kept = min(kept, len(sums))
        return int(order[min(int(np.searchsorted(sums[:kept], self._chance.random() * sums[kept - 1])), kept - 1)])


def _rivals(tokens: Ids, scores: npt.NDArray[np.float64], chosen: int, total: float) -> tuple[tuple[int, float], ...]:
    if len(tokens) > FEW_RIVALS:
        return ()
    others = (at for at in range(len(tokens)) if at != chosen)
    return tuple((int(tokens[at]), float(scores[at]) - log(total)) for at in others)


def _candidates(logits: Logits, allowed: Words, margin: float) -> Ids:
    """The allowed tokens that matter, by their ids: all, or those less than `margin` below the best of them."""
    bits = allowed.view(np.uint32)
    words = np.flatnonzero(bits)
    if len(words) > FEW_WORDS:
        best = logits.max()
        while len(found := _near(logits, bits, best - margin)) and (allowed_best := logits[found].max()) < best:
            best = allowed_best  # the best of all is not allowed: what is near the best that is?
        if len(found):
            return found
    tokens: Ids = (words[:, None] * 32 + _BITS)[((bits[words][:, None] >> _BITS.astype(np.uint32)) & 1) == 1]
    inside: Ids = tokens[tokens < len(logits)]
    return inside


def _near(logits: Logits, bits: npt.NDArray[np.uint32], least: float) -> Ids:
    """The tokens above `least` whose bits are set."""
    near = np.flatnonzero(logits > least)
    found: Ids = near[((bits[near >> 5] >> (near & 31).astype(np.uint32)) & 1) == 1]
    return found
