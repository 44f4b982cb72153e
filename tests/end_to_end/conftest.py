"""Fixtures for tests with real processes: every test must leave no process, segment or file behind."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.segment import folder

ROOT = Path(__file__).resolve().parent.parent.parent


def our_segments() -> set[str]:
    """Segments of instances that this test process (or a child of it) started, or whose owner is dead."""
    family = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    found = set()
    for path in folder().glob("orstate-*"):
        owner = int(path.name.split("-")[1])
        if owner in family or not psutil.pid_exists(owner):
            found.add(path.name)
    return found


@pytest.fixture
def run_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short folder for everything an instance makes; it must be empty of run directories at the end."""
    path = Path(tempfile.mkdtemp(prefix="or-", dir="/tmp"))
    (path / "tmp").mkdir()
    (path / "journal").mkdir()
    monkeypatch.setenv("TMPDIR", str(path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield path
    left = sorted(entry.name for entry in (path / "tmp").iterdir())
    shutil.rmtree(path)
    assert not left, f"left in the temporary folder: {left}"


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """After each test: no child process, no segment."""
    before = our_segments()
    yield
    children = [child for child in psutil.Process().children(recursive=True) if not _is_tracker(child)]
    assert not children, f"left running: {children}"
    assert our_segments() <= before, f"left in shared memory: {our_segments() - before}"


@pytest.fixture
def settings(run_folder: Path) -> tuple[str, ...]:
    """Settings that keep an instance's journal inside the test's folder, and no computed prefixes at all."""
    return (f"run.journal={str(run_folder / 'journal')!r}", "inference.prefix_cache=")


def _is_tracker(process: psutil.Process) -> bool:
    """Python's own helper of a test that used multiprocessing; it lives as long as the test process."""
    try:
        return "resource_tracker" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return True
