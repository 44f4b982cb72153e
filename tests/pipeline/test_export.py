"""Exports, read back by the library of each format."""

import csv
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from mcap.reader import make_reader

from pipeline.codec import encode, encode_json
from pipeline.errors import OrstateError
from pipeline.export import FORMATS, export
from pipeline.journal import JournalWriter, Record
from pipeline.messages import DeadLetter, SessionStart, Transcript

TEXT = 'Säge, "aus"\nnow'


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A run's folder of two files: MessagePack and JSON, pixels, one record that is no message, times in turn."""
    folder = tmp_path / "run"
    folder.mkdir()
    inputs, outputs = JournalWriter(folder / "inputs-1.mcap"), JournalWriter(folder / "outputs-1.mcap")
    inputs.write("SessionStart", encode(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL")), 0.0, 1)
    outputs.write("DeadLetter", encode(DeadLetter(reason="bad_message", error="x", source="ingress")))
    inputs.write("Transcript", encode_json(Transcript(session="or1", seq=2, t=4.5, text=TEXT)), 4.5, 2)
    inputs.write("Frame", msgspec.msgpack.encode({"frame": 1, "pixels": b"123"}))
    inputs.write("Odd", b"\x00\x01\x02")
    inputs.close()
    outputs.close()
    return folder


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def read_csv(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        {**row, "data": json.loads(row["data"]), "t": float(row["t"]), "sequence": int(row["sequence"])} for row in rows
    ]


def read_parquet(path: Path) -> list[dict[str, Any]]:
    from pyarrow import parquet

    return [{**row, "data": json.loads(row["data"])} for row in parquet.read_table(path).to_pylist()]


def read_foxglove(path: Path) -> list[dict[str, Any]]:
    rows = []
    with path.open("rb") as file:
        for schema, channel, message in make_reader(file, validate_crcs=True).iter_messages():
            assert schema is not None
            assert (schema.encoding, channel.message_encoding) == ("jsonschema", "json")
            form, data = json.loads(schema.data), json.loads(message.data)
            assert form["type"] == "object"
            jsonschema_rs.validator_for(form).validate(data)
            with pytest.raises(jsonschema_rs.ValidationError):  # the schema is the message's, not one of anything
                jsonschema_rs.validator_for(form).validate({"type": channel.topic})
            t = message.publish_time / 1e9
            rows.append({"topic": channel.topic, "data": data, "t": t, "sequence": message.sequence})
    return rows


READERS = {"jsonl": read_lines, "csv": read_csv, "parquet": read_parquet, "foxglove": read_foxglove}


@pytest.mark.parametrize("to", FORMATS)
def test_an_export_read_back_has_each_message_in_the_order_of_time(journal: Path, tmp_path: Path, to: Any) -> None:
    out, told = tmp_path / "out", list[str]()
    assert export(journal, to, out, told.append) == 3
    rows = READERS[to](out)
    assert [(row["topic"], row["t"], row["sequence"]) for row in rows] == [
        ("SessionStart", 0.0, 1),
        ("DeadLetter", 0.0, 0),
        ("Transcript", 4.5, 2),
    ]
    assert rows[0]["data"]["surgery"] == "PCNL"
    assert rows[2]["data"]["text"] == TEXT
    assert told == ["2 records left out: pixels, or no messages"]
    assert out.stat().st_mode & 0o777 == 0o600


def test_a_file_that_exists_is_not_replaced(journal: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.write_text("mine")
    with pytest.raises(OrstateError, match="mine: cannot be written: File exists"):
        export(journal, "jsonl", out, print)
    assert out.read_text() == "mine"


@pytest.mark.parametrize("content", [None, b"no journal"])
def test_what_is_no_journal_is_told_and_leaves_no_file(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "case"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OrstateError, match=r"case: no (journal|MCAP file)"):
        export(path, "csv", tmp_path / "out", print)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("to", FORMATS)
def test_the_latest_time_that_a_journal_can_say_is_exported(tmp_path: Path, to: Any) -> None:
    with closing(JournalWriter(tmp_path / "late.mcap")) as late:
        late.append(Record("SessionStart", b'{"session":"or1"}', 2**64 - 1, 2**64 - 1, 1))
    assert export(tmp_path / "late.mcap", to, tmp_path / "out", lambda _: None) == 1
