"""The journal of a stage on a disk that fills up: nothing raises, what is lost is counted, told and named, and what is
written verifies.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import journal
from pipeline.control import JournalState
from pipeline.journal import JournalWriter, Loss, Unwritten, read_records
from pipeline.log import Log
from pipeline.stage_journal import RETRY_S, StageJournal
from pipeline.verify import verify

FULL = "cannot be written: No space left on device"


class Disk:
    """A disk with so much room left; more than that it does not take, as a real one: the part that fits, then none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.room = 1 << 30
        self.now = 0.0
        self.folder = folder
        self.told: list[JournalState] = []
        self._write = os.write
        monkeypatch.setattr(journal.os, "write", self.write)  # type: ignore[attr-defined]

    def write(self, descriptor: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = self._write(descriptor, data[: self.room])
        self.room -= taken
        return taken

    def open(self, most_held: int = 1 << 20) -> StageJournal:
        return StageJournal(self.folder, "inputs", self.told.append, lambda: self.now, most_held)

    def pass_retry(self) -> None:
        self.now += RETRY_S


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    with monkeypatch.context() as patch:
        yield Disk(patch, tmp_path)


def line(number: int) -> bytes:
    return b'{"type":"Transcript","session":"or1","seq":%d,"t":1,"text":"x"}' % number


def texts(path: Path) -> list[bytes]:
    return [record.payload for record in read_records(path)]


def write(kept: StageJournal, *numbers: int) -> None:
    """Records, each with a flush behind it."""
    for number in numbers:
        kept.write("Transcript", line(number))
        kept.flush()


def test_what_a_full_disk_does_not_take_is_held_and_written_later_as_if_nothing_had_been(disk: Disk) -> None:
    kept = disk.open()
    write(kept, 1)
    disk.room = 10
    write(kept, *range(2, 50))
    assert [said.error.endswith(FULL) for said in disk.told] == [True]
    counters = kept.counters()
    assert (counters["journal_errors"], counters["journal_lost"]) == (1.0, 0.0)
    assert counters["journal_held_bytes_now"] > 48 * len(line(2))
    disk.pass_retry()
    kept.flush()
    assert kept.counters()["journal_errors"] == 2.0
    disk.room = 1 << 30
    disk.pass_retry()
    write(kept, 50)
    assert disk.told[1:] == [JournalState()]
    assert kept.counters()["journal_held_bytes_now"] == 0.0
    kept.close()
    kept.close()
    [found] = verify(disk.folder)
    assert (found.records, found.lost, found.closed, found.faults) == (50, 0, True, ())
    assert texts(disk.folder / "inputs-1.mcap") == [line(number) for number in range(1, 51)]
    assert len(disk.told) == 2


def test_what_is_more_than_can_be_held_is_lost_counted_and_named_in_its_place(disk: Disk) -> None:
    kept = disk.open(most_held=500)
    write(kept, 1)
    disk.room = 0
    write(kept, *range(2, 100))
    assert len(disk.told) == 1
    lost = int(kept.counters()["journal_lost"])
    assert 80 < lost < 98
    disk.room = 1 << 30
    disk.pass_retry()
    kept.flush()
    write(kept, 100)
    kept.close()
    assert disk.told[1:] == [JournalState(lost=lost)]
    path = disk.folder / "inputs-1.mcap"
    records = [(record.topic, record.payload) for record in read_records(path)]
    held = 98 - lost
    assert records[: 1 + held] == [("Transcript", line(number)) for number in range(1, 2 + held)]
    topic, loss = records[1 + held]
    named = msgspec.msgpack.decode(loss, type=Loss)
    assert (topic, named.records, FULL in named.error) == ("Loss", lost, True)
    assert records[2 + held :] == [("Transcript", line(100))]
    [found] = verify(disk.folder)
    assert (found.lost, found.closed, found.faults) == (lost, True, ())
    assert f"{lost} more could not be written" in found.sentence()
    [fault] = Log(path, "PCNL").faults
    assert fault.endswith(f"here {lost} records could not be written")


def test_what_is_held_at_the_end_and_cannot_be_written_is_lost_and_told(disk: Disk) -> None:
    kept = disk.open()
    write(kept, 1, 2)
    disk.room = 0
    write(kept, 3, 4, 5)
    kept.close()
    assert [(said.error.endswith(FULL), said.lost) for said in disk.told] == [(True, 0), (True, 3)]
    [found] = verify(disk.folder)
    assert (found.records, found.closed, found.faults) == (2, False, ())


def test_a_file_that_cannot_be_made_is_made_later_and_says_what_it_lacks(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, disk.folder = disk.folder / "run", disk.folder / "run"
    kept = disk.open()
    write(kept, 1, 2)
    assert [said.error for said in disk.told] == [f"[Errno 2] No such file or directory: '{folder}/inputs-1.mcap'"]
    folder.mkdir()
    disk.pass_retry()
    write(kept, 3, 4)
    kept.close()
    assert disk.told[1:] == [JournalState(lost=3)]  # 3 came before the try that succeeded
    [found] = verify(folder)
    assert (found.records, found.lost, found.faults) == (2, 3, ())


def test_a_file_that_a_killed_process_left_empty_is_no_fault_and_the_chain_goes_on_behind_it(disk: Disk) -> None:
    disk.room = 0
    StageJournal(disk.folder, "inputs", disk.told.append)  # killed: never closed
    disk.room = 1 << 30
    kept = disk.open()
    write(kept, 1)
    kept.close()
    assert [(found.file, found.records, found.faults) for found in verify(disk.folder)] == [
        ("inputs-1.mcap", 0, ()),
        ("inputs-2.mcap", 1, ()),
    ]


def test_a_file_that_is_written_for_a_person_says_that_it_cannot_be(disk: Disk) -> None:
    writer = JournalWriter(disk.folder / "out.mcap")
    disk.room = 3
    writer.write("Transcript", line(1))
    with pytest.raises(Unwritten, match=f"{disk.folder}/out.mcap: {FULL}"):
        writer.flush()
    with pytest.raises(Unwritten):
        writer.close()
    writer.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 5), st.booleans()), max_size=30))
def test_however_a_disk_fills_and_empties_the_journal_is_whole_and_accounts_for_everything(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, turns: list[tuple[int, int, bool]]
) -> None:
    with monkeypatch.context() as patch:
        disk = Disk(patch, tmp_path_factory.mktemp("run"))
        kept, number = disk.open(most_held=600), 0
        for room, records, later in turns:
            disk.room = room
            for _ in range(records):
                number += 1
                kept.write("Transcript", line(number))
            if later:
                disk.pass_retry()
            kept.flush()
        disk.room = 1 << 30
        kept.close()
        [found] = verify(disk.folder)
        assert (found.faults, found.closed, found.lost) == ((), True, kept.lost)
        written = [record.payload for record in read_records(disk.folder / "inputs-1.mcap") if record.topic != "Loss"]
        assert len(written) + kept.lost == number
        assert written == sorted(written, key=lambda payload: int(payload.split(b'"seq":')[1].split(b",")[0]))
        assert len(set(written)) == len(written)
        assert [bool(said.error) for said in disk.told] == [True, False] * (len(disk.told) // 2)
