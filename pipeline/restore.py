"""What a process that died had taken, read back from the run's journal by the one that is started in its place."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from pipeline.codec import INPUT_TYPES, decode_input
from pipeline.control import StageName
from pipeline.errors import UNDECODABLE, OrstateError, Rejected
from pipeline.journal import Record, read_records
from pipeline.messages import LLMResponse, Message
from pipeline.wire_format import read_output

_PARTS: Final[dict[StageName, str]] = {"prompt": "inputs", "parse": "outputs"}
_INPUTS: Final = frozenset(kind.__name__ for kind in INPUT_TYPES)


class Journalled(NamedTuple):
    """A message of before. `wall_s`: Unix time of its record."""

    wall_s: float
    message: Message


def journalled(stage: StageName, folder: Path, most_bytes: int) -> Iterator[Journalled]:
    """What that stage needs to know again, in the order it was journalled: of `prompt` the inputs and the answers to
    requests, of `parse` the states. What cannot be read is said on standard error and left out.
    """
    part = _PARTS.get(stage)
    files = folder.glob(f"{part}-*.mcap") if part else ()
    for file in sorted(files, key=lambda file: int(file.stem.rpartition("-")[2])):
        try:
            for record in read_records(file):
                if (message := _read(record, most_bytes)) is not None:
                    yield Journalled(record.wall_ns / 1e9, message)
        except (*UNDECODABLE, OrstateError) as error:
            print(f"{stage}: not all that was journalled is known again: {file}: {error}", file=sys.stderr)


def _read(record: Record, most_bytes: int) -> Message | None:
    if record.topic in _INPUTS:
        try:
            return decode_input([record.payload], most_bytes)
        except Rejected:  # a record of another version
            return None
    if record.topic == "LLMResponse":
        return msgspec.msgpack.decode(record.payload, type=LLMResponse)
    return read_output([record.topic.encode(), record.payload]) if record.topic == "SurgeryState" else None
