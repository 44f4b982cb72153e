"""The numbers of rule outcomes: each greater than the one before, also over restarts; each knows its place.

starts of the process before (15 bits) | inputs taken, of all sessions (32) | outcomes since that no input gave (16)
"""

from typing import Final

_INCARNATION: Final = 48
_PLACE: Final = 16


class Numbers:
    """Counts what is sent to parse. `incarnation`: starts of the process before this one."""

    def __init__(self, incarnation: int) -> None:
        self.inputs = 0  # taken, of all sessions
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
