"""A small grammar for tests of the engine: which tokens may follow depends on how many there are, some tokens force
two more, and an answer has a bounded length.
"""

import numpy as np
from fake_decoder import VOCABULARY

from stages.inference.sampling import Words

FORCING = 4  # a token that this divides is followed by two that are known


class FakeGuide:
    """Implements `grammar.Guide`. An answer begins with `start` and is over at `length` tokens."""

    def __init__(self, length: int, start: tuple[int, ...] = ()) -> None:
        assert len(start) < length
        self.taken: list[int] = []
        self._length = length
        self._due = list(start)

    @property
    def whole(self) -> bool:
        return self.over

    @property
    def over(self) -> bool:
        return len(self.taken) >= self._length

    def forced(self) -> list[int]:
        due, self._due = self._due, []
        self.taken += due
        return due

    def allowed(self) -> Words:
        assert not self.over
        assert not self._due, "forced tokens come first"
        bits = np.arange(VOCABULARY) % 3 != len(self.taken) % 3
        return np.packbits(bits, bitorder="little").view(np.int32)

    def follow(self, tokens: list[int]) -> list[bool]:
        copy = FakeGuide(self._length)
        copy.taken, copy._due = list(self.taken), list(self._due)
        choices: list[bool] = []
        for token in tokens:
            if copy.over or not copy._may_follow(token):
                break
            if copy._due:
                copy.taken.append(copy._due.pop(0))
            else:
                copy.take(token)
            choices.append(not copy._due and not copy.over)
        return choices

    def take(self, token: int) -> None:
        assert not self._due, "forced tokens come first"
        assert self._may_follow(token), f"token {token} may not follow"
        self.taken.append(token)
        if token % FORCING == 0:
            left = self._length - len(self.taken)
            self._due = [(token + step) % VOCABULARY for step in (1, 2)][:left]

    def _may_follow(self, token: int) -> bool:
        return token == self._due[0] if self._due else token % 3 != len(self.taken) % 3
