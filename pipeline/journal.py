"""The record of a run in MCAP: what came in, every prompt, raw answer and published state.

The prompt process writes `inputs-N.mcap`, the parse process `outputs-N.mcap`, in one folder for each run; N
counts the restarts of the process. Files are unchunked and flushed each cycle, so a kill loses at most the last
record. Each channel is a message type; a record carries the bytes as they were received (JSON or MessagePack),
the wall time as log time and the message time as publish time, both in nanoseconds. With each flush a record of the
topic `Chain` says the hashes of those before it (pipeline/chain.py).
"""

import fcntl
import heapq
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final, NamedTuple, Protocol, cast

import msgspec
from mcap.records import Channel, McapRecord, Message
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, Writer

from pipeline.chain import HASH_BYTES, TOPIC, Chain, Links
from pipeline.errors import UNDECODABLE, OrstateError

PROFILE = "orstate"
MAGIC = b"\x89MCAP0\r\n"
_NUMBERED = re.compile(r"(?P<part>.+)-(?P<number>[0-9]{1,9})\.mcap")
BUFFER_BYTES = 1 << 17  # so that what one `flush` hands over is one call of the system
LOSS_TOPIC: Final = "Loss"


class Record(NamedTuple):
    """One entry of a journal or log."""

    topic: str
    payload: bytes
    wall_ns: int
    message_ns: int
    sequence: int


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """A record of the topic LOSS_TOPIC: here so many records are missing, because they could not be written."""

    records: int
    error: str


class Unwritten(OrstateError):
    """The file cannot be written now; what was to be written is kept, and goes on from there with the next try."""


class Journal(Protocol):
    """Where a stage process keeps what comes and goes: a JournalWriter, or one that stands a full disk."""

    def write(self, topic: str, payload: bytes, message_s: float = 0.0, sequence: int = 0) -> None:
        """Append one record."""

    def flush(self) -> None:
        """Hand what was written to the operating system."""

    def close(self) -> None:
        """Finish the file. Once more is no error."""


class _Spool:
    """Bytes on their way to a file. Those that it does not take stay, in their order, so that no record is torn."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._written = 0
        self.waiting = bytearray()
        self.refused = False  # at the last try

    @property
    def closed(self) -> bool:
        return self._descriptor < 0

    def tell(self) -> int:
        return self._written + len(self.waiting)

    def write(self, data: bytes) -> int:
        self.waiting += data
        return len(data)

    def flush(self) -> None:
        try:
            while self.waiting:
                taken = os.write(self._descriptor, self.waiting)
                self._written += taken
                del self.waiting[:taken]
            self.refused = False
        except OSError as error:
            self.refused = True
            raise Unwritten(f"{self._path}: cannot be written: {error.strerror}") from error

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)


class JournalWriter:
    """Appends records to a new MCAP file. Mode 0600: it can hold what was said in a room.

    `before`: the last hash of the file that this one goes on from. What the file does not take raises Unwritten, and
    is kept: no record is written twice, torn or left out, however often it fails.
    """

    def __init__(self, path: Path, before: bytes = b"") -> None:
        self.path = path
        self._chain = Chain(path.stem, before)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # retention leaves alone what is being written
        self._file = _Spool(path, descriptor)
        self._writer = Writer(
            cast(IO[bytes], self._file), use_chunking=False, compression=CompressionType.NONE, enable_data_crcs=True
        )
        self._writer.start(profile=PROFILE, library="orstate")
        with suppress(Unwritten):  # whenever the process is killed, the file is one that can be read
            self._file.flush()
        self._channels: dict[tuple[str, str], int] = {}
        self.records = 0

    @property
    def waiting(self) -> int:
        """Bytes that the file has not taken yet."""
        return len(self._file.waiting)

    def write(
        self, topic: str, payload: bytes, message_s: float = 0.0, sequence: int = 0, *, wall_ns: int | None = None
    ) -> None:
        """Append one record; `topic` is the message's type, `message_s` its message time, `wall_ns` is now if None."""
        wall_ns = time.time_ns() if wall_ns is None else wall_ns
        self.append(Record(topic, payload, wall_ns, round(message_s * 1e9), sequence & 0xFFFFFFFF))

    def append(self, record: Record) -> None:
        """Append a record with the times and the sequence that it has."""
        topic, payload, wall_ns, message_ns, sequence = record
        self._add(topic, payload, wall_ns, message_ns, sequence)
        self._chain.add(topic, payload, wall_ns, message_ns, sequence)
        self.records += 1
        if self.waiting >= BUFFER_BYTES and not self._file.refused:  # then `flush` tries again
            self._file.flush()

    def _add(self, topic: str, payload: bytes, wall_ns: int, message_ns: int, sequence: int) -> None:
        encoding = "json" if payload[:1] == b"{" else "msgpack"
        channel = self._channels.get((topic, encoding))
        if channel is None:
            channel = self._writer.register_channel(topic=topic, message_encoding=encoding, schema_id=0)
            self._channels[topic, encoding] = channel
        self._writer.add_message(
            channel_id=channel,
            log_time=wall_ns,
            data=payload,
            publish_time=message_ns,
            sequence=sequence,
        )

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        if not self._file.closed:
            self._seal()
            self._file.flush()

    def close(self) -> None:
        """Finish the file with its index and summary. Once more is no error; the file is closed after Unwritten too."""
        if not self._file.closed:
            self._seal(last=True)
            self._writer.finish()  # type: ignore[no-untyped-call]
            try:
                self._file.flush()
            finally:
                self._file.close()

    def _seal(self, *, last: bool = False) -> None:
        if links := self._chain.links(last=last):
            self._add(TOPIC, links, time.time_ns(), 0, 0)


