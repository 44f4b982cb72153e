"""MCAP files, into all that reads journals: the log of a replay, restoring, `verify`, `redact`, `export`."""

import shutil
from contextlib import redirect_stderr, suppress
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, Final, get_args

from hypothesis import strategies as st
from mcap.writer import CompressionType, Writer

from benchmarks.fuzz.target import Check, Target, Unvalidated
from benchmarks.fuzz.values import as_json, as_msgpack, values
from pipeline.chain import Chain, Links
from pipeline.codec import INPUT_TYPES, AnyInput
from pipeline.errors import OrstateError
from pipeline.export import Format, export
from pipeline.journal import last_hash, read_records
from pipeline.log import Log
from pipeline.messages import Completion, Learned, LLMRequest, LLMResponse, PromptJob, SurgeryState, Verdict
from pipeline.redact import redact
from pipeline.restore import Journal
from pipeline.verify import verify

MAX_BYTES: Final = 262_144
LARGEST: Final = 16  # times what is in the records, that an export may be: any text in JSON or CSV takes less
LEAST: Final = 20_000  # bytes that a record may take besides: names of columns, a schema
READ_AGAIN: Final = ((*INPUT_TYPES, LLMResponse), (PromptJob, Learned), (SurgeryState, Verdict))
FORMATS: Final[tuple[Format, ...]] = get_args(Format)


def make(folder: Path) -> Check:
    run = folder / "run"
    run.mkdir()
    file, without, out = run / "inputs-1.mcap", folder / "redacted", folder / "out"

    def check(data: bytes) -> None:
        """Whatever the file holds, each reader reads it or raises OrstateError; a redacted journal verifies."""
        file.write_bytes(data)
        last_hash(file)
        verify(run)
        with redirect_stderr(StringIO()):
            past = Journal(run, MAX_BYTES)
            for kinds in READ_AGAIN:
                list(past.read(*kinds))
        records, size = 0, 0
        with suppress(OrstateError):
            for record in read_records(file):
                records, size = records + 1, size + len(record.topic) + len(record.payload)
        if not records:
            return
        with suppress(OrstateError):
            Log(file)
        redact_it()
        export_it(FORMATS[len(data) % len(FORMATS)], LEAST * (records + 1) + LARGEST * size)

    def redact_it() -> None:
        try:
            redact(run, without, _silent)
            if faults := [fault for found in verify(without) for fault in found.faults]:
                raise Unvalidated(f"a redacted journal does not verify: {faults[0]}")
        except OrstateError:
            pass
        finally:
            shutil.rmtree(without, ignore_errors=True)

    def export_it(to: Format, most: int) -> None:
        try:
            export(run, to, out, _silent)
            if out.stat().st_size > most:
                raise Unvalidated(f"{out.stat().st_size} bytes as {to}, at most {most} were due")
        except OrstateError:
            pass
        finally:
            out.unlink(missing_ok=True)

    return check


def _silent(line: str) -> None:
    """Nobody is told."""


def written(records: list[tuple[str, bytes, int, int]], chained: bool, chunked: bool) -> bytes:
    """An MCAP file of these records: topic, payload, wall time and message time in nanoseconds."""
    file = BytesIO()
    writer = Writer(file, use_chunking=chunked, compression=CompressionType.ZSTD, enable_data_crcs=True)
    writer.start(profile="orstate", library="fuzz")
    channels: dict[str, int] = {}
    chain = Chain("inputs-1")
    for number, (topic, payload, wall, at) in enumerate(records):
        if topic not in channels:
            channels[topic] = writer.register_channel(topic, "json", 0)
        writer.add_message(channels[topic], wall, payload, at, number)
        chain.add(topic, payload, wall, at, number)
    if chained:
        channel = writer.register_channel("Chain", "msgpack", 0)
        writer.add_message(channel, 0, chain.links(last=True), 0)
    writer.finish()  # type: ignore[no-untyped-call]
    return file.getvalue()


_TYPES: Final[tuple[Any, ...]] = (
    *AnyInput.__args__,
    LLMRequest,
    LLMResponse,
    SurgeryState,
    PromptJob,
    Completion,
    Learned,
    Verdict,
    Links,
)
_TIMES: Final = st.sampled_from((0, 1, 1_700_000_000_000_000_000, 2**63 - 1, 2**63, 2**64 - 1)) | st.integers(
    0, 2**64 - 1
)


def _record(kind: Any) -> st.SearchStrategy[tuple[str, bytes, int, int]]:
    topic = "Chain" if kind is Links else kind.__name__
    payload = st.one_of(values(kind).map(as_json), values(kind).map(as_msgpack), st.binary(max_size=20))
    return st.tuples(st.just(topic) | st.sampled_from(("Frame", "", "Chain")), payload, _TIMES, _TIMES)


_RECORDS: Final = st.lists(st.one_of([_record(kind) for kind in _TYPES]), max_size=5)

TARGET: Final = Target("journal", make, st.builds(written, _RECORDS, st.booleans(), st.booleans()))
