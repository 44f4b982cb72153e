"""Journals: what was written is read back, from whole files and from cut-off and damaged ones."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.codec import encode, encode_json
from pipeline.errors import OrstateError
from pipeline.journal import MAGIC, JournalWriter, Record, input_files, is_whole, next_file, read_records, run_folder
from pipeline.messages import Transcript

LINES = [Transcript(session="or1", seq=n, t=n / 2, text=f"line {n}") for n in range(1, 5)]


def write(path: Path) -> Path:
    """A journal of four records in both encodings."""
    journal = JournalWriter(path)
    for line in LINES:
        journal.write("Transcript", encode_json(line) if line.seq % 2 else encode(line), line.t, line.seq)
    journal.close()
    return path


def told(records: list[Record]) -> list[tuple[str, bytes, int, int]]:
    """Records without the wall time."""
    return [(r.topic, r.payload, r.message_ns, r.sequence) for r in records]


def test_records_come_back_with_topic_payload_time_and_sequence(tmp_path: Path) -> None:
    records = list(read_records(write(tmp_path / "j.mcap")))
    payloads = [encode_json(line) if line.seq % 2 else encode(line) for line in LINES]
    assert told(records) == [
        ("Transcript", payload, line.seq * 500_000_000, line.seq) for line, payload in zip(LINES, payloads, strict=True)
    ]
    assert [r.wall_ns for r in records] == sorted(r.wall_ns for r in records)
    assert records[0].wall_ns > 1_600_000_000 * 10**9


def test_a_journal_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    assert write(tmp_path / "j.mcap").stat().st_mode & 0o777 == 0o600


def test_the_encodings_of_one_topic_are_told_apart(tmp_path: Path) -> None:
    from mcap.reader import make_reader

    with write(tmp_path / "j.mcap").open("rb") as file:
        found = [
            (channel.message_encoding, message.data)
            for _, channel, message in make_reader(file).iter_messages(topics=["Transcript"])
        ]
    assert sorted(found, key=lambda entry: entry[0]) == sorted(
        [
            ("json" if line.seq % 2 else "msgpack", encode_json(line) if line.seq % 2 else encode(line))
            for line in LINES
        ],
        key=lambda entry: entry[0],
    )


def test_what_was_flushed_is_there_though_the_writer_was_never_closed(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path / "j.mcap")
    journal.write("Transcript", b"{}")
    journal.flush()
    assert [record.payload for record in read_records(journal.path)] == [b"{}"]
    assert not is_whole(journal.path)
    journal.close()
    journal.close()
    journal.flush()
    assert is_whole(journal.path)
    assert journal.records == 1


def test_a_file_cut_at_any_byte_gives_its_whole_records_and_no_error(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.mcap")
    data, all_records = whole.read_bytes(), list(read_records(whole))
    cut = tmp_path / "cut.mcap"
    numbers = []
    for length in range(len(MAGIC), len(data)):
        cut.write_bytes(data[:length])
        records = list(read_records(cut))
        assert records == all_records[: len(records)]
        assert not is_whole(cut)
        numbers.append(len(records))
    assert numbers == sorted(numbers)
    assert set(numbers) == {0, 1, 2, 3, 4}
    ends = [data.index(record.payload) + len(record.payload) for record in all_records]
    assert [numbers[end - len(MAGIC)] for end in ends] == [1, 2, 3, 4]
    assert [numbers[end - len(MAGIC) - 1] for end in ends] == [0, 1, 2, 3]


@pytest.mark.parametrize("length", range(len(MAGIC)))
def test_a_file_cut_within_its_first_bytes_is_no_mcap(tmp_path: Path, length: int) -> None:
    path = tmp_path / "cut.mcap"
    path.write_bytes(MAGIC[:length])
    with pytest.raises(OrstateError, match=f"{path}: no MCAP file"):
        list(read_records(path))


def test_every_damaged_byte_among_the_records_of_a_whole_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.mcap")
    data = whole.read_bytes()
    end = data.rindex(LINES[-1].text.encode()) + len(LINES[-1].text)
    path = tmp_path / "damaged.mcap"
    for at in range(len(MAGIC), end):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        with pytest.raises(OrstateError, match=f"{path}: damaged MCAP record"):
            list(read_records(path))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_is_damaged_and_cut_reading_gives_records_or_our_error(tmp_path: Path, data: st.DataObject) -> None:
    whole = tmp_path / "whole.mcap"
    if not whole.exists():
        write(whole)
    content = whole.read_bytes()
    at = data.draw(st.integers(0, len(content)))
    patch = data.draw(st.binary(max_size=12))
    end = data.draw(st.integers(0, len(content)))
    path = tmp_path / "damaged.mcap"
    path.write_bytes((content[:at] + patch + content[at + len(patch) :])[:end])
    try:
        assert len(list(read_records(path))) <= len(content)
    except OrstateError as error:
        assert str(path) in str(error)  # noqa: PT017  # records are right too


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "j.mcap")
    before = (tmp_path / "j.mcap").read_bytes()
    with pytest.raises(FileExistsError):
        JournalWriter(tmp_path / "j.mcap")
    assert (tmp_path / "j.mcap").read_bytes() == before


def test_the_next_file_is_never_one_that_is_there(tmp_path: Path) -> None:
    assert next_file(tmp_path, "inputs").name == "inputs-1.mcap"
    write(tmp_path / "inputs-1.mcap")
    write(tmp_path / "outputs-1.mcap")
    assert next_file(tmp_path, "inputs").name == "inputs-2.mcap"


def test_the_files_of_a_run_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        write(tmp_path / f"inputs-{number}.mcap")
    write(tmp_path / "outputs-1.mcap")
    assert [file.name for file in input_files(tmp_path)] == ["inputs-1.mcap", "inputs-2.mcap", "inputs-10.mcap"]
    assert input_files(tmp_path / "outputs-1.mcap") == [tmp_path / "outputs-1.mcap"]


def test_a_folder_without_inputs_is_no_journal(tmp_path: Path) -> None:
    with pytest.raises(OrstateError, match=f"{tmp_path}: no journal: it has no inputs-N.mcap"):
        input_files(tmp_path)


def test_the_folder_of_a_run_is_new_and_private(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "journal")
    assert folder.parent == tmp_path / "journal"
    assert folder.stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(OrstateError, match="the journal cannot be made"):
        run_folder(tmp_path / "file")
