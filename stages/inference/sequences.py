"""Which tokens each sequence of the cache holds, and which sequence a prompt goes to. Used by the inference process.

A sequence is a row of the cache with cells of its own. After an answer it keeps what the session's next prompt begins
with, until that comes, or its place is needed: then it goes to the shelf.
"""

from collections.abc import Sequence as Tokens
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from stages.inference.shelf import Saved, Shelf, State

WORTH: Final = 16  # tokens that must be saved for a session to go on from what another one's sequence holds


class Cache(Protocol):
    """What a decoder does with the cells of sequences."""

    def cut_back(self, sequence: int, length: int) -> bool:
        """Forget all but the first `length` tokens; False if only the whole can be forgotten."""

    def save(self, sequence: int) -> State:
        """What was computed of a sequence."""

    def restore(self, sequence: int, state: State) -> bool:
        """Put it into an empty sequence; False if it does not fit."""


@dataclass(slots=True, eq=False)
class Sequence:
    """One sequence. `tokens` are those that are computed; whoever has it at work adds to them."""

    number: int
    tokens: list[int] = field(default_factory=list)
    owner: str = ""  # the session it was last used for; "" if what it holds need not be kept
    at_work: bool = False
    used: int = 0  # grows with each use


class Sequences:
    """All sequences of one cache."""

    def __init__(self, cache: Cache, count: int, shelf: Shelf) -> None:
        self.shelved = 0
        self.restored = 0
        self._cache = cache
        self._shelf = shelf
        self._all = [Sequence(number) for number in range(count)]
        self._uses = 0

    @property
    def held(self) -> int:
        """Tokens that are held."""
        return sum(len(sequence.tokens) for sequence in self._all)

    @property
    def free(self) -> int:
        """How many are not at work."""
        return sum(not sequence.at_work for sequence in self._all)

    def take(self, prompt: list[int], owner: str) -> Sequence:
        """A sequence that holds as much of the beginning of `prompt` as any free one or the shelf, but never its last
        token: what the model chooses first follows from that one. Call it while there is a free one.
        """
        free = [sequence for sequence in self._all if not sequence.at_work]
        wanted = prompt[:-1]
        saved = max(self._shelf.candidates(), key=lambda s: common(s.tokens, wanted), default=None)
        on_shelf = common(saved.tokens, wanted) if saved is not None else 0
        held = {sequence: common(sequence.tokens, wanted) for sequence in free}
        best = max(free, key=lambda s: held[s] - WORTH * (s.owner != owner))
        stays = held[best] - WORTH * (best.owner != owner) >= on_shelf
        if stays:
            chosen = best
        else:
            chosen = min(free, key=lambda s: (bool(s.tokens) and s.owner != owner, self._apart(s), s.used))
        if chosen.owner != owner:
            self._keep(chosen)
        if stays:
            self._cut_back(chosen, held[chosen])
        else:
            self._empty(chosen)
            if saved is not None and on_shelf:
                self._restore(chosen, saved, on_shelf)
        if not chosen.tokens:
            self._begin_anew(chosen, wanted)
        self._uses += 1
        chosen.used, chosen.owner, chosen.at_work = self._uses, owner, True
        return chosen

    def save(self, sequence: Sequence) -> Saved:
        """What was computed of a sequence so far."""
        return Saved(list(sequence.tokens), self._cache.save(sequence.number))

    def cut_back(self, sequence: Sequence, fewer: int) -> None:
        """Forget the last `fewer` tokens of a sequence at work, whose cache can do so."""
        del sequence.tokens[len(sequence.tokens) - fewer :]
        self._cache.cut_back(sequence.number, len(sequence.tokens))

    def release(self, sequence: Sequence, lasting: int) -> None:
        """Its work is over. The first `lasting` tokens stay, and more where the cache cannot be cut back so far."""
        sequence.at_work = False
        if lasting < len(sequence.tokens) and self._cache.cut_back(sequence.number, lasting):
            del sequence.tokens[lasting:]

    def spoil_all(self) -> None:
        """Nothing in the cache is to be relied on."""
        for sequence in self._all:
            self._empty(sequence)
            sequence.owner, sequence.at_work = "", False

    def _apart(self, sequence: Sequence) -> int:
        """How far from those at work: llama.cpp computes neighbours in one go (llama_batch_allocr::split_equal)."""
        return min((abs(sequence.number - other.number) for other in self._all if other.at_work), default=0)

    def _keep(self, sequence: Sequence) -> None:
        if sequence.owner and sequence.tokens:
            self._shelf.put_session(sequence.owner, self.save(sequence))
            self.shelved += 1

    def _begin_anew(self, sequence: Sequence, wanted: list[int]) -> None:
        """Begin with what the shelf has that need not be cut back: not every cache can do so, nor every state fits."""
        whole = [saved for saved in self._shelf.candidates() if saved.tokens == wanted[: len(saved.tokens)]]
        for saved in sorted(whole, key=lambda s: len(s.tokens), reverse=True):
            self._restore(sequence, saved, len(saved.tokens))
            if sequence.tokens:
                return

    def _restore(self, sequence: Sequence, saved: Saved, length: int) -> None:
        if not self._cache.restore(sequence.number, saved.state):
            self._shelf.remove(saved)
            self._cache.cut_back(sequence.number, 0)
            return
        self.restored += 1
        sequence.tokens = list(saved.tokens)
        self._cut_back(sequence, length)

    def _cut_back(self, sequence: Sequence, length: int) -> None:
        if length == len(sequence.tokens):
            return
        if self._cache.cut_back(sequence.number, length):
            del sequence.tokens[length:]
        else:
            self._empty(sequence)

    def _empty(self, sequence: Sequence) -> None:
        if sequence.tokens:
            self._cache.cut_back(sequence.number, 0)
        sequence.tokens = []


def common(held: Tokens[int], wanted: Tokens[int]) -> int:
    """How many tokens the two have in common from their beginning."""
    length = min(len(held), len(wanted))
    if length == 0 or held[0] != wanted[0]:
        return 0
    different = np.flatnonzero(np.asarray(held[:length], np.int32) != np.asarray(wanted[:length], np.int32))
    return int(different[0]) if len(different) else length
