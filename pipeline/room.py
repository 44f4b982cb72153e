"""What one who watches knows of a pipeline: the newest state of each session, and the newest status.

Used by commands that show it. A subscription brings what comes from now on; what was before stands in the journal, if
that is on this machine and may be read.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import OrstateError
from pipeline.journal import numbered_files, read_records
from pipeline.messages import Status, SurgeryState
from pipeline.wire_format import read_output

STATE_TOPIC = SurgeryState.__name__
MOST_BYTES = 64_000_000  # of a journal that is read for what was before: some seconds
QUIET_S = 300.0
LATE_S = 5.0


class Seen(NamedTuple):
    """The newest state of one session, and when it came (Unix time)."""

    state: SurgeryState
    at: float


class Room:
    """Sessions by name. Of one that has ended nothing is told, so those that are quiet for long are left out."""

    def __init__(self) -> None:
        self._sessions: dict[str, Seen] = {}

    def take(self, state: SurgeryState, at: float | None = None) -> None:
        """One more state; `at`: when it came, Unix time, default now. What is older than what is known is left out."""
        seen = self._sessions.get(state.session)
        if seen is None or seen.state.seq < state.seq:
            self._sessions[state.session] = Seen(state, time.time() if at is None else at)

    def sessions(self, open_: int, now: float) -> Mapping[str, Seen]:
        """As many as are open, the newest first, and what else was heard of in the last QUIET_S."""
        newest = sorted(self._sessions.items(), key=lambda item: item[1].at, reverse=True)
        return {name: seen for place, (name, seen) in enumerate(newest) if place < open_ or now - seen.at < QUIET_S}


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
