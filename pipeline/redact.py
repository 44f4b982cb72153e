"""Writes a journal anew without what was said. Used by the command `redact`.

Every string is taken out but those under keys that are known to hold none of it: what a later version adds is taken
out until somebody looked at it. Pixels and raw bytes go too. Times, sessions, machines, phases and outcomes stay, so
the result still replays: observations and overrides move the state as before, lines of speech do not.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from pipeline.errors import UNDECODABLE, OrstateError
from pipeline.journal import JournalWriter, Record, journal_files, last_hash, read_records
from pipeline.progress import Progress, Reading, silent

REDACTED: Final = "[redacted]"
KEPT: Final = frozenset(
    (
        *("type", "session", "surgery", "job_id", "request_id", "publisher", "kind", "outcome", "action", "source"),
        *("phase", "next_phase", "current_phase", "label", "value", "machine", "machine_id", "machines", "name"),
        *("set_by", "model", "model_name", "form", "answer", "temporal", "match_type", "rule", "stage", "state"),
        *("timestamp", "0", "1", "debounced", "overrides_applied", "shape", "dtype", "ring", "current_machines"),
        *("held", "standby"),
    )
)
MAPS: Final = frozenset(("machines", "set_by", "current_machines"))  # of machine ids: their keys are no fields
_Coding = tuple[Callable[[bytes], Any], Callable[[Any], bytes]]
_JSON: Final[_Coding] = (msgspec.json.decode, msgspec.json.encode)
_MSGPACK: Final[_Coding] = (msgspec.msgpack.decode, msgspec.msgpack.encode)
DROPPED: Final = frozenset(("Frame",))  # topics


def redact(journal: Path, out: Path, say: Callable[[str], None], progress: Progress = silent) -> int:
    """Write the files of a run's folder, or one file, to the new folder `out`; the number of records.

    Raises OrstateError if there is no journal, or if `out` exists.
    """
    files = [journal] if journal.is_file() else sorted(journal_files(journal), key=_part_and_number)
    if not files:
        raise OrstateError(f"{journal}: no journal: it has no .mcap file; give a run's folder or a file")
    try:
        out.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise OrstateError(f"{out}: cannot be made: {error.strerror}; give a new folder") from error
    count, reading = 0, Reading(files, progress)
    last: dict[str, bytes] = {}  # hash of each part, so that its files are one chain again
    for file in files:
        part, _ = _part_and_number(file)
        writer = JournalWriter(out / file.name, last.get(part, b""))
        try:
            for record in reading.of(read_records(file)):
                if record.topic in DROPPED:
                    continue
                writer.append(record._replace(payload=_payload(record)))
                count += 1
        finally:
            writer.close()
        last[part] = last_hash(writer.path)
        say(f"{out / file.name}: {writer.records} records")
    return count


def _part_and_number(file: Path) -> tuple[str, int]:
    part, _, number = file.stem.rpartition("-")
    return (part, int(number)) if part and number.isdecimal() else (file.stem, 0)


def _payload(record: Record) -> bytes:
    decode, encode = _JSON if record.payload[:1] == b"{" else _MSGPACK
    try:
        return encode(_without_text(decode(record.payload), ""))
    except (*UNDECODABLE, TypeError, OverflowError):  # a payload that was no message: nothing of it is known
        return encode({})


def _without_text(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {k: _without_text(v, key if key in MAPS and isinstance(v, str) else str(k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_text(item, key) for item in value]
    if isinstance(value, str) and value and key not in KEPT:
        return REDACTED
    if isinstance(value, bytes):
        return b""
    return value
