"""The sequence numbers of a session's publishers: what was left out, late, or came twice. Prompt process."""

from collections import deque
from typing import Final

from pipeline.errors import Rejected
from pipeline.messages import Input, SessionStart

MAX_PUBLISHERS: Final = 256  # of one session
LATE: Final = 256  # numbers left out that are still waited for, of one publisher
STARTS: Final = 16  # SessionStarts that are known again
FIRST: Final = 16  # messages behind a start that are known again however much came since
REMEMBERED: Final = 1024  # messages that are known again, of one publisher


class _Numbers:
    """What one publisher has counted."""

    __slots__ = ("again", "first", "missing", "newest", "taken")

    def __init__(self, newest: int) -> None:
        self.newest = newest
        self.missing: dict[int, None] = {}  # in their order
        self.first: dict[int, int] = {}  # hashes of the first messages by number
        self.taken: dict[int, int] = {}  # hashes of the newest messages by number
        self.again: int | None = None  # the number of a start that came twice: it began again, if what follows is new

    def remember(self, message: Input) -> None:
        if len(self.first) < FIRST:
            self.first[message.seq] = hash(message)
        self.taken[message.seq] = hash(message)
        if len(self.taken) > REMEMBERED:
            del self.taken[next(iter(self.taken))]

    def begins_again(self, message: Input) -> bool:
        """Whether a number comes twice because its publisher began again, and not because a message did."""
        begins = self.again is not None and self.first.get(message.seq, self.taken.get(message.seq)) != hash(message)
        if not begins:
            self.again = None  # what comes twice comes with its start
        return begins

    def leave_out(self, until: int) -> None:
        self.missing.update(dict.fromkeys(range(max(self.newest + 1, until - LATE), until)))
        while len(self.missing) > LATE:
            del self.missing[next(iter(self.missing))]


class Publishers:
    """The numbers of each publisher of a session."""

    def __init__(self) -> None:
        self.gaps = 0
        self._numbers: dict[str, _Numbers] = {}
        self._starts: deque[SessionStart] = deque(maxlen=STARTS)

    def begin(self, message: SessionStart) -> None:
        """The session begins, or begins anew after its end: no start of before is known again."""
        self._starts.clear()
        self.restart(message)

    def restart(self, message: SessionStart) -> None:
        """A publisher begins (again) with this number.

        Raises Rejected("repeated_message") for the same start twice. Whether the message came twice or the publisher
        began again is told by what follows.
        """
        if message in self._starts and (numbers := self._numbers.get(message.publisher)) is not None:
            numbers.again = message.seq
            raise Rejected(
                "repeated_message",
                f"session {message.session!r}: this SessionStart (publisher {message.publisher!r}, seq {message.seq}, "
                f"t={message.t:g}) came before; if its publisher began again, that is known by its next message",
            )
        self._check_room(message)
        self._starts.append(message)
        self._numbers[message.publisher] = _Numbers(message.seq)

    def take(self, message: Input) -> None:
        """Count a message in. One that was overtaken is taken late, as long as its number is waited for.

        Raises Rejected("repeated_message") for a number that was taken before.
        """
        numbers = self._numbers.get(message.publisher)
        if numbers is None:
            self._check_room(message)
            numbers = self._numbers[message.publisher] = _Numbers(message.seq - 1)
        elif message.seq <= numbers.newest and message.seq not in numbers.missing and numbers.begins_again(message):
            numbers = self._numbers[message.publisher] = _Numbers(min(numbers.again or 0, message.seq - 1))
        self._count(numbers, message)
        numbers.remember(message)

    def _count(self, numbers: _Numbers, message: Input) -> None:
        if message.seq > numbers.newest:
            self.gaps += message.seq - numbers.newest - 1
            numbers.leave_out(message.seq)
            numbers.newest = message.seq
        elif message.seq in numbers.missing:
            del numbers.missing[message.seq]
            self.gaps -= 1
        else:
            raise Rejected(
                "repeated_message",
                f"session {message.session!r}, publisher {message.publisher!r}: seq {message.seq} was taken already or "
                f"is too far behind {numbers.newest}; count every message up, or send SessionStart to begin anew",
            )

    def _check_room(self, message: Input) -> None:
        if len(self._numbers) >= MAX_PUBLISHERS and message.publisher not in self._numbers:
            raise Rejected(
                "too_many_publishers",
                f"session {message.session!r}: {MAX_PUBLISHERS} publishers are known, {message.publisher!r} is one "
                "more; give every process one name and keep it",
            )
