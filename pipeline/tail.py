"""Follows a journal while it is written. Used by whoever shows a room.

A writer appends whole records and flushes them; a process that was started again goes on in a new file. What is
half written waits for its rest.
"""

import stat
from collections.abc import Container, Iterator
from io import BytesIO
from pathlib import Path
from typing import IO, Final

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, Message

from pipeline.errors import OrstateError
from pipeline.journal import MAGIC, Record

CHUNK: Final = 1 << 20
HEAD: Final = 9  # bytes before a record's content: its kind, and its length
MOST_BYTES: Final = 1 << 31  # of a record


class Tail:
    """What is appended to one part (`inputs` or `outputs`) of a run's journal: the records of some topics."""

    def __init__(self, folder: Path, part: str, topics: Container[str]) -> None:
        self._folder, self._part, self._topics = folder, part, topics
        self._number = 0
        self._file: IO[bytes] | None = None
        self._rest = bytearray()
        self._channels: dict[int, str] = {}

    def read(self) -> Iterator[Record]:
        """The records since the last call. Raises OrstateError if the file cannot be read or is damaged."""
        try:
            while True:
                while self._file is not None and (data := self._file.read(CHUNK)):
                    self._rest += data
                    yield from self._whole()
                if not self._next_file():
                    return
        except OSError as error:
            raise OrstateError(f"{self._folder}: the journal cannot be read: {error.strerror}") from error

    def close(self) -> None:
        """Let the file go. Once more is no error."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _next_file(self) -> bool:
        path = self._folder / f"{self._part}-{self._number + 1}.mcap"
        try:
            if not stat.S_ISREG(path.lstat().st_mode):  # a link may lead anywhere, and a pipe may never end
                return False
        except FileNotFoundError:
            return False
        self.close()
        self._file = path.open("rb")
        self._number += 1
        self._rest.clear()
        self._channels.clear()
        return True

    def _whole(self) -> Iterator[Record]:
        at = 0
        rest = self._rest
        while len(rest) - at >= HEAD:
            if rest.startswith(MAGIC, at):  # at the beginning, and at the end of a file that was closed
                at += len(MAGIC)
                continue
            kind, length = rest[at], int.from_bytes(rest[at + 1 : at + HEAD], "little")
            if length > MOST_BYTES:
                raise OrstateError(f"{self._folder}/{self._part}-{self._number}.mcap: damaged: a record of {length} B")
            end = at + HEAD + length
            if len(rest) < end:
                break
            if kind in (Opcode.CHANNEL, Opcode.MESSAGE) and (record := self._record(kind, rest[at + HEAD : end])):
                yield record
            at = end
        del rest[:at]

    def _record(self, kind: int, content: bytearray) -> Record | None:
        stream = ReadDataStream(BytesIO(content))
        if kind == Opcode.CHANNEL:
            channel = Channel.read(stream)
            self._channels[channel.id] = channel.topic
            return None
        topic = self._channels.get(int.from_bytes(content[:2], "little"), "")
        if topic not in self._topics:
            return None
        entry = Message.read(stream, len(content))
        return Record(topic, entry.data, entry.log_time, entry.publish_time, entry.sequence)
