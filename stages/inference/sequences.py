"""Which tokens each sequence of the cache holds, and which sequence a prompt goes to. Used by the inference process.

A sequence is a row of the cache with its own history. Two kinds are kept apart:
- a prefix holds what all prompts of a surgery begin with. Others begin as its copy. It goes only when the place is
  needed for another prefix and no prompt that is at work began with it;
- the others hold a prompt and its answer. After the answer they stay as they are, until a prompt comes that goes on
  from there, or the place is needed: then the one that was unused for the longest time goes.
"""

from collections.abc import Sequence as Tokens
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


class Cache(Protocol):
    """What a decoder does with the cells of sequences."""

    def cut_back(self, sequence: int, length: int) -> bool:
        """Forget all but the first `length` tokens; False if only the whole can be forgotten."""

    def copy(self, source: int, target: int, length: int) -> None:
        """Let the empty `target` begin with the first `length` tokens of `source`."""


@dataclass(slots=True, eq=False)
class Sequence:
    """One sequence. `tokens` are those that are computed; whoever has it at work adds to them."""

    number: int
    tokens: list[int] = field(default_factory=list)
    goal: list[int] = field(default_factory=list)  # of a prefix: the tokens it is for
    origin: "Sequence | None" = None  # the prefix whose cells its first `shared` tokens are
    shared: int = 0
    owner: str = ""  # the session it was last used for
    room: int = 0  # most tokens it may come to hold while it is at work
    at_work: bool = False
    used: int = 0  # grows with each use

    @property
    def cells(self) -> int:
        """Cells of its own that it has or may come to need."""
        return max(len(self.tokens), self.room) - self.shared

    @property
    def ready(self) -> bool:
        """Of a prefix: whether it can be copied."""
        return bool(self.goal) and len(self.tokens) == len(self.goal)


class Sequences:
    """All sequences of one cache: the first `prefixes` are for prefixes, the others for prompts."""

    def __init__(self, cache: Cache, *, count: int, prefixes: int, cells: int, unified: bool) -> None:
        """`cells`: of the whole cache. `unified`: sequences share them, and a copy needs none of its own."""
        self.evicted = 0
        self._cache = cache
        self._cells = cells
        self._unified = unified
        self._prefixes = [Sequence(number) for number in range(prefixes)]
        self._others = [Sequence(number) for number in range(prefixes, count)]
        self._uses = 0

    @property
    def held(self) -> int:
        """Tokens that are held, those of a prefix once."""
        return sum(len(sequence.tokens) - sequence.shared for sequence in (*self._prefixes, *self._others))

    def prefix(self, tokens: list[int]) -> Sequence | None:
        """The sequence of that prefix, whether it is ready or not."""
        return next((sequence for sequence in self._prefixes if sequence.goal == tokens), None)

    def take_prefix(self, tokens: list[int]) -> Sequence | None:
        """An empty sequence for a new prefix, to be computed; None while there is no place for it."""
        free = self._unneeded()
        if not free:
            return None
        chosen = min(free, key=lambda sequence: (bool(sequence.goal), sequence.used))
        for other in self._others:
            if other.origin is chosen:
                self._empty(other)
        self._empty(chosen)
        if not self._make_room(len(tokens), chosen, chosen):
            return None
        chosen.goal = tokens
        self._begin(chosen, "", len(tokens))
        return chosen

    def take(self, prompt: list[int], prefix: Sequence, owner: str, answer: int) -> Sequence | None:
        """A sequence that holds as much of the beginning of `prompt` as any free one, but never its last token: what
        the model chooses first follows from that one.

        `prefix` is ready. `answer`: how many tokens may follow. None while there is no place.
        """
        free = [sequence for sequence in self._others if not sequence.at_work]
        if not free:
            return None
        copied = common(prefix.tokens, prompt[:-1])
        # What began with another prefix shares cells with that one, which then could not go
        kin = (prefix, None)
        held = {s: common(s.tokens, prompt[:-1]) if s.origin in kin else 0 for s in free}
        # Which holds more than a copy would; else the owner's, else an empty one, else the longest unused
        chosen = max(free, key=lambda s: (max(0, held[s] - copied), s.owner == owner, not s.tokens, -s.used))
        if held[chosen] <= copied or not self._cut_back(chosen, held[chosen]):
            self._empty(chosen)  # before room is made: the prefix it began with may go for that
        begun = bool(chosen.tokens)
        shared = chosen.shared if begun else copied * self._unified
        if not self._make_room(len(prompt) + answer - shared - chosen.cells, chosen, prefix):
            return None
        if copied and not begun:
            self._cache.copy(prefix.number, chosen.number, copied)
            chosen.tokens = prompt[:copied]
            chosen.origin, chosen.shared = (prefix, copied) if self._unified else (None, 0)
        self._begin(chosen, owner, len(prompt) + answer)
        prefix.used = self._uses
        return chosen

    def release(self, sequence: Sequence) -> None:
        """Its work is over; what it holds stays."""
        sequence.at_work, sequence.room = False, 0

    def spoil(self, sequence: Sequence) -> None:
        """Its work failed: what it holds is not to be relied on."""
        self._empty(sequence)
        self.release(sequence)

    def spoil_all(self) -> None:
        """Nothing is to be relied on."""
        for sequence in (*self._others, *self._prefixes):
            self.spoil(sequence)

    def _begin(self, sequence: Sequence, owner: str, room: int) -> None:
        self._uses += 1
        sequence.used, sequence.owner, sequence.room, sequence.at_work = self._uses, owner, room, True

    def _unneeded(self) -> list[Sequence]:
        """The prefixes that no work has begun with, and that are not being computed."""
        needed = {other.origin for other in self._others if other.at_work}
        return [sequence for sequence in self._prefixes if not sequence.at_work and sequence not in needed]

    def _make_room(self, more: int, *keep: Sequence) -> bool:
        """Whether so many more cells can be had, by emptying what was unused for the longest time, prefixes last."""
        if not self._unified:
            return True
        taken = sum(sequence.cells for sequence in (*self._prefixes, *self._others)) + more
        idle = sorted((s for s in self._others if not s.at_work), key=lambda s: s.used)
        for sequence in (*idle, *sorted(self._unneeded(), key=lambda s: s.used)):
            if taken <= self._cells:
                break
            if sequence.tokens and sequence not in keep:
                taken -= sequence.cells
                self._empty(sequence)
                self.evicted += 1
        return taken <= self._cells

    def _cut_back(self, sequence: Sequence, length: int) -> bool:
        if length < len(sequence.tokens) and not self._cache.cut_back(sequence.number, length):
            return False
        del sequence.tokens[length:]
        return True

    def _empty(self, sequence: Sequence) -> None:
        if sequence.tokens:
            self._cache.cut_back(sequence.number, 0)
        sequence.tokens, sequence.goal, sequence.origin, sequence.shared = [], [], None, 0


def common(held: Tokens[int], wanted: Tokens[int]) -> int:
    """How many tokens the two have in common from their beginning."""
    length = min(len(held), len(wanted))
    different = np.flatnonzero(np.asarray(held[:length], np.int32) != np.asarray(wanted[:length], np.int32))
    return int(different[0]) if len(different) else length
