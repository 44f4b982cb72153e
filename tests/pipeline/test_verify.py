"""A journal's chain: what was changed, cut out or put in is found; what a killed process leaves is told apart."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.writer import CompressionType, Writer

from pipeline.errors import OrstateError
from pipeline.journal import JournalWriter, Record, is_whole, open_next, read_all, read_records
from pipeline.verify import Verified, verify

COUNT = 9


def write(folder: Path, part: str = "inputs", count: int = COUNT, close: bool = True) -> Path:
    """The next file of a part, with a link behind every third record."""
    journal = open_next(folder, part)
    for number in range(1, count + 1):
        journal.write("Transcript", b'{"text":"line %d"}' % number, number / 2, number)
        if number % 3 == 0:
            journal.flush()
    if close:
        journal.close()
    else:
        journal._file.flush()
        journal._file.close()  # as a kill does: what was handed over is there, nothing follows
    return journal.path


def rewrite(path: Path, change: Callable[[list[Record]], list[Record]]) -> None:
    """Write the file anew with other records: a whole MCAP, as somebody would who changes it."""
    records = change(list(read_all(path)))
    with path.open("wb") as file:
        writer = Writer(file, use_chunking=False, compression=CompressionType.NONE)
        writer.start(profile="orstate", library="orstate")
        channels: dict[str, int] = {}
        for record in records:
            if record.topic not in channels:
                channels[record.topic] = writer.register_channel(record.topic, "json", 0)
            writer.add_message(
                channels[record.topic], record.wall_ns, record.payload, record.message_ns, record.sequence
            )
        writer.finish()  # type: ignore[no-untyped-call]


def faults(found: list[Verified]) -> list[str]:
    return [fault for finding in found for fault in finding.faults]


def test_what_was_written_is_found_whole_over_several_files(tmp_path: Path) -> None:
    for part in ("inputs", "outputs", "inputs"):
        write(tmp_path, part)
    found = verify(tmp_path)
    assert [(f.file, f.records, f.closed, f.unsealed, f.faults) for f in found] == [
        ("inputs-1.mcap", COUNT, True, 0, ()),
        ("inputs-2.mcap", COUNT, True, 0, ()),
        ("outputs-1.mcap", COUNT, True, 0, ()),
    ]
    assert len({f.last_hash for f in found}) == 3


def test_readers_of_records_do_not_see_the_chain(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert [record.topic for record in read_records(path)] == ["Transcript"] * COUNT
    assert sum(record.topic == "Chain" for record in read_all(path)) == COUNT // 3 + 1


def test_a_file_that_a_killed_process_left_is_sound_and_says_what_no_link_covers(tmp_path: Path) -> None:
    write(tmp_path, count=8, close=False)
    write(tmp_path)
    first, second = verify(tmp_path)
    assert (first.closed, first.records, first.unsealed, first.faults) == (False, 8, 2, ())
    assert (second.closed, second.faults) == (True, ())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda rs: [*rs[:1], rs[1]._replace(payload=b'{"text":"other"}'), *rs[2:]],
            "record 2 (Transcript, sequence 2)",
        ),
        (lambda rs: [*rs[:5], rs[5]._replace(wall_ns=rs[5].wall_ns + 1), *rs[6:]], "record 5 (Transcript, sequence 5)"),
        (lambda rs: [rs[0]._replace(sequence=7), *rs[1:]], "record 1 (Transcript, sequence 7)"),
        (lambda rs: [rs[0]._replace(message_ns=7), *rs[1:]], "record 1"),
        (lambda rs: [rs[0]._replace(topic="Override"), *rs[1:]], "record 1 (Override"),
        (lambda rs: [*rs[:1], *rs[2:]], "some were cut out"),
        (lambda rs: [*rs[:2], rs[1], *rs[2:]], "some were put in"),
        (lambda rs: [rs[1], rs[0], *rs[2:]], "record 1"),
        (lambda rs: rs[4:], "some were moved"),
        (lambda rs: rs[:-1], "its chain has none"),
        (lambda rs: rs[:-5], "its chain has none"),
        (lambda rs: [*rs, rs[0]], "they were put in"),
        (lambda rs: [*rs, rs[3]], "behind the end"),
        (lambda rs: [rs[0], rs[1], rs[2], rs[3]._replace(payload=b"\xc1"), *rs[4:]], "cannot be read"),
        (lambda rs: [r for r in rs if r.topic != "Chain"], "its chain has none"),
    ],
)
def test_a_change_is_found_and_told(tmp_path: Path, change: Callable[[list[Record]], list[Record]], told: str) -> None:
    path = write(tmp_path)
    rewrite(path, change)
    assert told in faults(verify(path))[0]


def test_a_file_written_anew_as_it_was_is_sound(tmp_path: Path) -> None:
    path = write(tmp_path)
    rewrite(path, lambda records: records)
    assert faults(verify(path)) == []


def test_a_file_that_is_missing_cut_or_exchanged_is_found_by_the_next_one(tmp_path: Path) -> None:
    first, _, third = write(tmp_path, close=False), write(tmp_path), write(tmp_path)
    kept = first.read_bytes()
    rewrite(first, lambda records: records[:4])  # cut at a link, as if its process had been killed there
    first.write_bytes(first.read_bytes()[: -len(b"\x89MCAP0\r\n")])
    assert not is_whole(first)
    assert any("does not go on from the file before" in fault for fault in faults(verify(tmp_path)))
    first.write_bytes(kept)
    (tmp_path / "inputs-2.mcap").unlink()
    told = faults(verify(tmp_path))
    assert "inputs-2.mcap is missing" in told[0]
    (tmp_path / "inputs-notes.mcap").write_bytes(b"of somebody else")
    assert faults(verify(tmp_path)) == told
    third.rename(tmp_path / "inputs-2.mcap")
    assert faults(verify(tmp_path))


def test_what_is_no_journal_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OrstateError, match="no journal"):
        verify(tmp_path)


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_byte_of_a_record_can_be_changed_unseen(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / str(data.draw(st.integers(0, 2**60)))
    folder.mkdir(exist_ok=True)
    path = folder / "inputs-1.mcap"
    path.unlink(missing_ok=True)
    write(folder)
    whole = path.read_bytes()
    line = data.draw(st.integers(1, COUNT))
    begin = whole.index(b'{"text":"line %d"}' % line)
    at = begin + data.draw(st.integers(0, 15))
    path.write_bytes(whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :])
    assert faults(verify(path))


def test_a_writer_locks_its_file_until_it_is_closed(tmp_path: Path) -> None:
    import fcntl

    journal = JournalWriter(tmp_path / "inputs-1.mcap")
    with journal.path.open("rb") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        journal.close()
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
