"""Fixtures for the examples."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for ipc sockets."""
    path = Path(tempfile.mkdtemp(prefix="or-", dir="/tmp"))
    yield path
    shutil.rmtree(path)
