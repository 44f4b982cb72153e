"""A page of shared memory where each stage writes what it is doing and since when.

The supervisor reads it to find a hang, and after a death to say what was being worked on. A place for each stage:
[since: monotonic ns u64] [length u32] [names of the work, comma-separated UTF-8]. A stage that waits for messages
renews `since` each time it wakes, so one rule finds both a step that never ends and a process that was stopped.
"""

import struct
from collections.abc import Iterable

from pipeline.control import STAGES, StageName
from pipeline.segment import Segment

PLACE = 8192  # room for the names of a full batch: 64 jobs
_HEAD = struct.Struct("<QI")


class Board:
    """The places of all stages."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment

    @classmethod
    def create(cls, name: str) -> "Board":
        """A new board on which nobody has begun anything."""
        return cls(Segment.create(name, PLACE * len(STAGES)))

    def mark(self, stage: StageName, now_ns: int, work: Iterable[str] = ()) -> None:
        """The stage begins a piece of work, or (without any) to wait. `now_ns` 0: it is not to be timed."""
        text = ",".join(work).encode()[: PLACE - _HEAD.size]
        at = STAGES.index(stage) * PLACE
        self.segment.memory[at + _HEAD.size : at + _HEAD.size + len(text)] = text
        _HEAD.pack_into(self.segment.memory, at, now_ns, len(text))

    def read(self, stage: StageName) -> tuple[int, tuple[str, ...]]:
        """Since when (ns, 0 when it is not to be timed) and with what."""
        at = STAGES.index(stage) * PLACE
        since, length = _HEAD.unpack_from(self.segment.memory, at)
        text = self.segment.memory[at + _HEAD.size : at + _HEAD.size + min(length, PLACE - _HEAD.size)]
        return since, tuple(text.decode(errors="replace").split(",")) if text else ()