def run_folder(parent: Path) -> Path:
    """A new folder for the journal of one run, named by the time it begins."""
    name = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"
    folder = parent / name
    try:
        folder.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise OrstateError(f"{folder}: the journal cannot be made: {error.strerror}") from error
    return folder


def is_written(folder: Path) -> bool:
    """Whether a process holds one of the files of a run, or may: writers lock them."""
    for path in journal_files(folder):  # not what else is named so: to open a pipe would wait for its other end
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def check_resumable(folder: Path) -> None:
    """Raises OrstateError for a folder that holds no journal of a run, or one that is being written."""
    if not numbered_files(folder, "inputs"):
        raise OrstateError(f"{folder}: no run to resume: it has no inputs-N.mcap; give the journal folder of a run")
    if is_written(folder):
        raise OrstateError(f"{folder}: a pipeline that runs writes this journal; stop it, or resume another run")


def next_file(folder: Path, part: str) -> Path:
    """The first unused `<part>-N.mcap`: a file that a killed process left is never appended to."""
    number = 1
    while os.path.lexists(folder / f"{part}-{number}.mcap"):
        number += 1
    return folder / f"{part}-{number}.mcap"


def open_next(folder: Path, part: str) -> JournalWriter:
    """A new file of that part, chained to the one before it."""
    path = next_file(folder, part)
    number = int(path.stem.rpartition("-")[2])
    before = last_hash(folder / f"{part}-{number - 1}.mcap") if number > 1 else b""
    return JournalWriter(path, before)


def last_hash(path: Path) -> bytes:
    """The newest hash that a file says itself; b"" if it has none or cannot be read."""
    newest = b""
    if not path.is_file():
        return newest
    try:
        for record in read_all(path):
            if record.topic == TOPIC:
                newest = msgspec.msgpack.decode(record.payload, type=Links).hashes[-HASH_BYTES:] or newest
    except (*UNDECODABLE, OrstateError):  # `verify` tells what is wrong with it
        return newest
    return newest


def read_records(path: Path) -> Iterator[Record]:
    """All whole records of a file but its chain; a cut-off end is the end. Raises OrstateError if it is no MCAP."""
    return (record for record in read_all(path) if record.topic != TOPIC)


def read_all(path: Path) -> Iterator[Record]:
    """All whole records of a file, its chain too. Raises OrstateError if the file is no MCAP."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise OrstateError(f"{path}: no MCAP file: it does not begin with the MCAP magic")
        file.seek(0)
        topics: dict[int, str] = {}
        for entry in _until_cut(file, path):
            if isinstance(entry, Channel):
                topics[entry.id] = entry.topic
            elif isinstance(entry, Message):
                yield Record(
                    topics.get(entry.channel_id, ""),
                    entry.data,
                    entry.log_time,
                    entry.publish_time,
                    entry.sequence,
                )


def in_order(files: Iterable[Path]) -> Iterator[Record]:
    """The records of several files in the order of wall time. Raises OrstateError as `read_records` does."""
    return heapq.merge(*map(read_records, files), key=lambda record: record.wall_ns)


def is_whole(path: Path) -> bool:
    """Whether the file was closed by its writer."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        if file.tell() < 2 * len(MAGIC):
            return False
        file.seek(-len(MAGIC), os.SEEK_END)
        return file.read() == MAGIC


def journal_files(folder: Path) -> list[Path]:
    """The .mcap files of a folder, by name. What is a link is none of a run's: it may lead anywhere."""
    return sorted(path for path in folder.glob("*.mcap") if path.is_file() and not path.is_symlink())


def files_of(path: Path) -> list[Path]:
    """`path` itself, or the .mcap files of a folder. Raises OrstateError if there is none."""
    if path.is_file():
        return [path]
    if not (files := journal_files(path)):
        raise OrstateError(f"{path}: no journal: no .mcap file, and no folder with one")
    return files


def numbered_files(folder: Path, part: str) -> list[Path]:
    """The files `<part>-N.mcap` of a run's folder, in order; links and other names are left out."""
    found = [(name, path) for path in journal_files(folder) if (name := _NUMBERED.fullmatch(path.name))]
    return [path for _, path in sorted((int(name["number"]), path) for name, path in found if name["part"] == part)]


def input_files(path: Path) -> list[Path]:
    """The files with a journal's inputs: `path` itself, or those of a run's folder, in order."""
    if path.is_file():
        return [path]
    files = numbered_files(path, "inputs")
    if not files:
        raise OrstateError(f"{path}: no journal: it has no inputs-N.mcap; give a run's folder or a file")
    return files


def _until_cut(file: IO[bytes], path: Path) -> Iterable[McapRecord]:
    reader = StreamReader(file, record_size_limit=2**31, validate_crcs=True)
    records = iter(reader.records)
    while True:
        try:
            yield next(records)
        except StopIteration:
            return
        except Exception as error:
            # The library meets damaged bytes with errors of all kinds, its decompressors' own and MemoryError for a
            # length too. Those of a record that was cut off come at the end of a file without an end mark.
            if file.read(1) or is_whole(path):
                raise OrstateError(f"{path}: damaged MCAP record: {error!r}") from error
            return
