"""Shared memory: who makes it, who may remove it, and what is said when there is none."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import segment
from pipeline.errors import OrstateError
from pipeline.segment import Segment, folder, free_bytes, remove_orphans, segment_name


@pytest.fixture
def made() -> Iterator[Segment]:
    new = Segment.create(segment_name(os.getpid(), "segment-test"), 4096)
    yield new
    new.close()
    new.unlink()


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shared memory in which no other janitor is at work."""
    monkeypatch.setattr(segment, "folder", lambda: tmp_path)
    return tmp_path


def finished_pid() -> int:
    """The id of a process that is over."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def attach_and_write(name: str) -> None:
    """What another process does: write, and end without closing."""
    attached = Segment.attach(name)
    attached.memory[0:5] = b"hello"


def test_a_new_segment_is_zero_private_and_has_its_pages_reserved(made: Segment) -> None:
    stat = (folder() / made.name).stat()
    assert bytes(made.memory) == bytes(4096)
    assert stat.st_mode & 0o777 == 0o600
    assert stat.st_blocks * 512 >= 4096


def test_what_one_process_writes_another_reads_and_its_exit_leaves_the_segment(made: Segment) -> None:
    child = multiprocessing.get_context("spawn").Process(target=attach_and_write, args=(made.name,))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    child.close()
    assert (folder() / made.name).exists()
    assert made.memory[0:5] == b"hello"
    again = Segment.attach(made.name)
    assert again.memory[0:5] == b"hello"
    again.close()


def test_more_than_is_free_is_refused_with_both_figures_and_leaves_nothing() -> None:
    name = segment_name(os.getpid(), "too-large")
    size = free_bytes() + 2**40
    with pytest.raises(OrstateError, match=rf"{name}: needs {size:,} bytes .* are free; lower queues.slot_bytes"):
        Segment.create(name, size)
    assert not (folder() / name).exists()


def test_a_reservation_that_fails_is_told_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    name = segment_name(os.getpid(), "unreserved")
    monkeypatch.setattr(segment, "free_bytes", lambda: 2**62)
    with pytest.raises(OrstateError, match=rf"{name}: .* bytes cannot be reserved"):
        Segment.create(name, 2**60)
    assert not (folder() / name).exists()


def test_a_name_that_is_taken_is_refused_and_the_first_segment_stays(made: Segment) -> None:
    made.memory[0:1] = b"x"
    with pytest.raises(OrstateError, match=f"{made.name}: shared memory cannot be made: File exists"):
        Segment.create(made.name, 4096)
    assert made.memory[0:1] == b"x"


def test_attaching_to_nothing_names_the_file() -> None:
    with pytest.raises(OrstateError, match="/orstate-1-none: shared memory cannot be attached: No such file"):
        Segment.attach("orstate-1-none")


def test_unlink_removes_the_name_and_leaves_the_memory_to_those_who_map_it(made: Segment) -> None:
    made.unlink()
    made.unlink()
    assert not (folder() / made.name).exists()
    made.memory[0:2] = b"ok"
    assert made.memory[0:2] == b"ok"


def test_close_twice_and_close_under_a_view_are_no_errors(made: Segment) -> None:
    view = memoryview(made.memory)
    made.memory[0:1] = b"v"
    made.close()
    made.close()
    assert bytes(view[0:1]) == b"v"


def test_the_janitor_removes_segments_of_dead_owners_only(own_folder: Path) -> None:
    orphan = Segment.create(segment_name(finished_pid(), "orphan"), 4096)
    ours = Segment.create(segment_name(os.getpid(), "ours"), 4096)
    (own_folder / "other-1-file").touch()
    assert remove_orphans() == [orphan.name]
    assert sorted(path.name for path in own_folder.iterdir()) == [ours.name, "other-1-file"]
    orphan.close()
    ours.close()


@pytest.mark.parametrize("owner", ["nobody", "", "²", "99999999999999999999999"])
def test_the_janitor_is_not_upset_by_strange_names(own_folder: Path, owner: str) -> None:
    path = own_folder / f"orstate-{owner}-strange"
    path.touch()
    assert remove_orphans() == ([path.name] if owner.startswith("9") else [])  # no process can have that id


def test_the_janitor_leaves_folders_alone(own_folder: Path) -> None:
    path = own_folder / segment_name(finished_pid(), "folder")
    path.mkdir()
    assert remove_orphans() == []
    assert path.is_dir()


def test_the_janitor_passes_over_a_segment_that_another_one_removed(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = own_folder / segment_name(finished_pid(), "gone")
    monkeypatch.setattr(type(gone), "glob", lambda self, pattern: iter([gone]))
    assert remove_orphans() == []
