"""Old journals go when they are beyond the limits, and nothing else does."""

import os
from pathlib import Path

from pipeline.journal import JournalWriter
from pipeline.retention import prune

DAY = 86_400.0
NOW = 1_800_000_000.0


def run(parent: Path, day: int, size: int = 1_000_000, age_days: float = 0.0) -> Path:
    """The journal of a run, last changed so long ago."""
    folder = parent / f"202601{day:02}T080000.000Z"
    folder.mkdir()
    file = folder / "inputs-1.mcap"
    file.write_bytes(bytes(size))
    os.utime(file, (NOW - age_days * DAY,) * 2)
    return folder


def test_older_runs_go_and_younger_ones_stay(tmp_path: Path) -> None:
    old, young = run(tmp_path, 1, age_days=8.0), run(tmp_path, 2, age_days=6.0)
    assert prune(tmp_path, 7.0, 0.0, NOW) == [old]
    assert not old.exists()
    assert young.exists()


def test_the_oldest_go_until_the_rest_is_small_enough(tmp_path: Path) -> None:
    runs = [run(tmp_path, day, age_days=10.0 - day) for day in range(1, 6)]
    assert prune(tmp_path, 0.0, 2.5, NOW) == runs[:3]
    assert [folder.exists() for folder in runs] == [False] * 3 + [True] * 2


def test_no_limit_removes_nothing(tmp_path: Path) -> None:
    run(tmp_path, 1, age_days=1000.0)
    assert prune(tmp_path, 0.0, 0.0, NOW) == []


def test_what_is_being_written_stays(tmp_path: Path) -> None:
    folder = tmp_path / "20260101T080000.000Z"
    folder.mkdir()
    journal = JournalWriter(folder / "inputs-1.mcap")
    journal.write("Transcript", bytes(2_000_000))
    journal.flush()
    assert prune(tmp_path, 1.0, 1.0, journal.path.stat().st_mtime + 9 * DAY) == []
    journal.close()
    assert prune(tmp_path, 1.0, 1.0, journal.path.stat().st_mtime + 9 * DAY) == [folder]


def test_what_no_run_has_made_stays(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "thesis.mcap").write_bytes(b"x")
    parent = tmp_path / "journal"
    parent.mkdir()
    for name in ("notes", "20269999T999999.000Z"):
        (parent / name).mkdir()
    (parent / "20260101T080000.000Z").symlink_to(outside)
    (parent / "20260102T080000.000Z").write_text("a file")
    assert prune(parent, 1e-9, 1e-9, NOW * 2) == []
    assert (outside / "thesis.mcap").exists()


def test_a_folder_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    assert prune(tmp_path / "none", 1.0, 1.0) == []
