"""A journal in the formats of other programs. Runs in the command's process.

`jsonl`, `csv`: a record a line. `parquet`: the same columns (extra `parquet`). `foxglove`: an MCAP whose messages are
JSON with JSON schemas, a channel for each type; log time is wall time, publish time is message time.
"""

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, get_args

import msgspec
from mcap.writer import Writer

from pipeline import messages
from pipeline.codec import is_json
from pipeline.errors import UNDECODABLE, OrstateError
from pipeline.journal import Record, files_of, in_order
from pipeline.progress import Progress, Reading, silent

Format = Literal["foxglove", "jsonl", "parquet", "csv"]
FORMATS: tuple[str, ...] = get_args(Format)
PIXELS = "Frame"  # the topic of pixels in a journal
LATEST_NS = 2**64 - 1  # that MCAP can say
BATCH = 4096  # rows of parquet in memory at one time


class Row(NamedTuple):
    """A record as a row: `wall_ns` is Unix time, `t` message time in seconds, `data` the message as JSON."""

    topic: str
    wall_ns: int
    t: float
    sequence: int
    session: str
    data: str


def export(path: Path, to: Format, out: Path, tell: Callable[[str], None], progress: Progress = silent) -> int:
    """Write the records of a run's folder, or of one file, to the new file `out`; how many.

    What is no message (pixels) is left out and told. `out` has mode 0600, as the journal has. Raises OrstateError for
    what is no journal, if `out` exists, and if parquet's library lacks; then no file is left.
    """
    write = {"foxglove": _foxglove, "jsonl": _jsonl, "parquet": _parquet, "csv": _csv}[to]
    files = files_of(path)
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OrstateError(f"{out}: cannot be written: {error.strerror}; give another name") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            return write(_rows(Reading(files, progress).of(in_order(files)), tell), file)
    except BaseException:
        out.unlink()
        raise


def _rows(records: Iterable[Record], tell: Callable[[str], None]) -> Iterator[Row]:
    left_out = 0
    for record in records:
        if record.topic == PIXELS:
            left_out += 1
            continue
        try:
            decode = msgspec.json.decode if is_json(record.payload) else msgspec.msgpack.decode
            fields = decode(record.payload, type=dict[str, Any])
            data = msgspec.json.encode(fields).decode()
        except (*UNDECODABLE, TypeError):
            left_out += 1
            continue
        session = fields.get("session")
        named = session if isinstance(session, str) else ""
        yield Row(record.topic, record.wall_ns, record.message_ns / 1e9, record.sequence, named, data)
    if left_out:
        tell(f"{left_out} records left out: pixels, or no messages")


def _jsonl(rows: Iterable[Row], file: IO[bytes]) -> int:
    count = 0
    for row in rows:
        line = {**row._asdict(), "data": msgspec.Raw(row.data.encode())}
        file.write(msgspec.json.encode(line) + b"\n")
        count += 1
    return count


def _csv(rows: Iterable[Row], file: IO[bytes]) -> int:
    count = 0
    with io.TextIOWrapper(file, "utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(Row._fields)
        for row in rows:
            writer.writerow(row)
            count += 1
    return count


def _parquet(rows: Iterable[Row], file: IO[bytes]) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise OrstateError("--to parquet needs pyarrow: pip install 'orstate[parquet]'") from error
    kinds = (pa.string(), pa.uint64(), pa.float64(), pa.int64(), pa.string(), pa.string())
    schema = pa.schema(list(zip(Row._fields, kinds, strict=True)))
    count, batch = 0, []
    with pq.ParquetWriter(file, schema) as writer:
        for row in rows:
            batch.append(row._asdict())
            if len(batch) == BATCH:
                writer.write_table(pa.Table.from_pylist(batch, schema))
                batch = []
            count += 1
        writer.write_table(pa.Table.from_pylist(batch, schema))
    return count


def _foxglove(rows: Iterable[Row], file: IO[bytes]) -> int:
    count = 0
    channels: dict[str, int] = {}
    writer = Writer(file)
    writer.start(profile="", library="orstate")
    for row in rows:
        if row.topic not in channels:
            schema = writer.register_schema(row.topic, "jsonschema", _schema(row.topic))
            channels[row.topic] = writer.register_channel(row.topic, "json", schema)
        message_ns = min(LATEST_NS, round(row.t * 1e9))  # as a float the latest time is rounded up
        writer.add_message(channels[row.topic], row.wall_ns, row.data.encode(), message_ns, row.sequence)
        count += 1
    writer.finish()  # type: ignore[no-untyped-call]
    return count


def _schema(topic: str) -> bytes:
    """The JSON schema of a message type, an object at its root as Foxglove wants it."""
    kind = getattr(messages, topic, None)
    if not (isinstance(kind, type) and issubclass(kind, messages.Message)):
        return b'{"type":"object"}'
    schema = msgspec.json.schema(kind)
    parts: dict[str, Any] = schema["$defs"]
    # Python's end of text, which JSON schema does not know; its $ means the same
    return msgspec.json.encode({**parts[topic], "$defs": parts}).replace(rb'\\Z"', b'$"')
