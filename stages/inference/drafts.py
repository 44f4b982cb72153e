"""What an answer probably goes on with: what followed the same tokens before. Used by the inference process.

An answer repeats much of the session's last one, and of its prompt. Computing guessed tokens together with the next
one costs little more than that one alone, and those that the model would have chosen itself need no step of their
own (prompt lookup decoding, a form of speculative decoding; source: https://arxiv.org/abs/2304.04487). The answer is
the same with and without them: every token is still chosen by the model.
"""

import math
from array import array
from collections.abc import Iterable
from typing import Final

LONGEST_KEY: Final = 4  # last tokens that are looked up; shorter ones if that many were never seen
SHORTEST_KEY: Final = 2
HOPE: Final = 0.8  # share of right tokens that is thought of before any was tried
LESSON: Final = 0.2  # how much each tried token changes it
FORGIVING: Final = 0.05  # how much of the way back to HOPE it goes with each guess that was not worth making
_WIDTH: Final = array("i").itemsize


class Drafts:
    """The guesses for one answer. How far they go follows from how good they were, and from what a row costs."""

    def __init__(self, earlier: Iterable[int], prompt: Iterable[int], most: int, row_cost: float) -> None:
        """`earlier`: the session's last answer. `most`: longest guess in tokens; 0 for none at all.

        `row_cost`: what one more row of a step costs, as a share of a step of one row.
        """
        before = list(prompt) if most else []
        self._seen = array("i", [*before, *earlier, *before[-LONGEST_KEY:]])  # what stands last is found first
        self._most = most
        self._row_cost = row_cost
        self._right = HOPE  # share

    def grow(self, tokens: Iterable[int]) -> None:
        """The answer went on."""
        if self._most:
            self._seen.extend(tokens)

    def guess(self, room: int) -> list[int]:
        """What may come next, at most `room` tokens; nothing if the like was not seen."""
        if min(self._most, room) <= 0:
            return []
        most = min(self._most, room, self._worth())
        if most == 0:
            self._right += FORGIVING * (HOPE - self._right)
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
        """How many tokens of a guess were right; behind the first wrong one nothing was tried."""
        for hit in [1.0] * right + [0.0] * (right < guessed):
            self._right += LESSON * (hit - self._right)

    def _worth(self) -> int:
        """The longest guess whose last token is right often enough: it saves a step then, and always costs a row."""
        if self._right >= 1 or self._row_cost <= 0:
            return self._most
        if self._row_cost >= 1:
            return 0
        return int(math.log(self._row_cost) / math.log(self._right))
