"""Computed beginnings of prompts that wait in memory for their next use. Used by the inference process.

To put a saved state of 1,000 tokens back into a sequence takes 2 ms on the embedded model, to compute it 2 s. Two
kinds stand here: prefixes, which all prompts of a surgery begin with, and what a sequence held of a session when it
was needed for another.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

State = npt.NDArray[np.uint8]

PREFIXES: Final = 8  # as many surgeries; of more, the one that was unused for the longest time goes


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """What was computed of some tokens."""

    tokens: list[int]
    state: State


class Shelf:
    """Saved states: a few prefixes, and sessions as far as their bytes go; the longest unused goes first."""

    def __init__(self, most_bytes: int) -> None:
        """`most_bytes`: of all sessions together."""
        self.dropped = 0
        self._most_bytes = most_bytes
        self._prefixes: OrderedDict[tuple[int, ...], Saved] = OrderedDict()
        self._sessions: OrderedDict[str, Saved] = OrderedDict()

    @property
    def bytes(self) -> int:
        """Of all that stands here."""
        return sum(saved.state.nbytes for saved in (*self._prefixes.values(), *self._sessions.values()))

    def has_prefix(self, tokens: list[int]) -> bool:
        """Whether that prefix is here; it counts as a use."""
        found = (key := tuple(tokens)) in self._prefixes
        if found:
            self._prefixes.move_to_end(key)
        return found

    def put_prefix(self, saved: Saved) -> None:
        """Keep a prefix."""
        self._prefixes[tuple(saved.tokens)] = saved
        while len(self._prefixes) > PREFIXES:
            self._prefixes.popitem(last=False)
            self.dropped += 1

    def put_session(self, name: str, saved: Saved) -> None:
        """Keep what was computed for a session, instead of what was kept of it before."""
        self._sessions.pop(name, None)
        self._sessions[name] = saved
        taken = sum(each.state.nbytes for each in self._sessions.values())
        while taken > self._most_bytes:
            taken -= self._sessions.popitem(last=False)[1].state.nbytes
            self.dropped += 1

    def candidates(self) -> list[Saved]:
        """All that stands here, sessions first."""
        return [*self._sessions.values(), *self._prefixes.values()]

    def remove(self, saved: Saved) -> None:
        """Let go of one that turned out to be of no use."""
        self._prefixes = OrderedDict((key, value) for key, value in self._prefixes.items() if value is not saved)
        self._sessions = OrderedDict((key, value) for key, value in self._sessions.items() if value is not saved)
