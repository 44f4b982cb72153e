"""What the processes before this one had taken and told, read back from the run's journal."""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from pipeline.codec import INPUT_TYPES, decode_inner, decode_input
from pipeline.errors import UNDECODABLE, OrstateError, Rejected
from pipeline.journal import Record, numbered_files, read_records
from pipeline.messages import Learned, LLMResponse, Message, PromptJob, SurgeryState, Verdict
from pipeline.wire_format import read_output

ALIVE_EVERY: Final = 256  # records


class Journalled(NamedTuple):
    """A message of before. `wall_s`: Unix time of its record."""

    wall_s: float
    message: Message


class Restored(NamedTuple):
    """What a stage makes of its past. `inputs`: not known to have been handled; before any that come now."""

    sent: Iterable[Message] = ()
    inputs: Iterator[Message] = iter(())


class Past(Protocol):
    """What was journalled before this process began."""

    def read(self, *kinds: type[Message]) -> Iterator[Journalled]:
        """The messages of these types, in the order they were journalled. May be read again, and side by side."""


class Journal:
    """The journal of a run as its past: the files that are there now, not those that will be written."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        """`most_bytes`: of an input."""
        self.alive: Callable[[], None] = lambda: None  # called now and then: a long journal takes long
        self._most_bytes = most_bytes
        self._files = {part: numbered_files(folder, part) for part in ("inputs", "outputs")}

    def read(self, *kinds: type[Message]) -> Iterator[Journalled]:
        """See `Past`. What cannot be read is said on standard error and left out."""
        topics = {kind.__name__ for kind in kinds}
        for file in self._files["outputs" if SurgeryState in kinds else "inputs"]:
            try:
                for number, record in enumerate(read_records(file)):
                    if number % ALIVE_EVERY == 0:
                        self.alive()
                    if record.topic in topics and (message := self._message(record)) is not None:
                        yield Journalled(record.wall_ns / 1e9, message)
            except (*UNDECODABLE, OrstateError) as error:
                print(f"not all that was journalled is known again: {file}: {error}", file=sys.stderr)

    def _message(self, record: Record) -> Message | None:
        if record.topic in _INPUTS:
            try:
                return decode_input([record.payload], self._most_bytes)
            except Rejected:  # a record of another version
                return None
        if record.topic == SurgeryState.__name__:
            return read_output([record.topic.encode(), record.payload])
        if record.topic in _INNER:
            return decode_inner(record.payload)
        return _ours.decode(record.payload)


_INNER = frozenset((PromptJob.__name__, Verdict.__name__))
_INPUTS = frozenset(kind.__name__ for kind in INPUT_TYPES)
_ours: msgspec.msgpack.Decoder[Learned | LLMResponse] = msgspec.msgpack.Decoder(Learned | LLMResponse)
