"""Fixtures for all tests."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A folder whose path is short enough for ipc sockets (107 bytes), which pytest's tmp_path may not be."""
    path = Path(tempfile.mkdtemp(prefix="or-"))
    yield path
    shutil.rmtree(path)
