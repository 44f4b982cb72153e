"""What one who watches knows of a pipeline: the newest state of each session, its end, and the newest status.

Used by commands that show it. A subscription brings what comes from now on. What was before stands in the journal, and
only there that a session has ended: for that it must be on this machine, and be ours to read.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pipeline.codec import decode_input
from pipeline.errors import OrstateError, Rejected
from pipeline.journal import numbered_files, read_records
from pipeline.messages import Input, SessionEnd, SessionStart, Status, SurgeryState
from pipeline.tail import Tail
from pipeline.wire_format import read_output

STATE_TOPIC = SurgeryState.__name__
MOST_BYTES = 64_000_000  # of a journal that is read for what was before: some seconds
QUIET_S = 300.0
LATE_S = 5.0


class Ended(NamedTuple):
    """How a session ended: message time, why, and when that was taken (Unix time)."""

    t: float
    reason: str
    at: float


class Seen(NamedTuple):
    """The newest state of one session, when it came (Unix time), and its end, if that is known."""

    state: SurgeryState
    at: float
    ended: Ended | None = None


class Room:
    """Sessions by name. Those that have ended, or are quiet, are left out after a while."""

    def __init__(self) -> None:
        self._sessions: dict[str, Seen] = {}
        self._ended: dict[str, Ended] = {}

    def take(self, state: SurgeryState, at: float | None = None) -> None:
        """One more state; `at`: when it came, Unix time, default now. What is older than what is known is left out."""
        seen = self._sessions.get(state.session)
        if seen is None or seen.state.seq < state.seq:
            self._sessions[state.session] = Seen(state, time.time() if at is None else at)

    def hear(self, message: Input, at: float) -> None:
        """A start or an end that the pipeline took, and when (Unix time)."""
        if isinstance(message, SessionEnd):
            self._ended[message.session] = Ended(message.t, message.reason, at)
        elif isinstance(message, SessionStart):
            self._ended.pop(message.session, None)

    def sessions(self, open_: int, now: float) -> Mapping[str, Seen]:
        """As many as are open, the newest first, and what else was heard of in the last QUIET_S."""
        shown = {}
        for name, seen in sorted(self._sessions.items(), key=lambda item: item[1].at, reverse=True):
            ended = self._ended.get(name)
            if (ended is None and open_ > 0) or now - (ended or seen).at < QUIET_S:
                shown[name] = seen._replace(ended=ended)
            open_ -= ended is None
        return shown


class Pulse:
    """Whether a pipeline still tells how it does. A status may be LATE_S late, and three of its intervals."""

    def __init__(self) -> None:
        self.status: Status | None = None
        self._came = time.monotonic()
        self._interval_s = 0.0

    def take(self, status: Status | None) -> None:
        """The newest status that there is now: the same as before, or another."""
        if status is not None and status is not self.status:
            now = time.monotonic()
            self._interval_s = now - self._came if self.status is not None else 0.0
            self._came, self.status = now, status

    @property
    def silent_s(self) -> float:
        """Since the newest status came, if the next one is overdue; else 0."""
        since = time.monotonic() - self._came
        return since if since > LATE_S + 3 * self._interval_s else 0.0


def states_of(files: list[Path]) -> Iterator[tuple[SurgeryState, float]]:
    """The published states in these files of a journal, with their Unix times. Raises OrstateError."""
    for file in files:
        for record in read_records(file):
            if record.topic == STATE_TOPIC:
                with suppress(OrstateError):  # of another version
                    state = read_output((STATE_TOPIC.encode(), record.payload))
                    assert isinstance(state, SurgeryState)
                    yield state, record.wall_ns / 1e9


def recall(room: Room, journal: str, session: str | None = None) -> str:
    """Tell the room what the run's journal has of a session, or of all; why not, if that is so, in words."""
    if not journal:
        return "the pipeline keeps no journal"
    folder = Path(journal)
    try:
        files = numbered_files(folder, "outputs")
        if not files:
            return f"its journal, {folder}, is not on this machine"
        if (size := sum(file.stat().st_size for file in files)) > MOST_BYTES:
            return f"its journal is larger than {MOST_BYTES / 1e6:.0f} MB: {size / 1e6:.0f} MB"
        for state, at in states_of(files):
            if session in (None, state.session):
                room.take(state, at)
    except (OSError, OrstateError) as error:
        return f"its journal cannot be read: {error}"
    return ""


class Ends:
    """Reads in the run's journal which sessions begin and end, while it is written."""

    def __init__(self, room: Room, journal: str) -> None:
        self._room = room
        self._tail = Tail(Path(journal), "inputs", (SessionStart.__name__, SessionEnd.__name__))

    def read(self) -> str:
        """Tell the room what came since the last call; why it cannot be read, if that is so."""
        try:
            for record in self._tail.read():
                with suppress(Rejected):  # of another version
                    message = decode_input([record.payload], MOST_BYTES)
                    if isinstance(message, Input):
                        self._room.hear(message, record.wall_ns / 1e9)
        except OrstateError as error:
            return f"its journal cannot be read: {error}"
        return ""

    def close(self) -> None:
        """Let the journal go."""
        self._tail.close()
