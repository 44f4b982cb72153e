"""The sequence numbers of a session's publishers: what was left out, what came twice. Runs in the prompt process."""

from typing import Final

from pipeline.errors import Rejected
from pipeline.messages import Input

MAX_PUBLISHERS: Final = 256  # of one session


class Publishers:
    """The newest sequence number of each publisher of a session."""

    def __init__(self) -> None:
        self.gaps = 0
        self._newest: dict[str, int] = {}

    def restart(self, message: Input) -> None:
        """A publisher begins (again) with this number."""
        self._check_room(message)
        self._newest[message.publisher] = message.seq

    def take(self, message: Input) -> None:
        """Raises Rejected("repeated_message") for a number that is not newer; counts the ones left out."""
        newest = self._newest.get(message.publisher)
        if newest is None:
            self._check_room(message)
        elif message.seq <= newest:
            raise Rejected(
                "repeated_message",
                f"session {message.session!r}, publisher {message.publisher!r}: seq {message.seq} is not newer "
                f"than {newest}; count every message up, or send SessionStart to begin anew",
            )
        else:
            self.gaps += message.seq - newest - 1
        self._newest[message.publisher] = message.seq

    def _check_room(self, message: Input) -> None:
        if len(self._newest) >= MAX_PUBLISHERS and message.publisher not in self._newest:
            raise Rejected(
                "too_many_publishers",
                f"session {message.session!r}: {MAX_PUBLISHERS} publishers are known, {message.publisher!r} is one "
                "more; give every process one name and keep it",
            )
