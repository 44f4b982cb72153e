"""Recorded messages, read for a replay: an MCAP journal or log, or a plain .jsonl of transcript lines.

A .jsonl line is `{"t": 12.5, "speaker": "Surgeon", "text": "…"}`; a line with "type" is any input message. The
first line may instead be `{"surgery": "PCNL", "session": "or1"}` (also "started_at", Unix seconds of t = 0).
"""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pipeline.codec import INPUT_TYPES, AnyInput, decode_input
from pipeline.errors import UNDECODABLE, OrstateError, Rejected
from pipeline.journal import LOSS_TOPIC, Loss, Record, input_files, is_whole, read_records
from pipeline.messages import Input, LLMRequest, SessionEnd, SessionStart, Transcript

REPLAYED = {type.__name__ for type in (*INPUT_TYPES, LLMRequest)}
MAX_BYTES = 2**24
PUBLISHER = "replay"


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The optional first line of a .jsonl."""

    surgery: str = ""
    session: str = ""
    started_at: Annotated[float, Meta(ge=0.0, le=1e11)] = 0.0


class Log:
    """A log as a list of messages in the order they came. Faulty entries are left out and told in `faults`.

    `surgery` stands in for a log that names none, or replaces the one it names. Raises OrstateError for a file that
    is empty, is no log, or names no surgery.
    """

    def __init__(self, path: Path, surgery: str = "") -> None:
        self.path = path
        self.faults: list[str] = []
        self.messages: list[Input | LLMRequest] = []
        if not path.exists():
            raise OrstateError(f"{path}: there is no such log")
        if path.is_file() and not path.stat().st_size:
            raise OrstateError(f"{path}: the log is empty")
        lines = path.is_file() and path.suffix != ".mcap"
        self.messages = list(self._from_lines(surgery) if lines else self._from_records(surgery))
        if not self.messages:
            detail = f"; first fault: {self.faults[0]}" if self.faults else ""
            raise OrstateError(f"{path}: no message in it that can be replayed{detail}")
        self._end_sessions()

    def duration_s(self) -> float:
        """Message time from the first to the last message."""
        times = [message.t for message in self.messages if isinstance(message, Input)]
        return max(times) - min(times) if times else 0.0

    def _from_records(self, surgery: str) -> Iterator[Input | LLMRequest]:
        for file in input_files(self.path):
            if not is_whole(file):
                self.faults.append(f"{file}: not closed by its writer; replayed up to its last whole record")
            for number, record in enumerate(read_records(file), 1):
                if record.topic == LOSS_TOPIC:
                    lost = msgspec.msgpack.decode(record.payload, type=Loss).records
                    self.faults.append(f"{file}: record {number}: here {lost} records could not be written")
                if record.topic not in REPLAYED:
                    continue
                try:
                    yield _dated(decode_input([record.payload], MAX_BYTES), record, surgery)
                except Rejected as error:
                    self.faults.append(f"{file}: record {number}: {error}")

    def _from_lines(self, surgery: str) -> Iterator[Input]:
        # bytes: str.splitlines would also split at characters that may stand in a JSON text, such as U+2028
        lines = self.path.read_bytes().removeprefix(BOM_UTF8).splitlines()
        first = 0
        header = Header()
        if lines and b'"surgery"' in lines[0] and b'"type"' not in lines[0]:
            first = 1
            try:
                header = msgspec.json.decode(lines[0], type=Header)
            except UNDECODABLE as error:
                raise OrstateError(f"{self.path}: line 1: {error}") from error
        if not (surgery or header.surgery):
            raise OrstateError(f"{self.path}: names no surgery; give one with --surgery")
        session = header.session or re.sub(r"[^A-Za-z0-9._:-]", "-", self.path.stem)[:64] or "replay"
        common = {"session": session, "publisher": PUBLISHER}
        start = {**common, "seq": 1, "t": 0.0, "surgery": surgery or header.surgery, "started_at": header.started_at}
        try:
            begin = self._convert(start, SessionStart)
        except OrstateError as error:
            raise OrstateError(f"{self.path}: line 1: {error}") from error
        yield begin
        seq = 1
        for number, line in enumerate(lines[first:], first + 1):
            if not line.strip():
                continue
            try:
                fields = msgspec.json.decode(line, type=dict[str, Any])
                message = self._convert(
                    {**fields, **common, "seq": seq + 1}, AnyInput if "type" in fields else Transcript
                )
            except (*UNDECODABLE, OrstateError) as error:
                self.faults.append(f"{self.path}: line {number}: {error}")
                continue
            seq += 1
            if surgery and isinstance(message, SessionStart):
                message = msgspec.structs.replace(message, surgery=surgery)
            yield message

    def _convert(self, fields: dict[str, Any], kind: Any) -> Input:
        try:
            message: Input = msgspec.convert(fields, kind)
        except msgspec.ValidationError as error:
            raise OrstateError(str(error)) from error
        return message

    def _end_sessions(self) -> None:
        """A session that the log leaves open is ended behind its last message."""
        last: dict[str, Input] = {}
        seqs: dict[str, int] = {}
        for message in self.messages:
            if isinstance(message, Input):
                last[message.session] = message
                seqs[message.session] = max(seqs.get(message.session, 0), message.seq)
        for session, message in last.items():
            if not isinstance(message, SessionEnd):
                self.messages.append(
                    SessionEnd(session=session, seq=seqs[session] + 1, t=message.t, publisher=message.publisher)
                )


def _dated(message: Input | LLMRequest, record: Record, surgery: str) -> Input | LLMRequest:
    """A recorded session start knows when it was, so that the replay's timestamps are the case's."""
    if not isinstance(message, SessionStart):
        return message
    started_at = message.started_at if message.started_at is not None else record.wall_ns / 1e9 - message.t
    return msgspec.structs.replace(message, surgery=surgery or message.surgery, started_at=max(0.0, started_at))
