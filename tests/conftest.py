"""Fixtures for all tests."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tiny_models import write_gemma, write_llama, write_qwen

settings.register_profile("orstate", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("orstate")


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A folder whose path is short enough for ipc sockets (107 bytes), which pytest's tmp_path may not be."""
    path = Path(tempfile.mkdtemp(prefix="or-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of adapters, for this test only."""
    folder = tmp_path / "adapters"
    folder.mkdir()
    monkeypatch.setattr("models.adapter.adapters_folder", lambda: folder)
    return folder


@pytest.fixture(scope="session")
def tiny_gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of Gemma 3's kind, 1 MB: sliding window, one head for keys and values, SentencePiece."""
    return write_gemma(tmp_path_factory.mktemp("tiny") / "tiny-gemma.gguf")


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of Llama's kind, 1.5 MB: an output of its own, SentencePiece with a space before the text."""
    return write_llama(tmp_path_factory.mktemp("tiny") / "tiny-llama.gguf")


@pytest.fixture(scope="session")
def tiny_qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of Qwen 2's kind, 2.5 MB: biases, BPE, and no beginning-of-sequence token."""
    return write_qwen(tmp_path_factory.mktemp("tiny") / "tiny-qwen.gguf")
