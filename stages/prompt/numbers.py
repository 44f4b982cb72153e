"""The numbers of a session's rule outcomes: each greater than the one before, also over restarts; each has its place.

starts of the process before (15 bits) | inputs that the session took (32) | outcomes since that no input gave (16)
"""

from collections import OrderedDict
from typing import Final

REMEMBERED: Final = 4096  # sessions by name: more than parse remembers
_INCARNATION: Final = 48
_PLACE: Final = 16


class Numbers:
    """Counts what is sent to parse of one session. `incarnation`: starts of the process before this one."""

    def __init__(self, incarnation: int) -> None:
        self.inputs = 0  # taken
        self._incarnation = incarnation << _INCARNATION
        self._others = 0

    def of_input(self) -> int:
        """The number of the next input's outcome."""
        self.inputs += 1
        self._others = 0
        return self._number()

    def of_other(self) -> int:
        """The number of an outcome that tells what is known once more."""
        self._others += 1
        return self._number()

    def _number(self) -> int:
        return self._incarnation | self.inputs << _PLACE | self._others


class AllNumbers:
    """The numbers of every session by its name: one that begins again after its end counts on."""

    def __init__(self, incarnation: int) -> None:
        self._incarnation = incarnation
        self._numbers: OrderedDict[str, Numbers] = OrderedDict()

    def of(self, session: str) -> Numbers:
        """Those of that session; of more than are remembered the one that began longest ago is forgotten."""
        numbers = self._numbers.setdefault(session, Numbers(self._incarnation))
        self._numbers.move_to_end(session)
        if len(self._numbers) > REMEMBERED:
            self._numbers.popitem(last=False)
        return numbers

    def inputs(self, session: str) -> int:
        """How many inputs that session has taken."""
        return self._numbers[session].inputs if session in self._numbers else 0
