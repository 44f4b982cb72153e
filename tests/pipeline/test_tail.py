"""A journal is followed while it is written, over half records, ends of files and new ones."""

from pathlib import Path

import pytest

from pipeline.errors import OrstateError
from pipeline.journal import JournalWriter, open_next
from pipeline.tail import Tail


def texts(tail: Tail) -> list[bytes]:
    return [record.payload for record in tail.read()]


def test_what_is_appended_is_read_once_and_other_topics_never(tmp_path: Path) -> None:
    tail = Tail(tmp_path, "inputs", ("Transcript",))
    assert texts(tail) == []  # there is no file yet
    writer = open_next(tmp_path, "inputs")
    writer.write("Transcript", b'{"a": 1}', 1.5, 7)
    writer.write("PromptJob", b"\x80")
    writer.flush()
    (record,) = tail.read()
    assert (record.topic, record.payload, record.message_ns, record.sequence) == (
        "Transcript",
        b'{"a": 1}',
        1_500_000_000,
        7,
    )
    assert texts(tail) == []
    writer.write("Transcript", b"\x81")
    writer.flush()
    assert texts(tail) == [b"\x81"]
    writer.close()
    assert texts(tail) == []
    again = open_next(tmp_path, "inputs")
    again.write("Transcript", b"\x82")
    again.close()
    assert texts(tail) == [b"\x82"]
    tail.close()


def test_a_half_written_record_waits_for_its_rest(tmp_path: Path) -> None:
    with_all = JournalWriter(tmp_path / "whole.mcap")
    for number in range(3):
        with_all.write("Transcript", b"\x80" + bytes([number]) * 50)
    with_all.close()
    whole = (tmp_path / "whole.mcap").read_bytes()
    tail = Tail(tmp_path, "inputs", ("Transcript",))
    found = []
    with (tmp_path / "inputs-1.mcap").open("wb", buffering=0) as file:
        for at in range(0, len(whole), 7):
            file.write(whole[at : at + 7])
            found += texts(tail)
    assert found == [b"\x80" + bytes([number]) * 50 for number in range(3)]
    tail.close()


def test_a_link_is_not_followed_and_damage_is_told(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"secret")
    (tmp_path / "inputs-1.mcap").symlink_to(tmp_path / "elsewhere")
    assert texts(Tail(tmp_path, "inputs", ("Transcript",))) == []
    (tmp_path / "outputs-1.mcap").write_bytes(b"\xff" * 40)
    with pytest.raises(OrstateError, match=r"outputs-1\.mcap: damaged"):
        texts(Tail(tmp_path, "outputs", ("Transcript",)))
