"""What an answer probably goes on with: what followed the same tokens before. Used by the inference process.

An answer repeats much of the session's last one, and of its prompt. Computing guessed tokens together with the next
one costs little more than that one alone, and those that the model would have chosen itself need no step of their
own (prompt lookup decoding, a form of speculative decoding; source: https://arxiv.org/abs/2304.04487). The answer is
the same with and without them: every token is still chosen by the model.
"""

from array import array
from collections.abc import Iterable
from typing import Final

LONGEST_KEY: Final = 4  # last tokens that are looked up; shorter ones if that many were never seen
SHORTEST_KEY: Final = 2
FIRST: Final = 8  # tokens of the first guess
FEWEST: Final = 2
_WIDTH: Final = array("i").itemsize


class Drafts:
    """The guesses for one answer. How far they go follows from how good they were."""

    def __init__(self, earlier: Iterable[int], prompt: Iterable[int], most: int) -> None:
        """`earlier`: the session's last answer. `most`: longest guess in tokens; 0 for none at all."""
        before = list(prompt) if most else []
        self._seen = array("i", [*before, *earlier, *before[-LONGEST_KEY:]])  # what stands last is found first
        self._most = most
        self._reach = min(FIRST, most)

    def grow(self, tokens: Iterable[int]) -> None:
        """The answer went on."""
        if self._most:
            self._seen.extend(tokens)

    def guess(self, room: int) -> list[int]:
        """What may come next, at most `room` tokens; nothing if the like was not seen."""
        most = min(self._reach, room)
        if most <= 0:
            return []
        seen = self._seen.tobytes()
        for length in range(LONGEST_KEY, SHORTEST_KEY - 1, -1):
            key = seen[-length * _WIDTH :]
            at = seen.rfind(key, 0, len(seen) - _WIDTH)
            while at >= 0 and at % _WIDTH:
                at = seen.rfind(key, 0, at + len(key) - 1)
            if at >= 0:
                start = at // _WIDTH + length
                return self._seen[start : start + most].tolist()
        return []

    def learn(self, guessed: int, right: int) -> None:
        """How many tokens of a guess were right."""
        if guessed == right > 0:
            self._reach = min(self._most, 2 * max(guessed, self._reach))
        elif guessed:
            self._reach = min(self._most, max(FEWEST, right + 1))
